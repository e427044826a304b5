/* Three streams of keys, all ascending, laid side by side: what stood in the database before the
 * run (rowlog), what the run wrote (journals), what is read back now. Each key that any of them has
 * is judged once. No I/O. */
#ifndef QUOIT_LOADGEN_AUDIT_H
#define QUOIT_LOADGEN_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loadgen/journal.h"
#include "loadgen/rowlog.h"

#define AUDIT_MAX_EXAMPLES 8u
#define AUDIT_EXAMPLE_BYTES 128u

struct audit_counts {
    uint64_t n_before;     /* rows before the run */
    uint64_t n_expected;   /* rows that must be there */
    uint64_t n_read;       /* rows that are */
    uint64_t n_missing;    /* that must be there and are not */
    uint64_t n_wrong;      /* with a value that they may not have */
    uint64_t n_unexpected; /* that may not be there */
    uint64_t n_unknown;    /* keys that writes in doubt leave open: whatever they wrote will do */
};

struct audit {
    struct journals journals; /* (ref) */
    struct rowlog_reader before;
    bool has_before;
    int64_t before_key;
    uint64_t before_value;
    int64_t from; /* every key below it has been judged */
    bool over;    /* so has every key there is */
    struct audit_counts counts;
    char examples[AUDIT_MAX_EXAMPLES][AUDIT_EXAMPLE_BYTES]; /* the first offending keys */
    size_t n_examples;
};

/* before and the sealed journals hold until audit_end(). */
void audit_begin(struct audit *audit, const struct rowlog *before, struct journals journals);
/* A row that was read back. Keys ascend. */
void audit_row(struct audit *audit, int64_t key, uint64_t value);
/* There are no more rows. */
void audit_end(struct audit *audit);

static inline bool audit_is_good(const struct audit_counts *counts)
{
    return counts->n_missing == 0 && counts->n_wrong == 0 && counts->n_unexpected == 0;
}

#endif
