/* The fake spawner does what its script says. That it keeps the family's contract is seen in
 * tests/contract/spawner_contract_test.c. */
#include "backends/spawner/fake.h"

#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

#include "tests/support/spawner_probe.h"

#define LONG_NS (60 * NS_PER_S)
#define SHORT_NS (40 * NS_PER_MS)

static struct spec spec;
static struct spawner_config config;
static struct probe *probe;

static void open_fake(const char *text)
{
    struct err err = {0};

    if (spec_parse(&spawner_family, text, &spec, &err))
        fail_msg("%s", err.message);
    probe_open(probe, &spec, &config);
}

static int set_up(void **state)
{
    (void)state;
    config = (struct spawner_config){0};
    probe = probe_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    probe_free(probe, &spec, &config);
    spec_done(&spec);
    return 0;
}

static void refuses_the_first_starts_when_told_to_by_option(void **state)
{
    struct err err = {0};

    (void)state;
    open_fake("fake:refuse=2");
    assert_int_equal(probe_start(probe, 1, "Server1", &err), -EAGAIN);
    assert_non_null(strstr(err.message, "Server1"));
    assert_int_equal(probe_start(probe, 2, "Server1", NULL), -EAGAIN);
    probe_start_and_wait(probe, 3, "Server1");
    assert_int_equal(probe->n_events, 1);
}

static void fails_the_first_starts_when_told_to_by_option(void **state)
{
    (void)state;
    open_fake("fake:fail=2");
    for (uint64_t uid = 0; uid < 3; uid++)
        assert_int_equal(probe_start(probe, uid, "Server1", NULL), 0);
    probe_wait(probe, 3);
    assert_int_equal(probe_find(probe, PROBE_FAILED, 0)->code, -ECHILD);
    assert_int_equal(probe_find(probe, PROBE_FAILED, 1)->code, -ECHILD);
    assert_non_null(probe_find(probe, PROBE_STARTED, 2));
}

static void refuses_and_fails_the_next_starts_as_scripted(void **state)
{
    (void)state;
    open_fake("fake");
    fake_spawner_refuse_next(probe->spawner, 1, -EMFILE);
    fake_spawner_fail_next(probe->spawner, 1);
    assert_int_equal(probe_start(probe, 1, "Server1", NULL), -EMFILE);
    assert_int_equal(probe_start(probe, 2, "Server2", NULL), 0);
    probe_wait(probe, 1);
    assert_int_equal(probe->events[0].kind, PROBE_FAILED);
    probe_start_and_wait(probe, 3, "Server3");
}

static void takes_as_long_as_the_delay(void **state)
{
    (void)state;
    open_fake("fake:delay=40ms");
    uint64_t begin_ns = clock_now_ns();
    assert_true(probe_start_and_wait(probe, 1, "Server1")->at_ns - begin_ns >= SHORT_NS);
}

static void holds_starts_until_released(void **state)
{
    (void)state;
    open_fake("fake");
    fake_spawner_hold(probe->spawner, true);
    for (uint64_t uid = 0; uid < 3; uid++)
        assert_int_equal(probe_start(probe, uid, "Server1", NULL), 0);
    probe_stop(probe, 2, LONG_NS);
    probe_wait(probe, 1);
    assert_int_equal(probe->events[0].code, -ECANCELED);
    probe_run_for(probe, 0.05);
    assert_int_equal(probe->n_events, 1);
    assert_int_equal(fake_spawner_count(probe->spawner), 0);
    fake_spawner_hold(probe->spawner, false);
    probe_wait(probe, 3);
    assert_int_equal(fake_spawner_count(probe->spawner), 2);
}

static void lets_a_held_start_time_out(void **state)
{
    (void)state;
    config.start_timeout_ns = SHORT_NS;
    open_fake("fake");
    fake_spawner_hold(probe->spawner, true);
    uint64_t begin_ns = clock_now_ns();
    assert_int_equal(probe_start(probe, 1, "Server1", NULL), 0);
    probe_wait(probe, 1);
    assert_int_equal(probe->events[0].kind, PROBE_FAILED);
    assert_int_equal(probe->events[0].code, -ETIMEDOUT);
    assert_true(probe->events[0].at_ns - begin_ns >= SHORT_NS);
    /* One that listened in time has nothing to fear any more. */
    fake_spawner_hold(probe->spawner, false);
    probe_start_and_wait(probe, 2, "Server1");
    probe_run_for(probe, 0.08);
    assert_int_equal(probe->n_events, 2);
}

static void ends_stubborn_servers_when_the_grace_is_over(void **state)
{
    (void)state;
    open_fake("fake:stubborn=true");
    probe_start_and_wait(probe, 1, "Server1");
    uint64_t begin_ns = clock_now_ns();
    probe_stop(probe, 1, LONG_NS);
    probe_stop(probe, 1, SHORT_NS);
    probe_stop(probe, 1, LONG_NS);
    probe_wait(probe, 2);
    assert_true(probe->events[1].at_ns - begin_ns >= SHORT_NS);
    assert_string_equal(probe->events[1].text, "killed by SIGKILL");
    fake_spawner_set_stubborn(probe->spawner, false);
    probe_start_and_wait(probe, 2, "Server1");
    probe_stop(probe, 2, LONG_NS);
    probe_wait(probe, 4);
    assert_string_equal(probe->events[3].text, "exit status 0");
}

static void ends_a_server_as_scripted(void **state)
{
    uint64_t uid = 0;

    (void)state;
    open_fake("fake");
    assert_int_equal(fake_spawner_exit(probe->spawner, 1, "exit status 1"), -ESRCH);
    probe_start_and_wait(probe, 1, "Server1");
    assert_int_equal(fake_spawner_find(probe->spawner, "Server2", &uid), -ESRCH);
    assert_int_equal(fake_spawner_find(probe->spawner, "Server1", &uid), 0);
    assert_int_equal(uid, 1);
    assert_int_equal(fake_spawner_exit(probe->spawner, uid, "killed by SIGSEGV"), 0);
    assert_int_equal(probe->n_events, 1); /* told by the loop, not here */
    probe_wait(probe, 2);
    assert_string_equal(probe->events[1].text, "killed by SIGSEGV");

    assert_int_equal(probe_start(probe, 2, "Server1", NULL), 0);
    assert_int_equal(fake_spawner_exit(probe->spawner, 2, "exit status 1"), 0);
    probe_wait(probe, 3);
    assert_int_equal(probe->events[2].kind, PROBE_FAILED);
    assert_non_null(strstr(probe->events[2].text, "exit status 1"));
}

static void gives_every_server_an_address_of_its_own_that_refuses(void **state)
{
    (void)state;
    open_fake("fake");
    struct addr first = probe_start_and_wait(probe, 1, "Server1")->addr;
    struct addr second = probe_start_and_wait(probe, 2, "Server2")->addr;
    assert_false(addr_equal(&first, &second));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&first.storage, first.len), -1);
    assert_int_equal(errno, ECONNREFUSED);
    close(fd);
}

static void gives_the_address_of_the_option(void **state)
{
    struct addr expected;
    struct spec wrong = {0};
    struct spawner *spawner;
    struct err err = {0};

    (void)state;
    open_fake("fake:addr=127.0.0.1:4321");
    addr_parse("127.0.0.1:4321", &expected, NULL);
    assert_true(addr_equal(&probe_start_and_wait(probe, 1, "Server1")->addr, &expected));

    assert_int_equal(spec_parse(&spawner_family, "fake:addr=example.org:80", &wrong, NULL), 0);
    assert_int_equal(spawner_open(&wrong, &config, &probe_handler, probe, &spawner, &err), -EINVAL);
    assert_non_null(strstr(err.message, "addr"));
    spec_done(&wrong);
}

/* Port 2000 + id, and nothing for Server9. */
static int address_by_id(void *context, const struct spawner_request *request,
                         struct addr *ret_addr)
{
    char text[ADDR_TEXT_BYTES];

    ++*(int *)context;
    if (request->id == 9)
        return -EADDRINUSE;
    snprintf(text, sizeof(text), "127.0.0.1:%u", (unsigned)(2000 + request->id));
    return addr_parse(text, ret_addr, NULL);
}

static void asks_the_test_for_addresses(void **state)
{
    int n_asked = 0;

    (void)state;
    open_fake("fake:addr=127.0.0.1:4321");
    fake_spawner_set_address(probe->spawner, address_by_id, &n_asked);
    assert_int_equal(addr_port(&probe_start_and_wait(probe, 5, "Server5")->addr), 2005);
    assert_int_equal(probe_start(probe, 9, "Server9", NULL), -EADDRINUSE);
    assert_int_equal(n_asked, 2);
    fake_spawner_set_address(probe->spawner, NULL, NULL);
    assert_int_equal(addr_port(&probe_start_and_wait(probe, 6, "Server6")->addr), 4321);
}

static void records_the_calls_in_their_order(void **state)
{
    size_t n;

    (void)state;
    open_fake("fake:refuse=1");
    probe_start(probe, 1, "Server1", NULL);
    struct probe_event started = *probe_start_and_wait(probe, 2, "Server2");
    probe_stop(probe, 2, LONG_NS);
    probe_wait(probe, 2);
    probe_adopt(probe, 3, &started, NULL);
    const struct fake_call *calls = fake_spawner_calls(probe->spawner, &n);
    assert_int_equal(n, 4);
    assert_int_equal(calls[0].kind, FAKE_START);
    assert_int_equal(calls[0].result, -EAGAIN);
    assert_int_equal(calls[1].kind, FAKE_START);
    assert_int_equal(calls[1].uid, 2);
    assert_int_equal(calls[1].id, 2);
    assert_string_equal(calls[1].name, "Server2");
    assert_int_equal(calls[1].result, 0);
    assert_int_equal(calls[2].kind, FAKE_STOP);
    assert_int_equal(calls[2].uid, 2);
    assert_int_equal(calls[2].grace_ns, LONG_NS);
    assert_int_equal(calls[3].kind, FAKE_ADOPT);
    assert_int_equal(calls[3].result, -ESRCH);
}

static void keeps_servers_in_the_world_for_the_next_spawner(void **state)
{
    (void)state;
    open_fake("fake");
    struct spawner *first = probe->spawner;
    assert_ptr_equal(fake_spawner_latest(), first);
    struct probe_event started = *probe_start_and_wait(probe, 1, "Server1");
    struct probe_event lost = *probe_start_and_wait(probe, 2, "Server2");
    assert_int_equal(fake_world_n_orphans(), 0);
    probe_close(probe);
    assert_null(fake_spawner_latest());
    assert_int_equal(fake_world_n_orphans(), 2);

    probe_open(probe, &spec, &config);
    assert_int_equal(probe_adopt(probe, 11, &started, NULL), 0);
    assert_int_equal(probe_adopt(probe, 12, &started, NULL), -EBUSY);
    fake_world_end_orphans();
    assert_int_equal(probe_adopt(probe, 12, &lost, NULL), -ESRCH);
    assert_int_equal(fake_spawner_count(probe->spawner), 1);
    fake_spawner_exit(probe->spawner, 11, "ended");
    probe_wait(probe, 3);
    assert_int_equal(probe->events[2].kind, PROBE_EXITED);
    assert_int_equal(probe->events[2].uid, 11);
}

#define CLAIM(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(refuses_the_first_starts_when_told_to_by_option),
        CLAIM(fails_the_first_starts_when_told_to_by_option),
        CLAIM(refuses_and_fails_the_next_starts_as_scripted),
        CLAIM(takes_as_long_as_the_delay),
        CLAIM(holds_starts_until_released),
        CLAIM(lets_a_held_start_time_out),
        CLAIM(ends_stubborn_servers_when_the_grace_is_over),
        CLAIM(ends_a_server_as_scripted),
        CLAIM(gives_every_server_an_address_of_its_own_that_refuses),
        CLAIM(gives_the_address_of_the_option),
        CLAIM(asks_the_test_for_addresses),
        CLAIM(records_the_calls_in_their_order),
        CLAIM(keeps_servers_in_the_world_for_the_next_spawner),
    };

    return cmocka_run_group_tests_name("backends/spawner/fake", tests, NULL, NULL);
}
