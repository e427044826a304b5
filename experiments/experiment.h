/* An experiment: the question, the cluster, the load, what varies, how it is drawn. Data, read from
 * an INI file; the runner knows none of them by name.
 *
 *     [experiment]  name title question repeats measures
 *     [cluster]     servers placement hash threads spawner service_time
 *                   shards replicas shard_size store grow: of a database
 *     [load]        requests duration in_flight rate arrivals client threads warmup steady_percent
 *                   steady_windows path
 *                   workload, or write and read, keys, preload: of a database
 *     [axis]        vary (SECTION.KEY)  values (blank-separated)  labels (separated by |)
 *     [axis2]       the same: the points are then the product, [axis2] turning fastest
 *     [published]   LABEL = WRITES READS: what others measured, in requests/s, for the figure
 *     [events]      at TIME = what is done to the cluster then (events.h)
 *     [figure]      kind (plots/KIND.gp, several are allowed)  table (servers, points, events,
 * steps)
 *
 * With shards the cluster is a database (layout.h): /init puts `replicas` copies of each of
 * `shards` shards of `shard_size` keys on `servers` servers, which keep them in `store`; then
 * `preload` rows are written; then it grows by /add to the shape that `grow` says, "10/6/8" being
 * 10 servers, 6 shards, 8 replicas. What is measured is `workload`, or first `write` and then
 * `read` in the same cluster (either may be missing), each a `quoit load --workload` with all the
 * settings of [load]. In the end the preloaded rows must be there.
 *
 * An axis may vary several keys at once: `vary = cluster.servers,cluster.replicas` takes values
 * such as 7,7.
 *
 * Every key is a row of an option table (core/option.h); a key that is unknown, twice there or of a
 * bad value is an error that names file, line and what was probably meant. An indented line goes on
 * with the value above it. */
#ifndef QUOIT_EXPERIMENTS_EXPERIMENT_H
#define QUOIT_EXPERIMENTS_EXPERIMENT_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/err.h"
#include "experiments/events.h"
#include "experiments/layout.h"

#define EXPERIMENT_MAX_AXES 2
#define EXPERIMENT_MAX_VALUES 32
#define EXPERIMENT_MAX_SERVERS 64
#define EXPERIMENT_MAX_KINDS 8
#define EXPERIMENT_MAX_VARIED 4 /* keys of one axis */
#define EXPERIMENT_MAX_PUBLISHED 8
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
    uint64_t service_ns; /* of each GET /home, one at a time a server; 0: at once */
    uint64_t shards;     /* 0: no database, and the rest is nothing */
    uint64_t replicas;
    uint64_t shard_size; /* keys; by experiment_point() when it was not said */
    const char *store;   /* a store_family spec */
    const char *grow;    /* layout_parse_shape() takes it; NULL: it stays as it was made */
};

/* Keys low … low + n − 1. n is 0 where the workload says so itself, or nobody can. */
struct experiment_range {
    uint64_t low, n;
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
    const char *workload; /* of workload_family; NULL: `path` is asked for, or write and read are */
    const char *write;    /* the same, of the two phases */
    const char *read;
    const char *keys; /* of keys_family: which keys they read and change; NULL: uniformly any */
    uint64_t preload; /* rows of keys 0 … preload − 1, written before the cluster grows */
    /* By experiment_point(): what is written, and what is read or mixed. */
    struct experiment_range write_keys, other_keys;
};

/* What may vary: the settings of one point. Copied by value. */
struct experiment_settings {
    struct experiment_cluster cluster;
    struct experiment_load load;
};

struct experiment_axis {
    const char *vary; /* "cluster.hash", or several joined by ','; NULL = there is no such axis */
    const char *values_text;
    const char *labels_text; /* NULL = the values are their own labels */
    const char *keys[EXPERIMENT_MAX_VARIED];
    size_t n_keys;
    const char *values[EXPERIMENT_MAX_VALUES];
    const char *parts[EXPERIMENT_MAX_VALUES][EXPERIMENT_MAX_VARIED]; /* of a value, one a key */
    const char *labels[EXPERIMENT_MAX_VALUES];
    size_t n_values;
};

struct experiment_figure {
    const char *kind_text;
    int table; /* enum experiment_table */
    const char *kinds[EXPERIMENT_MAX_KINDS];
    size_t n_kinds;
};

/* What others measured: a row of the table, a mark in the figure. */
struct experiment_published {
    const char *label;
    double write, read; /* requests/s */
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
    struct experiment_published published[EXPERIMENT_MAX_PUBLISHED];
    size_t n_published;
    const char *left_out[EXPERIMENT_MAX_VALUES]; /* values of axes that this machine cannot have */
    size_t n_left_out;
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
/* Servers, shards and replicas once it has grown; of a database. */
struct layout_shape experiment_shape(const struct experiment_cluster *cluster);

/* What `rows=N` in a workload's text says; 1 without it. */
uint64_t experiment_rows_a_request(const char *workload);
/* It says which keys. */
bool experiment_says_ids(const char *workload);

/* The store keeps no rows (STORE_FORGETS): nobody can look for them afterwards. */
bool experiment_store_forgets(const struct experiment_cluster *cluster);

static inline bool experiment_has_database(const struct experiment_settings *settings)
{
    return settings->cluster.shards > 0;
}

#endif
