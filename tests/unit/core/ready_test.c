#include "core/ready.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/forked.h"

static struct addr some_addr(const char *text)
{
    struct addr addr;

    assert_int_equal(addr_parse(text, &addr, NULL), 0);
    return addr;
}

static void ready_writes_the_address_as_a_line_and_closes(void **state)
{
    static const char *const addrs[] = {"127.0.0.1:40123", "[::1]:5"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct addr addr = some_addr(addrs[i]);
        int ends[2];
        char text[128];
        ssize_t n;

        assert_int_equal(pipe(ends), 0);
        assert_int_equal(ready_tell(ends[1], &addr), 0);
        n = read(ends[0], text, sizeof(text));
        assert_true(n > 0);
        text[n] = '\0';
        assert_int_equal(text[n - 1], '\n');
        text[n - 1] = '\0';
        assert_string_equal(text, addrs[i]);
        assert_int_equal(read(ends[0], text, sizeof(text)), 0); /* the other end is closed */
        assert_int_equal(fcntl(ends[1], F_GETFD), -1);
        close(ends[0]);
    }
}

static void ready_without_a_descriptor_does_nothing(void **state)
{
    struct addr addr = some_addr("127.0.0.1:1");

    (void)state;
    assert_int_equal(ready_tell(-1, &addr), 0);
}

static void ready_to_a_bad_descriptor_is_an_error(void **state)
{
    struct addr addr = some_addr("127.0.0.1:1");

    (void)state;
    assert_int_equal(ready_tell(987, &addr), -EBADF);
    assert_int_equal(ready_tell(open("/dev/full", O_WRONLY), &addr), -ENOSPC);
}

static void call_tell_to_nobody(void *unused)
{
    struct addr addr = some_addr("127.0.0.1:1");
    int ends[2];
    sigset_t pending, mask;

    (void)unused;
    signal(SIGPIPE, SIG_DFL);
    if (pipe(ends) < 0)
        _exit(1);
    close(ends[0]);
    if (ready_tell(ends[1], &addr) != -EPIPE)
        _exit(2);
    sigpending(&pending);
    if (sigismember(&pending, SIGPIPE))
        _exit(3);
    sigprocmask(SIG_SETMASK, NULL, &mask);
    if (sigismember(&mask, SIGPIPE))
        _exit(4);
}

static void ready_survives_a_parent_that_is_gone(void **state)
{
    (void)state;
    assert_int_equal(forked_run(call_tell_to_nobody, NULL)->exit_code, FORKED_RETURNED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ready_writes_the_address_as_a_line_and_closes),
        cmocka_unit_test(ready_without_a_descriptor_does_nothing),
        cmocka_unit_test(ready_to_a_bad_descriptor_is_an_error),
        cmocka_unit_test(ready_survives_a_parent_that_is_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
