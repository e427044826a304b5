#include "experiments/child.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "tests/support/forked.h"

static char said[] = "/tmp/quoit-child-XXXXXX";

static struct child start(const char *script)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    struct child child;
    struct err err;
    if (child_start(&child, "the child", argv, said, -1, &err) < 0)
        fail_msg("%s", err.message);
    return child;
}

static bool is_running(long pid)
{
    return kill((pid_t)pid, 0) == 0;
}

static void child_ends_with_its_status_and_cpu_time(void **state)
{
    char text[32];
    struct child child = start("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; exit 3");
    (void)state;
    assert_int_equal(child_wait(&child, 10 * NS_PER_S, -1), 0);
    assert_int_equal(child.pid, 0);
    assert_string_equal(child_status_text(&child, text), "exit status 3");
    assert_true(child.cpu_ns > 0 && child.cpu_ns < 10 * NS_PER_S);
    assert_true(child_stop(&child, NS_PER_S)); /* ended already: no harm */
    child_done(&child);
    child = start("kill -SEGV $$");
    assert_int_equal(child_wait(&child, 10 * NS_PER_S, -1), 0);
    assert_string_equal(child_status_text(&child, text), "killed by SIGSEGV");
    child_done(&child);
}

static void child_run_is_over_when_the_child_is(void **state)
{
    const char *const good[] = {"sh", "-c", "exit 3", NULL};
    const char *const late[] = {"sh", "-c", "echo I hang >&2; exec sleep 60", NULL};
    struct child child;
    struct err err;
    char text[32];
    (void)state;
    assert_int_equal(child_run(&child, "the child", good, said, 10 * NS_PER_S, &err), 0);
    assert_string_equal(child_status_text(&child, text), "exit status 3");
    child_done(&child);
    assert_int_equal(child_run(&child, "the child", late, said, NS_PER_S, &err), -ETIMEDOUT);
    assert_non_null(strstr(err.message, "the child: did not end within 1 s; it said:\nI hang"));
    assert_int_equal(child.pid, 0);
}

static void child_that_is_no_program_is_told_at_once(void **state)
{
    const char *const argv[] = {"/nonexistent/program", NULL};
    struct child child;
    struct err err;
    (void)state;
    assert_int_equal(child_start(&child, "x", argv, said, -1, &err), -ENOENT);
    assert_non_null(strstr(err.message, "/nonexistent/program"));
    assert_int_equal(child_start(&child, "x", argv, "/nonexistent/said", -1, &err), -ENOENT);
    assert_non_null(strstr(err.message, "/nonexistent/said"));
}

static void child_wait_gives_up_at_its_deadline(void **state)
{
    struct child child = start("exec sleep 60");
    (void)state;
    uint64_t begin = clock_now_ns();
    assert_int_equal(child_wait(&child, 30 * NS_PER_MS, -1), -ETIMEDOUT);
    uint64_t took = clock_now_ns() - begin;
    assert_true(took >= 30 * NS_PER_MS && took < 5 * NS_PER_S);
    assert_true(child_stop(&child, 5 * NS_PER_S));
    child_done(&child);
}

static void child_wait_hears_another_descriptor(void **state)
{
    int fds[2];
    struct child child = start("exec sleep 60");
    (void)state;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(child_wait(&child, 10 * NS_PER_MS, fds[0]), -ETIMEDOUT);
    close(fds[1]);
    assert_int_equal(child_wait(&child, 10 * NS_PER_S, fds[0]), 1);
    close(fds[0]);
    child_stop(&child, 5 * NS_PER_S);
    child_done(&child);
}

static void child_inherits_the_kept_descriptor_and_no_other(void **state)
{
    int keep[2], other[2];
    char script[128], text[16] = "";
    struct child child;
    (void)state;
    assert_int_equal(pipe2(keep, O_CLOEXEC), 0);
    assert_int_equal(pipe2(other, O_CLOEXEC), 0);
    snprintf(script, sizeof(script), "echo good >&%d; ( : >&%d ) 2>/dev/null && exit 1; exit 0",
             keep[1], other[1]);
    const char *const argv[] = {"bash", "-c", script, NULL};
    assert_int_equal(child_start(&child, "x", argv, said, keep[1], NULL), 0);
    assert_int_equal(child_wait(&child, 10 * NS_PER_S, -1), 0);
    assert_int_equal(child.status, 0);
    assert_int_equal(read(keep[0], text, sizeof(text) - 1), 5);
    assert_string_equal(text, "good\n");
    child_done(&child);
    for (int i = 0; i < 2; i++) {
        close(keep[i]);
        close(other[i]);
    }
}

static void child_that_ignores_sigterm_is_killed(void **state)
{
    struct child child = start("trap '' TERM; while :; do sleep 0.05; done");
    (void)state;
    usleep(100000);
    assert_false(child_stop(&child, 100 * NS_PER_MS));
    assert_true(WIFSIGNALED(child.status) && WTERMSIG(child.status) == SIGKILL);
    child_kill_leftovers(&child);
    child_done(&child);
}

static void child_failure_tells_the_last_lines_it_said(void **state)
{
    char what[4] = "why";
    struct err err;
    struct child child =
        start("i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo line $i >&2; done; exit 1");
    (void)state;
    child_wait(&child, 10 * NS_PER_S, -1);
    assert_int_equal(child_fail(&child, -EPROTO, what, &err), -EPROTO);
    assert_true(!strncmp(err.message, "the child: why; it said:\nline ", 30));
    size_t n = strlen(err.message);
    assert_string_equal(err.message + n - 9, "\nline 200");
    child_done(&child);
    child = start("exit 1");
    child_wait(&child, 10 * NS_PER_S, -1);
    child_fail(&child, -EPROTO, what, &err);
    assert_string_equal(err.message, "the child: why");
    child_done(&child);
}

/* In a process of its own: it becomes a subreaper. */
static void leave_something_behind(void *argument)
{
    struct err err;
    char text[32] = "";
    int fds[2];
    (void)argument;
    if (interrupt_open(&err) < 0 || pipe2(fds, O_CLOEXEC) < 0)
        exit(1);
    char script[128];
    snprintf(script, sizeof(script), "setsid sleep 300 & echo $! >&%d", fds[1]);
    const char *const argv[] = {"bash", "-c", script, NULL};
    struct child child;
    if (child_start(&child, "x", argv, said, fds[1], &err) < 0 ||
        child_wait(&child, 10 * NS_PER_S, -1) < 0 || read(fds[0], text, sizeof(text) - 1) <= 0)
        exit(2);
    long left = strtol(text, NULL, 10);
    if (!is_running(left))
        exit(3);
    if (child_kill_leftovers(&child) != 1 || is_running(left))
        exit(4);
    if (child_kill_leftovers(&child) != 0)
        exit(5);
    interrupt_close();
    exit(0);
}

static void child_leftovers_are_killed(void **state)
{
    (void)state;
    assert_int_equal(forked_run(leave_something_behind, NULL)->exit_code, 0);
}

static void be_interrupted(void *argument)
{
    struct err err;
    (void)argument;
    if (interrupt_open(&err) < 0 || interrupt_came())
        exit(1);
    struct child child = start("exec sleep 60");
    pid_t pid = child.pid;
    kill(getpid(), SIGINT);
    if (child_wait(&child, 10 * NS_PER_S, -1) != -EINTR || !interrupt_came())
        exit(2);
    /* stopping is deaf to it, and it is not forgotten */
    if (!child_stop(&child, 5 * NS_PER_S) || is_running(pid) || !interrupt_came())
        exit(3);
    child_done(&child);
    interrupt_close();
    exit(0);
}

static void child_wait_hears_an_interrupt(void **state)
{
    (void)state;
    assert_int_equal(forked_run(be_interrupted, NULL)->exit_code, 0);
}

static int open_said(void **state)
{
    (void)state;
    int fd = mkstemp(said);
    return fd < 0 ? -1 : close(fd);
}

static int close_said(void **state)
{
    (void)state;
    return unlink(said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(child_ends_with_its_status_and_cpu_time),
        cmocka_unit_test(child_run_is_over_when_the_child_is),
        cmocka_unit_test(child_that_is_no_program_is_told_at_once),
        cmocka_unit_test(child_wait_gives_up_at_its_deadline),
        cmocka_unit_test(child_wait_hears_another_descriptor),
        cmocka_unit_test(child_inherits_the_kept_descriptor_and_no_other),
        cmocka_unit_test(child_that_ignores_sigterm_is_killed),
        cmocka_unit_test(child_failure_tells_the_last_lines_it_said),
        cmocka_unit_test(child_leftovers_are_killed),
        cmocka_unit_test(child_wait_hears_an_interrupt),
    };
    return cmocka_run_group_tests(tests, open_said, close_said);
}
