#include "experiments/experiment.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/json.h"
#include "core/mem.h"
#include "tests/support/run_fixture.h"

#define ABOUT "[experiment]\nname=X\ntitle=T\nquestion=Q\n"

static int parse(const char *text, struct experiment *ret_experiment, struct err *err)
{
    return experiment_parse(text, strlen(text), "x.ini", NULL, 0, ret_experiment, err);
}

/* The text is refused with a reason that holds `reason`. */
static void refuse(const char *text, const char *reason)
{
    struct experiment experiment;
    struct err err;
    assert_int_equal(parse(text, &experiment, &err), -EINVAL);
    if (!strstr(err.message, reason))
        fail_msg("wanted '%s', got '%s'", reason, err.message);
}

static void experiment_fills_in_defaults(void **state)
{
    struct experiment experiment;
    (void)state;
    assert_int_equal(parse(ABOUT, &experiment, NULL), 0);
    assert_string_equal(experiment.about.name, "X");
    assert_int_equal(experiment.about.repeats, 5);
    assert_int_equal(experiment.about.measures, MEASURES_RATES);
    assert_int_equal(experiment.settings.cluster.servers, 3);
    assert_string_equal(experiment.settings.cluster.placement, "slots");
    assert_string_equal(experiment.settings.cluster.hash, "quadratic");
    assert_int_equal(experiment.settings.load.requests, 10000);
    assert_string_equal(experiment.settings.load.path, "/home");
    assert_int_equal(experiment_n_points(&experiment), 1);
    assert_int_equal(experiment.figure.n_kinds, 1);
    experiment_done(&experiment);
}

static void experiment_reads_every_section(void **state)
{
    struct experiment experiment;
    (void)state;
    assert_int_equal(parse(ABOUT "repeats = 7\nmeasures = counts\n"
                                 "[cluster]\nservers = 6\nplacement = slots:probe=quadratic\n"
                                 "hash = quadratic/xxh64\nthreads = 2\n"
                                 "[load]\nrequests=123\nin_flight=4\nwarmup=0\npath=/other\n"
                                 "[figure]\nkind = shares other-kind\ntable = points\n",
                           &experiment, NULL),
                     0);
    assert_int_equal(experiment.about.repeats, 7);
    assert_int_equal(experiment.about.measures, MEASURES_COUNTS);
    assert_int_equal(experiment.settings.cluster.servers, 6);
    assert_string_equal(experiment.settings.cluster.placement, "slots:probe=quadratic");
    assert_string_equal(experiment.settings.cluster.hash, "quadratic/xxh64");
    assert_int_equal(experiment.settings.cluster.threads, 2);
    assert_int_equal(experiment.settings.load.requests, 123);
    assert_int_equal(experiment.settings.load.in_flight, 4);
    assert_int_equal(experiment.settings.load.warmup, 0);
    assert_string_equal(experiment.settings.load.path, "/other");
    assert_int_equal(experiment.figure.n_kinds, 2);
    assert_string_equal(experiment.figure.kinds[1], "other-kind");
    assert_int_equal(experiment.figure.table, TABLE_POINTS);
    experiment_done(&experiment);
}

static void experiment_loads_can_be_open_and_have_a_client_and_threads(void **state)
{
    static const char *const axis[] = {"axis.vary=load.rate", "axis.values=0 2500.5"};
    struct experiment experiment;
    struct experiment_settings settings;
    (void)state;
    assert_int_equal(parse(ABOUT, &experiment, NULL), 0);
    assert_true(experiment.settings.load.rate == 0);
    assert_string_equal(experiment.settings.load.client, "curl");
    assert_int_equal(experiment.settings.load.threads, 1);
    experiment_done(&experiment);
    const char *text = ABOUT "[load]\nrate = 100\narrivals = poisson\nclient = raw:connections=8\n"
                             "threads = 2\n";
    assert_int_equal(experiment_parse(text, strlen(text), "x.ini", NULL, 0, &experiment, NULL), 0);
    assert_true(experiment.settings.load.rate == 100);
    assert_int_equal(experiment.settings.load.arrivals, EXPERIMENT_POISSON);
    assert_string_equal(experiment.settings.load.client, "raw:connections=8");
    assert_int_equal(experiment.settings.load.threads, 2);
    experiment_done(&experiment);
    assert_int_equal(experiment_parse(ABOUT, strlen(ABOUT), "x.ini", axis, 2, &experiment, NULL),
                     0);
    experiment_point(&experiment, 1, &settings);
    assert_true(settings.load.rate == 2500.5);
    experiment_done(&experiment);
}

static void experiment_names_file_line_and_what_was_meant(void **state)
{
    (void)state;
    refuse(ABOUT "[cluster]\nserverz = 3\n",
           "x.ini:6: unknown key 'serverz' in [cluster]: did you mean 'servers'?");
    refuse(ABOUT "[cluster]\nzzzzzzzzz = 3\n", "there are servers, placement, hash");
    refuse(ABOUT "[clustre]\nservers = 3\n",
           "x.ini:5: unknown section [clustre]: did you mean [cluster]?");
    refuse(ABOUT "[evnets]\n", "x.ini:5: unknown section [evnets]: did you mean [events]?");
    refuse(ABOUT "[cluster]\nservers = 3\nhash = xxh64\nservers = 4\n",
           "x.ini:8: 'servers' is set twice in [cluster], first in line 6");
    refuse(ABOUT "[cluster]\nservers = three\n", "x.ini:6: ");
    refuse(ABOUT "[cluster]\nservers = 0\n", "x.ini:6: ");
    refuse(ABOUT "[cluster]\nhash = xxh46\n", "did you mean 'xxh64'?");
    refuse(ABOUT "[cluster]\nplacement = slots:probee=linear\n", "did you mean 'probe'?");
    refuse(ABOUT "[cluster]\nspawner = nobody\n", "cluster.spawner");
}

static void experiment_refuses_what_is_missing_or_malformed(void **state)
{
    (void)state;
    refuse("", "[experiment] has no name");
    refuse("[experiment]\nname=X\nquestion=Q\n", "has no title");
    refuse("[experiment]\nname=../X\ntitle=T\nquestion=Q\n", "is not a name");
    refuse(ABOUT "[load]\npath = home\n", "does not begin with '/'");
    refuse(ABOUT "[load]\npath = /a b\n", "bytes that no path has");
    refuse(ABOUT "[load]\nclient = crul\n", "did you mean 'curl'?");
    refuse(ABOUT "[load]\nthreads = 8\nin_flight = 4\n", "8 threads share 4 in_flight");
    refuse(ABOUT "[load]\narrivals = poisson\n", "arrivals are of an open loop");
    refuse(ABOUT "[load]\nrate = -5\n", "x.ini:6: ");
    refuse(ABOUT "[figure]\nkind = ../../etc\n", "is not a word");
    refuse(ABOUT "[figure]\nkind = a b c d e f g h i\n", "at most 8 kinds");
    refuse(ABOUT "[experiment]\nrepeats = 1001\n", "x.ini:6: ");
}

static void experiment_axes_multiply_and_the_second_turns_fastest(void **state)
{
    static const struct {
        uint64_t servers;
        const char *hash;
    } expected[] = {{2, "quadratic"}, {2, "xxh64"}, {5, "quadratic"}, {5, "xxh64"}};
    struct experiment experiment;
    (void)state;
    assert_int_equal(parse(ABOUT "[axis]\nvary = cluster.servers\nvalues = 2 5\n"
                                 "[axis2]\nvary = cluster.hash\nvalues = quadratic xxh64\n"
                                 "labels = the bad one | the good one\n",
                           &experiment, NULL),
                     0);
    assert_int_equal(experiment_n_points(&experiment), 4);
    for (size_t i = 0; i < 4; i++) {
        struct experiment_settings settings;
        experiment_point(&experiment, i, &settings);
        assert_int_equal(settings.cluster.servers, expected[i].servers);
        assert_string_equal(settings.cluster.hash, expected[i].hash);
        assert_int_equal(experiment_value_index(&experiment, i, 0), i / 2);
        assert_int_equal(experiment_value_index(&experiment, i, 1), i % 2);
    }
    assert_string_equal(experiment.axes[0].labels[1], "5");
    assert_string_equal(experiment.axes[1].labels[1], "the good one");
    experiment_done(&experiment);
}

static void experiment_refuses_axes_that_cannot_be(void **state)
{
    (void)state;
    refuse(ABOUT "[axis]\nvary = hash\nvalues = a\n", "not of the form SECTION.KEY");
    refuse(ABOUT "[axis]\nvary = cluster.hahs\nvalues = a\n", "did you mean 'hash'?");
    refuse(ABOUT "[axis]\nvary = experiment.repeats\nvalues = 1\n", "cannot vary");
    refuse(ABOUT "[axis]\nvary = cluster.servers\n", "values are missing");
    refuse(ABOUT "[axis]\nvary = cluster.servers\nvalues = 2 x\n", "[axis]: values");
    refuse(ABOUT "[axis]\nvary = cluster.servers\nvalues = 2 3 2\n", "'2' is there twice");
    refuse(ABOUT "[axis]\nvary = cluster.servers\nvalues = 2 3\nlabels = two\n",
           "2 values but 1 labels");
    refuse(ABOUT "[axis]\nvalues = 2 3\n", "does not say what varies");
    refuse(ABOUT "[axis]\nvary = cluster.hash\nvalues = quadratic nohash\n", "unknown hash");
    refuse(ABOUT "[axis2]\nvary = cluster.servers\nvalues = 2\n", "an [axis2] but no [axis]");
    refuse(ABOUT "[axis]\nvary = cluster.servers\nvalues = 2\n"
                 "[axis2]\nvary = cluster.servers\nvalues = 3\n",
           "both vary");
    refuse(ABOUT "repeats = 1000\n[axis]\nvary = cluster.servers\nvalues = 1 2 3 4 5 6\n",
           "6000 samples");
}

static void experiment_overrides_take_the_files_place(void **state)
{
    static const char *const overrides[] = {"cluster.servers=9", "load.requests = 77"};
    struct experiment experiment;
    struct experiment_settings settings;
    struct err err;
    (void)state;
    const char *text = run_fixture_ini;
    /* A blank belongs to the key, and there is no such key. */
    assert_int_equal(experiment_parse(text, strlen(text), "x", overrides, 2, &experiment, &err),
                     -EINVAL);
    assert_non_null(strstr(err.message, "--set load.requests = 77: "));
    static const char *const good[] = {"cluster.servers=9", "load.requests=77", "axis.values=xxh64",
                                       "axis.labels=x"};
    assert_int_equal(experiment_parse(text, strlen(text), "x", good, 4, &experiment, &err), 0);
    experiment_point(&experiment, 0, &settings);
    assert_int_equal(settings.cluster.servers, 9);
    assert_int_equal(settings.load.requests, 77);
    assert_string_equal(settings.cluster.hash, "xxh64");
    const cJSON *cluster = json_get(experiment.texts, "cluster");
    assert_string_equal(json_get_string(cluster, "servers"), "9");
    assert_string_equal(json_get_string(cluster, "placement"), "slots");
    experiment_done(&experiment);
}

static void experiment_overrides_are_checked_like_the_file(void **state)
{
    static const char *const bad[][2] = {
        {"cluster.servers", "not of the form SECTION.KEY=VALUE"},
        {"servers=3", "not of the form SECTION.KEY"},
        {"cluster.serverz=3", "did you mean 'servers'?"},
        {"clustr.servers=3", "did you mean [cluster]?"},
        {"cluster.servers=x", "--set cluster.servers=x: "},
    };
    struct experiment experiment;
    struct err err;
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(experiment_parse(run_fixture_ini, strlen(run_fixture_ini), "x", bad[i], 1,
                                          &experiment, &err),
                         -EINVAL);
        if (!strstr(err.message, bad[i][1]))
            fail_msg("wanted '%s', got '%s'", bad[i][1], err.message);
    }
}

static void experiment_a1_is_the_assignments(void **state)
{
    struct experiment experiment;
    struct err err;
    (void)state;
    if (experiment_read("experiments/LB-A1.ini", NULL, 0, &experiment, &err) < 0)
        fail_msg("%s", err.message);
    assert_string_equal(experiment.about.name, "LB-A1");
    assert_int_equal(experiment.settings.cluster.servers, 3);
    assert_int_equal(experiment.settings.load.requests, 10000);
    assert_int_equal(experiment_n_points(&experiment), 2);
    assert_string_equal(experiment.axes[0].values[0], "quadratic");
    assert_true(experiment.about.repeats >= 3);
    experiment_done(&experiment);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(experiment_fills_in_defaults),
        cmocka_unit_test(experiment_reads_every_section),
        cmocka_unit_test(experiment_loads_can_be_open_and_have_a_client_and_threads),
        cmocka_unit_test(experiment_names_file_line_and_what_was_meant),
        cmocka_unit_test(experiment_refuses_what_is_missing_or_malformed),
        cmocka_unit_test(experiment_axes_multiply_and_the_second_turns_fastest),
        cmocka_unit_test(experiment_refuses_axes_that_cannot_be),
        cmocka_unit_test(experiment_overrides_take_the_files_place),
        cmocka_unit_test(experiment_overrides_are_checked_like_the_file),
        cmocka_unit_test(experiment_a1_is_the_assignments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
