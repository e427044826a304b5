#include "experiments/report.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/build_info.h"
#include "core/file.h"
#include "core/json.h"
#include "experiments/manifest.h"
#include "experiments/outcome.h"
#include "experiments/resultdir.h"
#include "tests/support/run_fixture.h"

#define BEGIN "<!-- quoit:report T1 -->\n"
#define END "<!-- /quoit:report -->"

static char root[] = "/tmp/quoit-report-XXXXXX";
static char result_dir[64]; /* root/result */
static char report_dir[64]; /* root/report */
static struct buf out;
static struct err err;

static void write_file(const char *dir, const char *name, const void *bytes, size_t n)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    assert_int_equal(file_write_atomic(path, bytes, n, NULL), 0);
}

static void write_json(const char *name, const cJSON *tree)
{
    struct buf text;
    buf_init(&text, 0);
    json_print(&text, tree, true);
    write_file(result_dir, name, buf_head(&text), buf_len(&text));
    buf_done(&text);
}

/* A whole result folder of the fixture, as the runner leaves it. with_figures: stand-ins for SVG.
 */
static void write_result(unsigned repeats, bool dirty, bool with_figures)
{
    static const char *const names[] = {"result.json", "samples.tsv", "shares-light.svg",
                                        "shares-dark.svg"};
    struct run_fixture fixture;
    struct summary summary;
    struct buf samples;
    resultdir_remove_tree(result_dir);
    assert_int_equal(file_make_dirs(result_dir, NULL), 0);
    run_fixture_open(&fixture, repeats, NULL);
    assert_int_equal(summary_make(&fixture.run, &summary, NULL), 0);
    cJSON *result = outcome_make(&fixture.run, &summary);
    write_json("result.json", result);
    buf_init(&samples, 0);
    outcome_print_samples(&fixture.run, &samples);
    write_file(result_dir, "samples.tsv", buf_head(&samples), buf_len(&samples));
    buf_done(&samples);
    write_file(result_dir, "shares-light.svg", "<svg></svg>", 11);
    write_file(result_dir, "shares-dark.svg", "<svg/>", 6);
    cJSON *manifest = manifest_make(&fixture.run, NULL, 0, "5.4 patchlevel 4");
    manifest_close(manifest, &fixture.run);
    cJSON *build = json_get(manifest, "quoit");
    cJSON_DeleteItemFromObjectCaseSensitive(build, "dirty");
    cJSON_AddBoolToObject(build, "dirty", dirty);
    for (size_t i = 0; i < (with_figures ? 4 : 2); i++)
        assert_int_equal(manifest_add_file(manifest, result_dir, names[i], NULL), 0);
    if (!with_figures) {
        char path[128];
        for (size_t i = 2; i < 4; i++) {
            snprintf(path, sizeof(path), "%s/%s", result_dir, names[i]);
            unlink(path);
        }
    }
    write_json("manifest.json", manifest);
    cJSON_Delete(result);
    cJSON_Delete(manifest);
    summary_done(&summary);
    run_fixture_close(&fixture);
}

static void publish(void)
{
    char *name = NULL;
    write_result(3, false, true);
    if (report_adopt(result_dir, report_dir, false, &name, &err) < 0)
        fail_msg("%s", err.message);
    assert_string_equal(name, "T1");
    free(name);
}

static int rewrite(const char *readme)
{
    buf_clear(&out);
    return report_rewrite(readme, strlen(readme), report_dir, &out, &err);
}

static void expect(const char *text)
{
    run_fixture_expect(&out, text);
}

static void expect_error(int status, int code, const char *text)
{
    if (status != code || !strstr(err.message, text))
        fail_msg("wanted %d '%s', got %d '%s'", code, text, status, status ? err.message : "");
}

static void report_block_shows_question_figure_table_and_conditions(void **state)
{
    char text[256];
    (void)state;
    publish();
    assert_int_equal(rewrite("# before\n" BEGIN "old words\n" END "\nafter\n"), 0);
    assert_true(!strncmp(buf_str(&out), "# before\n" BEGIN "**Who answers?**\n\n<picture>\n", 50));
    snprintf(text, sizeof(text),
             "srcset=\"%s/T1/shares-dark.svg\">\n  <img alt=\"Made by hand\" "
             "src=\"%s/T1/shares-light.svg\">",
             report_dir, report_dir);
    expect(text);
    expect("| quadratic | Server1 | 8437 |");
    expect("- xxh64: the busiest server");
    expect("*Measured 2026-11-21, commit ");
    expect("N = 3 servers, 10000 requests a run, 3 repeats. Verdict: VALID.");
    expect(END "\nafter\n");
    assert_null(strstr(buf_str(&out), "old words"));
}

static void report_rewriting_twice_changes_nothing(void **state)
{
    (void)state;
    publish();
    assert_int_equal(rewrite(BEGIN END "\n"), 0);
    char *once = strdup(buf_str(&out));
    assert_int_equal(rewrite(once), 0);
    assert_string_equal(buf_str(&out), once);
    free(once);
}

static void report_leaves_a_readme_without_blocks_alone(void **state)
{
    (void)state;
    resultdir_remove_tree(report_dir);
    assert_int_equal(rewrite("just\ntext"), 0);
    assert_string_equal(buf_str(&out), "just\ntext");
}

static void report_refuses_markers_that_do_not_pair(void **state)
{
    (void)state;
    publish();
    expect_error(rewrite("one\n" BEGIN "x\n"), -EINVAL, "line 2: the block of 'T1' has no");
    expect_error(rewrite(BEGIN BEGIN END), -EINVAL, "line 1: the block of 'T1' has no");
    expect_error(rewrite("<!-- quoit:report ../x -->\n" END), -EINVAL, "line 1: not of the form");
    expect_error(rewrite("<!-- quoit:report -->\n" END), -EINVAL, "line 1: not of the form");
}

static void report_refuses_a_result_that_is_shown_nowhere(void **state)
{
    (void)state;
    publish();
    expect_error(rewrite("nothing\n"), -EINVAL, "T1 is shown nowhere");
}

static void report_refuses_a_block_without_a_result(void **state)
{
    (void)state;
    publish();
    expect_error(rewrite(BEGIN END "\n<!-- quoit:report T2 -->\n" END), -EINVAL, "T2");
}

static void report_refuses_files_changed_by_hand(void **state)
{
    char dir[128];
    (void)state;
    snprintf(dir, sizeof(dir), "%s/T1", report_dir);
    publish();
    write_file(dir, "shares-dark.svg", "<svg>!</svg>", 12);
    expect_error(rewrite(BEGIN END), -EINVAL, "shares-dark.svg is not what the manifest says");
    publish();
    write_file(dir, "notes.txt", "x", 1);
    expect_error(rewrite(BEGIN END), -EINVAL, "notes.txt is not named by the manifest");
    publish();
    assert_int_equal(rewrite(BEGIN END), 0);
}

static void report_adopts_only_valid_clean_and_drawn_results(void **state)
{
    char *name = NULL;
    (void)state;
    write_result(2, false, true); /* two repeats are too few */
    expect_error(report_adopt(result_dir, report_dir, false, &name, &err), -EBADMSG,
                 "is INVALID: too few repeats: 2");
    write_result(3, true, true);
    expect_error(report_adopt(result_dir, report_dir, false, &name, &err), -EPERM,
                 "uncommitted changes");
    write_result(3, false, false);
    expect_error(report_adopt(result_dir, report_dir, false, &name, &err), -EINVAL,
                 "shares-light.svg is missing");
    expect_error(report_adopt("/nonexistent", report_dir, false, &name, &err), -EINVAL,
                 "/nonexistent/manifest.json");
    assert_null(name);
    write_result(3, true, true);
    assert_int_equal(report_adopt(result_dir, report_dir, true, &name, &err), 0);
    free(name);
    assert_int_equal(rewrite(BEGIN END), 0);
    expect(" with uncommitted changes, on ");
}

static void report_adopting_replaces_the_folder_whole(void **state)
{
    char dir[128], path[256];
    (void)state;
    publish();
    snprintf(dir, sizeof(dir), "%s/T1", report_dir);
    write_file(dir, "stale.txt", "x", 1);
    publish();
    snprintf(path, sizeof(path), "%s/stale.txt", dir);
    assert_int_equal(access(path, F_OK), -1);
    snprintf(path, sizeof(path), "%s/manifest.json", dir);
    assert_int_equal(access(path, F_OK), 0);
}

static void report_difference_shows_the_lines_that_differ(void **state)
{
    static const struct {
        const char *is, *should, *expected;
    } cases[] = {
        {"a\nb\nc\n", "a\nB\nc\n", "F:2: differs\n-b\n+B\n"},
        {"a\nb\nc\n", "a\nc\n", "F:2: differs\n-b\n"},
        {"a\nc\n", "a\nb\nc\n", "F:2: differs\n+b\n"},
        {"", "a\n", "F:1: differs\n+a\n"},
        {"a\nb", "a\nbc", "F:2: differs\n-b\n+bc\n"},
        {"same\n", "same\n", ""},
        {"a\nx\nb\ny\nc\n", "a\nX\nb\nY\nc\n", "F:2: differs\n-x\n-b\n-y\n+X\n+b\n+Y\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf is, should;
        buf_init(&is, 0);
        buf_init(&should, 0);
        buf_append_str(&is, cases[i].is);
        buf_append_str(&should, cases[i].should);
        buf_clear(&out);
        report_print_difference("F", &is, &should, &out);
        assert_string_equal(buf_str(&out), cases[i].expected);
        buf_done(&is);
        buf_done(&should);
    }
}

static int open_root(void **state)
{
    (void)state;
    buf_init(&out, 0);
    if (!mkdtemp(root))
        return -1;
    snprintf(result_dir, sizeof(result_dir), "%s/result", root);
    snprintf(report_dir, sizeof(report_dir), "%s/report", root);
    return 0;
}

static int close_root(void **state)
{
    (void)state;
    buf_done(&out);
    resultdir_remove_tree(root);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(report_block_shows_question_figure_table_and_conditions),
        cmocka_unit_test(report_rewriting_twice_changes_nothing),
        cmocka_unit_test(report_leaves_a_readme_without_blocks_alone),
        cmocka_unit_test(report_refuses_markers_that_do_not_pair),
        cmocka_unit_test(report_refuses_a_result_that_is_shown_nowhere),
        cmocka_unit_test(report_refuses_a_block_without_a_result),
        cmocka_unit_test(report_refuses_files_changed_by_hand),
        cmocka_unit_test(report_adopts_only_valid_clean_and_drawn_results),
        cmocka_unit_test(report_adopting_replaces_the_folder_whole),
        cmocka_unit_test(report_difference_shows_the_lines_that_differ),
    };
    return cmocka_run_group_tests(tests, open_root, close_root);
}
