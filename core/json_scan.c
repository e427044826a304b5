#include "core/json_scan.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/mem.h"
#include "core/utf8.h"

/* Where the scanner stands. */
struct json_cursor {
    const char *text;
    size_t n;
    size_t at;
    unsigned depth;
    struct json_scan *scan;
    struct err *err;
};

static int json_scan_value(struct json_cursor *cursor);

static void json_places_add(struct json_places *places, size_t at)
{
    if (places->n == places->capacity) {
        places->capacity = places->capacity > 0 ? places->capacity * 2 : 64;
        places->at = mem_realloc(places->at, places->capacity, sizeof(*places->at));
    }
    places->at[places->n++] = at;
}

/* The byte under the cursor, -1 at the end. */
static int json_peek(const struct json_cursor *cursor)
{
    return cursor->at < cursor->n ? (unsigned char)cursor->text[cursor->at] : -1;
}

static int json_scan_error(const struct json_cursor *cursor, const char *what)
{
    return err_set(cursor->err, -EINVAL, "JSON: %s at byte %zu", what, cursor->at);
}

/* "JSON: 'x' at byte 7 where a value is wanted". */
static int json_scan_unexpected(const struct json_cursor *cursor, const char *wanted)
{
    int c = json_peek(cursor);
    char found[16];

    if (c < 0)
        snprintf(found, sizeof(found), "the text ends");
    else if (c > 0x20 && c < 0x7f)
        snprintf(found, sizeof(found), "'%c'", c);
    else
        snprintf(found, sizeof(found), "byte 0x%02x", (unsigned)c);
    return err_set(cursor->err, -EINVAL, "JSON: %s at byte %zu where %s is wanted", found,
                   cursor->at, wanted);
}

static void json_skip_blanks(struct json_cursor *cursor)
{
    while (cursor->at < cursor->n) {
        char c = cursor->text[cursor->at];

        if (c != ' ' && c != '\t' && c != '\n' && c != '\r')
            return;
        cursor->at++;
    }
}

/* Four hexadecimal digits under the cursor, which moves behind them; -1 if they are not. */
static int json_scan_hex4(struct json_cursor *cursor)
{
    int code = 0;

    if (cursor->n - cursor->at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int c = (unsigned char)cursor->text[cursor->at + (size_t)i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;

        if (digit < 0)
            return -1;
        code = code << 4 | digit;
    }
    cursor->at += 4;
    return code;
}

/* The cursor is on the backslash of an escape. */
static int json_scan_escape(struct json_cursor *cursor)
{
    size_t escape_at = cursor->at;
    int c, code, low;

    cursor->at++;
    c = json_peek(cursor);
    if (c < 0)
        return json_scan_unexpected(cursor, "the rest of a string");
    cursor->at++;
    if (c != 'u') {
        if (c != 0 && strchr("\"\\/bfnrt", c) != NULL)
            return 0;
        cursor->at = escape_at;
        return json_scan_error(cursor, "an unknown escape");
    }
    code = json_scan_hex4(cursor);
    if (code >= 0xd800 && code <= 0xdbff) {
        low = -1;
        if (cursor->n - cursor->at >= 2 && memcmp(cursor->text + cursor->at, "\\u", 2) == 0) {
            cursor->at += 2;
            low = json_scan_hex4(cursor);
        }
        code = low >= 0xdc00 && low <= 0xdfff ? 0x10000 : 0xd800;
    }
    if (code > 0 && !(code >= 0xd800 && code <= 0xdfff))
        return 0;
    cursor->at = escape_at;
    return json_scan_error(cursor, code < 0    ? "\\u without four hexadecimal digits"
                                   : code == 0 ? "the character U+0000"
                                               : "half a surrogate pair");
}

/* The cursor is on the opening quote. */
static int json_scan_string(struct json_cursor *cursor)
{
    int result;

    cursor->at++;
    for (;;) {
        int c = json_peek(cursor);
        size_t len;

        if (c < 0)
            return json_scan_unexpected(cursor, "the rest of a string");
        if (c == '"')
            break;
        if (c == '\\') {
            result = json_scan_escape(cursor);
            if (result < 0)
                return result;
        } else if (c < 0x20) {
            return json_scan_error(cursor, "an unescaped control character in a string");
        } else if (c < 0x80) {
            cursor->at++;
        } else {
            len = utf8_char(cursor->text + cursor->at, cursor->n - cursor->at, NULL);
            if (len == 0)
                return json_scan_error(cursor, "malformed UTF-8");
            cursor->at += len;
        }
    }
    cursor->at++;
    return 0;
}

/* Skips digits; -EINVAL when there is none. */
static int json_scan_digits(struct json_cursor *cursor)
{
    size_t first = cursor->at;

    while (json_peek(cursor) >= '0' && json_peek(cursor) <= '9')
        cursor->at++;
    return cursor->at > first ? 0 : json_scan_unexpected(cursor, "a digit");
}

static int json_scan_number(struct json_cursor *cursor)
{
    size_t first = cursor->at, n;
    char digits[JSON_MAX_NUMBER_BYTES + 1];
    int result = 0;

    if (json_peek(cursor) == '-')
        cursor->at++;
    if (json_peek(cursor) == '0')
        cursor->at++;
    else
        result = json_scan_digits(cursor);
    if (result == 0 && json_peek(cursor) == '.') {
        cursor->at++;
        result = json_scan_digits(cursor);
    }
    if (result == 0 && (json_peek(cursor) == 'e' || json_peek(cursor) == 'E')) {
        cursor->at++;
        if (json_peek(cursor) == '+' || json_peek(cursor) == '-')
            cursor->at++;
        result = json_scan_digits(cursor);
    }
    if (result < 0)
        return result;
    json_places_add(&cursor->scan->numbers, first);
    json_places_add(&cursor->scan->numbers, cursor->at);
    n = cursor->at - first;
    cursor->at = first;
    if (n > JSON_MAX_NUMBER_BYTES)
        return json_scan_error(cursor, "a number of too many digits");
    memcpy(digits, cursor->text + first, n);
    digits[n] = '\0';
    if (isinf(strtod(digits, NULL)))
        return json_scan_error(cursor, "a number too large for a double");
    cursor->at = first + n;
    return 0;
}

static int json_scan_word(struct json_cursor *cursor, const char *word)
{
    size_t n = strlen(word);

    if (cursor->n - cursor->at < n || memcmp(cursor->text + cursor->at, word, n) != 0)
        return json_scan_unexpected(cursor, "a value");
    cursor->at += n;
    return 0;
}

/* A key, its colon and its value. */
static int json_scan_member(struct json_cursor *cursor)
{
    int result;

    json_skip_blanks(cursor);
    if (json_peek(cursor) != '"')
        return json_scan_unexpected(cursor, "a key in quotes");
    json_places_add(&cursor->scan->keys, cursor->at);
    result = json_scan_string(cursor);
    if (result < 0)
        return result;
    json_skip_blanks(cursor);
    if (json_peek(cursor) != ':')
        return json_scan_unexpected(cursor, "':'");
    cursor->at++;
    return json_scan_value(cursor);
}

/* An array or an object; the cursor is on its opening bracket. Recursion is bounded by
 * JSON_MAX_DEPTH. */
static int json_scan_container(struct json_cursor *cursor, bool is_object)
{
    const char close = is_object ? '}' : ']';
    int result;

    if (cursor->depth == JSON_MAX_DEPTH)
        return json_scan_error(cursor, "nesting too deep");
    cursor->depth++;
    cursor->at++;
    json_skip_blanks(cursor);
    if (json_peek(cursor) != close) {
        for (;;) {
            result = is_object ? json_scan_member(cursor) : json_scan_value(cursor);
            if (result < 0)
                return result;
            json_skip_blanks(cursor);
            if (json_peek(cursor) == close)
                break;
            if (json_peek(cursor) != ',')
                return json_scan_unexpected(cursor, is_object ? "',' or '}'" : "',' or ']'");
            cursor->at++;
        }
    }
    cursor->at++;
    cursor->depth--;
    return 0;
}

/* Blanks and a value. */
static int json_scan_value(struct json_cursor *cursor)
{
    int c;

    json_skip_blanks(cursor);
    c = json_peek(cursor);
    switch (c) {
    case '{':
    case '[':
        return json_scan_container(cursor, c == '{');
    case '"':
        return json_scan_string(cursor);
    case 't':
        return json_scan_word(cursor, "true");
    case 'f':
        return json_scan_word(cursor, "false");
    case 'n':
        return json_scan_word(cursor, "null");
    default:
        if (c == '-' || (c >= '0' && c <= '9'))
            return json_scan_number(cursor);
        return json_scan_unexpected(cursor, "a value");
    }
}

int json_scan_text(struct json_scan *scan, const char *text, size_t n, struct err *err)
{
    struct json_cursor cursor = {.text = text, .n = n, .scan = scan, .err = err};
    int result;

    memset(scan, 0, sizeof(*scan));
    result = json_scan_value(&cursor);
    if (result < 0)
        return result;
    json_skip_blanks(&cursor);
    if (cursor.at < n)
        return json_scan_unexpected(&cursor, "the end");
    return 0;
}

void json_scan_done(struct json_scan *scan)
{
    free(scan->keys.at);
    free(scan->numbers.at);
    memset(scan, 0, sizeof(*scan));
}
