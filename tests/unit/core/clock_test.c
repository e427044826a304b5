#include "core/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define SATURDAY (UINT64_C(1795253412) * NS_PER_S + UINT64_C(345678901))

static void clock_formats_the_three_forms(void **state)
{
    char text[64];

    (void)state;
    memset(text, '#', sizeof(text));
    clock_format_iso(SATURDAY, text);
    assert_string_equal(text, "2026-11-21T09:30:12.345Z");
    assert_int_equal(text[CLOCK_ISO_BYTES], '#');
    memset(text, '#', sizeof(text));
    clock_format_compact(SATURDAY, text);
    assert_string_equal(text, "20261121T093012Z");
    assert_int_equal(text[CLOCK_COMPACT_BYTES], '#');
    memset(text, '#', sizeof(text));
    clock_format_http(SATURDAY, text);
    assert_string_equal(text, "Sat, 21 Nov 2026 09:30:12 GMT");
    assert_int_equal(text[CLOCK_HTTP_BYTES], '#');
}

static void clock_formats_the_ends_of_its_range(void **state)
{
    char text[CLOCK_HTTP_BYTES];

    (void)state;
    clock_format_http(0, text);
    assert_string_equal(text, "Thu, 01 Jan 1970 00:00:00 GMT");
    clock_format_iso(0, text);
    assert_string_equal(text, "1970-01-01T00:00:00.000Z");
    clock_format_iso(UINT64_MAX, text);
    assert_string_equal(text, "2554-07-21T23:34:33.709Z");
    /* The RFC's own example, and a leap day. */
    clock_format_http(UINT64_C(784111777) * NS_PER_S, text);
    assert_string_equal(text, "Sun, 06 Nov 1994 08:49:37 GMT");
    clock_format_http(UINT64_C(1709164800) * NS_PER_S, text);
    assert_string_equal(text, "Thu, 29 Feb 2024 00:00:00 GMT");
    /* Milliseconds are cut, not rounded into a second that has not come. */
    clock_format_iso(UINT64_C(999999999), text);
    assert_string_equal(text, "1970-01-01T00:00:00.999Z");
}

static void clock_goes_forward_and_agrees_with_the_system(void **state)
{
    uint64_t before = clock_now_ns();
    const struct timespec pause = {0, 20 * 1000 * 1000};
    uint64_t passed;

    (void)state;
    nanosleep(&pause, NULL);
    passed = clock_now_ns() - before;
    assert_true(passed >= 20 * NS_PER_MS);
    assert_true(passed < 20 * NS_PER_S);
    assert_true(clock_wall_ns() / NS_PER_S - (uint64_t)time(NULL) + 2 <= 4);
}

/* Burns CPU time until the process has used so much. */
static void burn(uint64_t cpu_ns)
{
    uint64_t until = clock_cpu_ns() + cpu_ns;

    while (clock_cpu_ns() < until)
        ;
}

static void clock_cpu_counts_work_and_not_sleep(void **state)
{
    uint64_t before = clock_cpu_ns(), slept;
    const struct timespec pause = {0, 50 * 1000 * 1000};

    (void)state;
    nanosleep(&pause, NULL);
    slept = clock_cpu_ns() - before;
    assert_true(slept < 40 * NS_PER_MS);
    burn(10 * NS_PER_MS);
    assert_true(clock_cpu_ns() - before >= 10 * NS_PER_MS);
}

/* A name made to mislead a parser of /proc/PID/stat; the process itself says what it used. */
static void clock_cpu_of_pid_sees_another_process_whatever_its_name(void **state)
{
    int used[2];
    uint64_t cpu_ns = 0, own_ns;
    pid_t pid;

    (void)state;
    assert_int_equal(pipe(used), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_NAME, ") R 1 2 (3");
        burn(300 * NS_PER_MS);
        own_ns = clock_cpu_ns();
        if (write(used[1], &own_ns, sizeof(own_ns)) == (ssize_t)sizeof(own_ns))
            pause();
        _exit(0);
    }
    assert_int_equal(read(used[0], &own_ns, sizeof(own_ns)), sizeof(own_ns));
    assert_int_equal(clock_cpu_of_pid_ns(pid, &cpu_ns), 0);
    if (cpu_ns + 50 * NS_PER_MS < own_ns || cpu_ns > own_ns + 50 * NS_PER_MS)
        fail_msg("%llu ns, and the process says %llu", (unsigned long long)cpu_ns,
                 (unsigned long long)own_ns);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    close(used[0]);
    close(used[1]);
    cpu_ns = 42;
    assert_int_equal(clock_cpu_of_pid_ns(pid, &cpu_ns), -ESRCH);
    assert_int_equal(cpu_ns, 42);
}

static void clock_cpu_of_pid_refuses_what_is_no_process(void **state)
{
    uint64_t cpu_ns;

    (void)state;
    assert_int_equal(clock_cpu_of_pid_ns(0, &cpu_ns), -ESRCH);
    assert_int_equal(clock_cpu_of_pid_ns(-1, &cpu_ns), -ESRCH);
    assert_int_equal(clock_cpu_of_pid_ns(1L << 40, &cpu_ns), -ESRCH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clock_formats_the_three_forms),
        cmocka_unit_test(clock_formats_the_ends_of_its_range),
        cmocka_unit_test(clock_goes_forward_and_agrees_with_the_system),
        cmocka_unit_test(clock_cpu_counts_work_and_not_sleep),
        cmocka_unit_test(clock_cpu_of_pid_sees_another_process_whatever_its_name),
        cmocka_unit_test(clock_cpu_of_pid_refuses_what_is_no_process),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
