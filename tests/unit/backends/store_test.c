#include "backends/store.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "tests/support/store_bed.h"

static const char *part_name(const struct store_spec *spec, size_t i)
{
    return spec->parts[i].part->name;
}

static void spec_is_a_store_with_its_options(void **state)
{
    (void)state;
    struct store_spec spec;
    assert_int_equal(store_spec_parse("memory", &spec, NULL), 0);
    assert_int_equal(spec.n_parts, 1);
    assert_string_equal(part_name(&spec, 0), "memory");
    assert_string_equal(spec.text, "memory");
    assert_int_equal(store_spec_caps(&spec), 0);
    store_spec_done(&spec);
    assert_int_equal(store_spec_parse("lmdb:sync=none,max=1G", &spec, NULL), 0);
    assert_int_equal(spec.n_parts, 1);
    assert_int_equal(store_spec_caps(&spec), STORE_DURABLE);
    store_spec_done(&spec);
}

static void spec_has_shims_before_what_they_wrap(void **state)
{
    (void)state;
    struct store_spec spec;
    assert_int_equal(
        store_spec_parse("delay:write=2ms+fault+delay+fault+lmdb:sync=none", &spec, NULL), 0);
    assert_int_equal(spec.n_parts, 5);
    assert_string_equal(part_name(&spec, 0), "delay");
    assert_string_equal(part_name(&spec, 1), "fault");
    assert_string_equal(part_name(&spec, 4), "lmdb");
    assert_int_equal(store_spec_caps(&spec), STORE_DURABLE);
    store_spec_done(&spec);
}

static void refuses_a_spec_that_names_no_store(void **state)
{
    static const struct {
        const char *text, *words;
    } refused[] = {
        {"", "store"},
        {"nosuch", "unknown store 'nosuch'"},
        {"memry", "did you mean 'memory'"},
        {"delay", "'delay' wraps another store"},
        {"delay:write=2ms", "'delay' wraps another store"},
        {"delay+", "no store"},
        {"+memory", "store"},
        {"delay+fault", "'fault' wraps another store"},
        {"delay+nosuch", "unknown store 'nosuch'"},
        {"delay:write=fast+memory", "write"},
        {"memory:sync=none", "sync"},
        {"memory+memory", "memory"},
        {"lmdb:sync=sometimes", "sync"},
        {"delay+delay+delay+delay+delay+memory", "more than 4 shims"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
        struct store_spec spec;
        struct err err = {0};
        assert_int_equal(store_spec_parse(refused[i].text, &spec, &err), -EINVAL);
        if (!strstr(err.message, refused[i].words))
            fail_msg("'%s' was refused with: %s", refused[i].text, err.message);
    }
}

static void a_durable_store_wants_a_directory_and_makes_it(void **state)
{
    (void)state;
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct flusher flusher;
    flusher_init(&flusher, loop);
    struct store_config config = {.loop = loop, .flusher = &flusher, .server = "Server1"};
    struct store_spec spec;
    struct store *store;
    struct err err = {0};
    assert_int_equal(store_spec_parse("delay+lmdb", &spec, NULL), 0);
    assert_int_equal(store_open(&spec, &config, &store, &err), -EINVAL);
    assert_non_null(strstr(err.message, "--data"));

    char dir[STORE_BED_PATH_BYTES], deep[STORE_BED_PATH_BYTES + 8];
    struct stat info;
    store_bed_make_dir(dir);
    snprintf(deep, sizeof(deep), "%s/a/b", dir);
    config.dir = deep;
    assert_int_equal(store_open(&spec, &config, &store, &err), 0);
    assert_int_equal(stat(deep, &info), 0);
    store_close(store);
    store_close(NULL);
    store_spec_done(&spec);
    flusher_done(&flusher);
    ev_loop_destroy(loop);
    store_bed_remove_dir(dir);
}

static void finds_shards_by_their_whole_name(void **state)
{
    (void)state;
    struct store_bed bed;
    store_bed_open(&bed, "memory");
    struct store_shard *sh1 = store_bed_create(&bed, "sh1");
    struct store_shard *sh11 = store_bed_create(&bed, "sh11");
    struct store_shard *sh2 = store_bed_create(&bed, "sh2");
    assert_ptr_equal(store_find(bed.store, "sh11", 3), sh1);
    assert_ptr_equal(store_find(bed.store, "sh11", 4), sh11);
    assert_null(store_find(bed.store, "sh", 2));
    assert_null(store_find(bed.store, "", 0));
    assert_int_equal(store_bed_drop(&bed, sh1), 0);
    assert_null(store_find(bed.store, "sh1", 3));
    assert_ptr_equal(store_find(bed.store, "sh2", 3), sh2);
    store_bed_close(&bed);
}

static void has_no_more_shards_than_it_may(void **state)
{
    (void)state;
    struct store_bed bed;
    char name[16];
    store_bed_open(&bed, "memory");
    for (int i = 0; i < STORE_MAX_SHARDS; i++) {
        snprintf(name, sizeof(name), "s%d", i);
        store_bed_create(&bed, name);
    }
    struct store_call call = {
        .request = {.op = STORE_CREATE, .name = "another", .schema = store_bed_schema()}};
    assert_int_equal(store_bed_run(&bed, &call), -ENOSPC);
    /* One that is there is still taken. */
    call.request.name = "s17";
    assert_int_equal(store_bed_run(&bed, &call), 0);
    assert_int_equal(bed.store->n_shards, STORE_MAX_SHARDS);
    store_bed_close(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spec_is_a_store_with_its_options),
        cmocka_unit_test(spec_has_shims_before_what_they_wrap),
        cmocka_unit_test(refuses_a_spec_that_names_no_store),
        cmocka_unit_test(a_durable_store_wants_a_directory_and_makes_it),
        cmocka_unit_test(finds_shards_by_their_whole_name),
        cmocka_unit_test(has_no_more_shards_than_it_may),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
