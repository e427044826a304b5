#include "core/err.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void err_set_fills_code_and_sentence(void **state)
{
    struct err err = {0, "old"};

    (void)state;
    assert_int_equal(err_set(&err, -EINVAL, "%d slots, %s", 7, "all taken"), -EINVAL);
    assert_int_equal(err.code, -EINVAL);
    assert_string_equal(err.message, "7 slots, all taken");
}

static void err_functions_take_null(void **state)
{
    (void)state;
    assert_int_equal(err_set(NULL, -ENOENT, "x"), -ENOENT);
    assert_int_equal(err_set_errno(NULL, -EIO, "x"), -EIO);
    assert_int_equal(err_prefix(NULL, "x"), 0);
}

static void err_set_errno_appends_the_errnos_text(void **state)
{
    struct err err;

    (void)state;
    assert_int_equal(err_set_errno(&err, -ENOENT, "cannot open %s", "/x"), -ENOENT);
    assert_string_equal(err.message, "cannot open /x: No such file or directory");
}

static void err_prefix_puts_context_in_front_and_keeps_the_code(void **state)
{
    struct err err;

    (void)state;
    err_set(&err, -EEXIST, "taken");
    assert_int_equal(err_prefix(&err, "server %s", "S5"), -EEXIST);
    assert_int_equal(err_prefix(&err, "add"), -EEXIST);
    assert_string_equal(err.message, "add: server S5: taken");
    assert_int_equal(err.code, -EEXIST);
}

static void err_message_may_be_its_own_argument(void **state)
{
    struct err err;

    (void)state;
    err_set(&err, -EINVAL, "inner");
    err_set(&err, -EIO, "outer (%s)", err.message);
    assert_string_equal(err.message, "outer (inner)");
}

static void err_cuts_a_long_sentence_to_the_last_byte(void **state)
{
    struct err err;
    char text[3 * ERR_MESSAGE_BYTES];

    (void)state;
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    err_set(&err, -EINVAL, "%s", text);
    assert_int_equal(strlen(err.message), ERR_MESSAGE_BYTES - 1);
    err_prefix(&err, "b");
    assert_int_equal(strlen(err.message), ERR_MESSAGE_BYTES - 1);
    assert_memory_equal(err.message, "b: aaa", 6);
    err_set_errno(&err, -ENOENT, "%s", text);
    assert_int_equal(strlen(err.message), ERR_MESSAGE_BYTES - 1);
    /* One that fits exactly is not cut. */
    text[ERR_MESSAGE_BYTES - 1] = '\0';
    err_set(&err, -EINVAL, "%s", text);
    assert_string_equal(err.message, text);
}

static void err_does_not_cut_a_utf8_character_in_two(void **state)
{
    struct err err;
    char text[ERR_MESSAGE_BYTES + 8];

    (void)state;
    /* A three-byte character over each of the last places. */
    for (size_t before = ERR_MESSAGE_BYTES - 5; before <= ERR_MESSAGE_BYTES - 1; before++) {
        memset(text, 'a', before);
        strcpy(text + before, "\xe2\x82\xac");
        err_set(&err, -EINVAL, "%s", text);
        assert_int_equal(strlen(err.message),
                         before + 3 <= ERR_MESSAGE_BYTES - 1 ? before + 3 : before);
    }
}

static void err_errno_text_takes_either_sign_and_any_number(void **state)
{
    char text[128];

    (void)state;
    snprintf(text, sizeof(text), "%s", err_errno_text(EPIPE));
    assert_string_equal(text, "Broken pipe");
    assert_string_equal(err_errno_text(-EPIPE), "Broken pipe");
    assert_true(strlen(err_errno_text(INT_MIN)) > 0);
    assert_true(strlen(err_errno_text(123456)) > 0);
}

static void *err_text_of_enoent(void *unused)
{
    (void)unused;
    return strcmp(err_errno_text(ENOENT), "No such file or directory") == 0 ? NULL : (void *)1;
}

static void err_errno_text_is_each_threads_own(void **state)
{
    pthread_t thread;
    void *wrong;
    const char *mine = err_errno_text(EPIPE);

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, err_text_of_enoent, NULL), 0);
    assert_int_equal(pthread_join(thread, &wrong), 0);
    assert_null(wrong);
    assert_string_equal(mine, "Broken pipe");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(err_set_fills_code_and_sentence),
        cmocka_unit_test(err_functions_take_null),
        cmocka_unit_test(err_set_errno_appends_the_errnos_text),
        cmocka_unit_test(err_prefix_puts_context_in_front_and_keeps_the_code),
        cmocka_unit_test(err_message_may_be_its_own_argument),
        cmocka_unit_test(err_cuts_a_long_sentence_to_the_last_byte),
        cmocka_unit_test(err_does_not_cut_a_utf8_character_in_two),
        cmocka_unit_test(err_errno_text_takes_either_sign_and_any_number),
        cmocka_unit_test(err_errno_text_is_each_threads_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
