/* The options of every verb that logs. */
#ifndef QUOIT_CMD_LOG_OPTIONS_H
#define QUOIT_CMD_LOG_OPTIONS_H

#include "core/log.h"
#include "core/option.h"

/* A member of the verb's own options, called `log`. */
struct log_options {
    int level; /* enum log_level */
    bool json;
};

/* The rows of the verb's table; options: the struct that holds a `struct log_options log`. */
#define LOG_OPTION_ROWS(options)                                                                   \
    {.name = "log-level",                                                                          \
     .type = OPTION_CHOICE,                                                                        \
     .offset = offsetof(options, log.level),                                                       \
     .metavar = "LEVEL",                                                                           \
     .choices = LOG_LEVELS,                                                                        \
     .fallback = "info",                                                                           \
     .help = "What to log"},                                                                       \
    {                                                                                              \
        .name = "log-json", .type = OPTION_FLAG, .offset = offsetof(options, log.json),            \
        .help = "Log lines as JSON"                                                                \
    }

/* How many words log_options_words() makes, the NULL included. */
#define LOG_OPTION_WORDS 4

/* The same options as words of another command line, NULL-ended: words[LOG_OPTION_WORDS]. */
static inline void log_options_words(const struct log_options *options, const char **words)
{
    static const char *const levels[] = {
        [LOG_ERROR] = "error", [LOG_WARN] = "warn", [LOG_INFO] = "info", [LOG_DEBUG] = "debug"};
    words[0] = "--log-level";
    words[1] = levels[options->level];
    words[2] = options->json ? "--log-json" : NULL;
    words[3] = NULL;
}

static inline void log_options_apply(const struct log_options *options)
{
    log_set_level((enum log_level)options->level);
    log_set_json(options->json);
}

#endif
