/* The files of the log: log-NUMBER, one after the other, the newest being written.
 *
 * A segment is filled with zeros and synced before it gets its name, so that its place on the disk
 * is reserved (a write into it cannot find the disk full) and a commit changes no metadata, which
 * makes the fdatasync cheaper. */
#ifndef QUOIT_BACKENDS_STORE_WAL_SEGMENT_H
#define QUOIT_BACKENDS_STORE_WAL_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"

/* A segment that takes, or waits to take, frames. */
struct wal_segment {
    uint64_t number;
    uint64_t n_bytes; /* of the file */
    char *path;
    int fd;
    /* The loop's: what the frames that were handed over may fill at most. */
    uint64_t n_reserved;
    /* The commit thread's, once the segment was handed to it. */
    uint64_t end;  /* where the next frame starts */
    bool is_dirty; /* written since its last sync */
};

/* "DIR/log-NUMBER", "DIR/snapshot-NUMBER", for free(). */
char *wal_segment_path(const char *dir, uint64_t number);
char *wal_snapshot_path(const char *dir, uint64_t number);
/* The number in a file's name; false: it is no such name. */
bool wal_segment_parse_name(const char *name, uint64_t *ret_number);
bool wal_snapshot_parse_name(const char *name, uint64_t *ret_number);
/* What a file that did not get its name yet is called: the path with ".tmp" behind. */
bool wal_is_temporary(const char *name);

/* Makes an empty segment of n_bytes and its name durable. 0 or a negative errno with the reason
 * (-ENOSPC), and then there is nothing. Blocks. */
int wal_segment_make(const char *dir, uint64_t number, uint64_t n_bytes,
                     struct wal_segment **ret_segment, struct err *err);
/* Opens one that is there to write on at `end`. n_bytes: what its header says. Unless is_clean,
 * what lies after `end` is filled with zeros first, and what the file is shorter, too. Blocks. */
int wal_segment_resume(const char *dir, uint64_t number, uint64_t n_bytes, uint64_t end,
                       bool is_clean, struct wal_segment **ret_segment, struct err *err);
/* Closes it; the file stays. Takes NULL. */
void wal_segment_free(struct wal_segment *segment);

#endif
