#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/file.h"
#include "lb/epoch.h"

static char dir[] = "/tmp/quoit-epoch.XXXXXX";
static char path[64];
static struct err err;

static int set_up(void **state)
{
    (void)state;
    strcpy(dir + strlen(dir) - 6, "XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof(path), "%s/life", dir);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(dir);
}

static void write_life(const char *text)
{
    assert_int_equal(file_write_atomic(path, text, strlen(text), &err), 0);
}

static void each_life_is_later_than_all_before(void **state)
{
    (void)state;
    uint64_t highest = 0;
    for (int life = 0; life < 5; life++) {
        assert_int_equal(epoch_begin(path, &err), 0);
        for (int i = 0; i < 1000; i++) {
            uint64_t epoch = epoch_next();
            assert_true(epoch > highest);
            assert_true(epoch <= INT64_MAX);
            highest = epoch;
        }
    }
}

/* As where the wall clock was set back, or the directory went to a machine whose clock is behind.
 */
static void a_clock_that_is_behind_does_not_bring_an_earlier_life(void **state)
{
    (void)state;
    write_life("4000000000\n"); /* the year 2096 */
    assert_int_equal(epoch_begin(path, &err), 0);
    uint64_t first = epoch_next();
    assert_true(first > UINT64_C(4000000000) << 30);
    assert_int_equal(epoch_begin(path, &err), 0);
    assert_true(epoch_next() > first);
}

static void a_file_that_is_no_number_is_an_error_and_stays(void **state)
{
    static const char *const texts[] = {"", "x\n", "12", "12 13\n", "99999999999999999999\n"};
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        struct buf text;
        write_life(texts[i]);
        assert_int_equal(epoch_begin(path, &err), -EBADMSG);
        assert_non_null(strstr(err.message, path));
        buf_init(&text, 0);
        assert_int_equal(file_read(path, &text, &err), 0);
        assert_string_equal(buf_str(&text), texts[i]);
        buf_done(&text);
    }
}

static void a_life_that_cannot_be_kept_is_not_begun(void **state)
{
    (void)state;
    assert_int_equal(epoch_begin("/proc/quoit/life", &err), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_life_is_later_than_all_before, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_clock_that_is_behind_does_not_bring_an_earlier_life,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_is_no_number_is_an_error_and_stays, set_up,
                                        tear_down),
        cmocka_unit_test(a_life_that_cannot_be_kept_is_not_begun),
    };
    return cmocka_run_group_tests_name("lb epoch", tests, NULL, NULL);
}
