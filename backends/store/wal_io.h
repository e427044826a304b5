/* What the log and the snapshots do to the disk: every call that changes something there goes
 * through one table, so that a test can make each of them fail, or end the process before it.
 *
 * All block: never on a loop. */
#ifndef QUOIT_BACKENDS_STORE_WAL_IO_H
#define QUOIT_BACKENDS_STORE_WAL_IO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/* Each returns 0 (or what is said) or a negative errno. */
struct wal_io {
    /* An empty file for reading and writing; the descriptor. */
    int (*create)(const char *path);
    /* Takes n bytes of disk from offset 0 on for the file. -EOPNOTSUPP: the file system cannot. */
    int (*allocate)(int fd, uint64_t n);
    /* As pwritev(2): how many bytes, perhaps fewer than asked. */
    ssize_t (*write)(int fd, const struct iovec *pieces, int n_pieces, uint64_t offset);
    /* fdatasync(2) */
    int (*sync)(int fd);
    int (*rename)(const char *from, const char *to);
    int (*remove)(const char *path);
    /* Makes the names in a folder durable. */
    int (*sync_folder)(const char *path);
};

extern const struct wal_io wal_io_system;
/* What is used. Tests set it before a store is opened. */
extern const struct wal_io *wal_io;

/* Writes all of the pieces, which it changes on the way. 0 or a negative errno. */
int wal_io_write_all(int fd, struct iovec *pieces, int n_pieces, uint64_t offset);
/* Writes zeros from offset to end. */
int wal_io_zero(int fd, uint64_t offset, uint64_t end);

#endif
