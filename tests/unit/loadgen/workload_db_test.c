#include "loadgen/workload_db.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/json.h"
#include "loadgen/student.h"

static struct workload *make(const char *text, uint32_t thread, uint32_t n_threads)
{
    struct spec spec;
    struct err err = {0};
    struct workload *workload = NULL;
    struct keys_place place = {.seed = 7, .thread = thread, .n_threads = n_threads};
    assert_int_equal(spec_parse(&workload_family, text, &spec, &err), 0);
    int rc = workload_db_new(&spec, NULL, &place, &workload, &err);
    spec_done(&spec);
    if (rc != 0)
        fprintf(stderr, "%s\n", err.message);
    assert_int_equal(rc, 0);
    return workload;
}

struct end {
    enum verdict verdict;
    struct workload_done done;
};

/* What the workload makes of the answer to the slot's request. */
static struct end ended(struct workload *workload, uint32_t slot,
                        const struct client_answer *answer)
{
    const struct verify verify = {NULL};
    struct end end;
    end.verdict = workload_ended(workload, slot, answer, verify_answer(&verify, answer), &end.done);
    return end;
}

/* The ids of the rows that a request adds. */
static size_t ids_of(const struct client_request *request, int64_t *ids)
{
    struct err err = {0};
    cJSON *tree = json_parse(request->body, request->body_bytes, &err);
    assert_non_null(tree);
    size_t n = 0;
    const cJSON *row;
    cJSON_ArrayForEach (row, json_get(tree, "data"))
        assert_int_equal(json_get_int64(row, "Stud_id", &ids[n++]), 0);
    cJSON_Delete(tree);
    return n;
}

static void writers_add_each_id_once_over_all_threads(void **state)
{
    (void)state;
    unsigned char seen[1000] = {0};
    for (uint32_t thread = 0; thread < 4; thread++) {
        struct workload *workload = make("db-write:low=500,ids=1000,rows=5", thread, 4);
        struct rng rng;
        rng_seed(&rng, 1);
        for (int i = 0; i < 50; i++) {
            struct client_request request = {0};
            int64_t ids[8];
            workload_next(workload, &rng, (uint32_t)i % 3, &request);
            assert_string_equal(request.method, "POST");
            assert_string_equal(request.target, "/write");
            assert_int_equal(ids_of(&request, ids), 5);
            for (size_t k = 0; k < 5; k++) {
                assert_in_range(ids[k], 500, 1499);
                seen[ids[k] - 500]++;
            }
        }
        workload_free(workload);
    }
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(seen[i], 1);
}

static void the_last_insert_has_what_is_left(void **state)
{
    (void)state;
    unsigned char seen[95] = {0};
    size_t n_requests = 0, n_written = 0;
    for (uint32_t thread = 0; thread < 3; thread++) {
        struct workload *workload = make("db-write:ids=95,rows=10", thread, 3);
        const struct client_answer good = {.status = 200};
        struct client_request request = {0};
        struct rng rng;
        rng_seed(&rng, 1);
        while (workload_next(workload, &rng, 0, &request)) {
            int64_t ids[10];
            size_t n = ids_of(&request, ids);
            for (size_t k = 0; k < n; k++)
                seen[ids[k]]++;
            n_requests++;
            n_written += ended(workload, 0, &good).done.n_written;
            request = (struct client_request){0};
        }
        workload_free(workload);
    }
    for (size_t i = 0; i < 95; i++)
        assert_int_equal(seen[i], 1);
    assert_int_equal(n_requests, 10);
    assert_int_equal(n_written, 95);
}

static void where_rows_are_removed_one_that_is_gone_is_no_error(void **state)
{
    (void)state;
    static const struct {
        const char *workload;
        enum verdict verdict;
    } cases[] = {{"db-mix:delete=100", VERDICT_OK},
                 {"db-mix:update=100", VERDICT_STATUS_4XX},
                 {"db-write", VERDICT_STATUS_4XX}};
    const struct client_answer gone = {.status = 404};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct workload *workload = make(cases[i].workload, 0, 1);
        struct client_request request = {0};
        struct rng rng;
        rng_seed(&rng, 1);
        assert_true(workload_next(workload, &rng, 0, &request));
        struct end end = ended(workload, 0, &gone);
        assert_int_equal(end.verdict, cases[i].verdict);
        assert_int_equal(end.done.n_written, 0);
        workload_free(workload);
    }
}

static void ycsb_asks_for_some_keys_far_more_often(void **state)
{
    (void)state;
    static const char *const names[] = {"ycsb-c:ids=1000,low=50", "ycsb-d:ids=1000,low=50"};
    for (size_t i = 0; i < 2; i++) {
        struct workload *workload = make(names[i], 0, 1);
        unsigned counts[2000] = {0}, most = 0, n = 0;
        struct rng rng;
        rng_seed(&rng, 1);
        for (int k = 0; k < 10000; k++) {
            struct client_request request = {0};
            long long key;
            workload_next(workload, &rng, 0, &request);
            if (sscanf(request.body, "{\"Stud_id\":{\"low\":%lld,", &key) != 1)
                continue;
            assert_in_range(key, 50, 1999);
            most = ++counts[key] > most ? counts[key] : most;
            n++;
        }
        /* Of 1000 keys by 1 / r^0.99 the first has an eighth; where the newest is the first, that
         * one moves on. */
        assert_in_range(n, 9000, 10000);
        assert_in_range(most, i == 0 ? 1000 : 30, 2000);
        workload_free(workload);
    }
}

static void keys_without_a_range_are_those_of_the_mix(void **state)
{
    (void)state;
    static const struct {
        const char *keys;
        int64_t low, last;
    } cases[] = {{NULL, 50, 149},
                 {"zipfian", 50, 149},
                 {"hotspot:keys=0.1", 50, 149},
                 {"uniform:low=60,high=70", 60, 70},
                 {"ids", 100000, 999999}};
    struct keys_place place = {.n_threads = 1};
    struct spec spec;
    struct err err = {0};
    assert_int_equal(spec_parse(&workload_family, "db-read:low=50,ids=100", &spec, &err), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct workload *workload;
        int64_t low, last;
        assert_int_equal(workload_db_new(&spec, cases[i].keys, &place, &workload, &err), 0);
        workload_db_range(workload, &low, &last);
        assert_true(low == cases[i].low && last == cases[i].last);
        workload_free(workload);
    }
    spec_done(&spec);
}

static void a_mix_keeps_its_percentages(void **state)
{
    (void)state;
    struct workload *workload = make("db-mix:read=50,update=30,insert=15,delete=5,ids=100", 0, 1);
    struct rng rng;
    rng_seed(&rng, 3);
    double counts[4] = {0}, expected[4] = {10000, 6000, 3000, 1000}, chi_square = 0;
    static const char *const targets[] = {"/read", "/update", "/write", "/del"};
    for (int i = 0; i < 20000; i++) {
        struct client_request request = {0};
        workload_next(workload, &rng, 0, &request);
        for (int k = 0; k < 4; k++)
            counts[k] += strcmp(request.target, targets[k]) == 0;
    }
    for (int k = 0; k < 4; k++)
        chi_square += (counts[k] - expected[k]) * (counts[k] - expected[k]) / expected[k];
    assert_true(chi_square < 16.27); /* 3 degrees of freedom, p = 0.001 */
    workload_free(workload);
}

static void a_read_without_its_row_is_no_success(void **state)
{
    (void)state;
    struct workload *workload = make("db-read:ids=1,low=8", 0, 1);
    struct rng rng;
    rng_seed(&rng, 3);
    struct client_request request = {0};
    workload_next(workload, &rng, 0, &request);
    assert_string_equal(request.body, "{\"Stud_id\":{\"low\":8,\"high\":8}}");
    struct buf body;
    buf_init(&body, 0);
    buf_append_str(&body, "{\"data\":[");
    struct client_answer answer = {.status = 200};
    buf_append_str(&body, "]}");
    answer.body = buf_head(&body), answer.body_bytes = buf_len(&body);
    assert_int_equal(ended(workload, 0, &answer).verdict, VERDICT_WRONG_BODY);
    body.end = body.start + 9;
    student_put(&body, 8, 0);
    buf_append_str(&body, "]}");
    answer.body = buf_head(&body), answer.body_bytes = buf_len(&body);
    assert_int_equal(ended(workload, 0, &answer).verdict, VERDICT_OK);
    assert_int_equal(ended(workload, 0, &answer).done.n_read, 1);
    buf_done(&body);
    workload_free(workload);
}

static void a_read_that_may_find_none_still_takes_no_stranger(void **state)
{
    (void)state;
    static const char none[] = "{\"data\":[]}", no_row[] = "{\"data\":[{\"Stud_id\":8}]}";
    struct workload *workload = make("db-read:ids=1,low=8,found=any", 0, 1);
    struct rng rng;
    struct client_request request = {0};
    struct client_answer answer = {.status = 200, .body = none, .body_bytes = sizeof(none) - 1};
    rng_seed(&rng, 3);
    workload_next(workload, &rng, 0, &request);
    assert_int_equal(ended(workload, 0, &answer).verdict, VERDICT_OK);
    assert_int_equal(ended(workload, 0, &answer).done.n_read, 0);
    answer.body = no_row, answer.body_bytes = sizeof(no_row) - 1;
    assert_int_equal(ended(workload, 0, &answer).verdict, VERDICT_WRONG_BODY);
    workload_free(workload);
}

static void a_read_modify_write_updates_the_key_it_read(void **state)
{
    (void)state;
    struct workload *workload = make("db-mix:rmw=100,ids=50", 0, 1);
    struct rng rng;
    rng_seed(&rng, 9);
    for (int i = 0; i < 20; i++) {
        struct client_request read = {0}, update = {0};
        long long low, high, key;
        workload_next(workload, &rng, 2, &read);
        assert_string_equal(read.target, "/read");
        assert_int_equal(
            sscanf(read.body, "{\"Stud_id\":{\"low\":%lld,\"high\":%lld}}", &low, &high), 2);
        workload_next(workload, &rng, 2, &update);
        assert_string_equal(update.target, "/update");
        assert_int_equal(sscanf(update.body, "{\"Stud_id\":%lld,", &key), 1);
        assert_true(key == low && low == high);
    }
    workload_free(workload);
}

static void requests_that_change_rows_are_told_from_reads(void **state)
{
    (void)state;
    struct rng rng;
    size_t n_writes = 0;
    struct workload *workload =
        make("db-mix:read=30,scan=10,update=20,insert=10,rmw=30,width=3", 0, 1);
    rng_seed(&rng, 5);
    const struct client_answer refused = {.status = 400};
    for (int i = 0; i < 2000; i++) {
        struct client_request request = {0};
        workload_next(workload, &rng, 0, &request);
        bool reads = strcmp(request.target, "/read") == 0;
        assert_int_equal(ended(workload, 0, &refused).done.is_write, !reads);
        n_writes += !reads;
    }
    /* 30 % are changes, and half of the 60 % that the 30 % of read-modify-writes come to. */
    assert_in_range(n_writes, 2000 * 60 / 130 - 150, 2000 * 60 / 130 + 150);
    workload_free(workload);
}

static void percentages_that_do_not_add_up_are_refused(void **state)
{
    (void)state;
    struct spec spec;
    struct err err = {0};
    struct workload *workload = NULL;
    struct keys_place place = {.n_threads = 1};
    assert_int_equal(spec_parse(&workload_family, "db-mix:read=50,update=40", &spec, &err), 0);
    assert_true(workload_db_new(&spec, NULL, &place, &workload, &err) < 0);
    assert_non_null(strstr(err.message, "90"));
    assert_null(workload);
    spec_done(&spec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writers_add_each_id_once_over_all_threads),
        cmocka_unit_test(the_last_insert_has_what_is_left),
        cmocka_unit_test(where_rows_are_removed_one_that_is_gone_is_no_error),
        cmocka_unit_test(ycsb_asks_for_some_keys_far_more_often),
        cmocka_unit_test(keys_without_a_range_are_those_of_the_mix),
        cmocka_unit_test(a_mix_keeps_its_percentages),
        cmocka_unit_test(a_read_without_its_row_is_no_success),
        cmocka_unit_test(a_read_that_may_find_none_still_takes_no_stranger),
        cmocka_unit_test(a_read_modify_write_updates_the_key_it_read),
        cmocka_unit_test(requests_that_change_rows_are_told_from_reads),
        cmocka_unit_test(percentages_that_do_not_add_up_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
