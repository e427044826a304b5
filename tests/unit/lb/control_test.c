/* The control plane over scripted servers: the start and the end, /add and /rm. What it does about
 * failures is in healing_test.c. */
#include "lb/control.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/file.h"
#include "tests/support/lb_bed.h"

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

static void expect_refused(const char *method, const char *path, const char *body, int status,
                           const char *word)
{
    int got;
    const char *answer = lb_bed_call(bed, method, path, body, &got);

    if (got != status || strncmp(answer, "{\"message\":\"<Error> ", 20) != 0 ||
        !strstr(answer, "\",\"status\":\"failure\"}") || !strstr(answer, word))
        fail_msg("%d %s, not %d with '%s'", got, answer, status, word);
}

static size_t n_calls(enum fake_call_kind kind)
{
    struct fake_call calls[256];
    size_t n = lb_bed_spawner_calls(bed, calls, 256), n_kind = 0;

    for (size_t i = 0; i < n; i++)
        n_kind += calls[i].kind == kind;
    return n_kind;
}

/* ---- the start and the end --------------------------------------------------------------------
 */

static void control_starts_its_servers_and_stops_them_at_the_end(void **state)
{
    uint64_t grace_ns = 0;

    (void)state;
    lb_bed_config(bed)->n_threads = 2;
    lb_bed_start(bed);
    assert_string_equal(lb_bed_rep(bed), "Server1 Server2 Server3");
    assert_true(strncmp(lb_bed_home(bed, NULL), "Server", 6) == 0);
    assert_int_equal(n_calls(FAKE_STOP), 0);
    lb_bed_tell_to_end(bed);
    assert_int_equal(lb_bed_wait_end(bed), 0);
    for (int i = 1; i <= 3; i++) {
        char name[16];
        snprintf(name, sizeof(name), "Server%d", i);
        assert_true(lb_bed_was_stopped(bed, name, &grace_ns));
        assert_true(grace_ns > 0);
    }
    assert_int_equal(fake_world_n_orphans(), 0);
    /* And again in the same process. */
    lb_bed_start(bed);
    assert_string_equal(lb_bed_rep(bed), "Server1 Server2 Server3");
}

static void control_routes_to_every_server(void **state)
{
    unsigned n_hits[4] = {0};

    (void)state;
    lb_bed_start(bed);
    for (int i = 0; i < 100; i++)
        n_hits[lb_bed_home(bed, NULL)[6] - '0']++;
    assert_true(n_hits[1] > 0 && n_hits[2] > 0 && n_hits[3] > 0);
    assert_int_equal(n_hits[1] + n_hits[2] + n_hits[3], 100);
    assert_int_equal(lb_bed_metric(bed, "quoit_lb_routed_requests_total"), 100);
    expect_refused("GET", "/other", NULL, 400,
                   "'/other' endpoint does not exist in server replicas");
}

static void control_keeps_a_key_at_its_server(void **state)
{
    char first[32];

    (void)state;
    assert_int_equal(key_source_parse("header:X-Id", &lb_bed_config(bed)->key_source, NULL), 0);
    lb_bed_start(bed);
    for (int key = 1; key <= 5; key++) {
        char header[32];
        snprintf(header, sizeof(header), "X-Id: %d\r\n", key);
        snprintf(first, sizeof(first), "%s", lb_bed_home(bed, header));
        for (int i = 0; i < 5; i++)
            assert_string_equal(lb_bed_home(bed, header), first);
    }
}

static void control_keeps_a_key_at_its_server_when_an_idle_connection_ends(void **state)
{
    char first[32];

    (void)state;
    assert_int_equal(key_source_parse("header:X-Id", &lb_bed_config(bed)->key_source, NULL), 0);
    lb_bed_set_idle_timeout(bed, 100 * NS_PER_MS);
    lb_bed_start(bed);
    snprintf(first, sizeof(first), "%s", lb_bed_home(bed, "X-Id: 7\r\n"));
    assert_int_equal(lb_bed_n_connections(bed, first), 2); /* data and heartbeats */
    lb_bed_wait(lb_bed_n_connections(bed, first) == 1);
    for (int i = 0; i < 5; i++)
        assert_string_equal(lb_bed_home(bed, "X-Id: 7\r\n"), first);
}

static void control_ends_when_a_server_cannot_be_started(void **state)
{
    char message[512];

    (void)state;
    spec_done(&lb_bed_config(bed)->spawner);
    assert_int_equal(spec_parse(&spawner_family, "fake:fail=1", &lb_bed_config(bed)->spawner, NULL),
                     0);
    assert_int_equal(lb_bed_start_in_vain(bed, message, sizeof(message)), -ECHILD);
    assert_non_null(strstr(message, "Server1 could not be started"));
    assert_int_equal(fake_world_n_orphans(), 0);
    spec_done(&lb_bed_config(bed)->spawner);
    assert_int_equal(
        spec_parse(&spawner_family, "fake:refuse=1", &lb_bed_config(bed)->spawner, NULL), 0);
    assert_int_equal(lb_bed_start_in_vain(bed, message, sizeof(message)), -EAGAIN);
    assert_non_null(strstr(message, "Server1 could not be started"));
    assert_int_equal(fake_world_n_orphans(), 0);
}

static void control_ends_when_a_server_answers_as_somebody_else(void **state)
{
    char message[512];

    (void)state;
    lb_bed_rename(bed, NULL, "Stranger");
    assert_int_equal(lb_bed_start_in_vain(bed, message, sizeof(message)), -ECHILD);
    assert_non_null(strstr(message, "answered by something else"));
    assert_int_equal(fake_world_n_orphans(), 0);
}

static void control_refuses_more_servers_than_its_placement_takes(void **state)
{
    char message[512];

    (void)state;
    lb_bed_config(bed)->n_servers = 57; /* × 9 virtual servers, 512 slots */
    assert_int_equal(lb_bed_start_in_vain(bed, message, sizeof(message)), -EINVAL);
    assert_true(message[0] != '\0');
    assert_int_equal(n_calls(FAKE_START), 0);
}

static void control_answers_what_is_under_way_when_it_is_told_to_end(void **state)
{
    int status;
    char name[32];

    (void)state;
    lb_bed_start(bed);
    int fd = lb_bed_begin(bed, "GET", "/slow", NULL, NULL);
    size_t i = 1;
    do {
        snprintf(name, sizeof(name), "Server%zu", 1 + i++ % 3);
        assert_true(i < 10000);
    } while (lb_bed_n_slow(bed, name) == 0);
    lb_bed_tell_to_end(bed);
    lb_bed_nap_ms(50);
    assert_false(lb_bed_answered(fd));
    assert_false(lb_bed_was_stopped(bed, name, NULL));
    lb_bed_release(bed, name);
    assert_string_equal(lb_bed_end(bed, fd, &status), name);
    assert_int_equal(status, 200);
    assert_int_equal(lb_bed_wait_end(bed), 0);
    assert_true(lb_bed_was_stopped(bed, name, NULL));
}

/* ---- its own endpoints ------------------------------------------------------------------------
 */

static void control_tells_how_it_is(void **state)
{
    int status;

    (void)state;
    lb_bed_start(bed);
    assert_string_equal(lb_bed_call(bed, "GET", "/healthz", NULL, &status),
                        "{\"message\":\"3 of 3 servers serve\",\"status\":\"successful\"}");
    assert_int_equal(status, 200);
    expect_refused("POST", "/rep", NULL, 405, "GET, HEAD");
    expect_refused("GET", "/add", NULL, 405, "POST");
    expect_refused("GET", "/rm", NULL, 405, "DELETE");
    assert_int_equal(lb_bed_metric(bed, "quoit_lb_servers_serving"), 3);
    assert_int_equal(lb_bed_metric(bed, "quoit_lb_servers_target"), 3);
    assert_int_equal(lb_bed_metric(bed, "quoit_lb_server_deaths_total"), 0);
    assert_true(lb_bed_event_ns(bed, "spawned", "Server1", 0) > 0);
    assert_true(lb_bed_event_ns(bed, "listens", "Server1", 0) >=
                lb_bed_event_ns(bed, "spawned", "Server1", 0));
    assert_true(lb_bed_event_ns(bed, "serving", "Server1", 0) >=
                lb_bed_event_ns(bed, "listens", "Server1", 0));
}

/* ---- /add -------------------------------------------------------------------------------------
 */

static void add_answers_once_the_new_servers_serve(void **state)
{
    int status;

    (void)state;
    lb_bed_start(bed);
    assert_string_equal(
        lb_bed_call(bed, "POST", "/add", "{\"n\":2,\"hostnames\":[\"S5\",\"S4\"]}", &status),
        "{\"message\":{\"N\":5,\"replicas\":[\"Server1\",\"Server2\",\"Server3\",\"S5\",\"S4\"]},"
        "\"status\":\"successful\"}");
    assert_int_equal(status, 200);
    bool seen[2] = {false};
    for (int i = 0; i < 300 && !(seen[0] && seen[1]); i++) {
        const char *name = lb_bed_home(bed, NULL);
        seen[0] |= strcmp(name, "S5") == 0;
        seen[1] |= strcmp(name, "S4") == 0;
    }
    assert_true(seen[0] && seen[1]);
    assert_int_equal(lb_bed_metric(bed, "quoit_lb_servers_target"), 5);
}

static void add_invents_the_names_that_are_missing(void **state)
{
    (void)state;
    lb_bed_start(bed);
    lb_bed_call(bed, "POST", "/add", "{\"n\":2,\"hostnames\":[\"S5\"]}", NULL);
    const char *rep = lb_bed_rep(bed);
    assert_true(strncmp(rep, "Server1 Server2 Server3 S5 Server", 33) == 0);
    assert_int_equal(strlen(rep), 33 + 6);
    lb_bed_call(bed, "POST", "/add", "{\"n\":1}", NULL);
    assert_int_equal(strlen(lb_bed_rep(bed)), 33 + 6 + 1 + 12);
}

static void add_is_all_or_nothing_when_a_start_is_refused(void **state)
{
    uint64_t grace_ns = 1;
    int status;

    (void)state;
    lb_bed_start(bed);
    lb_bed_refuse_name(bed, "A2");
    expect_refused("POST", "/add", "{\"n\":3,\"hostnames\":[\"A1\",\"A2\",\"A3\"]}", 503,
                   "nothing was changed");
    assert_string_equal(lb_bed_rep(bed), "Server1 Server2 Server3");
    assert_true(lb_bed_was_stopped(bed, "A1", &grace_ns));
    assert_int_equal(grace_ns, 0);
    assert_int_equal(lb_bed_n_starts(bed, "A3"), 0);
    assert_int_equal(lb_bed_metric(bed, "quoit_lb_servers_target"), 3);
    /* The names are free again. */
    lb_bed_refuse_name(bed, NULL);
    lb_bed_call(bed, "POST", "/add", "{\"n\":3,\"hostnames\":[\"A1\",\"A2\",\"A3\"]}", &status);
    assert_int_equal(status, 200);
    assert_string_equal(lb_bed_rep(bed), "Server1 Server2 Server3 A1 A2 A3");
}

static void add_is_all_or_nothing_when_a_start_fails(void **state)
{
    (void)state;
    lb_bed_start(bed);
    lb_bed_hold_starts(bed, true);
    lb_bed_fail_next(bed, 1);
    int fd =
        lb_bed_begin(bed, "POST", "/add", NULL, "{\"n\":3,\"hostnames\":[\"A1\",\"A2\",\"A3\"]}");
    lb_bed_wait(lb_bed_n_starts(bed, "A3") == 1);
    lb_bed_hold_starts(bed, false);
    int status;
    const char *body = lb_bed_end(bed, fd, &status);
    assert_int_equal(status, 503);
    assert_non_null(strstr(body, "A1 could not be started: server A1 ended before it listened"));
    assert_true(lb_bed_was_stopped(bed, "A2", NULL));
    assert_true(lb_bed_was_stopped(bed, "A3", NULL));
    assert_string_equal(lb_bed_rep(bed), "Server1 Server2 Server3");
    assert_int_equal(lb_bed_metric(bed, "quoit_lb_servers_target"), 3);
}

static void add_is_all_or_nothing_when_a_server_is_somebody_else(void **state)
{
    (void)state;
    lb_bed_start(bed);
    lb_bed_rename(bed, NULL, "Stranger");
    expect_refused("POST", "/add", "{\"n\":1,\"hostnames\":[\"A1\"]}", 503,
                   "answered by something else; nothing was changed");
    assert_true(lb_bed_was_stopped(bed, "A1", NULL));
    assert_string_equal(lb_bed_rep(bed), "Server1 Server2 Server3");
}

static void changes_queue_behind_each_other(void **state)
{
    (void)state;
    lb_bed_start(bed);
    lb_bed_hold_starts(bed, true);
    int one = lb_bed_begin(bed, "POST", "/add", NULL, "{\"n\":1,\"hostnames\":[\"A1\"]}");
    lb_bed_wait(lb_bed_n_starts(bed, "A1") == 1);
    int two = lb_bed_begin(bed, "POST", "/add", NULL, "{\"n\":1,\"hostnames\":[\"A2\"]}");
    lb_bed_nap_ms(30); /* so that they come in this order */
    int three = lb_bed_begin(bed, "DELETE", "/rm", NULL, "{\"n\":1,\"hostnames\":[\"Server2\"]}");
    lb_bed_nap_ms(30);
    assert_int_equal(lb_bed_n_starts(bed, "A2"), 0);
    assert_string_equal(lb_bed_rep(bed), "Server1 Server2 Server3"); /* questions do not wait */
    assert_true(strncmp(lb_bed_home(bed, NULL), "Server", 6) == 0);
    assert_false(lb_bed_answered(one) || lb_bed_answered(two) || lb_bed_answered(three));
    lb_bed_hold_starts(bed, false);
    assert_non_null(strstr(lb_bed_end(bed, one, NULL), "Server3\",\"A1\"]"));
    assert_non_null(strstr(lb_bed_end(bed, two, NULL), "Server3\",\"A1\",\"A2\"]"));
    assert_non_null(
        strstr(lb_bed_end(bed, three, NULL), "[\"Server1\",\"Server3\",\"A1\",\"A2\"]"));
}

static void changes_that_wait_are_refused_at_the_end(void **state)
{
    int status;

    (void)state;
    lb_bed_start(bed);
    lb_bed_hold_starts(bed, true);
    int one = lb_bed_begin(bed, "POST", "/add", NULL, "{\"n\":1,\"hostnames\":[\"A1\"]}");
    int two = lb_bed_begin(bed, "POST", "/add", NULL, "{\"n\":1,\"hostnames\":[\"A2\"]}");
    lb_bed_wait(lb_bed_n_starts(bed, "A1") + lb_bed_n_starts(bed, "A2") == 1);
    lb_bed_nap_ms(20);
    lb_bed_tell_to_end(bed);
    lb_bed_end(bed, one, &status);
    assert_int_equal(status, 503);
    lb_bed_end(bed, two, &status);
    assert_int_equal(status, 503);
    assert_int_equal(lb_bed_wait_end(bed), 0);
    assert_int_equal(fake_world_n_orphans(), 0);
}

/* ---- /rm --------------------------------------------------------------------------------------
 */

static void rm_waits_for_nothing_and_draining_for_what_is_under_way(void **state)
{
    uint64_t grace_ns = 0;
    char name[32], body[64];
    int status;

    (void)state;
    lb_bed_config(bed)->n_threads = 2;
    lb_bed_start(bed);
    int fd = lb_bed_begin(bed, "GET", "/slow", NULL, NULL);
    size_t i = 1;
    do {
        snprintf(name, sizeof(name), "Server%zu", 1 + i++ % 3);
        assert_true(i < 10000);
    } while (lb_bed_n_slow(bed, name) == 0);
    snprintf(body, sizeof(body), "{\"n\":1,\"hostnames\":[\"%s\"]}", name);
    const char *answer = lb_bed_call(bed, "DELETE", "/rm", body, &status);
    assert_int_equal(status, 200);
    assert_true(strncmp(answer, "{\"message\":{\"N\":2,\"replicas\":[", 30) == 0);
    assert_null(strstr(answer, name));
    /* It serves nothing new, and lives until it has answered. */
    for (int j = 0; j < 50; j++)
        assert_string_not_equal(lb_bed_home(bed, NULL), name);
    lb_bed_nap_ms(100);
    assert_false(lb_bed_was_stopped(bed, name, NULL));
    assert_false(lb_bed_answered(fd));
    lb_bed_release(bed, name);
    assert_string_equal(lb_bed_end(bed, fd, &status), name);
    assert_int_equal(status, 200);
    lb_bed_wait(lb_bed_was_stopped(bed, name, &grace_ns));
    assert_true(grace_ns > 0);
    assert_true(lb_bed_event_ns(bed, "drained", name, 0) >
                lb_bed_event_ns(bed, "draining", name, 0));
    assert_int_equal(lb_bed_metric(bed, "quoit_lb_server_deaths_total"), 0);
    lb_bed_nap_ms(50); /* nobody replaces it */
    assert_int_equal(n_calls(FAKE_START), 3);
}

static void rm_stops_a_server_that_does_not_finish_in_time(void **state)
{
    char name[32], body[64];
    int status;

    (void)state;
    lb_bed_config(bed)->drain_ns = 150 * NS_PER_MS;
    lb_bed_start(bed);
    int fd = lb_bed_begin(bed, "GET", "/slow", NULL, NULL);
    size_t i = 1;
    do {
        snprintf(name, sizeof(name), "Server%zu", 1 + i++ % 3);
        assert_true(i < 10000);
    } while (lb_bed_n_slow(bed, name) == 0);
    lb_bed_hang(bed, name, true);
    snprintf(body, sizeof(body), "{\"n\":1,\"hostnames\":[\"%s\"]}", name);
    uint64_t begin_ns = clock_now_ns();
    lb_bed_call(bed, "DELETE", "/rm", body, &status);
    assert_int_equal(status, 200);
    lb_bed_wait(lb_bed_was_stopped(bed, name, NULL));
    assert_true(clock_now_ns() - begin_ns >= 150 * NS_PER_MS);
    assert_true(clock_now_ns() - begin_ns < 2 * NS_PER_S);
    /* What it had is asked of another one. */
    for (i = 1; i <= 3; i++) {
        char other[32];
        snprintf(other, sizeof(other), "Server%zu", i);
        if (strcmp(other, name) != 0)
            lb_bed_hang(bed, other, false);
    }
    size_t n_slow = 0;
    double until = lb_bed_now_s() + LB_BED_PATIENCE_S;
    while (n_slow == 0 && lb_bed_now_s() < until)
        for (i = 1; i <= 3; i++) {
            char other[32];
            snprintf(other, sizeof(other), "Server%zu", i);
            if (strcmp(other, name) != 0 && lb_bed_n_slow(bed, other) > 0) {
                n_slow++;
                lb_bed_release(bed, other);
            }
        }
    lb_bed_end(bed, fd, &status);
    assert_int_equal(status, 200);
}

static void rm_chooses_at_random_what_is_not_named(void **state)
{
    int status;

    (void)state;
    lb_bed_start(bed);
    lb_bed_call(bed, "DELETE", "/rm", "{\"n\":2,\"hostnames\":[\"Server2\"]}", &status);
    assert_int_equal(status, 200);
    const char *rep = lb_bed_rep(bed);
    assert_true(strcmp(rep, "Server1") == 0 || strcmp(rep, "Server3") == 0);
    expect_refused("DELETE", "/rm", "{\"n\":2}", 400, "only 1");
    lb_bed_call(bed, "DELETE", "/rm", "{\"n\":1}", &status);
    assert_int_equal(status, 200);
    assert_string_equal(lb_bed_rep(bed), "");
    expect_refused("GET", "/home", NULL, 503, "no server");
    lb_bed_call(bed, "POST", "/add", "{\"n\":1,\"hostnames\":[\"Server2\"]}", &status);
    assert_int_equal(status, 200);
    assert_string_equal(lb_bed_home(bed, NULL), "Server2");
}

static void refused_changes_change_nothing(void **state)
{
    static const struct {
        const char *method, *path, *body, *word;
    } rows[] = {
        {"POST", "/add", "", "the body is empty"},
        {"POST", "/add", "[]", "no JSON object"},
        {"POST", "/add", "{}", "\\\"n\\\" is missing"},
        {"POST", "/add", "{\"n\":0}", "\\\"n\\\" is 0"},
        {"POST", "/add", "{\"n\":-1}", "\\\"n\\\" is -1"},
        {"POST", "/add", "{\"n\":1.5}", "not a whole number"},
        {"POST", "/add", "{\"n\":\"1\"}", "not a whole number"},
        {"POST", "/add", "{\"n\":99999999999999999999}", "not a whole number"},
        {"POST", "/add", "{\"n\":1,\"n\":2}", "bad JSON"},
        {"POST", "/add", "{\"n\":1,\"hostname\":[\"A\"]}", "'hostname' is not known"},
        {"POST", "/add", "{\"n\":1,\"hostnames\":\"A\"}", "not an array"},
        {"POST", "/add", "{\"n\":1,\"hostnames\":[1]}", "no string"},
        {"POST", "/add", "{\"n\":1,\"hostnames\":[\"a b\"]}", "no server name"},
        {"POST", "/add", "{\"n\":1,\"hostnames\":[\"-a\"]}", "no server name"},
        {"POST", "/add", "{\"n\":2,\"hostnames\":[\"A\",\"A\"]}", "twice"},
        {"POST", "/add", "{\"n\":2,\"hostnames\":[\"A\",\"Server1\"]}", "there already"},
        {"POST", "/add", "{\"n\":1,\"hostnames\":[\"A\",\"B\"]}",
         "Length of hostname list is more than newly added instances"},
        {"POST", "/add", "{\"n\":1000}", ""},
        {"POST", "/add", "{\"n\":54}", ""}, /* 57 × 9 virtual servers, 512 slots */
        {"DELETE", "/rm", "{\"n\":4}", "only 3"},
        {"DELETE", "/rm", "{\"n\":0}", "\\\"n\\\" is 0"},
        {"DELETE", "/rm", "{\"n\":1,\"hostnames\":[\"Nobody\"]}", "no server is named 'Nobody'"},
        {"DELETE", "/rm", "{\"n\":2,\"hostnames\":[\"Server1\",\"Nobody\"]}", "'Nobody'"},
        {"DELETE", "/rm", "{\"n\":1,\"hostnames\":[\"Server1\",\"Server2\"]}",
         "Length of hostname list is more than removable instances"},
    };

    (void)state;
    lb_bed_start(bed);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        expect_refused(rows[i].method, rows[i].path, rows[i].body, 400, rows[i].word);
    assert_string_equal(lb_bed_rep(bed), "Server1 Server2 Server3");
    assert_int_equal(n_calls(FAKE_START), 3);
    assert_int_equal(n_calls(FAKE_STOP), 0);
    assert_int_equal(lb_bed_metric(bed, "quoit_lb_servers_target"), 3);
}

static void a_change_is_answered_though_the_state_cannot_be_written(void **state)
{
    char dir[64] = "/tmp/quoit-control-XXXXXX", path[128], away[80], command[128];
    int status;

    (void)state;
    assert_non_null(mkdtemp(dir));
    lb_bed_config(bed)->state_dir = dir;
    lb_bed_start(bed);
    snprintf(path, sizeof(path), "%s/cluster.json", dir);
    lb_bed_wait(access(path, F_OK) == 0);
    assert_int_equal(lb_bed_metric(bed, "quoit_lb_failed_saves_total"), 0);
    snprintf(away, sizeof(away), "%s.away", dir);
    assert_int_equal(rename(dir, away), 0);
    lb_bed_call(bed, "POST", "/add", "{\"n\":1,\"hostnames\":[\"A1\"]}", &status);
    assert_int_equal(status, 200);
    assert_true(lb_bed_metric(bed, "quoit_lb_failed_saves_total") > 0);
    assert_string_equal(lb_bed_rep(bed), "Server1 Server2 Server3 A1");
    lb_bed_tell_to_end(bed);
    assert_int_equal(lb_bed_wait_end(bed), 0);
    snprintf(command, sizeof(command), "rm -rf '%s'", away);
    assert_int_equal(system(command), 0);
}

static size_t n_saved(const char *path)
{
    char text[8192] = "";
    size_t n = 0;
    FILE *file = fopen(path, "r");

    assert_non_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    for (const char *at = text; (at = strstr(at, "\"address\"")); at++)
        n++;
    return n;
}

/* An LB that is killed within an /add must not leave half of it to the next. */
static void an_add_is_saved_whole_or_not_at_all(void **state)
{
    char dir[64] = "/tmp/quoit-control-XXXXXX", path[128], command[128];
    int status;

    (void)state;
    assert_non_null(mkdtemp(dir));
    lb_bed_config(bed)->state_dir = dir;
    lb_bed_start(bed);
    snprintf(path, sizeof(path), "%s/cluster.json", dir);
    lb_bed_wait(access(path, F_OK) == 0 && n_saved(path) == 3);
    lb_bed_hold_heartbeats(bed, true);
    int fd = lb_bed_begin(bed, "POST", "/add", NULL, "{\"n\":1,\"hostnames\":[\"A1\"]}");
    lb_bed_wait(lb_bed_event_ns(bed, "listens", "A1", 0) > 0);
    lb_bed_nap_ms(50); /* it would have been written by now */
    assert_int_equal(n_saved(path), 3);
    lb_bed_hold_heartbeats(bed, false);
    lb_bed_end(bed, fd, &status);
    assert_int_equal(status, 200);
    assert_int_equal(n_saved(path), 4);
    lb_bed_tell_to_end(bed);
    assert_int_equal(lb_bed_wait_end(bed), 0);
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(control_starts_its_servers_and_stops_them_at_the_end),
        TEST(an_add_is_saved_whole_or_not_at_all),
        TEST(control_routes_to_every_server),
        TEST(control_keeps_a_key_at_its_server),
        TEST(control_keeps_a_key_at_its_server_when_an_idle_connection_ends),
        TEST(control_ends_when_a_server_cannot_be_started),
        TEST(control_ends_when_a_server_answers_as_somebody_else),
        TEST(control_refuses_more_servers_than_its_placement_takes),
        TEST(control_answers_what_is_under_way_when_it_is_told_to_end),
        TEST(control_tells_how_it_is),
        TEST(add_answers_once_the_new_servers_serve),
        TEST(add_invents_the_names_that_are_missing),
        TEST(add_is_all_or_nothing_when_a_start_is_refused),
        TEST(add_is_all_or_nothing_when_a_start_fails),
        TEST(add_is_all_or_nothing_when_a_server_is_somebody_else),
        TEST(changes_queue_behind_each_other),
        TEST(changes_that_wait_are_refused_at_the_end),
        TEST(rm_waits_for_nothing_and_draining_for_what_is_under_way),
        TEST(rm_stops_a_server_that_does_not_finish_in_time),
        TEST(rm_chooses_at_random_what_is_not_named),
        TEST(refused_changes_change_nothing),
        TEST(a_change_is_answered_though_the_state_cannot_be_written),
    };
    return cmocka_run_group_tests_name("lb control", tests, NULL, NULL);
}
