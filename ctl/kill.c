/* kill: a failure on demand, and its healing as the LB's own timeline tells it. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/json.h"
#include "core/mem.h"
#include "ctl/ctl.h"
#include "ctl/story.h"
#include "ctl/words.h"

#define LOOK_AGAIN_NS (10 * NS_PER_MS)
#define HEAL_WAIT_NS (30 * NS_PER_S)

/* Copied out of a cluster that is freed. */
struct healing {
    bool healed;
    struct story story;
    char *cause, *replacement;
    uint64_t n, target;
};

static void healing_done(struct healing *healing)
{
    free(healing->cause);
    free(healing->replacement);
}

/* True once another serves in its place, or none is wanted. */
static bool look(const struct cluster *cluster, uint64_t uid, struct healing *healing)
{
    struct story *stories;
    size_t n = stories_make(cluster, &stories);
    for (size_t i = 0; i < n; i++) {
        const struct story *story = &stories[i];
        bool whole = story->replaced_ns || (!story->replacement && cluster->n >= cluster->target);
        if (story->uid != uid || story->kind != STORY_LOST || !story->out_ns || !whole)
            continue;
        healing->healed = true;
        healing->story = *story;
        healing->cause = mem_strdup(story->cause ? story->cause : "no cause told");
        healing->replacement = story->replacement ? mem_strdup(story->replacement) : NULL;
        healing->n = cluster->n;
        healing->target = cluster->target;
    }
    free(stories);
    return healing->healed;
}

static int wait_for_healing(struct ctl *ctl, const char *name, uint64_t uid,
                            struct healing *healing, struct err *err)
{
    uint64_t deadline_ns = clock_now_ns() + HEAL_WAIT_NS;
    for (;;) {
        struct cluster cluster;
        int rc = cluster_get(&ctl->caller, &cluster, err);
        if (rc != 0)
            return rc;
        bool healed = look(&cluster, uid, healing);
        cluster_done(&cluster);
        if (healed)
            return 0;
        if (clock_now_ns() > deadline_ns)
            return err_set(err, -ETIMEDOUT,
                           "%s was killed, but nothing serves in its place after %d s; see `quoit "
                           "ctl status`",
                           name, (int)(HEAL_WAIT_NS / NS_PER_S));
        rc = ctl_sleep(LOOK_AGAIN_NS);
        if (rc != 0)
            return err_set(err, rc, "interrupted; the load balancer goes on healing");
    }
}

static double ms_after(const struct story *story, uint64_t ns)
{
    return ns > story->began_ns ? (double)(ns - story->began_ns) / (double)NS_PER_MS : 0.;
}

static cJSON *healing_json(const char *name, const struct healing *healing)
{
    const struct story *story = &healing->story;
    cJSON *tree = cJSON_CreateObject();
    cJSON_AddStringToObject(tree, "killed", name);
    json_add_uint64(tree, "uid", story->uid);
    cJSON_AddStringToObject(tree, "cause", healing->cause);
    json_add_double(tree, "detected_ms", ms_after(story, story->detected_ns));
    json_add_double(tree, "out_ms", ms_after(story, story->out_ns));
    if (healing->replacement) {
        cJSON_AddStringToObject(tree, "replacement", healing->replacement);
        json_add_double(tree, "spawned_ms", ms_after(story, story->spawned_ns));
        json_add_double(tree, "serving_ms", ms_after(story, story->replaced_ns));
    } else {
        cJSON_AddNullToObject(tree, "replacement");
    }
    json_add_uint64(tree, "N", healing->n);
    json_add_uint64(tree, "target", healing->target);
    return tree;
}

struct step {
    uint64_t ns;
    char what[160];
};

static int compare_steps(const void *a, const void *b)
{
    const struct step *x = a, *y = b;
    return (x->ns > y->ns) - (x->ns < y->ns);
}

/* In the order in which they happened: the replacement may be started before the last worker has
 * let go of the dead one. */
static void print_healing(const struct ctl *ctl, const char *name, const struct healing *healing)
{
    const struct story *story = &healing->story;
    struct step steps[4] = {{.ns = story->detected_ns}, {.ns = story->out_ns}};
    size_t n = 2;
    snprintf(steps[0].what, sizeof(steps[0].what), "noticed: %s", healing->cause);
    snprintf(steps[1].what, sizeof(steps[1].what), "out of the placement: no worker routes to it");
    if (healing->replacement) {
        steps[n].ns = story->spawned_ns;
        snprintf(steps[n++].what, sizeof(steps[0].what), "%s started", healing->replacement);
        steps[n].ns = story->replaced_ns;
        snprintf(steps[n++].what, sizeof(steps[0].what),
                 "%s serves: %" PRIu64 " of %" PRIu64 " servers", healing->replacement, healing->n,
                 healing->target);
    }
    qsort(steps, n, sizeof(steps[0]), compare_steps);
    printf("%s%s%s killed\n", style_begin(&ctl->style, STYLE_BOLD), name, style_end(&ctl->style));
    for (size_t i = 0; i < n; i++) {
        char text[WORDS_BYTES];
        uint64_t ns = steps[i].ns > story->began_ns ? steps[i].ns - story->began_ns : 0;
        printf("  %10s  %s\n", words_latency(ns, text), steps[i].what);
    }
}

static int kill_one(struct ctl *ctl, const char *name, cJSON *list, struct err *err)
{
    struct cluster cluster;
    struct healing healing = {0};
    cJSON *body, *answer = NULL;
    struct buf text;
    int rc = cluster_get(&ctl->caller, &cluster, err);
    if (rc != 0)
        return rc;
    const struct cluster_server *server = cluster_find(&cluster, name);
    uint64_t uid = server ? server->uid : 0;
    cluster_done(&cluster);
    if (uid == 0)
        return err_set(err, -ENOENT, "no server is named '%s'; `quoit ctl status` lists them",
                       name);
    body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "server", name);
    buf_init(&text, 0);
    json_print(&text, body, false);
    cJSON_Delete(body);
    rc = caller_ask_json(&ctl->caller, "POST", "/cluster/kill", buf_str(&text), &answer, err);
    buf_done(&text);
    cJSON_Delete(answer);
    if (rc == 0)
        rc = wait_for_healing(ctl, name, uid, &healing, err);
    if (rc == 0 && ctl->json)
        cJSON_AddItemToArray(list, healing_json(name, &healing));
    else if (rc == 0)
        print_healing(ctl, name, &healing);
    healing_done(&healing);
    return rc;
}

int ctl_kill(struct ctl *ctl, char **names, size_t n_names, struct err *err)
{
    cJSON *list = cJSON_CreateArray();
    int rc = 0;
    for (size_t i = 0; i < n_names && rc == 0; i++) {
        rc = kill_one(ctl, names[i], list, err);
        fflush(stdout);
    }
    if (ctl->json) /* also of those before the one that failed */
        ctl_print_json(list);
    else
        cJSON_Delete(list);
    return rc;
}
