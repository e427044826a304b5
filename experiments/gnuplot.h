/* Values in gnuplot's text. */
#ifndef QUOIT_EXPERIMENTS_GNUPLOT_H
#define QUOIT_EXPERIMENTS_GNUPLOT_H

#include "core/buf.h"

/* In single quotes: gnuplot runs what stands in backquotes, but not inside these. An apostrophe,
 * which would end them, becomes a typographic one; control characters become blanks. */
void gnuplot_print_text(const char *text, struct buf *out);
/* NaN for what is not finite. */
void gnuplot_print_number(double value, struct buf *out);

#endif
