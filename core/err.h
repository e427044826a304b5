/* Errors a person will read: a negative errno for the program, a sentence for the reader.
 *
 * A function that can fail returns 0 (or a count) or a negative errno. Where a person will read the
 * reason it also takes a `struct err *` as its last parameter, which may be NULL. A library
 * function fills it and never logs; whoever handles the error logs it once. */
#ifndef QUOIT_CORE_ERR_H
#define QUOIT_CORE_ERR_H

#include <stdarg.h>

#define ERR_MESSAGE_BYTES 512

struct err {
    int code; /* negative errno, 0 = no error */
    char message[ERR_MESSAGE_BYTES];
};

/* Fills err (which may be NULL) with code and the formatted sentence; a longer one is cut.
 * Returns code, so that a failing function can `return err_set(err, -EINVAL, "…")`. */
int err_set(struct err *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As err_set, and appends ": " and the text of the errno `-code`. */
int err_set_errno(struct err *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts the formatted words and ": " before the message already there: context added on the way up.
 * Returns err->code, or 0 if err is NULL. */
int err_prefix(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Writes the C library's text for an errno (either sign) into a static thread-local buffer,
 * valid until the thread's next call. */
const char *err_errno_text(int code);

#ifdef __clang_analyzer__
/* Tells the analyzer, which sees one file at a time, that the code comes back. */
#define err_set(err, code, ...) ((err_set)((err), (code), __VA_ARGS__), (code))
#define err_set_errno(err, code, ...) ((err_set_errno)((err), (code), __VA_ARGS__), (code))
#endif

#endif
