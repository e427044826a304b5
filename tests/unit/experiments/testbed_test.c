#include "experiments/testbed.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

#include "core/clock.h"
#include "experiments/resultdir.h"
#include "tests/support/forked.h"

/* The tests run from the root of the tree. */
#define FAKE "tests/e2e/support/fake-quoit"

static char dir[] = "/tmp/quoit-testbed-XXXXXX";
static const struct experiment_cluster settings = {.servers = 5,
                                                   .threads = 2,
                                                   .placement = "slots",
                                                   .hash = "xxh64",
                                                   .spawner = "process",
                                                   .service_ns = 1500 * NS_PER_US};

static int start(struct testbed *testbed, const char *fake_lb, const char *program, struct err *err)
{
    const struct testbed_config config = {
        .program = program, .dir = dir, .settings = &settings, .seed = 77};
    setenv("FAKE_LB", fake_lb, 1);
    return testbed_start(testbed, &config, err);
}

static void testbed_starts_where_the_lb_says_and_ends_in_order(void **state)
{
    struct testbed testbed;
    struct err err;
    (void)state;
    if (start(&testbed, "ok", FAKE, &err) < 0)
        fail_msg("%s", err.message);
    assert_string_equal(testbed.address, "127.0.0.1:9");
    pid_t pid = testbed.lb.pid;
    assert_int_equal(kill(pid, 0), 0);
    assert_int_equal(testbed_stop(&testbed, &err), 0);
    assert_int_equal(kill(pid, 0), -1);
}

static void testbed_passes_the_settings_on(void **state)
{
    struct testbed testbed;
    char log[64], line[1024] = "";
    (void)state;
    snprintf(log, sizeof(log), "%s/log", dir);
    setenv("FAKE_LOG", log, 1);
    assert_int_equal(start(&testbed, "ok", FAKE, NULL), 0);
    testbed_stop(&testbed, NULL);
    unsetenv("FAKE_LOG");
    FILE *file = fopen(log, "r");
    assert_non_null(fgets(line, sizeof(line), file));
    fclose(file);
    assert_non_null(strstr(line, "lb --listen 127.0.0.1:0 --ready-fd "));
    assert_non_null(strstr(line, " --servers 5 --placement slots --hash xxh64 --threads 2 "
                                 "--spawner process --seed 77 --service-time 1500us "
                                 "--state "));
}

static void testbed_tells_what_a_failing_lb_said(void **state)
{
    struct testbed testbed;
    struct err err;
    (void)state;
    assert_int_equal(start(&testbed, "fails", FAKE, &err), -EPROTO);
    assert_non_null(strstr(err.message, "quoit lb: cannot start Server2: no such luck"));
    assert_int_equal(start(&testbed, "ok", "/nonexistent/quoit", &err), -ENOENT);
}

/* The stand-in does not speak HTTP, so that /init is not answered. */
static void testbed_makes_a_database_of_servers_that_init_starts(void **state)
{
    static const struct experiment_cluster database = {.servers = 6,
                                                       .threads = 1,
                                                       .placement = "slots",
                                                       .hash = "xxh64",
                                                       .spawner = "process",
                                                       .shards = 4,
                                                       .replicas = 3,
                                                       .shard_size = 10,
                                                       .store = "file:sync=none"};
    const struct testbed_config config = {
        .program = FAKE, .dir = dir, .settings = &database, .seed = 77};
    struct testbed testbed;
    struct err err;
    char log[64], line[1024] = "";
    (void)state;
    snprintf(log, sizeof(log), "%s/log-db", dir);
    setenv("FAKE_LB", "ok", 1);
    setenv("FAKE_LOG", log, 1);
    assert_int_equal(testbed_start(&testbed, &config, &err), -EPROTO);
    unsetenv("FAKE_LOG");
    assert_non_null(strstr(err.message, "POST /init of 127.0.0.1:9"));
    assert_int_equal(testbed.lb.pid, 0);
    FILE *file = fopen(log, "r");
    assert_non_null(fgets(line, sizeof(line), file));
    fclose(file);
    assert_non_null(strstr(line, " --servers 0 "));
    assert_non_null(strstr(line, " --store file:sync=none"));
}

/* Everything below in a process of its own: leftovers are the subreaper's. */
static void stop_a_stubborn_one(void *argument)
{
    struct testbed testbed;
    struct err err;
    const char *kind = argument;
    if (interrupt_open(&err) < 0 || start(&testbed, kind, FAKE, &err) < 0)
        exit(1);
    pid_t pid = testbed.lb.pid;
    uint64_t begin = clock_now_ns();
    if (testbed_stop(&testbed, &err) != -EPROTO)
        exit(2);
    if (clock_now_ns() - begin > 10 * NS_PER_S || kill(pid, 0) == 0)
        exit(3);
    fprintf(stderr, "%s\n", err.message);
    interrupt_close();
    exit(0);
}

static void testbed_kills_an_lb_that_does_not_end(void **state)
{
    (void)state;
    const struct forked *forked = forked_run(stop_a_stubborn_one, "stubborn");
    assert_int_equal(forked->exit_code, 0);
    assert_non_null(strstr(forked->err, "did not end within 5 s"));
}

static void testbed_kills_and_tells_what_an_lb_left_behind(void **state)
{
    (void)state;
    const struct forked *forked = forked_run(stop_a_stubborn_one, "litters");
    assert_int_equal(forked->exit_code, 0);
    assert_non_null(strstr(forked->err, "left 1 processes behind"));
}

static int open_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int close_dir(void **state)
{
    (void)state;
    resultdir_remove_tree(dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(testbed_starts_where_the_lb_says_and_ends_in_order),
        cmocka_unit_test(testbed_passes_the_settings_on),
        cmocka_unit_test(testbed_makes_a_database_of_servers_that_init_starts),
        cmocka_unit_test(testbed_tells_what_a_failing_lb_said),
        cmocka_unit_test(testbed_kills_an_lb_that_does_not_end),
        cmocka_unit_test(testbed_kills_and_tells_what_an_lb_left_behind),
    };
    return cmocka_run_group_tests(tests, open_dir, close_dir);
}
