#include "loadgen/trace.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static size_t line_bytes(const char *line, size_t n_left, size_t *ret_n_whole)
{
    const char *end;
    size_t n;

    assert(line);
    end = memchr(line, '\n', n_left);
    n = end ? (size_t)(end - line) : n_left;
    *ret_n_whole = end ? n + 1 : n;
    return n > 0 && line[n - 1] == '\r' ? n - 1 : n;
}

static bool is_id(const char *line, size_t n)
{
    if (n != 6 || line[0] == '0')
        return false;
    for (size_t i = 0; i < n; i++)
        if (line[i] < '0' || line[i] > '9')
            return false;
    return true;
}

static int check_path(const char *line, size_t n, const char **ret_why)
{
    if (n > TRACE_MAX_LINE_BYTES) {
        *ret_why = "is longer than 8192 bytes";
        return -EINVAL;
    }
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)line[i];
        if (c <= ' ' || c == 0x7f || c == '#') {
            *ret_why = "has a blank, a control character or '#' in its path";
            return -EINVAL;
        }
    }
    return 0;
}

static int check_lines(struct trace *trace, const char *name, struct err *err)
{
    assert(trace->bytes || trace->n_bytes == 0);
    for (size_t at = 0, n_whole; at < trace->n_bytes; at += n_whole) {
        const char *line = trace->bytes + at;
        size_t n = line_bytes(line, trace->n_bytes - at, &n_whole);
        const char *why = "is neither a path (/…) nor a six-digit id";

        trace->n_lines++;
        if (n > 0 && line[0] == '/') {
            if (check_path(line, n, &why) == 0) {
                if (!trace->first_path_line)
                    trace->first_path_line = trace->n_lines;
                continue;
            }
        } else if (is_id(line, n)) {
            trace->n_ids++;
            if (!trace->first_id_line)
                trace->first_id_line = trace->n_lines;
            continue;
        }
        return err_set(err, -EINVAL, "%s: line %llu %s%s%.*s%s", name,
                       (unsigned long long)trace->n_lines, why, n ? ": '" : "",
                       (int)(n < 40 ? n : 40), n ? line : "", n ? "'" : "");
    }
    return trace->n_lines ? 0 : err_set(err, -EINVAL, "%s: the file is empty", name);
}

int trace_open(const char *path, struct trace *ret_trace, struct err *err)
{
    struct trace trace = {.bytes = NULL};
    struct stat status;
    void *bytes;
    int rc, fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return err_set_errno(err, -errno, "%s", path);
    rc = fstat(fd, &status) < 0 ? -errno : 0;
    if (rc < 0 || !S_ISREG(status.st_mode) || status.st_size == 0 ||
        (uint64_t)status.st_size > TRACE_MAX_BYTES) {
        close(fd);
        if (rc < 0)
            return err_set_errno(err, rc, "%s", path);
        return err_set(err, -EINVAL, "%s: %s", path,
                       !S_ISREG(status.st_mode) ? "not a plain file"
                       : status.st_size == 0    ? "the file is empty"
                                                : "larger than 64 GiB");
    }
    bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    rc = bytes == MAP_FAILED ? -errno : 0;
    close(fd);
    if (rc < 0)
        return err_set_errno(err, rc, "%s", path);
    trace.bytes = bytes;
    trace.n_bytes = (size_t)status.st_size;
    rc = check_lines(&trace, path, err);
    if (rc < 0)
        trace_close(&trace);
    else
        *ret_trace = trace;
    return rc;
}

void trace_close(struct trace *trace)
{
    if (trace->bytes)
        munmap((void *)(uintptr_t)trace->bytes, trace->n_bytes);
    memset(trace, 0, sizeof(*trace));
}

/* To the line n further on, around the end. */
static void skip(struct trace_cursor *cursor, uint64_t n)
{
    const struct trace *trace = cursor->trace;

    for (n %= trace->n_lines; n > 0; n--) {
        size_t n_whole;
        line_bytes(trace->bytes + cursor->at, trace->n_bytes - cursor->at, &n_whole);
        cursor->at += n_whole;
        if (++cursor->line == trace->n_lines)
            cursor->line = cursor->at = 0;
    }
}

void trace_cursor_init(struct trace_cursor *cursor, const struct trace *trace, uint32_t thread,
                       uint32_t n_threads)
{
    assert(trace->n_lines > 0 && thread < n_threads);
    *cursor = (struct trace_cursor){.trace = trace, .step = n_threads};
    skip(cursor, thread);
}

const char *trace_next(struct trace_cursor *cursor, size_t *ret_n)
{
    const char *line = cursor->trace->bytes + cursor->at;
    size_t n_whole;

    *ret_n = line_bytes(line, cursor->trace->n_bytes - cursor->at, &n_whole);
    skip(cursor, cursor->step);
    return line;
}
