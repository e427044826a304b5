/* What is wrong with an experiment that no single key shows. */
#ifndef QUOIT_EXPERIMENTS_EXPERIMENT_CHECK_H
#define QUOIT_EXPERIMENTS_EXPERIMENT_CHECK_H

#include <stdbool.h>

#include "core/err.h"
#include "experiments/experiment.h"

/* Of a point: the parts exist and take their options, a database is asked for rows and nothing else
 * is. 0 or -EINVAL with the reason. */
int experiment_check_settings(const struct experiment_settings *settings, struct err *err);
/* The table is one that there can be. Likewise. */
int experiment_check_figure(const struct experiment *experiment,
                            const struct experiment_settings *settings, struct err *err);
/* Events need a load that lasts, and a table of events has events. Likewise. */
int experiment_check_events(const struct experiment *experiment,
                            const struct experiment_settings *settings, struct err *err);
/* Points are laid beside each other, so that they have the same numbers. */
bool experiment_is_alike(const struct experiment_settings *a, const struct experiment_settings *b);

#endif
