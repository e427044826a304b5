/* What every client of the registry must do, against a server that lies: basic claims first. */
#include <errno.h>
#include <ev.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/client.h"
#include "core/clock.h"
#include "tests/support/lying_server.h"

#define MAX_PARTS 32
#define SECOND NS_PER_S

static const struct part *parts[MAX_PARTS];
static size_t n_parts;
static struct lying_server *server;

#define CLAIM(holds, part)                                                                         \
    do {                                                                                           \
        if (!(holds))                                                                              \
            fail_msg("%s: not so: %s", (part)->name, #holds);                                      \
    } while (0)

/* A closed loop in miniature: n requests over the slots, the paths in turn. */
struct probe {
    struct client *client;
    struct ev_loop *loop;
    const char *const *paths; /* NULL-ended */
    size_t next_path;
    uint64_t n_left, n_busy, n_done;
    bool in_submit;
    bool called_inside_submit;
    uint64_t n_by_error[CLIENT_N_ERRORS];
    uint64_t n_by_status[1000];
    uint64_t n_named[3]; /* Server1, Server2, Server10 */
    uint64_t n_other_name, n_nameless;
    uint64_t n_body_bytes, min_ns, max_ns;
    uint64_t n_hello; /* bodies kept that say hello */
    uint64_t n_body_pointers;
    char detail[512]; /* of the last error */
    struct client_counts counts;
};

static void submit(struct probe *probe, uint32_t slot)
{
    struct client_request request = {.target = probe->paths[probe->next_path]};

    if (!probe->paths[++probe->next_path])
        probe->next_path = 0;
    probe->n_left--;
    probe->n_busy++;
    probe->in_submit = true;
    client_submit(probe->client, slot, &request);
    probe->in_submit = false;
}

static void on_done(void *context, uint32_t slot, const struct client_answer *answer)
{
    static const char *const names[] = {"Server1", "Server2", "Server10"};
    struct probe *probe = context;
    uint64_t took_ns = answer->done_ns - answer->submitted_ns;
    size_t name = 0;

    probe->called_inside_submit |= probe->in_submit;
    probe->n_busy--;
    probe->n_done++;
    probe->n_by_error[answer->error]++;
    probe->n_by_status[answer->status]++;
    probe->n_body_bytes += answer->n_body_bytes;
    probe->min_ns = probe->n_done == 1 || took_ns < probe->min_ns ? took_ns : probe->min_ns;
    probe->max_ns = took_ns > probe->max_ns ? took_ns : probe->max_ns;
    probe->n_body_pointers += answer->body != NULL;
    if (answer->body && answer->body_bytes == 20)
        probe->n_hello += memcmp(answer->body, "Hello from Server: 1", 20) == 0;
    if (answer->error != CLIENT_OK)
        snprintf(probe->detail, sizeof(probe->detail), "%s", answer->detail);
    while (name < 3 && !(strlen(names[name]) == answer->server_bytes &&
                         memcmp(names[name], answer->server, answer->server_bytes) == 0))
        name++;
    if (answer->server_bytes == 0)
        probe->n_nameless++;
    else if (name < 3)
        probe->n_named[name]++;
    else
        probe->n_other_name++;
    if (probe->n_left > 0)
        submit(probe, slot);
    else if (probe->n_busy == 0)
        ev_break(probe->loop, EVBREAK_ALL);
}

static void on_hang(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)loop, (void)timer, (void)events;
    fail_msg("a client did not end its requests in 20 s");
}

struct run {
    const char *const *paths;
    uint64_t n_requests;
    uint32_t n_slots;
    uint64_t timeout_ns;
    size_t keep_body_bytes;
    const struct addr *addr; /* NULL: the lying server's */
};

static struct client *open_client(const struct part *part, struct ev_loop *loop,
                                  const struct run *run, struct probe *probe)
{
    static const struct client_handler handler = {.on_done = on_done};
    const struct client_config config = {
        .loop = loop,
        .addr = run->addr ? *run->addr : *lying_server_addr(server),
        .n_slots = run->n_slots,
        .timeout_ns = run->timeout_ns,
        .keep_body_bytes = run->keep_body_bytes,
    };
    struct client *client = NULL;
    struct spec spec;
    struct err err;

    if (spec_parse(&client_family, part->name, &spec, &err) < 0 ||
        client_open(&spec, &config, &handler, probe, &client, &err) < 0)
        fail_msg("%s: %s", part->name, err.message);
    spec_done(&spec);
    return client;
}

static struct probe run_probe(const struct part *part, const struct run *run)
{
    struct probe probe = {.paths = run->paths, .n_left = run->n_requests};
    struct ev_timer hang;

    probe.loop = ev_loop_new(EVFLAG_AUTO);
    probe.client = open_client(part, probe.loop, run, &probe);
    ev_timer_init(&hang, on_hang, 20., 0.);
    ev_timer_start(probe.loop, &hang);
    for (uint32_t slot = 0; slot < run->n_slots && probe.n_left > 0; slot++)
        submit(&probe, slot);
    ev_run(probe.loop, 0);
    probe.counts = client_counts(probe.client);
    client_close(probe.client);
    ev_timer_stop(probe.loop, &hang);
    ev_loop_destroy(probe.loop);
    CLAIM(probe.n_done == run->n_requests, part);
    CLAIM(!probe.called_inside_submit, part);
    return probe;
}

static struct probe run_path(const struct part *part, const char *path, uint64_t n_requests,
                             uint32_t n_slots)
{
    const char *const paths[] = {path, NULL};

    return run_probe(part, &(struct run){paths, n_requests, n_slots, 10 * SECOND, 0, NULL});
}

static void registry_holds_the_default_client(void **state)
{
    (void)state;
    assert_non_null(family_find(&client_family, "curl"));
    assert_null(family_find(&client_family, "template"));
}

static void every_client_says_what_it_is(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_parts; i++) {
        CLAIM(parts[i]->summary && *parts[i]->summary, parts[i]);
        CLAIM(parts[i]->source && *parts[i]->source, parts[i]);
    }
}

static void open_refuses_a_window_of_none_or_too_many(void **state)
{
    static const struct client_handler handler = {.on_done = on_done};
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);

    (void)state;
    for (size_t i = 0; i < n_parts; i++) {
        struct client_config config = {
            .loop = loop, .addr = *lying_server_addr(server), .timeout_ns = SECOND};
        struct client *client = NULL;
        struct spec spec;
        struct err err = {0};

        assert_int_equal(spec_parse(&client_family, parts[i]->name, &spec, &err), 0);
        CLAIM(client_open(&spec, &config, &handler, NULL, &client, &err) == -EINVAL, parts[i]);
        config.n_slots = CLIENT_MAX_SLOTS + 1;
        CLAIM(client_open(&spec, &config, &handler, NULL, &client, &err) == -EINVAL, parts[i]);
        CLAIM(strstr(err.message, "65537") != NULL, parts[i]);
        CLAIM(client == NULL, parts[i]);
        spec_done(&spec);
    }
    ev_loop_destroy(loop);
}

static void answers_of_every_framing_are_whole(void **state)
{
    static const char *const paths[] = {"/ok", "/chunked", "/close", "/unframed", "/continue"};

    (void)state;
    for (size_t i = 0; i < n_parts; i++) {
        for (size_t p = 0; p < sizeof(paths) / sizeof(*paths); p++) {
            struct probe probe = run_path(parts[i], paths[p], 100, 8);
            if (probe.n_by_error[CLIENT_OK] != 100)
                fail_msg("%s: %s: %s", parts[i]->name, paths[p], probe.detail);
            CLAIM(probe.n_by_status[200] == 100, parts[i]);
            CLAIM(probe.n_named[0] == 100, parts[i]);
            CLAIM(probe.n_body_bytes == 2000, parts[i]);
        }
    }
}

static void every_lie_has_its_class(void **state)
{
    static const struct {
        const char *path;
        enum client_error error;
    } lies[] = {
        {"/short", CLIENT_MALFORMED},     {"/garbage", CLIENT_MALFORMED},
        {"/bad-chunk", CLIENT_MALFORMED}, {"/reset", CLIENT_RESET},
        {"/reset-body", CLIENT_RESET},    {"/empty", CLIENT_CLOSED},
        {"/huge-line", CLIENT_TOO_LARGE}, {"/huge-head", CLIENT_TOO_LARGE},
    };

    (void)state;
    for (size_t i = 0; i < n_parts; i++) {
        for (size_t l = 0; l < sizeof(lies) / sizeof(*lies); l++) {
            struct probe probe = run_path(parts[i], lies[l].path, 100, 10);
            if (probe.n_by_error[lies[l].error] != 100)
                fail_msg("%s: %s: %llu of 100 are %s; the last: %s", parts[i]->name, lies[l].path,
                         (unsigned long long)probe.n_by_error[lies[l].error],
                         client_error_name(lies[l].error), probe.detail);
            CLAIM(probe.detail[0] != '\0', parts[i]);
        }
    }
}

static void a_port_where_nothing_listens_is_refused(void **state)
{
    static const char *const paths[] = {"/ok", NULL};
    const struct addr nowhere = lying_server_nowhere();

    (void)state;
    for (size_t i = 0; i < n_parts; i++) {
        struct probe probe =
            run_probe(parts[i], &(struct run){paths, 100, 10, SECOND, 0, &nowhere});
        CLAIM(probe.n_by_error[CLIENT_REFUSED] == 100, parts[i]);
        CLAIM(probe.n_by_status[0] == 100, parts[i]);
        CLAIM(strstr(probe.detail, "refused") != NULL, parts[i]);
    }
}

static void silence_is_a_timeout_and_half_an_answer_is_slow(void **state)
{
    static const char *const stall[] = {"/stall", NULL}, *const half[] = {"/stall-body", NULL};

    (void)state;
    for (size_t i = 0; i < n_parts; i++) {
        struct probe probe =
            run_probe(parts[i], &(struct run){stall, 20, 10, SECOND / 10, 0, NULL});
        CLAIM(probe.n_by_error[CLIENT_TIMEOUT] == 20, parts[i]);
        CLAIM(probe.n_by_status[0] == 20, parts[i]);
        CLAIM(probe.min_ns >= SECOND / 10, parts[i]);
        CLAIM(probe.max_ns < 5 * SECOND, parts[i]);
        /* Long enough for the half to come on a busy machine. */
        probe = run_probe(parts[i], &(struct run){half, 20, 10, 4 * (SECOND / 10), 0, NULL});
        CLAIM(probe.n_by_error[CLIENT_SLOW] == 20, parts[i]);
        CLAIM(probe.n_by_status[200] == 20, parts[i]);
        CLAIM(probe.n_body_bytes == 200, parts[i]);
        CLAIM(strstr(probe.detail, "400 ms") != NULL, parts[i]);
    }
}

static void a_status_is_no_error_and_an_error_does_not_stick_to_its_slot(void **state)
{
    static const char *const paths[] = {"/status/500", "/ok",    "/reset", "/bad-chunk",
                                        "/status/302", "/short", "/ok",    "/empty",
                                        "/status/404", NULL};

    (void)state;
    for (size_t i = 0; i < n_parts; i++) {
        struct probe probe = run_probe(parts[i], &(struct run){paths, 90, 1, 10 * SECOND, 0, NULL});
        CLAIM(probe.n_by_error[CLIENT_OK] == 50, parts[i]);
        CLAIM(probe.n_by_error[CLIENT_RESET] == 10, parts[i]);
        CLAIM(probe.n_by_error[CLIENT_MALFORMED] == 20, parts[i]);
        CLAIM(probe.n_by_error[CLIENT_CLOSED] == 10, parts[i]);
        CLAIM(probe.n_by_status[500] == 10, parts[i]);
        CLAIM(probe.n_by_status[302] == 10, parts[i]);
        CLAIM(probe.n_by_status[404] == 10, parts[i]);
        CLAIM(probe.n_by_status[200] == 40, parts[i]); /* /ok twice, and two that broke off */
        CLAIM(probe.n_by_status[0] == 20, parts[i]);
    }
}

static void server_names_are_told_apart_and_checked(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_parts; i++) {
        struct probe probe = run_path(parts[i], "/three", 300, 8);
        CLAIM(probe.n_named[0] == 100, parts[i]);
        CLAIM(probe.n_named[1] == 100, parts[i]);
        CLAIM(probe.n_named[2] == 100, parts[i]);
        probe = run_path(parts[i], "/unnamed", 50, 4);
        CLAIM(probe.n_nameless == 50, parts[i]);
        probe = run_path(parts[i], "/badname", 50, 4);
        CLAIM(probe.n_nameless == 50 && probe.n_by_error[CLIENT_OK] == 50, parts[i]);
    }
}

static void bodies_are_kept_when_asked_and_limited_then(void **state)
{
    static const char *const ok[] = {"/chunked", NULL}, *const big[] = {"/big", NULL};

    (void)state;
    for (size_t i = 0; i < n_parts; i++) {
        struct probe probe =
            run_probe(parts[i], &(struct run){ok, 100, 8, 10 * SECOND, 4096, NULL});
        CLAIM(probe.n_hello == 100, parts[i]);
        probe = run_probe(parts[i], &(struct run){ok, 100, 8, 10 * SECOND, 0, NULL});
        CLAIM(probe.n_body_pointers == 0, parts[i]);
        probe = run_probe(parts[i], &(struct run){big, 6, 2, 10 * SECOND, 0, NULL});
        CLAIM(probe.n_by_error[CLIENT_OK] == 6, parts[i]);
        CLAIM(probe.n_body_bytes == UINT64_C(6) * 3145728, parts[i]);
        probe = run_probe(parts[i], &(struct run){big, 6, 2, 10 * SECOND, 65536, NULL});
        CLAIM(probe.n_by_error[CLIENT_TOO_LARGE] == 6, parts[i]);
        CLAIM(strstr(probe.detail, "65536") != NULL, parts[i]);
    }
}

static void connections_are_kept_and_counted(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_parts; i++) {
        uint64_t n_before = lying_server_connections(server);
        uint64_t n_requests = lying_server_requests(server);
        struct probe probe = run_path(parts[i], "/ok", 5000, 100);
        CLAIM(probe.n_by_error[CLIENT_OK] == 5000, parts[i]);
        CLAIM(probe.counts.n_connections >= 1 && probe.counts.n_connections <= 100, parts[i]);
        CLAIM(probe.counts.n_resent == 0, parts[i]);
        CLAIM(lying_server_connections(server) - n_before == probe.counts.n_connections, parts[i]);
        CLAIM(lying_server_requests(server) - n_requests == 5000, parts[i]);
    }
}

static void a_kept_connection_closed_under_a_request_is_no_error_and_is_counted(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_parts; i++) {
        struct probe probe = run_path(parts[i], "/once", 100, 1);
        CLAIM(probe.n_by_error[CLIENT_OK] == 100, parts[i]);
        CLAIM(probe.counts.n_connections == 100, parts[i]);
        CLAIM(probe.counts.n_resent == 99, parts[i]);
    }
}

static void latency_is_at_least_the_time_the_server_took(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_parts; i++) {
        struct probe probe = run_path(parts[i], "/sleep/30", 20, 10);
        CLAIM(probe.n_by_error[CLIENT_OK] == 20, parts[i]);
        CLAIM(probe.min_ns >= 30 * NS_PER_MS, parts[i]);
        CLAIM(probe.max_ns < 5 * SECOND, parts[i]);
    }
}

/* One slot's requests, one after another, each answered by its own bytes. */
struct echo {
    struct ev_loop *loop;
    struct client *client;
    const struct client_request *requests;
    size_t n_requests, next;
    char texts[8][1024]; /* what came back, NUL-ended */
};

static void on_echo(void *context, uint32_t slot, const struct client_answer *answer)
{
    struct echo *echo = context;

    if (answer->error != CLIENT_OK)
        fail_msg("%s: %s", client_error_name(answer->error), answer->detail);
    snprintf(echo->texts[echo->next++], sizeof(echo->texts[0]), "%.*s", (int)answer->body_bytes,
             answer->body ? answer->body : "");
    if (echo->next < echo->n_requests)
        client_submit(echo->client, slot, &echo->requests[echo->next]);
    else
        ev_break(echo->loop, EVBREAK_ALL);
}

static void run_echo(const struct part *part, struct echo *echo)
{
    static const struct client_handler handler = {.on_done = on_echo};
    struct client_config config = {.addr = *lying_server_addr(server),
                                   .n_slots = 1,
                                   .timeout_ns = 5 * SECOND,
                                   .keep_body_bytes = 4096};
    struct ev_timer hang;
    struct spec spec;
    struct err err;

    config.loop = echo->loop = ev_loop_new(EVFLAG_AUTO);
    if (spec_parse(&client_family, part->name, &spec, &err) < 0 ||
        client_open(&spec, &config, &handler, echo, &echo->client, &err) < 0)
        fail_msg("%s: %s", part->name, err.message);
    ev_timer_init(&hang, on_hang, 20., 0.);
    ev_timer_start(echo->loop, &hang);
    client_submit(echo->client, 0, &echo->requests[0]);
    ev_run(echo->loop, 0);
    client_close(echo->client);
    ev_timer_stop(echo->loop, &hang);
    ev_loop_destroy(echo->loop);
    spec_done(&spec);
}

static void requests_go_out_with_the_method_headers_and_body_they_name(void **state)
{
    static const struct client_request requests[] = {
        {.target = "/echo"},
        {.target = "/echo?a=1",
         .method = "POST",
         .headers = "Content-Type: application/json\r\nX-Key: 123456\r\n",
         .body = "{\"n\":4}",
         .body_bytes = 7},
        {.target = "/echo", .method = "DELETE", .headers = "X-Key: 7\r\n"},
        {.target = "/echo", .method = "DELETE", .body = "12345", .body_bytes = 5},
        {.target = "/echo", .method = "POST"},
        {.target = "/echo", .method = "HEAD"},
        {.target = "/echo", .body = "on a GET", .body_bytes = 8},
        {.target = "/echo"},
    };

    (void)state;
    for (size_t i = 0; i < n_parts; i++) {
        struct echo echo = {.requests = requests, .n_requests = 8};
        char(*said)[1024] = echo.texts;
        run_echo(parts[i], &echo);
        CLAIM(strncmp(said[0], "GET /echo HTTP/1.1\r\nHost: 127.0.0.1:", 36) == 0, parts[i]);
        CLAIM(!strcasestr(said[0], "content-"), parts[i]);
        CLAIM(strncmp(said[1], "POST /echo?a=1 HTTP/1.1\r\n", 25) == 0, parts[i]);
        CLAIM(strstr(said[1], "\r\nContent-Type: application/json\r\n"), parts[i]);
        CLAIM(strstr(said[1], "\r\nX-Key: 123456\r\n"), parts[i]);
        CLAIM(strstr(said[1], "\r\nContent-Length: 7\r\n"), parts[i]);
        CLAIM(strstr(said[1], "\r\n\r\n{\"n\":4}"), parts[i]);
        CLAIM(strncmp(said[2], "DELETE /echo HTTP/1.1\r\n", 23) == 0, parts[i]);
        CLAIM(strstr(said[2], "\r\nX-Key: 7\r\n"), parts[i]);
        CLAIM(!strcasestr(said[2], "content-"), parts[i]);
        CLAIM(strncmp(said[3], "DELETE /echo HTTP/1.1\r\n", 23) == 0, parts[i]);
        CLAIM(!strstr(said[3], "X-Key") && !strcasestr(said[3], "content-type"), parts[i]);
        CLAIM(strstr(said[3], "\r\n\r\n12345"), parts[i]);
        CLAIM(strncmp(said[4], "POST /echo HTTP/1.1\r\n", 21) == 0, parts[i]);
        CLAIM(strstr(said[4], "\r\nContent-Length: 0\r\n"), parts[i]);
        CLAIM(said[5][0] == '\0', parts[i]);
        CLAIM(strncmp(said[6], "GET /echo HTTP/1.1\r\n", 20) == 0, parts[i]);
        CLAIM(strstr(said[6], "\r\n\r\non a GET"), parts[i]);
        CLAIM(strcmp(said[7], said[0]) == 0, parts[i]);
    }
}

static void close_with_requests_in_flight_calls_nobody_and_leaves_no_watcher(void **state)
{
    static const char *const paths[] = {"/stall", NULL};

    (void)state;
    for (size_t i = 0; i < n_parts; i++) {
        struct probe probe = {.paths = paths, .n_left = 200};
        const struct run run = {paths, 200, 100, SECOND, 0, NULL};

        probe.loop = ev_loop_new(EVFLAG_AUTO);
        probe.client = open_client(parts[i], probe.loop, &run, &probe);
        for (uint32_t slot = 0; slot < 100; slot++)
            submit(&probe, slot);
        for (int turn = 0; turn < 20; turn++)
            ev_run(probe.loop, EVRUN_NOWAIT);
        client_close(probe.client);
        CLAIM(probe.n_done == 0, parts[i]);
        /* Returns nonzero as long as any watcher is active. */
        CLAIM(!ev_run(probe.loop, EVRUN_NOWAIT), parts[i]);
        ev_loop_destroy(probe.loop);
    }
}

static int start_server(void **state)
{
    (void)state;
    n_parts = family_list(&client_family, parts, MAX_PARTS);
    server = lying_server_start();
    return n_parts == 0 || n_parts > MAX_PARTS;
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
        cmocka_unit_test(registry_holds_the_default_client),
        cmocka_unit_test(every_client_says_what_it_is),
        cmocka_unit_test(open_refuses_a_window_of_none_or_too_many),
        cmocka_unit_test(answers_of_every_framing_are_whole),
        cmocka_unit_test(every_lie_has_its_class),
        cmocka_unit_test(a_port_where_nothing_listens_is_refused),
        cmocka_unit_test(silence_is_a_timeout_and_half_an_answer_is_slow),
        cmocka_unit_test(a_status_is_no_error_and_an_error_does_not_stick_to_its_slot),
        cmocka_unit_test(server_names_are_told_apart_and_checked),
        cmocka_unit_test(bodies_are_kept_when_asked_and_limited_then),
        cmocka_unit_test(connections_are_kept_and_counted),
        cmocka_unit_test(a_kept_connection_closed_under_a_request_is_no_error_and_is_counted),
        cmocka_unit_test(latency_is_at_least_the_time_the_server_took),
        cmocka_unit_test(requests_go_out_with_the_method_headers_and_body_they_name),
        cmocka_unit_test(close_with_requests_in_flight_calls_nobody_and_leaves_no_watcher),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
