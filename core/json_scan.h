/* The strict JSON scanner in front of cJSON (core/json.c only): it judges the text and notes where
 * its keys and numbers stand. */
#ifndef QUOIT_CORE_JSON_SCAN_H
#define QUOIT_CORE_JSON_SCAN_H

#include <stddef.h>

#include "core/err.h"

/* Places in the text, in the order of the text. */
struct json_places {
    size_t *at;
    size_t n;
    size_t capacity;
};

struct json_scan {
    struct json_places keys;    /* the opening quote of every object key */
    struct json_places numbers; /* two each: the first byte, one past the last */
};

/* 0, or -EINVAL with the reason and the byte offset in err. Pair with json_scan_done(), also after
 * a failure. Everything json_parse() promises is checked except duplicate keys. */
int json_scan_text(struct json_scan *scan, const char *text, size_t n, struct err *err);
void json_scan_done(struct json_scan *scan);

#endif
