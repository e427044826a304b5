/* row_take_apart() on any bytes, core/json as oracle: a text that it takes, json_parse() takes too,
 * and row_from_json() makes the very same text of it, with the same key. And what row_from_json()
 * makes of any JSON, row_take_apart() takes. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "core/json.h"
#include "table/row.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char schema_text[] = "{\"columns\":[\"a\",\"b\",\"c\"],"
                                  "\"dtypes\":[\"Number\",\"String\",\"Number\"]}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct schema schema;
    if (schema.n_columns == 0)
        assert(schema_parse(schema_text, sizeof(schema_text) - 1, &schema, NULL) == 0);
    struct row_value values[SCHEMA_MAX_COLUMNS];
    struct err err = {0};
    const char *text = (const char *)data;
    int taken = row_take_apart(&schema, text, size, values, &err);
    int64_t key, key_taken = taken == 0 ? values[0].integer : 0;
    assert(taken == 0 || err.message[0] != '\0');
    cJSON *tree = json_parse(text, size, &err);
    assert(taken != 0 || tree);
    if (!tree)
        return 0;
    struct buf made;
    buf_init(&made, 0);
    int rc = row_from_json(&schema, tree, &made, &key, &err);
    assert(taken != 0 || rc == 0);
    if (taken == 0) {
        assert(buf_len(&made) == size && memcmp(buf_head(&made), text, size) == 0);
        assert(key == key_taken);
    }
    if (rc == 0) {
        assert(row_take_apart(&schema, buf_head(&made), buf_len(&made), values, &err) == 0);
        assert(values[0].integer == key);
    } else {
        assert(buf_len(&made) == 0);
    }
    buf_done(&made);
    cJSON_Delete(tree);
    return 0;
}
