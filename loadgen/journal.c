#include "loadgen/journal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "loadgen/student.h"

#define PAGE_ENTRIES 4096u
#define FIRST_COMPACTION 1024u
#define NEVER UINT64_MAX

/* Of one key: the last write that was done. */
struct entry {
    uint64_t newest_start_ns; /* of all writes that were done; 0: none was */
    uint64_t end_ns;
    uint64_t value : 63;
    uint64_t touched : 1; /* a write was done or is in doubt */
};

/* A write beside the last one that may still count. */
struct other {
    int64_t key;
    uint64_t value;
    uint64_t end_ns; /* NEVER: in doubt */
};

struct journal {
    int64_t low;
    struct entry **pages;
    size_t n_pages; /* of the directory */
    struct other *others;
    size_t n_others, others_capacity, next_compaction;
    size_t n_in_doubt;
    uint64_t n_lost;
};

struct journal *journal_new(int64_t low)
{
    struct journal *journal = mem_zalloc(1, sizeof(*journal));

    journal->low = low;
    journal->next_compaction = FIRST_COMPACTION;
    return journal;
}

void journal_free(struct journal *journal)
{
    if (!journal)
        return;
    for (size_t i = 0; i < journal->n_pages; i++)
        free(journal->pages[i]);
    free(journal->pages);
    free(journal->others);
    free(journal);
}

/* ---- writing ----------------------------------------------------------------------------------
 */

static bool index_of(const struct journal *journal, int64_t key, uint64_t *ret_index)
{
    *ret_index = (uint64_t)key - (uint64_t)journal->low;
    return key >= journal->low && *ret_index < JOURNAL_MAX_KEYS;
}

/* The entry, or NULL when it was never made. */
static struct entry *find_entry(const struct journal *journal, int64_t key)
{
    uint64_t index;

    if (!index_of(journal, key, &index) || index / PAGE_ENTRIES >= journal->n_pages)
        return NULL;
    struct entry *page = journal->pages[index / PAGE_ENTRIES];
    return page ? &page[index % PAGE_ENTRIES] : NULL;
}

/* The entry, made if need be; NULL: past the limit, which is counted. */
static struct entry *make_entry(struct journal *journal, int64_t key)
{
    uint64_t index;

    if (!index_of(journal, key, &index)) {
        journal->n_lost++;
        return NULL;
    }
    size_t page = (size_t)(index / PAGE_ENTRIES);
    if (page >= journal->n_pages) {
        size_t n = (page + 1) * 2;
        journal->pages = mem_realloc(journal->pages, n, sizeof(*journal->pages));
        memset(journal->pages + journal->n_pages, 0,
               (n - journal->n_pages) * sizeof(*journal->pages));
        journal->n_pages = n;
    }
    if (!journal->pages[page])
        journal->pages[page] = mem_zalloc(PAGE_ENTRIES, sizeof(**journal->pages));
    return &journal->pages[page][index % PAGE_ENTRIES];
}

/* Drops those that have been superseded since. */
static void compact(struct journal *journal)
{
    size_t n_kept = 0;

    for (size_t i = 0; i < journal->n_others; i++) {
        const struct other *other = &journal->others[i];
        const struct entry *entry = find_entry(journal, other->key);
        if (other->end_ns >= entry->newest_start_ns)
            journal->others[n_kept++] = *other;
    }
    journal->n_others = n_kept;
    journal->next_compaction = 2 * n_kept + FIRST_COMPACTION;
}

static void add_other(struct journal *journal, int64_t key, uint64_t value, uint64_t end_ns)
{
    if (journal->n_others == journal->next_compaction)
        compact(journal);
    if (journal->n_others == journal->others_capacity) {
        journal->others_capacity = 2 * journal->others_capacity + FIRST_COMPACTION;
        journal->others =
            mem_realloc(journal->others, journal->others_capacity, sizeof(*journal->others));
    }
    journal->others[journal->n_others++] = (struct other){key, value, end_ns};
}

void journal_done(struct journal *journal, int64_t key, uint64_t value, uint64_t start_ns,
                  uint64_t end_ns)
{
    struct entry *entry = make_entry(journal, key);

    assert(start_ns > 0 && start_ns <= end_ns);
    if (!entry)
        return;
    bool was_done = entry->newest_start_ns > 0;
    if (start_ns > entry->newest_start_ns)
        entry->newest_start_ns = start_ns;
    if (was_done && entry->end_ns >= entry->newest_start_ns)
        add_other(journal, key, entry->value, entry->end_ns);
    entry->touched = 1;
    entry->value = value & STUDENT_NONE;
    entry->end_ns = end_ns;
}

void journal_in_doubt(struct journal *journal, int64_t key, uint64_t value)
{
    if (journal->n_in_doubt == JOURNAL_MAX_IN_DOUBT) {
        journal->n_lost++;
        return;
    }
    struct entry *entry = make_entry(journal, key);
    if (!entry)
        return;
    entry->touched = 1;
    journal->n_in_doubt++;
    add_other(journal, key, value, NEVER);
}

uint64_t journal_lost(const struct journal *journal)
{
    return journal->n_lost;
}

/* ---- reading ----------------------------------------------------------------------------------
 */

static int compare_others(const void *a, const void *b)
{
    int64_t x = ((const struct other *)a)->key, y = ((const struct other *)b)->key;
    return (x > y) - (x < y);
}

void journals_seal(const struct journals *journals)
{
    for (size_t i = 0; i < journals->n; i++)
        if (journals->journals[i]->n_others > 0)
            qsort(journals->journals[i]->others, journals->journals[i]->n_others,
                  sizeof(struct other), compare_others);
}

static bool next_of(const struct journal *journal, int64_t from, int64_t *ret_key)
{
    uint64_t index = from > journal->low ? (uint64_t)from - (uint64_t)journal->low : 0;

    while (index / PAGE_ENTRIES < journal->n_pages) {
        const struct entry *page = journal->pages[index / PAGE_ENTRIES];
        if (page && page[index % PAGE_ENTRIES].touched) {
            *ret_key = (int64_t)((uint64_t)journal->low + index);
            return true;
        }
        index = page ? index + 1 : (index / PAGE_ENTRIES + 1) * PAGE_ENTRIES;
    }
    return false;
}

bool journals_next(const struct journals *journals, int64_t from, int64_t *ret_key)
{
    bool found = false;
    int64_t key;

    for (size_t i = 0; i < journals->n; i++) {
        if (!next_of(journals->journals[i], from, &key) || (found && key >= *ret_key))
            continue;
        *ret_key = key;
        found = true;
    }
    return found;
}

static void admit(struct journal_finding *finding, uint64_t value, uint64_t admitted)
{
    finding->admitted |= value == admitted;
    finding->absence |= admitted == STUDENT_NONE;
    finding->presence |= admitted != STUDENT_NONE;
    if (!finding->wanted_is_known)
        finding->wanted = admitted;
}

/* The first of the key's others; there may be none. */
static const struct other *first_other(const struct journal *journal, int64_t key)
{
    size_t low = 0, high = journal->n_others;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (journal->others[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return journal->others + low;
}

static void judge_others(const struct journal *journal, int64_t key, uint64_t newest_start_ns,
                         uint64_t value, struct journal_finding *finding)
{
    if (journal->n_others == 0)
        return;
    const struct other *end = journal->others + journal->n_others;
    for (const struct other *other = first_other(journal, key); other < end && other->key == key;
         other++) {
        if (other->end_ns < newest_start_ns)
            continue;
        finding->in_doubt |= other->end_ns == NEVER;
        admit(finding, value, other->value);
    }
}

struct journal_finding journals_judge(const struct journals *journals, int64_t key, uint64_t before,
                                      uint64_t value)
{
    struct journal_finding finding = {.wanted = STUDENT_NONE};
    uint64_t newest_start_ns = 0;

    for (size_t i = 0; i < journals->n; i++) {
        const struct entry *entry = find_entry(journals->journals[i], key);
        if (entry && entry->newest_start_ns > newest_start_ns)
            newest_start_ns = entry->newest_start_ns;
    }
    if (newest_start_ns == 0)
        admit(&finding, value, before);
    for (size_t i = 0; i < journals->n && newest_start_ns > 0; i++) {
        const struct entry *entry = find_entry(journals->journals[i], key);
        if (entry && entry->newest_start_ns > 0 && entry->end_ns >= newest_start_ns)
            admit(&finding, value, entry->value);
    }
    finding.wanted_is_known = true;
    for (size_t i = 0; i < journals->n; i++)
        judge_others(journals->journals[i], key, newest_start_ns, value, &finding);
    return finding;
}
