/* Numbers as text, for machines and people alike. */
#ifndef QUOIT_CORE_FORMAT_H
#define QUOIT_CORE_FORMAT_H

#include <stdint.h>

/* "-2.2250738585072014e-308" and the NUL fit. */
#define FORMAT_DOUBLE_BYTES 32

/* Writes a finite double with the fewest significant digits that read back the same, in the form
 * JSON and Prometheus take ("0.1", "1e+30"); returns text. NaN and infinities come out as printf
 * writes them. */
const char *format_double(double value, char *text);

/* "-9223372036854775808" and the NUL fit. */
#define FORMAT_INT64_BYTES 21

/* Writes the digits to the end of text[FORMAT_INT64_BYTES], NUL-ended; returns where they begin. By
 * hand: a row is mostly numbers. */
const char *format_int64(int64_t value, char *text);

#endif
