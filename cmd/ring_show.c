/* quoit ring show, lint. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/ring.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/style.h"
#include "ctl/circle.h"
#include "ring/lint.h"
#include "ring/names.h"
#include "ring/svg.h"

#define N_POINTS 4096u
#define GAP 3 /* columns between circle and legend */

struct show {
    struct ring_job job;
    struct ring_state state;
    double *shares; /* of the request ids */
    double *circle; /* of the circle itself */
};

static int compute(const struct ring_options *opts, struct show *show, struct err *err)
{
    struct ring_keys keys;
    int rc = ring_job_parse(opts, &show->job, err);
    if (rc == 0 && !ring_setup_ops(&show->job.setup)->owner_at)
        rc = err_set(err, -EINVAL,
                     "show: %s has no circle to show; 'quoit ring shares' tells what each has",
                     show->job.setup.spec.part->name);
    if (rc == 0)
        rc = ring_state_build(&show->job.setup, &show->job.members, &show->state, err);
    if (rc != 0)
        return rc;
    size_t n = show->job.members.n;
    uint64_t *counts = mem_zalloc(n, sizeof(*counts));
    show->shares = mem_zalloc(n, sizeof(*show->shares));
    show->circle = mem_zalloc(n, sizeof(*show->circle));
    ring_keys_init(&keys, RING_OVER_IDS, 0, 1);
    ring_shares_of(&keys, show->state.placement, show->shares, counts);
    ring_keys_done(&keys);
    free(counts);
    show->state.placement->ops->shares(show->state.placement, show->circle);
    return 0;
}

static void print_circle(const struct show *show)
{
    struct style style;
    struct buf lines[CIRCLE_ROWS];
    const struct ring_members *members = &show->job.members;
    const struct placement *placement = show->state.placement;
    uint32_t *points = mem_zalloc(N_POINTS, sizeof(*points));
    char *servers = mem_printf("%zu server%s", members->n, members->n == 1 ? "" : "s");
    const char *const centre[] = {show->job.setup.spec.part->name, servers, NULL};
    style_init(&style, stdout);
    enum circle_look look = circle_look_for(&style, members->n);
    for (unsigned i = 0; i < N_POINTS; i++)
        points[i] = placement->ops->owner_at(placement, (i + 0.5) / N_POINTS);
    for (size_t i = 0; i < CIRCLE_ROWS; i++)
        buf_init(&lines[i], 0);
    circle_draw(points, N_POINTS, look, centre, lines);
    /* The legend beside it, and below it when it is longer. */
    for (size_t i = 0; i < CIRCLE_ROWS || i < members->n + 1; i++) {
        struct buf key;
        buf_init(&key, 0);
        printf("%-*s%*s", i < CIRCLE_ROWS ? 0 : CIRCLE_COLUMNS,
               i < CIRCLE_ROWS ? buf_str(&lines[i]) : "", GAP, "");
        if (i == 0) {
            printf("  %-24s %9s %9s", "server", "requests", "circle");
        } else if (i <= members->n) {
            circle_append_key(&key, look, i - 1);
            printf("%s %-24s %8.3f%% %8.3f%%", buf_str(&key), members->names[i - 1],
                   100 * show->shares[i - 1], 100 * show->circle[i - 1]);
        }
        printf("\n");
        buf_done(&key);
    }
    for (size_t i = 0; i < CIRCLE_ROWS; i++)
        buf_done(&lines[i]);
    free(points);
    free(servers);
}

static int write_svg(const char *path, const struct show *show)
{
    struct buf svg;
    struct err err;
    int rc = 0;
    buf_init(&svg, 0);
    ring_svg_print(&show->job.setup, &show->state, show->shares, &svg);
    if (strcmp(path, "-") == 0)
        fwrite(buf_head(&svg), 1, buf_len(&svg), stdout);
    else
        rc = file_write_atomic(path, buf_head(&svg), buf_len(&svg), &err);
    if (rc < 0)
        fprintf(stderr, "quoit ring: %s\n", err.message);
    buf_done(&svg);
    return rc < 0 ? EXIT_FAILED : EXIT_OK;
}

/* Arcs in order, neighbours of one owner joined. */
static cJSON *circle_json(const struct show *show)
{
    const struct placement *placement = show->state.placement;
    const struct placement_ops *ops = placement->ops;
    cJSON *list = cJSON_CreateArray();
    size_t n = ops->arcs ? ops->arcs(placement, NULL) : 0;
    struct placement_arc *arcs = mem_zalloc(n + 1, sizeof(*arcs));
    if (n > 0)
        ops->arcs(placement, arcs);
    double begin = 0;
    for (size_t i = 0; i < n; i++) {
        if (i + 1 < n && arcs[i + 1].member == arcs[i].member)
            continue;
        cJSON *arc = cJSON_CreateObject();
        json_add_double(arc, "from", begin);
        json_add_double(arc, "to", arcs[i].end);
        cJSON_AddStringToObject(arc, "name", show->job.members.names[arcs[i].member]);
        cJSON_AddItemToArray(list, arc);
        begin = arcs[i].end;
    }
    free(arcs);
    return list;
}

static int print_json(const struct ring_options *opts, const struct show *show)
{
    cJSON *tree = ring_json_head(opts);
    cJSON *servers = cJSON_AddArrayToObject(tree, "servers");
    for (size_t i = 0; i < show->job.members.n; i++) {
        cJSON *server = cJSON_CreateObject();
        cJSON_AddStringToObject(server, "name", show->job.members.names[i]);
        json_add_double(server, "of_request_ids", show->shares[i]);
        json_add_double(server, "of_circle", show->circle[i]);
        cJSON_AddItemToArray(servers, server);
    }
    cJSON_AddItemToObject(tree, "arcs", circle_json(show));
    return ring_print_json(tree);
}

int ring_run_show(const struct ring_options *opts)
{
    struct show show = {0};
    struct err err = {0};
    int code = EXIT_OK, rc = compute(opts, &show, &err);
    if (rc == 0 && opts->svg)
        code = write_svg(opts->svg, &show);
    else if (rc == 0 && opts->json)
        code = print_json(opts, &show);
    else if (rc == 0)
        print_circle(&show);
    ring_state_done(&show.state);
    ring_job_done(&show.job);
    free(show.shares);
    free(show.circle);
    return rc == 0 ? code : cli_usage_error(&ring_verb, "%s", err.message);
}

/* ---- lint ----------------------------------------------------------------------------------- */

static int print_findings_json(const struct ring_options *opts, const struct ring_lint *lint)
{
    cJSON *tree = ring_json_head(opts);
    cJSON *findings = cJSON_AddArrayToObject(tree, "findings");
    for (size_t i = 0; i < lint->n; i++) {
        cJSON *finding = cJSON_CreateObject();
        cJSON_AddStringToObject(finding, "level", ring_level_name(lint->at[i].level));
        cJSON_AddStringToObject(finding, "about", lint->at[i].about);
        cJSON_AddStringToObject(finding, "says", lint->at[i].says);
        cJSON_AddItemToArray(findings, finding);
    }
    return ring_print_json(tree);
}

int ring_run_lint(const struct ring_options *opts)
{
    struct ring_job job;
    struct ring_lint lint;
    struct err err = {0};
    if (ring_job_parse(opts, &job, &err) != 0)
        return cli_usage_error(&ring_verb, "%s", err.message);
    ring_lint_run(&job.setup, &job.members, &lint);
    if (opts->json) {
        print_findings_json(opts, &lint);
    } else {
        printf("%s over %s, %zu server%s\n", opts->placement, opts->hash, job.members.n,
               job.members.n == 1 ? "" : "s");
        for (size_t i = 0; i < lint.n; i++)
            printf("%s: %s: %s\n", ring_level_name(lint.at[i].level), lint.at[i].about,
                   lint.at[i].says);
        if (lint.n == 0)
            printf("nothing to object to\n");
    }
    int code = ring_lint_worst(&lint) >= RING_WARN ? EXIT_FAILED : EXIT_OK;
    ring_lint_done(&lint);
    ring_job_done(&job);
    return code;
}
