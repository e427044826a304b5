/* A side of a comparison that is one result of `quoit load --json`, or a folder of them. */
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/json.h"
#include "core/mem.h"
#include "experiments/compare_side.h"
#include "experiments/outcome.h"

#define MAX_LOAD_BYTES (16u * 1024 * 1024)
#define MAX_SHARES 64u

/* The number at "object.key", or "key". */
static double number_at(const cJSON *tree, const char *place)
{
    char object[32];
    const char *dot = strchr(place, '.');
    if (!dot)
        return outcome_number(tree, place);
    snprintf(object, sizeof(object), "%.*s", (int)(dot - place), place);
    return outcome_number(json_get(tree, object), dot + 1);
}

static cJSON *read_load(const char *path, struct err *err)
{
    struct buf text;
    cJSON *tree = NULL;
    const char *kind;
    buf_init(&text, MAX_LOAD_BYTES);
    if (file_read(path, &text, err) == 0) {
        tree = json_parse(buf_head(&text), buf_len(&text), err);
        if (!tree)
            err_prefix(err, "%s", path);
    }
    buf_done(&text);
    kind = tree ? json_get_string(tree, "kind") : NULL;
    if (tree && (!kind || strcmp(kind, "load") || !isfinite(outcome_number(tree, "rate")) ||
                 !cJSON_IsObject(json_get(tree, "settings")))) {
        err_set(err, -EINVAL, "%s is neither a result of quoit load nor one of quoit run", path);
        cJSON_Delete(tree);
        tree = NULL;
    }
    return tree;
}

static int check_load(const char *path, const cJSON *tree, struct err *err)
{
    const cJSON *verdict = json_get(tree, "verdict");
    if (cJSON_IsTrue(json_get(tree, "interrupted")))
        return err_set(err, -EBADMSG, "%s is INVALID: it was interrupted", path);
    if (!(outcome_number(tree, "ok") > 0))
        return err_set(err, -EBADMSG, "%s is INVALID: no request succeeded", path);
    if (cJSON_IsFalse(json_get(verdict, "valid")))
        return compare_refuse_invalid(path, verdict, err);
    return 0;
}

/* Whatever chooses the target; where it listens does not. */
static const char *target_of(struct compare_side *side, const cJSON *settings)
{
    const char *url = outcome_text(settings, "url");
    const char *host = strstr(url, "://");
    const char *path = strchr(host ? host + 3 : url, '/');
    return arena_strdup(&side->arena, path ? path : "/");
}

static void read_load_conditions(struct compare_side *side, const cJSON *tree)
{
    static const char *const not [] = {"url", "workload", "loop", "seed", NULL};
    const size_t max = 64;
    side->conditions = arena_zalloc(&side->arena, max, sizeof(*side->conditions));
    side->n_conditions = 0;
    compare_add_conditions(side, max, "load", json_get(tree, "settings"), not );
    compare_read_environment(side, max, json_get(tree, "environment"));
}

/* One side's samples were all taken alike. */
static int check_alike(struct compare_side *side, const cJSON *first, const cJSON *other,
                       const char *path, struct err *err)
{
    const cJSON *node;
    cJSON_ArrayForEach (node, json_get(first, "settings")) {
        const cJSON *its = json_get(json_get(other, "settings"), node->string);
        if (strcmp(node->string, "seed") && strcmp(node->string, "url") &&
            !cJSON_Compare(node, its, true))
            return err_set(err, -EINVAL,
                           "%s: its load differs from that of the other samples in %s (%s): %s",
                           side->path, node->string, compare_scalar_text(side, node), path);
    }
    return 0;
}

/* Share of each server that any sample met, in the order they were met. */
static void read_load_shares(struct compare_side *side, struct compare_point *point,
                             cJSON *const *trees, size_t n)
{
    const char *names[MAX_SHARES];
    size_t n_names = 0;
    const cJSON *server;
    for (size_t i = 0; i < n; i++) {
        cJSON_ArrayForEach (server, json_get(trees[i], "servers")) {
            size_t s = 0;
            while (s < n_names && strcmp(names[s], server->string))
                s++;
            if (s == n_names && n_names < MAX_SHARES)
                names[n_names++] = arena_strdup(&side->arena, server->string);
        }
    }
    struct compare_values *peak =
        compare_add_metric(side, point, n, "peak_to_mean", "", COMPARE_LOWER);
    for (size_t i = 0; i < n; i++) {
        double sum = 0, most = 0, count;
        cJSON_ArrayForEach (server, json_get(trees[i], "servers")) {
            count = server->valuedouble;
            sum += count;
            most = fmax(most, count);
        }
        if (sum > 0)
            compare_add_value(peak, most * (double)n_names / sum);
    }
    for (size_t s = 0; s < n_names; s++) {
        struct compare_values *metric = compare_add_metric(
            side, point, n, arena_printf(&side->arena, "share:%s", names[s]), "%", COMPARE_NEITHER);
        for (size_t i = 0; i < n; i++) {
            double share = outcome_number(json_get(trees[i], "servers"), names[s]);
            share = isfinite(share) ? share : 0;
            compare_add_value(metric, 100 * share / outcome_number(trees[i], "ok"));
        }
    }
}

static void read_loads(struct compare_side *side, cJSON *const *trees, size_t n)
{
    const cJSON *settings = json_get(trees[0], "settings");
    struct compare_point *point = arena_zalloc(&side->arena, 1, sizeof(*point));
    side->points = point;
    side->n_points = 1;
    side->n_samples = n;
    side->name = target_of(side, settings);
    side->kind = arena_printf(&side->arena, "workload %s, %s loop",
                              outcome_text(settings, "workload"), outcome_text(settings, "loop"));
    side->commit = "";
    side->began = side->ended = "";
    compare_new_point(side, point, "", 2 + MAX_SHARES);
    for (size_t s = 0; s < COMPARE_N_SOURCES; s++) {
        struct compare_values *metric =
            compare_add_metric(side, point, n, compare_sources[s].name, compare_sources[s].unit,
                               compare_sources[s].better);
        for (size_t i = 0; i < n; i++)
            compare_add_value(metric, number_at(trees[i], compare_sources[s].in_load));
    }
    for (size_t i = 0; i < n; i++)
        side->failed = side->failed || outcome_number(trees[i], "failed") > 0;
    struct compare_values *failed =
        compare_add_metric(side, point, n, "failed", "%", COMPARE_LOWER);
    for (size_t i = 0; i < n; i++)
        compare_add_value(failed, 100 * outcome_number(trees[i], "failed") /
                                      outcome_number(trees[i], "requests"));
    read_load_shares(side, point, trees, n);
    compare_drop_empty(point);
    for (size_t i = 0; i < n; i++) { /* ISO 8601 in UTC sorts as text */
        const char *began = outcome_text(trees[i], "started");
        const char *ended = outcome_text(trees[i], "ended");
        if (!*side->began || strcmp(began, side->began) < 0)
            side->began = arena_strdup(&side->arena, began);
        if (strcmp(ended, side->ended) > 0)
            side->ended = arena_strdup(&side->arena, ended);
    }
    read_load_conditions(side, trees[0]);
}

int compare_open_loads(struct compare_side *side, char *const *paths, size_t n, struct err *err)
{
    cJSON **trees = mem_zalloc(n, sizeof(*trees));
    int status = 0;
    for (size_t i = 0; i < n && !status; i++) {
        trees[i] = read_load(paths[i], err);
        status = trees[i] ? check_load(paths[i], trees[i], err) : err ? err->code : -EINVAL;
        if (!status)
            status = check_alike(side, trees[0], trees[i], paths[i], err);
    }
    if (!status)
        read_loads(side, trees, n);
    for (size_t i = 0; i < n; i++)
        cJSON_Delete(trees[i]);
    free(trees);
    return status;
}

static int is_json(const struct dirent *entry)
{
    size_t n = strlen(entry->d_name);
    return n > 5 && entry->d_name[0] != '.' && !strcmp(entry->d_name + n - 5, ".json");
}

int compare_open_loads_in(struct compare_side *side, struct err *err)
{
    struct dirent **entries;
    int n = scandir(side->path, &entries, is_json, alphasort);
    char **paths;
    int status;
    if (n < 0)
        return err_set_errno(err, -errno, "%s", side->path);
    paths = mem_zalloc((size_t)n + 1, sizeof(*paths));
    for (int i = 0; i < n; i++) {
        paths[i] = mem_printf("%s/%s", side->path, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    if (n == 0)
        status = err_set(err, -ENOENT,
                         "%s holds neither manifest.json nor any result of quoit load", side->path);
    else if ((unsigned)n > COMPARE_MAX_FILES)
        status =
            err_set(err, -E2BIG, "%s holds more than %u results", side->path, COMPARE_MAX_FILES);
    else
        status = compare_open_loads(side, paths, (size_t)n, err);
    for (int i = 0; i < n; i++)
        free(paths[i]);
    free(paths);
    return status;
}
