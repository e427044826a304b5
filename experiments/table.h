/* What a result says in words and numbers: the table, and the lines below it. Both the terminal's
 * and the README's come from result.json alone. */
#ifndef QUOIT_EXPERIMENTS_TABLE_H
#define QUOIT_EXPERIMENTS_TABLE_H

#include <cjson/cJSON.h>

#include "core/buf.h"
#include "experiments/grid.h"

/* Fills a new grid with one row a server of every point, or one a point, as the result says.
 * Pair with grid_done(). */
void table_make(const cJSON *result, struct grid *ret_grid);
/* "N = 3 servers, 10000 requests a run, 5 repeats of each, medians with 95 % intervals". */
void table_print_conditions(const cJSON *result, struct buf *out);
/* For every point a line on skew and fit: "quadratic: busiest server 2.53 times an even share
 * (exactly 2.53); the counts fit the exact shares: χ² = 8.1, 10 degrees of freedom, p = 0.62". */
void table_print_fits(const cJSON *result, const char *line_start, struct buf *out);
/* "VALID", or "INVALID" and the reasons, then warnings; a line each. */
void table_print_verdict(const cJSON *result, struct buf *out);

/* The objections of lint.h, a line each; nothing where there are none. */
void table_print_lint(const cJSON *result, struct buf *out);

#endif
