#include "doctor/doctor.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/json.h"
#include "doctor/check.h"

static const struct style plain = {.columns = 80, .rows = 24};

static const struct doctor_finding *find(const struct doctor_report *report, const char *name)
{
    for (size_t i = 0; i < report->n; i++)
        if (strcmp(report->findings[i].name, name) == 0)
            return &report->findings[i];
    fail_msg("nothing on %s", name);
    return NULL;
}

static void quick_checks_are_some_of_all_and_take_no_time(void **state)
{
    struct doctor_report report;
    (void)state;
    uint64_t began_ns = clock_now_ns();
    doctor_run(NULL, DOCTOR_QUICK, &report);
    assert_true(clock_now_ns() - began_ns < NS_PER_S);
    find(&report, "file descriptors");
    find(&report, "ephemeral ports");
    find(&report, "load");
    find(&report, "gnuplot");
    for (size_t i = 0; i < report.n; i++) {
        assert_string_not_equal(report.findings[i].name, "docker engine");
        assert_true(report.findings[i].found[0] != '\0');
        assert_true(report.findings[i].why[0] != '\0');
        if (report.findings[i].level >= DOCTOR_WARN)
            assert_non_null(report.findings[i].advice);
    }
    assert_int_equal(report.n, report.n_of[DOCTOR_OK] + report.n_of[DOCTOR_NOTE] +
                                   report.n_of[DOCTOR_WARN] + report.n_of[DOCTOR_FAIL]);
    doctor_report_done(&report);
}

static void more_connections_than_descriptors_is_a_failure(void **state)
{
    const struct doctor_wants wants = {.n_connections = 1u << 30};
    struct doctor_report report;
    struct rlimit limit;
    (void)state;
    getrlimit(RLIMIT_NOFILE, &limit);
    doctor_run(&wants, DOCTOR_QUICK, &report);
    if (limit.rlim_max < 1u << 30)
        assert_int_equal(find(&report, "file descriptors")->level, DOCTOR_FAIL);
    assert_int_equal(find(&report, "ephemeral ports")->level, DOCTOR_FAIL);
    doctor_report_done(&report);
}

static void results_that_cannot_be_written_are_a_failure(void **state)
{
    const struct doctor_wants wants = {.results_dir = "/proc/1/none/results"};
    struct doctor_report report;
    (void)state;
    doctor_run(&wants, DOCTOR_QUICK, &report);
    assert_int_equal(find(&report, "disk")->level, DOCTOR_FAIL);
    assert_non_null(strstr(find(&report, "disk")->found, "/proc/1"));
    doctor_report_done(&report);
}

static void results_in_a_folder_yet_to_be_made_are_judged_by_the_one_above(void **state)
{
    char folder[] = "/tmp/quoit-doctor.XXXXXX", results[64];
    const struct doctor_wants wants = {.results_dir = results};
    struct doctor_report report;
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(results, sizeof(results), "%s/a/b/c", folder);
    doctor_run(&wants, DOCTOR_QUICK, &report);
    assert_int_not_equal(find(&report, "disk")->level, DOCTOR_FAIL);
    doctor_report_done(&report);
    rmdir(folder);
}

static void without_gnuplot_it_fails(void **state)
{
    struct doctor_report report;
    char path[4096];
    char *saved = strdup(getenv("PATH"));
    (void)state;
    setenv("PATH", "/no/such/folder", 1);
    if (!check_find_program("gnuplot", path)) {
        doctor_run(NULL, DOCTOR_QUICK, &report);
        assert_int_equal(find(&report, "gnuplot")->level, DOCTOR_FAIL);
        doctor_report_done(&report);
    }
    setenv("PATH", saved, 1);
    free(saved);
}

/* A program of ours at the front of $PATH. */
static void make_program(const char *folder, const char *name, const char *script)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "#!/bin/sh\n%s\n", script);
    fclose(file);
    chmod(path, 0755);
}

static void a_program_is_asked_for_the_first_line_it_prints(void **state)
{
    char folder[] = "/tmp/quoit-doctor.XXXXXX", path[512], text[64];
    char *saved = strdup(getenv("PATH"));
    (void)state;
    assert_non_null(mkdtemp(folder));
    make_program(folder, "talks", "echo; echo 'talks 1.2 Copyright me'; echo more");
    make_program(folder, "errs", "echo \"no $1\" >&2; exit 3");
    make_program(folder, "floods", "head -c 300000 /dev/zero | tr '\\0' x; exit 4");
    snprintf(path, sizeof(path), "%s:%s", folder, saved);
    setenv("PATH", path, 1);
    assert_int_equal(check_ask_program((const char *[]){"talks", NULL}, text, sizeof(text)), 0);
    assert_string_equal(text, "talks 1.2");
    assert_int_equal(check_ask_program((const char *[]){"errs", "a b", NULL}, text, sizeof(text)),
                     3);
    assert_string_equal(text, "no a b");
    assert_int_equal(check_ask_program((const char *[]){"floods", NULL}, text, sizeof(text)), 4);
    assert_int_equal(strlen(text), sizeof(text) - 1);
    assert_int_equal(check_ask_program((const char *[]){"no-such", NULL}, text, sizeof(text)),
                     -ENOENT);
    setenv("PATH", saved, 1);
    for (const char *const *name = (const char *[]){"talks", "errs", "floods", NULL}; *name;
         name++) {
        snprintf(path, sizeof(path), "%s/%s", folder, *name);
        unlink(path);
    }
    rmdir(folder);
    free(saved);
}

static void a_program_that_hangs_is_ended(void **state)
{
    char text[64];
    (void)state;
    uint64_t began_ns = clock_now_ns();
    assert_int_equal(check_ask_program((const char *[]){"sleep", "60", NULL}, text, sizeof(text)),
                     -ETIMEDOUT);
    assert_true(clock_now_ns() - began_ns < 10 * NS_PER_S);
}

/* Two findings made up. */
static struct doctor_report sample(void)
{
    static const struct check good = {.group = "limits", .name = "disk", .why = "it fills"};
    static const struct check bad = {
        .group = "machine", .name = "load", .why = "what else runs takes time away at random"};
    struct doctor_report report = {0};
    check_add(&report, &good, DOCTOR_OK, NULL, "%d MiB free", 5000);
    check_add(&report, &bad, DOCTOR_WARN, "wait", "%s", "3.5");
    return report;
}

static void reasons_are_printed_where_something_is_wrong(void **state)
{
    struct buf out;
    struct doctor_report report = sample();
    (void)state;
    buf_init(&out, 0);
    doctor_print(&report, &plain, false, &out);
    assert_string_equal(buf_str(&out),
                        "limits\n"
                        "ok    disk              5000 MiB free\n"
                        "\n"
                        "machine\n"
                        "warn  load              3.5\n"
                        "                        why: what else runs takes time away at random\n"
                        "                        do:  wait\n"
                        "\n"
                        "1 ok, 0 notes, 1 warning, 0 failures\n");
    buf_clear(&out);
    doctor_print(&report, &plain, true, &out);
    assert_non_null(strstr(buf_str(&out), "why: it fills\n"));
    buf_done(&out);
    doctor_report_done(&report);
}

static void no_line_is_wider_than_the_terminal(void **state)
{
    struct doctor_report report;
    struct buf out;
    (void)state;
    buf_init(&out, 0);
    doctor_run(NULL, DOCTOR_QUICK, &report);
    doctor_print(&report, &plain, true, &out);
    for (const char *line = buf_str(&out); *line;) {
        size_t n = strcspn(line, "\n");
        /* A word that is wider by itself stands as it is. */
        if (n > 80)
            assert_null(memchr(line + 29, ' ', n - 29));
        line += n + (line[n] == '\n');
    }
    doctor_report_done(&report);
    buf_done(&out);
}

static void json_says_all_of_it(void **state)
{
    struct doctor_report report = sample();
    (void)state;
    cJSON *tree = doctor_json(&report);
    int64_t n;
    assert_int_equal(json_get_int64(tree, "warnings", &n), 0);
    assert_int_equal(n, 1);
    const cJSON *second = cJSON_GetArrayItem(json_get(tree, "findings"), 1);
    assert_string_equal(json_get_string(second, "level"), "warn");
    assert_string_equal(json_get_string(second, "advice"), "wait");
    assert_true(
        cJSON_IsNull(json_get(cJSON_GetArrayItem(json_get(tree, "findings"), 0), "advice")));
    cJSON_Delete(tree);
    doctor_report_done(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quick_checks_are_some_of_all_and_take_no_time),
        cmocka_unit_test(more_connections_than_descriptors_is_a_failure),
        cmocka_unit_test(results_that_cannot_be_written_are_a_failure),
        cmocka_unit_test(results_in_a_folder_yet_to_be_made_are_judged_by_the_one_above),
        cmocka_unit_test(without_gnuplot_it_fails),
        cmocka_unit_test(a_program_is_asked_for_the_first_line_it_prints),
        cmocka_unit_test(a_program_that_hangs_is_ended),
        cmocka_unit_test(reasons_are_printed_where_something_is_wrong),
        cmocka_unit_test(no_line_is_wider_than_the_terminal),
        cmocka_unit_test(json_says_all_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
