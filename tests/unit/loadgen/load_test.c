#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/mem.h"
#include "loadgen/load.h"
#include "loadgen/trust.h"
#include "tests/support/lying_server.h"

static struct lying_server *server;

static struct load_config make_config(uint64_t n_requests, uint32_t n_in_flight)
{
    return (struct load_config){
        .addr = *lying_server_addr(server),
        .settings = {.url = "http://test/",
                     .client = "curl",
                     .workload = "home",
                     .n_in_flight = n_in_flight,
                     .measured = {.n_requests = n_requests},
                     .timeout_ns = 5 * NS_PER_S},
    };
}

static struct result *run(struct load_config config, const char *target)
{
    const struct workload_http http = {.target = target};
    struct workload *workloads[RESULT_MAX_THREADS] = {NULL};
    struct result *result = NULL;
    struct spec client;
    struct err err;

    assert_int_equal(spec_parse(&client_family, "curl", &client, &err), 0);
    config.client = &client;
    config.workloads = workloads;
    for (uint32_t i = 0; i == 0 || i < config.settings.n_threads; i++)
        assert_int_equal(workload_http_new(&http, &workloads[i], &err), 0);
    if (load_run(&config, &result, &err) < 0)
        fail_msg("%s: %s", target, err.message);
    for (uint32_t i = 0; i < RESULT_MAX_THREADS; i++)
        workload_free(workloads[i]);
    spec_done(&client);
    return result;
}

static void a_load_sends_exactly_n_and_counts_them_by_server(void **state)
{
    uint64_t n_before = lying_server_requests(server);
    struct result *result = run(make_config(3000, 16), "/three");

    (void)state;
    assert_int_equal(result->n_ok, 3000);
    assert_int_equal(result->n_failed, 0);
    assert_int_equal(lying_server_requests(server) - n_before, 3000);
    assert_int_equal(result->servers.n_servers, 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(result->servers.servers[i].n_ok, 1000);
    assert_string_equal(result->servers.servers[2].name, "Server10");
    assert_int_equal(hist_count(result->latency), 3000);
    assert_int_equal(result->n_by_status[200], 3000);
    assert_in_range(result->connections.n_connections, 1, 16);
    assert_int_equal(result->n_body_bytes, 60000);
    assert_true(result->cpu_ns > 0);
    result_free(result);
}

static void fewer_requests_than_the_window_are_sent_once_each(void **state)
{
    uint64_t n_before = lying_server_requests(server);
    struct result *result = run(make_config(3, 64), "/ok");

    (void)state;
    assert_int_equal(result->n_ok, 3);
    assert_int_equal(lying_server_requests(server) - n_before, 3);
    result_free(result);
}

static void warmup_is_sent_and_not_counted(void **state)
{
    struct load_config config = make_config(200, 8);
    uint64_t n_before = lying_server_requests(server);
    struct result *result;

    (void)state;
    config.settings.warmup.n_requests = 50;
    result = run(config, "/ok");
    assert_int_equal(result->n_ok, 200);
    assert_int_equal(result->n_warmup, 50);
    assert_int_equal(hist_count(result->latency), 200);
    assert_int_equal(result->servers.servers[0].n_ok, 200);
    assert_int_equal(lying_server_requests(server) - n_before, 250);
    result_free(result);
}

static void a_duration_ends_the_sending(void **state)
{
    struct load_config config = make_config(0, 4);
    struct result *result;

    (void)state;
    config.settings.measured.duration_ns = 300 * NS_PER_MS;
    config.settings.warmup.duration_ns = 100 * NS_PER_MS;
    result = run(config, "/sleep/20");
    /* At most one answer a slot and 20 ms; how many fewer is the machine's affair. */
    assert_in_range(result->n_ok, 4, 4 * 15);
    assert_in_range(result->n_warmup, 4, 4 * 5);
    assert_true(result_duration_s(result) >= .3 - .021);
    result_free(result);
}

static void latencies_are_not_below_what_the_server_slept(void **state)
{
    struct result *result = run(make_config(40, 8), "/sleep/25");

    (void)state;
    assert_int_equal(result->n_ok, 40);
    assert_true(hist_min(result->latency) >= 25 * NS_PER_MS);
    assert_true(hist_percentile(result->latency, 50.) < NS_PER_S);
    /* Five rounds of eight. */
    assert_true(result_duration_s(result) >= 5 * .025);
    assert_true(result_rate(result) <= 8 / .025);
    result_free(result);
}

static void every_lie_is_counted_in_its_class_and_in_no_other(void **state)
{
    static const struct {
        const char *target;
        enum verdict verdict;
    } lies[] = {
        {"/short", (enum verdict)CLIENT_MALFORMED},
        {"/garbage", (enum verdict)CLIENT_MALFORMED},
        {"/bad-chunk", (enum verdict)CLIENT_MALFORMED},
        {"/reset", (enum verdict)CLIENT_RESET},
        {"/reset-body", (enum verdict)CLIENT_RESET},
        {"/empty", (enum verdict)CLIENT_CLOSED},
        {"/huge-head", (enum verdict)CLIENT_TOO_LARGE},
        {"/stall", (enum verdict)CLIENT_TIMEOUT},
        {"/stall-body", (enum verdict)CLIENT_SLOW},
        {"/status/301", VERDICT_STATUS_3XX},
        {"/status/404", VERDICT_STATUS_4XX},
        {"/status/500", VERDICT_STATUS_5XX},
        {"/status/600", VERDICT_STATUS_OTHER},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
        struct load_config config = make_config(100, 20);
        struct result *result;

        if (strncmp(lies[i].target, "/stall", 6) == 0)
            config.settings.timeout_ns = 100 * NS_PER_MS;
        result = run(config, lies[i].target);
        if (result->n_by_verdict[lies[i].verdict] != 100)
            fail_msg("%s: %llu of 100 counted as %s", lies[i].target,
                     (unsigned long long)result->n_by_verdict[lies[i].verdict],
                     verdict_name(lies[i].verdict));
        assert_int_equal(result->n_ok, 0);
        assert_int_equal(result->n_failed, 100);
        assert_int_equal(hist_count(result->latency), 0);
        assert_true(result->examples[lies[i].verdict][0] != '\0');
        assert_true(result_rate(result) == 0.);
        result_free(result);
    }
}

static void refusal_ends_the_run_with_every_request_counted(void **state)
{
    struct load_config config = make_config(100, 10);
    struct result *result;

    (void)state;
    config.addr = lying_server_nowhere();
    result = run(config, "/ok");
    assert_int_equal(result->n_by_verdict[CLIENT_REFUSED], 100);
    assert_non_null(strstr(result->examples[CLIENT_REFUSED], "refused"));
    result_free(result);
}

static void good_and_bad_answers_are_told_apart_in_one_run(void **state)
{
    struct result *result;

    (void)state;
    /* So that the server's tenth is ours. */
    while (lying_server_requests(server) % 10 != 0)
        result_free(run(make_config(1, 1), "/ok"));
    result = run(make_config(1000, 10), "/tenth");
    assert_int_equal(result->n_ok, 900);
    assert_int_equal(result->n_by_verdict[VERDICT_STATUS_5XX], 100);
    assert_int_equal(result->servers.servers[0].n_ok, 900);
    assert_int_equal(result->servers.servers[0].n_failed, 100);
    assert_int_equal(hist_count(result->latency), 900);
    result_free(result);
}

static void a_body_without_the_expected_text_is_an_error(void **state)
{
    struct load_config config = make_config(50, 5);
    struct result *result;

    (void)state;
    config.settings.expect = "Server: 1";
    result = run(config, "/chunked");
    assert_int_equal(result->n_ok, 50);
    result_free(result);
    config.settings.expect = "Server: 2";
    result = run(config, "/chunked");
    assert_int_equal(result->n_by_verdict[VERDICT_WRONG_BODY], 50);
    result_free(result);
}

static void endless_new_servers_are_counted_in_bounded_memory(void **state)
{
    struct result *result = run(make_config(SERVER_COUNTS_MAX + 500, 32), "/names");

    (void)state;
    assert_int_equal(result->n_ok, SERVER_COUNTS_MAX + 500);
    assert_int_equal(result->servers.n_servers, SERVER_COUNTS_MAX);
    assert_int_equal(result->servers.others.n_ok, 500);
    result_free(result);
}

/* Once the load has sent as many requests as it may at a time. */
static void *interrupt_later(void *context)
{
    const uint64_t *until = context;

    while (lying_server_requests(server) < *until)
        usleep(1000);
    usleep(50000);
    kill(getpid(), SIGINT);
    return NULL;
}

static struct result *run_interrupted(const char *target)
{
    struct load_config config = make_config(0, 4);
    uint64_t until = lying_server_requests(server) + 4;
    struct result *result;
    pthread_t thread;

    config.settings.measured.duration_ns = 60 * NS_PER_S;
    config.settings.timeout_ns = 30 * NS_PER_S;
    assert_int_equal(pthread_create(&thread, NULL, interrupt_later, &until), 0);
    result = run(config, target);
    pthread_join(thread, NULL);
    return result;
}

static void an_interrupt_ends_the_run_with_what_there_is(void **state)
{
    struct result *result = run_interrupted("/sleep/10");

    (void)state;
    assert_true(result->interrupted);
    assert_in_range(result->n_ok, 4, 5000);
    /* What was in flight had the time to end. */
    assert_int_equal(result->n_abandoned, 0);
    assert_int_equal(result->n_failed, 0);
    result_free(result);
}

static void an_interrupt_does_not_wait_for_a_hung_server(void **state)
{
    uint64_t began_ns = clock_now_ns();
    struct result *result = run_interrupted("/stall");

    (void)state;
    assert_true(result->interrupted);
    assert_int_equal(result_requests(result), 0);
    assert_int_equal(result->n_abandoned, 4);
    assert_true(clock_now_ns() - began_ns < 15 * NS_PER_S);
    result_free(result);
}

/* ---- open loop ---- */

static struct arrivals_plan plan;

/* Requests at `rate` for so long; one segment more each call. */
static void add_stage(double rate, uint64_t duration_ms)
{
    uint64_t duration_ns = duration_ms ? duration_ms * NS_PER_MS : UINT64_MAX;

    assert_int_equal(arrivals_plan_add(&plan, rate, rate, duration_ns, false), 0);
}

static struct load_config make_open_config(uint64_t n_requests, uint32_t n_in_flight)
{
    struct load_config config = make_config(n_requests, n_in_flight);

    plan.n_segments = 0;
    config.settings.plan = &plan;
    return config;
}

static void an_open_loop_sends_what_was_planned_when_it_was(void **state)
{
    struct load_config config = make_open_config(300, 50);
    uint64_t n_before = lying_server_requests(server);
    struct result *result;

    (void)state;
    add_stage(1000., 0);
    result = run(config, "/ok");
    assert_int_equal(result->n_ok, 300);
    assert_int_equal(lying_server_requests(server) - n_before, 300);
    assert_int_equal(result->n_scheduled, 300);
    assert_int_equal(result->n_dropped, 0);
    assert_int_equal(hist_count(result->lag) + hist_count(result->wait), 300);
    assert_int_equal(hist_count(result->latency), 300);
    assert_int_equal(hist_count(result->service), 300);
    assert_int_equal(result->last_due_ns - result->started_ns, 299 * NS_PER_MS);
    assert_true(result->last_sent_ns >= result->last_due_ns);
    assert_true(hist_percentile(result->latency, 50.) >= hist_percentile(result->service, 50.));
    result_free(result);
}

static void threads_share_everything_and_add_up(void **state)
{
    struct load_config config = make_config(1000, 10);
    uint64_t n_before = lying_server_requests(server), sum = 0;
    struct result *result;

    (void)state;
    config.settings.n_threads = 3;
    config.settings.warmup.n_requests = 50;
    result = run(config, "/three");
    assert_int_equal(result->n_ok, 1000);
    assert_int_equal(result->n_warmup, 50);
    assert_int_equal(lying_server_requests(server) - n_before, 1050);
    assert_int_equal(result->n_threads, 3);
    assert_int_equal(result->threads[0].n_requests, 334);
    assert_int_equal(result->threads[1].n_requests, 333);
    assert_int_equal(result->threads[2].n_requests, 333);
    for (size_t i = 0; i < result->servers.n_servers; i++)
        sum += result->servers.servers[i].n_ok;
    assert_int_equal(sum, 1000);
    assert_int_equal(hist_count(result->latency), 1000);
    assert_in_range(result->connections.n_connections, 1, 10);
    result_free(result);
}

static void threads_of_an_open_loop_send_the_plan_together(void **state)
{
    struct load_config config = make_open_config(0, 12);
    struct result *result;

    (void)state;
    plan.n_segments = 0;
    assert_int_equal(arrivals_plan_add(&plan, 500., 500., 100 * NS_PER_MS, true), 0);
    assert_int_equal(arrivals_plan_add(&plan, 0., 1000., 200 * NS_PER_MS, false), 0);
    add_stage(1000., 150);
    add_stage(0., 50);
    add_stage(333., 100);
    config.settings.n_threads = 4;
    result = run(config, "/ok");
    assert_int_equal(result->n_warmup, 50);
    assert_int_equal(result->stages[0].n_scheduled, 0);
    assert_int_equal(result->stages[1].n_ok, 100);
    assert_int_equal(result->stages[2].n_ok, 150);
    assert_int_equal(result->stages[3].n_ok, 0);
    assert_int_equal(result->stages[4].n_ok, 34);
    assert_int_equal(result->n_ok, 284);
    assert_int_equal(result->n_scheduled, 284);
    for (size_t i = 0; i < plan.n_segments; i++)
        assert_int_equal(result->stages[i].n_ok,
                         plan.segments[i].warmup ? 0 : arrivals_plan_count(&plan, i));
    result_free(result);
}

/* A server that answers nobody for 500 ms, under both loops. */
static void a_stall_shows_in_an_open_loop_and_hides_in_a_closed_one(void **state)
{
    struct load_config closed = make_config(0, 1), open = make_open_config(0, 200);
    struct result *result;

    (void)state;
    /* Longer, where a slow machine's answers were too few for what is claimed. */
    for (uint64_t ms = 2500;; ms *= 4) {
        closed.settings.measured.duration_ns = ms * NS_PER_MS;
        lying_server_hiccup(server, 400, 500);
        result = run(closed, "/hiccup");
        if (result->n_ok > 1000 || ms > 40000)
            break;
        result_free(result);
    }
    /* One request saw it, of at least a thousand: the percentiles do not know. */
    assert_true(hist_max(result->latency) >= 400 * NS_PER_MS);
    assert_true(result->n_ok > 1000);
    assert_true(hist_percentile(result->latency, 99.9) < 250 * NS_PER_MS);
    result_free(result);

    add_stage(200., 1500);
    lying_server_hiccup(server, 400, 500);
    result = run(open, "/hiccup");
    assert_int_equal(result->n_ok, 300);
    assert_int_equal(result->n_failed, 0);
    assert_true(hist_max(result->latency) >= 400 * NS_PER_MS);
    assert_true(hist_percentile(result->latency, 99.9) >= 400 * NS_PER_MS);
    /* A third of the requests came in the stall, and half of those waited for more than half. */
    assert_true(hist_percentile(result->latency, 90.) >= 100 * NS_PER_MS);
    assert_true(hist_percentile(result->latency, 50.) < 100 * NS_PER_MS);
    result_free(result);
}

static void a_small_window_makes_late_requests_whose_latency_has_the_wait(void **state)
{
    struct load_config config = make_open_config(20, 1);
    struct result *result;

    (void)state;
    add_stage(200., 0);
    result = run(config, "/sleep/20");
    assert_int_equal(result->n_ok, 20);
    assert_int_equal(result->n_dropped, 0);
    /* One every 20 ms goes out, one every 5 ms is due: the last waits for 19 × 15 ms. */
    assert_in_range(result->n_late, 18, 19);
    assert_true(hist_max(result->wait) >= 280 * NS_PER_MS);
    assert_true(hist_max(result->latency) >= 300 * NS_PER_MS);
    assert_true(hist_min(result->service) >= 20 * NS_PER_MS);
    assert_true(hist_percentile(result->service, 50.) < 200 * NS_PER_MS);
    result_free(result);
}

static void what_is_too_late_is_dropped_and_counted(void **state)
{
    struct load_config config = make_open_config(0, 1);
    struct result *result;

    (void)state;
    add_stage(200., 500);
    config.settings.max_lag_ns = 30 * NS_PER_MS;
    config.settings.timeline_ns = 50 * NS_PER_MS;
    result = run(config, "/sleep/20");
    assert_int_equal(result->n_scheduled, 100);
    assert_int_equal(result->n_ok + result->n_dropped, 100);
    /* At most one in 20 ms was answered, in the time and the lag that was allowed. */
    assert_in_range(result->n_ok, 1, 28);
    assert_int_equal(result->stages[0].n_dropped, result->n_dropped);
    assert_true(hist_max(result->wait) <= 31 * NS_PER_MS);
    result_free(result);
}

/* Nobody is answered, and still the run comes to its end. */
static void a_hung_server_ends_an_open_loop_by_drops_and_timeouts(void **state)
{
    struct load_config config = make_open_config(0, 4);
    struct result *result;

    (void)state;
    add_stage(1000., 200);
    config.settings.timeout_ns = 150 * NS_PER_MS;
    result = run(config, "/stall");
    assert_int_equal(result->n_ok, 0);
    assert_int_equal(result->n_scheduled, 200);
    assert_int_equal(result->n_failed + result->n_dropped, 200);
    assert_int_equal(result->n_by_verdict[CLIENT_TIMEOUT], result->n_failed);
    assert_in_range(result->n_failed, 4, 16);
    result_free(result);
}

static void more_than_can_be_sent_is_invalid(void **state)
{
    struct load_config config = make_open_config(4000, 4000);
    struct result *result;
    struct trust trust;

    (void)state;
    /* Due within 0.4 ms; nothing sends a request in 0.1 µs. */
    add_stage(1e7, 0);
    config.addr = lying_server_nowhere();
    result = run(config, "/ok");
    trust_judge(result, &trust);
    assert_int_equal(result->n_failed, 4000);
    assert_false(trust.valid);
    assert_non_null(strstr(trust.reasons[0], "schedule lag"));
    result_free(result);
}

static void a_dead_port_is_not_asked_at_full_speed(void **state)
{
    struct load_config config = make_config(0, 4);
    struct result *result;

    (void)state;
    config.settings.measured.duration_ns = 400 * NS_PER_MS;
    config.addr = lying_server_nowhere();
    result = run(config, "/ok");
    assert_int_equal(result->n_by_verdict[CLIENT_REFUSED], result->n_failed);
    /* A slot's pauses are 1, 2, 4 … 64, 64 ms: twelve requests in 400 ms. */
    assert_in_range(result->n_failed, 4, 4 * 12);
    result_free(result);
}

static void an_interrupt_ends_an_open_loop_between_its_requests(void **state)
{
    struct load_config config = make_open_config(0, 4);
    uint64_t began_ns = clock_now_ns(), until = lying_server_requests(server) + 2;
    struct result *result;
    pthread_t thread;

    (void)state;
    add_stage(10., 60000);
    assert_int_equal(pthread_create(&thread, NULL, interrupt_later, &until), 0);
    result = run(config, "/ok");
    pthread_join(thread, NULL);
    assert_true(result->interrupted);
    assert_in_range(result->n_ok, 1, 200);
    assert_int_equal(result->n_scheduled, result->n_ok + result->n_abandoned);
    assert_true(clock_now_ns() - began_ns < 15 * NS_PER_S);
    result_free(result);
}

static void the_window_raises_the_limit_of_descriptors_or_says_why_not(void **state)
{
    struct load_config config = make_config(400, 200);
    struct result *result = NULL;
    struct rlimit before, limit;
    struct spec client;
    struct err err;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    limit = before;
    limit.rlim_cur = 100;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    result_free(run(config, "/ok"));
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_in_range(limit.rlim_cur, 264, 1000);

    /* No process may have more than this many, so none can be given them. */
    config.settings.n_in_flight = CLIENT_MAX_SLOTS;
    if (before.rlim_max < CLIENT_MAX_SLOTS) {
        assert_int_equal(spec_parse(&client_family, "curl", &client, &err), 0);
        config.client = &client;
        assert_int_equal(load_run(&config, &result, &err), -EMFILE);
        assert_non_null(strstr(err.message, "file descriptors"));
        spec_done(&client);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static int start_server(void **state)
{
    (void)state;
    server = lying_server_start();
    return 0;
}

static int stop_server(void **state)
{
    (void)state;
    lying_server_stop(server);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_load_sends_exactly_n_and_counts_them_by_server),
        cmocka_unit_test(fewer_requests_than_the_window_are_sent_once_each),
        cmocka_unit_test(warmup_is_sent_and_not_counted),
        cmocka_unit_test(a_duration_ends_the_sending),
        cmocka_unit_test(latencies_are_not_below_what_the_server_slept),
        cmocka_unit_test(every_lie_is_counted_in_its_class_and_in_no_other),
        cmocka_unit_test(refusal_ends_the_run_with_every_request_counted),
        cmocka_unit_test(good_and_bad_answers_are_told_apart_in_one_run),
        cmocka_unit_test(a_body_without_the_expected_text_is_an_error),
        cmocka_unit_test(endless_new_servers_are_counted_in_bounded_memory),
        cmocka_unit_test(an_interrupt_ends_the_run_with_what_there_is),
        cmocka_unit_test(an_interrupt_does_not_wait_for_a_hung_server),
        cmocka_unit_test(an_open_loop_sends_what_was_planned_when_it_was),
        cmocka_unit_test(threads_share_everything_and_add_up),
        cmocka_unit_test(threads_of_an_open_loop_send_the_plan_together),
        cmocka_unit_test(a_stall_shows_in_an_open_loop_and_hides_in_a_closed_one),
        cmocka_unit_test(a_small_window_makes_late_requests_whose_latency_has_the_wait),
        cmocka_unit_test(what_is_too_late_is_dropped_and_counted),
        cmocka_unit_test(a_hung_server_ends_an_open_loop_by_drops_and_timeouts),
        cmocka_unit_test(more_than_can_be_sent_is_invalid),
        cmocka_unit_test(a_dead_port_is_not_asked_at_full_speed),
        cmocka_unit_test(an_interrupt_ends_an_open_loop_between_its_requests),
        cmocka_unit_test(the_window_raises_the_limit_of_descriptors_or_says_why_not),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
