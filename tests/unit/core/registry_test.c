#include "core/registry.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/forked.h"

/* A family with members, one without, and one with a name twice. */
struct throw_ops {
    struct part part;
    int (*points)(int distance);
};

struct ringer_params {
    uint64_t weight;
    bool lucky;
    const char *colour;
    int style;
};

static const struct option_def ringer_options[] = {
    {.name = "weight",
     .type = OPTION_U64,
     .offset = offsetof(struct ringer_params, weight),
     .metavar = "GRAMS",
     .fallback = "1000",
     .min = 1,
     .max = 5000,
     .help = "how heavy"},
    {.name = "lucky",
     .type = OPTION_FLAG,
     .offset = offsetof(struct ringer_params, lucky),
     .help = "always hits"},
    {.name = "colour",
     .type = OPTION_STRING,
     .offset = offsetof(struct ringer_params, colour),
     .help = "paint"},
    {.name = "style",
     .type = OPTION_CHOICE,
     .offset = offsetof(struct ringer_params, style),
     .choices = "flip|slide",
     .fallback = "flip",
     .help = "of the throw"},
    {0},
};

static int three_points(int distance)
{
    return distance == 0 ? 3 : 0;
}

static const struct throw_ops ringer_ops = {
    .part = {.name = "ringer",
             .summary = "lands on the peg",
             .source = "Rules, §3",
             .options = ringer_options,
             .params_size = sizeof(struct ringer_params)},
    .points = three_points,
};
static const struct throw_ops leaner_ops = {
    .part = {.name = "leaner", .summary = "leans on the peg", .source = "Rules, §4"}};
static const struct throw_ops miss_ops = {
    .part = {.name = "a-miss", .summary = "lands elsewhere", .source = NULL}};
static const struct throw_ops twin_a_ops = {.part = {.name = "twin", .summary = "one"}};
static const struct throw_ops twin_b_ops = {.part = {.name = "twin", .summary = "other"}};

FAMILY_REGISTER(test_throw, ringer_ops);
FAMILY_REGISTER(test_throw, leaner_ops);
FAMILY_REGISTER(test_throw, miss_ops);
FAMILY_REGISTER(test_twins, twin_a_ops);
FAMILY_REGISTER(test_twins, twin_b_ops);
FAMILY_DEFINE(test_throw);
FAMILY_DEFINE(test_twins);
FAMILY_DEFINE(test_nobody);

static const struct family *const throws = &test_throw_family;

static void family_lists_members_sorted_by_name(void **state)
{
    const struct part *parts[8] = {0};

    (void)state;
    assert_int_equal(family_list(throws, parts, 8), 3);
    assert_ptr_equal(parts[0], &miss_ops.part);
    assert_ptr_equal(parts[1], &leaner_ops.part);
    assert_ptr_equal(parts[2], &ringer_ops.part);
    assert_null(parts[3]);
}

static void family_list_never_writes_past_max_and_tells_how_many_there_are(void **state)
{
    const struct part *parts[3] = {NULL, NULL, &twin_a_ops.part};

    (void)state;
    assert_int_equal(family_list(throws, parts, 2), 3);
    assert_ptr_equal(parts[1], &leaner_ops.part);
    assert_ptr_equal(parts[2], &twin_a_ops.part);
    assert_int_equal(family_list(throws, NULL, 0), 3);
}

static void family_finds_by_whole_name(void **state)
{
    const struct part *part = family_find(throws, "ringer");

    (void)state;
    assert_ptr_equal(part, &ringer_ops.part);
    /* The part is the first member of the ops. */
    assert_int_equal(((const struct throw_ops *)(const void *)part)->points(0), 3);
    assert_null(family_find(throws, "ring"));
    assert_null(family_find(throws, "Ringer"));
    assert_null(family_find(throws, ""));
}

static void family_without_members_links_and_is_empty(void **state)
{
    struct spec spec;
    struct err err;
    const struct part *part;

    (void)state;
    assert_int_equal(family_list(&test_nobody_family, &part, 1), 0);
    assert_null(family_find(&test_nobody_family, "x"));
    assert_int_equal(spec_parse(&test_nobody_family, "x", &spec, &err), -EINVAL);
    assert_non_null(strstr(err.message, "unknown test_nobody 'x': there is none"));
}

static void call_find_twin(void *unused)
{
    (void)unused;
    family_find(&test_twins_family, "twin");
}

static void call_list_twins(void *unused)
{
    (void)unused;
    family_list(&test_twins_family, NULL, 0);
}

static void family_with_a_name_twice_is_a_bug(void **state)
{
    (void)state;
    assert_true(forked_aborts(call_find_twin, NULL));
    assert_true(forked_aborts(call_list_twins, NULL));
}

static void call_print(void *family)
{
    family_print(family, stdout);
}

static void family_print_shows_every_member_and_option(void **state)
{
    struct family copy = test_throw_family, nobody = test_nobody_family;
    const char *text = forked_run(call_print, &copy)->out;

    (void)state;
    assert_string_equal(text, "a-miss: lands elsewhere\n"
                              "leaner: leans on the peg\n"
                              "    source: Rules, §4\n"
                              "ringer: lands on the peg\n"
                              "    source: Rules, §3\n"
                              "    weight=GRAMS  how heavy (default: 1000)\n"
                              "    lucky  always hits\n"
                              "    colour=VALUE  paint\n"
                              "    style=flip|slide  of the throw (default: flip)\n");
    assert_non_null(strstr(forked_run(call_print, &nobody)->out, "no test_nobody"));
}

static void spec_without_options_has_the_defaults(void **state)
{
    struct spec spec;
    const struct ringer_params *params;

    (void)state;
    assert_int_equal(spec_parse(throws, "ringer", &spec, NULL), 0);
    assert_ptr_equal(spec.part, &ringer_ops.part);
    assert_string_equal(spec.text, "ringer");
    params = spec.params;
    assert_int_equal(params->weight, 1000);
    assert_false(params->lucky);
    assert_null(params->colour);
    assert_int_equal(params->style, 0);
    spec_done(&spec);
    assert_int_equal(spec_parse(throws, "leaner", &spec, NULL), 0);
    assert_null(spec.params);
    spec_done(&spec);
}

static void spec_sets_options_and_owns_its_strings(void **state)
{
    char text[] = "ringer:weight=0x10,lucky,colour=a:b=c,style=slide";
    struct spec spec;
    const struct ringer_params *params;

    (void)state;
    assert_int_equal(spec_parse(throws, text, &spec, NULL), 0);
    memset(text, '#', sizeof(text) - 1);
    params = spec.params;
    assert_int_equal(params->weight, 16);
    assert_true(params->lucky);
    assert_string_equal(params->colour, "a:b=c"); /* ends at the comma only */
    assert_int_equal(params->style, 1);
    assert_string_equal(spec.text, "ringer:weight=0x10,lucky,colour=a:b=c,style=slide");
    spec_done(&spec);
    spec_done(&spec); /* takes a zeroed one */
    assert_null(spec.text);
    assert_int_equal(spec_parse(throws, "ringer:lucky=no,colour=", &spec, NULL), 0);
    params = spec.params;
    assert_false(params->lucky);
    assert_string_equal(params->colour, ""); /* an empty text is a text */
    spec_done(&spec);
}

static void assert_refused(const char *text, const char *says)
{
    struct spec spec;
    struct err err = {0, ""};

    memset(&spec, 0x5a, sizeof(spec));
    if (spec_parse(throws, text, &spec, &err) != -EINVAL)
        fail_msg("'%s' was taken", text);
    assert_int_equal(err.code, -EINVAL);
    if (strstr(err.message, says) == NULL || strstr(err.message, "test_throw") == NULL)
        fail_msg("for '%s': '%s' should say '%s'", text, err.message, says);
    assert_int_equal(spec_parse(throws, text, &spec, NULL), -EINVAL); /* err may be NULL */
}

static void spec_names_what_is_unknown_and_what_there_is(void **state)
{
    (void)state;
    assert_refused("rinqer", "unknown test_throw 'rinqer': there is a-miss, leaner, ringer; did "
                             "you mean 'ringer'?");
    assert_refused("zzz:weight=1", "unknown test_throw 'zzz': there is a-miss, leaner, ringer");
    assert_refused("ringer:wieght=5", "unknown option 'wieght': there is weight, lucky, colour, "
                                      "style; did you mean 'weight'?");
    assert_refused("leaner:x=1", "unknown option 'x': there is none");
    assert_refused("Ringer", "did you mean 'ringer'?");
    assert_refused(" ringer", "unknown test_throw ' ringer'");
}

static void spec_refuses_malformed_options(void **state)
{
    (void)state;
    assert_refused("", "no test_throw is named");
    assert_refused(":", "no test_throw is named");
    assert_refused(":weight=1", "no test_throw is named");
    assert_refused("ringer:", "an option without a name");
    assert_refused("ringer:=5", "an option without a name");
    assert_refused("ringer:weight=5,", "an option without a name");
    assert_refused("ringer:,weight=5", "an option without a name");
    assert_refused("ringer:weight=5,,lucky", "an option without a name");
    assert_refused("ringer:weight", "option 'weight' has no value: 'weight=GRAMS' is wanted");
    assert_refused("ringer:weight=5,weight=5", "option 'weight' is given twice");
    assert_refused("ringer:lucky,lucky=no", "option 'lucky' is given twice");
    assert_refused("ringer:weight=", "an empty value");
    assert_refused("ringer:weight=0", "a whole number from 1 to 5000");
    assert_refused("ringer:weight=5 ", "'5 ' is not valid");
    assert_refused("ringer:style=fliip", "did you mean 'flip'?");
    assert_refused("leaner:", "an option without a name");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(family_lists_members_sorted_by_name),
        cmocka_unit_test(family_list_never_writes_past_max_and_tells_how_many_there_are),
        cmocka_unit_test(family_finds_by_whole_name),
        cmocka_unit_test(family_without_members_links_and_is_empty),
        cmocka_unit_test(family_with_a_name_twice_is_a_bug),
        cmocka_unit_test(family_print_shows_every_member_and_option),
        cmocka_unit_test(spec_without_options_has_the_defaults),
        cmocka_unit_test(spec_sets_options_and_owns_its_strings),
        cmocka_unit_test(spec_names_what_is_unknown_and_what_there_is),
        cmocka_unit_test(spec_refuses_malformed_options),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
