/* The sections of an experiment's INI and their keys: an option table each (core/option.h). */
#ifndef QUOIT_EXPERIMENTS_EXPERIMENT_KEYS_H
#define QUOIT_EXPERIMENTS_EXPERIMENT_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"
#include "core/option.h"
#include "experiments/experiment.h"

/* Not among them: their keys are times, and labels. */
#define EVENTS_SECTION "events"
#define PUBLISHED_SECTION "published"

/* Where a section's values go; varies: an axis may change its keys. */
struct section {
    const char *name;
    const struct option_def *options;
    size_t offset; /* in struct experiment */
    bool varies;
};

/* Ended by a NULL name. */
extern const struct section experiment_sections[];

/* NULL: there is none of that name. */
const struct section *section_find(const char *name, size_t n);
/* Both return -EINVAL, with what there is and what was probably meant. */
int section_fail_unknown(const char *name, struct err *err);
int section_fail_unknown_key(const struct section *section, const char *key, struct err *err);
/* "cluster.hash" → its section and row. 0 or -EINVAL as above. */
int setting_find(const char *dotted, const struct section **ret_section,
                 const struct option_def **ret_def, struct err *err);

#endif
