/* report/index.html: every published result on one page that opens offline. Figures are inlined,
 * light and dark; nothing is loaded from anywhere. Made from report/ alone, byte for byte. */
#ifndef QUOIT_EXPERIMENTS_HTML_H
#define QUOIT_EXPERIMENTS_HTML_H

#include <stddef.h>

#include "core/buf.h"
#include "core/err.h"
#include "experiments/grid.h"

/* The page of all results in report_dir, by name, after checking each as report_print_block() does.
 * 0 and how many there are (none: nothing is appended); or a negative errno with the first flaw. */
int html_print_page(const char *report_dir, struct buf *out, size_t *ret_n, struct err *err);

/* The pieces. Text with & < > and quotes escaped. */
void html_print_text(const char *text, struct buf *out);
void html_print_table(const struct grid *grid, const char *caption, struct buf *out);
/* A stand-alone SVG as a part of a page: without prolog and namespaces, its ids and the references
 * to them prefixed, so that several do not meet. 0 or -EINVAL: there is no <svg> in it. */
int html_print_svg(const char *svg, const char *prefix, const char *label, struct buf *out);

#endif
