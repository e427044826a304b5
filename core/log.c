#include "core/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/clock.h"
#include "core/json.h"
#include "core/utf8.h"

/* A longer message is cut: a line stays below what a reader of logs takes. */
#define LOG_MESSAGE_BYTES 4096

static enum log_level log_threshold = LOG_INFO;
static bool log_as_json = false;

static const char *const log_names[] = {
    [LOG_ERROR] = "error",
    [LOG_WARN] = "warn",
    [LOG_INFO] = "info",
    [LOG_DEBUG] = "debug",
};

void log_set_level(enum log_level level)
{
    log_threshold = level;
}

void log_set_json(bool json)
{
    log_as_json = json;
}

int log_level_parse(const char *name, enum log_level *ret_level)
{
    for (int level = LOG_ERROR; level <= LOG_DEBUG; level++) {
        if (strcmp(log_names[level], name) == 0) {
            *ret_level = (enum log_level)level;
            return 0;
        }
    }
    return -EINVAL;
}

bool log_enabled(enum log_level level)
{
    return level <= log_threshold;
}

/* Appends text with controls (C0, DEL, C1), line separators and malformed bytes as \n, \t or \xNN:
 * what is left cannot end the line nor steer a terminal. */
static void log_escape(struct buf *line, const char *text, size_t n)
{
    while (n > 0) {
        uint32_t code = 0;
        size_t len = utf8_char(text, n, &code);

        if (len > 0 && code >= 0x20 && !(code >= 0x7f && code <= 0x9f) && code != 0x2028 &&
            code != 0x2029) {
            buf_append(line, text, len);
        } else if (*text == '\n' || *text == '\r' || *text == '\t') {
            buf_appendf(line, "\\%c", *text == '\n' ? 'n' : *text == '\r' ? 'r' : 't');
        } else {
            len = len > 0 ? len : 1;
            for (size_t i = 0; i < len; i++)
                buf_appendf(line, "\\x%02x", (unsigned char)text[i]);
        }
        text += len;
        n -= len;
    }
}

/* The whole line by one write(2). Only a write that the kernel cut short is continued; a log that
 * cannot be written is dropped, there being nowhere to say so. */
static void log_write(const char *text, size_t n)
{
    while (n > 0) {
        ssize_t written = write(STDERR_FILENO, text, n);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return;
        text += written;
        n -= (size_t)written;
    }
}

void log_at(enum log_level level, const char *component, const char *format, ...)
{
    char message[LOG_MESSAGE_BYTES], time[CLOCK_ISO_BYTES];
    int saved_errno = errno;
    va_list args;
    struct buf line;
    size_t n;

    if (!log_enabled(level))
        return;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    n = strlen(message);
    clock_format_iso(clock_wall_ns(), time);
    buf_init(&line, 0);
    if (log_as_json) {
        buf_appendf(&line, "{\"ts\":\"%s\",\"level\":\"%s\",\"component\":", time,
                    log_names[level]);
        json_escape(&line, component, strlen(component));
        buf_append_str(&line, ",\"message\":");
        json_escape(&line, message, n);
        buf_append_str(&line, "}\n");
    } else {
        buf_appendf(&line, "%s %-5s %s: ", time, log_names[level], component);
        log_escape(&line, message, n);
        buf_append_str(&line, "\n");
    }
    log_write(buf_head(&line), buf_len(&line));
    buf_done(&line);
    errno = saved_errno;
}
