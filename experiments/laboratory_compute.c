/* The rows of a laboratory's result. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/mem.h"
#include "experiments/child.h"
#include "experiments/laboratory.h"
#include "ring/figures.h"

/* One point, and where its rows go. */
struct point {
    const struct laboratory *lab;
    uint64_t seed;
    size_t p, h, s; /* which placement, hash, number of servers */
    struct ring_setup setup;
    struct ring_members members;
    struct ring_keys *keys;
    cJSON *columns, *rows;
    cJSON *row;    /* the one that is being filled */
    size_t column; /* its next cell */
};

/* ---- cells ---------------------------------------------------------------------------------- */

static void row_begin(struct point *point)
{
    point->row = cJSON_CreateArray();
    point->column = 0;
    cJSON_AddItemToArray(point->rows, point->row);
}

/* The first row names the columns. */
static void name_column(struct point *point, const char *name)
{
    if (cJSON_GetArraySize(point->columns) == (int)point->column)
        cJSON_AddItemToArray(point->columns, cJSON_CreateString(name));
    point->column++;
}

static void add(struct point *point, const char *name, double value)
{
    name_column(point, name);
    cJSON_AddItemToArray(point->row, json_double(value));
}

static void add_text(struct point *point, const char *name, const char *text)
{
    name_column(point, name);
    cJSON_AddItemToArray(point->row, cJSON_CreateString(text));
}

static void add_point(struct point *point)
{
    add(point, "p", (double)(point->p + 1));
    add(point, "h", (double)(point->h + 1));
    add(point, "s", (double)(point->s + 1));
    add_text(point, "placement", point->lab->labels.at[point->p]);
    add_text(point, "hash", point->lab->hash_labels.at[point->h]);
    add(point, "servers", (double)point->members.n);
}

/* ---- points --------------------------------------------------------------------------------- */

/* What of struct ring_figures becomes columns: doubles, in groups that are measured when asked for.
 */
enum group {
    GROUP_ALWAYS,
    GROUP_NAMES,
    GROUP_CHANGE,
    GROUP_ZIPF,
    GROUP_REPLICAS,
    GROUP_COST,
    N_GROUPS
};

static const struct {
    const char *name;
    size_t offset;
    enum group group;
} columns[] = {
    {"peak", offsetof(struct ring_figures, balance.peak), GROUP_ALWAYS},
    {"min", offsetof(struct ring_figures, balance.least), GROUP_ALWAYS},
    {"cov", offsetof(struct ring_figures, balance.cov), GROUP_ALWAYS},
    {"jain", offsetof(struct ring_figures, balance.jain), GROUP_ALWAYS},
    {"gini", offsetof(struct ring_figures, balance.gini), GROUP_ALWAYS},
    {"p_even", offsetof(struct ring_figures, balance.p), GROUP_ALWAYS},
    {"expected_cov", offsetof(struct ring_figures, expected_cov), GROUP_ALWAYS},
    {"names_peak", offsetof(struct ring_figures, names.peak.median), GROUP_NAMES},
    {"names_peak_least", offsetof(struct ring_figures, names.peak.least), GROUP_NAMES},
    {"names_peak_low", offsetof(struct ring_figures, names.peak.low), GROUP_NAMES},
    {"names_peak_high", offsetof(struct ring_figures, names.peak.high), GROUP_NAMES},
    {"names_peak_most", offsetof(struct ring_figures, names.peak.most), GROUP_NAMES},
    {"names_cov", offsetof(struct ring_figures, names.cov.median), GROUP_NAMES},
    {"names_cov_low", offsetof(struct ring_figures, names.cov.low), GROUP_NAMES},
    {"names_cov_high", offsetof(struct ring_figures, names.cov.high), GROUP_NAMES},
    {"join", offsetof(struct ring_figures, change.join.ratio.mean), GROUP_CHANGE},
    {"join_worst", offsetof(struct ring_figures, change.join.ratio.worst), GROUP_CHANGE},
    {"leave", offsetof(struct ring_figures, change.leave.ratio.mean), GROUP_CHANGE},
    {"leave_worst", offsetof(struct ring_figures, change.leave.ratio.worst), GROUP_CHANGE},
    {"fail", offsetof(struct ring_figures, change.fail.ratio.mean), GROUP_CHANGE},
    {"between", offsetof(struct ring_figures, change.leave.between.mean), GROUP_CHANGE},
    {"absorber", offsetof(struct ring_figures, change.leave.absorber.mean), GROUP_CHANGE},
    {"absorber_worst", offsetof(struct ring_figures, change.leave.absorber.worst), GROUP_CHANGE},
    {"peak_after", offsetof(struct ring_figures, change.leave.peak), GROUP_CHANGE},
    {"history", offsetof(struct ring_figures, change.history.mean), GROUP_CHANGE},
    {"zipf_peak", offsetof(struct ring_figures, popularity.peak_median), GROUP_ZIPF},
    {"primary_peak", offsetof(struct ring_figures, replicas.primary.peak), GROUP_REPLICAS},
    {"replica_peak", offsetof(struct ring_figures, replicas.all.peak), GROUP_REPLICAS},
    {"loss", offsetof(struct ring_figures, replicas.loss), GROUP_REPLICAS},
    {"hot_ns", offsetof(struct ring_figures, cost.hot_ns), GROUP_COST},
    {"batch_ns", offsetof(struct ring_figures, cost.batch_ns), GROUP_COST},
    {"cold_ns", offsetof(struct ring_figures, cost.cold_ns), GROUP_COST},
    {"build_us", offsetof(struct ring_figures, cost.build_us), GROUP_COST},
    {"resize_us", offsetof(struct ring_figures, cost.resize_us), GROUP_COST},
};

static void add_figures(struct point *point, const struct ring_figures *f)
{
    const bool measured[N_GROUPS] = {[GROUP_ALWAYS] = true,
                                     [GROUP_NAMES] = f->wants.n_draws > 0,
                                     [GROUP_CHANGE] = f->wants.n_changes > 0,
                                     [GROUP_ZIPF] = f->wants.zipf > 0,
                                     [GROUP_REPLICAS] = f->wants.n_replicas > 0,
                                     [GROUP_COST] = f->wants.cost};
    add(point, "exact", f->exact);
    add(point, "bytes", (double)f->bytes);
    add(point, "change_exact", measured[GROUP_CHANGE] && f->change.leave.exact);
    add(point, "copysets", measured[GROUP_REPLICAS] ? (double)f->replicas.n_copysets : NAN);
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        double value;
        memcpy(&value, (const char *)f + columns[i].offset, sizeof(value));
        add(point, columns[i].name, measured[columns[i].group] ? value : NAN);
    }
}

static int compute_point(struct point *point, struct err *err)
{
    const struct laboratory *lab = point->lab;
    struct ring_figures figures;
    const struct ring_wants wants = {.seed = point->seed,
                                     .n_changes = lab->n_changes,
                                     .n_draws = lab->n_draws,
                                     .zipf = lab->zipf,
                                     .n_replicas = lab->n_replicas,
                                     .cost = lab->cost};
    int rc =
        ring_figures_measure(&point->setup, &point->members, point->keys, &wants, &figures, err);
    if (rc != 0)
        return rc;
    row_begin(point);
    add_point(point);
    add_figures(point, &figures);
    return 0;
}

/* ---- loads ---------------------------------------------------------------------------------- */

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int compute_loads(struct point *point, struct err *err)
{
    static const struct {
        const char *name;
        double at;
    } quantiles[] = {{"low_99", 0.005},
                     {"low_50", 0.25},
                     {"median", 0.5},
                     {"high_50", 0.75},
                     {"high_99", 0.995}};
    size_t n = point->members.n, n_loads = n * point->lab->n_draws;
    double *loads = mem_zalloc(n_loads, sizeof(*loads));
    int rc = ring_names_loads(&point->setup, n, point->keys, point->lab->n_draws, point->seed,
                              loads, err);
    if (rc == 0) {
        double cov = stats_cov(loads, n_loads);
        qsort(loads, n_loads, sizeof(*loads), compare_doubles);
        row_begin(point);
        add_point(point);
        add(point, "draws", (double)point->lab->n_draws);
        add(point, "least", loads[0]);
        for (size_t q = 0; q < sizeof(quantiles) / sizeof(quantiles[0]); q++)
            add(point, quantiles[q].name,
                loads[(size_t)(quantiles[q].at * (double)(n_loads - 1) + 0.5)]);
        add(point, "most", loads[n_loads - 1]);
        add(point, "cov", cov);
    }
    free(loads);
    return rc;
}

/* ---- absorption ----------------------------------------------------------------------------- */

static int compute_absorption(struct point *point, struct err *err)
{
    struct ring_state state;
    size_t n = point->members.n;
    int rc = ring_state_build(&point->setup, &point->members, &state, err);
    if (rc != 0)
        return rc;
    double *matrix = mem_zalloc(n * n, sizeof(*matrix));
    rc = ring_absorption(&point->setup, &state, point->keys, matrix, err);
    for (size_t i = 0; i < n && rc == 0; i++)
        for (size_t j = 0; j < n; j++) {
            row_begin(point);
            add_point(point);
            add(point, "gone", (double)(i + 1));
            add(point, "survivor", (double)(j + 1));
            add(point, "part", i == j ? NAN : matrix[i * n + j]);
        }
    free(matrix);
    ring_state_done(&state);
    return rc;
}

/* ---- failures ------------------------------------------------------------------------------- */

static int compute_failures(struct point *point, struct err *err)
{
    struct ring_state state;
    struct ring_failures failures;
    if (point->members.n < 3)
        return err_set(err, -EINVAL, "two failures want three servers or more");
    int rc = ring_state_build(&point->setup, &point->members, &state, err);
    if (rc != 0)
        return rc;
    size_t n_changes = point->lab->n_changes ? point->lab->n_changes : point->members.n;
    rc = ring_failures_measure(&point->setup, &state, point->keys, n_changes, &failures, err);
    for (size_t stage = 0; stage < 3 && rc == 0; stage++) {
        row_begin(point);
        add_point(point);
        add(point, "failed", (double)stage);
        add(point, "peak_mean", failures.peak[stage].mean);
        add(point, "peak_worst", failures.peak[stage].worst);
        /* Of what a server had before: the mean itself has grown. */
        double grown = (double)point->members.n / (double)(point->members.n - stage);
        add(point, "load_mean", failures.peak[stage].mean * grown);
        add(point, "load_worst", failures.peak[stage].worst * grown);
    }
    ring_state_done(&state);
    return rc;
}

/* ---- all ------------------------------------------------------------------------------------ */

static int compute(struct point *point, struct err *err)
{
    const struct laboratory *lab = point->lab;
    int rc = ring_setup_parse(&point->setup, lab->placements.at[point->p], lab->hashes.at[point->h],
                              err);
    if (rc != 0)
        return rc;
    ring_members_count(&point->members, lab->servers[point->s]);
    if (lab->keys == RING_OVER_SPACE)
        ring_setup_even_requests(&point->setup);
    rc = lab->measure == LABORATORY_LOADS        ? compute_loads(point, err)
         : lab->measure == LABORATORY_ABSORPTION ? compute_absorption(point, err)
         : lab->measure == LABORATORY_FAILURES   ? compute_failures(point, err)
                                                 : compute_point(point, err);
    if (rc < 0)
        err_prefix(err, "%s over %s, %zu servers", point->setup.placement, point->setup.hash,
                   point->members.n);
    ring_members_done(&point->members);
    ring_setup_done(&point->setup);
    return rc;
}

static cJSON *texts_of(const struct laboratory_list *list)
{
    cJSON *texts = cJSON_CreateArray();
    for (size_t i = 0; i < list->n; i++)
        cJSON_AddItemToArray(texts, cJSON_CreateString(list->at[i]));
    return texts;
}

static cJSON *make_head(const struct laboratory *lab)
{
    cJSON *result = cJSON_CreateObject();
    cJSON_AddStringToObject(result, "name", lab->name);
    cJSON_AddStringToObject(result, "title", lab->title);
    cJSON_AddStringToObject(result, "question", lab->question);
    cJSON *about = cJSON_AddObjectToObject(result, "laboratory");
    cJSON_AddStringToObject(about, "keys", lab->keys == RING_OVER_SPACE ? "space" : "ids");
    json_add_uint64(about, "draws", lab->n_draws);
    json_add_uint64(about, "changes", lab->n_changes);
    cJSON_AddItemToObject(about, "placements", texts_of(&lab->labels));
    cJSON_AddItemToObject(about, "hashes", texts_of(&lab->hash_labels));
    cJSON *servers = cJSON_AddArrayToObject(about, "servers");
    for (size_t i = 0; i < lab->n_servers; i++)
        cJSON_AddItemToArray(servers, json_double((double)lab->servers[i]));
    return result;
}

cJSON *laboratory_compute(const struct laboratory *lab, uint64_t seed, FILE *progress,
                          struct err *err)
{
    struct ring_keys keys;
    int rc = 0;
    cJSON *result = make_head(lab);
    struct point point = {.lab = lab, .seed = seed, .keys = &keys};
    point.columns = cJSON_AddArrayToObject(result, "columns");
    point.rows = cJSON_AddArrayToObject(result, "rows");
    size_t n_points = lab->placements.n * lab->hashes.n * lab->n_servers, n_done = 0;
    ring_keys_init(&keys, (enum ring_over)lab->keys, lab->n_sampled, seed);
    for (point.p = 0; point.p < lab->placements.n && rc == 0; point.p++)
        for (point.h = 0; point.h < lab->hashes.n && rc == 0; point.h++)
            for (point.s = 0; point.s < lab->n_servers && rc == 0; point.s++) {
                rc = interrupt_came() ? err_set(err, -EINTR, "interrupted") : compute(&point, err);
                n_done++;
                if (progress && rc == 0)
                    fprintf(progress, "%s [%zu/%zu] %s over %s, %zu servers\n", lab->name, n_done,
                            n_points, lab->labels.at[point.p], lab->hash_labels.at[point.h],
                            (size_t)lab->servers[point.s]);
            }
    ring_keys_done(&keys);
    if (rc == 0)
        return result;
    cJSON_Delete(result);
    return NULL;
}
