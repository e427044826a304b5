/* What a run wrote, key by key: enough to say, once it is over, which values a key may hold.
 *
 * A write of a key lasts from its sending to its answer. Its answer says that it was done, or
 * leaves that in doubt (no answer, 5xx): then it may take effect at any time. What was refused did
 * nothing and is not written down. When all is over, a key may hold
 *
 *   - the value of a write that was done and did not end before another that was done began:
 *
 *        |── A ──|                              A is superseded by C, which began after A's end;
 *                   |── B ──|                   B or C may have come last
 *                       |── C ──|
 *
 *   - the value of any write in doubt;
 *   - what it held before the run, when no write was done.
 *
 * That is exact for a register whose writes are linearizable (Herlihy and Wing 1990), as far as
 * writes alone tell. So only the newest begin of a write that was done, and the writes that had not
 * ended by then, need to be kept: one journal a thread, nothing shared, times of one clock, all put
 * together at the end. A key takes 24 bytes a thread that wrote it, in pages that are made when
 * they are needed, and 24 more for each write beside the last one that may still count. */
#ifndef QUOIT_LOADGEN_JOURNAL_H
#define QUOIT_LOADGEN_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Keys from the lowest on that can be kept: 800 MB a thread, if it writes them all. */
#define JOURNAL_MAX_KEYS (UINT64_C(1) << 25)
/* Writes in doubt that can be kept. */
#define JOURNAL_MAX_IN_DOUBT ((size_t)1 << 22)

struct journal;

/* low: no key below it is written. */
struct journal *journal_new(int64_t low);
/* Takes NULL. */
void journal_free(struct journal *journal);
/* A write has ended. value: of loadgen/student.h, STUDENT_NONE when it removed the row. Calls come
 * in the order of end_ns. start_ns > 0. */
void journal_done(struct journal *journal, int64_t key, uint64_t value, uint64_t start_ns,
                  uint64_t end_ns);
/* A write has ended, or will never end, and nobody knows whether it was done. */
void journal_in_doubt(struct journal *journal, int64_t key, uint64_t value);
/* Writes that could not be kept: what the journal says of their keys cannot be relied on. */
uint64_t journal_lost(const struct journal *journal);

/* All threads' journals, of the same low. */
struct journals {
    struct journal *const *journals; /* (ref) */
    size_t n;
};

/* After the last write, before the functions below. */
void journals_seal(const struct journals *journals);
/* The lowest key not below `from` that was written, or was perhaps. False: there is none. */
bool journals_next(const struct journals *journals, int64_t from, int64_t *ret_key);

/* What may be under a key. */
struct journal_finding {
    bool admitted;        /* the value asked about */
    bool absence;         /* no row */
    bool presence;        /* some row */
    bool in_doubt;        /* a write in doubt leaves it open */
    uint64_t wanted;      /* a value that is admitted, of a write that was done when there is one */
    bool wanted_is_known; /* it was done, or was there before: not in doubt */
};

/* before: what was there before the run. */
struct journal_finding journals_judge(const struct journals *journals, int64_t key, uint64_t before,
                                      uint64_t value);

#endif
