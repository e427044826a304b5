/* json_parse() on any bytes: what it takes keeps the promises of core/json.h, prints, and parses
 * again to the same text; what it refuses has a reason. And any bytes at all, escaped, are a string
 * that it takes. */
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_node(const cJSON *node, int depth)
{
    int64_t number;

    assert(depth <= JSON_MAX_DEPTH);
    if (cJSON_IsNumber(node)) {
        assert(isfinite(node->valuedouble));
        assert(node->valuestring != NULL);
        int status = json_int64(node, &number);
        assert(status == 0 || status == -EINVAL || status == -ERANGE);
    }
    if (cJSON_IsObject(node)) {
        const cJSON *member;
        cJSON_ArrayForEach (member, node) {
            assert(member->string != NULL);
            /* No key stands there twice: the first of that name is this one. */
            assert(json_get(node, member->string) == member);
        }
    }
    for (const cJSON *child = node->child; child != NULL; child = child->next)
        check_node(child, depth + 1);
}

static void check_text(const char *text, size_t n)
{
    struct err err = {0};
    cJSON *tree = json_parse(text, n, &err);

    if (tree == NULL) {
        assert(err.code < 0 && err.message[0] != '\0');
        return;
    }
    check_node(tree, 0);
    for (int indented = 0; indented <= 1; indented++) {
        struct buf once, twice;

        buf_init(&once, 0);
        buf_init(&twice, 0);
        assert(json_print(&once, tree, indented == 1) == 0);
        cJSON *again = json_parse(buf_head(&once), buf_len(&once), &err);
        assert(again != NULL);
        assert(json_print(&twice, again, indented == 1) == 0);
        assert(buf_len(&once) == buf_len(&twice));
        assert(memcmp(buf_head(&once), buf_head(&twice), buf_len(&once)) == 0);
        cJSON_Delete(again);
        buf_done(&once);
        buf_done(&twice);
    }
    cJSON_Delete(tree);
}

static void check_escape(const char *text, size_t n)
{
    struct err err = {0};
    struct buf escaped;
    size_t nul = 0;

    for (size_t i = 0; i < n; i++)
        nul += text[i] == '\0';
    buf_init(&escaped, 0);
    assert(json_escape(&escaped, text, n) == 0);
    cJSON *tree = json_parse(buf_head(&escaped), buf_len(&escaped), &err);
    /* U+0000 has an escape, which json_parse() refuses. */
    assert(tree != NULL || nul > 0);
    cJSON_Delete(tree);
    buf_done(&escaped);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_text((const char *)data, size);
    check_escape((const char *)data, size);
    return 0;
}
