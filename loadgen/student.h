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

/* What stands under a key, in a number of 63 bits: a version; or what a row was that nobody here
 * ever made, by its hash; or that there is no row. */
#define STUDENT_MAX_VERSION ((UINT64_C(1) << 62) - 1)
#define STUDENT_NONE (UINT64_MAX >> 1)

static inline bool student_is_foreign(uint64_t value)
{
    return value > STUDENT_MAX_VERSION && value != STUDENT_NONE;
}

/* Appends the row, canonical (table/row.h). version: at most STUDENT_MAX_VERSION. */
void student_put(struct buf *out, int64_t key, uint64_t version);
/* Reads a row at the start of text[n]: its length, or 0 when no such row was ever made. */
size_t student_read(const char *text, size_t n, int64_t *ret_key, uint64_t *ret_version);
/* The same of any row of the table, whoever made it: 0 when there is none at all. */
size_t student_read_any(const char *text, size_t n, int64_t *ret_key, uint64_t *ret_value);

/* The rows of `"data":[…]` in the body of an answer, one after another. */
struct student_rows {
    const char *at, *end; /* (ref): into the body */
    int64_t low, last;
    int64_t next_low; /* no row may have a smaller key */
    bool first, any;
};

/* rows: with keys of low … last. any: also such as nobody here made. −EPROTO: the body is no answer
 * to a read. */
int student_rows_begin(struct student_rows *rows, const char *body, size_t n, int64_t low,
                       int64_t last, bool any);
/* 1, and the next row; 0: that was all; −EPROTO: what stands there is no row, has a key out of the
 * range or out of order, or is cut off. */
int student_rows_next(struct student_rows *rows, int64_t *ret_key, uint64_t *ret_value);
/* How many rows there are, all made by student_put(); −1 when anything is wrong with them. */
int64_t student_count(const char *body, size_t n, int64_t low, int64_t last);

#endif
