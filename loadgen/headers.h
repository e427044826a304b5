/* The header lines that a load adds to its requests. */
#ifndef QUOIT_LOADGEN_HEADERS_H
#define QUOIT_LOADGEN_HEADERS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "core/err.h"

#define HEADERS_MAX_BYTES 16384u

/* "GET", "POST" …: capital letters, at most 16. */
bool headers_method_valid(const char *method);

/* Appends the lines ("Name: value", each without its end) with their ends; key_header: a name whose
 * line carries the key (loadgen/workload.h), NULL: none; has_body: a Content-Type of JSON where no
 * line names another. 0 or -EINVAL: a line that is no header, or one that is the client's to write
 * (Host, Content-Length, Transfer-Encoding, Connection). */
int headers_build(const char *const *lines, size_t n_lines, const char *key_header, bool has_body,
                  struct buf *ret_text, struct err *err);

#endif
