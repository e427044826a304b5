/* Which source, which compiler and which flags this program was built from.
 *
 * The Makefile writes the values (tools/build-info); only build_info.c sees them, so that a new
 * commit compiles one file. A run's manifest records all of them. */
#ifndef QUOIT_CORE_BUILD_INFO_H
#define QUOIT_CORE_BUILD_INFO_H

#include <stdbool.h>

struct build_info {
    const char *version;  /* "0.1.0-gabcdef0123", with "-dirty" when the tree was not committed */
    const char *commit;   /* 40 hex digits, or "unknown" */
    bool dirty;           /* files differed from the commit */
    const char *compiler; /* its --version line */
    const char *cflags;   /* preprocessor and compiler flags */
    const char *prefix;   /* where `make install` puts things: PREFIX/share/quoit holds the data */
};

extern const struct build_info build_info;

#endif
