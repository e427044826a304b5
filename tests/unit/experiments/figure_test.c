#include "experiments/figure.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

#include "core/file.h"
#include "core/json.h"
#include "experiments/outcome.h"
#include "experiments/resultdir.h"
#include "tests/support/run_fixture.h"

static char scratch[] = "/tmp/quoit-figure-XXXXXX";
static struct buf out;

static cJSON *result_of(const char *const *overrides)
{
    struct run_fixture fixture;
    struct summary summary;
    struct buf text;
    run_fixture_open(&fixture, 3, overrides);
    assert_int_equal(summary_make(&fixture.run, &summary, NULL), 0);
    cJSON *made = outcome_make(&fixture.run, &summary);
    buf_init(&text, 0);
    json_print(&text, made, false);
    cJSON_Delete(made);
    cJSON *result = json_parse(buf_head(&text), buf_len(&text), NULL);
    assert_non_null(result);
    buf_done(&text);
    summary_done(&summary);
    run_fixture_close(&fixture);
    buf_clear(&out);
    return result;
}

static void expect(const char *text)
{
    if (!strstr(buf_str(&out), text))
        fail_msg("no '%s' in:\n%s", text, buf_str(&out));
}

static void title_of_a_figure_says_that_servers_were_containers(void **state)
{
    static const char *const containers[] = {"cluster.spawner=docker", NULL};
    cJSON *result = result_of(containers);
    (void)state;
    figure_print_variables(result, "dark", "out.svg", &out);
    expect("title = 'Made by hand, in containers'\n");
    cJSON_Delete(result);
}

static void figure_variables_hold_everything_a_script_may_draw(void **state)
{
    cJSON *result = result_of(NULL);
    (void)state;
    figure_print_variables(result, "dark", "out.svg", &out);
    expect("title = 'Made by hand'\n");
    expect("theme = 'dark'\noutput = 'out.svg'\n");
    expect("requests = 10000\nrepeats = 3\nconfidence = 95\nn_points = 2\nn_axes = 1\n");
    expect("array label1[2] = ['bad', 'good']\n");
    expect("\tcluster_cpu_median\t");
    expect("array label2[2] = ['', '']\n");
    expect("array value1[2] = ['quadratic', 'xxh64']\n");
    expect("array n_servers[2] = [3, 3]\n");
    expect(
        "\n1\t1\tServer1\t0.8437488888888889\t8437.488888888889\t8437\t8437\t8437\t8437\t8437\n");
    expect("\trate_median\trate_low\t");
    expect("\n2\t3\t10000\t");
    cJSON_Delete(result);
}

static void figure_texts_cannot_become_commands(void **state)
{
    static const char *const evil[] = {
        "experiment.title='; system \"touch /tmp/quoit-evil\"; `touch /tmp/quoit-evil` #", NULL};
    cJSON *result = result_of(evil);
    struct err err;
    (void)state;
    figure_print_variables(result, "light", "x", &out);
    expect("title = '’; system \"touch /tmp/quoit-evil\"; `touch /tmp/quoit-evil` #'\n");
    buf_clear(&out);
    unlink("/tmp/quoit-evil");
    if (figure_draw(result, "plots", "shares", "light", scratch, &out, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(access("/tmp/quoit-evil", F_OK), -1);
    expect("system \"touch");
    cJSON_Delete(result);
}

static void figure_is_the_same_to_the_byte_when_drawn_again(void **state)
{
    static const char *const themes[] = {"light", "dark"};
    static const char *const kinds[] = {"shares", "balance", "rate", "peaks"};
    static const char *const grid[] = {"axis2.vary=cluster.servers", "axis2.values=2 3 4", NULL};
    struct buf again;
    cJSON *result = result_of(grid);
    (void)state;
    buf_init(&again, 0);
    for (size_t i = 0; i < 8; i++) {
        const char *kind = kinds[i / 2], *theme = themes[i % 2];
        buf_clear(&out);
        buf_clear(&again);
        assert_int_equal(figure_draw(result, "plots", kind, theme, scratch, &out, NULL), 0);
        assert_int_equal(figure_draw(result, "plots", kind, theme, scratch, &again, NULL), 0);
        assert_int_equal(buf_len(&out), buf_len(&again));
        assert_memory_equal(buf_head(&out), buf_head(&again), buf_len(&out));
        expect(i % 2 ? "#0d1117" : "#ffffff");
    }
    buf_done(&again);
    cJSON_Delete(result);
}

static void figure_says_units_n_repeats_and_every_number(void **state)
{
    cJSON *result = result_of(NULL);
    (void)state;
    assert_int_equal(figure_draw(result, "plots", "shares", "light", scratch, &out, NULL), 0);
    expect("<title>Made by hand</title>\n<desc>Who answers?</desc>");
    expect("N = 3 servers · 10000 requests a run · 3 repeats");
    expect(">requests</");
    expect(">8437</");
    expect(">Server3</");
    expect(">good</");
    assert_null(strstr(buf_str(&out), "GNUPLOT"));
    cJSON_Delete(result);
}

static const char *const by_servers[] = {"axis.vary=cluster.servers", "axis.values=2 3 4 5 6",
                                         NULL};

static void figure_of_balance_has_mean_least_and_most_measured_and_exact(void **state)
{
    cJSON *result = result_of(by_servers);
    (void)state;
    assert_int_equal(figure_draw(result, "plots", "balance", "light", scratch, &out, NULL), 0);
    expect("10000 requests a run · 3 repeats");
    expect(">requests a server</");
    expect(">N = 6</");
    expect(">mean 1667</");
    expect(">7891</");
    expect(">most/mean 4.73</");
    expect(">exactly 4.73</");
    cJSON_Delete(result);
}

static void figure_of_rates_has_unit_and_medians(void **state)
{
    cJSON *result = result_of(by_servers);
    (void)state;
    assert_int_equal(figure_draw(result, "plots", "rate", "light", scratch, &out, NULL), 0);
    expect(">requests/s</");
    expect(">N = 2</");
    expect(">2000</");
    expect("3 repeats");
    cJSON_Delete(result);
}

static void figure_of_peaks_has_a_panel_a_hash_and_an_exact_number_a_bar(void **state)
{
    static const char *const grid[] = {"axis2.vary=cluster.servers", "axis2.values=2 3", NULL};
    cJSON *result = result_of(grid);
    (void)state;
    assert_int_equal(figure_draw(result, "plots", "peaks", "light", scratch, &out, NULL), 0);
    expect(">bad</");
    expect(">good</");
    expect(">1.91</");
    expect(">2.53</");
    expect(">1.19</");
    expect(">N = 3</");
    cJSON_Delete(result);
}

static void figure_is_drawn_for_any_number_of_points_and_servers(void **state)
{
    static const char *const shapes[][5] = {
        {"axis.vary=cluster.servers", "axis.values=1", "axis.labels=one", NULL},
        {"axis.vary=cluster.servers", "axis.values=2 3 4 5 6", "axis.labels=a|b|c|d|e", NULL},
        {"axis.vary=cluster.servers", "axis.values=20 1 2 3", "axis.labels=a|b|c|d", NULL},
        {"cluster.servers=40", "cluster.placement=ring", NULL},
        {"axis2.vary=cluster.servers", "axis2.values=3 4", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        struct err err;
        cJSON *result = result_of(shapes[i]);
        if (figure_draw(result, "plots", "shares", "dark", scratch, &out, &err) < 0)
            fail_msg("shape %zu: %s", i, err.message);
        cJSON_Delete(result);
    }
}

static void figure_failure_tells_what_gnuplot_said(void **state)
{
    struct err err;
    char path[128];
    cJSON *result = result_of(NULL);
    (void)state;
    snprintf(path, sizeof(path), "%s/broken.gp", scratch);
    assert_int_equal(file_write_atomic(path, "this is not gnuplot\n", 20, NULL), 0);
    snprintf(path, sizeof(path), "%s/theme.gp", scratch);
    assert_int_equal(file_write_atomic(path, "", 0, NULL), 0);
    assert_true(figure_draw(result, scratch, "broken", "light", scratch, &out, &err) < 0);
    assert_non_null(strstr(err.message, "figure 'broken'"));
    assert_non_null(strstr(err.message, "broken.gp\" line 1"));
    /* a script that draws nothing is a failure, too */
    snprintf(path, sizeof(path), "%s/broken.gp", scratch);
    assert_int_equal(file_write_atomic(path, "\n", 1, NULL), 0);
    assert_true(figure_draw(result, scratch, "broken", "light", scratch, &out, &err) < 0);
    assert_int_equal(buf_len(&out), 0);
    cJSON_Delete(result);
}

static void figure_kinds_are_scripts(void **state)
{
    struct err err;
    (void)state;
    assert_int_equal(figure_check_kind("plots", "shares", &err), 0);
    assert_int_equal(figure_check_kind("plots", "nothing", &err), -ENOENT);
    assert_non_null(strstr(err.message, "plots/nothing.gp"));
    char *version = figure_gnuplot_version(scratch, &err);
    assert_non_null(version);
    assert_non_null(strstr(version, " patchlevel "));
    free(version);
}

static int open_scratch(void **state)
{
    (void)state;
    buf_init(&out, 0);
    return mkdtemp(scratch) ? 0 : -1;
}

static int close_scratch(void **state)
{
    (void)state;
    buf_done(&out);
    resultdir_remove_tree(scratch);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figure_variables_hold_everything_a_script_may_draw),
        cmocka_unit_test(title_of_a_figure_says_that_servers_were_containers),
        cmocka_unit_test(figure_texts_cannot_become_commands),
        cmocka_unit_test(figure_is_the_same_to_the_byte_when_drawn_again),
        cmocka_unit_test(figure_says_units_n_repeats_and_every_number),
        cmocka_unit_test(figure_of_balance_has_mean_least_and_most_measured_and_exact),
        cmocka_unit_test(figure_of_rates_has_unit_and_medians),
        cmocka_unit_test(figure_of_peaks_has_a_panel_a_hash_and_an_exact_number_a_bar),
        cmocka_unit_test(figure_is_drawn_for_any_number_of_points_and_servers),
        cmocka_unit_test(figure_failure_tells_what_gnuplot_said),
        cmocka_unit_test(figure_kinds_are_scripts),
    };
    return cmocka_run_group_tests(tests, open_scratch, close_scratch);
}
