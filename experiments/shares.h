/* The exact share of requests each server of a cluster gets: every one of the 900000 request ids is
 * asked, nothing is sampled (CONTRACT.md, Names, ids, hashing). */
#ifndef QUOIT_EXPERIMENTS_SHARES_H
#define QUOIT_EXPERIMENTS_SHARES_H

#include "core/err.h"
#include "experiments/experiment.h"

/* Shares of Server1 … ServerN with ids 1 … N, into shares[settings->servers]; they sum to 1. 0 or
 * -EINVAL with the reason. */
int shares_exact(const struct experiment_cluster *settings, double *shares, struct err *err);

#endif
