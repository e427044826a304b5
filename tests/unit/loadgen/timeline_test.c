#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/mem.h"
#include "core/rng.h"
#include "loadgen/timeline.h"

#define WIDTH (50 * NS_PER_MS)
#define ORIGIN (1000 * NS_PER_S + 20 * NS_PER_MS)

/* The written table, cell by cell. */
struct table {
    char *text;
    char *cells[64][300];
    size_t n_rows, n_columns;
};

static void read_table(struct timeline *timeline, uint64_t started_ns, struct table *table)
{
    size_t n = 0;
    FILE *out = open_memstream(&table->text, &n);
    char *line, *save_line = NULL;

    assert_int_equal(timeline_write(timeline, started_ns, out), 0);
    fclose(out);
    table->n_rows = 0;
    for (line = strtok_r(table->text, "\n", &save_line); line;
         line = strtok_r(NULL, "\n", &save_line)) {
        char *save = NULL;
        size_t column = 0;
        assert_true(table->n_rows < 64);
        for (char *cell = strtok_r(line, "\t", &save); cell; cell = strtok_r(NULL, "\t", &save))
            table->cells[table->n_rows][column++] = cell;
        if (table->n_rows > 0)
            assert_int_equal(column, table->n_columns);
        table->n_columns = column;
        table->n_rows++;
    }
}

/* row 0 is the first after the header. */
static const char *cell(const struct table *table, size_t row, const char *name)
{
    assert_true(row + 1 < table->n_rows);
    for (size_t c = 0; c < table->n_columns; c++)
        if (strcmp(table->cells[0][c], name) == 0)
            return table->cells[row + 1][c];
    fail_msg("no column '%s'", name);
    return NULL;
}

static double number(const struct table *table, size_t row, const char *name)
{
    return strtod(cell(table, row, name), NULL);
}

static double total(const struct table *table, const char *name)
{
    double sum = 0.;

    for (size_t row = 0; row + 1 < table->n_rows; row++)
        sum += number(table, row, name);
    return sum;
}

static void answer(struct timeline *timeline, uint64_t at_ns, uint64_t latency_ns,
                   const char *server)
{
    timeline_record(timeline, at_ns, VERDICT_OK, latency_ns, server, strlen(server));
}

static void every_answer_is_in_the_bucket_of_its_end(void **state)
{
    struct timeline *timeline = timeline_new(WIDTH, ORIGIN);
    struct table *table = mem_zalloc(1, sizeof(*table));

    (void)state;
    answer(timeline, ORIGIN, 5 * NS_PER_MS, "Server1");
    answer(timeline, ORIGIN + 29 * NS_PER_MS, 10 * NS_PER_MS, "Server2");
    answer(timeline, ORIGIN + 30 * NS_PER_MS, 20 * NS_PER_MS, "Server1"); /* the border */
    timeline_record(timeline, ORIGIN + 40 * NS_PER_MS, (enum verdict)CLIENT_RESET, 0, "", 0);
    timeline_record(timeline, ORIGIN + 41 * NS_PER_MS, VERDICT_STATUS_5XX, 0, "Server1", 7);
    timeline_drop(timeline, ORIGIN + 200 * NS_PER_MS);
    read_table(timeline, ORIGIN + NS_PER_MS, table);

    assert_int_equal(table->n_rows, 1 + 5);
    assert_string_equal(cell(table, 0, "monotonic_ns"), "1000000000000");
    assert_string_equal(cell(table, 1, "monotonic_ns"), "1000050000000");
    assert_string_equal(cell(table, 0, "t_s"), "-0.021000");
    assert_string_equal(cell(table, 1, "t_s"), "0.029000");
    assert_string_equal(cell(table, 0, "ok"), "2");
    assert_string_equal(cell(table, 1, "ok"), "1");
    assert_string_equal(cell(table, 1, "failed"), "2");
    assert_string_equal(cell(table, 1, "reset"), "1");
    assert_string_equal(cell(table, 1, "status_5xx"), "1");
    assert_string_equal(cell(table, 0, "server:Server1"), "1");
    assert_string_equal(cell(table, 0, "server:Server2"), "1");
    assert_string_equal(cell(table, 1, "server:Server2"), "0");
    assert_string_equal(cell(table, 0, "max_ms"), "10.0000");
    /* Empty buckets stand there too: a gap is what one looks for. */
    assert_string_equal(cell(table, 2, "ok"), "0");
    assert_string_equal(cell(table, 2, "p50_ms"), "NaN");
    assert_string_equal(cell(table, 4, "dropped"), "1");
    free(table->text);
    free(table);
    timeline_free(timeline);
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void percentiles_are_within_a_sixty_fourth_of_the_exact_ones(void **state)
{
    struct timeline *timeline = timeline_new(WIDTH, ORIGIN);
    struct table *table = mem_zalloc(1, sizeof(*table));
    uint64_t exact[5000];
    struct rng rng;

    (void)state;
    rng_seed(&rng, 1);
    for (size_t i = 0; i < 5000; i++) {
        exact[i] = 1000 + rng_below(&rng, UINT64_C(1) << (10 + rng_below(&rng, 25)));
        answer(timeline, ORIGIN, exact[i], "");
    }
    qsort(exact, 5000, sizeof(*exact), compare_u64);
    read_table(timeline, ORIGIN, table);
    /* Below 64 µs a microsecond is the step. */
    assert_true(number(table, 0, "p50_ms") * 1e6 >= (double)exact[2499]);
    assert_true(number(table, 0, "p50_ms") * 1e6 <= (double)exact[2499] * (1 + 1. / 64.) + 1000.);
    assert_true(number(table, 0, "p99_ms") * 1e6 >= (double)exact[4949] - 100.);
    assert_true(number(table, 0, "p99_ms") * 1e6 <= (double)exact[4949] * (1 + 1. / 64.) + 1000.);
    assert_true(number(table, 0, "max_ms") * 1e6 >= (double)exact[4999] - 100.);
    assert_true(number(table, 0, "max_ms") * 1e6 <= (double)exact[4999] + 100.);
    free(table->text);
    free(table);
    timeline_free(timeline);
}

static void threads_merge_to_what_one_would_have_counted(void **state)
{
    struct timeline *one = timeline_new(WIDTH, ORIGIN);
    struct timeline *parts[2] = {timeline_new(WIDTH, ORIGIN), timeline_new(WIDTH, ORIGIN)};
    static const char *const names[] = {"Server1", "Server2", "Server10", ""};
    char *texts[2] = {NULL, NULL};
    size_t n[2] = {0, 0};
    struct rng rng;

    (void)state;
    rng_seed(&rng, 4);
    for (uint64_t i = 0; i < 20000; i++) {
        uint64_t at_ns = ORIGIN + i * 37 * NS_PER_US, latency_ns = rng_below(&rng, NS_PER_S);
        struct timeline *part = parts[rng_below(&rng, 2)];
        const char *name = names[rng_below(&rng, 4)];
        enum verdict verdict = rng_below(&rng, 10) ? VERDICT_OK : (enum verdict)CLIENT_TIMEOUT;

        timeline_record(one, at_ns, verdict, latency_ns, name, strlen(name));
        timeline_record(part, at_ns, verdict, latency_ns, name, strlen(name));
        if (i % 1000 == 0) {
            timeline_drop(one, at_ns);
            timeline_drop(part, at_ns);
        }
    }
    timeline_merge(parts[0], parts[1]);
    for (int i = 0; i < 2; i++) {
        FILE *out = open_memstream(&texts[i], &n[i]);
        timeline_write(i ? parts[0] : one, ORIGIN, out);
        fclose(out);
    }
    assert_string_equal(texts[0], texts[1]);
    assert_non_null(strstr(texts[0], "server:Server2\tserver:Server10\n"));
    free(texts[0]);
    free(texts[1]);
    timeline_free(one);
    timeline_free(parts[0]);
    timeline_free(parts[1]);
}

static void a_table_written_while_it_is_filled_loses_nothing(void **state)
{
    struct timeline *timeline = timeline_new(WIDTH, ORIGIN);
    struct table *table = mem_zalloc(1, sizeof(*table));

    (void)state;
    answer(timeline, ORIGIN, NS_PER_MS, "Server1");
    read_table(timeline, ORIGIN, table);
    free(table->text);
    answer(timeline, ORIGIN, 3 * NS_PER_MS, "Server1");
    read_table(timeline, ORIGIN, table);
    assert_string_equal(cell(table, 0, "ok"), "2");
    assert_string_equal(cell(table, 0, "server:Server1"), "2");
    assert_true(number(table, 0, "p50_ms") < 1.1);
    free(table->text);
    free(table);
    timeline_free(timeline);
}

static void endless_names_are_counted_in_bounded_memory(void **state)
{
    struct timeline *timeline = timeline_new(WIDTH, ORIGIN);
    struct table *table = mem_zalloc(1, sizeof(*table));

    (void)state;
    for (unsigned i = 0; i < TIMELINE_MAX_SERVERS + 50; i++) {
        char name[16];
        snprintf(name, sizeof(name), "Server%u", i);
        answer(timeline, ORIGIN, NS_PER_MS, name);
    }
    read_table(timeline, ORIGIN, table);
    assert_int_equal(total(table, "server:(further)"), 51);
    assert_int_equal(total(table, "ok"), TIMELINE_MAX_SERVERS + 50);
    free(table->text);
    free(table);
    timeline_free(timeline);
}

static void what_comes_after_the_last_bucket_counts_in_it(void **state)
{
    struct timeline *timeline = timeline_new(WIDTH, ORIGIN);
    char *text = NULL;
    size_t n = 0, n_lines = 0;
    FILE *out = open_memstream(&text, &n);

    (void)state;
    answer(timeline, ORIGIN + (TIMELINE_MAX_BUCKETS + 5) * WIDTH, NS_PER_MS, "");
    answer(timeline, ORIGIN + (TIMELINE_MAX_BUCKETS + 9) * WIDTH, NS_PER_MS, "");
    timeline_write(timeline, ORIGIN, out);
    fclose(out);
    for (const char *c = text; *c; c++)
        n_lines += *c == '\n';
    assert_int_equal(n_lines, 1 + TIMELINE_MAX_BUCKETS);
    assert_non_null(strstr(text, "\t2\t0\t0\t1.0000"));
    free(text);
    timeline_free(timeline);
}

static void writes_are_told_apart_where_there_are_any(void **state)
{
    (void)state;
    struct timeline *timeline = timeline_new(WIDTH, ORIGIN);
    struct timeline *other = timeline_new(WIDTH, ORIGIN);
    struct table table;
    answer(timeline, ORIGIN, NS_PER_MS, "A");
    read_table(timeline, ORIGIN, &table);
    for (size_t c = 0; c < table.n_columns; c++)
        assert_null(strstr(table.cells[0][c], "writes"));
    free(table.text);

    timeline_record(other, ORIGIN + WIDTH, VERDICT_OK, NS_PER_MS, "A", 1);
    timeline_record_write(other, ORIGIN + WIDTH, VERDICT_OK);
    timeline_record(other, ORIGIN + WIDTH, VERDICT_STATUS_5XX, NS_PER_MS, NULL, 0);
    timeline_record_write(other, ORIGIN + WIDTH, VERDICT_STATUS_5XX);
    timeline_record(other, ORIGIN + WIDTH, VERDICT_STATUS_5XX, NS_PER_MS, NULL, 0);
    timeline_merge(timeline, other);
    read_table(timeline, ORIGIN, &table);
    assert_int_equal(number(&table, 0, "writes_ok"), 0);
    assert_int_equal(number(&table, 1, "ok"), 1);
    assert_int_equal(number(&table, 1, "failed"), 2);
    assert_int_equal(number(&table, 1, "writes_ok"), 1);
    assert_int_equal(number(&table, 1, "writes_failed"), 1);
    free(table.text);
    timeline_free(timeline);
    timeline_free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_answer_is_in_the_bucket_of_its_end),
        cmocka_unit_test(percentiles_are_within_a_sixty_fourth_of_the_exact_ones),
        cmocka_unit_test(threads_merge_to_what_one_would_have_counted),
        cmocka_unit_test(a_table_written_while_it_is_filled_loses_nothing),
        cmocka_unit_test(endless_names_are_counted_in_bounded_memory),
        cmocka_unit_test(what_comes_after_the_last_bucket_counts_in_it),
        cmocka_unit_test(writes_are_told_apart_where_there_are_any),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
