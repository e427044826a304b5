/* The text of `--hash`. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "backends/hash.h"

static void one_name_stands_for_both_hashes(void **state)
{
    (void)state;
    struct hash_choice choice;
    struct err err;
    assert_int_equal(hash_choice_parse("splitmix64:seed=3", &choice, &err), 0);
    assert_string_equal(choice.pair.request.ops->part.name, "splitmix64");
    assert_ptr_equal(choice.pair.request.ops, choice.pair.server.ops);
    assert_int_equal(hash_key(choice.pair.request, 5), hash_key(choice.pair.server, 5));
    hash_choice_done(&choice);
}

static void a_slash_separates_request_and_server_hash(void **state)
{
    (void)state;
    struct hash_choice choice;
    struct err err;
    assert_int_equal(hash_choice_parse("quadratic:c=18/xxh64", &choice, &err), 0);
    assert_string_equal(choice.pair.request.ops->part.name, "quadratic");
    assert_string_equal(choice.pair.server.ops->part.name, "xxh64");
    assert_int_equal(hash_key(choice.pair.request, 0), 18);
    hash_choice_done(&choice);
}

static void options_of_the_two_sides_are_separate(void **state)
{
    (void)state;
    struct hash_choice choice;
    struct err err;
    assert_int_equal(hash_choice_parse("quadratic:c=1/quadratic:rest=2", &choice, &err), 0);
    assert_int_equal(hash_key(choice.pair.request, 0), 1);
    assert_int_equal(hash_key(choice.pair.server, 0), 17);
    assert_int_equal(hash_point(choice.pair.request, 0, 0), 25);
    assert_int_equal(hash_point(choice.pair.server, 0, 0), 2);
    hash_choice_done(&choice);
}

static void refuses(const char *text, const char *part_of_reason)
{
    struct hash_choice choice;
    struct err err = {0};
    memset(&choice, 0x5a, sizeof(choice));
    struct hash_choice untouched = choice;
    assert_int_equal(hash_choice_parse(text, &choice, &err), -EINVAL);
    if (!strstr(err.message, part_of_reason))
        fail_msg("'%s': \"%s\" does not say \"%s\"", text, err.message, part_of_reason);
    assert_memory_equal(&choice, &untouched, sizeof(choice));
    assert_int_equal(hash_choice_parse(text, &choice, NULL), -EINVAL);
}

static void bad_choices_are_refused_with_the_reason(void **state)
{
    (void)state;
    refuses("", "hash");
    refuses("splitmix", "did you mean 'splitmix64'");
    refuses("xxh64/", "hash 'xxh64/'");
    refuses("/xxh64", "hash '/xxh64'");
    refuses("xxh64/xxh64/xxh64", "more than one '/'");
    refuses("xxh64/md6", "md6");
    refuses("xxh64:speed=1", "speed");
    refuses("xxh64:seed=-1", "seed");
}

static void done_takes_a_zeroed_choice(void **state)
{
    (void)state;
    struct hash_choice choice;
    memset(&choice, 0, sizeof(choice));
    hash_choice_done(&choice);
    hash_choice_done(&choice);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_name_stands_for_both_hashes),
        cmocka_unit_test(a_slash_separates_request_and_server_hash),
        cmocka_unit_test(options_of_the_two_sides_are_separate),
        cmocka_unit_test(bad_choices_are_refused_with_the_reason),
        cmocka_unit_test(done_takes_a_zeroed_choice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
