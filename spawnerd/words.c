#include "spawnerd/words.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* "30s", "1500000us", "0". */
static bool is_duration(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    const char *unit = text + digits;

    return digits > 0 && digits <= 18 &&
           (!*unit || strcmp(unit, "us") == 0 || strcmp(unit, "ms") == 0 ||
            strcmp(unit, "s") == 0 || strcmp(unit, "m") == 0);
}

static bool is_level(const char *text)
{
    static const char *const levels[] = {"error", "warn", "info", "debug"};

    for (size_t i = 0; i < sizeof(levels) / sizeof(*levels); i++)
        if (strcmp(text, levels[i]) == 0)
            return true;
    return false;
}

/* "NAME[:k=v,…]", shims before it joined by '+': printable, and no option itself. What it says is
 * read by the server alone, within its container. */
static bool is_store(const char *text)
{
    if (!isalpha((unsigned char)text[0]) || strlen(text) > WORDS_MAX_STORE_BYTES)
        return false;
    for (; *text; text++)
        if ((unsigned char)*text <= ' ' || (unsigned char)*text >= 127)
            return false;
    return true;
}

static const struct allowed {
    const char *name;
    bool (*takes)(const char *text); /* NULL: no value */
} allowed[] = {
    {"--orphan-after", is_duration}, {"--service-time", is_duration},
    {"--log-level", is_level},       {"--log-json", NULL},
    {"--store", is_store},
};

static const struct allowed *find(const char *word)
{
    for (size_t i = 0; i < sizeof(allowed) / sizeof(*allowed); i++)
        if (strcmp(allowed[i].name, word) == 0)
            return &allowed[i];
    return NULL;
}

int words_read(const cJSON *array, const char **words, struct err *err)
{
    const cJSON *item;
    const struct allowed *option = NULL; /* whose value is next */
    size_t n = 0;

    if (array && !cJSON_IsArray(array))
        return err_set(err, -EINVAL, "the words are no array");
    cJSON_ArrayForEach (item, array) {
        const char *word = cJSON_IsString(item) ? item->valuestring : NULL;
        if (!word || n == WORDS_MAX)
            return err_set(err, -EINVAL, "the words are too many, or one is no string");
        if (option) {
            if (!option->takes(word))
                return err_set(err, -EINVAL, "%s does not take '%.64s'", option->name, word);
            option = NULL;
        } else {
            option = find(word);
            if (!option)
                return err_set(err, -EINVAL, "'%.64s' is no word that a server is started with",
                               word);
            if (!option->takes)
                option = NULL;
        }
        words[n++] = word;
    }
    if (option)
        return err_set(err, -EINVAL, "%s lacks its value", option->name);
    words[n] = NULL;
    return 0;
}
