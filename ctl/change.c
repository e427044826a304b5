/* add, rm and drain: changes of the cluster, and what came of them. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/json.h"
#include "core/mem.h"
#include "ctl/ctl.h"
#include "ctl/words.h"

#define LOOK_AGAIN_NS (20 * NS_PER_MS)
/* The LB gives what is under way 5 s and the server's own end 2 s. */
#define DRAIN_WAIT_NS (20 * NS_PER_S)

/* {"n":2,"hostnames":["S5"]}, for free(). */
static char *make_body(uint64_t n, char **names, size_t n_names)
{
    cJSON *body = cJSON_CreateObject();
    struct buf text;
    json_add_uint64(body, "n", n);
    if (n_names > 0) {
        cJSON *list = cJSON_AddArrayToObject(body, "hostnames");
        for (size_t i = 0; i < n_names; i++)
            cJSON_AddItemToArray(list, cJSON_CreateString(names[i]));
    }
    buf_init(&text, 0);
    json_print(&text, body, false);
    cJSON_Delete(body);
    char *copy = mem_strdup(buf_str(&text));
    buf_done(&text);
    return copy;
}

static bool holds(const cJSON *list, const char *name)
{
    const cJSON *item;
    cJSON_ArrayForEach (item, list) {
        if (cJSON_IsString(item) && strcmp(item->valuestring, name) == 0)
            return true;
    }
    return false;
}

/* What is in `list` and not in `other`. */
static cJSON *missing_from(const cJSON *other, const cJSON *list)
{
    cJSON *missing = cJSON_CreateArray();
    const cJSON *item;
    cJSON_ArrayForEach (item, list) {
        if (cJSON_IsString(item) && !holds(other, item->valuestring))
            cJSON_AddItemToArray(missing, cJSON_CreateString(item->valuestring));
    }
    return missing;
}

/* The names of /rep or of an answer to a change. */
static int take_names(cJSON *answer, cJSON **ret_names, struct err *err)
{
    cJSON *names = json_get(json_get(answer, "message"), "replicas");
    int rc = 0;
    if (cJSON_IsArray(names))
        *ret_names = cJSON_DetachItemViaPointer(json_get(answer, "message"), names);
    else
        rc = err_set(err, -EPROTO, "the load balancer's answer lists no servers");
    cJSON_Delete(answer);
    return rc;
}

static int ask_names(struct ctl *ctl, const char *method, const char *path, const char *body,
                     cJSON **ret_names, struct err *err)
{
    cJSON *answer;
    int rc = caller_ask_json(&ctl->caller, method, path, body, &answer, err);
    return rc != 0 ? rc : take_names(answer, ret_names, err);
}

/* A line, unless there are none. */
static void print_names(const char *what, const cJSON *names)
{
    const cJSON *item;
    if (cJSON_GetArraySize(names) == 0)
        return;
    printf("%s", what);
    cJSON_ArrayForEach (item, names) {
        printf(" %s", item->valuestring);
    }
    printf("\n");
}

/* Names went and came between `before` and `after`, both taken over. */
static void print_change(const struct ctl *ctl, cJSON *before, cJSON *after, uint64_t took_ns)
{
    cJSON *added = missing_from(before, after), *removed = missing_from(after, before);
    uint64_t n = (uint64_t)cJSON_GetArraySize(after);
    if (ctl->json) {
        cJSON *tree = cJSON_CreateObject();
        json_add_uint64(tree, "N", n);
        cJSON_AddItemToObject(tree, "servers", after);
        cJSON_AddItemToObject(tree, "added", added);
        cJSON_AddItemToObject(tree, "removed", removed);
        json_add_double(tree, "took_ms", (double)took_ns / (double)NS_PER_MS);
        ctl_print_json(tree);
    } else {
        char text[WORDS_BYTES];
        print_names("added:  ", added);
        print_names("removed:", removed);
        print_names("serving:", after);
        printf("%" PRIu64 " server%s after %s\n", n, n == 1 ? "" : "s",
               words_latency(took_ns, text));
        cJSON_Delete(added);
        cJSON_Delete(removed);
        cJSON_Delete(after);
    }
    cJSON_Delete(before);
}

/* Sends the change; then wait_for, which may be NULL; then prints what changed. */
static int change(struct ctl *ctl, const char *method, const char *path, const char *body,
                  int (*wait_for)(struct ctl *, const struct cluster *, char **, size_t,
                                  struct err *),
                  char **names, size_t n_names, struct err *err)
{
    struct cluster cluster = {0};
    cJSON *before = NULL, *after = NULL;
    int rc = wait_for ? cluster_get(&ctl->caller, &cluster, err) : 0;
    if (rc == 0)
        rc = ask_names(ctl, "GET", "/rep", NULL, &before, err);
    uint64_t began_ns = clock_now_ns();
    if (rc == 0)
        rc = ask_names(ctl, method, path, body, &after, err);
    if (rc == 0 && wait_for)
        rc = wait_for(ctl, &cluster, names, n_names, err);
    if (rc == 0) {
        print_change(ctl, before, after, clock_now_ns() - began_ns);
    } else {
        cJSON_Delete(before);
        cJSON_Delete(after);
    }
    cluster_done(&cluster);
    return rc;
}

int ctl_add(struct ctl *ctl, uint64_t n, char **names, size_t n_names, struct err *err)
{
    char *body = make_body(n, names, n_names);
    int rc = change(ctl, "POST", "/add", body, NULL, NULL, 0, err);
    free(body);
    return rc;
}

int ctl_rm(struct ctl *ctl, uint64_t n, char **names, size_t n_names, struct err *err)
{
    char *body = make_body(n, names, n_names);
    int rc = change(ctl, "DELETE", "/rm", body, NULL, NULL, 0, err);
    free(body);
    return rc;
}

/* Until none of the lives that bore these names `before` is left. */
static int wait_until_gone(struct ctl *ctl, const struct cluster *before, char **names,
                           size_t n_names, struct err *err)
{
    uint64_t deadline_ns = clock_now_ns() + DRAIN_WAIT_NS;
    for (;;) {
        struct cluster now;
        const char *left = NULL;
        int rc = cluster_get(&ctl->caller, &now, err);
        if (rc != 0)
            return rc;
        for (size_t i = 0; i < n_names; i++) {
            const struct cluster_server *server = cluster_find(before, names[i]);
            if (server && cluster_find_uid(&now, server->uid))
                left = names[i];
        }
        cluster_done(&now);
        if (!left)
            return 0;
        if (clock_now_ns() > deadline_ns)
            return err_set(err, -ETIMEDOUT, "%s was taken out, but has not ended within %d s", left,
                           (int)(DRAIN_WAIT_NS / NS_PER_S));
        rc = ctl_sleep(LOOK_AGAIN_NS);
        if (rc != 0)
            return err_set(err, rc, "interrupted; the servers go on draining");
    }
}

int ctl_drain(struct ctl *ctl, char **names, size_t n_names, struct err *err)
{
    char *body = make_body(n_names, names, n_names);
    int rc = change(ctl, "DELETE", "/rm", body, wait_until_gone, names, n_names, err);
    free(body);
    return rc;
}
