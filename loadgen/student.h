/* The rows that the database workloads write: the assignment's StudT (CONTRACT.md, Part 2), made
 * from key and version alone, so that whoever reads one back can tell whether it was ever written.
 *
 *     {"Stud_id":2255,"Stud_name":"7-9f86d081884c","Stud_marks":42}
 *                                  │ └ hash of key and version └ from the same hash
 *                                  └ version: which write of this key it was */
#ifndef QUOIT_LOADGEN_STUDENT_H
#define QUOIT_LOADGEN_STUDENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"

/* The schema as /init and /config take it. */
#define STUDENT_SCHEMA                                                                             \
    "{\"columns\":[\"Stud_id\",\"Stud_name\",\"Stud_marks\"],"                                     \
    "\"dtypes\":[\"Number\",\"String\",\"Number\"]}"
#define STUDENT_ROW_BYTES 128 /* a row is shorter */

/* Appends the row, canonical (table/row.h). */
void student_put(struct buf *out, int64_t key, uint64_t version);
/* Reads a row at the start of text[n]: its length, or 0 when no such row was ever made. */
size_t student_read(const char *text, size_t n, int64_t *ret_key, uint64_t *ret_version);
/* The rows of `"data":[…]` in a body, each in its turn: how many there are, all of them made by
 * student_put(), keys ascending within low … last; −1 when anything else stands there. */
int64_t student_count(const char *body, size_t n, int64_t low, int64_t last);

#endif
