/* JSON from strangers, over cJSON, with its traps guarded.
 *
 * cJSON takes NULs, duplicate keys, deep nesting and trailing bytes, and rounds integers past 2^53.
 * json_parse() refuses all of that before anyone sees a tree, and keeps the digits of every number,
 * so that json_get_int64() is exact over the whole range. The tree is a plain cJSON tree; print it
 * with json_print(), which knows of the digits (cJSON_Print does not). */
#ifndef QUOIT_CORE_JSON_H
#define QUOIT_CORE_JSON_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"

#define JSON_MAX_DEPTH 32
#define JSON_MAX_NUMBER_BYTES 63 /* a longer number is refused; cJSON cannot read it */

/* RFC 8259 text, strict UTF-8 (no surrogates, no overlong forms, escapes well paired, no U+0000),
 * depth ≤ JSON_MAX_DEPTH, no duplicate key in an object, nothing but white space after the value,
 * no number that overflows a double. Returns the tree, for cJSON_Delete(), or NULL with the reason
 * and the byte offset in err. Number nodes carry their digits in valuestring. */
cJSON *json_parse(const char *text, size_t n, struct err *err);
/* The same of a request's body that must be an object; the reason says so of "the body". */
cJSON *json_parse_body(const char *text, size_t n, struct err *err);

/* The member of an object, case-sensitive, or NULL. */
cJSON *json_get(const cJSON *object, const char *key);
/* Exact. 0; -ENOENT no such member; -EINVAL not a number; -ERANGE a fraction or outside int64. */
int json_get_int64(const cJSON *object, const char *key, int64_t *ret_value);
/* The same of a node itself: -EINVAL, -ERANGE. "2.0" and "2e3" are the integers they name. */
int json_int64(const cJSON *node, int64_t *ret_value);
/* The string's text, valid as long as the tree; NULL where there is none or it is no string. */
const char *json_get_string(const cJSON *object, const char *key);

/* Adds an exact integer to an object (as a raw node, which cJSON_Print prints whole too). */
void json_add_int64(cJSON *object, const char *key, int64_t value);
void json_add_uint64(cJSON *object, const char *key, uint64_t value);
/* Adds a finite double with the fewest digits that read back the same; NaN and infinity become
 * null. */
void json_add_double(cJSON *object, const char *key, double value);
cJSON *json_double(double value);

/* Appends text as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD. Returns 0
 * or -EMSGSIZE, the buffer then being as it was. */
int json_escape(struct buf *out, const char *text, size_t n);
/* Appends the tree, compact or indented by two spaces with a line end. Numbers that json_parse()
 * read come out with their very digits. 0 or -EMSGSIZE, the buffer then being as it was. */
int json_print(struct buf *out, const cJSON *tree, bool indented);

#endif
