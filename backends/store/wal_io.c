#include "backends/store/wal_io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define ZERO_PIECES 16
#define ZERO_BYTES ((size_t)64 * 1024)

static int system_create(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    return fd < 0 ? -errno : fd;
}

static int system_allocate(int fd, uint64_t n)
{
    int rc;
    do
        rc = fallocate(fd, 0, 0, (off_t)n);
    while (rc < 0 && errno == EINTR);
    return rc < 0 ? -errno : 0;
}

static ssize_t system_write(int fd, const struct iovec *pieces, int n_pieces, uint64_t offset)
{
    ssize_t n;
    do
        n = pwritev(fd, pieces, n_pieces, (off_t)offset);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

/* EINTR is a failure like any other: what became of the data is not known. */
static int system_sync(int fd)
{
    return fdatasync(fd) < 0 ? -errno : 0;
}

static int system_rename(const char *from, const char *to)
{
    return rename(from, to) < 0 ? -errno : 0;
}

static int system_remove(const char *path)
{
    return unlink(path) < 0 ? -errno : 0;
}

/* File systems that cannot sync a folder say EINVAL. */
static int system_sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int rc = fsync(fd) < 0 && errno != EINVAL ? -errno : 0;
    close(fd);
    return rc;
}

const struct wal_io wal_io_system = {
    .create = system_create,
    .allocate = system_allocate,
    .write = system_write,
    .sync = system_sync,
    .rename = system_rename,
    .remove = system_remove,
    .sync_folder = system_sync_folder,
};

const struct wal_io *wal_io = &wal_io_system;

int wal_io_write_all(int fd, struct iovec *pieces, int n_pieces, uint64_t offset)
{
    while (n_pieces > 0) {
        if (pieces->iov_len == 0) {
            pieces++, n_pieces--;
            continue;
        }
        ssize_t written = wal_io->write(fd, pieces, n_pieces, offset);
        if (written < 0)
            return (int)written;
        if (written == 0)
            return -EIO;
        offset += (uint64_t)written;
        for (size_t left = (size_t)written; left > 0;) {
            size_t n = left < pieces->iov_len ? left : pieces->iov_len;
            pieces->iov_base = (char *)pieces->iov_base + n;
            pieces->iov_len -= n;
            left -= n;
            if (pieces->iov_len == 0)
                pieces++, n_pieces--;
        }
    }
    return 0;
}

int wal_io_zero(int fd, uint64_t offset, uint64_t end)
{
    static char zeros[ZERO_BYTES];
    while (offset < end) {
        struct iovec pieces[ZERO_PIECES];
        int n_pieces = 0;
        uint64_t n_bytes = 0;
        while (n_pieces < ZERO_PIECES && offset + n_bytes < end) {
            uint64_t left = end - offset - n_bytes;
            size_t n = left < ZERO_BYTES ? (size_t)left : ZERO_BYTES;
            pieces[n_pieces++] = (struct iovec){.iov_base = zeros, .iov_len = n};
            n_bytes += n;
        }
        int rc = wal_io_write_all(fd, pieces, n_pieces, offset);
        if (rc != 0)
            return rc;
        offset += n_bytes;
    }
    return 0;
}
