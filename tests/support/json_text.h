/* JSON as tests write it down: text to trees and back. For tests with cmocka. */
#ifndef QUOIT_TESTS_SUPPORT_JSON_TEXT_H
#define QUOIT_TESTS_SUPPORT_JSON_TEXT_H

#include <stdbool.h>

#include "core/json.h"

/* Fails the test where it is refused. */
cJSON *json_text_parse(const char *text);
/* Valid until the next call. */
const char *json_text_print(const cJSON *tree, bool indented);
/* Read and printed again it is what it was. */
void json_text_assert_prints_itself(const char *text);

#endif
