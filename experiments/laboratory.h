/* An experiment on placements that is computed and not run on a cluster: H1 …. NAME.ini holds it in
 * place of an experiment:
 *
 *     [laboratory]  name title question
 *                   measure (points, loads, absorption, failures)
 *                   placements hashes servers (blank-separated)   the points are their product
 *                   labels hash_labels (separated by |)           in place of the specs themselves
 *                   keys (ids, space)  draws changes zipf replicas cost
 *                   figure (plots/KIND.gp, several are allowed)  columns (of the printed table)
 *
 * Its result is a table, one row a point (points), or of each point one a server pair (absorption),
 * a stage (failures); of loads one a point, over all servers of all draws. result.json keeps it as
 * {"columns":[…],"rows":[[…],…]}, rows.tsv as text, and the figures' scripts get it as $rows. */
#ifndef QUOIT_EXPERIMENTS_LABORATORY_H
#define QUOIT_EXPERIMENTS_LABORATORY_H

#include <cjson/cJSON.h>

#include "core/arena.h"
#include "core/buf.h"
#include "core/err.h"
#include "experiments/runner.h"

#define LABORATORY_MAX_LIST 32
#define LABORATORY_MAX_COLUMNS 12

enum laboratory_measure {
    LABORATORY_POINTS,
    LABORATORY_LOADS,
    LABORATORY_ABSORPTION,
    LABORATORY_FAILURES
};

struct laboratory_list {
    const char *at[LABORATORY_MAX_LIST];
    size_t n;
};

/* Texts live in the arena. */
struct laboratory {
    struct arena arena;
    const char *name, *title, *question;
    int measure; /* enum laboratory_measure */
    const char *placements_text, *hashes_text, *servers_text;
    const char *labels_text, *hash_labels_text;
    const char *figure_text, *columns_text;
    int keys; /* enum ring_over */
    uint64_t n_draws, n_changes, n_replicas, n_sampled;
    double zipf;
    int cost; /* 1: timed too */
    struct laboratory_list placements, hashes, labels, hash_labels, figures, columns;
    uint64_t servers[LABORATORY_MAX_LIST];
    size_t n_servers;
    cJSON *texts; /* {"laboratory": {"key": "value"}} for the manifest */
};

/* 1 and a laboratory; 0 when the file holds none: its own reader will say; or a negative errno.
 * Overrides as experiment_read() takes them. Pair with laboratory_done(). */
int laboratory_read(const char *path, const char *const *overrides, size_t n_overrides,
                    struct laboratory *ret_laboratory, struct err *err);
/* Takes a zeroed one. */
void laboratory_done(struct laboratory *laboratory);

/* The result, for cJSON_Delete(); NULL with the reason, -EINTR after an interrupt. progress: NULL
 * for none. */
cJSON *laboratory_compute(const struct laboratory *laboratory, uint64_t seed, FILE *progress,
                          struct err *err);

/* What runner_run() does, of EXPERIMENTS/NAME.ini that holds a laboratory. */
int laboratory_run(const struct runner_config *config, struct laboratory *laboratory,
                   struct err *err);

/* For figure_print_variables(): $rows, and the arrays placement_label hash_label n_servers with the
 * numbers n_placements n_hashes n_sizes. */
void laboratory_print_variables(const cJSON *result, struct buf *out);
/* Whether a result is one of a laboratory. */
bool laboratory_is_result(const cJSON *result);

#endif
