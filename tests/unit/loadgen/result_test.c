#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/json.h"
#include "loadgen/result.h"

static struct result *new_result(void)
{
    const struct result_settings settings = {.url = "http://127.0.0.1:5000/home",
                                             .workload = "home",
                                             .client = "curl",
                                             .n_in_flight = 4,
                                             .measured = {.n_requests = 100},
                                             .timeout_ns = NS_PER_S,
                                             .seed = UINT64_MAX};
    struct addr addr;
    struct err err;

    assert_int_equal(addr_parse("127.0.0.1:5000", &addr, &err), 0);
    return result_new(&settings, &addr);
}

/* An answer that took `ms` and ended at `end_ms`. */
static struct client_answer answered(int status, const char *server, uint64_t ms, uint64_t end_ms)
{
    return (struct client_answer){.status = status,
                                  .server = server,
                                  .server_bytes = strlen(server),
                                  .submitted_ns = (1000 + end_ms - ms) * NS_PER_MS,
                                  .done_ns = (1000 + end_ms) * NS_PER_MS,
                                  .n_body_bytes = 20,
                                  .detail = ""};
}

static void record(struct result *result, enum verdict verdict, struct client_answer answer)
{
    result_record(result, verdict, &answer);
}

/* The printed JSON, read back by the strict reader. */
static cJSON *print_and_parse(const struct result *result)
{
    cJSON *tree = result_json(result), *again;
    struct buf text;
    struct err err;

    buf_init(&text, 0);
    assert_int_equal(json_print(&text, tree, true), 0);
    cJSON_Delete(tree);
    again = json_parse(buf_head(&text), buf_len(&text), &err);
    if (!again)
        fail_msg("%s", err.message);
    buf_done(&text);
    return again;
}

static double number(const cJSON *object, const char *key)
{
    const cJSON *node = json_get(object, key);

    assert_true(cJSON_IsNumber(node));
    return node->valuedouble;
}

static struct result *sample(void)
{
    struct result *result = new_result();

    result->started_ns = 1000 * NS_PER_MS;
    result->started_wall_ns = UINT64_C(1795253412345) * NS_PER_MS;
    for (uint64_t i = 1; i <= 90; i++)
        record(result, VERDICT_OK, answered(200, i % 3 ? "Server10" : "Server2", i, i));
    for (uint64_t i = 1; i <= 10; i++) {
        struct client_answer bad = answered(503, "Server2", 400, 400 + i * 10);
        record(result, VERDICT_STATUS_5XX, bad);
    }
    result->cpu_ns = 100 * NS_PER_MS;
    result_finish(result);
    return result;
}

static void only_good_answers_count_in_rate_and_latency(void **state)
{
    struct result *result = sample();

    (void)state;
    assert_int_equal(result_requests(result), 100);
    assert_int_equal(result->n_ok, 90);
    assert_int_equal(result->n_failed, 10);
    assert_float_equal(result_duration_s(result), .5, 1e-9);
    assert_float_equal(result_rate(result), 180., 1e-9);
    assert_int_equal(hist_count(result->latency), 90);
    assert_int_equal(hist_max(result->latency), 90 * NS_PER_MS);
    assert_float_equal(result_cpu_us_per_request(result), 1000., 1e-9);
    assert_float_equal(result_cpu_share(result), .2, 1e-9);
    result_free(result);
}

static void json_holds_every_count(void **state)
{
    struct result *result = sample();
    cJSON *root = print_and_parse(result);
    const cJSON *servers = json_get(root, "servers");
    const cJSON *error = json_get(json_get(root, "errors"), "status_5xx");

    (void)state;
    assert_string_equal(json_get_string(root, "kind"), "load");
    assert_int_equal(number(root, "schema_version"), RESULT_SCHEMA_VERSION);
    assert_int_equal(number(root, "requests"), 100);
    assert_int_equal(number(root, "ok"), 90);
    assert_int_equal(number(root, "failed"), 10);
    assert_int_equal(number(servers, "Server10"), 60);
    assert_int_equal(number(servers, "Server2"), 30);
    assert_string_equal(servers->child->string, "Server2"); /* sorted, numbers by value */
    assert_int_equal(cJSON_GetArraySize(servers), 2);
    assert_int_equal(number(json_get(root, "servers_failed"), "Server2"), 10);
    assert_int_equal(number(json_get(root, "statuses"), "200"), 90);
    assert_int_equal(number(json_get(root, "statuses"), "503"), 10);
    assert_int_equal(number(error, "count"), 10);
    assert_string_equal(json_get_string(error, "example"), "HTTP 503 from Server2");
    assert_non_null(strstr(json_get_string(error, "hint"), "127.0.0.1:5000"));
    assert_int_equal(cJSON_GetArraySize(json_get(root, "errors")), 1);
    assert_float_equal(number(json_get(root, "latency_ms"), "p50"), 45., .05);
    assert_float_equal(number(json_get(root, "latency_ms"), "max"), 90., 1e-9);
    assert_int_equal(number(root, "body_bytes"), 2000);
    assert_string_equal(json_get_string(root, "started"), "2026-11-21T09:30:12.345Z");
    assert_string_equal(json_get_string(root, "ended"), "2026-11-21T09:30:12.845Z");
    assert_string_equal(json_get(json_get(root, "settings"), "seed")->valuestring,
                        "18446744073709551615");
    cJSON_Delete(root);
    result_free(result);
}

static void json_of_an_empty_result_has_no_number_out_of_nothing(void **state)
{
    struct result *result = new_result();
    cJSON *root;

    (void)state;
    result->cpu_ns = 5;
    result_finish(result);
    root = print_and_parse(result);
    assert_true(number(root, "rate") == 0.);
    assert_true(number(root, "duration_s") == 0.);
    assert_true(number(json_get(root, "generator"), "cpu_us_per_request") == 0.);
    assert_true(number(json_get(root, "generator"), "cpu_share") == 0.);
    assert_true(cJSON_IsNull(json_get(root, "latency_ms")));
    assert_true(cJSON_IsNull(json_get(root, "started")));
    cJSON_Delete(root);
    result_free(result);
}

static void the_first_of_a_class_is_its_example(void **state)
{
    struct result *result = new_result();
    struct client_answer answer = {.error = CLIENT_RESET, .detail = "first"};

    (void)state;
    record(result, VERDICT_OK, answered(200, "", 1, 1));
    record(result, (enum verdict)CLIENT_RESET, answer);
    answer.detail = "second";
    record(result, (enum verdict)CLIENT_RESET, answer);
    assert_string_equal(result->examples[CLIENT_RESET], "first");
    assert_int_equal(result->n_by_verdict[CLIENT_RESET], 2);
    assert_int_equal(result->servers.unnamed.n_ok, 1);
    /* What never came named no server, and has no status. */
    assert_int_equal(result->servers.unnamed.n_failed, 0);
    result_free(result);
}

/* What was counted by two is what one would have counted, key for key. */
static void merged_parts_are_the_whole(void **state)
{
    struct result *whole = sample(), *a = new_result(), *b = new_result();
    struct buf texts[2];

    (void)state;
    a->started_ns = 1003 * NS_PER_MS;
    b->started_ns = whole->started_ns;
    b->started_wall_ns = whole->started_wall_ns;
    for (uint64_t i = 1; i <= 90; i++)
        record(i % 2 ? a : b, VERDICT_OK, answered(200, i % 3 ? "Server10" : "Server2", i, i));
    for (uint64_t i = 1; i <= 10; i++)
        record(i < 4 ? a : b, VERDICT_STATUS_5XX, answered(503, "Server2", 400, 400 + i * 10));
    a->cpu_ns = 60 * NS_PER_MS;
    b->cpu_ns = 40 * NS_PER_MS;
    result_merge(a, b);
    result_finish(a);
    for (int i = 0; i < 2; i++) {
        cJSON *tree = result_json(i ? a : whole);
        buf_init(&texts[i], 0);
        json_print(&texts[i], tree, true);
        cJSON_Delete(tree);
    }
    assert_string_equal(buf_str(&texts[0]), buf_str(&texts[1]));
    for (uint64_t p = 0; p <= 1000; p++)
        assert_int_equal(hist_percentile(a->latency, (double)p / 10.),
                         hist_percentile(whole->latency, (double)p / 10.));
    buf_done(&texts[0]);
    buf_done(&texts[1]);
    result_free(whole);
    result_free(a);
    result_free(b);
}

static void a_closed_loop_has_none_of_the_open_ones_numbers(void **state)
{
    struct result *result = sample();
    cJSON *root = print_and_parse(result);

    (void)state;
    assert_string_equal(json_get_string(json_get(root, "settings"), "loop"), "closed");
    assert_true(cJSON_IsNull(json_get(json_get(root, "settings"), "rate")));
    assert_true(cJSON_IsNull(json_get(root, "service_ms")));
    assert_true(cJSON_IsNull(json_get(root, "open")));
    assert_int_equal(cJSON_GetArraySize(json_get(root, "stages")), 0);
    assert_int_equal(cJSON_GetArraySize(json_get(root, "thresholds")), 0);
    assert_true(cJSON_IsTrue(json_get(json_get(root, "verdict"), "valid")));
    cJSON_Delete(root);
    result_free(result);
}

static const char *const kinds[] = {"read", "scan", "insert", NULL};

static void record_kind(struct result *result, uint32_t operation, enum verdict verdict,
                        uint64_t n_read, uint64_t n_written, uint64_t ms)
{
    const struct workload_done done = {
        .operation = operation, .n_read = n_read, .n_written = n_written};
    result_record_operation(result, &done, verdict, ms * NS_PER_MS);
}

static void kinds_of_requests_and_rows_are_counted_apart(void **state)
{
    struct result *result = sample(), *part = new_result();
    const cJSON *operations, *read, *insert, *rows;
    cJSON *root;

    (void)state;
    result->settings.operations = kinds;
    record_kind(result, 0, VERDICT_OK, 1, 0, 10);
    record_kind(result, 0, VERDICT_OK, 0, 0, 30);
    record_kind(part, 0, VERDICT_OK, 1, 0, 20);
    record_kind(part, 2, VERDICT_OK, 0, 100, 40);
    record_kind(part, 2, VERDICT_STATUS_5XX, 0, 0, 900);
    result_merge(result, part);
    root = print_and_parse(result);
    operations = json_get(root, "operations");
    assert_int_equal(cJSON_GetArraySize(operations), 2); /* no scan, no row of it */
    read = cJSON_GetArrayItem(operations, 0);
    insert = cJSON_GetArrayItem(operations, 1);
    assert_string_equal(json_get_string(read, "name"), "read");
    assert_int_equal(number(read, "ok"), 3);
    assert_float_equal(number(read, "rate"), 6., 1e-9);
    assert_float_equal(number(json_get(read, "latency_ms"), "p50"), 20., .05);
    assert_string_equal(json_get_string(insert, "name"), "insert");
    assert_int_equal(number(insert, "failed"), 1);
    assert_float_equal(number(json_get(insert, "latency_ms"), "max"), 40., 1e-9);
    rows = json_get(root, "rows");
    assert_int_equal(number(rows, "read"), 2);
    assert_int_equal(number(rows, "written"), 100);
    assert_float_equal(number(rows, "write_rate"), 200., 1e-9);
    cJSON_Delete(root);
    result_free(result);
    result_free(part);
}

static void the_table_names_servers_errors_and_hints(void **state)
{
    struct result *result = sample();
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);

    (void)state;
    result->interrupted = true;
    result->n_warmup = 7;
    result_print(result, out);
    fclose(out);
    assert_non_null(strstr(text, "100 in 0.500 s, after 7 of warm-up"));
    assert_non_null(strstr(text, "180 ok/s"));
    assert_non_null(strstr(text, "interrupted"));
    assert_non_null(strstr(text, "HTTP 503 from Server2"));
    assert_non_null(strstr(text, "hint: 127.0.0.1:5000"));
    assert_non_null(strstr(text, "being replaced")); /* the hint of a 503 */
    assert_non_null(strstr(text, "66.67 %"));
    assert_true(strstr(text, "Server2 ") < strstr(text, "Server10 "));
    free(text);
    result_free(result);
}

static void answers_that_name_no_server_are_the_load_balancers_on_a_database(void **state)
{
    (void)state;
    for (int database = 0; database <= 1; database++) {
        struct result *result = sample();
        char *text = NULL;
        size_t n = 0;
        FILE *out = open_memstream(&text, &n);
        result->settings.operations = database ? kinds : NULL;
        record(result, VERDICT_OK, answered(200, "", 5, 600));
        result_print(result, out);
        fclose(out);
        assert_int_equal(strstr(text, "(load balancer) ") != NULL, database);
        assert_int_equal(strstr(text, "(no name given) ") == NULL, database);
        free(text);
        result_free(result);
    }
}

static void a_hint_is_of_the_status_that_most_had(void **state)
{
    struct result *result = new_result();
    char hint[256];
    (void)state;
    record(result, VERDICT_STATUS_4XX, answered(400, "", 5, 10));
    assert_non_null(strstr(result_hint(result, VERDICT_STATUS_4XX, hint, sizeof(hint)), "--body"));
    record(result, VERDICT_STATUS_4XX, answered(409, "", 5, 20));
    record(result, VERDICT_STATUS_4XX, answered(409, "", 5, 30));
    assert_non_null(strstr(result_hint(result, VERDICT_STATUS_4XX, hint, sizeof(hint)), "/init"));
    result_free(result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_of_requests_and_rows_are_counted_apart),
        cmocka_unit_test(only_good_answers_count_in_rate_and_latency),
        cmocka_unit_test(json_holds_every_count),
        cmocka_unit_test(json_of_an_empty_result_has_no_number_out_of_nothing),
        cmocka_unit_test(the_first_of_a_class_is_its_example),
        cmocka_unit_test(merged_parts_are_the_whole),
        cmocka_unit_test(a_closed_loop_has_none_of_the_open_ones_numbers),
        cmocka_unit_test(the_table_names_servers_errors_and_hints),
        cmocka_unit_test(answers_that_name_no_server_are_the_load_balancers_on_a_database),
        cmocka_unit_test(a_hint_is_of_the_status_that_most_had),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
