/* An experiment: the question, the cluster, the load, what varies, how it is drawn. Data, read from
 * an INI file; the runner knows none of them by name.
 *
 *     [experiment]  name title question repeats measures
 *     [cluster]     servers placement hash threads spawner
 *     [load]        requests duration in_flight rate arrivals client threads warmup steady_percent
 *                   steady_windows path
 *     [axis]        vary (SECTION.KEY)  values (blank-separated)  labels (separated by |)
 *     [axis2]       the same: the points are then the product, [axis2] turning fastest
 *     [events]      at TIME = what is done to the cluster then (events.h)
 *     [figure]      kind (plots/KIND.gp, several are allowed)  table (servers, points, events,
 * steps)
 *
 * Every key is a row of an option table (core/option.h); a key that is unknown, twice there or of a
 * bad value is an error that names file, line and what was probably meant. An indented line goes on
 * with the value above it. */
#ifndef QUOIT_EXPERIMENTS_EXPERIMENT_H
#define QUOIT_EXPERIMENTS_EXPERIMENT_H

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/err.h"
#include "experiments/events.h"

#define EXPERIMENT_MAX_AXES 2
#define EXPERIMENT_MAX_VALUES 32
#define EXPERIMENT_MAX_SERVERS 64
#define EXPERIMENT_MAX_KINDS 8
#define EXPERIMENT_MAX_WINDOWS 32
#define EXPERIMENT_MAX_SAMPLES 5000
#define EXPERIMENT_MAX_FILE_BYTES (64 * 1024)

enum experiment_measures {
    MEASURES_RATES, /* throughput and latency: a saturated generator makes the run INVALID */
    MEASURES_COUNTS /* who answered what: a saturated generator is only worth a warning */
};

enum experiment_table { TABLE_SERVERS, TABLE_POINTS, TABLE_EVENTS, TABLE_STEPS };

enum experiment_arrivals { EXPERIMENT_CONSTANT, EXPERIMENT_POISSON };

struct experiment_about {
    const char *name;
    const char *title;
    const char *question;
    uint64_t repeats;
    int measures;  /* enum experiment_measures */
    int endpoints; /* 1: every endpoint is asked first and its answer checked */
};

struct experiment_cluster {
    uint64_t servers;
    uint64_t threads;
    const char *placement;
    const char *hash;
    const char *spawner;
};

struct experiment_load {
    uint64_t requests;    /* 0 with a duration */
    uint64_t duration_ns; /* 0: until all requests are sent */
    uint64_t in_flight;
    double rate;             /* requests/s of an open loop; 0: closed loop */
    int arrivals;            /* enum experiment_arrivals, of an open loop */
    const char *client;      /* of client_family */
    uint64_t threads;        /* of the load generator */
    uint64_t warmup;         /* requests sent before those that count */
    uint64_t steady_percent; /* see warmup.h; 0 = the warm-up has one length */
    uint64_t steady_windows;
    const char *path;
};

/* What may vary: the settings of one point. Copied by value. */
struct experiment_settings {
    struct experiment_cluster cluster;
    struct experiment_load load;
};

struct experiment_axis {
    const char *vary; /* "cluster.hash"; NULL = the experiment has no such axis */
    const char *values_text;
    const char *labels_text; /* NULL = the values are their own labels */
    const char *values[EXPERIMENT_MAX_VALUES];
    const char *labels[EXPERIMENT_MAX_VALUES];
    size_t n_values;
};

struct experiment_figure {
    const char *kind_text;
    int table; /* enum experiment_table */
    const char *kinds[EXPERIMENT_MAX_KINDS];
    size_t n_kinds;
};

/* All texts live in the arena. Not to be moved once parsed: nothing points inward, but the arena
 * has one owner. */
struct experiment {
    struct arena arena;
    struct experiment_about about;
    struct experiment_settings settings; /* before the axes change them */
    struct experiment_axis axes[EXPERIMENT_MAX_AXES];
    size_t n_axes;
    struct event_list events; /* empty: the cluster is left alone */
    struct experiment_figure figure;
    cJSON *texts; /* {"section": {"key": "value as given or the default"}} for the manifest */
};

/* Parses n bytes of INI; origin names them in errors. overrides: n_overrides texts
 * "SECTION.KEY=VALUE" that take the place of what the file says. 0 or a negative errno; on failure
 * there is nothing to free. Pair with experiment_done(). */
int experiment_parse(const char *text, size_t n, const char *origin, const char *const *overrides,
                     size_t n_overrides, struct experiment *ret_experiment, struct err *err);
/* The same of a file. */
int experiment_read(const char *path, const char *const *overrides, size_t n_overrides,
                    struct experiment *ret_experiment, struct err *err);
/* Takes a zeroed one. */
void experiment_done(struct experiment *experiment);

/* The product of the axes; 1 without an axis. */
size_t experiment_n_points(const struct experiment *experiment);
/* Which value of the axis a point has. */
size_t experiment_value_index(const struct experiment *experiment, size_t point, size_t axis);
/* The settings of one point, axes applied. */
void experiment_point(const struct experiment *experiment, size_t point,
                      struct experiment_settings *ret_settings);

#endif
