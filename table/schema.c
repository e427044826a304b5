#include "table/schema.h"

#include <errno.h>
#include <string.h>

#include "core/json.h"

static bool is_letter(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

/* ^[A-Za-z_][A-Za-z0-9_]{0,63}$ */
static bool is_column_name(const char *name)
{
    size_t n = strlen(name);
    if (n == 0 || n > SCHEMA_NAME_BYTES || !is_letter(name[0]))
        return false;
    for (size_t i = 1; i < n; i++)
        if (!is_letter(name[i]) && !(name[i] >= '0' && name[i] <= '9'))
            return false;
    return true;
}

static int read_column(struct schema *schema, const cJSON *name, const cJSON *type, struct err *err)
{
    struct column *column = &schema->columns[schema->n_columns];
    if (!cJSON_IsString(name) || !is_column_name(name->valuestring))
        return err_set(err, -EINVAL, "column %zu of the schema has no valid name%s%.80s%s",
                       schema->n_columns + 1, cJSON_IsString(name) ? ": '" : "",
                       cJSON_IsString(name) ? name->valuestring : "",
                       cJSON_IsString(name) ? "'" : "");
    column->n_name = strlen(name->valuestring);
    if (schema_find(schema, name->valuestring, column->n_name) < schema->n_columns)
        return err_set(err, -EINVAL, "column '%s' is named twice", name->valuestring);
    memcpy(column->name, name->valuestring, column->n_name + 1);
    const char *word = cJSON_IsString(type) ? type->valuestring : "";
    if (strcmp(word, "Number") == 0)
        column->type = COLUMN_NUMBER;
    else if (strcmp(word, "String") == 0)
        column->type = COLUMN_STRING;
    else
        return err_set(err, -EINVAL, "the type of column '%s' is not \"Number\" or \"String\"",
                       column->name);
    schema->n_columns++;
    return 0;
}

static int check_keys(const cJSON *object, struct err *err)
{
    const cJSON *item;
    cJSON_ArrayForEach (item, object) {
        if (strcmp(item->string, "columns") != 0 && strcmp(item->string, "dtypes") != 0)
            return err_set(err, -EINVAL,
                           "'%.80s' is not known in a schema: it has \"columns\" and \"dtypes\"",
                           item->string);
    }
    return 0;
}

int schema_read(const cJSON *object, struct schema *ret_schema, struct err *err)
{
    if (!cJSON_IsObject(object))
        return err_set(err, -EINVAL, "\"schema\" is missing or no object");
    int rc = check_keys(object, err);
    if (rc != 0)
        return rc;
    const cJSON *columns = json_get(object, "columns"), *types = json_get(object, "dtypes");
    if (!cJSON_IsArray(columns) || !cJSON_IsArray(types))
        return err_set(err, -EINVAL, "\"%s\" of the schema is missing or no array",
                       cJSON_IsArray(columns) ? "dtypes" : "columns");
    int n = cJSON_GetArraySize(columns);
    if (n != cJSON_GetArraySize(types))
        return err_set(err, -EINVAL, "the schema has %d columns, but %d dtypes", n,
                       cJSON_GetArraySize(types));
    if (n < 1 || n > SCHEMA_MAX_COLUMNS)
        return err_set(err, -EINVAL, "the schema has %d columns: it must have from 1 to %d", n,
                       SCHEMA_MAX_COLUMNS);
    struct schema schema = {0};
    const cJSON *type = types->child, *name;
    cJSON_ArrayForEach (name, columns) {
        rc = read_column(&schema, name, type, err);
        if (rc != 0)
            return rc;
        type = type->next;
    }
    if (schema.columns[0].type != COLUMN_NUMBER)
        return err_set(err, -EINVAL, "the first column, '%s', is the key and must be a Number",
                       schema.columns[0].name);
    *ret_schema = schema;
    return 0;
}

int schema_parse(const char *text, size_t n, struct schema *ret_schema, struct err *err)
{
    cJSON *tree = json_parse(text, n, err);
    if (!tree)
        return -EINVAL;
    int rc = schema_read(tree, ret_schema, err);
    cJSON_Delete(tree);
    return rc;
}

void schema_print(const struct schema *schema, struct buf *out)
{
    buf_append_str(out, "{\"columns\":[");
    for (size_t i = 0; i < schema->n_columns; i++)
        buf_appendf(out, "%s\"%s\"", i > 0 ? "," : "", schema->columns[i].name);
    buf_append_str(out, "],\"dtypes\":[");
    for (size_t i = 0; i < schema->n_columns; i++)
        buf_appendf(out, "%s\"%s\"", i > 0 ? "," : "",
                    schema->columns[i].type == COLUMN_NUMBER ? "Number" : "String");
    buf_append_str(out, "]}");
}

bool schema_equal(const struct schema *a, const struct schema *b)
{
    if (a->n_columns != b->n_columns)
        return false;
    for (size_t i = 0; i < a->n_columns; i++)
        if (a->columns[i].type != b->columns[i].type ||
            strcmp(a->columns[i].name, b->columns[i].name) != 0)
            return false;
    return true;
}

size_t schema_find(const struct schema *schema, const char *name, size_t n)
{
    size_t i = 0;
    while (i < schema->n_columns &&
           (schema->columns[i].n_name != n || memcmp(schema->columns[i].name, name, n) != 0))
        i++;
    return i;
}
