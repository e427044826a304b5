/* A file of the log or a snapshot, read from its start to its end without having all of it in
 * memory: a window that moves on, as large as the largest frame. Blocks. */
#ifndef QUOIT_BACKENDS_STORE_WAL_WINDOW_H
#define QUOIT_BACKENDS_STORE_WAL_WINDOW_H

#include <stddef.h>
#include <stdint.h>

#include "backends/store/wal_format.h"
#include "core/err.h"

struct wal_window {
    char *path;
    int fd;
    uint64_t n_file;      /* bytes of the file */
    unsigned char *bytes; /* of the file from `base` on */
    size_t n, capacity;
    uint64_t base;
};

/* 0 or a negative errno. Takes the path, which is for free(), also on failure. Pair with
 * wal_window_close() either way. */
int wal_window_open(struct wal_window *window, char *path, struct err *err);
void wal_window_close(struct wal_window *window);
/* The file's header. As wal_file_header_get(), or the error of reading. */
int wal_window_header(struct wal_window *window, enum wal_kind kind,
                      struct wal_file_header *ret_header, struct err *err);
/* What stands at an offset, which is not before that of the last call. As wal_frame_check(); the
 * frame borrows from the window until the next call, its offsets are in the window. 0, or the error
 * of reading. */
int wal_window_frame(struct wal_window *window, uint64_t offset, enum wal_check *ret_check,
                     struct wal_frame *ret_frame, const char **ret_reason, struct err *err);
/* Makes the window the whole file. */
int wal_window_load(struct wal_window *window, struct err *err);

#endif
