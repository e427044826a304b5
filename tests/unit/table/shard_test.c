#include "table/shard.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/json.h"

#define MAX 8

static int read_text(const char *text, const char *key, struct shard *shards, size_t *n,
                     struct err *err)
{
    cJSON *tree = json_parse(text, strlen(text), err);
    assert_non_null(tree);
    int rc = shard_read_all(tree, key, shards, MAX, n, err);
    cJSON_Delete(tree);
    return rc;
}

static void shards_are_read_sorted_and_found(void **state)
{
    static const char text[] = "[{\"Stud_id_low\":4096,\"Shard_id\":\"sh2\",\"Shard_size\":4096},"
                               "{\"Stud_id_low\":0,\"Shard_id\":\"sh1\",\"Shard_size\":4096},"
                               "{\"Stud_id_low\":9000,\"Shard_id\":\"sh3\",\"Shard_size\":1}]";
    struct shard shards[MAX];
    size_t n = 0;
    struct buf out;
    (void)state;
    buf_init(&out, 0);
    assert_int_equal(read_text(text, "Stud_id", shards, &n, NULL), 0);
    assert_int_equal(n, 3);
    shard_print_all(shards, n, "Stud_id", &out);
    assert_string_equal(buf_str(&out), text);
    shard_sort(shards, n);
    static const struct {
        int64_t key;
        size_t find, from;
    } cases[] = {{INT64_MIN, 3, 0}, {-1, 3, 0},   {0, 0, 0},    {4095, 0, 0}, {4096, 1, 1},
                 {8191, 1, 1},      {8192, 3, 2}, {9000, 2, 2}, {9001, 3, 3}, {INT64_MAX, 3, 3}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(shard_find(shards, n, cases[i].key), cases[i].find);
        assert_int_equal(shard_first_from(shards, n, cases[i].key), cases[i].from);
    }
    buf_done(&out);
}

static void shard_reaches_to_the_largest_key_and_no_further(void **state)
{
    struct shard shards[MAX];
    size_t n = 0;
    (void)state;
    assert_int_equal(
        read_text("[{\"k_low\":9223372036854775807,\"Shard_id\":\"a\",\"Shard_size\":1}]", "k",
                  shards, &n, NULL),
        0);
    assert_true(shards[0].last == INT64_MAX);
    assert_int_equal(
        read_text("[{\"k_low\":9223372036854775806,\"Shard_id\":\"b\",\"Shard_size\":3}]", "k",
                  shards, &n, NULL),
        -EINVAL);
    assert_int_equal(n, 1);
}

static void shards_that_overlap_or_are_named_twice_are_refused_whole(void **state)
{
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"{}", "no array"},
        {"[1]", "no JSON object"},
        {"[{\"k_low\":10,\"Shard_id\":\"a\",\"Shard_size\":5},"
         "{\"k_low\":14,\"Shard_id\":\"b\",\"Shard_size\":5}]",
         "overlaps"},
        {"[{\"k_low\":10,\"Shard_id\":\"a\",\"Shard_size\":5},"
         "{\"k_low\":20,\"Shard_id\":\"a\",\"Shard_size\":5}]",
         "there already"},
        {"[{\"k_low\":0,\"Shard_id\":\"a\",\"Shard_size\":5}]", "overlaps"},
        {"[{\"k_low\":10,\"Shard_id\":\"a\",\"Shard_size\":0}]", "at least 1"},
        {"[{\"k_low\":10,\"Shard_id\":\"a\"}]", "Shard_size"},
        {"[{\"Shard_id\":\"a\",\"Shard_size\":5}]", "k_low"},
        {"[{\"k_low\":10,\"Shard_id\":\"../a\",\"Shard_size\":5}]", "valid name"},
        {"[{\"k_low\":10,\"Shard_id\":7,\"Shard_size\":5}]", "valid name"},
        {"[{\"k_low\":10,\"Shard_id\":\"status\",\"Shard_size\":5}]", "cannot be called 'status'"},
        {"[{\"k_low\":10,\"Shard_id\":\"a\",\"Shard_size\":5,\"x\":1}]", "'x'"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct shard shards[MAX] = {{.name = "there", .low = 0, .last = 3}};
        struct err err = {0};
        size_t n = 1;
        assert_int_equal(read_text(bad[i].text, "k", shards, &n, &err), -EINVAL);
        assert_int_equal(n, 1);
        if (!strstr(err.message, bad[i].words))
            fail_msg("%s: %s", bad[i].text, err.message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shards_are_read_sorted_and_found),
        cmocka_unit_test(shard_reaches_to_the_largest_key_and_no_further),
        cmocka_unit_test(shards_that_overlap_or_are_named_twice_are_refused_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
