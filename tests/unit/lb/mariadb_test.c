/* The cluster's private database, with a real mariadbd: installed once, started by every test. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/store.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/process.h"
#include "lb/mariadb.h"
#include "tests/support/mariadb.h"

#define PATIENCE_S 60.
#define GRACE_NS (20 * NS_PER_S)

/* What the database told. */
struct told {
    int n_ready, n_failed, n_exit, n_stopped, n_added;
    char why[64];
    struct err failure;
    char options[2][512]; /* of the last servers added, in their order */
    int codes[2];
};

static struct ev_loop *loop;
static char dir[64];
static struct told told;
static struct mariadb *mariadb;

static void on_ready(void *context)
{
    ((struct told *)context)->n_ready++;
}

static void on_failed(void *context, const struct err *err)
{
    struct told *to = context;
    to->n_failed++;
    to->failure = *err;
}

static void on_exit_told(void *context, const char *why)
{
    struct told *to = context;
    to->n_exit++;
    snprintf(to->why, sizeof(to->why), "%s", why);
}

static void on_stopped(void *context)
{
    ((struct told *)context)->n_stopped++;
}

static void on_added(void *context, const char *name, const char *store_options,
                     const struct err *err)
{
    struct told *to = context;
    int at = to->n_added++ % 2;
    assert_true(name[0] == 'S');
    assert_true(!store_options != !err);
    to->codes[at] = err ? err->code : 0;
    snprintf(to->options[at], sizeof(to->options[at]), "%s", store_options ? store_options : "");
}

static void on_patience(struct ev_loop *on, ev_timer *timer, int events)
{
    (void)on;
    (void)events;
    *(bool *)timer->data = true;
}

/* Turns the loop until the count is reached; no turn takes long (law 2). */
static void wait_for(const int *count, int n)
{
    bool over = false;
    ev_timer patience;
    ev_timer_init(&patience, on_patience, PATIENCE_S, 0.);
    patience.data = &over;
    ev_now_update(loop);
    ev_timer_start(loop, &patience);
    while (*count < n && !over)
        ev_run(loop, EVRUN_ONCE);
    ev_timer_stop(loop, &patience);
    if (over)
        fail_msg("waited %.0f s; failures: %d %s", PATIENCE_S, told.n_failed, told.failure.message);
}

static int start_in(const char *where, struct mariadb **ret_mariadb, struct err *err)
{
    struct mariadb_config config = {.loop = loop,
                                    .dir = where,
                                    .on_ready = on_ready,
                                    .on_failed = on_failed,
                                    .on_exit = on_exit_told,
                                    .context = &told};
    return mariadb_start(&config, ret_mariadb, err);
}

static void start(void)
{
    struct err err = {0};
    told = (struct told){0};
    if (start_in(dir, &mariadb, &err) != 0)
        fail_msg("%s", err.message);
}

static void stop(void)
{
    if (!mariadb)
        return;
    mariadb_stop(mariadb, GRACE_NS, on_stopped, &told);
    mariadb = NULL;
    wait_for(&told.n_stopped, 1);
}

static const char *add(const char *name)
{
    int n = told.n_added;
    mariadb_add_server(mariadb, name, on_added, &told);
    assert_int_equal(told.n_added, n); /* not from within */
    wait_for(&told.n_added, n + 1);
    assert_int_equal(told.codes[n % 2], 0);
    return told.options[n % 2];
}

static int remove_one(const char *path, const struct stat *stat, int kind, struct FTW *at)
{
    (void)stat;
    (void)kind;
    (void)at;
    return remove(path);
}

static int set_up_group(void **state)
{
    (void)state;
    loop = ev_loop_new(EVFLAG_AUTO);
    snprintf(dir, sizeof(dir), "/tmp/quoit-private-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    stop();
    return 0;
}

static int tear_down_group(void **state)
{
    (void)state;
    ev_loop_destroy(loop);
    return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Opens a store with these options, as a server would. */
static int open_store(const char *options, struct err *err)
{
    struct store_spec spec;
    struct store *store;
    struct flusher flusher;
    char *text = mem_printf("mysql:%s", options);
    int rc = store_spec_parse(text, &spec, err);
    free(text);
    if (rc != 0)
        return rc;
    flusher_init(&flusher, loop);
    struct store_config config = {
        .loop = loop, .flusher = &flusher, .dir = dir, .server = "Server1"};
    rc = store_open(&spec, &config, &store, err);
    if (rc == 0)
        store_close(store);
    flusher_done(&flusher);
    store_spec_done(&spec);
    return rc;
}

static mode_t mode_of(const char *path)
{
    struct stat stat_of;
    assert_int_equal(stat(path, &stat_of), 0);
    return stat_of.st_mode & 07777;
}

/* ---- claims ---- */

static void mariadb_installs_starts_and_gives_a_server_what_it_needs(void **state)
{
    struct err err = {0};
    char path[128];
    (void)state;
    start();
    mariadb_add_server(mariadb, "Server1", on_added, &told); /* before it is there */
    assert_int_equal(told.n_ready + told.n_added, 0);
    wait_for(&told.n_added, 1);
    assert_int_equal(told.codes[0], 0);
    wait_for(&told.n_ready, 1);
    assert_true(mariadb_pid(mariadb) > 0);
    if (open_store(told.options[0], &err) != 0)
        fail_msg("%s: %s", told.options[0], err.message);
    assert_int_equal(mode_of(dir), 0700);
    snprintf(path, sizeof(path), "%s/1.password", dir);
    assert_int_equal(mode_of(path), 0600);
    assert_non_null(strstr(told.options[0], path));
    pid_t pid = (pid_t)mariadb_pid(mariadb);
    stop();
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(errno, ESRCH);
}

static void mariadb_gives_a_server_the_same_in_every_life(void **state)
{
    char first[512];
    (void)state;
    start();
    snprintf(first, sizeof(first), "%s", add("Server1"));
    char *other = mem_strdup(add("Server2"));
    assert_string_not_equal(first, other);
    stop();
    start();
    assert_string_equal(add("Server2"), other);
    assert_string_equal(add("Server1"), first);
    assert_int_equal(open_store(first, NULL), 0);
    free(other);
}

static void mariadb_keeps_servers_from_each_other(void **state)
{
    struct err err = {0};
    (void)state;
    start();
    char *one = mem_strdup(add("Server1"));
    char *two = mem_strdup(add("Server2"));
    char *database = strstr(one, "database=quoit_");
    assert_non_null(database);
    assert_non_null(strstr(two, "database=quoit_2"));
    database[strlen("database=quoit_")] = '2';
    assert_int_equal(open_store(one, &err), -EACCES);
    assert_non_null(strstr(err.message, "quoit_2"));
    free(one);
    free(two);
}

static void mariadb_forgets_a_server_with_its_rows(void **state)
{
    struct err err = {0};
    (void)state;
    start();
    char *options = mem_strdup(add("Server-gone"));
    assert_int_equal(open_store(options, NULL), 0);
    mariadb_remove_server(mariadb, "Server-gone");
    mariadb_remove_server(mariadb, "Server-never");
    add("Server1");                                       /* one after the other */
    assert_int_equal(open_store(options, &err), -ENOENT); /* its password file is gone */
    assert_string_not_equal(add("Server-gone"), options); /* a number is not used again */
    free(options);
}

static void mariadb_is_taken_over_by_the_next_life(void **state)
{
    (void)state;
    start();
    wait_for(&told.n_ready, 1);
    long pid = mariadb_pid(mariadb);
    mariadb_close(mariadb);
    mariadb = NULL;
    assert_int_equal(kill((pid_t)pid, 0), 0);
    start();
    assert_int_equal(mariadb_pid(mariadb), pid);
    assert_int_equal(open_store(add("Server1"), NULL), 0);
    assert_int_equal(told.n_exit, 0);
    /* Its end is seen too. */
    assert_int_equal(kill((pid_t)pid, SIGKILL), 0);
    wait_for(&told.n_exit, 1);
    wait_for(&told.n_ready, 2);
    assert_int_not_equal(mariadb_pid(mariadb), pid);
}

static void mariadb_is_started_again_when_it_dies(void **state)
{
    (void)state;
    start();
    add("Server1");
    long pid = mariadb_pid(mariadb);
    assert_int_equal(kill((pid_t)pid, SIGKILL), 0);
    wait_for(&told.n_exit, 1);
    assert_string_equal(told.why, "killed by SIGKILL");
    assert_int_equal(open_store(add("Server1"), NULL), 0);
    assert_int_not_equal(mariadb_pid(mariadb), pid);
    assert_int_equal(told.n_ready, 2);
    assert_int_equal(told.n_failed, 0);
}

/* Each new process is killed as soon as it is there, long before it answers. */
static void mariadb_is_started_again_when_it_dies_while_it_starts_again(void **state)
{
    (void)state;
    start();
    wait_for(&told.n_ready, 1);
    for (int i = 1; i <= 3; i++) {
        long pid = mariadb_pid(mariadb);
        assert_int_equal(kill((pid_t)pid, SIGKILL), 0);
        wait_for(&told.n_exit, i);
        for (int turn = 0; turn < 500 && mariadb_pid(mariadb) <= 0; turn++)
            ev_run(loop, EVRUN_ONCE);
        assert_true(mariadb_pid(mariadb) > 0);
        assert_int_not_equal(mariadb_pid(mariadb), pid);
    }
    wait_for(&told.n_ready, 2);
    assert_int_equal(told.n_failed, 0);
}

/* The pid in the file is ours, and we are not what the file names. */
static void mariadb_leaves_another_process_with_its_pid_alone(void **state)
{
    char path[128], reference[PROCESS_REFERENCE_BYTES], *slash;
    (void)state;
    assert_int_equal(process_reference(getpid(), reference), 0);
    slash = strchr(reference, '/');
    slash[1] = slash[1] == '9' ? '8' : '9';
    snprintf(path, sizeof(path), "%s/mariadbd", dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "%s\n", reference);
    assert_int_equal(fclose(file), 0);
    start();
    wait_for(&told.n_ready, 1);
    assert_int_not_equal(mariadb_pid(mariadb), getpid());
}

static void mariadb_refuses_a_folder_that_another_lb_has(void **state)
{
    struct mariadb *second;
    struct err err = {0};
    (void)state;
    start();
    assert_int_equal(start_in(dir, &second, &err), -EWOULDBLOCK);
    assert_non_null(strstr(err.message, dir));
}

static void mariadb_refuses_a_folder_that_makes_no_socket(void **state)
{
    struct mariadb *second;
    struct err err = {0};
    char where[MARIADB_DIR_MAX_BYTES + 2];
    (void)state;
    memset(where, 'x', sizeof(where));
    where[0] = '/';
    where[sizeof(where) - 1] = '\0';
    assert_int_equal(start_in(where, &second, &err), -EINVAL);
    assert_int_equal(start_in("/tmp/with,comma", &second, &err), -EINVAL);
    assert_int_equal(start_in("relative", &second, &err), -EINVAL);
    assert_non_null(strstr(err.message, "relative"));
}

static void mariadb_says_why_it_cannot_start(void **state)
{
    char where[80], data[96];
    struct err err = {0};
    (void)state;
    told = (struct told){0};
    snprintf(where, sizeof(where), "%s/broken", dir);
    snprintf(data, sizeof(data), "%s/data", where);
    assert_int_equal(mkdir(where, 0700), 0);
    assert_int_equal(mkdir(data, 0700), 0); /* as if installed */
    assert_int_equal(start_in(where, &mariadb, &err), 0);
    mariadb_add_server(mariadb, "Server1", on_added, &told);
    wait_for(&told.n_failed, 1);
    assert_int_equal(told.failure.code, -ECHILD);
    assert_non_null(strstr(told.failure.message, "[ERROR]"));
    assert_int_equal(told.n_ready, 0);
    stop();
    assert_int_equal(told.n_added, 1); /* answered in the end */
    assert_int_equal(told.codes[0], -ECANCELED);
}

static void mariadb_can_be_stopped_while_it_installs_and_starts(void **state)
{
    char where[80];
    struct err err = {0};
    (void)state;
    told = (struct told){0};
    snprintf(where, sizeof(where), "%s/half", dir);
    assert_int_equal(start_in(where, &mariadb, &err), 0);
    stop();
    start();
    mariadb_add_server(mariadb, "Server1", on_added, &told);
    stop();
    assert_int_equal(told.n_added, 1);
    assert_int_equal(told.codes[0], -ECANCELED);
    assert_int_equal(told.n_ready, 0);
}

/* It holds its socket and says nothing. */
static void mariadb_waits_for_nothing_when_it_is_frozen(void **state)
{
    (void)state;
    start();
    wait_for(&told.n_ready, 1);
    pid_t pid = (pid_t)mariadb_pid(mariadb);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    uint64_t began_ns = clock_now_ns();
    mariadb_add_server(mariadb, "Server1", on_added, &told);
    for (int i = 0; i < 100; i++)
        ev_run(loop, EVRUN_NOWAIT);
    assert_true(clock_now_ns() - began_ns < NS_PER_S);
    assert_int_equal(told.n_added, 0);
    assert_int_equal(kill(pid, SIGCONT), 0);
    wait_for(&told.n_added, 1);
    assert_int_equal(told.codes[0], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(mariadb_installs_starts_and_gives_a_server_what_it_needs,
                                  tear_down),
        cmocka_unit_test_teardown(mariadb_gives_a_server_the_same_in_every_life, tear_down),
        cmocka_unit_test_teardown(mariadb_keeps_servers_from_each_other, tear_down),
        cmocka_unit_test_teardown(mariadb_forgets_a_server_with_its_rows, tear_down),
        cmocka_unit_test_teardown(mariadb_is_taken_over_by_the_next_life, tear_down),
        cmocka_unit_test_teardown(mariadb_is_started_again_when_it_dies, tear_down),
        cmocka_unit_test_teardown(mariadb_is_started_again_when_it_dies_while_it_starts_again,
                                  tear_down),
        cmocka_unit_test_teardown(mariadb_leaves_another_process_with_its_pid_alone, tear_down),
        cmocka_unit_test_teardown(mariadb_refuses_a_folder_that_another_lb_has, tear_down),
        cmocka_unit_test_teardown(mariadb_refuses_a_folder_that_makes_no_socket, tear_down),
        cmocka_unit_test_teardown(mariadb_says_why_it_cannot_start, tear_down),
        cmocka_unit_test_teardown(mariadb_can_be_stopped_while_it_installs_and_starts, tear_down),
        cmocka_unit_test_teardown(mariadb_waits_for_nothing_when_it_is_frozen, tear_down),
    };
    if (!mariadb_bed_is_possible()) {
        print_message("mariadb-server is not installed: skipped\n");
        return 0;
    }
    return cmocka_run_group_tests(tests, set_up_group, tear_down_group);
}
