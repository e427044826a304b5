#include "experiments/availability.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct experiment experiment;
static struct err err;

/* Only memory and file can be had. */
static int check(const char *store, struct err *why)
{
    if (!strncmp(store, "memory", 6) || !strncmp(store, "file", 4))
        return 0;
    return err_set(why, -ENOENT, "%s is not installed", store);
}

static void parse(const char *axes)
{
    char text[1024];
    snprintf(text, sizeof(text),
             "[experiment]\nname = T\ntitle = t\nquestion = q\n"
             "[cluster]\nshards = 1\nreplicas = 1\nservers = 1\n"
             "[load]\nworkload = db-read\n[figure]\ntable = points\n%s",
             axes);
    assert_int_equal(experiment_parse(text, strlen(text), "t.ini", NULL, 0, &experiment, &err), 0);
}

static void values_that_cannot_be_had_are_left_out_and_said_to_be(void **state)
{
    (void)state;
    parse("[axis]\nvary = load.in_flight\nvalues = 1 2\n"
          "[axis2]\nvary = cluster.store\nvalues = sqlite memory mysql file\nlabels = a|b|c|d\n");
    assert_int_equal(availability_trim(&experiment, check, &err), 0);
    const struct experiment_axis *axis = &experiment.axes[1];
    assert_int_equal(axis->n_values, 2);
    assert_string_equal(axis->values[0], "memory");
    assert_string_equal(axis->values[1], "file");
    assert_string_equal(axis->labels[0], "b");
    assert_string_equal(axis->labels[1], "d");
    assert_int_equal(experiment_n_points(&experiment), 4);
    static const char *const stores[] = {"memory", "file", "memory", "file"};
    for (size_t i = 0; i < 4; i++) {
        struct experiment_settings settings;
        experiment_point(&experiment, i, &settings);
        assert_string_equal(settings.cluster.store, stores[i]);
    }
    assert_int_equal(experiment.n_left_out, 2);
    assert_string_equal(experiment.left_out[0], "cluster.store = mysql: mysql is not installed");
    assert_string_equal(experiment.left_out[1], "cluster.store = sqlite: sqlite is not installed");
    experiment_done(&experiment);
}

static void nothing_left_is_an_error(void **state)
{
    (void)state;
    parse("[axis]\nvary = cluster.store\nvalues = mysql\n");
    assert_int_equal(availability_trim(&experiment, check, &err), -ENOENT);
    assert_non_null(strstr(err.message, "mysql is not installed"));
    experiment_done(&experiment);
}

static void a_store_that_does_not_vary_must_be_there(void **state)
{
    (void)state;
    parse("[cluster]\nstore = mysql\n");
    assert_int_equal(availability_trim(&experiment, check, &err), -ENOENT);
    experiment_done(&experiment);
    parse("[cluster]\nstore = file\n");
    assert_int_equal(availability_trim(&experiment, check, &err), 0);
    assert_int_equal(experiment.n_left_out, 0);
    experiment_done(&experiment);
}

static void a_database_of_somebody_else_needs_nothing_here(void **state)
{
    (void)state;
    assert_int_equal(availability_check_store("mysql:host=127.0.0.1,user=u,database=d", &err), 0);
    assert_int_equal(availability_check_store("memory", &err), 0);
    assert_int_equal(availability_check_store(NULL, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_that_cannot_be_had_are_left_out_and_said_to_be),
        cmocka_unit_test(nothing_left_is_an_error),
        cmocka_unit_test(a_store_that_does_not_vary_must_be_there),
        cmocka_unit_test(a_database_of_somebody_else_needs_nothing_here),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
