#include "tests/support/json_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

cJSON *json_text_parse(const char *text)
{
    struct err err = {0, ""};
    cJSON *tree = json_parse(text, strlen(text), &err);

    if (tree == NULL)
        fail_msg("refused: %s: %s", err.message, text);
    assert_int_equal(err.code, 0);
    return tree;
}

const char *json_text_print(const cJSON *tree, bool indented)
{
    static struct buf out;

    buf_clear(&out);
    assert_int_equal(json_print(&out, tree, indented), 0);
    return buf_str(&out);
}

void json_text_assert_prints_itself(const char *text)
{
    cJSON *tree = json_text_parse(text);

    assert_string_equal(json_text_print(tree, false), text);
    cJSON_Delete(tree);
}
