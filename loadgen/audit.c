#include "loadgen/audit.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "loadgen/student.h"

void audit_begin(struct audit *audit, const struct rowlog *before, struct journals journals)
{
    *audit = (struct audit){.journals = journals, .before = {.log = before}, .from = INT64_MIN};
    audit->counts.n_before = before->n;
    audit->has_before = rowlog_next(&audit->before, &audit->before_key, &audit->before_value);
}

/* "version 17", "no row", "a row of somebody else's". */
static const char *name_value(uint64_t value, char *text, size_t bytes)
{
    if (value == STUDENT_NONE)
        return "no row";
    if (student_is_foreign(value))
        return "a row that no workload writes";
    snprintf(text, bytes, "version %" PRIu64, value);
    return text;
}

static void add_example(struct audit *audit, int64_t key, uint64_t value,
                        const struct journal_finding *finding)
{
    char has[40], wanted[40];

    if (audit->n_examples == AUDIT_MAX_EXAMPLES)
        return;
    char *text = audit->examples[audit->n_examples++];
    if (value == STUDENT_NONE)
        snprintf(text, AUDIT_EXAMPLE_BYTES, "Stud_id %" PRId64 " is missing: it must hold %s", key,
                 name_value(finding->wanted, wanted, sizeof(wanted)));
    else if (!finding->presence)
        snprintf(text, AUDIT_EXAMPLE_BYTES, "Stud_id %" PRId64 " holds %s, and no row may be there",
                 key, name_value(value, has, sizeof(has)));
    else
        snprintf(text, AUDIT_EXAMPLE_BYTES, "Stud_id %" PRId64 " holds %s in place of %s", key,
                 name_value(value, has, sizeof(has)),
                 name_value(finding->wanted, wanted, sizeof(wanted)));
}

static void judge(struct audit *audit, int64_t key, uint64_t value)
{
    struct audit_counts *counts = &audit->counts;
    uint64_t before = STUDENT_NONE;

    if (audit->has_before && audit->before_key == key) {
        before = audit->before_value;
        audit->has_before = rowlog_next(&audit->before, &audit->before_key, &audit->before_value);
    }
    struct journal_finding finding = journals_judge(&audit->journals, key, before, value);
    counts->n_expected += !finding.absence;
    counts->n_read += value != STUDENT_NONE;
    counts->n_unknown += finding.in_doubt;
    if (finding.admitted)
        return;
    if (value == STUDENT_NONE)
        counts->n_missing++;
    else if (!finding.presence)
        counts->n_unexpected++;
    else
        counts->n_wrong++;
    add_example(audit, key, value, &finding);
}

/* Judges the keys below `end` that are not there; all keys when is_end. */
static void pass_absent(struct audit *audit, int64_t end, bool is_end)
{
    for (;;) {
        int64_t key;
        bool found = journals_next(&audit->journals, audit->from, &key);
        if (audit->has_before && (!found || audit->before_key < key)) {
            key = audit->before_key;
            found = true;
        }
        if (!found || (!is_end && key >= end))
            return;
        judge(audit, key, STUDENT_NONE);
        if (key == INT64_MAX)
            return;
        audit->from = key + 1;
    }
}

void audit_row(struct audit *audit, int64_t key, uint64_t value)
{
    assert(!audit->over && key >= audit->from && value != STUDENT_NONE);
    pass_absent(audit, key, false);
    judge(audit, key, value);
    if (key == INT64_MAX)
        audit->over = true;
    else
        audit->from = key + 1;
}

void audit_end(struct audit *audit)
{
    if (!audit->over)
        pass_absent(audit, 0, true);
    audit->over = true;
}
