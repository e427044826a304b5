/* What GET /cluster answers, read and told. */
#include "ctl/story.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/json.h"

static const struct style plain = {.columns = 80, .rows = 24};

/* An event and the comma behind it. */
#define EVENT(ms, step, server, uid, detail)                                                       \
    "{\"at\":\"2026-11-21T09:30:12." #ms "Z\",\"monotonic_ns\":" #ms "000000,\"step\":\"" step     \
    "\",\"server\":\"" server "\",\"uid\":" #uid ",\"detail\":\"" detail "\"},"

/* A cluster with these events and one server. Fails the test where it cannot be read. */
static struct cluster cluster_with(const char *events)
{
    struct cluster cluster;
    struct buf text;
    struct err err;
    buf_init(&text, 0);
    buf_appendf(&text,
                "{\"version\":3,\"N\":1,\"target\":1,\"placement\":\"slots\",\"hash\":{\"request\":"
                "\"quadratic\",\"server\":\"xxh64\"},\"threads\":2,\"monotonic_ns\":900000000,"
                "\"servers\":[{\"name\":\"S1\",\"id\":1,\"uid\":1,\"state\":\"serving\","
                "\"address\":\"127.0.0.1:5001\",\"pid\":77,\"requests\":9007199254740993}],"
                "\"events\":[%.*s]}",
                (int)strlen(events) - (*events ? 1 : 0), events);
    cJSON *tree = json_parse(buf_head(&text), buf_len(&text), &err);
    assert_non_null(tree);
    assert_int_equal(cluster_read(tree, &cluster, &err), 0);
    buf_done(&text);
    return cluster;
}

/* The stories as they are printed, to be freed. The time zone is UTC. */
static char *tell(const char *events)
{
    struct cluster cluster = cluster_with(events);
    struct story *stories;
    struct buf out;
    buf_init(&out, 0);
    size_t n = stories_make(&cluster, &stories);
    for (size_t i = 0; i < n; i++) /* on that very day */
        story_print(&stories[i], &plain, UINT64_C(1795262400) * NS_PER_S, &out);
    char *text = strdup(buf_str(&out));
    free(stories);
    buf_done(&out);
    cluster_done(&cluster);
    return text;
}

static void assert_told(const char *events, const char *expected)
{
    char *told = tell(events);
    assert_string_equal(told, expected);
    free(told);
}

static void cluster_reads_numbers_to_the_last_digit(void **state)
{
    (void)state;
    struct cluster cluster = cluster_with(EVENT(100, "serving", "S1", 1, ""));
    assert_int_equal(cluster.n, 1);
    assert_true(cluster.servers[0].requests == UINT64_C(9007199254740993));
    assert_true(cluster.n_requests == UINT64_C(9007199254740993));
    assert_true(cluster.servers[0].serving);
    assert_true(cluster.servers[0].serving_since_ns == 100 * NS_PER_MS);
    assert_int_equal(cluster.servers[0].pid, 77);
    assert_string_equal(cluster.server_hash, "xxh64");
    assert_ptr_equal(cluster_find(&cluster, "S1"), &cluster.servers[0]);
    assert_null(cluster_find(&cluster, "S2"));
    assert_null(cluster_find_uid(&cluster, 2));
    cluster_done(&cluster);
}

static void cluster_names_what_is_missing(void **state)
{
    static const char *const texts[][2] = {
        {"{}", "\"version\""},
        {"[]", "\"version\""},
        {"{\"version\":-1}", "\"version\""},
        {"{\"version\":1,\"N\":1,\"target\":1,\"threads\":1,\"monotonic_ns\":1,\"placement\":\"p\","
         "\"hash\":{\"request\":\"a\",\"server\":\"b\"},\"servers\":{},\"events\":[]}",
         "\"servers\""},
        {"{\"version\":1,\"N\":1,\"target\":1,\"threads\":1,\"monotonic_ns\":1,\"placement\":\"p\","
         "\"hash\":{\"request\":\"a\",\"server\":\"b\"},\"servers\":[{\"state\":\"x\"}],"
         "\"events\":[]}",
         "\"name\""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct cluster cluster;
        struct err err = {0};
        cJSON *tree = json_parse(texts[i][0], strlen(texts[i][0]), &err);
        assert_int_equal(cluster_read(tree, &cluster, &err), -EPROTO);
        assert_non_null(strstr(err.message, texts[i][1]));
    }
}

static void a_start_is_told_with_the_time_until_it_serves(void **state)
{
    (void)state;
    assert_told(EVENT(100, "spawned", "S1", 1, "") EVENT(120, "listens", "S1", 1, "")
                    EVENT(131, "serving", "S1", 1, ""),
                "  09:30:12.100  S1 started, serves after 31.0 ms\n");
    assert_told(EVENT(100, "spawned", "S1", 1, ""), "  09:30:12.100  S1 started\n");
    assert_told(EVENT(120, "listens", "S1", 1, "adopted") EVENT(131, "serving", "S1", 1, ""),
                "  09:30:12.120  S1 found again, serves after 11.0 ms\n");
}

static void a_loss_is_told_with_its_replacement(void **state)
{
    (void)state;
    assert_told(EVENT(200, "detected", "S1", 1, "killed by SIGKILL")
                    EVENT(200, "spawned", "S9", 2, "") EVENT(201, "exited", "S1", 1, "")
                        EVENT(203, "out", "S1", 1, "") EVENT(238, "serving", "S9", 2, ""),
                "  09:30:12.200  S1 lost: killed by SIGKILL\n"
                "                out of the placement after 3.00 ms\n"
                "                S9 serves instead after 38.0 ms\n");
}

static void a_kill_on_request_is_told_from_the_kill_on(void **state)
{
    (void)state;
    assert_told(EVENT(198, "killed", "S1", 1, "") EVENT(200, "detected", "S1", 1, "gone")
                    EVENT(201, "spawned", "S9", 2, ""),
                "  09:30:12.198  S1 lost: gone\n"
                "                noticed 2.00 ms after it was killed\n"
                "                S9 was started instead after 3.00 ms\n");
}

static void who_was_lost_first_is_replaced_first(void **state)
{
    (void)state;
    assert_told(EVENT(200, "detected", "S1", 1, "a") EVENT(200, "spawned", "S8", 3, "")
                    EVENT(201, "detected", "S2", 2, "b") EVENT(201, "spawned", "S9", 4, "")
                        EVENT(240, "serving", "S9", 4, "") EVENT(250, "serving", "S8", 3, ""),
                "  09:30:12.200  S1 lost: a\n"
                "                S8 serves instead after 50.0 ms\n"
                "  09:30:12.201  S2 lost: b\n"
                "                S9 serves instead after 39.0 ms\n");
}

static void a_replacement_that_fails_is_told_with_the_next_one(void **state)
{
    (void)state;
    assert_told(EVENT(200, "detected", "S1", 1, "a") EVENT(200, "spawned", "S8", 2, "")
                    EVENT(210, "failed", "S8", 2, "no memory")
                        EVENT(210, "detected", "S8", 2, "no memory")
                            EVENT(310, "spawned", "S9", 3, "") EVENT(320, "serving", "S9", 3, ""),
                "  09:30:12.200  S1 lost: a\n"
                "                S8 was started instead after 0.000 ms\n"
                "  09:30:12.210  S8 could not be started: no memory\n"
                "                S9 serves instead after 110 ms\n");
}

static void a_removal_is_told_with_draining_and_end(void **state)
{
    (void)state;
    assert_told(EVENT(300, "draining", "S1", 1, "") EVENT(302, "drained", "S1", 1, "")
                    EVENT(312, "exited", "S1", 1, ""),
                "  09:30:12.300  S1 removed, drained after 2.00 ms, ended after 12.0 ms\n");
}

static void an_added_server_after_a_removal_replaces_nobody(void **state)
{
    (void)state;
    assert_told(EVENT(300, "draining", "S1", 1, "") EVENT(302, "drained", "S1", 1, "")
                    EVENT(400, "spawned", "S2", 2, "") EVENT(431, "serving", "S2", 2, ""),
                "  09:30:12.300  S1 removed, drained after 2.00 ms\n"
                "  09:30:12.400  S2 started, serves after 31.0 ms\n");
}

static void steps_of_a_later_version_are_passed_over(void **state)
{
    (void)state;
    assert_told(EVENT(300, "promoted", "S1", 1, ""), "");
    assert_told("", "");
}

static int set_utc(void **state)
{
    (void)state;
    return setenv("TZ", "UTC", 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cluster_reads_numbers_to_the_last_digit),
        cmocka_unit_test(cluster_names_what_is_missing),
        cmocka_unit_test(a_start_is_told_with_the_time_until_it_serves),
        cmocka_unit_test(a_loss_is_told_with_its_replacement),
        cmocka_unit_test(a_kill_on_request_is_told_from_the_kill_on),
        cmocka_unit_test(who_was_lost_first_is_replaced_first),
        cmocka_unit_test(a_replacement_that_fails_is_told_with_the_next_one),
        cmocka_unit_test(a_removal_is_told_with_draining_and_end),
        cmocka_unit_test(an_added_server_after_a_removal_replaces_nobody),
        cmocka_unit_test(steps_of_a_later_version_are_passed_over),
    };
    return cmocka_run_group_tests(tests, set_utc, NULL);
}
