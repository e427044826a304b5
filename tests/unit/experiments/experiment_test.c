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

#define DATABASE "[cluster]\nservers = 6\nshards = 4\n"
#define PHASES "[load]\nwrite = db-write\nread = db-read\nrequests = 900\nwarmup = 100\n"
#define TABLE "[figure]\ntable = points\n"

static void a_database_completes_what_was_not_said(void **state)
{
    struct experiment experiment;
    struct experiment_settings settings;
    struct err err;
    (void)state;
    if (parse(ABOUT DATABASE PHASES "preload = 200\n" TABLE, &experiment, &err) < 0)
        fail_msg("%s", err.message);
    experiment_point(&experiment, 0, &settings);
    assert_true(experiment_has_database(&settings));
    assert_int_equal(settings.cluster.replicas, 3);
    assert_string_equal(settings.cluster.store, "memory");
    assert_int_equal(settings.cluster.shard_size, 300); /* 1200 rows in four shards */
    assert_int_equal(settings.load.write_keys.low, 200);
    assert_int_equal(settings.load.write_keys.n, 1000);
    assert_int_equal(settings.load.other_keys.low, 0);
    assert_int_equal(settings.load.other_keys.n, 1200);
    /* The manifests of those without a database know nothing of it. */
    assert_null(json_get(json_get(experiment.texts, "cluster"), "store"));
    experiment_done(&experiment);
    assert_int_equal(
        parse(ABOUT DATABASE "[load]\nwrite = db-write:rows=1,ids=77\n" TABLE, &experiment, NULL),
        0);
    experiment_point(&experiment, 0, &settings);
    assert_int_equal(settings.load.write_keys.n, 0);
    assert_int_equal(settings.cluster.shard_size, 4096);
    experiment_done(&experiment);
}

static void a_workloads_rows_are_read_from_its_text(void **state)
{
    (void)state;
    assert_int_equal(experiment_rows_a_request("db-write"), 1);
    assert_int_equal(experiment_rows_a_request("db-write:rows=100"), 100);
    assert_int_equal(experiment_rows_a_request("db-write:ids=5,rows=10,low=1"), 10);
    assert_int_equal(experiment_rows_a_request("db-write:xrows=7"), 1);
    assert_true(experiment_says_ids("db-read:width=2,ids=5"));
    assert_false(experiment_says_ids("db-read:width=2"));
}

static void an_axis_may_vary_several_keys_at_once(void **state)
{
    struct experiment experiment;
    struct experiment_settings settings;
    (void)state;
    assert_int_equal(parse(ABOUT DATABASE PHASES TABLE
                           "[axis]\nvary = cluster.servers,cluster.replicas\nvalues = 6,3 7,7\n",
                           &experiment, NULL),
                     0);
    experiment_point(&experiment, 1, &settings);
    assert_int_equal(settings.cluster.servers, 7);
    assert_int_equal(settings.cluster.replicas, 7);
    assert_int_equal(experiment_shape(&settings.cluster).replicas, 7);
    experiment_done(&experiment);
    refuse(ABOUT "[axis]\nvary = cluster.servers,cluster.threads\nvalues = 6,3 7\n",
           "'7' is not a value of each of 2 keys");
    refuse(ABOUT "[axis]\nvary = cluster.servers,cluster.hahs\nvalues = 6,3\n",
           "did you mean 'hash'?");
    refuse(ABOUT "[axis]\nvary = cluster.servers,experiment.repeats\nvalues = 6,3\n",
           "cannot vary");
}

static void a_point_may_be_a_cluster_that_grew(void **state)
{
    struct experiment experiment;
    struct experiment_settings settings;
    (void)state;
    assert_int_equal(parse(ABOUT DATABASE PHASES TABLE
                           "[axis]\nvary = cluster.grow\nvalues = none 10/6/8\n",
                           &experiment, NULL),
                     0);
    experiment_point(&experiment, 0, &settings);
    assert_null(settings.cluster.grow);
    assert_int_equal(settings.cluster.shard_size, 250);
    experiment_point(&experiment, 1, &settings);
    assert_string_equal(settings.cluster.grow, "10/6/8");
    assert_int_equal(experiment_shape(&settings.cluster).servers, 10);
    assert_int_equal(settings.cluster.shard_size, 167);
    experiment_done(&experiment);
}

static void what_others_published_is_kept_by_label(void **state)
{
    struct experiment experiment;
    (void)state;
    assert_int_equal(
        parse(ABOUT "[published]\n6/4/3 = 29 105\n6/4/6 = 19 138.5\n", &experiment, NULL), 0);
    assert_int_equal(experiment.n_published, 2);
    assert_string_equal(experiment.published[1].label, "6/4/6");
    assert_true(experiment.published[1].write == 19 && experiment.published[1].read == 138.5);
    assert_string_equal(json_get_string(json_get(experiment.texts, "published"), "6/4/3"),
                        "29 105");
    experiment_done(&experiment);
    refuse(ABOUT "[published]\n6/4/3 = 29\n", "x.ini:6: published: '29' is not of the form");
    refuse(ABOUT "[published]\n6/4/3 = 29 105 7\n", "is not of the form");
    refuse(ABOUT "[publishde]\n", "did you mean [published]?");
}

static void what_no_database_can_be_is_refused(void **state)
{
    (void)state;
    refuse(ABOUT DATABASE TABLE, "a database is asked for a workload, or to write and read");
    refuse(ABOUT DATABASE PHASES "workload = db-mix:read=100\n" TABLE, "a database is asked for");
    refuse(ABOUT PHASES TABLE, "rows need a database");
    refuse(ABOUT "[cluster]\nstore = file\n", "rows need a database");
    refuse(ABOUT "[load]\npreload = 3\n", "rows need a database");
    refuse(ABOUT DATABASE "replicas = 7\n" PHASES TABLE, "7 replicas of a shard do not fit on 6");
    refuse(ABOUT DATABASE "store = fiel\n" PHASES TABLE, "cluster.store: ");
    refuse(ABOUT DATABASE "grow = 6/3/3\n" PHASES TABLE, "4 shards do not become 3");
    refuse(ABOUT DATABASE "grow = 10/6\n" PHASES TABLE, "cluster.grow: '10/6' is not of the form");
    refuse(ABOUT DATABASE "shard_size = 10\n" PHASES TABLE, "1000 rows, but shards of 10 keys");
    refuse(ABOUT DATABASE "[load]\nwrite = db-wriet\n" TABLE, "did you mean 'db-write'?");
    refuse(ABOUT DATABASE "[load]\nwrite = db-write\nduration = 1s\n" TABLE, "say ids");
    refuse(ABOUT DATABASE PHASES "keys = zipfain\n" TABLE, "did you mean 'zipfian'?");
    refuse(ABOUT DATABASE PHASES "steady_percent = 5\n" TABLE, "of loads that ask for a path");
    refuse(ABOUT DATABASE "shard_size = 4\n[load]\nread = db-read\npreload = 17\n" TABLE,
           "17 rows, but 4 shards of 4 keys");
    refuse(ABOUT DATABASE PHASES, "figure.table: a database's servers are not counted");
    refuse(ABOUT DATABASE PHASES TABLE "[axis]\nvary = cluster.shards\nvalues = 0 4\n",
           "none without shards");
    refuse(ABOUT DATABASE PHASES "duration = 3s\n" TABLE "[events]\nat 1s = kill Server0\n",
           "say ids");
    refuse(ABOUT DATABASE "[load]\nwrite = db-write:ids=9\nduration = 3s\n" TABLE
                          "[events]\nat 1s = kill Server0\n",
           "[events] are of one load");
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
        cmocka_unit_test(a_database_completes_what_was_not_said),
        cmocka_unit_test(a_workloads_rows_are_read_from_its_text),
        cmocka_unit_test(an_axis_may_vary_several_keys_at_once),
        cmocka_unit_test(a_point_may_be_a_cluster_that_grew),
        cmocka_unit_test(what_others_published_is_kept_by_label),
        cmocka_unit_test(what_no_database_can_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
