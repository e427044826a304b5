/* Warm-up until the throughput is steady: short loads whose rates are compared, before the one that
 * counts.
 *
 * Caches, allocators, the CPU's frequency and what else the machine does settle in a time that no
 * fixed number of requests knows. So windows of load.warmup requests are sent until three in a row
 * lie within load.steady_percent of each other, at most load.steady_windows of them. */
#ifndef QUOIT_EXPERIMENTS_WARMUP_H
#define QUOIT_EXPERIMENTS_WARMUP_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"
#include "experiments/sample.h"

#define WARMUP_IN_A_ROW 3

/* The last three of n rates lie within percent of their mean of each other. */
bool warmup_is_steady(const double *rates, size_t n, double percent);
/* Loads the cluster at address as settings say; returns at once when load.steady_percent is 0.
 * Fills n_windows and unsteady of the sample. 0; -EINTR when interrupted; else a negative errno
 * with the reason. */
int warmup_run(const struct sample_config *config, const char *address, struct sample *sample,
               struct err *err);

#endif
