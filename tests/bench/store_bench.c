/* The stores alone, one after the other, on one loop and without a server: rows per second, and
 * each as a ratio to LMDB called directly, without syncing, in the same run.
 *
 *   store_bench [SECONDS [SPEC …]]     seconds that each phase takes at most (1)
 *
 * 64 requests are under way at a time where a store is asynchronous. Texts have 40 to 75 bytes and
 * lie ready. Phases, in this order:
 *   load      batches of 100 rows, keys ascending, a million rows at most
 *   point     reads of one key, at random among those
 *   range     reads of 100 neighbouring keys
 *   update    one row, at random
 *   mix       point reads and updates, one half each, at random
 *   single    one row a request, keys all over the range, into an empty shard
 *   scatter   batches of 100 rows, keys all over the range, into an empty shard
 * LMDB itself commits once a request, and opens its read transaction anew for each (renewed, as its
 * documentation has it). */
#include <ev.h>
#include <inttypes.h>
#include <lmdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/mem.h"
#include "core/rng.h"
#include "tests/support/store_bed.h"

#define N_SLOTS 64
#define BATCH 100u
#define MAX_ROWS 1000000
#define N_TEXTS 1024u

enum phase { LOAD, POINT, RANGE, UPDATE, MIX, SINGLE, SCATTER, N_PHASES };

static const char *const phase_names[N_PHASES] = {"load", "point",  "range",  "update",
                                                  "mix",  "single", "scatter"};

static const char *const default_specs[] = {
    "null",   "memory",         "lmdb:sync=none", "lmdb", "sqlite:sync=none", "sqlite:sync=normal",
    "sqlite", "file:sync=none", "file",
};

static char texts[N_TEXTS][96];
static uint64_t limit_ns = NS_PER_S;
static int64_t n_loaded; /* keys 0 … n_loaded − 1 are in the first shard */
static int64_t next_key;
static struct rng rng;

static void make_texts(void)
{
    for (unsigned i = 0; i < N_TEXTS; i++)
        snprintf(texts[i], sizeof(texts[i]),
                 "{\"Stud_id\":%u,\"Stud_name\":\"%.*s\",\"Stud_marks\":%u}", 1000000 + i,
                 (int)(i % 32), "Grace Brewster Murray Hopper, USN", i % 100);
}

static void set_row(struct row *row, int64_t key)
{
    row->key = key;
    row->text = texts[(uint64_t)key % N_TEXTS];
    row->n_bytes = (uint32_t)strlen(row->text);
}

static int64_t scattered(int64_t i)
{
    return (int64_t)rng_mix64((uint64_t)i);
}

static int compare_rows(const void *a, const void *b)
{
    int64_t x = ((const struct row *)a)->key, y = ((const struct row *)b)->key;
    return (x > y) - (x < y);
}

/* The rows that an inserting phase sends next; how many. */
static size_t next_rows(enum phase phase, struct row *rows)
{
    size_t n = phase == SINGLE ? 1 : BATCH;
    for (size_t i = 0; i < n; i++, next_key++)
        set_row(&rows[i], phase == LOAD ? next_key : scattered(next_key));
    if (phase == SCATTER)
        qsort(rows, n, sizeof(*rows), compare_rows);
    return n;
}

static int64_t any_key(void)
{
    return (int64_t)rng_below(&rng, (uint64_t)n_loaded);
}

static bool inserts(enum phase phase)
{
    return phase == LOAD || phase == SINGLE || phase == SCATTER;
}

static double begin_phase(enum phase phase)
{
    (void)phase;
    next_key = 0;
    rng_seed(&rng, 7);
    return (double)clock_now_ns();
}

static void check(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "store_bench: %s\n", what);
    exit(1);
}

/* ---- through backends/store.h ---- */

struct slot {
    struct store_request request; /* first member */
    struct row rows[BATCH];
    struct slot *next_free;
};

static struct slot slots[N_SLOTS];
static struct slot *free_slots;
static uint64_t n_done; /* rows */
static size_t n_pending;

static bool count_row(struct store_request *request, const struct row *row)
{
    (void)request;
    n_done += row->n_bytes > 0;
    return true;
}

static void finish(struct slot *slot)
{
    check(slot->request.code == 0, "a request failed");
    if (slot->request.op != STORE_READ)
        n_done += slot->request.n_rows_in;
    slot->next_free = free_slots;
    free_slots = slot;
}

static void on_done(struct store_request *request)
{
    n_pending--;
    finish((struct slot *)request);
}

static void fill(struct slot *slot, enum phase phase, struct store_shard *shard)
{
    bool reads = phase == POINT || phase == RANGE || (phase == MIX && rng_below(&rng, 2) == 0);
    struct store_request *request = &slot->request;
    *request = (struct store_request){.op = STORE_READ,
                                      .shard = shard,
                                      .rows = slot->rows,
                                      .on_row = count_row,
                                      .on_done = on_done};
    if (inserts(phase)) {
        request->op = STORE_INSERT;
        request->n_rows_in = next_rows(phase, slot->rows);
    } else if (reads) {
        request->low = any_key();
        request->last = phase == RANGE ? request->low + BATCH - 1 : request->low;
    } else {
        request->op = STORE_UPDATE;
        request->n_rows_in = 1;
        set_row(&slot->rows[0], any_key());
        slot->rows[0].text = texts[rng_below(&rng, N_TEXTS)];
        slot->rows[0].n_bytes = (uint32_t)strlen(slot->rows[0].text);
    }
}

static double run_phase(struct store_bed *bed, enum phase phase, struct store_shard *shard)
{
    free_slots = NULL;
    for (size_t i = 0; i < N_SLOTS; i++) {
        slots[i].next_free = free_slots;
        free_slots = &slots[i];
    }
    n_done = 0;
    double start = begin_phase(phase), end = start + (double)limit_ns, now = start;
    while (now < end && (phase != LOAD || next_key < MAX_ROWS)) {
        for (size_t i = 0; i < N_SLOTS && free_slots; i++) {
            struct slot *slot = free_slots;
            free_slots = slot->next_free;
            fill(slot, phase, shard);
            if (store_submit(bed->store, &slot->request) == STORE_DONE)
                finish(slot);
            else
                n_pending++;
        }
        if (n_pending > 0)
            ev_run(bed->loop, EVRUN_ONCE);
        now = (double)clock_now_ns();
    }
    while (n_pending > 0)
        ev_run(bed->loop, EVRUN_ONCE);
    now = (double)clock_now_ns();
    if (phase == LOAD)
        n_loaded = next_key;
    return (double)n_done / ((now - start) / 1e9);
}

static void measure_store(const char *spec, double *rates)
{
    struct store_bed bed;
    store_bed_open(&bed, spec);
    bool forgets = store_spec_caps(&bed.spec) & STORE_FORGETS;
    struct store_shard *shards[] = {store_bed_create(&bed, "load"),
                                    store_bed_create(&bed, "single"),
                                    store_bed_create(&bed, "scatter")};
    for (enum phase phase = LOAD; phase < N_PHASES; phase++) {
        size_t which = phase == SINGLE ? 1 : phase == SCATTER ? 2 : 0;
        bool none = forgets && (phase == POINT || phase == RANGE || phase == MIX);
        rates[phase] = none ? 0 : run_phase(&bed, phase, shards[which]);
    }
    store_bed_close(&bed);
}

/* ---- LMDB by its own interface ---- */

static struct {
    MDB_env *env;
    MDB_dbi tables[2]; /* load; single and scatter */
    MDB_txn *reader;
} raw;

static void try(int rc, const char *what)
{
    if (rc == 0)
        return;
    fprintf(stderr, "store_bench: %s: %s\n", what, mdb_strerror(rc));
    exit(1);
}

static MDB_val raw_key(const uint64_t *key)
{
    return (MDB_val){.mv_size = sizeof(*key), .mv_data = (void *)key};
}

static void raw_write(MDB_dbi table, const struct row *rows, size_t n, unsigned flags)
{
    MDB_txn *txn;
    try(mdb_txn_begin(raw.env, NULL, 0, &txn), "begin");
    for (size_t i = 0; i < n; i++) {
        uint64_t number = (uint64_t)rows[i].key ^ (UINT64_C(1) << 63);
        MDB_val key = raw_key(&number);
        MDB_val value = {.mv_size = rows[i].n_bytes, .mv_data = (void *)rows[i].text};
        try(mdb_put(txn, table, &key, &value, flags), "put");
    }
    try(mdb_txn_commit(txn), "commit");
    n_done += n;
}

static void raw_read(MDB_dbi table, int64_t low, size_t n)
{
    uint64_t number = (uint64_t)low ^ (UINT64_C(1) << 63);
    MDB_val key = raw_key(&number), value;
    try(mdb_txn_renew(raw.reader), "renew");
    if (n == 1) {
        try(mdb_get(raw.reader, table, &key, &value), "get");
        n_done += value.mv_size > 0;
    } else {
        MDB_cursor *cursor;
        try(mdb_cursor_open(raw.reader, table, &cursor), "cursor");
        int rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
        for (size_t i = 0; i < n && rc == 0; i++) {
            n_done += value.mv_size > 0;
            rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
        }
        mdb_cursor_close(cursor);
    }
    mdb_txn_reset(raw.reader);
}

static double run_raw_phase(enum phase phase)
{
    struct row rows[BATCH];
    n_done = 0;
    double start = begin_phase(phase), end = start + (double)limit_ns, now = start;
    while (now < end && (phase != LOAD || next_key < MAX_ROWS)) {
        for (int i = 0; i < N_SLOTS; i++) {
            bool reads =
                phase == POINT || phase == RANGE || (phase == MIX && rng_below(&rng, 2) == 0);
            if (inserts(phase)) {
                size_t n = next_rows(phase, rows);
                raw_write(raw.tables[phase != LOAD], rows, n, MDB_NOOVERWRITE);
            } else if (reads) {
                raw_read(raw.tables[0], any_key(), phase == RANGE ? BATCH : 1);
            } else {
                set_row(&rows[0], any_key());
                rows[0].text = texts[rng_below(&rng, N_TEXTS)];
                rows[0].n_bytes = (uint32_t)strlen(rows[0].text);
                raw_write(raw.tables[0], rows, 1, 0);
            }
        }
        now = (double)clock_now_ns();
    }
    if (phase == LOAD)
        n_loaded = next_key;
    return (double)n_done / ((now - start) / 1e9);
}

static void measure_raw(double *rates)
{
    char dir[STORE_BED_PATH_BYTES], path[STORE_BED_PATH_BYTES + 8];
    MDB_txn *txn;
    store_bed_make_dir(dir);
    snprintf(path, sizeof(path), "%s/raw", dir);
    try(mdb_env_create(&raw.env), "create");
    try(mdb_env_set_maxdbs(raw.env, 4), "maxdbs");
    try(mdb_env_set_mapsize(raw.env, (size_t)4 << 30), "mapsize");
    try(mdb_env_open(raw.env, path, MDB_NOSUBDIR | MDB_NOSYNC | MDB_NORDAHEAD, 0600), "open");
    try(mdb_txn_begin(raw.env, NULL, 0, &txn), "begin");
    try(mdb_dbi_open(txn, "load", MDB_CREATE | MDB_INTEGERKEY, &raw.tables[0]), "open table");
    try(mdb_dbi_open(txn, "other", MDB_CREATE | MDB_INTEGERKEY, &raw.tables[1]), "open table");
    try(mdb_txn_commit(txn), "commit");
    try(mdb_txn_begin(raw.env, NULL, MDB_RDONLY, &raw.reader), "begin");
    mdb_txn_reset(raw.reader);
    for (enum phase phase = LOAD; phase < N_PHASES; phase++) {
        if (phase == SCATTER) {
            try(mdb_txn_begin(raw.env, NULL, 0, &txn), "begin");
            try(mdb_drop(txn, raw.tables[1], 0), "drop");
            try(mdb_txn_commit(txn), "commit");
        }
        rates[phase] = run_raw_phase(phase);
    }
    mdb_txn_abort(raw.reader);
    mdb_env_close(raw.env);
    store_bed_remove_dir(dir);
}

/* ---- the table ---- */

static void print_rates(const char *name, const double *rates)
{
    printf("%-20s", name);
    for (enum phase phase = LOAD; phase < N_PHASES; phase++)
        if (rates[phase] > 0)
            printf(" %8.1f", rates[phase] / 1e3);
        else
            printf(" %8s", "-");
    printf("\n");
    fflush(stdout);
}

static void print_heads(const char *what)
{
    printf("%-20s", what);
    for (enum phase phase = LOAD; phase < N_PHASES; phase++)
        printf(" %8s", phase_names[phase]);
    printf("\n");
}

int main(int argc, char **argv)
{
    if (argc > 1)
        limit_ns = (uint64_t)(atof(argv[1]) * 1e9);
    const char *const *specs = argc > 2 ? (const char *const *)&argv[2] : default_specs;
    size_t n = argc > 2 ? (size_t)argc - 2 : sizeof(default_specs) / sizeof(*default_specs);
    double base[N_PHASES], (*rates)[N_PHASES] = mem_zalloc(n, sizeof(*rates));
    make_texts();
    print_heads("thousand rows/s");
    measure_raw(base);
    print_rates("LMDB, not synced", base);
    for (size_t i = 0; i < n; i++) {
        measure_store(specs[i], rates[i]);
        print_rates(specs[i], rates[i]);
    }
    print_heads("\nns a row");
    for (size_t i = 0; i < n; i++) {
        double ns[N_PHASES];
        for (enum phase phase = LOAD; phase < N_PHASES; phase++)
            ns[phase] = rates[i][phase] > 0 ? 1e12 / rates[i][phase] : 0;
        print_rates(specs[i], ns);
    }
    print_heads("\nto LMDB, not synced");
    for (size_t i = 0; i < n; i++) {
        printf("%-20s", specs[i]);
        for (enum phase phase = LOAD; phase < N_PHASES; phase++)
            if (rates[i][phase] > 0)
                printf(" %8.3f", rates[i][phase] / base[phase]);
            else
                printf(" %8s", "-");
        printf("\n");
    }
    free(rates);
    return 0;
}
