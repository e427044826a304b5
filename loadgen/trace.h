/* A recorded sequence of requests: a text file of paths ("/home?x=1") or six-digit ids, one a line.
 *
 * The file is mapped, not read: its size costs address space and page cache, no memory of ours. It
 * is checked once as a whole when it is opened, and must not be changed before it is closed. */
#ifndef QUOIT_LOADGEN_TRACE_H
#define QUOIT_LOADGEN_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

#define TRACE_MAX_LINE_BYTES 8192u
#define TRACE_MAX_BYTES (UINT64_C(1) << 36)

struct trace {
    const char *bytes;
    size_t n_bytes;
    uint64_t n_lines;
    uint64_t n_ids;         /* of them */
    uint64_t first_id_line; /* 1 …; 0: there is none */
    uint64_t first_path_line;
};

/* 0 or a negative errno; the error names the file and the line. */
int trace_open(const char *path, struct trace *ret_trace, struct err *err);
/* Takes a zeroed one. */
void trace_close(struct trace *trace);

/* Thread k of N walks the lines k, k + N, … and starts over behind the last: together the threads
 * send every line equally often. */
struct trace_cursor {
    const struct trace *trace; /* (ref) */
    uint64_t line;             /* from 0 */
    size_t at;                 /* its offset */
    uint64_t step;
};

void trace_cursor_init(struct trace_cursor *cursor, const struct trace *trace, uint32_t thread,
                       uint32_t n_threads);
/* The next line without its end, at the file's mapping. */
const char *trace_next(struct trace_cursor *cursor, size_t *ret_n);

#endif
