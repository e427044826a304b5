/* The words of a server's command line that an LB may choose: a list of few, each with its form.
 * Whatever else stands there is ours. */
#ifndef QUOIT_SPAWNERD_WORDS_H
#define QUOIT_SPAWNERD_WORDS_H

#include <cjson/cJSON.h>

#include "core/err.h"

#define WORDS_MAX 16
#define WORDS_MAX_STORE_BYTES 512

/* Reads ["--store","file","--log-level","info",…] into words[WORDS_MAX + 1], NULL-ended, which
 * point into the tree. 0 or -EINVAL naming the first word that is not allowed. */
int words_read(const cJSON *array, const char **words, struct err *err);

#endif
