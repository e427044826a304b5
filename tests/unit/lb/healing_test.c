/* What the control plane does about servers that die, hang, lie, or cannot be started. Those that
 * an earlier life of the LB left behind are in adoption_test.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "lb/worker.h"
#include "tests/support/lb_bed.h"
#include "tests/support/placement_fixture.h"

static struct lb_bed *bed;

static int set_up(void **state)
{
    (void)state;
    bed = lb_bed_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    lb_bed_free(bed);
    return 0;
}

/* The name of the server that a /slow sent now falls to; the request's descriptor. */
static int begin_slow(char *ret_name, size_t bytes)
{
    int fd = lb_bed_begin(bed, "GET", "/slow", NULL, NULL);
    double until = lb_bed_now_s() + LB_BED_PATIENCE_S;

    for (int i = 0; lb_bed_now_s() < until; i++) {
        snprintf(ret_name, bytes, "Server%d", 1 + i % 3);
        if (lb_bed_n_slow(bed, ret_name) > 0)
            return fd;
    }
    fail_msg("nobody got the request");
    return -1;
}

/* Releases /slow wherever it waits now, but for `lost`, until fd is answered with 200. */
static void expect_answered_elsewhere(int fd, const char *lost)
{
    double until = lb_bed_now_s() + LB_BED_PATIENCE_S;
    int status;

    while (!lb_bed_answered(fd) && lb_bed_now_s() < until) {
        char rep[256];
        snprintf(rep, sizeof(rep), "%s", lb_bed_rep(bed));
        for (char *save, *name = strtok_r(rep, " ", &save); name; name = strtok_r(NULL, " ", &save))
            if (strcmp(name, lost) != 0)
                lb_bed_release(bed, name);
    }
    const char *body = lb_bed_end(bed, fd, &status);
    if (status != 200 || strcmp(body, lost) == 0)
        fail_msg("%d %s", status, body);
}

/* ---- death ------------------------------------------------------------------------------------
 */

static void a_server_that_exits_is_replaced_under_a_new_name(void **state)
{
    (void)state;
    lb_bed_config(bed)->n_threads = 2;
    lb_bed_start(bed);
    for (int i = 0; i < 20; i++)
        lb_bed_home(bed, NULL); /* so that there are connections to lose */
    lb_bed_exit(bed, "Server2", "killed by SIGSEGV");
    lb_bed_shut(bed, "Server2");
    double until = lb_bed_now_s() + 0.3;
    while (lb_bed_now_s() < until)
        assert_string_not_equal(lb_bed_home(bed, NULL), "Server2"); /* no request fails */
    lb_bed_wait(lb_bed_is_healed(bed, "Server2"));
    const char *rep = lb_bed_rep(bed);
    assert_true(strncmp(rep, "Server1 Server3 Server", 22) == 0);
    assert_int_equal(strlen(rep), 22 + 6);
    uint64_t detected_ns = lb_bed_event_ns(bed, "detected", "Server2", 0);
    uint64_t out_ns = lb_bed_event_ns(bed, "out", "Server2", 0);
    uint64_t serving_ns = lb_bed_event_ns(bed, "serving", rep + 16, 0);
    assert_true(detected_ns > 0 && out_ns >= detected_ns && serving_ns >= detected_ns);
    assert_true(lb_bed_event_says(bed, "exited", "killed by SIGSEGV"));
    assert_int_equal(lb_bed_metric(bed, "quoit_lb_server_deaths_total"), 1);
    assert_int_equal(lb_bed_metric(bed, "quoit_lb_answers_5xx_total"), 0);
}

static void a_server_whose_port_is_shut_fails_no_request_and_is_replaced(void **state)
{
    (void)state;
    /* Nobody tells of its end, heartbeats come once in ten minutes: the refused connection alone
     * says it, to the request that meets it. */
    lb_bed_config(bed)->heartbeat_ns = 600 * NS_PER_S;
    lb_bed_start(bed);
    lb_bed_shut(bed, "Server1");
    for (int i = 0; i < 200; i++)
        assert_string_not_equal(lb_bed_home(bed, NULL), "Server1");
    lb_bed_wait(lb_bed_is_healed(bed, "Server1"));
    assert_true(lb_bed_was_stopped(bed, "Server1", NULL)); /* fenced */
    assert_int_equal(lb_bed_metric(bed, "quoit_lb_answers_5xx_total"), 0);
}

static void a_request_whose_connection_cannot_even_be_begun_is_asked_of_another(void **state)
{
    struct placement_fixture fixture;
    struct rlimit before, none;
    char headers[2][32] = {"", ""};
    int status;

    (void)state;
    lb_bed_config(bed)->n_servers = 2;
    lb_bed_config(bed)->heartbeat_ns = 600 * NS_PER_S;
    assert_int_equal(key_source_parse("header:X-Id", &lb_bed_config(bed)->key_source, NULL), 0);
    /* A key of each server. */
    placement_fixture_open(&fixture, "slots", "splitmix64");
    struct placement *placement = placement_fixture_build_n(&fixture, 2);
    for (int key = 1; !headers[0][0] || !headers[1][0]; key++)
        snprintf(headers[placement_lookup(placement, (uint64_t)key)], 32, "X-Id: %d\r\n", key);
    placement_free(placement);
    placement_fixture_close(&fixture);
    lb_bed_start(bed);
    assert_string_equal(lb_bed_home(bed, headers[0]), "Server1");
    int fd = lb_bed_connect(bed);
    lb_bed_wait(lb_bed_metric(bed, "quoit_http_connections") == 2); /* it and the question */
    /* From here on there is no descriptor for a connection to Server2. */
    getrlimit(RLIMIT_NOFILE, &before);
    none = before;
    int lowest_free = dup(0);
    close(lowest_free);
    none.rlim_cur = (rlim_t)lowest_free;
    setrlimit(RLIMIT_NOFILE, &none);
    lb_bed_ask(fd, "GET", "/home", headers[1], NULL);
    lb_bed_wait(lb_bed_answered(fd));
    setrlimit(RLIMIT_NOFILE, &before);
    assert_string_equal(lb_bed_end(bed, fd, &status), "Server1");
    assert_int_equal(status, 200);
    lb_bed_wait(lb_bed_metric(bed, "quoit_lb_retries_total") == 1);
    /* It was looked after, found alive, and kept. */
    assert_string_equal(lb_bed_rep(bed), "Server1 Server2");
    lb_bed_wait(strcmp(lb_bed_home(bed, headers[1]), "Server2") == 0);
}

static void a_request_under_way_to_a_dead_server_is_asked_of_another(void **state)
{
    char name[32];

    (void)state;
    lb_bed_start(bed);
    int fd = begin_slow(name, sizeof(name));
    lb_bed_hang(bed, name, true);
    lb_bed_exit(bed, name, "exit status 1");
    expect_answered_elsewhere(fd, name);
    lb_bed_wait(lb_bed_is_healed(bed, name));
}

static void a_request_that_may_not_be_repeated_is_refused(void **state)
{
    char name[32];
    int status;

    (void)state;
    lb_bed_start(bed);
    int fd = lb_bed_begin(bed, "POST", "/slow", NULL, "x");
    for (int i = 0;; i++) {
        snprintf(name, sizeof(name), "Server%d", 1 + i % 3);
        if (lb_bed_n_slow(bed, name) > 0)
            break;
        assert_true(i < 100000);
    }
    lb_bed_exit(bed, name, "exit status 1");
    assert_non_null(strstr(lb_bed_end(bed, fd, &status), "<Error>"));
    assert_int_equal(status, 503);
    for (int i = 1; i <= 3; i++) { /* nobody else has seen it */
        char other[32];
        snprintf(other, sizeof(other), "Server%d", i);
        if (strcmp(other, name) != 0)
            assert_int_equal(lb_bed_n_slow(bed, other), 0);
    }
}

/* The server that holds the one /slow there is, other than `lost`; "" if it was answered. */
static void find_slow(int fd, const char *lost, char *ret_name, size_t bytes)
{
    char rep[256], *save;

    ret_name[0] = '\0';
    double until = lb_bed_now_s() + LB_BED_PATIENCE_S;
    while (!lb_bed_answered(fd) && lb_bed_now_s() < until) {
        snprintf(rep, sizeof(rep), "%s", lb_bed_rep(bed));
        for (char *name = strtok_r(rep, " ", &save); name; name = strtok_r(NULL, " ", &save)) {
            if (strcmp(name, lost) != 0 && lb_bed_n_slow(bed, name) > 0) {
                snprintf(ret_name, bytes, "%s", name);
                return;
            }
        }
    }
}

/* As when a machine dies with several of them, of which the next one is not known to be dead yet.
 */
static void a_request_outlives_several_servers_but_not_all(void **state)
{
    char name[32], lost[32];
    int status;

    (void)state;
    lb_bed_start(bed);
    int fd = begin_slow(name, sizeof(name));
    for (unsigned i = 1; i < WORKER_MAX_TRIES; i++) {
        snprintf(lost, sizeof(lost), "%s", name);
        lb_bed_exit(bed, lost, "exit status 1");
        find_slow(fd, lost, name, sizeof(name));
        assert_string_not_equal(name, "");
    }
    lb_bed_exit(bed, name, "exit status 1");
    assert_non_null(strstr(lb_bed_end(bed, fd, &status), "<Error>"));
    assert_int_equal(status, 503);
    assert_int_equal(lb_bed_metric(bed, "quoit_lb_retries_total"), WORKER_MAX_TRIES - 1);
}

static void a_killed_server_is_replaced(void **state)
{
    int status;

    (void)state;
    lb_bed_start(bed);
    lb_bed_call(bed, "POST", "/cluster/kill", "{\"server\":\"Server3\"}", &status);
    assert_int_equal(status, 200);
    lb_bed_wait(lb_bed_is_healed(bed, "Server3"));
    lb_bed_call(bed, "POST", "/cluster/kill", "{\"server\":\"Server3\"}", &status);
    assert_int_equal(status, 400);
}

static void all_servers_may_die_at_once(void **state)
{
    (void)state;
    lb_bed_start(bed);
    lb_bed_hold_starts(bed, true);
    for (int i = 1; i <= 3; i++) {
        char name[16];
        snprintf(name, sizeof(name), "Server%d", i);
        lb_bed_exit(bed, name, "exit status 1");
    }
    lb_bed_wait(*lb_bed_rep(bed) == '\0');
    int status;
    lb_bed_call(bed, "GET", "/healthz", NULL, &status);
    assert_int_equal(status, 503);
    lb_bed_call(bed, "GET", "/home", NULL, &status);
    assert_int_equal(status, 503);
    lb_bed_hold_starts(bed, false);
    lb_bed_wait(lb_bed_n_serving(bed) == 3);
    lb_bed_home(bed, NULL);
}

/* ---- hanging and lying ------------------------------------------------------------------------
 */

static void an_answer_that_is_owed_for_too_long_holds_up_nobody(void **state)
{
    char name[32];
    int status;

    (void)state;
    lb_bed_config(bed)->answer_timeout_ns = NS_PER_S;
    assert_int_equal(key_source_parse("header:X-Id", &lb_bed_config(bed)->key_source, NULL), 0);
    lb_bed_start(bed);
    snprintf(name, sizeof(name), "%s", lb_bed_home(bed, "X-Id: 1\r\n"));
    int slow = lb_bed_begin(bed, "GET", "/slow", "X-Id: 1\r\n", NULL);
    lb_bed_wait(lb_bed_n_slow(bed, name) == 1);
    lb_bed_nap_ms(100);
    int behind = lb_bed_begin(bed, "GET", "/home", "X-Id: 1\r\n", NULL);
    assert_non_null(strstr(lb_bed_end(bed, slow, &status), "<Error>"));
    assert_int_equal(status, 504);
    assert_string_not_equal(lb_bed_end(bed, behind, &status), name);
    assert_int_equal(status, 200);
    assert_int_equal(lb_bed_metric(bed, "quoit_lb_timeouts_total"), 1);
    /* Its heartbeats are answered: it stays, and is asked again. */
    assert_string_equal(lb_bed_rep(bed), "Server1 Server2 Server3");
    lb_bed_wait(strcmp(lb_bed_home(bed, "X-Id: 1\r\n"), name) == 0);
}

static void a_hung_server_is_replaced_and_its_requests_are_answered_by_others(void **state)
{
    uint64_t grace_ns = 1;
    char name[32];

    (void)state;
    lb_bed_config(bed)->fall = 4;
    lb_bed_start(bed);
    int fd = begin_slow(name, sizeof(name));
    uint64_t begin_ns = clock_now_ns();
    lb_bed_hang(bed, name, true);
    expect_answered_elsewhere(fd, name);
    lb_bed_wait(lb_bed_is_healed(bed, name));
    uint64_t detected_ns = lb_bed_event_ns(bed, "detected", name, 0);
    /* Four heartbeats owed in a row, and not after the first. */
    assert_true(detected_ns - begin_ns >= 3 * LB_BED_HEARTBEAT_MS * NS_PER_MS);
    assert_true(lb_bed_event_says(bed, "detected", "4 heartbeats of 50 ms missed"));
    assert_true(lb_bed_was_stopped(bed, name, &grace_ns));
    assert_int_equal(grace_ns, 0); /* fenced at once: it must not come back behind our back */
}

static void a_server_that_answers_late_but_in_time_is_kept(void **state)
{
    (void)state;
    lb_bed_config(bed)->heartbeat_ns = 40 * NS_PER_MS;
    lb_bed_config(bed)->fall = 50;
    lb_bed_start(bed);
    for (int i = 0; i < 6; i++) { /* some rounds missed, never fifty in a row */
        lb_bed_hold_heartbeats(bed, true);
        lb_bed_nap_ms(90);
        lb_bed_hold_heartbeats(bed, false);
        lb_bed_nap_ms(50);
    }
    assert_true(lb_bed_metric(bed, "quoit_lb_heartbeats_missed_total") > 0);
    assert_int_equal(lb_bed_metric(bed, "quoit_lb_server_deaths_total"), 0);
    assert_string_equal(lb_bed_rep(bed), "Server1 Server2 Server3");
}

/* The LB has asked for heartbeats; their answers come while it is held up, and reads nothing. */
static void hold_up_a_round(uint64_t heartbeat_ms, int blocked_ms)
{
    lb_bed_config(bed)->heartbeat_ns = heartbeat_ms * NS_PER_MS;
    lb_bed_config(bed)->fall = 3;
    lb_bed_start(bed);
    lb_bed_hold_heartbeats(bed, true);
    lb_bed_wait(lb_bed_n_held_heartbeats(bed) == 3); /* a round has begun */
    lb_bed_block_control(bed, blocked_ms);
    lb_bed_nap_ms(20);
    lb_bed_hold_heartbeats(bed, false);
    lb_bed_unblock(bed);
    lb_bed_nap_ms(50);
}

static void a_round_of_heartbeats_that_is_late_itself_counts_for_nothing(void **state)
{
    (void)state;
    hold_up_a_round(600, 1400); /* as when the machine slept */
    assert_int_equal(lb_bed_metric(bed, "quoit_lb_heartbeats_missed_total"), 0);
    assert_int_equal(lb_bed_metric(bed, "quoit_lb_server_deaths_total"), 0);
}

static void answers_that_lie_unread_when_a_round_is_due_are_read_first(void **state)
{
    (void)state;
    hold_up_a_round(1000, 1200); /* not so late that the round would count for nothing */
    assert_int_equal(lb_bed_metric(bed, "quoit_lb_heartbeats_missed_total"), 0);
    assert_int_equal(lb_bed_metric(bed, "quoit_lb_server_deaths_total"), 0);
}

static void a_server_that_answers_as_somebody_else_is_replaced(void **state)
{
    (void)state;
    lb_bed_start(bed);
    lb_bed_rename(bed, "Server2", "Server1");
    lb_bed_wait(lb_bed_is_healed(bed, "Server2"));
    assert_true(lb_bed_event_says(bed, "detected", "answered by something else"));
    assert_true(lb_bed_was_stopped(bed, "Server2", NULL));
    assert_int_equal(lb_bed_metric(bed, "quoit_lb_server_deaths_total"), 1);
}

/* ---- replacements that fail -------------------------------------------------------------------
 */

static void expect_backoff(size_t n_failures)
{
    uint64_t last_ns = lb_bed_event_ns(bed, "failed", NULL, 0);

    assert_true(last_ns > 0);
    for (size_t i = 1; i < n_failures; i++) {
        uint64_t ns = lb_bed_event_ns(bed, "failed", NULL, i);
        uint64_t pause_ns = (UINT64_C(100) << (i - 1)) * NS_PER_MS;
        assert_true(ns >= last_ns + pause_ns - 10 * NS_PER_MS);
        assert_true(ns < last_ns + 3 * pause_ns + 5 * NS_PER_S);
        last_ns = ns;
    }
    assert_int_equal(lb_bed_event_ns(bed, "failed", NULL, n_failures), 0);
}

static void a_refused_replacement_is_tried_again_ever_more_slowly(void **state)
{
    (void)state;
    lb_bed_start(bed);
    lb_bed_refuse_next(bed, 3, -EAGAIN);
    lb_bed_exit(bed, "Server1", "exit status 1");
    lb_bed_wait(lb_bed_is_healed(bed, "Server1"));
    expect_backoff(3);
    assert_int_equal(lb_bed_metric(bed, "quoit_lb_server_failed_starts_total"), 3);
    /* Success makes the next failure begin anew with the short pause. */
    lb_bed_refuse_next(bed, 1, -EAGAIN);
    uint64_t begin_ns = clock_now_ns();
    lb_bed_exit(bed, "Server2", "exit status 1");
    lb_bed_wait(lb_bed_is_healed(bed, "Server2"));
    assert_true(clock_now_ns() - begin_ns < 750 * NS_PER_MS); /* a fourth failure's is 800 ms */
}

static void an_add_leaves_room_for_the_replacement_that_is_put_off(void **state)
{
    int status;

    (void)state;
    lb_bed_config(bed)->n_servers = 56; /* as many as 512 slots take */
    lb_bed_start(bed);
    lb_bed_refuse_next(bed, 3, -EAGAIN);
    lb_bed_exit(bed, "Server1", "exit status 1");
    lb_bed_wait(lb_bed_event_ns(bed, "failed", NULL, 2) > 0); /* the next one in 0.4 s */
    const char *answer = lb_bed_call(bed, "POST", "/add", "{\"n\":1}", &status);
    assert_non_null(strstr(answer, "57 servers"));
    assert_int_equal(status, 400);
    lb_bed_wait(lb_bed_n_serving(bed) == 56);
    assert_int_equal(lb_bed_metric(bed, "quoit_lb_servers_target"), 56);
}

static void a_replacement_that_fails_is_tried_again_ever_more_slowly(void **state)
{
    (void)state;
    lb_bed_start(bed);
    lb_bed_fail_next(bed, 3);
    lb_bed_exit(bed, "Server1", "exit status 1");
    lb_bed_wait(lb_bed_is_healed(bed, "Server1"));
    expect_backoff(3);
    assert_true(lb_bed_event_says(bed, "failed", "as scripted"));
}

static void a_replacement_that_is_somebody_else_never_serves(void **state)
{
    (void)state;
    lb_bed_start(bed);
    lb_bed_rename(bed, NULL, "Stranger");
    lb_bed_exit(bed, "Server1", "exit status 1");
    lb_bed_wait(lb_bed_event_says(bed, "detected", "answered by something else"));
    assert_string_equal(lb_bed_rep(bed), "Server2 Server3");
    lb_bed_rename(bed, NULL, NULL);
    lb_bed_wait(lb_bed_is_healed(bed, "Server1"));
}

static void a_removed_server_is_not_replaced_when_it_dies(void **state)
{
    char name[32], body[64];

    (void)state;
    lb_bed_start(bed);
    int fd = begin_slow(name, sizeof(name));
    snprintf(body, sizeof(body), "{\"n\":1,\"hostnames\":[\"%s\"]}", name);
    lb_bed_call(bed, "DELETE", "/rm", body, NULL);
    lb_bed_hang(bed, name, true);
    lb_bed_exit(bed, name, "exit status 1");
    expect_answered_elsewhere(fd, name);
    lb_bed_nap_ms(50);
    assert_int_equal(lb_bed_n_serving(bed), 2);
    assert_int_equal(lb_bed_metric(bed, "quoit_lb_servers_target"), 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_server_that_exits_is_replaced_under_a_new_name),
        TEST(a_server_whose_port_is_shut_fails_no_request_and_is_replaced),
        TEST(a_request_whose_connection_cannot_even_be_begun_is_asked_of_another),
        TEST(a_request_under_way_to_a_dead_server_is_asked_of_another),
        TEST(a_request_that_may_not_be_repeated_is_refused),
        TEST(a_request_outlives_several_servers_but_not_all),
        TEST(a_killed_server_is_replaced),
        TEST(all_servers_may_die_at_once),
        TEST(an_answer_that_is_owed_for_too_long_holds_up_nobody),
        TEST(a_hung_server_is_replaced_and_its_requests_are_answered_by_others),
        TEST(a_server_that_answers_late_but_in_time_is_kept),
        TEST(a_round_of_heartbeats_that_is_late_itself_counts_for_nothing),
        TEST(answers_that_lie_unread_when_a_round_is_due_are_read_first),
        TEST(a_server_that_answers_as_somebody_else_is_replaced),
        TEST(a_refused_replacement_is_tried_again_ever_more_slowly),
        TEST(an_add_leaves_room_for_the_replacement_that_is_put_off),
        TEST(a_replacement_that_fails_is_tried_again_ever_more_slowly),
        TEST(a_replacement_that_is_somebody_else_never_serves),
        TEST(a_removed_server_is_not_replaced_when_it_dies),
    };
    return cmocka_run_group_tests_name("lb healing", tests, NULL, NULL);
}
