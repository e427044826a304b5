#include "core/format.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Whether value reads back from its form with so many digits, which is left in text. */
static int format_survives(double value, int n_digits, char *text)
{
    double back;

    snprintf(text, FORMAT_DOUBLE_BYTES, "%.*g", n_digits, value);
    back = strtod(text, NULL);
    return !(back < value) && !(back > value);
}

const char *format_double(double value, char *text)
{
    /* %g drops trailing zeros, so that 15 digits, where they suffice, are the fewest; only a
     * subnormal number has fewer digits than that to give. */
    int first = isnormal(value) ? 15 : 1;

    for (int n_digits = first; n_digits <= 17; n_digits++)
        if (format_survives(value, n_digits, text))
            break;
    return text;
}

const char *format_int64(int64_t value, char *text)
{
    char *at = text + FORMAT_INT64_BYTES - 1;
    uint64_t left = value < 0 ? -(uint64_t)value : (uint64_t)value;

    *at = '\0';
    do
        *--at = (char)('0' + left % 10);
    while ((left /= 10) > 0);
    if (value < 0)
        *--at = '-';
    return at;
}
