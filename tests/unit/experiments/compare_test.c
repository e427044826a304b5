/* Comparisons of results written by hand, whose intervals can be told beforehand. */
#include "experiments/compare.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "core/file.h"
#include "core/json.h"
#include "core/mem.h"
#include "experiments/manifest.h"
#include "experiments/resultdir.h"

static char root[] = "/tmp/quoit-compare-XXXXXX";

static void write_text(const char *dir, const char *name, const char *text)
{
    struct err err;
    char *path = mem_printf("%s/%s", dir, name);
    if (file_make_dirs(dir, &err) < 0 || file_write_atomic(path, text, strlen(text), &err) < 0)
        fail_msg("%s", err.message);
    free(path);
}

static char *dir_of(const char *name)
{
    char *dir = mem_printf("%s/%s", root, name);
    resultdir_remove_tree(dir);
    return dir;
}

/* ——— loads ——— */

struct load {
    double rate, p99;
    int in_flight;
    int failed;
    int hour;         /* of its start */
    const char *more; /* further members, with a comma at the end */
};

static void write_load(const char *dir, int i, struct load load)
{
    char name[32];
    char *text = mem_printf(
        "{%s\"kind\":\"load\",\"schema_version\":2,\"settings\":{\"url\":\"http://127.0.0.1:%d/"
        "home\","
        "\"workload\":\"home\",\"loop\":\"closed\",\"client\":\"curl\",\"in_flight\":%d,\"seed\":%"
        "d},"
        "\"started\":\"2026-11-21T%02d:%02d:00.000Z\",\"ended\":\"2026-11-21T%02d:%02d:30.000Z\","
        "\"requests\":%d,\"ok\":1000,\"failed\":%d,\"rate\":%.17g,"
        "\"latency_ms\":{\"p99\":%.17g},\"servers\":{\"Server1\":250,\"Server2\":750},"
        "\"generator\":{\"cpu_us_per_request\":15}}",
        load.more ? load.more : "", 5000 + i, load.in_flight, i, load.hour, i, load.hour, i,
        1000 + load.failed, load.failed, load.rate, load.p99);
    snprintf(name, sizeof(name), "%02d.json", i);
    write_text(dir, name, text);
    free(text);
}

/* n samples whose rates and p99s are first, first + 1, … */
static char *write_loads(const char *name, int n, struct load load)
{
    char *dir = dir_of(name);
    for (int i = 0; i < n; i++) {
        write_load(dir, i, load);
        load.rate += 1;
        load.p99 += 1;
    }
    return dir;
}

struct pair {
    struct compare_side old, new;
    struct compare compare;
    char *paths[2];
};

/* Takes the paths. */
static void open_pair(struct pair *pair, char *old, char *new)
{
    struct err err;
    pair->paths[0] = old;
    pair->paths[1] = new;
    if (compare_open(old, &pair->old, &err) < 0 || compare_open(new, &pair->new, &err) < 0 ||
        compare_make(&pair->old, &pair->new, 1, &pair->compare, &err) < 0)
        fail_msg("%s", err.message);
}

static void close_pair(struct pair *pair)
{
    compare_done(&pair->compare);
    compare_close(&pair->old);
    compare_close(&pair->new);
    free(pair->paths[0]);
    free(pair->paths[1]);
}

static const struct compare_row *row_of(const struct pair *pair, size_t point, const char *metric)
{
    const struct compare_rows *rows = &pair->compare.points[point];
    for (size_t i = 0; i < rows->n_rows; i++)
        if (!strcmp(rows->rows[i].old->name, metric))
            return &rows->rows[i];
    return NULL;
}

static bool noted(const struct pair *pair, const char *words)
{
    for (size_t i = 0; i < pair->compare.n_notes; i++)
        if (strstr(pair->compare.notes[i], words))
            return true;
    return false;
}

static void assert_near(double value, double expected)
{
    if (!(fabs(value - expected) <= 1e-12 * fabs(expected)))
        fail_msg("%.17g is not %.17g", value, expected);
}

static void compare_judges_by_whether_more_or_less_is_better(void **state)
{
    struct pair pair;
    (void)state;
    open_pair(&pair, write_loads("old", 5, (struct load){.rate = 100, .p99 = 100, .in_flight = 64}),
              write_loads("new", 5, (struct load){.rate = 202, .p99 = 202, .in_flight = 64}));
    const struct compare_row *rate = row_of(&pair, 0, "rate"), *p99 = row_of(&pair, 0, "p99");
    assert_near(rate->old_median, 102);
    assert_near(rate->new_median, 204);
    assert_near(rate->change.difference, 102);
    assert_near(rate->change.ratio, 2);
    assert_int_equal(rate->verdict, COMPARE_BETTER);
    assert_int_equal(p99->verdict, COMPARE_WORSE);
    /* What did not change, and what neither side has. */
    assert_int_equal(row_of(&pair, 0, "cpu")->verdict, COMPARE_NOT_SHOWN);
    assert_near(row_of(&pair, 0, "cpu")->change.ratio, 1);
    assert_null(row_of(&pair, 0, "p50"));
    assert_null(row_of(&pair, 0, "failed"));
    assert_near(row_of(&pair, 0, "share:Server2")->old_median, 75);
    assert_near(row_of(&pair, 0, "peak_to_mean")->old_median, 1.5);
    close_pair(&pair);
}

static void compare_shows_no_difference_where_the_samples_overlap(void **state)
{
    struct pair pair;
    (void)state;
    open_pair(&pair, write_loads("old", 9, (struct load){.rate = 100, .p99 = 5, .in_flight = 64}),
              write_loads("new", 9, (struct load){.rate = 101, .p99 = 5, .in_flight = 64}));
    const struct compare_row *rate = row_of(&pair, 0, "rate");
    assert_int_equal(rate->verdict, COMPARE_NOT_SHOWN);
    assert_true(rate->change.difference_interval.low < 0);
    assert_true(rate->change.difference_interval.high > 0);
    close_pair(&pair);
}

static void compare_calls_nothing_better_on_few_samples(void **state)
{
    struct pair pair;
    (void)state;
    open_pair(&pair, write_loads("old", 4, (struct load){.rate = 100, .p99 = 5, .in_flight = 64}),
              write_loads("new", 9, (struct load){.rate = 900, .p99 = 5, .in_flight = 64}));
    assert_int_equal(row_of(&pair, 0, "rate")->verdict, COMPARE_TOO_FEW);
    assert_true(isfinite(row_of(&pair, 0, "rate")->change.ratio_interval.low));
    assert_true(noted(&pair, "4 and 9 samples: with fewer than 5"));
    close_pair(&pair);
    open_pair(&pair, write_loads("old", 1, (struct load){.rate = 100, .p99 = 5, .in_flight = 64}),
              write_loads("new", 1, (struct load){.rate = 900, .p99 = 5, .in_flight = 64}));
    assert_int_equal(row_of(&pair, 0, "rate")->verdict, COMPARE_TOO_FEW);
    assert_true(isnan(row_of(&pair, 0, "rate")->change.ratio_interval.low));
    assert_near(row_of(&pair, 0, "rate")->change.ratio, 9);
    close_pair(&pair);
}

static void compare_notes_the_order_of_loads_and_what_else_differs(void **state)
{
    struct pair pair;
    (void)state;
    open_pair(
        &pair,
        write_loads("old", 5, (struct load){.rate = 100, .p99 = 5, .in_flight = 64, .hour = 9}),
        write_loads("new", 5,
                    (struct load){.rate = 50, .p99 = 5, .in_flight = 32, .hour = 10, .failed = 3}));
    assert_true(noted(&pair, "not interleaved"));
    assert_true(noted(&pair, "load.in_flight differs: 64, then 32"));
    assert_true(noted(&pair, "NEW has failed requests"));
    assert_false(noted(&pair, "OLD has failed requests"));
    assert_true(noted(&pair, "do not say where"));
    assert_near(row_of(&pair, 0, "failed")->new_median, 100 * 3 / 1003.0);
    assert_true(isnan(row_of(&pair, 0, "failed")->change.ratio));
    assert_int_equal(row_of(&pair, 0, "failed")->verdict, COMPARE_WORSE);
    close_pair(&pair);
    open_pair(
        &pair,
        write_loads("old", 5, (struct load){.rate = 100, .p99 = 5, .in_flight = 64, .hour = 9}),
        write_loads("new", 5, (struct load){.rate = 100, .p99 = 5, .in_flight = 64, .hour = 9}));
    assert_false(noted(&pair, "not interleaved"));
    assert_false(noted(&pair, "differs"));
    close_pair(&pair);
}

static void expect_refusal(char *path, int code, const char *words)
{
    struct compare_side side;
    struct err err = {0};
    assert_int_equal(compare_open(path, &side, &err), code);
    if (!strstr(err.message, words))
        fail_msg("'%s' does not say: %s", err.message, words);
    compare_close(&side);
    free(path);
}

static void compare_refuses_loads_that_cannot_be_trusted_or_are_none(void **state)
{
    struct load load = {.rate = 100, .p99 = 5, .in_flight = 64};
    char *dir;
    (void)state;
    load.more = "\"interrupted\":true,";
    expect_refusal(write_loads("bad", 2, load), -EBADMSG, "was interrupted");
    load.more = "\"verdict\":{\"valid\":false,\"reasons\":[\"it lagged\"]},";
    expect_refusal(write_loads("bad", 2, load), -EBADMSG, "is INVALID: it lagged");
    load.more = NULL;
    dir = write_loads("bad", 2, load);
    load.in_flight = 65;
    write_load(dir, 7, load);
    expect_refusal(dir, -EINVAL, "in in_flight (64)");
    dir = write_loads("bad", 1, load);
    write_text(dir, "99.json", "{\"kind\":\"recipe\"}");
    expect_refusal(dir, -EINVAL, "99.json is neither");
    dir = dir_of("bad");
    write_text(dir, "notes.txt", "none");
    expect_refusal(dir, -ENOENT, "holds neither");
    expect_refusal(dir_of("bad"), -ENOENT, "bad: No such file");
}

/* ——— results of experiments ——— */

struct result {
    const char *name;
    const char *kernel;
    const char *set;
    const char *second_value; /* of the axis */
    bool dirty, invalid;
    double rate;
};

static char *write_result(const char *place, struct result it)
{
    struct err err;
    struct buf text;
    char *dir = dir_of(place);
    buf_init(&text, 0);
    buf_appendf(
        &text,
        "{\"format\":1,\"name\":\"%s\",\"title\":\"t\",\"question\":\"q\",\"measures\":"
        "\"rates\",\"table\":\"points\",\"figures\":[],\"axes\":[{\"vary\":\"cluster.hash\","
        "\"values\":[\"one\",\"%s\"],\"labels\":[\"One\",\"Two\"]}],\"points\":[",
        it.name, it.second_value);
    for (int i = 0; i < 2; i++)
        buf_appendf(
            &text,
            "%s{\"values\":[\"%s\"],\"labels\":[\"%s\"],\"servers\":[{\"name\":\"Server1\","
            "\"counts\":[1,1,1,1,1]},{\"name\":\"Server2\",\"counts\":[3,3,3,3,1]}],"
            "\"metrics\":{\"rate\":{\"values\":[%g,%g,%g,%g,%g]},\"generator_cpu\":{\"values\":"
            "[0.5,0.5,0.5,0.5,0.5]},\"write_rate\":{\"values\":[1,2,3,4,5]},\"read_p99\":{"
            "\"values\":[9]},\"p99\":{\"values\":[null,null,null,null,null]}},"
            "\"events\":[{\"action\":\"kill\",\"label\":\"SIGKILL Server1\","
            "\"failed\":{\"values\":[0,0,1,0,0]},"
            "\"steps\":{\"detected\":{\"values\":[4,5,6,7,8]}}},"
            "{\"action\":\"rm\",\"label\":\"/rm 1\",\"steps\":{\"drained\":{\"values\":[1]}}},"
            "{\"action\":\"kill\",\"label\":\"SIGKILL Server2\","
            "\"failed\":{\"values\":[0,0,0,0,0]},"
            "\"steps\":{\"detected\":{\"values\":[%g,%g,%g,%g,null]}}}]}",
            i ? "," : "", i ? it.second_value : "one", i ? "Two" : "One", it.rate, it.rate + 1,
            it.rate + 2, it.rate + 3, it.rate + 4, it.rate, it.rate, it.rate, it.rate);
    buf_appendf(&text, "],\"verdict\":{\"valid\":%s,\"reasons\":[\"too few repeats\"]}}",
                it.invalid ? "false" : "true");
    write_text(dir, "result.json", buf_str(&text));
    buf_clear(&text);
    buf_appendf(&text,
                "{\"format\":1,\"name\":\"%s\",\"date\":\"2026-11-21T09:00:0%c.000Z\",\"quoit\":{"
                "\"commit\":\"0123456789abcdef\",\"dirty\":%s,\"compiler\":\"gcc\",\"cflags\":"
                "\"-I. -Ibuild/%s -O2\"},\"host\":{\"kernel\":\"%s\",\"load_average\":[1]},"
                "\"libraries\":{\"libev\":\"4.33\"},\"experiment\":{\"experiment\":{\"name\":"
                "\"%s\",\"repeats\":\"5\"},\"load\":{\"requests\":\"10000\"}},\"set\":[%s],"
                "\"files\":[]}",
                it.name, place[0] == 'o' ? '1' : '2', it.dirty ? "true" : "false", place, it.kernel,
                it.name, it.set);
    cJSON *manifest = json_parse(buf_head(&text), buf_len(&text), &err);
    if (!manifest || manifest_add_file(manifest, dir, "result.json", &err) < 0)
        fail_msg("%s", err.message);
    buf_clear(&text);
    json_print(&text, manifest, true);
    write_text(dir, "manifest.json", buf_str(&text));
    cJSON_Delete(manifest);
    buf_done(&text);
    return dir;
}

#define RESULT .name = "T", .kernel = "Linux 6.1", .set = "", .second_value = "two", .rate = 100

static void compare_takes_every_value_of_the_axis(void **state)
{
    struct pair pair;
    (void)state;
    open_pair(&pair, write_result("old", (struct result){RESULT}),
              write_result("new", (struct result){.name = "T",
                                                  .kernel = "Linux 6.9",
                                                  .set = "\"load.requests=500\"",
                                                  .second_value = "two",
                                                  .dirty = true,
                                                  .rate = 50}));
    assert_int_equal(pair.compare.n_points, 2);
    assert_string_equal(pair.compare.points[1].label, "Two");
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(row_of(&pair, i, "rate")->verdict, COMPARE_WORSE);
        /* Half a core at 102 and at 52 requests a second. */
        assert_near(row_of(&pair, i, "cpu")->old_median, 500000. / 102);
        assert_near(row_of(&pair, i, "cpu")->new_median, 500000. / 52);
        assert_near(row_of(&pair, i, "peak_to_mean")->old_median, 1.5);
        assert_near(row_of(&pair, i, "share:Server1")->old_median, 25);
        /* Both kills together: 4 5 6 7 8 and four times the rate. */
        assert_near(row_of(&pair, i, "kill.detected")->old_median, 8);
        assert_int_equal(row_of(&pair, i, "kill.detected")->old->n, 9);
        assert_int_equal(row_of(&pair, i, "kill.failed")->old->n, 10);
        assert_int_equal(row_of(&pair, i, "kill.failed")->verdict, COMPARE_NOT_SHOWN);
        assert_int_equal(row_of(&pair, i, "rm.drained")->old->n, 1);
        assert_null(row_of(&pair, i, "p99"));
        /* A phase of its own; one without a rate is none. */
        assert_near(row_of(&pair, i, "write_rate")->old_median, 3);
        assert_int_equal(row_of(&pair, i, "write_rate")->verdict, COMPARE_NOT_SHOWN);
        assert_null(row_of(&pair, i, "read_p99"));
    }
    assert_true(noted(&pair, "not interleaved"));
    assert_true(noted(&pair, "host.kernel differs: Linux 6.1, then Linux 6.9"));
    assert_true(noted(&pair, "load.requests differs: 10000, then 500"));
    assert_true(noted(&pair, "NEW was measured with uncommitted changes"));
    assert_true(noted(&pair, "16 numbers are compared at 95 % each: chance alone makes about 1"));
    /* Build folders are no condition, nor are names of the same. */
    assert_false(noted(&pair, "compiler"));
    assert_false(noted(&pair, "load_average"));
    close_pair(&pair);
}

static void expect_no_pair(struct result old, struct result new, const char *words)
{
    struct compare_side a, b;
    struct compare compare;
    struct err err = {0};
    char *paths[] = {write_result("old", old), write_result("new", new)};
    assert_int_equal(compare_open(paths[0], &a, &err), 0);
    assert_int_equal(compare_open(paths[1], &b, &err), 0);
    assert_int_equal(compare_make(&a, &b, 1, &compare, &err), -EINVAL);
    if (!strstr(err.message, words))
        fail_msg("'%s' does not say: %s", err.message, words);
    compare_done(&compare);
    compare_close(&a);
    compare_close(&b);
    free(paths[0]);
    free(paths[1]);
}

static void compare_refuses_two_experiments_and_two_axes(void **state)
{
    struct result other = {RESULT};
    (void)state;
    other.name = "U";
    expect_no_pair((struct result){RESULT}, other, "not the same experiment: T in ");
    other = (struct result){RESULT};
    other.second_value = "three";
    expect_no_pair((struct result){RESULT}, other, "not the same axis: cluster.hash = one two in ");
}

static void compare_refuses_an_invalid_or_altered_result(void **state)
{
    char *dir;
    (void)state;
    expect_refusal(write_result("bad", (struct result){RESULT, .invalid = true}), -EBADMSG,
                   "is INVALID: too few repeats");
    dir = write_result("bad", (struct result){RESULT});
    write_text(dir, "result.json", "{}");
    expect_refusal(dir, -EINVAL, "is not what the manifest says");
}

/* ——— limits ——— */

static void compare_reads_limits_and_says_what_is_wrong(void **state)
{
    static const struct {
        const char *text, *words;
    } wrong[] = {
        {"rat<5%", "no such metric"},
        {"", "no such metric"},
        {"share:<5%", "no such metric"},
        {"rate", "no < or >"},
        {"rate=5%", "no such metric"},
        {"rate<", "no number"},
        {"rate<x%", "no number"},
        {"rate<nan%", "no number"},
        {"rate<5", "no %"},
        {"kill.drained>5%", "no such metric"},
        {"kil.serving>5%", "no such metric"},
        {"kill.>5%", "no such metric"},
        {"rate<5ms", "no %"},
        {"rate<5%%", "something follows"},
    };
    struct compare_limit limit;
    struct err err;
    (void)state;
    assert_int_equal(compare_limit_parse(" p99.9 >= +2.5 % ", &limit, &err), 0);
    assert_string_equal(limit.metric, "p99.9");
    assert_true(!limit.below && limit.or_equal);
    assert_near(limit.percent, 2.5);
    assert_int_equal(compare_limit_parse("share:Server1<-5%", &limit, &err), 0);
    assert_string_equal(limit.metric, "share:Server1");
    assert_true(limit.below && !limit.or_equal);
    assert_near(limit.percent, -5);
    assert_int_equal(compare_limit_parse("kill.serving>+10%", &limit, &err), 0);
    assert_string_equal(limit.metric, "kill.serving");
    assert_int_equal(compare_limit_parse("rm.failed>0%", &limit, &err), 0);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(compare_limit_parse(wrong[i].text, &limit, &err), -EINVAL);
        if (!strstr(err.message, wrong[i].words))
            fail_msg("%s: %s", wrong[i].text, err.message);
    }
}

static bool missed(const struct pair *pair, const char *text)
{
    struct compare_limit limit;
    struct err err;
    if (compare_limit_parse(text, &limit, &err) < 0)
        fail_msg("%s", err.message);
    return compare_limit_judge(&limit, &pair->compare, 0).missed;
}

static void compare_limits_are_passed_by_changes_that_are_shown(void **state)
{
    struct pair pair;
    (void)state;
    /* The median rate halves, p99 doubles. */
    open_pair(&pair, write_loads("old", 5, (struct load){.rate = 202, .p99 = 100, .in_flight = 64}),
              write_loads("new", 5, (struct load){.rate = 100, .p99 = 202, .in_flight = 64}));
    assert_true(missed(&pair, "rate<-5%"));
    assert_false(missed(&pair, "rate<-50%"));
    assert_true(missed(&pair, "rate<=-50%"));
    assert_false(missed(&pair, "rate>+5%"));
    assert_true(missed(&pair, "p99>99%"));
    assert_false(missed(&pair, "cpu>0%"));
    assert_false(missed(&pair, "failed>0%"));       /* none on either side */
    assert_true(missed(&pair, "p50>10%"));          /* not measured */
    assert_true(missed(&pair, "share:Server3>1%")); /* not there */
    close_pair(&pair);
    /* One percent down, within the spread. */
    open_pair(&pair, write_loads("old", 9, (struct load){.rate = 101, .p99 = 5, .in_flight = 64}),
              write_loads("new", 9, (struct load){.rate = 100, .p99 = 5, .in_flight = 64}));
    assert_false(missed(&pair, "rate<0%"));
    close_pair(&pair);
    /* Two samples cannot show that there is none. */
    open_pair(&pair, write_loads("old", 2, (struct load){.rate = 101, .p99 = 5, .in_flight = 64}),
              write_loads("new", 2, (struct load){.rate = 100, .p99 = 5, .in_flight = 64}));
    assert_true(missed(&pair, "rate<0%"));
    close_pair(&pair);
}

static void compare_json_and_table_say_the_same(void **state)
{
    struct pair pair;
    struct buf text;
    (void)state;
    open_pair(&pair, write_loads("old", 5, (struct load){.rate = 100, .p99 = 5, .in_flight = 64}),
              write_loads("new", 5, (struct load){.rate = 202, .p99 = 5, .in_flight = 64}));
    cJSON *tree = compare_json(&pair.compare);
    const cJSON *point = cJSON_GetArrayItem(json_get(tree, "points"), 0);
    const cJSON *rate = cJSON_GetArrayItem(json_get(point, "metrics"), 0);
    assert_string_equal(json_get_string(rate, "name"), "rate");
    assert_string_equal(json_get_string(rate, "better"), "higher");
    assert_string_equal(json_get_string(rate, "verdict"), "better");
    assert_near(json_get(json_get(rate, "ratio"), "value")->valuedouble, 2);
    assert_near(json_get(json_get(rate, "difference"), "value")->valuedouble, 102);
    assert_true(json_get(json_get(rate, "ratio"), "low")->valuedouble > 1.9);
    assert_int_equal(cJSON_GetArraySize(json_get(tree, "notes")), (int)pair.compare.n_notes);
    cJSON_Delete(tree);
    buf_init(&text, 0);
    compare_print(&pair.compare, &text);
    assert_non_null(strstr(buf_str(&text), "+100.0 %"));
    assert_non_null(strstr(buf_str(&text), "better"));
    assert_non_null(strstr(buf_str(&text), "What weakens this comparison:"));
    buf_done(&text);
    close_pair(&pair);
}

static int make_root(void **state)
{
    (void)state;
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
    (void)state;
    resultdir_remove_tree(root);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compare_judges_by_whether_more_or_less_is_better),
        cmocka_unit_test(compare_shows_no_difference_where_the_samples_overlap),
        cmocka_unit_test(compare_calls_nothing_better_on_few_samples),
        cmocka_unit_test(compare_notes_the_order_of_loads_and_what_else_differs),
        cmocka_unit_test(compare_refuses_loads_that_cannot_be_trusted_or_are_none),
        cmocka_unit_test(compare_takes_every_value_of_the_axis),
        cmocka_unit_test(compare_refuses_two_experiments_and_two_axes),
        cmocka_unit_test(compare_refuses_an_invalid_or_altered_result),
        cmocka_unit_test(compare_reads_limits_and_says_what_is_wrong),
        cmocka_unit_test(compare_limits_are_passed_by_changes_that_are_shown),
        cmocka_unit_test(compare_json_and_table_say_the_same),
    };

    return cmocka_run_group_tests(tests, make_root, remove_root);
}
