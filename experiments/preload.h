/* Rows that are in the database before what is measured begins, and must be in it when all is done:
 * written and read back by `quoit load`, which proves every one of them. */
#ifndef QUOIT_EXPERIMENTS_PRELOAD_H
#define QUOIT_EXPERIMENTS_PRELOAD_H

#include "core/err.h"
#include "experiments/sample.h"

/* Writes load.preload rows, if any, of the keys from 0 on. Rows that could not be written are the
 * sample's doubt; 0, -EINTR, or a negative errno when it could not be tried. */
int preload_write(const struct sample_config *config, const char *address, struct sample *sample,
                  struct err *err);
/* Reads them all, likewise, unless the store is one that keeps none. */
int preload_check(const struct sample_config *config, const char *address, struct sample *sample,
                  struct err *err);

#endif
