/* quoit ring compare: placements × hashes × numbers of servers beside each other. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/ring.h"
#include "core/mem.h"
#include "experiments/grid.h"
#include "ring/figures.h"

/* One row: what was measured, or why it could not be. */
struct row {
    size_t n_servers;
    struct ring_setup setup;
    struct ring_figures figures;
    struct err err; /* code 0: measured */
};

struct comparison {
    char *placements[RING_MAX_LIST], *hashes[RING_MAX_LIST];
    uint64_t servers[RING_MAX_LIST];
    size_t n_placements, n_hashes, n_servers;
    struct ring_members ids; /* of --ids; n = 0: none */
    struct ring_keys keys;
    struct ring_wants wants;
    struct row *rows;
    size_t n_rows;
};

/* ---- options -------------------------------------------------------------------------------- */

static int add_word(char **words, size_t *n, char *word, struct err *err)
{
    if (*n == RING_MAX_LIST) {
        free(word);
        return err_set(err, -EINVAL, "more than %u at once", RING_MAX_LIST);
    }
    words[(*n)++] = word;
    return 0;
}

/* "A,B:k=v,k=v,C": a comma ends one where no k=v follows. "all": the whole family. */
static int split(const struct family *family, const char *list, char **words, size_t *n,
                 struct err *err)
{
    int rc = 0;
    if (strcmp(list, "all") == 0) {
        const struct part *parts[RING_MAX_LIST];
        size_t n_parts = family_list(family, parts, RING_MAX_LIST);
        for (size_t i = 0; i < n_parts && i < RING_MAX_LIST; i++)
            words[(*n)++] = mem_strdup(parts[i]->name);
        return 0;
    }
    for (const char *begin = list; rc == 0;) {
        const char *end = begin;
        for (;;) {
            end += strcspn(end, ",");
            if (*end == '\0')
                break;
            const char *next = end + 1;
            if (next[strcspn(next, ",:=/")] != '=')
                break;
            end = next;
        }
        rc = add_word(words, n, mem_strndup(begin, (size_t)(end - begin)), err);
        if (*end == '\0')
            break;
        begin = end + 1;
    }
    return rc;
}

static int parse(const struct ring_options *opts, struct comparison *c, struct err *err)
{
    int rc = split(&placement_family, opts->placement, c->placements, &c->n_placements, err);
    if (rc == 0)
        rc = split(&hash_family, opts->hash, c->hashes, &c->n_hashes, err);
    if (rc == 0 && opts->ids)
        rc = ring_members_parse(&c->ids, "--ids", opts->ids, err);
    c->servers[0] = opts->ids ? c->ids.n : 3;
    c->n_servers = 1;
    if (rc == 0 && opts->ids && opts->servers)
        rc = err_set(err, -EINVAL, "--servers or --ids, not both");
    if (rc == 0 && opts->servers)
        rc = ring_parse_servers(opts->servers, c->servers, &c->n_servers, err);
    if (rc == 0 && opts->weights && c->n_servers > 1)
        rc = err_set(err, -EINVAL, "--weights are of one number of servers");
    if (rc != 0)
        return rc;
    c->wants = (struct ring_wants){.seed = opts->seed,
                                   .n_changes = opts->n_changes,
                                   .n_draws = opts->weights ? 0 : opts->n_draws,
                                   .zipf = opts->zipf,
                                   .n_replicas = opts->n_replicas,
                                   .cost = opts->cost};
    ring_keys_init(&c->keys, (enum ring_over)opts->keys, opts->n_sampled, opts->seed);
    return 0;
}

static int make_members(const struct ring_options *opts, const struct comparison *c,
                        size_t n_servers, struct ring_members *members, struct err *err)
{
    if (c->ids.n > 0)
        ring_members_copy(members, &c->ids);
    else
        ring_members_count(members, n_servers);
    return opts->weights ? ring_members_weigh(members, opts->weights, err) : 0;
}

/* ---- measuring ------------------------------------------------------------------------------ */

/* Nonsense on the command line ends it all; a placement that cannot have these servers is a row
 * that says so. */
static int measure_row(const struct ring_options *opts, struct comparison *c, size_t p, size_t h,
                       size_t s, struct err *err)
{
    struct row *row = &c->rows[c->n_rows];
    struct ring_members members = {0};
    row->n_servers = c->servers[s];
    int rc = ring_setup_parse(&row->setup, c->placements[p], c->hashes[h], err);
    if (rc != 0)
        return rc;
    c->n_rows++;
    rc = make_members(opts, c, row->n_servers, &members, err);
    if (rc == 0 && ring_figures_measure(&row->setup, &members, &c->keys, &c->wants, &row->figures,
                                        &row->err) != 0)
        fprintf(stderr, "quoit ring: %s\n", row->err.message);
    ring_members_done(&members);
    return rc;
}

static int measure(const struct ring_options *opts, struct comparison *c, struct err *err)
{
    int rc = 0;
    c->rows = mem_zalloc(c->n_placements * c->n_hashes * c->n_servers, sizeof(*c->rows));
    for (size_t s = 0; s < c->n_servers; s++)
        for (size_t p = 0; p < c->n_placements; p++)
            for (size_t h = 0; h < c->n_hashes && rc == 0; h++)
                rc = measure_row(opts, c, p, h, s, err);
    return rc;
}

/* ---- printing ------------------------------------------------------------------------------- */

static void add_number(struct grid *grid, const char *unit, int digits, double value)
{
    if (isfinite(value))
        grid_add(grid, "%.*f%s", digits, value, unit);
    else
        grid_add(grid, "–");
}

/* p of counts is nearly never between: one digit tells. */
static void add_p(struct grid *grid, double p)
{
    if (!isfinite(p))
        grid_add(grid, "–");
    else if (p < 0.001)
        grid_add(grid, "< 0.001");
    else
        grid_add(grid, "%.3f", p);
}

static void add_balance_columns(struct grid *grid, const struct comparison *c)
{
    grid_add_column(grid, "peak/mean", true);
    grid_add_column(grid, "min/mean", true);
    grid_add_column(grid, "CoV", true);
    grid_add_column(grid, "Jain", true);
    grid_add_column(grid, "Gini", true);
    grid_add_column(grid, "χ², p", true);
    if (c->wants.n_draws) {
        grid_add_column(grid, "random names: peak/mean", true);
        grid_add_column(grid, "worst", true);
    }
    if (c->wants.zipf > 0)
        grid_add_column(grid, "Zipf: peak/mean", true);
}

static void add_balance(struct grid *grid, const struct comparison *c, const struct row *row)
{
    const struct ring_figures *f = &row->figures;
    add_number(grid, "", 3, f->balance.peak);
    add_number(grid, "", 3, f->balance.least);
    add_number(grid, "", 4, f->balance.cov);
    add_number(grid, "", 4, f->balance.jain);
    add_number(grid, "", 4, f->balance.gini);
    add_p(grid, f->balance.p);
    if (c->wants.n_draws) {
        add_number(grid, "", 3, f->names.peak.median);
        add_number(grid, "", 3, f->names.peak.most);
    }
    if (c->wants.zipf > 0)
        add_number(grid, "", 3, f->popularity.peak_median);
}

static void add_change_columns(struct grid *grid, const struct comparison *c)
{
    (void)c;
    grid_add_column(grid, "join: moved/optimum", true);
    grid_add_column(grid, "leave", true);
    grid_add_column(grid, "worst", true);
    grid_add_column(grid, "fail", true);
    grid_add_column(grid, "between survivors", true);
    grid_add_column(grid, "absorber", true);
    grid_add_column(grid, "worst", true);
    grid_add_column(grid, "peak/mean then", true);
    grid_add_column(grid, "history", true);
}

static void add_change(struct grid *grid, const struct comparison *c, const struct row *row)
{
    (void)c;
    const struct ring_change *change = &row->figures.change;
    add_number(grid, "", 3, change->join.ratio.mean);
    add_number(grid, "", 3, change->leave.ratio.mean);
    add_number(grid, "", 3, change->leave.ratio.worst);
    add_number(grid, "", 3, change->fail.ratio.mean);
    add_number(grid, " %", 2, 100 * change->leave.between.mean);
    add_number(grid, "", 2, change->leave.absorber.mean);
    add_number(grid, "", 2, change->leave.absorber.worst);
    add_number(grid, "", 3, change->leave.n > 0 ? change->leave.peak : NAN);
    add_number(grid, " %", 2, 100 * change->history.mean);
}

static void add_replica_columns(struct grid *grid, const struct comparison *c)
{
    (void)c;
    grid_add_column(grid, "primaries: peak/mean", true);
    grid_add_column(grid, "all replicas", true);
    grid_add_column(grid, "copysets", true);
    grid_add_column(grid, "possible", true);
    grid_add_column(grid, "loss", true);
    grid_add_column(grid, "scatter", true);
}

static void add_replicas(struct grid *grid, const struct comparison *c, const struct row *row)
{
    (void)c;
    const struct ring_replicas *replicas = &row->figures.replicas;
    add_number(grid, "", 3, replicas->primary.peak);
    add_number(grid, "", 3, replicas->all.peak);
    grid_add(grid, "%zu", replicas->n_copysets);
    add_number(grid, "", 0, replicas->n_possible);
    add_number(grid, " %", 2, 100 * replicas->loss);
    add_number(grid, "", 1, replicas->scatter_mean);
}

static void add_cost_columns(struct grid *grid, const struct comparison *c)
{
    (void)c;
    grid_add_column(grid, "hot, ns", true);
    grid_add_column(grid, "batch, ns", true);
    grid_add_column(grid, "cold, ns", true);
    grid_add_column(grid, "bytes", true);
    grid_add_column(grid, "build, µs", true);
    grid_add_column(grid, "one more, µs", true);
}

static void add_cost(struct grid *grid, const struct comparison *c, const struct row *row)
{
    (void)c;
    const struct ring_cost *cost = &row->figures.cost;
    add_number(grid, "", 1, cost->hot_ns);
    add_number(grid, "", 1, cost->batch_ns);
    add_number(grid, "", 0, cost->cold_ns);
    grid_add(grid, "%zu", cost->bytes);
    add_number(grid, "", 1, cost->build_us);
    add_number(grid, "", 1, cost->resize_us);
}

static void print_table(const struct comparison *c, const char *heading,
                        void (*add_columns)(struct grid *, const struct comparison *),
                        void (*add_cells)(struct grid *, const struct comparison *,
                                          const struct row *))
{
    struct grid grid;
    struct buf out;
    size_t n_rows = 0;
    grid_init(&grid);
    grid_add_column(&grid, "placement", false);
    grid_add_column(&grid, "hash", false);
    if (c->n_servers > 1)
        grid_add_column(&grid, "N", true);
    add_columns(&grid, c);
    for (size_t i = 0; i < c->n_rows; i++) {
        const struct row *row = &c->rows[i];
        if (row->err.code != 0)
            continue;
        grid_add(&grid, "%s", row->setup.placement);
        grid_add(&grid, "%s", row->setup.hash);
        if (c->n_servers > 1)
            grid_add(&grid, "%zu", row->n_servers);
        add_cells(&grid, c, row);
        n_rows++;
    }
    buf_init(&out, 0);
    buf_appendf(&out, "\n%s\n\n", heading);
    if (n_rows > 0)
        grid_print(&grid, &out);
    fputs(buf_str(&out), stdout);
    buf_done(&out);
    grid_done(&grid);
}

static void print_text(const struct comparison *c)
{
    char keys[64], text[160];
    if (c->n_servers == 1)
        printf("%zu servers, ", (size_t)c->servers[0]);
    printf("%s\n", ring_keys_text(&c->keys, keys, sizeof(keys)));
    if (c->wants.n_draws)
        snprintf(text, sizeof(text), "Balance (random names: median and worst of %zu sets)",
                 c->wants.n_draws);
    else
        snprintf(text, sizeof(text), "Balance");
    print_table(c, text, add_balance_columns, add_balance);
    if (c->wants.n_changes) {
        snprintf(text, sizeof(text), "Change (means of up to %zu each)", c->wants.n_changes);
        print_table(c, text, add_change_columns, add_change);
    }
    if (c->wants.n_replicas) {
        snprintf(text, sizeof(text),
                 "Replicas (%zu of each key; loss: a key, when as many servers fail at once)",
                 c->wants.n_replicas);
        print_table(c, text, add_replica_columns, add_replicas);
    }
    if (c->wants.cost)
        print_table(c, "Cost (measured here and now)", add_cost_columns, add_cost);
}

static int print_json(const struct comparison *c)
{
    char keys[64];
    cJSON *tree = cJSON_CreateObject();
    cJSON_AddStringToObject(tree, "over", ring_keys_text(&c->keys, keys, sizeof(keys)));
    cJSON *rows = cJSON_AddArrayToObject(tree, "rows");
    for (size_t i = 0; i < c->n_rows; i++) {
        const struct row *row = &c->rows[i];
        cJSON *object;
        if (row->err.code == 0) {
            object = ring_figures_json(&row->setup, &c->keys, &row->figures);
        } else {
            object = cJSON_CreateObject();
            cJSON_AddStringToObject(object, "placement", row->setup.placement);
            cJSON_AddStringToObject(object, "hash", row->setup.hash);
            json_add_uint64(object, "servers", row->n_servers);
            cJSON_AddStringToObject(object, "error", row->err.message);
        }
        cJSON_AddItemToArray(rows, object);
    }
    return ring_print_json(tree);
}

static void comparison_done(struct comparison *c)
{
    for (size_t i = 0; i < c->n_placements; i++)
        free(c->placements[i]);
    for (size_t i = 0; i < c->n_hashes; i++)
        free(c->hashes[i]);
    for (size_t i = 0; i < c->n_rows; i++)
        ring_setup_done(&c->rows[i].setup);
    free(c->rows);
    ring_members_done(&c->ids);
    ring_keys_done(&c->keys);
}

int ring_run_compare(const struct ring_options *opts)
{
    struct comparison *c = mem_zalloc(1, sizeof(*c));
    struct err err = {0};
    int code = EXIT_OK, rc = parse(opts, c, &err);
    if (rc == 0)
        rc = measure(opts, c, &err);
    if (rc == 0 && opts->json)
        code = print_json(c);
    else if (rc == 0)
        print_text(c);
    comparison_done(c);
    free(c);
    return rc == 0 ? code : cli_usage_error(&ring_verb, "%s", err.message);
}
