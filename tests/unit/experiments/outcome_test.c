#include "experiments/outcome.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

#include "core/file.h"
#include "core/json.h"
#include "tests/support/run_fixture.h"

static struct run_fixture fixture;
static struct summary summary;
static char path[] = "/tmp/quoit-outcome-XXXXXX";

/* The fixture's result, as a reader of the file gets it. */
static cJSON *write_and_read(void)
{
    struct buf text;
    struct err err;
    cJSON *made = outcome_make(&fixture.run, &summary);
    buf_init(&text, 0);
    json_print(&text, made, true);
    cJSON_Delete(made);
    assert_int_equal(file_write_atomic(path, buf_head(&text), buf_len(&text), NULL), 0);
    buf_done(&text);
    cJSON *result = outcome_read(path, &err);
    if (!result)
        fail_msg("%s", err.message);
    return result;
}

static void outcome_reads_back_what_it_made(void **state)
{
    (void)state;
    cJSON *result = write_and_read();
    assert_string_equal(outcome_text(result, "name"), "T1");
    assert_string_equal(outcome_text(result, "measures"), "rates");
    assert_true(outcome_number(result, "requests") == 10000);
    assert_true(outcome_number(result, "repeats") == 3);
    assert_true(outcome_valid(result));
    const cJSON *points = json_get(result, "points");
    assert_int_equal(cJSON_GetArraySize(points), 2);
    const cJSON *point = cJSON_GetArrayItem(points, 1);
    assert_string_equal(cJSON_GetArrayItem(json_get(point, "values"), 0)->valuestring, "xxh64");
    assert_string_equal(cJSON_GetArrayItem(json_get(point, "labels"), 0)->valuestring, "good");
    const cJSON *servers = json_get(point, "servers");
    assert_int_equal(cJSON_GetArraySize(servers), 3);
    double sum = 0;
    for (int i = 0; i < 3; i++) {
        const cJSON *server = cJSON_GetArrayItem(servers, i);
        assert_int_equal(cJSON_GetArraySize(json_get(server, "counts")), 3);
        sum += outcome_number(server, "median");
    }
    assert_true(sum == 10000);
    const cJSON *rate = json_get(json_get(point, "metrics"), "rate");
    assert_true(outcome_number(rate, "median") == 2000);
    assert_string_equal(outcome_text(rate, "unit"), "requests/s");
    assert_int_equal(cJSON_GetArraySize(json_get(json_get(point, "fit"), "sample_p")), 3);
    cJSON_Delete(result);
}

static void outcome_gives_nan_and_nothing_for_what_is_not_there(void **state)
{
    cJSON *object = cJSON_CreateObject();
    (void)state;
    assert_true(isnan(outcome_number(object, "x")));
    assert_true(isnan(outcome_number(NULL, "x")));
    assert_string_equal(outcome_text(object, "x"), "");
    assert_false(outcome_valid(object));
    cJSON_Delete(object);
}

/* The file holds the result with one text replaced, and is refused. */
static void refuse(const char *from, const char *to)
{
    struct buf text;
    struct err err;
    cJSON *made = outcome_make(&fixture.run, &summary);
    buf_init(&text, 0);
    json_print(&text, made, false);
    cJSON_Delete(made);
    const char *at = strstr(buf_str(&text), from);
    assert_non_null(at);
    FILE *file = fopen(path, "w");
    fprintf(file, "%.*s%s%s", (int)(at - buf_str(&text)), buf_str(&text), to, at + strlen(from));
    fclose(file);
    buf_done(&text);
    assert_null(outcome_read(path, &err));
    assert_non_null(strstr(err.message, path));
}

static void outcome_refuses_what_is_no_result(void **state)
{
    (void)state;
    refuse("\"format\":1", "\"format\":2");
    refuse("\"name\"", "\"nome\"");
    refuse("\"points\"", "\"punkte\"");
    refuse("\"figures\":[\"shares\"]", "\"figures\":[\"../shares\"]");
    refuse("\"labels\":[\"bad\"]", "\"labels\":[]");
    refuse("\"verdict\"", "\"opinion\"");
    refuse("}", "");
    unlink(path);
    assert_null(outcome_read(path, NULL));
}

static void outcome_samples_have_a_heading_and_a_row_each(void **state)
{
    struct buf text;
    int n_rows = 0, n_tabs = 0;
    (void)state;
    buf_init(&text, 0);
    fixture.run.samples[1].n_strangers = 4;
    fixture.run.samples[1].n_windows = 7;
    fixture.run.samples[1].unsteady = true;
    fixture.run.samples[1].at_s = 1.25;
    outcome_print_samples(&fixture.run, &text);
    fixture.run.samples[1].n_strangers = 0;
    const char *line = buf_str(&text);
    while (*line == '#')
        line = strchr(line, '\n') + 1;
    assert_true(
        !strncmp(line, "cluster.hash\trepeat\tat\twindows\tseed\tok\terrors\tseconds\trate\t",
                 strlen("cluster.hash\trepeat\tat\twindows\tseed\tok\terrors\tseconds\trate\t")));
    for (const char *c = line; *c != '\n'; c++)
        n_tabs += *c == '\t';
    for (; *line; line = strchr(line, '\n') + 1, n_rows++) {
        int n = 0;
        for (const char *c = line; *c != '\n'; c++)
            n += *c == '\t';
        assert_int_equal(n, n_tabs);
    }
    assert_int_equal(n_rows, 1 + 6);
    assert_non_null(
        strstr(buf_str(&text), "\nquadratic\t1\t0.000\t0\t100\t10000\t0\t0.500000\t1000\t"));
    assert_non_null(strstr(buf_str(&text), "\tServer1=8437 Server2=469 Server3=1094\n"));
    assert_non_null(strstr(buf_str(&text), " other=4\n"));
    assert_non_null(strstr(buf_str(&text), "\nxxh64\t1\t1.250\t7?\t101\t"));
    buf_done(&text);
}

static void outcome_latencies_are_of_the_median_sample(void **state)
{
    struct buf text;
    (void)state;
    buf_init(&text, 0);
    /* p99 of repeats 1, 2, 3: 1, 1, 1 + 0 … by the fixture (repeat × 3) mod 3 = 0: all equal, so
     * the middle one is repeat 2 */
    outcome_print_latencies(&fixture.run, &summary, &text);
    assert_non_null(strstr(buf_str(&text), "# cluster.hash = quadratic, repeat 2: "));
    assert_non_null(
        strstr(buf_str(&text), "\nhgrm of point 0 repeat 2\n\n\n# cluster.hash = xxh64"));
    fixture.run.samples[2].p99_ms = 9; /* repeat 2 of point 0 */
    buf_clear(&text);
    outcome_print_latencies(&fixture.run, &summary, &text);
    assert_non_null(strstr(buf_str(&text), "hgrm of point 0 repeat 3\n"));
    buf_done(&text);
}

static int open_fixture(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    if (fd < 0)
        return -1;
    close(fd);
    run_fixture_open(&fixture, 3, NULL);
    return summary_make(&fixture.run, &summary, NULL);
}

static int close_fixture(void **state)
{
    (void)state;
    summary_done(&summary);
    run_fixture_close(&fixture);
    unlink(path);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outcome_reads_back_what_it_made),
        cmocka_unit_test(outcome_gives_nan_and_nothing_for_what_is_not_there),
        cmocka_unit_test(outcome_refuses_what_is_no_result),
        cmocka_unit_test(outcome_samples_have_a_heading_and_a_row_each),
        cmocka_unit_test(outcome_latencies_are_of_the_median_sample),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
