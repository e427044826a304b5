/* Stores that this machine cannot have: a value of an axis whose store needs a program that is not
 * installed is left out, and said to be, rather than failing all the others. */
#ifndef QUOIT_EXPERIMENTS_AVAILABILITY_H
#define QUOIT_EXPERIMENTS_AVAILABILITY_H

#include "core/err.h"
#include "experiments/experiment.h"

/* 0, or -ENOENT with the reason: `quoit lb --store STORE` needs what is not installed. */
int availability_check_store(const char *store, struct err *err);
/* Takes such values off the axes, into left_out. check: as above. 0; or -ENOENT with the reason,
 * nothing changed: no value would remain, or the store does not vary. */
int availability_trim(struct experiment *experiment, int (*check)(const char *store, struct err *),
                      struct err *err);

#endif
