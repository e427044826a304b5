#include "core/option.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"

struct option_unit {
    const char *suffix;
    uint64_t factor;
};

/* Ascending; of two spellings of one unit, the one we write stands first. */
static const struct option_unit duration_units[] = {
    {"ns", 1},       {"us", NS_PER_US},    {"ms", NS_PER_MS},
    {"s", NS_PER_S}, {"m", 60 * NS_PER_S}, {"h", 3600 * NS_PER_S},
    {NULL, 0},
};

static const struct option_unit bytes_units[] = {
    {"", 1},
    {"k", UINT64_C(1) << 10},
    {"K", UINT64_C(1) << 10},
    {"M", UINT64_C(1) << 20},
    {"m", UINT64_C(1) << 20},
    {"G", UINT64_C(1) << 30},
    {"g", UINT64_C(1) << 30},
    {NULL, 0},
};

static bool option_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static const struct option_unit *option_find_unit(const struct option_unit *units,
                                                  const char *suffix)
{
    for (; units->suffix != NULL; units++)
        if (strcmp(units->suffix, suffix) == 0)
            return units;
    return NULL;
}

/* Reads the digits at *text as a whole number and moves *text behind them. -EINVAL: no digit;
 * -ERANGE: past uint64. */
static int option_read_digits(const char **text, uint64_t *ret_value)
{
    uint64_t value = 0;
    int result = 0;

    if (!option_is_digit(**text))
        return -EINVAL;
    for (; option_is_digit(**text); (*text)++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(**text - '0'), &value))
            result = -ERANGE;
    if (result == 0)
        *ret_value = value;
    return result;
}

static int option_parse_u64(const char *text, uint64_t *ret_value)
{
    uint64_t value = 0;
    int result;

    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        size_t n = strspn(text + 2, "0123456789abcdefABCDEF");

        if (n == 0 || text[2 + n] != '\0')
            return -EINVAL;
        errno = 0;
        value = strtoull(text + 2, NULL, 16);
        if (errno == ERANGE)
            return -ERANGE;
        *ret_value = value;
        return 0;
    }
    result = option_read_digits(&text, &value);
    if (*text != '\0')
        return -EINVAL;
    if (result == 0)
        *ret_value = value;
    return result;
}

static int option_parse_double(const char *text, double *ret_value)
{
    const char *p = text;
    size_t n_digits = 0;
    double value;

    /* strtod also takes blanks, signs, hexadecimals, "inf" and "nan". */
    for (; option_is_digit(*p); p++)
        n_digits++;
    if (*p == '.')
        for (p++; option_is_digit(*p); p++)
            n_digits++;
    if (n_digits == 0)
        return -EINVAL;
    if (*p == 'e' || *p == 'E') {
        p++;
        if (*p == '+' || *p == '-')
            p++;
        if (!option_is_digit(*p))
            return -EINVAL;
        while (option_is_digit(*p))
            p++;
    }
    if (*p != '\0')
        return -EINVAL;
    value = strtod(text, NULL);
    if (!isfinite(value))
        return -ERANGE;
    *ret_value = value;
    return 0;
}

/* "250ms", "1.5s", and with unit != NULL "250". Exact: what is finer than 1 ns is refused. */
static int option_parse_duration(const char *text, const char *bare_unit, uint64_t *ret_ns)
{
    const char *p = text, *fraction = NULL;
    const struct option_unit *unit;
    uint64_t whole = 0, ns, scale;
    int result = option_read_digits(&p, &whole);

    if (result == -EINVAL)
        return result;
    if (*p == '.') {
        fraction = ++p;
        if (!option_is_digit(*p))
            return -EINVAL;
        while (option_is_digit(*p))
            p++;
    }
    if (*p == '\0' && bare_unit == NULL)
        return -EINVAL;
    unit = option_find_unit(duration_units, *p == '\0' ? bare_unit : p);
    if (unit == NULL)
        return -EINVAL;
    if (result < 0 || __builtin_mul_overflow(whole, unit->factor, &ns))
        return -ERANGE;
    scale = unit->factor;
    for (; fraction != NULL && option_is_digit(*fraction); fraction++) {
        uint64_t digit = (uint64_t)(*fraction - '0');

        if (digit != 0 && (scale * digit) % 10 != 0)
            return -EINVAL;
        if (__builtin_add_overflow(ns, scale * digit / 10, &ns))
            return -ERANGE;
        scale = scale % 10 == 0 ? scale / 10 : 0;
        if (scale == 0 && strspn(fraction + 1, "0") < strspn(fraction + 1, "0123456789"))
            return -EINVAL;
    }
    *ret_ns = ns;
    return 0;
}

static int option_parse_bytes(const char *text, uint64_t *ret_bytes)
{
    const struct option_unit *unit;
    uint64_t whole = 0, bytes;
    int result = option_read_digits(&text, &whole);

    if (result == -EINVAL)
        return result;
    unit = option_find_unit(bytes_units, text);
    if (unit == NULL)
        return -EINVAL;
    if (result < 0 || __builtin_mul_overflow(whole, unit->factor, &bytes))
        return -ERANGE;
    *ret_bytes = bytes;
    return 0;
}

static int option_parse_flag(const char *text, bool *ret_value)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(text, words[i]) == 0) {
            *ret_value = i % 2 == 1;
            return 0;
        }
    }
    return -EINVAL;
}

/* The index-th word of "a|b|c", its length in ret_n; NULL past the last. */
static const char *option_choice_at(const char *choices, int index, size_t *ret_n)
{
    while (index-- > 0) {
        choices = strchr(choices, '|');
        if (choices == NULL)
            return NULL;
        choices++;
    }
    *ret_n = strcspn(choices, "|");
    return choices;
}

static int option_parse_choice(const char *choices, const char *text, int *ret_index)
{
    const char *word;
    size_t n;

    for (int i = 0; (word = option_choice_at(choices, i, &n)) != NULL; i++) {
        if (strlen(text) == n && memcmp(word, text, n) == 0) {
            *ret_index = i;
            return 0;
        }
    }
    return -EINVAL;
}

/* A number as the reader would write it, in the largest unit that divides it. */
static const char *option_format_number(const struct option_def *def, uint64_t value, char *text,
                                        size_t bytes)
{
    const struct option_unit *units = def->type == OPTION_DURATION ? duration_units
                                      : def->type == OPTION_BYTES  ? bytes_units
                                                                   : NULL;
    const struct option_unit *best = units;

    for (const struct option_unit *u = units; u != NULL && u->suffix != NULL; u++)
        if (value != 0 && value % u->factor == 0 && u->factor > best->factor)
            best = u;
    if (best == NULL)
        snprintf(text, bytes, "%llu", (unsigned long long)value);
    else
        snprintf(text, bytes, "%llu%s", (unsigned long long)(value / best->factor), best->suffix);
    return text;
}

/* What the option takes, for the error: "a whole number from 1 to 512". */
static const char *option_describe(const struct option_def *def, char *text, size_t bytes)
{
    static const char *const kinds[] = {
        [OPTION_FLAG] = "true or false",
        [OPTION_U64] = "a whole number",
        [OPTION_DOUBLE] = "a number",
        [OPTION_STRING] = "a text",
        [OPTION_CHOICE] = "one of",
        [OPTION_DURATION] = "a duration such as 250ms or 30s",
        [OPTION_BYTES] = "a size such as 64k or 16M",
        [OPTION_LIST] = "a text, at most 32 times",
    };
    char low[32], high[32];
    int n = snprintf(text, bytes, "%s", kinds[def->type]);

    assert(n > 0 && (size_t)n < bytes);
    text += n;
    bytes -= (size_t)n;
    switch (def->type) {
    case OPTION_CHOICE:
        snprintf(text, bytes, " %s", def->choices);
        break;
    case OPTION_U64:
    case OPTION_DOUBLE:
    case OPTION_DURATION:
    case OPTION_BYTES:
        option_format_number(def, def->min, low, sizeof(low));
        option_format_number(def, def->max, high, sizeof(high));
        if (def->max != 0)
            snprintf(text, bytes, " from %s to %s", low, high);
        else if (def->min != 0 || def->type == OPTION_DOUBLE)
            snprintf(text, bytes, " of at least %s", low);
        break;
    case OPTION_FLAG:
    case OPTION_STRING:
    case OPTION_LIST:
        break;
    }
    return text - n;
}

/* The parsed value, of whichever type. */
union option_value {
    bool flag;
    uint64_t u64;
    double number;
    const char *string;
    int choice;
};

static int option_parse(const struct option_def *def, const char *text, union option_value *value)
{
    int result = 0;

    switch (def->type) {
    case OPTION_FLAG:
        return option_parse_flag(text, &value->flag);
    case OPTION_STRING:
    case OPTION_LIST:
        value->string = text;
        return 0;
    case OPTION_CHOICE:
        return option_parse_choice(def->choices, text, &value->choice);
    case OPTION_DOUBLE:
        result = option_parse_double(text, &value->number);
        if (result == 0 && (value->number < (double)def->min ||
                            (def->max != 0 && value->number > (double)def->max)))
            return -ERANGE;
        return result;
    case OPTION_U64:
        result = option_parse_u64(text, &value->u64);
        break;
    case OPTION_DURATION:
        result = option_parse_duration(text, def->unit, &value->u64);
        break;
    case OPTION_BYTES:
        result = option_parse_bytes(text, &value->u64);
        break;
    }
    if (result == 0 && (value->u64 < def->min || (def->max != 0 && value->u64 > def->max)))
        return -ERANGE;
    return result;
}

static void option_append(struct option_list *list, const char *text)
{
    if (text == NULL)
        list->n = 0;
    else
        list->texts[list->n++] = text;
}

static bool option_is_full(const struct option_def *def, const void *into)
{
    const struct option_list *list = (const void *)((const char *)into + def->offset);

    return def->type == OPTION_LIST && list->n == OPTION_LIST_MAX;
}

static void option_store(const struct option_def *def, void *into, const union option_value *value)
{
    char *field = (char *)into + def->offset;

    switch (def->type) {
    case OPTION_FLAG:
        memcpy(field, &value->flag, sizeof(value->flag));
        break;
    case OPTION_STRING:
        memcpy(field, &value->string, sizeof(value->string));
        break;
    case OPTION_LIST:
        option_append((struct option_list *)(void *)field, value->string);
        break;
    case OPTION_CHOICE:
        memcpy(field, &value->choice, sizeof(value->choice));
        break;
    case OPTION_DOUBLE:
        memcpy(field, &value->number, sizeof(value->number));
        break;
    case OPTION_U64:
    case OPTION_DURATION:
    case OPTION_BYTES:
        memcpy(field, &value->u64, sizeof(value->u64));
        break;
    }
}

/* "; did you mean 'linear'?" for a mistyped choice. */
static void option_suggest_choice(const struct option_def *def, const char *text, char *hint,
                                  size_t bytes)
{
    char words[16][32];
    const char *names[16];
    const char *suggestion;
    int n = 0;

    for (; n < 16; n++) {
        size_t len;
        const char *word = option_choice_at(def->choices, n, &len);

        if (word == NULL)
            break;
        names[n] = option_choice_name(def, n, words[n], sizeof(words[n]));
    }
    suggestion = option_suggest(text, names, (size_t)n);
    if (suggestion != NULL)
        snprintf(hint, bytes, "; did you mean '%s'?", suggestion);
}

int option_set(const struct option_def *def, void *into, const char *text, struct err *err)
{
    union option_value value;
    char takes[160], hint[64] = "";
    int result;

    memset(&value, 0, sizeof(value));
    result = option_is_full(def, into) ? -ERANGE : option_parse(def, text, &value);
    if (result == 0) {
        option_store(def, into, &value);
        return 0;
    }
    option_describe(def, takes, sizeof(takes));
    if (def->type == OPTION_CHOICE)
        option_suggest_choice(def, text, hint, sizeof(hint));
    return err_set(err, -EINVAL, "option '%s': %s%s%s %s; it takes %s%s", def->name,
                   text[0] == '\0' ? "" : "'", text[0] == '\0' ? "an empty value" : text,
                   text[0] == '\0' ? "" : "'",
                   result == -ERANGE ? "is out of range" : "is not valid", takes, hint);
}

void option_set_defaults(const struct option_def *table, void *into)
{
    union option_value zero;

    memset(&zero, 0, sizeof(zero));
    for (const struct option_def *def = table; def != NULL && def->name != NULL; def++) {
        if (def->fallback == NULL) {
            /* A null pointer need not be all zero bits, as far as C is concerned. */
            if (def->type == OPTION_STRING || def->type == OPTION_LIST)
                zero.string = NULL;
            else
                memset(&zero, 0, sizeof(zero));
            option_store(def, into, &zero);
        } else {
            struct err err = {0, ""};
            bool parses = option_set(def, into, def->fallback, &err) == 0;

            if (!parses)
                fprintf(stderr, "quoit: bug in a default: %s\n", err.message);
            assert(parses);
        }
    }
}

const struct option_def *option_find(const struct option_def *table, const char *name, size_t n)
{
    for (const struct option_def *def = table; def != NULL && def->name != NULL; def++)
        if (strlen(def->name) == n && memcmp(def->name, name, n) == 0)
            return def;
    return NULL;
}

const char *option_choice_name(const struct option_def *def, int index, char *text, size_t bytes)
{
    size_t n;
    const char *word = index < 0 ? NULL : option_choice_at(def->choices, index, &n);

    if (word == NULL)
        snprintf(text, bytes, "(choice %d)", index);
    else
        snprintf(text, bytes, "%.*s", (int)n, word);
    return text;
}

#define SUGGEST_MAX_WORD 64

static unsigned option_min(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static bool option_same_letter(char a, char b)
{
    char lower_a = a >= 'A' && a <= 'Z' ? (char)(a - 'A' + 'a') : a;
    char lower_b = b >= 'A' && b <= 'Z' ? (char)(b - 'A' + 'a') : b;

    return lower_a == lower_b || (a == '_' && b == '-');
}

/* Insertions, deletions, substitutions and swaps of neighbours that turn a into b (optimal string
 * alignment), letters' case aside. Both shorter than SUGGEST_MAX_WORD. */
static unsigned option_distance(const char *a, const char *b)
{
    unsigned rows[3][SUGGEST_MAX_WORD + 1];
    unsigned *before = rows[0], *above = rows[1], *row = rows[2];
    size_t n_a = strlen(a), n_b = strlen(b);

    for (size_t j = 0; j <= n_b; j++)
        above[j] = before[j] = (unsigned)j;
    for (size_t i = 1; i <= n_a; i++) {
        unsigned *oldest = before;

        row[0] = (unsigned)i;
        for (size_t j = 1; j <= n_b; j++) {
            bool same = option_same_letter(a[i - 1], b[j - 1]);

            row[j] =
                option_min(above[j - 1] + (same ? 0 : 1), option_min(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && option_same_letter(a[i - 1], b[j - 2]) &&
                option_same_letter(a[i - 2], b[j - 1]))
                row[j] = option_min(row[j], before[j - 2] + 1);
        }
        before = above;
        above = row;
        row = oldest;
    }
    return above[n_b];
}

const char *option_suggest(const char *word, const char *const *names, size_t n)
{
    const char *best = NULL;
    unsigned best_distance = 3;
    size_t len = strlen(word);

    if (len == 0 || len >= SUGGEST_MAX_WORD)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        size_t len_name = strlen(names[i]);
        unsigned distance;

        if (len_name >= SUGGEST_MAX_WORD)
            continue;
        distance = option_distance(word, names[i]);
        /* A name with every letter changed is no likeness. */
        if (distance < best_distance && distance < len_name) {
            best = names[i];
            best_distance = distance;
        }
    }
    return best;
}
