#include "core/json.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/format.h"
#include "core/json_scan.h"
#include "core/mem.h"
#include "core/utf8.h"

/* ---- reading ---- */

struct json_key {
    const char *text; /* as cJSON decoded it: "\u0061" is "a" */
    size_t at;
};

/* The walk over the tree in step with the scanner's lists: both are in the order of the text. */
struct json_walk {
    const char *text;
    const struct json_scan *scan;
    size_t next_key;
    size_t next_number;
    /* The keys of every object that is open, the innermost's last. */
    struct json_key *keys;
    size_t n_keys;
    size_t keys_capacity;
    struct err *err;
};

static int json_compare_keys(const void *a, const void *b)
{
    const struct json_key *x = a, *y = b;
    int order = strcmp(x->text, y->text);

    return order != 0 ? order : (x->at > y->at) - (x->at < y->at);
}

/* Sorted rather than hashed: a sender cannot make it slow by his choice of keys. */
static int json_check_keys(struct json_key *keys, size_t n, struct err *err)
{
    const struct json_key *first = NULL;

    qsort(keys, n, sizeof(*keys), json_compare_keys);
    for (size_t i = 1; i < n; i++)
        if (strcmp(keys[i - 1].text, keys[i].text) == 0 &&
            (first == NULL || keys[i].at < first->at))
            first = &keys[i];
    if (first == NULL)
        return 0;
    return err_set(err, -EINVAL, "JSON: a second key \"%.64s\" in one object at byte %zu",
                   first->text, first->at);
}

static void json_walk_push_key(struct json_walk *walk, const char *text)
{
    if (walk->n_keys == walk->keys_capacity) {
        walk->keys_capacity = walk->keys_capacity > 0 ? walk->keys_capacity * 2 : 32;
        walk->keys = mem_realloc(walk->keys, walk->keys_capacity, sizeof(*walk->keys));
    }
    assert(walk->next_key < walk->scan->keys.n);
    walk->keys[walk->n_keys].text = text;
    walk->keys[walk->n_keys].at = walk->scan->keys.at[walk->next_key++];
    walk->n_keys++;
}

/* Gives number nodes their digits, and finds duplicate keys. Recursion is bounded by
 * JSON_MAX_DEPTH. */
static int json_walk_node(struct json_walk *walk, cJSON *node)
{
    size_t base = walk->n_keys;
    int result = 0;

    if (cJSON_IsNumber(node)) {
        const size_t *place = walk->scan->numbers.at + walk->next_number;
        size_t n = place[1] - place[0];

        assert(walk->next_number + 1 < walk->scan->numbers.n && node->valuestring == NULL);
        /* From cJSON's allocator: cJSON_Delete() gives it back, cJSON_Duplicate() copies it. */
        node->valuestring = cJSON_malloc(n + 1);
        assert(node->valuestring != NULL);
        memcpy(node->valuestring, walk->text + place[0], n);
        node->valuestring[n] = '\0';
        walk->next_number += 2;
        return 0;
    }
    for (cJSON *child = node->child; child != NULL && result == 0; child = child->next) {
        if (cJSON_IsObject(node))
            json_walk_push_key(walk, child->string);
        result = json_walk_node(walk, child);
    }
    if (result == 0 && walk->n_keys - base > 1)
        result = json_check_keys(walk->keys + base, walk->n_keys - base, walk->err);
    walk->n_keys = base;
    return result;
}

cJSON *json_parse(const char *text, size_t n, struct err *err)
{
    struct json_walk walk = {0};
    struct json_scan scan;
    cJSON *tree = NULL;

    if (json_scan_text(&scan, text, n, err) < 0)
        goto out;
    tree = cJSON_ParseWithLengthOpts(text, n, NULL, false);
    if (tree == NULL) {
        err_set(err, -EINVAL, "JSON: cJSON refuses the text");
        goto out;
    }
    walk.text = text;
    walk.scan = &scan;
    walk.err = err;
    if (json_walk_node(&walk, tree) < 0) {
        cJSON_Delete(tree);
        tree = NULL;
    }
    free(walk.keys);
out:
    json_scan_done(&scan);
    return tree;
}

cJSON *json_parse_body(const char *text, size_t n, struct err *err)
{
    struct err why = {0};
    if (n == 0) {
        err_set(err, -EINVAL, "the body is empty: it must be a JSON object");
        return NULL;
    }
    cJSON *tree = json_parse(text, n, &why);
    if (!tree) {
        err_set(err, why.code, "the body is bad %s", why.message);
    } else if (!cJSON_IsObject(tree)) {
        err_set(err, -EINVAL, "the body is no JSON object");
        cJSON_Delete(tree);
        tree = NULL;
    }
    return tree;
}

cJSON *json_get(const cJSON *object, const char *key)
{
    return cJSON_IsObject(object) ? cJSON_GetObjectItemCaseSensitive(object, key) : NULL;
}

const char *json_get_string(const cJSON *object, const char *key)
{
    return cJSON_GetStringValue(json_get(object, key));
}

/* A JSON number's text as an int64, exactly: -ERANGE if it names a fraction or is outside. */
static int json_digits_to_int64(const char *text, int64_t *ret_value)
{
    char digits[JSON_MAX_NUMBER_BYTES + 1];
    bool negative = text[0] == '-';
    size_t n = 0, skip = 0;
    long scale = 0, exponent; /* the value is digits × 10^scale */
    uint64_t value = 0;
    uint64_t limit = negative ? UINT64_C(1) << 63 : (uint64_t)INT64_MAX;
    bool in_fraction = false;

    for (text += negative ? 1 : 0; *text != '\0' && *text != 'e' && *text != 'E'; text++) {
        if (*text == '.') {
            in_fraction = true;
            continue;
        }
        assert(n < sizeof(digits));
        digits[n++] = *text;
        scale -= in_fraction ? 1 : 0;
    }
    if (*text != '\0') {
        errno = 0;
        exponent = strtol(text + 1, NULL, 10);
        /* Far outside whatever the digits are; no overflow below. */
        exponent = exponent > 100000 ? 100000 : exponent < -100000 ? -100000 : exponent;
        scale += exponent;
    }
    for (; n > 0 && digits[n - 1] == '0'; n--)
        scale++;
    while (skip < n && digits[skip] == '0')
        skip++;
    if (skip == n) {
        *ret_value = 0;
        return 0;
    }
    if (scale < 0 || scale > 18)
        return -ERANGE;
    for (size_t i = skip; i < n + (size_t)scale; i++) {
        uint64_t digit = i < n ? (uint64_t)(digits[i] - '0') : 0;

        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, digit, &value) || value > limit)
            return -ERANGE;
    }
    /* Negated without passing through -INT64_MIN. */
    *ret_value = negative ? -(int64_t)(value - 1) - 1 : (int64_t)value;
    return 0;
}

/* The digits a number node was read from, or NULL: it was made by hand, or changed since. */
static const char *json_number_digits(const cJSON *node)
{
    double read;

    if (node->valuestring == NULL)
        return NULL;
    read = strtod(node->valuestring, NULL);
    return read < node->valuedouble || read > node->valuedouble ? NULL : node->valuestring;
}

/* Whether text is an integer as json_add_int64() writes it: a raw node may hold anything. */
static bool json_is_integer_text(const char *text)
{
    size_t n = strlen(text + (text[0] == '-'));

    return n > 0 && n <= 20 && strspn(text + (text[0] == '-'), "0123456789") == n;
}

int json_int64(const cJSON *node, int64_t *ret_value)
{
    const char *digits;

    if (cJSON_IsRaw(node) && node->valuestring != NULL && json_is_integer_text(node->valuestring))
        return json_digits_to_int64(node->valuestring, ret_value);
    if (!cJSON_IsNumber(node))
        return -EINVAL;
    digits = json_number_digits(node);
    if (digits != NULL)
        return json_digits_to_int64(digits, ret_value);
    if (!(node->valuedouble >= -0x1p63 && node->valuedouble < 0x1p63) ||
        floor(node->valuedouble) < node->valuedouble)
        return -ERANGE;
    *ret_value = (int64_t)node->valuedouble;
    return 0;
}

int json_get_int64(const cJSON *object, const char *key, int64_t *ret_value)
{
    const cJSON *node = json_get(object, key);

    return node == NULL ? -ENOENT : json_int64(node, ret_value);
}

/* ---- making ---- */

static void json_add(cJSON *object, const char *key, cJSON *node)
{
    bool added = node != NULL && cJSON_AddItemToObject(object, key, node);

    assert(added); /* out of memory, or no object */
}

void json_add_int64(cJSON *object, const char *key, int64_t value)
{
    char digits[24];

    snprintf(digits, sizeof(digits), "%lld", (long long)value);
    json_add(object, key, cJSON_CreateRaw(digits));
}

void json_add_uint64(cJSON *object, const char *key, uint64_t value)
{
    char digits[24];

    snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value);
    json_add(object, key, cJSON_CreateRaw(digits));
}

cJSON *json_double(double value)
{
    cJSON *node = isfinite(value) ? cJSON_CreateNumber(value) : cJSON_CreateNull();

    assert(node != NULL);
    return node;
}

void json_add_double(cJSON *object, const char *key, double value)
{
    json_add(object, key, json_double(value));
}

/* ---- printing ---- */

/* The escape for an ASCII byte that needs one, into text; NULL for one that stands for itself. */
static const char *json_escape_of(unsigned char c, char *text, size_t bytes)
{
    static const char named[][3] = {
        ['\b'] = "\\b", ['\t'] = "\\t", ['\n'] = "\\n", ['\f'] = "\\f", ['\r'] = "\\r"};

    if (c == '"')
        return "\\\"";
    if (c == '\\')
        return "\\\\";
    if (c >= 0x20 && c != 0x7f)
        return NULL;
    if (c < sizeof(named) / sizeof(named[0]) && named[c][0] != '\0')
        return named[c];
    snprintf(text, bytes, "\\u%04x", (unsigned)c);
    return text;
}

static int json_append_escaped(struct buf *out, const char *text, size_t n)
{
    size_t at = 0, plain = 0; /* text[plain … at) stands for itself and is not yet appended */
    int result = buf_append(out, "\"", 1);

    while (at < n && result == 0) {
        unsigned char c = (unsigned char)text[at];
        char hex[8];
        const char *instead;
        size_t len = c < 0x80 ? 1 : utf8_char(text + at, n - at, NULL);

        instead = c < 0x80 ? json_escape_of(c, hex, sizeof(hex)) : len == 0 ? "\xef\xbf\xbd" : NULL;
        len = len > 0 ? len : 1;
        if (instead != NULL) {
            result = buf_append(out, text + plain, at - plain);
            if (result == 0)
                result = buf_append_str(out, instead);
            plain = at + len;
        }
        at += len;
    }
    if (result == 0 && plain < n)
        result = buf_append(out, text + plain, n - plain);
    return result == 0 ? buf_append(out, "\"", 1) : result;
}

int json_escape(struct buf *out, const char *text, size_t n)
{
    size_t n_before = buf_len(out);
    int result = json_append_escaped(out, text, n);

    if (result < 0)
        out->end = out->start + n_before;
    return result;
}

static int json_print_number(struct buf *out, const cJSON *node)
{
    const char *digits = json_number_digits(node);
    char text[FORMAT_DOUBLE_BYTES];
    double value = node->valuedouble;

    if (digits != NULL)
        return buf_append_str(out, digits);
    if (!isfinite(value))
        return buf_append_str(out, "null");
    /* 1000000 rather than 1e+06; every integer up to 2^53 is exact. */
    if (fabs(value) <= 0x1p53 && !(floor(value) < value))
        return buf_appendf(out, "%.0f", value);
    return buf_append_str(out, format_double(value, text));
}

static int json_print_break(struct buf *out, bool indented, unsigned depth)
{
    return indented ? buf_appendf(out, "\n%*s", (int)(2 * depth), "") : 0;
}

static int json_print_node(struct buf *out, const cJSON *node, bool indented, unsigned depth);

static int json_print_container(struct buf *out, const cJSON *node, bool indented, unsigned depth)
{
    bool is_object = cJSON_IsObject(node);
    int result = buf_append(out, is_object ? "{" : "[", 1);

    for (const cJSON *child = node->child; child != NULL && result == 0; child = child->next) {
        if (child != node->child)
            result = buf_append(out, ",", 1);
        if (result == 0)
            result = json_print_break(out, indented, depth + 1);
        if (result == 0 && is_object)
            result = json_append_escaped(out, child->string, strlen(child->string));
        if (result == 0 && is_object)
            result = buf_append_str(out, indented ? ": " : ":");
        if (result == 0)
            result = json_print_node(out, child, indented, depth + 1);
    }
    if (result == 0 && node->child != NULL)
        result = json_print_break(out, indented, depth);
    return result == 0 ? buf_append(out, is_object ? "}" : "]", 1) : result;
}

static int json_print_node(struct buf *out, const cJSON *node, bool indented, unsigned depth)
{
    const char *string = node->valuestring != NULL ? node->valuestring : "";

    switch (node->type & 0xff) {
    case cJSON_True:
        return buf_append_str(out, "true");
    case cJSON_False:
        return buf_append_str(out, "false");
    case cJSON_Number:
        return json_print_number(out, node);
    case cJSON_String:
        return json_append_escaped(out, string, strlen(string));
    case cJSON_Raw:
        return buf_append_str(out, string);
    case cJSON_Array:
    case cJSON_Object:
        return json_print_container(out, node, indented, depth);
    default:
        return buf_append_str(out, "null");
    }
}

int json_print(struct buf *out, const cJSON *tree, bool indented)
{
    size_t n_before = buf_len(out);
    int result = json_print_node(out, tree, indented, 0);

    if (result == 0 && indented)
        result = buf_append(out, "\n", 1);
    if (result < 0)
        out->end = out->start + n_before;
    return result;
}
