/* A run on a database that lies (tests/support/fake_database.h): the requests of real workloads,
 * with answers as a test wants them, and what verification makes of what is there then. */
#include "loadgen/verification.h"

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
#include "loadgen/student.h"
#include "tests/support/fake_database.h"

#define MAX_THREADS 2

static struct fake_database *database;

struct run {
    struct spec client, spec;
    struct workload *workloads[MAX_THREADS];
    struct rng rng;
    struct verification verification;
    struct err err;
    int rc;
};

static void begin(struct run *run, const char *workload, enum verification_mode mode,
                  uint32_t n_threads, uint64_t n_requests)
{
    struct err *err = &run->err;
    memset(run, 0, sizeof(*run));
    rng_seed(&run->rng, 5);
    assert_int_equal(spec_parse(&client_family, "raw", &run->client, err), 0);
    assert_int_equal(spec_parse(&workload_family, workload, &run->spec, err), 0);
    struct verification_config config = {.mode = mode,
                                         .client = &run->client,
                                         .addr = *fake_database_addr(database),
                                         .timeout_ns = 5 * NS_PER_S,
                                         .patience_ns = 300 * NS_PER_MS,
                                         .workloads = run->workloads,
                                         .n_threads = n_threads,
                                         .n_requests = n_requests};
    assert_int_equal(workload_db_mix(&run->spec, &config.mix, err), 0);
    for (uint32_t i = 0; i < n_threads; i++) {
        struct keys_place place = {.seed = 1, .thread = i, .n_threads = n_threads};
        assert_int_equal(workload_db_new(&run->spec, NULL, &place, &run->workloads[i], err), 0);
    }
    run->rc = verification_begin(&run->verification, &config, err);
}

static void done(struct run *run)
{
    verification_done(&run->verification);
    for (size_t i = 0; i < MAX_THREADS; i++)
        workload_free(run->workloads[i]);
    spec_done(&run->spec);
    spec_done(&run->client);
    fake_database_clear(database);
    fake_database_behave(database, (struct fake_behaviour){0});
}

/* What the slot's request is about: the rows in its body, or the key alone. */
struct asked {
    const char *target;
    int64_t keys[64];
    uint64_t versions[64];
    size_t n;
};

static struct asked ask(struct run *run, uint32_t thread, uint32_t slot)
{
    struct client_request request = {0};
    struct asked asked = {.n = 0};
    assert_true(workload_next(run->workloads[thread], &run->rng, slot, &request));
    asked.target = request.target;
    for (const char *at = request.body; (at = strstr(at, "{\"Stud_id\":")); at++) {
        int64_t key;
        uint64_t version;
        size_t left = strlen(at), len = student_read(at, left, &key, &version);
        if (len == 0)
            continue;
        asked.keys[asked.n] = key;
        asked.versions[asked.n++] = version;
    }
    return asked;
}

static void answer(struct run *run, uint32_t thread, uint32_t slot, int status, uint64_t start_ms,
                   uint64_t end_ms)
{
    const struct client_answer client_answer = {.error = status ? CLIENT_OK : CLIENT_TIMEOUT,
                                                .status = status,
                                                .submitted_ns = start_ms * NS_PER_MS,
                                                .done_ns = end_ms * NS_PER_MS};
    const struct verify verify = {NULL};
    struct workload_done workload_done;
    workload_ended(run->workloads[thread], slot, &client_answer,
                   verify_answer(&verify, &client_answer), &workload_done);
}

/* The request is answered, and done when the answer says so. */
static struct asked do_one(struct run *run, int status, uint64_t at_ms)
{
    struct asked asked = ask(run, 0, 0);
    for (size_t i = 0; i < asked.n && status == 200; i++)
        fake_database_put(database, asked.keys[i], asked.versions[i]);
    answer(run, 0, 0, status, at_ms, at_ms + 1);
    return asked;
}

static void do_all(struct run *run, size_t n)
{
    for (size_t i = 0; i < n; i++)
        do_one(run, 200, 10 * i + 10);
}

static void end(struct run *run)
{
    verification_end(&run->verification, false);
}

static void is_good(const struct run *run)
{
    if (run->verification.n_reasons)
        fail_msg("%s", run->verification.reasons[0]);
    assert_true(run->verification.done);
}

/* It is INVALID, and says these words. */
static void is_blamed(const struct run *run, const char *words)
{
    assert_int_equal(run->verification.n_reasons, 1);
    if (!strstr(run->verification.reasons[0], words))
        fail_msg("no '%s' in: %s", words, run->verification.reasons[0]);
}

static const struct audit_counts *counts(const struct run *run)
{
    return &run->verification.audit.counts;
}

/* ---- rows -------------------------------------------------------------------------------------
 */

static void what_was_written_is_there(void **state)
{
    (void)state;
    struct run run;
    begin(&run, "db-write:ids=150,rows=4", VERIFICATION_ALL, 1, 38);
    assert_int_equal(run.rc, 0);
    do_all(&run, 38);
    struct client_request request = {0};
    assert_false(workload_next(run.workloads[0], &run.rng, 0, &request)); /* all ids are added */
    end(&run);
    is_good(&run);
    assert_int_equal(counts(&run)->n_expected, 150);
    assert_int_equal(counts(&run)->n_read, 150);
    assert_int_equal(run.verification.n_read[0], 100);
    assert_int_equal(run.verification.n_read[1], 50);
    assert_true(run.verification.replicas.compared && run.verification.replicas.equal);
    done(&run);
}

static void a_missing_row_is_named(void **state)
{
    (void)state;
    struct run run;
    begin(&run, "db-write:ids=150", VERIFICATION_ALL, 1, 150);
    do_all(&run, 150);
    fake_database_put(database, 42, STUDENT_NONE);
    end(&run);
    is_blamed(&run, "Stud_id 42 is missing");
    assert_int_equal(counts(&run)->n_missing, 1);
    assert_int_equal(counts(&run)->n_read, 149);
    done(&run);
}

static void a_row_that_nobody_wrote_is_named(void **state)
{
    (void)state;
    struct run run;
    begin(&run, "db-write:ids=50", VERIFICATION_ALL, 1, 50);
    do_all(&run, 50);
    fake_database_put(database, 180, 0);
    end(&run);
    is_blamed(&run, "Stud_id 180 holds version 0, and no row may be there");
    assert_int_equal(counts(&run)->n_unexpected, 1);
    done(&run);
}

static void a_stale_row_is_named(void **state)
{
    (void)state;
    struct run run;
    for (int64_t key = 0; key < 20; key++)
        fake_database_put(database, key, 3);
    begin(&run, "db-mix:update=100,ids=20", VERIFICATION_ALL, 1, 60);
    do_all(&run, 60);
    struct asked last = do_one(&run, 200, 5000);
    assert_true(last.versions[0] > 3); /* no version is used again */
    fake_database_put(database, last.keys[0], 3);
    end(&run);
    is_blamed(&run, "holds version 3 in place of version");
    assert_int_equal(counts(&run)->n_wrong, 1);
    assert_int_equal(counts(&run)->n_expected, 20);
    done(&run);
}

static void a_row_of_before_that_changed_is_named(void **state)
{
    (void)state;
    struct run run;
    static const char other[] = "{\"Stud_id\":150,\"Stud_name\":\"GHI\",\"Stud_marks\":27}";
    fake_database_put_text(database, 150, other);
    for (int64_t key = 0; key < 50; key++)
        fake_database_put(database, key, 0);
    begin(&run, "db-read:ids=50", VERIFICATION_ALL, 1, 10);
    assert_int_equal(run.rc, 0);
    end(&run);
    is_good(&run); /* whatever it was, it still is */
    assert_int_equal(counts(&run)->n_before, 51);
    done(&run);
    fake_database_put_text(database, 150, other);
    begin(&run, "db-read:ids=1", VERIFICATION_NONE, 1, 10);
    done(&run);
    fake_database_put(database, 0, 0);
    fake_database_put_text(database, 150, other);
    begin(&run, "db-read:ids=1", VERIFICATION_ALL, 1, 10);
    fake_database_put(database, 150, 0);
    end(&run);
    is_blamed(&run, "Stud_id 150 holds version 0 in place of a row that no workload writes");
    done(&run);
}

static void what_a_failed_request_wrote_may_be_there_or_not(void **state)
{
    (void)state;
    static const int statuses[] = {0, 503, 500, 504};
    for (size_t i = 0; i < sizeof(statuses) / sizeof(*statuses); i++)
        for (int is_there = 0; is_there < 2; is_there++) {
            struct run run;
            begin(&run, "db-write:ids=50", VERIFICATION_ALL, 1, 50);
            do_all(&run, 49);
            struct asked asked = do_one(&run, statuses[i], 5000);
            if (is_there)
                fake_database_put(database, asked.keys[0], 0);
            end(&run);
            is_good(&run);
            assert_int_equal(counts(&run)->n_unknown, 1);
            assert_int_equal(counts(&run)->n_expected, 49);
            assert_int_equal(counts(&run)->n_read, 49 + is_there);
            done(&run);
        }
}

static void a_refused_write_must_not_be_there(void **state)
{
    (void)state;
    static const int statuses[] = {400, 404, 413};
    for (size_t i = 0; i < sizeof(statuses) / sizeof(*statuses); i++) {
        struct run run;
        begin(&run, "db-write:ids=50", VERIFICATION_ALL, 1, 50);
        struct asked asked = do_one(&run, statuses[i], 10);
        fake_database_put(database, asked.keys[0], 0);
        end(&run);
        is_blamed(&run, "no row may be there");
        done(&run);
    }
}

static void a_write_under_way_when_the_run_is_cut_off_is_in_doubt(void **state)
{
    (void)state;
    struct run run;
    begin(&run, "db-write:ids=50", VERIFICATION_ALL, 1, 50);
    struct asked asked = ask(&run, 0, 3);
    fake_database_put(database, asked.keys[0], 0);
    end(&run);
    is_good(&run);
    assert_int_equal(counts(&run)->n_unknown, 1);
    done(&run);
}

static void of_concurrent_updates_either_may_be_last(void **state)
{
    (void)state;
    for (int last = 0; last < 3; last++) {
        struct run run;
        fake_database_put(database, 7, 0);
        begin(&run, "db-mix:update=100,low=7,ids=1", VERIFICATION_ALL, 2, 0);
        struct asked first = ask(&run, 0, 0);
        answer(&run, 0, 0, 200, 10, 20);
        struct asked a = ask(&run, 0, 0), b = ask(&run, 1, 0);
        assert_true(a.versions[0] != b.versions[0]);
        answer(&run, 0, 0, 200, 30, 50);
        answer(&run, 1, 0, 200, 40, 60);
        fake_database_put(database, 7,
                          last == 0   ? a.versions[0]
                          : last == 1 ? b.versions[0]
                                      : first.versions[0]);
        end(&run);
        if (last < 2)
            is_good(&run);
        else
            is_blamed(&run, "Stud_id 7 holds version");
        done(&run);
    }
}

static void a_removed_row_must_be_gone(void **state)
{
    (void)state;
    for (int is_gone = 0; is_gone < 2; is_gone++) {
        struct run run;
        fake_database_put(database, 7, 0);
        begin(&run, "db-mix:delete=100,low=7,ids=1", VERIFICATION_ALL, 1, 0);
        do_one(&run, 200, 10);
        if (is_gone)
            fake_database_put(database, 7, STUDENT_NONE);
        end(&run);
        if (is_gone)
            is_good(&run);
        else
            is_blamed(&run, "Stud_id 7 holds version 0, and no row may be there");
        done(&run);
    }
}

/* ---- how it is read ---------------------------------------------------------------------------
 */

static void a_long_answer_is_asked_for_in_pieces(void **state)
{
    (void)state;
    struct run run;
    fake_database_behave(database, (struct fake_behaviour){.max_rows = 3});
    begin(&run, "db-write:ids=150", VERIFICATION_ALL, 1, 150);
    do_all(&run, 150);
    end(&run);
    is_good(&run);
    assert_int_equal(counts(&run)->n_read, 150);
    done(&run);
}

static void a_page_that_fails_is_asked_for_again(void **state)
{
    (void)state;
    for (int cut = 0; cut < 2; cut++) {
        struct run run;
        begin(&run, "db-write:ids=150", VERIFICATION_ALL, 1, 150);
        do_all(&run, 150);
        fake_database_behave(database, (struct fake_behaviour){.read_code = cut ? 0 : 503,
                                                               .cut_reads = cut,
                                                               .n_bad_reads = 2});
        end(&run);
        is_good(&run);
        assert_int_equal(counts(&run)->n_read, 150);
        assert_in_range(fake_database_reads(database), 4, 4);
        done(&run);
    }
}

static void pages_that_go_on_failing_make_it_invalid(void **state)
{
    (void)state;
    static const struct {
        struct fake_behaviour behaviour;
        const char *words;
    } cases[] = {{{.read_code = 503}, "POST /read: HTTP 503"},
                 {{.read_code = 409}, "POST /read: HTTP 409"},
                 {{.cut_reads = true}, "cut off"},
                 {{.status_code = 409}, "there is no database yet"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct run run;
        begin(&run, "db-write:ids=150", VERIFICATION_ALL, 1, 150);
        do_all(&run, 150);
        fake_database_behave(database, cases[i].behaviour);
        end(&run);
        is_blamed(&run, cases[i].words);
        assert_false(run.verification.done);
        done(&run);
    }
}

static void a_dead_load_balancer_makes_it_invalid(void **state)
{
    (void)state;
    struct run run;
    begin(&run, "db-write:ids=150", VERIFICATION_ALL, 1, 150);
    do_all(&run, 150);
    fake_database_stop(database);
    end(&run);
    database = fake_database_start();
    is_blamed(&run, "GET /status");
    assert_false(run.verification.done);
    done(&run);
}

/* ---- replicas ---------------------------------------------------------------------------------
 */

static void replicas_that_differ_are_named(void **state)
{
    (void)state;
    static const struct {
        enum fake_digest digest;
        const char *words;
    } cases[] = {
        {FAKE_DIGEST_UNEQUAL, "the replicas of shard sh2 are not equal: Server1 has"},
        {FAKE_DIGEST_SILENT, "shard sh1 are not equal: Server1 did not tell: no answer"},
        {FAKE_DIGEST_MORE, "100 rows of shard sh1 were read back, and its replicas say 101"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct run run;
        begin(&run, "db-write:ids=150", VERIFICATION_ALL, 1, 150);
        do_all(&run, 150);
        fake_database_behave(database, (struct fake_behaviour){.digest = cases[i].digest});
        end(&run);
        is_blamed(&run, cases[i].words);
        assert_true(run.verification.done);
        done(&run);
    }
}

static void replicas_alone_are_compared_when_that_is_asked(void **state)
{
    (void)state;
    struct run run;
    begin(&run, "db-write:ids=150", VERIFICATION_REPLICAS, 1, 150);
    assert_int_equal(fake_database_reads(database), 0);
    fake_database_behave(database, (struct fake_behaviour){.digest = FAKE_DIGEST_UNEQUAL});
    end(&run);
    is_blamed(&run, "shard sh2 are not equal");
    assert_int_equal(fake_database_reads(database), 0);
    assert_false(run.verification.rows_were_read);
    done(&run);
}

static void replicas_that_become_equal_in_time_are_good(void **state)
{
    (void)state;
    static const enum fake_digest digests[] = {FAKE_DIGEST_UNEQUAL, FAKE_DIGEST_SHORT};
    for (size_t i = 0; i < 2; i++) {
        struct run run;
        begin(&run, "db-write:ids=150", VERIFICATION_ALL, 1, 150);
        do_all(&run, 150);
        fake_database_behave(database,
                             (struct fake_behaviour){.digest = digests[i], .n_bad_digests = 1});
        end(&run);
        is_good(&run);
        assert_int_equal(run.verification.replicas.n_short, 0);
        done(&run);
    }
}

static void a_replica_that_does_not_come_back_is_told_and_no_reason(void **state)
{
    (void)state;
    struct run run;
    begin(&run, "db-write:ids=150", VERIFICATION_ALL, 1, 150);
    do_all(&run, 150);
    fake_database_behave(database, (struct fake_behaviour){.digest = FAKE_DIGEST_SHORT});
    end(&run);
    is_good(&run);
    assert_int_equal(run.verification.replicas.n_short, 1);
    done(&run);
}

static void a_target_without_digests_is_said_not_to_be_compared(void **state)
{
    (void)state;
    struct run run;
    begin(&run, "db-write:ids=150", VERIFICATION_ALL, 1, 150);
    do_all(&run, 150);
    fake_database_behave(database, (struct fake_behaviour){.digest = FAKE_DIGEST_NONE});
    end(&run);
    is_good(&run);
    cJSON *tree = verification_json(&run.verification);
    assert_true(cJSON_IsFalse(json_get(json_get(tree, "replicas"), "compared")));
    assert_true(cJSON_IsNull(json_get(cJSON_GetArrayItem(json_get(tree, "shards"), 0), "rows")));
    cJSON_Delete(tree);
    done(&run);
}

/* ---- before -----------------------------------------------------------------------------------
 */

static void what_cannot_be_run_is_said_before(void **state)
{
    (void)state;
    static const struct {
        const char *workload;
        struct fake_behaviour behaviour;
        const char *words;
    } cases[] = {
        {"db-write:ids=150", {.status_code = 409}, "POST /init first"},
        {"db-write:ids=150", {.status_code = 404}, "no load balancer with a database"},
        {"db-write:ids=150", {.status_body = "[]"}, "it tells no schema"},
        {"db-write:ids=150", {.status_body = "{"}, "no JSON"},
        {"db-write:ids=150",
         {.status_body = "{\"schema\":{\"columns\":[\"id\"],\"dtypes\":[\"Number\"]},"
                         "\"shards\":[],\"servers\":{}}"},
         "its table is not the example's"},
        {"db-write:ids=201", {0}, "no shard holds 200; there are sh1 0 to 99, sh2 100 to 199"},
        {"db-read:low=300", {0}, "keys 300 to 10299 are asked for, and no shard holds 300"},
        {"db-mix:read=50,insert=50,ids=190", {0}, "keys 190 to 290"},
        {"db-write:ids=150", {.read_code = 400}, "POST /read: HTTP 400"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct run run;
        fake_database_behave(database, cases[i].behaviour);
        begin(&run, cases[i].workload, VERIFICATION_ALL, 1, 200);
        assert_true(run.rc < 0);
        if (!strstr(run.err.message, cases[i].words))
            fail_msg("no '%s' in: %s", cases[i].words, run.err.message);
        done(&run);
    }
}

static void a_gap_between_shards_is_named(void **state)
{
    (void)state;
    struct target target;
    struct err err;
    static const char text[] = "{\"schema\":" STUDENT_SCHEMA ",\"shards\":["
                               "{\"Stud_id_low\":0,\"Shard_id\":\"a\",\"Shard_size\":10},"
                               "{\"Stud_id_low\":20,\"Shard_id\":\"b\",\"Shard_size\":10}],"
                               "\"servers\":{}}";
    assert_int_equal(target_parse(text, strlen(text), &target, &err), 0);
    assert_int_equal(target_check_range(&target, 20, 29, &err), 0);
    assert_true(target_check_range(&target, 5, 25, &err) < 0);
    assert_non_null(strstr(err.message, "no shard holds 10; there are a 0 to 9, b 20 to 29"));
    assert_int_equal(target_room(&target, 25), 5);
    assert_int_equal(target_room(&target, 15), 0);
    target_done(&target);
}

static void inserts_beside_reads_end_with_the_shards(void **state)
{
    (void)state;
    struct run run;
    struct client_request request;
    size_t n = 0;
    for (int64_t key = 0; key < 190; key++)
        fake_database_put(database, key, 0);
    begin(&run, "db-mix:insert=90,read=10,ids=190", VERIFICATION_ALL, 2, 0);
    assert_int_equal(run.rc, 0);
    while (request = (struct client_request){0},
           workload_next(run.workloads[0], &run.rng, 0, &request)) {
        n += strcmp(request.target, "/write") == 0;
        answer(&run, 0, 0, 503, 10, 20);
        assert_in_range(n, 0, 5);
    }
    assert_int_equal(n, 5); /* of the ten keys left half are this thread's */
    done(&run);
}

static int start(void **state)
{
    (void)state;
    database = fake_database_start();
    return 0;
}

static int stop(void **state)
{
    (void)state;
    fake_database_stop(database);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_there),
        cmocka_unit_test(a_missing_row_is_named),
        cmocka_unit_test(a_row_that_nobody_wrote_is_named),
        cmocka_unit_test(a_stale_row_is_named),
        cmocka_unit_test(a_row_of_before_that_changed_is_named),
        cmocka_unit_test(what_a_failed_request_wrote_may_be_there_or_not),
        cmocka_unit_test(a_refused_write_must_not_be_there),
        cmocka_unit_test(a_write_under_way_when_the_run_is_cut_off_is_in_doubt),
        cmocka_unit_test(of_concurrent_updates_either_may_be_last),
        cmocka_unit_test(a_removed_row_must_be_gone),
        cmocka_unit_test(a_long_answer_is_asked_for_in_pieces),
        cmocka_unit_test(a_page_that_fails_is_asked_for_again),
        cmocka_unit_test(pages_that_go_on_failing_make_it_invalid),
        cmocka_unit_test(a_dead_load_balancer_makes_it_invalid),
        cmocka_unit_test(replicas_that_differ_are_named),
        cmocka_unit_test(replicas_alone_are_compared_when_that_is_asked),
        cmocka_unit_test(replicas_that_become_equal_in_time_are_good),
        cmocka_unit_test(a_replica_that_does_not_come_back_is_told_and_no_reason),
        cmocka_unit_test(a_target_without_digests_is_said_not_to_be_compared),
        cmocka_unit_test(what_cannot_be_run_is_said_before),
        cmocka_unit_test(a_gap_between_shards_is_named),
        cmocka_unit_test(inserts_beside_reads_end_with_the_shards),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
