#include "backends/store/wal_segment.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/store/wal_format.h"
#include "backends/store/wal_io.h"
#include "core/mem.h"

#define SEGMENT_PREFIX "log-"
#define SNAPSHOT_PREFIX "snapshot-"
#define TEMPORARY_SUFFIX ".tmp"
/* Digits of the largest number: names in order of their letters are in order of their numbers. */
#define NUMBER_DIGITS 20

char *wal_segment_path(const char *dir, uint64_t number)
{
    return mem_printf("%s/" SEGMENT_PREFIX "%0*" PRIu64, dir, NUMBER_DIGITS, number);
}

char *wal_snapshot_path(const char *dir, uint64_t number)
{
    return mem_printf("%s/" SNAPSHOT_PREFIX "%0*" PRIu64, dir, NUMBER_DIGITS, number);
}

static bool parse_name(const char *prefix, const char *name, uint64_t *ret_number)
{
    size_t n_prefix = strlen(prefix);
    if (strncmp(name, prefix, n_prefix) != 0)
        return false;
    const char *digits = name + n_prefix;
    if (strspn(digits, "0123456789") != NUMBER_DIGITS || digits[NUMBER_DIGITS] != '\0')
        return false;
    errno = 0;
    *ret_number = strtoull(digits, NULL, 10);
    return errno == 0;
}

bool wal_segment_parse_name(const char *name, uint64_t *ret_number)
{
    return parse_name(SEGMENT_PREFIX, name, ret_number);
}

bool wal_snapshot_parse_name(const char *name, uint64_t *ret_number)
{
    return parse_name(SNAPSHOT_PREFIX, name, ret_number);
}

bool wal_is_temporary(const char *name)
{
    size_t n = strlen(name), n_suffix = strlen(TEMPORARY_SUFFIX);
    return n > n_suffix && strcmp(name + n - n_suffix, TEMPORARY_SUFFIX) == 0 &&
           (strncmp(name, SEGMENT_PREFIX, strlen(SEGMENT_PREFIX)) == 0 ||
            strncmp(name, SNAPSHOT_PREFIX, strlen(SNAPSHOT_PREFIX)) == 0);
}

static struct wal_segment *segment_new(const char *dir, uint64_t number, uint64_t n_bytes, int fd,
                                       uint64_t end)
{
    struct wal_segment *segment = mem_zalloc(1, sizeof(*segment));
    segment->number = number;
    segment->n_bytes = n_bytes;
    segment->path = wal_segment_path(dir, number);
    segment->fd = fd;
    segment->n_reserved = segment->end = end;
    return segment;
}

void wal_segment_free(struct wal_segment *segment)
{
    if (!segment)
        return;
    if (segment->fd >= 0)
        close(segment->fd);
    free(segment->path);
    free(segment);
}

/* Zeros everywhere, not only reserved room: writing into an extent that was never written changes
 * metadata once more. */
static int fill(int fd, uint64_t number, uint64_t n_bytes)
{
    unsigned char header[WAL_FILE_HEADER_BYTES];
    wal_file_header_put(WAL_SEGMENT, &(struct wal_file_header){.number = number, .size = n_bytes},
                        header);
    int rc = wal_io->allocate(fd, n_bytes);
    if (rc == -EOPNOTSUPP)
        rc = 0;
    struct iovec piece = {.iov_base = header, .iov_len = sizeof(header)};
    if (rc == 0)
        rc = wal_io_write_all(fd, &piece, 1, 0);
    if (rc == 0)
        rc = wal_io_zero(fd, sizeof(header), n_bytes);
    return rc == 0 ? wal_io->sync(fd) : rc;
}

int wal_segment_make(const char *dir, uint64_t number, uint64_t n_bytes,
                     struct wal_segment **ret_segment, struct err *err)
{
    char *path = wal_segment_path(dir, number);
    char *temporary = mem_printf("%s" TEMPORARY_SUFFIX, path);
    bool is_renamed = false;
    int rc = 0, fd = wal_io->create(temporary);
    if (fd < 0) {
        rc = fd;
        goto out;
    }
    rc = fill(fd, number, n_bytes);
    if (rc == 0)
        rc = wal_io->rename(temporary, path);
    is_renamed = rc == 0;
    if (rc == 0)
        rc = wal_io->sync_folder(dir);
    if (rc == 0) {
        *ret_segment = segment_new(dir, number, n_bytes, fd, WAL_FILE_HEADER_BYTES);
    } else {
        close(fd);
        wal_io->remove(is_renamed ? path : temporary);
    }
out:
    if (rc != 0)
        err_set_errno(err, rc, "cannot make %s of %" PRIu64 " bytes", path, n_bytes);
    free(temporary);
    free(path);
    return rc;
}

int wal_segment_resume(const char *dir, uint64_t number, uint64_t n_bytes, uint64_t end,
                       bool is_clean, struct wal_segment **ret_segment, struct err *err)
{
    char *path = wal_segment_path(dir, number);
    int rc = 0, fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        rc = -errno;
    if (rc == 0 && !is_clean) {
        rc = wal_io->allocate(fd, n_bytes);
        if (rc == -EOPNOTSUPP)
            rc = 0;
        if (rc == 0)
            rc = wal_io_zero(fd, end, n_bytes);
        if (rc == 0)
            rc = wal_io->sync(fd);
    }
    if (rc == 0) {
        *ret_segment = segment_new(dir, number, n_bytes, fd, end);
    } else {
        if (fd >= 0)
            close(fd);
        err_set_errno(err, rc, "cannot write on in %s", path);
    }
    free(path);
    return rc;
}
