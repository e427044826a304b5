/* The `file` store alone, without HTTP: commits a second by how many wait at once, what an
 * fdatasync takes, how long recovery takes for a million rows, from a snapshot and from the log,
 * and what writers notice of a snapshot.
 *
 * The folder is a new one under $TMPDIR or /tmp: what is measured is the disk that is under it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/store/file_store.h"
#include "core/clock.h"
#include "core/hist.h"
#include "core/mem.h"
#include "tests/support/store_bed.h"

#define ROUND_NS NS_PER_S
#define MAX_WAITING 256
#define N_ROWS INT64_C(1000000)
#define SCATTER INT64_C(700001) /* no common factor with N_ROWS: each key once */
#define ROWS_A_REQUEST 100
#define MAX_REQUESTS_WAITING 16

struct writer {
    struct store_request request; /* first member */
    struct bench *bench;
    uint64_t start_ns;
    struct row rows[ROWS_A_REQUEST];
    char texts[ROWS_A_REQUEST][96];
};

struct bench {
    struct store_bed bed;
    struct store_shard *shard;
    int64_t next_key, end_key;
    uint64_t end_ns, n_done;
    size_t n_rows; /* of a request */
    unsigned n_waiting;
    struct hist *latencies; /* of what was submitted while `is_watched`; NULL: nothing is */
    bool is_watched;
    bool is_scattered; /* keys in no order, below N_ROWS */
};

static void submit_next(struct writer *writer);

static void on_done(struct store_request *request)
{
    struct writer *writer = (struct writer *)request;
    if (writer->start_ns > 0)
        hist_record(writer->bench->latencies, clock_now_ns() - writer->start_ns);
    writer->bench->n_done++;
    writer->bench->n_waiting--;
    submit_next(writer);
}

/* Nothing of the row but key and marks changes: what is measured is the store. */
static void submit_next(struct writer *writer)
{
    struct bench *bench = writer->bench;
    if (bench->next_key >= bench->end_key ||
        (bench->n_done % 64 == 0 && bench->end_ns > 0 && clock_now_ns() > bench->end_ns))
        return;
    for (size_t i = 0; i < bench->n_rows; i++) {
        int64_t key = bench->next_key++;
        if (bench->is_scattered)
            key = key * SCATTER % N_ROWS;
        int n = snprintf(writer->texts[i], sizeof(writer->texts[i]),
                         "{\"Stud_id\":%" PRId64 ",\"Stud_name\":\"A name of some length\","
                         "\"Stud_marks\":%d}",
                         key, (int)(key % 100));
        writer->rows[i] =
            (struct row){.key = key, .text = writer->texts[i], .n_bytes = (uint32_t)n};
    }
    writer->request = (struct store_request){
        .op = STORE_INSERT,
        .shard = bench->shard,
        .rows = writer->rows,
        .n_rows_in = bench->n_rows,
        .on_done = on_done,
    };
    bench->n_waiting++;
    writer->start_ns = bench->latencies && bench->is_watched ? clock_now_ns() : 0;
    if (store_submit(bench->bed.store, &writer->request) == STORE_DONE)
        abort();
}

static void run_writers(struct bench *bench, size_t n_writers)
{
    struct writer *writers = mem_zalloc(n_writers, sizeof(*writers));
    for (size_t i = 0; i < n_writers; i++) {
        writers[i].bench = bench;
        submit_next(&writers[i]);
    }
    while (bench->n_waiting > 0)
        ev_run(bench->bed.loop, EVRUN_ONCE);
    free(writers);
}

static void measure_commits(const char *spec, size_t n_waiting)
{
    struct bench bench = {.end_key = INT64_MAX, .n_rows = 1};
    store_bed_open(&bench.bed, spec);
    bench.shard = store_bed_create(&bench.bed, "sh1");
    uint64_t start_ns = clock_now_ns(), cpu_ns = clock_thread_cpu_ns();
    bench.end_ns = start_ns + ROUND_NS;
    run_writers(&bench, n_waiting);
    double took_s = (double)(clock_now_ns() - start_ns) / (double)NS_PER_S;
    const struct file_store *store = (const struct file_store *)bench.bed.store;
    double n_syncs = (double)store->commit.n_syncs, n_done = (double)bench.n_done;
    printf("%-18s %7zu waiting  %9.0f commits/s  %6.1f rows a sync  %6.1f us a sync  "
           "%5.2f us of the loop a commit\n",
           spec, n_waiting, n_done / took_s, n_syncs > 0 ? n_done / n_syncs : 0.,
           n_syncs > 0 ? (double)store->commit.sync_ns / n_syncs / (double)NS_PER_US : 0.,
           (double)(clock_thread_cpu_ns() - cpu_ns) / (double)NS_PER_US / n_done);
    store_bed_close(&bench.bed);
}

static void measure_recovery(const char *what, const char *spec, size_t n_rows, bool is_scattered)
{
    struct bench bench = {.end_key = N_ROWS, .n_rows = n_rows, .is_scattered = is_scattered};
    store_bed_open(&bench.bed, spec);
    bench.shard = store_bed_create(&bench.bed, "sh1");
    uint64_t start_ns = clock_now_ns();
    run_writers(&bench, n_rows == 1 ? MAX_WAITING : MAX_REQUESTS_WAITING);
    double wrote_s = (double)(clock_now_ns() - start_ns) / (double)NS_PER_S;
    struct file_store *store = (struct file_store *)bench.bed.store;
    while (store->snapshot.state != FILE_SNAPSHOT_NONE)
        ev_run(bench.bed.loop, EVRUN_ONCE);
    store_bed_reopen(&bench.bed);
    const struct file_found *found = &((struct file_store *)bench.bed.store)->found;
    double took_s = (double)found->took_ns / (double)NS_PER_S;
    printf("%-44s %8ju rows, %5.1f MB read, %8ju records replayed: %6.3f s, %9.0f rows/s "
           "(written in %.2f s)\n",
           what, (uintmax_t)found->n_rows, (double)found->n_bytes / 1e6,
           (uintmax_t)found->n_records, took_s, (double)found->n_rows / took_s, wrote_s);
    if (found->n_rows != N_ROWS)
        abort();
    store_bed_close(&bench.bed);
}

static void print_latencies(const char *what, const struct hist *latencies)
{
    printf("%-44s %8ju commits: median %6.0f us, 99 %% %6.0f us, longest %6.0f us\n", what,
           (uintmax_t)hist_count(latencies), (double)hist_percentile(latencies, 50) / 1e3,
           (double)hist_percentile(latencies, 99) / 1e3, (double)hist_max(latencies) / 1e3);
}

/* What 64 waiting writers notice of a snapshot of a million rows. */
static void measure_snapshot(void)
{
    struct bench bench = {.end_key = N_ROWS, .n_rows = ROWS_A_REQUEST};
    store_bed_open(&bench.bed, "file:snapshot=1G");
    bench.shard = store_bed_create(&bench.bed, "sh1");
    run_writers(&bench, MAX_REQUESTS_WAITING);
    struct file_store *store = (struct file_store *)bench.bed.store;
    bench.latencies = hist_new();
    bench.n_rows = 1;
    bench.end_key = INT64_MAX;
    bench.is_watched = true;
    bench.end_ns = clock_now_ns() + ROUND_NS;
    run_writers(&bench, 64);
    print_latencies("64 waiting, no snapshot", bench.latencies);
    hist_reset(bench.latencies);
    bench.end_ns = UINT64_MAX;
    store->snapshot.due_bytes = 0;
    struct writer *writers = mem_zalloc(64, sizeof(*writers));
    for (size_t i = 0; i < 64; i++) {
        writers[i].bench = &bench;
        submit_next(&writers[i]);
    }
    uint64_t start_ns = clock_now_ns();
    while (store->snapshot.n_done == 0) {
        ev_run(bench.bed.loop, EVRUN_ONCE);
        if (store->snapshot.state != FILE_SNAPSHOT_NONE)
            store->snapshot.due_bytes = UINT64_MAX;
    }
    printf("%-44s %8ju rows, %5.1f MB in %.2f s\n", "snapshot beside 64 waiting",
           (uintmax_t)store->snapshot.end.n_rows, (double)store->snapshot.n_bytes / 1e6,
           (double)(clock_now_ns() - start_ns) / (double)NS_PER_S);
    print_latencies("64 waiting, while it is written", bench.latencies);
    bench.end_key = 0;
    while (bench.n_waiting > 0)
        ev_run(bench.bed.loop, EVRUN_ONCE);
    free(writers);
    hist_free(bench.latencies);
    store_bed_close(&bench.bed);
}

int main(void)
{
    static const char *const specs[] = {"file", "file:sync=interval", "file:sync=none"};
    static const size_t waiting[] = {1, 16, 64, MAX_WAITING};
    for (size_t s = 0; s < sizeof(specs) / sizeof(*specs); s++)
        for (size_t i = 0; i < sizeof(waiting) / sizeof(*waiting); i++)
            measure_commits(specs[s], waiting[i]);
    measure_recovery("from the log, a record a row", "file:sync=none,snapshot=1G", 1, false);
    measure_recovery("from the log, a record a row, keys at random", "file:sync=none,snapshot=1G",
                     1, true);
    measure_recovery("from the log, 100 rows a record", "file:sync=none,snapshot=1G",
                     ROWS_A_REQUEST, false);
    measure_recovery("from snapshot and log, 100 rows a record", "file:snapshot=32M",
                     ROWS_A_REQUEST, false);
    measure_snapshot();
    return 0;
}
