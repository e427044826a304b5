/* What the two files that read a side of a comparison share: compare_side.c (a result of `quoit
 * run`) and compare_loads.c (results of `quoit load`). */
#ifndef QUOIT_EXPERIMENTS_COMPARE_SIDE_H
#define QUOIT_EXPERIMENTS_COMPARE_SIDE_H

#include <cjson/cJSON.h>
#include <stddef.h>

#include "core/err.h"
#include "experiments/compare.h"

/* A metric that either kind of result has. */
struct compare_source {
    const char *name;
    const char *unit;
    enum compare_better better;
    const char *in_load;   /* object.key of a load's result */
    const char *in_result; /* of a point's "metrics"; NULL: computed */
};

#define COMPARE_N_SOURCES 7u
extern const struct compare_source compare_sources[COMPARE_N_SOURCES];

/* An empty point; n_more: metrics besides those of compare_sources. */
void compare_new_point(struct compare_side *side, struct compare_point *point, const char *label,
                       size_t n_more);
/* The point's next metric, with room for so many values; name and unit are borrowed. */
struct compare_values *compare_add_metric(struct compare_side *side, struct compare_point *point,
                                          size_t max_values, const char *name, const char *unit,
                                          enum compare_better better);
/* Passes over what is no finite number. */
void compare_add_value(struct compare_values *metric, double value);
/* A metric that nothing was measured of is none. */
void compare_drop_empty(struct compare_point *point);

/* Conditions: max is what side->conditions has room for. */

/* A scalar's text as it stands; NULL for what is none. */
const char *compare_scalar_text(struct compare_side *side, const cJSON *node);
/* Every scalar member but the ones named in `but`, which NULL ends, as PREFIX.KEY. */
void compare_add_conditions(struct compare_side *side, size_t max, const char *prefix,
                            const cJSON *object, const char *const *but);
/* The machine, the build and the libraries, from an object that has them as members. */
void compare_read_environment(struct compare_side *side, size_t max, const cJSON *environment);

/* -EBADMSG, with the verdict's first reason. */
int compare_refuse_invalid(const char *path, const cJSON *verdict, struct err *err);

/* As compare_open(): one load's result a path, each a sample. */
int compare_open_loads(struct compare_side *side, char *const *paths, size_t n, struct err *err);
/* Every .json of the folder side->path. */
int compare_open_loads_in(struct compare_side *side, struct err *err);

#endif
