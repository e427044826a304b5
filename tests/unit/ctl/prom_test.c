#include "ctl/prom.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct prom read_text(const char *text)
{
    struct prom prom;
    struct err err;
    assert_int_equal(prom_read(text, strlen(text), &prom, &err), 0);
    return prom;
}

static void values_are_found_by_name_and_server(void **state)
{
    (void)state;
    struct prom prom = read_text("# HELP b x\n# TYPE b counter\n"
                                 "b{server=\"S2\"} 7\n"
                                 "b{server=\"S1\"} 1.5\n"
                                 "\n"
                                 "a 3e2\n");
    assert_true(prom_get(&prom, "a", "") == 300.);
    assert_true(prom_get(&prom, "b", "S1") == 1.5);
    assert_true(prom_get(&prom, "b", "S2") == 7.);
    assert_true(prom_get(&prom, "b", "") == 0.);
    assert_true(prom_get(&prom, "c", "S1") == 0.);
    prom_done(&prom);
}

static void buckets_of_one_server_come_in_their_own_order(void **state)
{
    size_t n;
    (void)state;
    struct prom prom = read_text("h_bucket{server=\"S2\",le=\"0.1\"} 9\n"
                                 "h_bucket{server=\"S1\",le=\"0.5\"} 1\n"
                                 "h_bucket{server=\"S1\",le=\"2\"} 4\n"
                                 "h_bucket{server=\"S1\",le=\"+Inf\"} 5\n"
                                 "h_count{server=\"S1\"} 5\n");
    const struct prom_value *values = prom_find(&prom, "h_bucket", "S1", &n);
    assert_int_equal(n, 3);
    assert_true(values[0].upper == 0.5 && values[0].value == 1.);
    assert_true(values[1].upper == 2. && values[1].value == 4.);
    assert_true(isinf(values[2].upper) && values[2].value == 5.);
    assert_null(prom_find(&prom, "h_bucket", "S3", &n));
    assert_int_equal(n, 0);
    prom_done(&prom);
}

static void a_text_without_metrics_has_none(void **state)
{
    struct prom prom;
    (void)state;
    assert_int_equal(prom_read(NULL, 0, &prom, NULL), 0);
    assert_int_equal(prom.n, 0);
    assert_true(prom_get(&prom, "a", "") == 0.);
    prom_done(&prom);
}

static void a_line_that_is_no_metric_is_named(void **state)
{
    static const char *const texts[] = {
        "a 1\nno-value\n",    "a 1\nb \n",          "a 1\nb 1 2\n",         "a 1\n{x=\"y\"} 1\n",
        "a 1\nb{x=\"y\" 1\n", "a 1\nb{x=y} 1\n",    "a 1\nb{x=\"y\"x} 1\n", "a 1\n<html>\n",
        "a 1\nb{x=\"y\n",     "a 1\nb{x=\"y\",z\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct prom prom;
        struct err err = {0};
        assert_int_equal(prom_read(texts[i], strlen(texts[i]), &prom, &err), -EPROTO);
        assert_string_equal(err.message, "line 2 of the metrics is no metric");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_found_by_name_and_server),
        cmocka_unit_test(buckets_of_one_server_come_in_their_own_order),
        cmocka_unit_test(a_text_without_metrics_has_none),
        cmocka_unit_test(a_line_that_is_no_metric_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
