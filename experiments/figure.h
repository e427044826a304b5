/* Figures: a result's numbers handed to gnuplot, one script a kind (plots/KIND.gp), one theme file.
 *
 * gnuplot reads, in this order: the variables written here, plots/theme.gp, plots/KIND.gp. The
 * variables hold everything a script may draw, so that a new kind is a new script and nothing else:
 *
 *     name title question measures    texts
 *     theme output                    'light' or 'dark', the file to write
 *     requests repeats confidence     numbers
 *     n_points n_axes                 numbers
 *     label1 label2 value1 value2     arrays of texts, one element a point ('' without that axis)
 *     n_servers point_requests peak_exact peak_median least_exact most_exact fit_p
 *                                     arrays of numbers, one element a point
 *     $servers   one row a server of a point, columns by name: point server name share expected
 *                median low high min max
 *     $points    one row a point, columns by name: point n_servers requests, and of every metric M
 *                of sample_metrics[], as of least, most (counts of one
 *                server) and peak (most/mean): M_median M_low M_high M_min M_max
 *     conditions shape ratio_write …   of databases: database_outcome.h
 *     $timeline $events $steps …   of an experiment with events: course_outcome.h, healing.h
 *
 * The same result gives the same bytes. */
#ifndef QUOIT_EXPERIMENTS_FIGURE_H
#define QUOIT_EXPERIMENTS_FIGURE_H

#include <cjson/cJSON.h>

#include "core/buf.h"
#include "core/err.h"

/* "5.4 patchlevel 4" as a new string; NULL with the reason when gnuplot cannot be run. */
char *figure_gnuplot_version(const char *scratch_dir, struct err *err);
/* The script of that kind is there. 0 or -ENOENT naming its path. */
int figure_check_kind(const char *plots_dir, const char *kind, struct err *err);
/* The variables, as gnuplot's text. */
void figure_print_variables(const cJSON *result, const char *theme, const char *output,
                            struct buf *out);
/* Draws one figure into ret_svg. scratch_dir: an empty folder to work in, left as it was. 0 or a
 * negative errno with what gnuplot said. */
int figure_draw(const cJSON *result, const char *plots_dir, const char *kind, const char *theme,
                const char *scratch_dir, struct buf *ret_svg, struct err *err);

#endif
