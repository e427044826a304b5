#include "spawnerd/words.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/json.h"

static int read_words(const char *text, const char **words, cJSON **ret_tree, struct err *err)
{
    *ret_tree = json_parse(text, strlen(text), NULL);
    assert_non_null(*ret_tree);
    return words_read(*ret_tree, words, err);
}

static void takes_the_options_that_a_load_balancer_sets(void **state)
{
    const char *words[WORDS_MAX + 1];
    cJSON *tree;

    (void)state;
    assert_int_equal(
        read_words("[\"--orphan-after\",\"30000000us\",\"--log-json\",\"--log-level\","
                   "\"info\",\"--store\",\"delay:read=5ms+mysql:host=10.0.0.2,user=q\"]",
                   words, &tree, NULL),
        0);
    assert_string_equal(words[0], "--orphan-after");
    assert_string_equal(words[2], "--log-json");
    assert_string_equal(words[6], "delay:read=5ms+mysql:host=10.0.0.2,user=q");
    assert_null(words[7]);
    cJSON_Delete(tree);
}

static void takes_no_words_at_all(void **state)
{
    const char *words[WORDS_MAX + 1];

    (void)state;
    assert_int_equal(words_read(NULL, words, NULL), 0);
    assert_null(words[0]);
}

static void refuses_whatever_else(void **state)
{
    static const char *const texts[] = {
        "{}",
        "7",
        "[7]",
        "[\"server\"]",
        "[\"--listen\",\"0.0.0.0:1\"]",
        "[\"--data\",\"/\"]",
        "[\"--store\"]",
        "[\"--store\",\"\"]",
        "[\"--store\",\"--data\"]",
        "[\"--store\",\"a b\"]",
        "[\"--store\",\"a\\nb\"]",
        "[\"--store\",\"fil\\u00e9\"]",
        "[\"--log-level\",\"loud\"]",
        "[\"--orphan-after\",\"soon\"]",
        "[\"--orphan-after\",\"1h\"]",
        "[\"--orphan-after\",\"-1s\"]",
        "[\"--service-time\",\"never\"]",
        "[\"--log-json\",\"yes\"]",
        "[\"--name\",\"S1\"]",
        "[\"--ready-fd\",\"2\"]",
        "[\"--log-json\",\"--log-json\",\"--log-json\",\"--log-json\",\"--log-json\",\"--log-"
        "json\","
        "\"--log-json\",\"--log-json\",\"--log-json\",\"--log-json\",\"--log-json\",\"--log-json\","
        "\"--log-json\",\"--log-json\",\"--log-json\",\"--log-json\",\"--log-json\"]",
    };
    const char *words[WORDS_MAX + 1];

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        struct err err = {0};
        cJSON *tree;
        if (read_words(texts[i], words, &tree, &err) != -EINVAL)
            fail_msg("taken: %s", texts[i]);
        assert_string_not_equal(err.message, "");
        cJSON_Delete(tree);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_the_options_that_a_load_balancer_sets),
        cmocka_unit_test(takes_no_words_at_all),
        cmocka_unit_test(refuses_whatever_else),
    };
    return cmocka_run_group_tests_name("words", tests, NULL, NULL);
}
