#include "table/row.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/json.h"
#include "core/rng.h"

static struct schema schema;

static int set_up(void **state)
{
    static const char text[] = "{\"columns\":[\"Stud_id\",\"Stud_name\",\"Stud_marks\"],"
                               "\"dtypes\":[\"Number\",\"String\",\"Number\"]}";
    (void)state;
    return schema_parse(text, strlen(text), &schema, NULL);
}

/* row_from_json() of a JSON text, into out. */
static int make(const char *json, size_t n, struct buf *out, int64_t *ret_key, struct err *err)
{
    cJSON *tree = json_parse(json, n, err);
    if (!tree)
        return -EPROTO;
    int rc = row_from_json(&schema, tree, out, ret_key, err);
    cJSON_Delete(tree);
    return rc;
}

static void assert_makes(const char *json, const char *canonical)
{
    struct err err = {0};
    struct buf out;
    int64_t key;
    struct row_value values[SCHEMA_MAX_COLUMNS];
    buf_init(&out, 0);
    if (make(json, strlen(json), &out, &key, &err) != 0)
        fail_msg("%s: %s", json, err.message);
    assert_string_equal(buf_str(&out), canonical);
    assert_int_equal(row_take_apart(&schema, buf_head(&out), buf_len(&out), values, &err), 0);
    assert_true(values[0].integer == key);
    buf_done(&out);
}

static void row_becomes_canonical(void **state)
{
    (void)state;
    assert_makes("{\"Stud_id\":2255,\"Stud_name\":\"GHI\",\"Stud_marks\":27}",
                 "{\"Stud_id\":2255,\"Stud_name\":\"GHI\",\"Stud_marks\":27}");
    /* order, white space, digits in strings, a number in a String column */
    assert_makes(" { \"Stud_marks\" : \"27\" , \"Stud_id\" : \"-05\", \"Stud_name\" : 9 } ",
                 "{\"Stud_id\":-5,\"Stud_name\":9,\"Stud_marks\":27}");
    assert_makes("{\"Stud_id\":9223372036854775807,\"Stud_name\":-9223372036854775808,"
                 "\"Stud_marks\":2.50}",
                 "{\"Stud_id\":9223372036854775807,\"Stud_name\":-9223372036854775808,"
                 "\"Stud_marks\":2.5}");
    /* a fraction that a double cannot hold */
    assert_makes("{\"Stud_id\":1,\"Stud_name\":\"\",\"Stud_marks\":999990000211484283.79}",
                 "{\"Stud_id\":1,\"Stud_name\":\"\",\"Stud_marks\":999990000211484288}");
    assert_makes("{\"Stud_id\":2e3,\"Stud_name\":\"a\\u0062\\/\\n\\u00e9\",\"Stud_marks\":1.0}",
                 "{\"Stud_id\":2000,\"Stud_name\":\"ab/\\n\xc3\xa9\",\"Stud_marks\":1}");
}

static void row_refuses_what_the_schema_does_not_say(void **state)
{
    static const struct {
        const char *json, *words;
    } bad[] = {
        {"[]", "no JSON object"},
        {"{}", "\"Stud_id\" is missing"},
        {"{\"Stud_id\":1,\"Stud_name\":\"a\"}", "\"Stud_marks\" is missing"},
        {"{\"Stud_id\":1,\"Stud_name\":\"a\",\"Stud_marks\":1,\"x\":2}", "\"x\" is not in"},
        {"{\"Stud_id\":1.5,\"Stud_name\":\"a\",\"Stud_marks\":1}", "Stud_id"},
        {"{\"Stud_id\":\"1 \",\"Stud_name\":\"a\",\"Stud_marks\":1}", "Stud_id"},
        {"{\"Stud_id\":9223372036854775808,\"Stud_name\":\"a\",\"Stud_marks\":1}", "Stud_id"},
        {"{\"Stud_id\":1,\"Stud_name\":null,\"Stud_marks\":1}", "Stud_name"},
        {"{\"Stud_id\":1,\"Stud_name\":true,\"Stud_marks\":1}", "Stud_name"},
        {"{\"Stud_id\":1,\"Stud_name\":[],\"Stud_marks\":1}", "Stud_name"},
        {"{\"Stud_id\":1,\"Stud_name\":\"a\",\"Stud_marks\":\"x\"}", "Stud_marks"},
        {"{\"Stud_id\":1,\"Stud_name\":\"a\",\"Stud_marks\":99999999999999999999}", "64 bits"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err err = {0};
        struct buf out;
        int64_t key = 77;
        buf_init(&out, 0);
        buf_append_str(&out, "before");
        assert_int_equal(make(bad[i].json, strlen(bad[i].json), &out, &key, &err), -EINVAL);
        if (!strstr(err.message, bad[i].words))
            fail_msg("%s: %s", bad[i].json, err.message);
        assert_string_equal(buf_str(&out), "before");
        assert_int_equal(key, 77);
        buf_done(&out);
    }
}

static void row_longer_than_the_limit_is_refused(void **state)
{
    static char json[ROW_MAX_BYTES + 200];
    struct buf out;
    int64_t key;
    (void)state;
    int head = sprintf(json, "{\"Stud_id\":1,\"Stud_marks\":1,\"Stud_name\":\"");
    size_t n_fixed = strlen("{\"Stud_id\":1,\"Stud_name\":\"\",\"Stud_marks\":1}");
    for (size_t over = 0; over <= 1; over++) {
        size_t n = ROW_MAX_BYTES - n_fixed + over;
        memset(json + head, 'a', n);
        memcpy(json + (size_t)head + n, "\"}", 3);
        buf_init(&out, 0);
        assert_int_equal(make(json, strlen(json), &out, &key, NULL), over ? -EMSGSIZE : 0);
        assert_int_equal(buf_len(&out), over ? 0 : ROW_MAX_BYTES);
        buf_done(&out);
    }
}

static void take_apart_refuses_what_is_not_canonical(void **state)
{
    static const char *const bad[] = {
        "",
        "{}",
        "{\"Stud_id\":1,\"Stud_name\":\"a\",\"Stud_marks\":1",
        "{\"Stud_id\":1,\"Stud_name\":\"a\",\"Stud_marks\":1}}",
        "{\"Stud_id\":1,\"Stud_name\":\"a\",\"Stud_marks\":1} ",
        "{\"Stud_id\": 1,\"Stud_name\":\"a\",\"Stud_marks\":1}",
        "{\"Stud_name\":\"a\",\"Stud_id\":1,\"Stud_marks\":1}",
        "{\"Stud_id\":01,\"Stud_name\":\"a\",\"Stud_marks\":1}",
        "{\"Stud_id\":-0,\"Stud_name\":\"a\",\"Stud_marks\":1}",
        "{\"Stud_id\":+1,\"Stud_name\":\"a\",\"Stud_marks\":1}",
        "{\"Stud_id\":1.5,\"Stud_name\":\"a\",\"Stud_marks\":1}",
        "{\"Stud_id\":\"1\",\"Stud_name\":\"a\",\"Stud_marks\":1}",
        "{\"Stud_id\":1,\"Stud_name\":\"a\",\"Stud_marks\":\"1\"}",
        "{\"Stud_id\":1,\"Stud_name\":\"a\",\"Stud_marks\":1.0}",
        "{\"Stud_id\":1,\"Stud_name\":\"a\",\"Stud_marks\":1.50}",
        "{\"Stud_id\":1,\"Stud_name\":\"a\",\"Stud_marks\":0x10}",
        "{\"Stud_id\":1,\"Stud_name\":\"a\",\"Stud_marks\":inf}",
        "{\"Stud_id\":1,\"Stud_name\":\"a\",\"Stud_marks\":nan}",
        "{\"Stud_id\":1,\"Stud_name\":\"a\",\"Stud_marks\":}",
        "{\"Stud_id\":1,\"Stud_name\":\"\\u0061\",\"Stud_marks\":1}",
        "{\"Stud_id\":1,\"Stud_name\":\"\\/\",\"Stud_marks\":1}",
        "{\"Stud_id\":1,\"Stud_name\":\"\n\",\"Stud_marks\":1}",
        "{\"Stud_id\":1,\"Stud_name\":\"\xff\",\"Stud_marks\":1}",
        "{\"Stud_id\":1,\"Stud_name\":\"\\u0000\",\"Stud_marks\":1}",
        "{\"Stud_id\":1,\"Stud_name\":null,\"Stud_marks\":1}",
    };
    struct row_value values[SCHEMA_MAX_COLUMNS];
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err err = {0};
        if (row_take_apart(&schema, bad[i], strlen(bad[i]), values, &err) != -EINVAL)
            fail_msg("taken: %s", bad[i]);
        assert_true(err.message[0] != '\0');
    }
}

/* One byte of a canonical text is changed, put in or taken out, many times over: what
 * row_take_apart() still takes must be what row_from_json() makes of it. */
static void take_apart_accepts_exactly_what_from_json_makes(void **state)
{
    static const char *const seeds[] = {
        "{\"Stud_id\":2255,\"Stud_name\":\"G\\n\\u001fH\xc3\xa9\",\"Stud_marks\":27}",
        "{\"Stud_id\":-9,\"Stud_name\":-1.5,\"Stud_marks\":1e+30}",
        "{\"Stud_id\":0,\"Stud_name\":\"\",\"Stud_marks\":0.1}",
    };
    static const char bytes[] = "0123456789-+.eE\"\\,:{}untfrb/ \x7f\x01\xc3\xa9";
    struct rng rng;
    struct row_value values[SCHEMA_MAX_COLUMNS];
    size_t n_taken = 0;
    (void)state;
    rng_seed(&rng, 4);
    for (int round = 0; round < 60000; round++) {
        char text[128];
        const char *seed = seeds[round % 3];
        size_t n = strlen(seed), at = rng_below(&rng, n);
        char c = bytes[rng_below(&rng, sizeof(bytes) - 1)];
        memcpy(text, seed, n);
        if (round % 4 == 1) {
            memmove(text + at + 1, text + at, n++ - at);
            text[at] = c;
        } else if (round % 4 == 2) {
            memmove(text + at, text + at + 1, --n - at);
        } else {
            text[at] = c;
        }
        if (row_take_apart(&schema, text, n, values, NULL) != 0)
            continue;
        struct buf out;
        int64_t key;
        buf_init(&out, 0);
        n_taken++;
        assert_int_equal(make(text, n, &out, &key, NULL), 0);
        assert_int_equal(buf_len(&out), n);
        assert_memory_equal(buf_head(&out), text, n);
        assert_true(key == values[0].integer);
        buf_done(&out);
    }
    assert_true(n_taken > 100);
}

static void join_of_what_was_taken_apart_is_the_same_text(void **state)
{
    static const char text[] = "{\"Stud_id\":-3,\"Stud_name\":"
                               "\"q\\\"\\\\\\t\\u0001\xf0\x9f\x98\x80\",\"Stud_marks\":0.25}";
    struct row_value values[SCHEMA_MAX_COLUMNS];
    struct buf plain, out;
    (void)state;
    buf_init(&plain, 0);
    buf_init(&out, 0);
    assert_int_equal(row_take_apart(&schema, text, strlen(text), values, NULL), 0);
    row_unescape(&values[1], &plain);
    assert_string_equal(buf_str(&plain), "q\"\\\t\x01\xf0\x9f\x98\x80");
    values[1].text = buf_head(&plain);
    values[1].n_bytes = buf_len(&plain);
    assert_int_equal(row_join(&schema, values, &out), 0);
    assert_string_equal(buf_str(&out), text);
    buf_done(&plain);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(row_becomes_canonical),
        cmocka_unit_test(row_refuses_what_the_schema_does_not_say),
        cmocka_unit_test(row_longer_than_the_limit_is_refused),
        cmocka_unit_test(take_apart_refuses_what_is_not_canonical),
        cmocka_unit_test(take_apart_accepts_exactly_what_from_json_makes),
        cmocka_unit_test(join_of_what_was_taken_apart_is_the_same_text),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
