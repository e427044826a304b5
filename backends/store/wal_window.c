#include "backends/store/wal_window.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/mem.h"

#define STEP_BYTES ((size_t)1 << 20)

int wal_window_open(struct wal_window *window, char *path, struct err *err)
{
    struct stat status;
    *window = (struct wal_window){.path = path, .fd = open(path, O_RDONLY | O_CLOEXEC)};
    if (window->fd < 0)
        return err_set_errno(err, -errno, "cannot open %s", path);
    if (fstat(window->fd, &status) < 0)
        return err_set_errno(err, -errno, "cannot look at %s", path);
    if (!S_ISREG(status.st_mode))
        return err_set(err, -EBADMSG, "%s is no file", path);
    window->n_file = (uint64_t)status.st_size;
    return 0;
}

void wal_window_close(struct wal_window *window)
{
    if (window->fd >= 0)
        close(window->fd);
    free(window->bytes);
    free(window->path);
    window->bytes = NULL;
    window->path = NULL;
    window->fd = -1;
}

/* Has the bytes from offset on in the window, n of them or what the file has. */
static int reach(struct wal_window *window, uint64_t offset, uint64_t n, struct err *err)
{
    if (offset > window->n_file)
        offset = window->n_file;
    if (n > window->n_file - offset)
        n = window->n_file - offset;
    if (offset + n <= window->base + window->n)
        return 0;
    /* What lies before goes; a step more than is asked for comes. */
    size_t n_passed = (size_t)(offset - window->base);
    if (n_passed > window->n)
        n_passed = window->n;
    window->n -= n_passed;
    window->base += n_passed;
    if (window->n > 0)
        memmove(window->bytes, window->bytes + n_passed, window->n);
    uint64_t n_wanted = offset + n - window->base + STEP_BYTES;
    if (n_wanted > window->n_file - window->base)
        n_wanted = window->n_file - window->base;
    if (window->capacity < n_wanted) {
        window->bytes = mem_realloc(window->bytes, 1, (size_t)n_wanted);
        window->capacity = (size_t)n_wanted;
    }
    while (window->n < n_wanted) {
        ssize_t got = pread(window->fd, window->bytes + window->n, (size_t)n_wanted - window->n,
                            (off_t)(window->base + window->n));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_set_errno(err, -errno, "cannot read %s", window->path);
        if (got == 0)
            return err_set(err, -EIO, "cannot read %s: it became shorter meanwhile", window->path);
        window->n += (size_t)got;
    }
    return 0;
}

int wal_window_header(struct wal_window *window, enum wal_kind kind,
                      struct wal_file_header *ret_header, struct err *err)
{
    int rc = reach(window, 0, WAL_FILE_HEADER_BYTES, err);
    if (rc != 0)
        return rc;
    return wal_file_header_get(kind, window->bytes, window->n, window->path, ret_header, err);
}

int wal_window_frame(struct wal_window *window, uint64_t offset, enum wal_check *ret_check,
                     struct wal_frame *ret_frame, const char **ret_reason, struct err *err)
{
    int rc = reach(window, offset, WAL_FRAME_HEADER_BYTES, err);
    if (rc == 0 && offset < window->n_file) {
        size_t at = (size_t)(offset - window->base);
        uint64_t n_frame = wal_frame_bytes(window->bytes, window->n, at);
        rc = reach(window, offset, n_frame, err);
    }
    if (rc != 0)
        return rc;
    size_t at = offset < window->base + window->n ? (size_t)(offset - window->base) : window->n;
    *ret_check = wal_frame_check(window->bytes, window->n, at, ret_frame, ret_reason);
    return 0;
}

int wal_window_load(struct wal_window *window, struct err *err)
{
    return reach(window, window->base, window->n_file - window->base, err);
}
