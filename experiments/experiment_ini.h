/* INI text to a list of entries with their line numbers: inih's grammar, made strict.
 *
 * inih alone cuts long lines and names, drops sections without keys and takes bytes that are no
 * text; here each of these is an error that names the line. */
#ifndef QUOIT_EXPERIMENTS_EXPERIMENT_INI_H
#define QUOIT_EXPERIMENTS_EXPERIMENT_INI_H

#include <stddef.h>

#include "core/arena.h"
#include "core/err.h"

#define INI_MAX_ENTRIES 256

struct ini_entry {
    const char *section;
    const char *key; /* NULL: the heading of the section itself */
    const char *value;
    int line; /* 0: not from the file but from --set */
};

struct ini_entries {
    struct ini_entry at[INI_MAX_ENTRIES];
    size_t n;
};

/* Fills ret_entries in the order of the file; texts are copied into the arena. An indented line
 * goes on with the value above, joined by a blank. 0 or -EINVAL naming origin and line. */
int ini_read_entries(const char *text, size_t n, const char *origin, struct arena *arena,
                     struct ini_entries *ret_entries, struct err *err);
/* The entry of that section and key, or NULL. */
struct ini_entry *ini_find(struct ini_entries *entries, const char *section, const char *key);

#endif
