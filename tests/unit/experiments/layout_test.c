#include "experiments/layout.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/json.h"

static struct layout layout;
static struct buf out;

static void begin(const char *shape_text, uint64_t shard_size)
{
    struct layout_shape shape;
    struct err err;
    if (layout_parse_shape(shape_text, &shape, &err) < 0)
        fail_msg("%s", err.message);
    layout_init(&layout, &shape, shard_size);
    buf_clear(&out);
}

static void grow(const char *shape_text)
{
    struct layout_shape shape;
    struct err err;
    assert_int_equal(layout_parse_shape(shape_text, &shape, NULL), 0);
    if (layout_grow(&layout, &shape, &err) < 0)
        fail_msg("%s", err.message);
}

static size_t count_replicas(size_t shard)
{
    size_t n = 0;
    for (size_t i = 0; i < layout.n_servers; i++)
        n += layout.servers[i].holds[shard] && !layout.servers[i].goes;
    return n;
}

static size_t count_shards(size_t server)
{
    size_t n = 0;
    for (size_t i = 0; i < LAYOUT_MAX_SHARDS; i++)
        n += layout.servers[server].holds[i];
    return n;
}

static void shapes_are_servers_shards_replicas(void **state)
{
    static const char *const bad[][2] = {
        {"", "not of the form"},
        {"6/4", "not of the form"},
        {"6/4/3/2", "not of the form"},
        {"6/4/3x", "not of the form"},
        {"-6/4/3", "not of the form"},
        {"6/4/99999", "not of the form"},
        {"6/4/7", "7 replicas of a shard do not fit on 6 servers"},
        {"6/4/0", "0 replicas"},
        {"0/4/3", "0 servers"},
        {"65/4/3", "65 servers"},
        {"6/0/3", "0 shards"},
        {"6/65/3", "65 shards"},
    };
    struct layout_shape shape;
    struct err err;
    (void)state;
    assert_int_equal(layout_parse_shape("10/6/8", &shape, NULL), 0);
    assert_int_equal(shape.servers, 10);
    assert_int_equal(shape.shards, 6);
    assert_int_equal(shape.replicas, 8);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(layout_parse_shape(bad[i][0], &shape, &err), -EINVAL);
        if (!strstr(err.message, bad[i][1]))
            fail_msg("wanted '%s', got '%s'", bad[i][1], err.message);
    }
    assert_int_equal(shape.servers, 10);
}

/* CONTRACT.md, "Default configuration". */
static void six_four_three_is_the_contracts_default(void **state)
{
    (void)state;
    begin("6/4/3", 4096);
    layout_print_init(&layout, &out);
    assert_string_equal(
        buf_str(&out),
        "{\"N\":6,\"schema\":{\"columns\":[\"Stud_id\",\"Stud_name\",\"Stud_marks\"],"
        "\"dtypes\":[\"Number\",\"String\",\"Number\"]},\"shards\":["
        "{\"Stud_id_low\":0,\"Shard_id\":\"sh1\",\"Shard_size\":4096},"
        "{\"Stud_id_low\":4096,\"Shard_id\":\"sh2\",\"Shard_size\":4096},"
        "{\"Stud_id_low\":8192,\"Shard_id\":\"sh3\",\"Shard_size\":4096},"
        "{\"Stud_id_low\":12288,\"Shard_id\":\"sh4\",\"Shard_size\":4096}],"
        "\"servers\":{\"Server0\":[\"sh1\",\"sh2\"],\"Server1\":[\"sh3\",\"sh4\"],"
        "\"Server3\":[\"sh1\",\"sh3\"],\"Server4\":[\"sh2\",\"sh4\"],"
        "\"Server5\":[\"sh1\",\"sh4\"],\"Server6\":[\"sh2\",\"sh3\"]}}");
}

static void other_shapes_are_dealt_out_evenly(void **state)
{
    static const char *const shapes[] = {"7/4/7", "6/4/6", "10/6/8", "5/7/2", "3/1/1", "4/9/3"};
    (void)state;
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        begin(shapes[i], 10);
        size_t least = SIZE_MAX, most = 0;
        for (size_t s = 0; s < layout.shape.shards; s++)
            assert_int_equal(count_replicas(s), layout.shape.replicas);
        for (size_t s = 0; s < layout.n_servers; s++) {
            size_t n = count_shards(s);
            least = n < least ? n : least;
            most = n > most ? n : most;
        }
        assert_true(most - least <= 1);
    }
}

static void a_cluster_grows_to_ten_six_eight(void **state)
{
    (void)state;
    begin("6/4/3", 2000);
    grow("10/6/8");
    assert_int_equal(layout.n_servers, 14);
    assert_int_equal(layout_n_going(&layout), 4);
    for (size_t s = 0; s < 6; s++)
        assert_int_equal(count_replicas(s), 8);
    for (size_t i = 6; i < 14; i++)
        assert_in_range(count_shards(i), 5, 6);
    layout_print_add(&layout, &out);
    const char *add = buf_str(&out);
    assert_non_null(strstr(add, "{\"n\":8,\"new_shards\":["
                                "{\"Stud_id_low\":8000,\"Shard_id\":\"sh5\",\"Shard_size\":2000},"
                                "{\"Stud_id_low\":10000,\"Shard_id\":\"sh6\",\"Shard_size\":2000}],"
                                "\"servers\":{\"Server7\":["));
    assert_null(strstr(add, "\"Server6\""));
    assert_non_null(strstr(add, "\"Server14\":["));
    buf_clear(&out);
    layout_print_rm(&layout, &out);
    assert_string_equal(buf_str(&out),
                        "{\"n\":4,\"servers\":[\"Server3\",\"Server4\",\"Server5\",\"Server6\"]}");
}

static void growth_without_new_shards_makes_as_few_servers_as_do(void **state)
{
    (void)state;
    begin("3/2/2", 10);
    grow("4/2/3");
    assert_int_equal(layout.n_servers, 4);
    assert_int_equal(layout_n_going(&layout), 0);
    layout_print_add(&layout, &out);
    assert_string_equal(buf_str(&out), "{\"n\":1,\"servers\":{\"Server3\":[\"sh1\",\"sh2\"]}}");
}

static void what_is_no_growth_is_refused(void **state)
{
    struct layout_shape shape = {6, 3, 3};
    struct err err;
    (void)state;
    begin("6/4/3", 10);
    assert_int_equal(layout_grow(&layout, &shape, &err), -EINVAL);
    assert_non_null(strstr(err.message, "4 shards do not become 3"));
    shape = layout.shape;
    assert_int_equal(layout_grow(&layout, &shape, &err), -EINVAL);
    assert_non_null(strstr(err.message, "would not change"));
}

static int check(const char *text, struct err *err)
{
    cJSON *status = json_parse(text, strlen(text), NULL);
    assert_non_null(status);
    int code = layout_check_status(&layout, status, err);
    cJSON_Delete(status);
    return code;
}

static void the_status_must_tell_of_just_these_replicas(void **state)
{
    struct err err;
    (void)state;
    begin("2/2/1", 10);
    assert_int_equal(check("{\"servers\":{\"Server1\":[\"sh2\"],\"Server0\":[\"sh1\"]}}", &err), 0);
    assert_int_equal(check("{\"servers\":{\"Server0\":[\"sh1\"]}}", &err), -EPROTO);
    assert_non_null(strstr(err.message, "1 servers in place of 2"));
    assert_int_equal(check("{\"servers\":{\"Server0\":[\"sh1\"],\"Server1\":[]}}", &err), -EPROTO);
    assert_non_null(strstr(err.message, "Server1 holds sh2 not"));
    assert_int_equal(
        check("{\"servers\":{\"Server0\":[\"sh1\",\"sh2\"],\"Server1\":[\"sh2\"]}}", &err),
        -EPROTO);
    assert_non_null(strstr(err.message, "Server0 holds sh2"));
    assert_int_equal(check("{}", &err), -EPROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_are_servers_shards_replicas),
        cmocka_unit_test(six_four_three_is_the_contracts_default),
        cmocka_unit_test(other_shapes_are_dealt_out_evenly),
        cmocka_unit_test(a_cluster_grows_to_ten_six_eight),
        cmocka_unit_test(growth_without_new_shards_makes_as_few_servers_as_do),
        cmocka_unit_test(what_is_no_growth_is_refused),
        cmocka_unit_test(the_status_must_tell_of_just_these_replicas),
    };
    buf_init(&out, 0);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buf_done(&out);
    return failed;
}
