/* What the raw client does beyond the contract of its family: slots that share connections. */
#include "backends/client.h"

#include <ev.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "tests/support/lying_server.h"

#define MAX_SLOTS 64

static struct lying_server *server;

/* Each slot sends its own request, `rounds` times. */
struct bench {
    struct ev_loop *loop;
    struct client *client;
    struct client_request requests[MAX_SLOTS];
    unsigned n_left[MAX_SLOTS];
    uint32_t n_slots, n_busy;
    uint64_t n_by_error[CLIENT_N_ERRORS];
    enum client_error last[MAX_SLOTS]; /* by slot */
    int status[MAX_SLOTS];
    size_t n_body_bytes[MAX_SLOTS];
    char echo[MAX_SLOTS][256];
    struct client_counts counts;
};

static void submit(struct bench *bench, uint32_t slot)
{
    bench->n_left[slot]--;
    bench->n_busy++;
    client_submit(bench->client, slot, &bench->requests[slot]);
}

static void on_done(void *context, uint32_t slot, const struct client_answer *answer)
{
    struct bench *bench = context;

    bench->n_by_error[answer->error]++;
    bench->last[slot] = answer->error;
    bench->status[slot] = answer->status;
    bench->n_body_bytes[slot] = answer->n_body_bytes;
    snprintf(bench->echo[slot], sizeof(bench->echo[slot]), "%.*s", (int)answer->body_bytes,
             answer->body ? answer->body : "");
    bench->n_busy--;
    if (bench->n_left[slot] > 0)
        submit(bench, slot);
    if (bench->n_busy == 0)
        ev_break(bench->loop, EVBREAK_ALL);
}

static void on_hang(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)loop, (void)timer, (void)events;
    fail_msg("the client did not end its requests in 20 s");
}

static void run_at(struct bench *bench, const char *client, const struct addr *addr,
                   uint32_t n_slots, unsigned rounds, uint64_t timeout_ns)
{
    static const struct client_handler handler = {.on_done = on_done};
    struct client_config config = {
        .addr = *addr, .n_slots = n_slots, .timeout_ns = timeout_ns, .keep_body_bytes = 4096};
    struct ev_timer hang;
    struct spec spec;
    struct err err;

    bench->n_slots = n_slots;
    config.loop = bench->loop = ev_loop_new(EVFLAG_AUTO);
    if (spec_parse(&client_family, client, &spec, &err) < 0 ||
        client_open(&spec, &config, &handler, bench, &bench->client, &err) < 0)
        fail_msg("%s", err.message);
    ev_timer_init(&hang, on_hang, 20., 0.);
    ev_timer_start(bench->loop, &hang);
    for (uint32_t slot = 0; slot < n_slots; slot++) {
        bench->n_left[slot] = rounds;
        submit(bench, slot);
    }
    ev_run(bench->loop, 0);
    bench->counts = client_counts(bench->client);
    client_close(bench->client);
    ev_timer_stop(bench->loop, &hang);
    assert_false(ev_run(bench->loop, EVRUN_NOWAIT)); /* no watcher is left */
    ev_loop_destroy(bench->loop);
    spec_done(&spec);
}

static void run(struct bench *bench, const char *client, uint32_t n_slots, unsigned rounds,
                uint64_t timeout_ns)
{
    run_at(bench, client, lying_server_addr(server), n_slots, rounds, timeout_ns);
}

static void raw_gives_every_slot_its_own_answer_over_shared_connections(void **state)
{
    char targets[MAX_SLOTS][32];
    struct bench bench = {0};

    (void)state;
    for (uint32_t slot = 0; slot < 50; slot++) {
        snprintf(targets[slot], sizeof(targets[slot]), "/echo?slot=%u.", slot);
        bench.requests[slot].target = targets[slot];
        if (slot % 5 == 4)
            bench.requests[slot].method = "HEAD";
        if (slot % 5 == 3) {
            bench.requests[slot].method = "POST";
            bench.requests[slot].body = "12345";
            bench.requests[slot].body_bytes = 5;
        }
    }
    run(&bench, "raw:connections=3", 50, 40, 10 * NS_PER_S);
    assert_int_equal(bench.n_by_error[CLIENT_OK], 2000);
    assert_int_equal(bench.counts.n_connections, 3);
    assert_int_equal(bench.counts.n_resent, 0);
    for (uint32_t slot = 0; slot < 50; slot++) {
        if (slot % 5 == 4)
            assert_string_equal(bench.echo[slot], "");
        else if (!strstr(bench.echo[slot], targets[slot]))
            fail_msg("slot %u got: %s", slot, bench.echo[slot]);
        if (slot % 5 == 3)
            assert_non_null(strstr(bench.echo[slot], "\r\n\r\n12345"));
    }
}

/* One connection, so that every kind of answer follows every other, most of them with a head that
 * came before. */
static void raw_tells_answers_apart_whose_heads_repeat(void **state)
{
    static const struct {
        const char *target, *method;
        int status;
        size_t n_body_bytes;
    } kinds[] = {
        {"/ok", NULL, 200, 20},       {"/status/404", NULL, 404, 4}, {"/echo", "HEAD", 200, 0},
        {"/chunked", NULL, 200, 20},  {"/ok", NULL, 200, 20},        {"/unnamed", NULL, 200, 20},
        {"/continue", NULL, 200, 20}, {"/status/500", NULL, 500, 4}, {"/ok", NULL, 200, 20},
    };
    const uint32_t n = sizeof(kinds) / sizeof(*kinds);
    struct bench bench = {0};

    (void)state;
    for (uint32_t slot = 0; slot < n; slot++) {
        bench.requests[slot].target = kinds[slot].target;
        bench.requests[slot].method = kinds[slot].method;
    }
    run(&bench, "raw:connections=1", n, 50, 10 * NS_PER_S);
    assert_int_equal(bench.n_by_error[CLIENT_OK], 50 * n);
    assert_int_equal(bench.counts.n_connections, 1);
    for (uint32_t slot = 0; slot < n; slot++) {
        assert_int_equal(bench.status[slot], kinds[slot].status);
        assert_int_equal(bench.n_body_bytes[slot], kinds[slot].n_body_bytes);
    }
    assert_string_equal(bench.echo[8], "Hello from Server: 1");
    assert_string_equal(bench.echo[7], "what");
}

static void raw_opens_no_more_connections_than_there_are_slots(void **state)
{
    struct bench bench = {0};

    (void)state;
    for (uint32_t slot = 0; slot < 4; slot++)
        bench.requests[slot].target = "/ok";
    run(&bench, "raw:connections=64", 4, 10, 10 * NS_PER_S);
    assert_int_equal(bench.n_by_error[CLIENT_OK], 40);
    assert_int_equal(bench.counts.n_connections, 4);
}

static void raw_lets_a_lie_cost_the_request_it_answers_and_no_other(void **state)
{
    static const struct {
        const char *path;
        enum client_error error;
    } lies[] = {
        {"/short", CLIENT_MALFORMED}, {"/garbage", CLIENT_MALFORMED},
        {"/reset", CLIENT_RESET},     {"/empty", CLIENT_CLOSED},
        {"/close", CLIENT_OK},        {"/huge-head", CLIENT_TOO_LARGE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
        struct bench bench = {0};
        for (uint32_t slot = 0; slot < 8; slot++)
            bench.requests[slot].target = slot == 3 ? lies[i].path : "/ok";
        run(&bench, "raw:connections=1", 8, 1, 10 * NS_PER_S);
        for (uint32_t slot = 0; slot < 8; slot++)
            if (bench.last[slot] != (slot == 3 ? lies[i].error : CLIENT_OK))
                fail_msg("%s: slot %u ended as %s", lies[i].path, slot,
                         client_error_name(bench.last[slot]));
        /* Those behind it went out twice, and so did a reset request on a kept connection. */
        assert_in_range(bench.counts.n_resent, 4, 5 + 4);
        assert_in_range(bench.counts.n_connections, 2, 3);
    }
}

static void raw_does_not_repeat_a_post_whose_fate_is_unknown(void **state)
{
    struct bench bench = {0};
    uint64_t n_before = lying_server_requests(server);

    (void)state;
    for (uint32_t slot = 0; slot < 6; slot++) {
        bench.requests[slot].target = slot == 0 ? "/short" : "/ok";
        bench.requests[slot].method = slot % 2 ? "POST" : NULL;
    }
    run(&bench, "raw:connections=1", 6, 1, 10 * NS_PER_S);
    assert_int_equal(bench.last[0], CLIENT_MALFORMED);
    for (uint32_t slot = 1; slot < 6; slot++)
        assert_int_equal(bench.last[slot], slot % 2 ? CLIENT_CLOSED : CLIENT_OK);
    assert_int_equal(bench.counts.n_resent, 2);
    assert_int_equal(lying_server_requests(server) - n_before, 1 + 2);
    /* Nor one that met the closing of a kept connection, which a GET survives. */
    bench = (struct bench){.requests = {{.target = "/once", .method = "POST"}}};
    run(&bench, "raw", 1, 2, 10 * NS_PER_S);
    assert_int_equal(bench.n_by_error[CLIENT_OK], 1);
    assert_int_equal(bench.n_by_error[CLIENT_CLOSED], 1);
    assert_int_equal(bench.counts.n_resent, 0);
}

static void raw_times_out_each_request_of_a_stalled_connection(void **state)
{
    struct bench bench = {0};
    uint64_t started_ns = clock_now_ns();

    (void)state;
    for (uint32_t slot = 0; slot < 6; slot++)
        bench.requests[slot].target = slot == 0 ? "/ok" : "/stall-body";
    run(&bench, "raw:connections=1", 6, 1, NS_PER_S);
    assert_int_equal(bench.last[0], CLIENT_OK);
    assert_int_equal(bench.last[1], CLIENT_SLOW);
    assert_int_equal(bench.status[1], 200);
    assert_int_equal(bench.n_body_bytes[1], 10);
    assert_int_equal(bench.n_by_error[CLIENT_SLOW] + bench.n_by_error[CLIENT_TIMEOUT], 5);
    /* All were submitted at once: they end at once, not one after the other. */
    assert_true(clock_now_ns() - started_ns < 4 * NS_PER_S);
}

static void raw_tells_all_that_wait_when_nobody_listens(void **state)
{
    const struct addr nowhere = lying_server_nowhere();
    struct bench bench = {0};

    (void)state;
    for (uint32_t slot = 0; slot < 10; slot++)
        bench.requests[slot].target = "/ok";
    run_at(&bench, "raw:connections=2", &nowhere, 10, 5, NS_PER_S);
    assert_int_equal(bench.n_by_error[CLIENT_REFUSED], 50);
    assert_int_equal(bench.counts.n_resent, 0);
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
        cmocka_unit_test(raw_gives_every_slot_its_own_answer_over_shared_connections),
        cmocka_unit_test(raw_tells_answers_apart_whose_heads_repeat),
        cmocka_unit_test(raw_opens_no_more_connections_than_there_are_slots),
        cmocka_unit_test(raw_lets_a_lie_cost_the_request_it_answers_and_no_other),
        cmocka_unit_test(raw_does_not_repeat_a_post_whose_fate_is_unknown),
        cmocka_unit_test(raw_times_out_each_request_of_a_stalled_connection),
        cmocka_unit_test(raw_tells_all_that_wait_when_nobody_listens),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
