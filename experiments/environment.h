/* Where a run took place: the machine, the libraries, the build. */
#ifndef QUOIT_EXPERIMENTS_ENVIRONMENT_H
#define QUOIT_EXPERIMENTS_ENVIRONMENT_H

#include <cjson/cJSON.h>
#include <stddef.h>

/* {"cpu","cores","governor","clocksource","virtual","memory_bytes","kernel","machine","load_average"};
 * null where the system does not tell. */
cJSON *environment_host(void);
/* {"libev":"4.33","libcurl":…,"cjson":…,"xxhash":…,"openssl":…,"llhttp":…,"gnuplot":…,"libc":…}.
 * gnuplot: what figure_gnuplot_version() said, or NULL. */
cJSON *environment_libraries(const char *gnuplot);
/* {"version","commit","dirty","compiler","cflags"} of this program. */
cJSON *environment_build(void);

/* The kind of file system that a path is on: "ext4", "tmpfs"; its number, "0x6969", for one that is
 * not known here; "" when it cannot be told. Into text of that many bytes; returned. */
const char *environment_filesystem(const char *path, char *text, size_t bytes);

#endif
