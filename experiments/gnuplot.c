#include "experiments/gnuplot.h"

#include <math.h>

#include "core/format.h"

void gnuplot_print_text(const char *text, struct buf *out)
{
    buf_append_str(out, "'");
    for (; *text; text++) {
        if (*text == '\'')
            buf_append_str(out, "’");
        else
            buf_append(out, (unsigned char)*text < ' ' ? " " : text, 1);
    }
    buf_append_str(out, "'");
}

void gnuplot_print_number(double value, struct buf *out)
{
    char text[FORMAT_DOUBLE_BYTES];
    buf_append_str(out, isfinite(value) ? format_double(value, text) : "NaN");
}
