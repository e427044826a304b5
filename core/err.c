#include "core/err.h"

#undef err_set
#undef err_set_errno

#include <limits.h>
#include <stdio.h>
#include <string.h>

/* Copies a sentence into err, cut on the boundary of a UTF-8 character. */
static void err_store(struct err *err, int code, const char *message)
{
    size_t n = strlen(message);

    if (n >= sizeof(err->message)) {
        n = sizeof(err->message) - 1;
        while (n > 0 && ((unsigned char)message[n] & 0xc0) == 0x80)
            n--;
    }
    /* memmove: the message may be the one already there. */
    memmove(err->message, message, n);
    err->message[n] = '\0';
    err->code = code;
}

int err_set(struct err *err, int code, const char *format, ...)
{
    /* One byte more than fits, so that err_store() sees where the cut falls; formatted aside, since
     * an argument may be err->message itself. */
    char message[ERR_MESSAGE_BYTES + 1];
    va_list args;

    if (err == NULL)
        return code;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    err_store(err, code, message);
    return code;
}

int err_set_errno(struct err *err, int code, const char *format, ...)
{
    char message[ERR_MESSAGE_BYTES + 1];
    char whole[2 * ERR_MESSAGE_BYTES];
    va_list args;

    if (err == NULL)
        return code;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    snprintf(whole, sizeof(whole), "%s: %s", message, err_errno_text(code));
    err_store(err, code, whole);
    return code;
}

int err_prefix(struct err *err, const char *format, ...)
{
    char context[ERR_MESSAGE_BYTES];
    char whole[2 * ERR_MESSAGE_BYTES + 2];
    va_list args;

    if (err == NULL)
        return 0;
    va_start(args, format);
    vsnprintf(context, sizeof(context), format, args);
    va_end(args);
    snprintf(whole, sizeof(whole), "%s: %s", context, err->message);
    err_store(err, err->code, whole);
    return err->code;
}

const char *err_errno_text(int code)
{
    static _Thread_local char text[128];
    int number = code == INT_MIN ? INT_MAX : code < 0 ? -code : code;
    /* The GNU strerror_r: returns the text, which may or may not be in the buffer. */
    char scratch[sizeof(text)];
    const char *found = strerror_r(number, scratch, sizeof(scratch));

    snprintf(text, sizeof(text), "%s", found);
    return text;
}
