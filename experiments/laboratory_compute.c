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

static void add_balance(struct point *point, const struct ring_figures *f)
{
    add(point, "exact", f->exact);
    add(point, "peak", f->balance.peak);
    add(point, "min", f->balance.least);
    add(point, "cov", f->balance.cov);
    add(point, "jain", f->balance.jain);
    add(point, "gini", f->balance.gini);
    add(point, "p_even", f->balance.p);
    add(point, "expected_cov", f->expected_cov);
    add(point, "bytes", (double)f->bytes);
}

static void add_names(struct point *point, const struct ring_figures *f)
{
    bool drawn = f->wants.n_draws > 0;
    add(point, "names_peak", drawn ? f->names.peak.median : NAN);
    add(point, "names_peak_least", drawn ? f->names.peak.least : NAN);
    add(point, "names_peak_low", drawn ? f->names.peak.low : NAN);
    add(point, "names_peak_high", drawn ? f->names.peak.high : NAN);
    add(point, "names_peak_most", drawn ? f->names.peak.most : NAN);
    add(point, "names_cov", drawn ? f->names.cov.median : NAN);
    add(point, "names_cov_low", drawn ? f->names.cov.low : NAN);
    add(point, "names_cov_high", drawn ? f->names.cov.high : NAN);
}

static void add_change(struct point *point, const struct ring_figures *f)
{
    bool changed = f->wants.n_changes > 0;
    const struct ring_change *change = &f->change;
    add(point, "join", changed ? change->join.ratio.mean : NAN);
    add(point, "join_worst", changed ? change->join.ratio.worst : NAN);
    add(point, "leave", changed ? change->leave.ratio.mean : NAN);
    add(point, "leave_worst", changed ? change->leave.ratio.worst : NAN);
    add(point, "fail", changed ? change->fail.ratio.mean : NAN);
    add(point, "between", changed ? change->leave.between.mean : NAN);
    add(point, "absorber", changed ? change->leave.absorber.mean : NAN);
    add(point, "absorber_worst", changed ? change->leave.absorber.worst : NAN);
    add(point, "peak_after", changed ? change->leave.peak : NAN);
    add(point, "history", changed ? change->history.mean : NAN);
    add(point, "change_exact", changed && change->leave.exact);
}

static void add_rest(struct point *point, const struct ring_figures *f)
{
    const struct ring_replicas *replicas = &f->replicas;
    bool has_replicas = f->wants.n_replicas > 0, cost = f->wants.cost;
    add(point, "zipf_peak", f->wants.zipf > 0 ? f->popularity.peak_median : NAN);
    add(point, "primary_peak", has_replicas ? replicas->primary.peak : NAN);
    add(point, "replica_peak", has_replicas ? replicas->all.peak : NAN);
    add(point, "copysets", has_replicas ? (double)replicas->n_copysets : NAN);
    add(point, "loss", has_replicas ? replicas->loss : NAN);
    add(point, "hot_ns", cost ? f->cost.hot_ns : NAN);
    add(point, "batch_ns", cost ? f->cost.batch_ns : NAN);
    add(point, "cold_ns", cost ? f->cost.cold_ns : NAN);
    add(point, "build_us", cost ? f->cost.build_us : NAN);
    add(point, "resize_us", cost ? f->cost.resize_us : NAN);
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
    add_balance(point, &figures);
    add_names(point, &figures);
    add_change(point, &figures);
    add_rest(point, &figures);
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
