/* Whole files: read with a limit, written so that a crash leaves the old or the new one. */
#ifndef QUOIT_CORE_FILE_H
#define QUOIT_CORE_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "core/err.h"

/* Appends the whole file to ret_text, whose max_bytes is the limit. 0 or a negative errno
 * (-EMSGSIZE: larger than the limit), err naming the path. */
int file_read(const char *path, struct buf *ret_text, struct err *err);
/* Its first line, without the end, as much of it as there is room for. False where there is none.
 */
bool file_read_line(const char *path, char *text, size_t bytes);
/* Temporary file beside it, fsync, rename, fsync of the folder. On failure the old file stands and
 * the temporary one is gone. Blocks: not for a data loop. */
int file_write_atomic(const char *path, const void *bytes, size_t n, struct err *err);
/* mkdir -p. 0 also where it exists as a folder. */
int file_make_dirs(const char *path, struct err *err);
/* Opens (creating it) and locks `path` for this process alone; the lock goes when the descriptor is
 * closed or the process ends. Returns the descriptor, -EWOULDBLOCK when another process has it. */
int file_lock(const char *path, struct err *err);

#endif
