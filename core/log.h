/* The log: one line an event on stderr, text or JSON, written whole by one write(2).
 *
 * Text:  2026-11-21T09:30:12.345Z info  lb: server Server3 serves at 127.0.0.1:40123
 * JSON:  {"ts":"…","level":"info","component":"lb","message":"…"}
 * Library functions (core/, backends/) do not log; they return a struct err. */
#ifndef QUOIT_CORE_LOG_H
#define QUOIT_CORE_LOG_H

#include <stdbool.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
/* The same as the choices of an option (core/option.h). */
#define LOG_LEVELS "error|warn|info|debug"

/* Set once at the start, before other threads run. Defaults: LOG_INFO, text. */
void log_set_level(enum log_level level);
void log_set_json(bool json);
/* "error", "warn", "info" or "debug" → 0, anything else → -EINVAL. */
int log_level_parse(const char *name, enum log_level *ret_level);
bool log_enabled(enum log_level level);

/* Thread-safe. component: a short word ("lb", "server", "spawner"). Control characters in the
 * message are escaped, so that a peer cannot forge a line. */
void log_at(enum log_level level, const char *component, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_at(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...)                                                                             \
    do {                                                                                           \
        if (log_enabled(LOG_DEBUG))                                                                \
            log_at(LOG_DEBUG, __VA_ARGS__);                                                        \
    } while (0)

#endif
