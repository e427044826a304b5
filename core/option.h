/* One table describes an option once: for the command line, for a part's `NAME:k=v,…`, for an INI
 * key, for --help, the man page and shell completion.
 *
 * A table is an array of struct option_def ended by one with a NULL name. Each row says where in a
 * caller's struct its value goes; option_set() parses one text into one field, and says in the
 * error what the option takes. */
#ifndef QUOIT_CORE_OPTION_H
#define QUOIT_CORE_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"

enum option_type {
    OPTION_FLAG,     /* bool; on a command line without a value */
    OPTION_U64,      /* uint64_t in [min, max]; decimal, or 0x… */
    OPTION_DOUBLE,   /* double, finite, in [min, max] */
    OPTION_STRING,   /* const char *, borrowed from the text given; NULL when absent */
    OPTION_CHOICE,   /* int: index into choices */
    OPTION_DURATION, /* uint64_t ns in [min, max] ns: "250ms", "30s", "5m", "10us"; a bare number is
                        taken in the option's `unit` */
    OPTION_BYTES,    /* uint64_t in [min, max]: "64k", "16M", "1G" (powers of 1024), or a number */
    OPTION_LIST,     /* struct option_list: each use adds a text; empty when absent */
};

#define OPTION_LIST_MAX 32u

/* What an option that may be given again was given. One more than the maximum is an error. */
struct option_list {
    const char *texts[OPTION_LIST_MAX]; /* borrowed */
    size_t n;
};

struct option_def {
    const char *name; /* long name without dashes; also the key in k=v and INI */
    char short_name;  /* 0 = none */
    enum option_type type;
    size_t offset;        /* of the field in the caller's struct */
    const char *metavar;  /* how --help names the value: "HOST:PORT"; NULL for a flag */
    const char *fallback; /* default as text; NULL = zero / NULL / false */
    const char *choices;  /* OPTION_CHOICE: "linear|quadratic" */
    uint64_t min, max;    /* numbers; max 0 = no upper bound. OPTION_DOUBLE: as integers */
    const char *unit; /* OPTION_DURATION: "ms", "s" for bare numbers; NULL = a unit is required */
    const char *help; /* one sentence, no full stop */
};

/* Parses text into the field of `into` that def names. 0 or -EINVAL; the error names the option,
 * what it got and what it takes. The field is untouched on failure. */
int option_set(const struct option_def *def, void *into, const char *text, struct err *err);
/* Sets every field of the table to its default; a default that does not parse is a bug (assert). */
void option_set_defaults(const struct option_def *table, void *into);
/* The row with that name, or NULL. */
const struct option_def *option_find(const struct option_def *table, const char *name, size_t n);
/* The choice's word for an index, into text; for printing a parsed value back. */
const char *option_choice_name(const struct option_def *def, int index, char *text, size_t bytes);
/* Edit distance ≤ 2 suggestion among n names, or NULL: "did you mean …". */
const char *option_suggest(const char *word, const char *const *names, size_t n);

#endif
