#include "experiments/gnuplot.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void texts_end_where_they_end(void **state)
{
    struct buf out;
    (void)state;
    buf_init(&out, 0);
    gnuplot_print_text("it's `touch x` \"$y\"\n\t2 µs", &out);
    assert_string_equal(buf_str(&out), "'it’s `touch x` \"$y\"  2 µs'");
    buf_done(&out);
}

static void numbers_that_are_none_are_nan(void **state)
{
    struct buf out;
    (void)state;
    buf_init(&out, 0);
    gnuplot_print_number(0.1, &out);
    gnuplot_print_number(INFINITY, &out);
    gnuplot_print_number(-3, &out);
    assert_string_equal(buf_str(&out), "0.1NaN-3");
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_end_where_they_end),
        cmocka_unit_test(numbers_that_are_none_are_nan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
