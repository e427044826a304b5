#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "core/json.h"
#include "core/mem.h"
#include "experiments/laboratory.h"
#include "experiments/resultdir.h"

static char *dir;

static int make_dir(void **state)
{
    (void)state;
    dir = mem_strdup("/tmp/quoit-laboratory-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    resultdir_remove_tree(dir);
    free(dir);
    return 0;
}

#define HEAD "[laboratory]\nname = H\ntitle = T\nquestion = Q\n"

static int read_text(const char *text, const char *override, struct laboratory *ret_lab,
                     struct err *err)
{
    char *path = mem_printf("%s/H.ini", dir);
    assert_int_equal(file_write_atomic(path, text, strlen(text), err), 0);
    int rc = laboratory_read(path, override ? &override : NULL, override != NULL, ret_lab, err);
    free(path);
    return rc;
}

static void refuses(const char *text, const char *override, const char *words)
{
    struct laboratory lab;
    struct err err = {0};
    assert_true(read_text(text, override, &lab, &err) < 0);
    if (!strstr(err.message, words))
        fail_msg("no '%s' in: %s", words, err.message);
}

static void lists_are_read_and_labels_stand_for_specs(void **state)
{
    (void)state;
    struct laboratory lab;
    struct err err;
    assert_int_equal(read_text(HEAD "placements = ring:virtual=3 jump\nlabels = a ring | jump\n"
                                    "hashes = xxh3\nservers = 3 30\nmeasure = loads\ndraws = 5\n",
                               NULL, &lab, &err),
                     1);
    assert_true(lab.placements.n == 2 && lab.hashes.n == 1 && lab.n_servers == 2);
    assert_string_equal(lab.labels.at[0], "a ring");
    assert_string_equal(lab.hash_labels.at[0], "xxh3");
    assert_true(lab.servers[1] == 30 && lab.measure == LABORATORY_LOADS && lab.n_draws == 5);
    const cJSON *texts = json_get(lab.texts, "laboratory");
    assert_string_equal(json_get_string(texts, "placements"), "ring:virtual=3 jump");
    assert_string_equal(json_get_string(texts, "keys"), "space"); /* a default */
    laboratory_done(&lab);
}

static void an_override_takes_the_place_of_a_value_and_its_labels(void **state)
{
    (void)state;
    struct laboratory lab;
    struct err err;
    assert_int_equal(read_text(HEAD "placements = ring jump\nlabels = a | b\n",
                               "laboratory.placements=modulo", &lab, &err),
                     1);
    assert_true(lab.placements.n == 1 && lab.labels.n == 1);
    assert_string_equal(lab.labels.at[0], "modulo");
    assert_string_equal(json_get_string(json_get(lab.texts, "laboratory"), "placements"), "modulo");
    laboratory_done(&lab);
}

static void another_kind_of_file_is_left_to_its_own_reader(void **state)
{
    (void)state;
    struct laboratory lab;
    struct err err;
    assert_int_equal(read_text("[experiment]\nname = H\n", NULL, &lab, &err), 0);
    assert_int_equal(read_text("no ini at all", NULL, &lab, &err), 0);
}

static void what_cannot_be_computed_is_refused_by_name(void **state)
{
    (void)state;
    refuses(HEAD "placement = ring\n", NULL, "did you mean 'placements'");
    refuses(HEAD "[load]\nrate = 5\n", NULL, "H.ini:5: a laboratory has no section [load]");
    refuses("[laboratory]\nname = H\ntitle = T\n", NULL, "has no question");
    refuses("[laboratory]\nname = G\ntitle = T\nquestion = Q\n", NULL, "unlike its file");
    refuses(HEAD "placements = rng\n", NULL, "unknown placement 'rng'");
    refuses(HEAD "hashes = xxh3 md6\n", NULL, "unknown hash 'md6'");
    refuses(HEAD "servers = 3 0\n", NULL, "out of range");
    refuses(HEAD "servers =\n", NULL, "no placements, hashes or servers");
    refuses(HEAD "labels = a | b\n", NULL, "labels: 2 for 1");
    refuses(HEAD "figure = ../theme\n", NULL, "'../theme' is not a word");
    refuses(HEAD "measure = loads\n", NULL, "draws = N");
    refuses(HEAD, "load.rate=5", "not of the form laboratory.KEY=VALUE");
    refuses(HEAD, "laboratory.server=5", "did you mean 'servers'");
}

static double cell(const cJSON *result, int row, const char *column)
{
    const cJSON *name, *cells = cJSON_GetArrayItem(json_get(result, "rows"), row);
    int at = 0;
    cJSON_ArrayForEach (name, json_get(result, "columns")) {
        if (strcmp(name->valuestring, column) == 0)
            return cJSON_IsNumber(cJSON_GetArrayItem(cells, at))
                       ? cJSON_GetArrayItem(cells, at)->valuedouble
                       : NAN;
        at++;
    }
    fail_msg("no column '%s'", column);
    return NAN;
}

static cJSON *compute(const char *text)
{
    struct laboratory lab;
    struct err err = {0};
    if (read_text(text, NULL, &lab, &err) != 1)
        fail_msg("%s", err.message);
    cJSON *result = laboratory_compute(&lab, 1, NULL, &err);
    if (!result)
        fail_msg("%s", err.message);
    /* Every row has every column. */
    const cJSON *row;
    int n_columns = cJSON_GetArraySize(json_get(result, "columns"));
    cJSON_ArrayForEach (row, json_get(result, "rows")) {
        assert_int_equal(cJSON_GetArraySize(row), n_columns);
    }
    laboratory_done(&lab);
    return result;
}

static void points_are_the_product_and_exact(void **state)
{
    (void)state;
    cJSON *result = compute(HEAD "placements = slots modulo\nhashes = quadratic xxh3\n"
                                 "servers = 2 3\nkeys = ids\nchanges = 1\n");
    assert_int_equal(cJSON_GetArraySize(json_get(result, "rows")), 8);
    assert_true(cell(result, 1, "p") < 1.5 && cell(result, 1, "s") > 1.5);
    assert_true(fabs(cell(result, 1, "peak") - 3 * 759374. / 900000) < 1e-12);
    assert_true(cell(result, 7, "p") > 1.5 && cell(result, 7, "leave") > 1.9);
    assert_true(isnan(cell(result, 0, "names_peak")) && isnan(cell(result, 0, "hot_ns")));
    cJSON_Delete(result);
}

static void loads_are_pooled_over_draws(void **state)
{
    (void)state;
    cJSON *result = compute(HEAD "measure = loads\ndraws = 300\nservers = 10\n"
                                 "placements = ring:virtual=10 jump\n");
    /* Table 1 of the jump paper, for many buckets: 99 % of them within 0.37 and 1.98. */
    assert_true(fabs(cell(result, 0, "low_99") - 0.37) < 0.06);
    assert_true(fabs(cell(result, 0, "high_99") - 1.95) < 0.12);
    assert_true(fabs(cell(result, 1, "least") - 1) < 1e-12 && cell(result, 1, "cov") < 1e-12);
    cJSON_Delete(result);
}

static void absorption_has_a_row_a_pair_and_rows_that_sum_to_one(void **state)
{
    (void)state;
    cJSON *result = compute(HEAD "measure = absorption\nservers = 3\nplacements = ring\n");
    assert_int_equal(cJSON_GetArraySize(json_get(result, "rows")), 9);
    assert_true(isnan(cell(result, 0, "part")));
    assert_true(fabs(cell(result, 1, "part") + cell(result, 2, "part") - 1) < 1e-9);
    cJSON_Delete(result);
}

static void failures_have_three_stages_and_grow(void **state)
{
    (void)state;
    cJSON *result = compute(HEAD "measure = failures\nservers = 4\nplacements = jump\n");
    assert_int_equal(cJSON_GetArraySize(json_get(result, "rows")), 3);
    assert_true(fabs(cell(result, 0, "load_mean") - 1) < 0.01);
    assert_true(fabs(cell(result, 1, "load_mean") - 4. / 3) < 0.01);
    assert_true(fabs(cell(result, 2, "load_worst") - 2) < 0.02);
    cJSON_Delete(result);
}

static void figures_get_the_rows_and_the_labels(void **state)
{
    (void)state;
    struct buf text;
    cJSON *result = compute(HEAD "placements = jump\nlabels = it's\nservers = 2\n");
    buf_init(&text, 0);
    assert_true(laboratory_is_result(result));
    /* As read from a file, where a number that there is not is null. */
    struct buf json;
    struct err err;
    buf_init(&json, 0);
    json_print(&json, result, false);
    cJSON_Delete(result);
    result = json_parse(buf_head(&json), buf_len(&json), &err);
    laboratory_print_variables(result, &text);
    assert_non_null(strstr(buf_str(&text), "array placement_label[1] = ['it’s']\n"));
    assert_non_null(strstr(buf_str(&text), "array n_servers[1] = [2]\n"));
    assert_non_null(strstr(buf_str(&text), "$rows << QUOIT_END\np\th\ts\tplacement\t"));
    assert_non_null(strstr(buf_str(&text), "\tNaN\t"));
    buf_done(&json);
    buf_done(&text);
    cJSON_Delete(result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_read_and_labels_stand_for_specs),
        cmocka_unit_test(an_override_takes_the_place_of_a_value_and_its_labels),
        cmocka_unit_test(another_kind_of_file_is_left_to_its_own_reader),
        cmocka_unit_test(what_cannot_be_computed_is_refused_by_name),
        cmocka_unit_test(points_are_the_product_and_exact),
        cmocka_unit_test(loads_are_pooled_over_draws),
        cmocka_unit_test(absorption_has_a_row_a_pair_and_rows_that_sum_to_one),
        cmocka_unit_test(failures_have_three_stages_and_grow),
        cmocka_unit_test(figures_get_the_rows_and_the_labels),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
