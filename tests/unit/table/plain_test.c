/* What is read without a tree is what JSON has there, and everything else is left alone. */
#include "table/plain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/buf.h"
#include "core/json.h"
#include "core/rng.h"

#define N_RANDOM 20000

static struct schema schema;
static struct arena arena;

static int set_up(void **state)
{
    static const char text[] = "{\"columns\":[\"Stud_id\",\"Stud_name\",\"Stud_marks\"],"
                               "\"dtypes\":[\"Number\",\"String\",\"Number\"]}";
    (void)state;
    arena_init(&arena);
    return schema_parse(text, strlen(text), &schema, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

/* ---- rows -------------------------------------------------------------------------------------
 */

/* As /write reads a body that is not plain. */
static void assert_json_has(const char *body, size_t n, const struct row *rows, size_t n_rows)
{
    struct err err = {0};
    cJSON *tree = json_parse(body, n, &err);
    if (!tree)
        fail_msg("%.*s: %s", (int)n, body, err.message);
    const cJSON *data = json_get(tree, "data"), *object;
    size_t i = 0;
    assert_int_equal(cJSON_GetArraySize(tree), 1);
    assert_int_equal(cJSON_GetArraySize(data), n_rows);
    cJSON_ArrayForEach (object, data) {
        struct buf out;
        int64_t key;
        buf_init(&out, 0);
        assert_int_equal(row_from_json(&schema, object, &out, &key, &err), 0);
        assert_true(key == rows[i].key);
        assert_int_equal(buf_len(&out), rows[i].n_bytes);
        assert_memory_equal(buf_head(&out), rows[i].text, rows[i].n_bytes);
        buf_done(&out);
        i++;
    }
    cJSON_Delete(tree);
}

static bool is_plain(const char *body, size_t n)
{
    struct row *rows;
    size_t n_rows;
    if (!plain_read_rows(&schema, body, n, &arena, &rows, &n_rows))
        return false;
    assert_json_has(body, n, rows, n_rows);
    arena_reset(&arena);
    return true;
}

#define ROW_A "{\"Stud_id\":2255,\"Stud_name\":\"GHI\",\"Stud_marks\":27}"
#define ROW_B "{\"Stud_id\":-1,\"Stud_name\":7,\"Stud_marks\":0.5}"

static void plain_rows_are_read_where_they_stand(void **state)
{
    static const char body[] = "{\"data\":[" ROW_A "," ROW_B "]}";
    struct row *rows;
    size_t n_rows;
    (void)state;
    assert_true(plain_read_rows(&schema, body, strlen(body), &arena, &rows, &n_rows));
    assert_int_equal(n_rows, 2);
    assert_true(rows[0].key == 2255 && rows[1].key == -1);
    assert_ptr_equal(rows[0].text, body + 9);
    assert_int_equal(rows[1].n_bytes, strlen(ROW_B));
    assert_json_has(body, strlen(body), rows, n_rows);
}

static void many_rows_are_all_read(void **state)
{
    struct buf body;
    struct row *rows;
    size_t n_rows;
    (void)state;
    for (size_t n = 1; n < 70; n++) {
        buf_init(&body, 0);
        buf_append_str(&body, "{\"data\":[");
        for (size_t i = 0; i < n; i++)
            buf_appendf(&body, "%s{\"Stud_id\":%zu,\"Stud_name\":\"\",\"Stud_marks\":1}",
                        i > 0 ? "," : "", i);
        buf_append_str(&body, "]}");
        assert_true(
            plain_read_rows(&schema, buf_head(&body), buf_len(&body), &arena, &rows, &n_rows));
        assert_int_equal(n_rows, n);
        assert_json_has(buf_head(&body), buf_len(&body), rows, n_rows);
        buf_done(&body);
    }
}

static void whatever_else_is_left_alone(void **state)
{
    static const char *const bodies[] = {
        "",
        "{}",
        "{\"data\":[]}",
        "{\"data\":[" ROW_A "]",
        "{\"data\":[" ROW_A ",]}",
        "{\"data\":[" ROW_A "]} ",
        "{\"data\":[" ROW_A ROW_B "]}",
        "{\"data\": [" ROW_A "]}",
        "{\"data\":[" ROW_A "],\"x\":1}",
        "{\"data\":[{\"Stud_id\":\"2255\",\"Stud_name\":\"GHI\",\"Stud_marks\":27}]}",
        "{\"data\":[{\"Stud_id\":2255.5,\"Stud_name\":\"GHI\",\"Stud_marks\":27}]}",
        "{\"data\":[{\"Stud_id\":-0,\"Stud_name\":\"GHI\",\"Stud_marks\":27}]}",
        "{\"data\":[{\"Stud_id\":1,\"Stud_name\":\"a\\/b\",\"Stud_marks\":27}]}",
        "{\"data\":[{\"Stud_id\":1,\"Stud_marks\":27,\"Stud_name\":\"GHI\"}]}",
        "{\"data\":[{\"Stud_id\":1,\"Stud_name\":\"GHI\"}]}",
        "{\"data\":[{\"Stud_id\":1,\"Stud_name\":null,\"Stud_marks\":27}]}",
        "{\"data\":[{\"Stud_id\":1,\"Stud_name\":\"\xff\",\"Stud_marks\":27}]}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++)
        if (is_plain(bodies[i], strlen(bodies[i])))
            fail_msg("%s", bodies[i]);
    assert_false(is_plain(NULL, 0));
}

/* Bytes changed, removed and doubled in a plain body: is_plain() proves what is still taken. */
static void random_bodies_are_read_as_json_reads_them(void **state)
{
    static const char whole[] =
        "{\"data\":[" ROW_A "," ROW_B ",{\"Stud_id\":9,\"Stud_name\":\"\\u0001\\n\xc3\xa9\","
        "\"Stud_marks\":-1.5e+300}]}";
    static const char bytes[] = "0123456789-+.eE\"\\{}[],: ntu\x01\x7f\xc3\xa9";
    struct rng rng;
    size_t n_plain = 0;
    (void)state;
    rng_seed(&rng, 4);
    assert_true(is_plain(whole, strlen(whole)));
    for (int i = 0; i < N_RANDOM; i++) {
        char body[sizeof(whole) + 8];
        size_t n = strlen(whole);
        memcpy(body, whole, n);
        for (uint64_t k = rng_below(&rng, 3); k < 3; k++) {
            size_t at = rng_below(&rng, n);
            uint64_t how = rng_below(&rng, 4);
            if (how == 0) {
                memmove(body + at, body + at + 1, n - at - 1);
                n--;
            } else if (how == 1) {
                memmove(body + at + 1, body + at, n - at);
                n++;
            } else {
                body[at] = bytes[rng_below(&rng, sizeof(bytes) - 1)];
            }
        }
        n_plain += is_plain(body, n);
    }
    assert_true(n_plain > N_RANDOM / 100);
}

/* ---- ranges -----------------------------------------------------------------------------------
 */

static void assert_range(const char *body, const char *shard, int64_t low, int64_t high)
{
    struct plain_range range;
    struct err err = {0};
    int64_t json_low, json_high;
    if (!plain_read_range(&schema, body, strlen(body), &range))
        fail_msg("%s", body);
    assert_true(range.low == low && range.high == high);
    assert_int_equal(range.shard != NULL, shard != NULL);
    if (shard) {
        assert_int_equal(range.n_shard, strlen(shard));
        assert_memory_equal(range.shard, shard, range.n_shard);
    }
    cJSON *tree = json_parse(body, strlen(body), &err);
    const cJSON *node = json_get(tree, "Stud_id");
    assert_int_equal(row_key_from_json(json_get(node, "low"), "low", &json_low, &err), 0);
    assert_int_equal(row_key_from_json(json_get(node, "high"), "high", &json_high, &err), 0);
    assert_true(json_low == low && json_high == high);
    cJSON_Delete(tree);
}

static void plain_ranges_are_read(void **state)
{
    (void)state;
    assert_range("{\"Stud_id\":{\"low\":0,\"high\":0}}", NULL, 0, 0);
    assert_range("{\"Stud_id\":{\"low\":-15,\"high\":2555}}", NULL, -15, 2555);
    assert_range("{\"shard\":\"sh-1.a\",\"Stud_id\":{\"low\":-9223372036854775808,"
                 "\"high\":9223372036854775807}}",
                 "sh-1.a", INT64_MIN, INT64_MAX);
}

static void other_ranges_are_left_alone(void **state)
{
    static const char *const bodies[] = {
        "",
        "{\"Stud_id\":{\"low\":1,\"high\":2}",
        "{\"Stud_id\":{\"low\":1,\"high\":2}}x",
        "{\"Stud_id\":{\"low\":2,\"high\":1}}",
        "{\"Stud_id\":{\"low\":01,\"high\":2}}",
        "{\"Stud_id\":{\"low\":-0,\"high\":2}}",
        "{\"Stud_id\":{\"low\":1.0,\"high\":2}}",
        "{\"Stud_id\":{\"low\":1,\"high\":9223372036854775808}}",
        "{\"Stud_id\":{\"low\":-9223372036854775809,\"high\":1}}",
        "{\"Stud_id\":{\"low\":\"1\",\"high\":2}}",
        "{\"Stud_id\":{\"high\":2,\"low\":1}}",
        "{\"Stud_id\": {\"low\":1,\"high\":2}}",
        "{\"Stud_idd\":{\"low\":1,\"high\":2}}",
        "{\"shard\":\"\",\"Stud_id\":{\"low\":1,\"high\":2}}",
        "{\"shard\":\"s\\u0068\",\"Stud_id\":{\"low\":1,\"high\":2}}",
        "{\"shard\":\"sh1\"}",
    };
    struct plain_range range;
    (void)state;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++)
        if (plain_read_range(&schema, bodies[i], strlen(bodies[i]), &range))
            fail_msg("%s", bodies[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_rows_are_read_where_they_stand),
        cmocka_unit_test(many_rows_are_all_read),
        cmocka_unit_test(whatever_else_is_left_alone),
        cmocka_unit_test(random_bodies_are_read_as_json_reads_them),
        cmocka_unit_test(plain_ranges_are_read),
        cmocka_unit_test(other_ranges_are_left_alone),
    };
    return cmocka_run_group_tests_name("plain", tests, set_up, tear_down);
}
