/* Changes of the cluster: the start, /add and /rm of CONTRACT.md's Part 1.
 *
 * Each is checked whole before anything is begun, and is all or nothing: when one server of an /add
 * cannot be started, the others are let go of and the answer is a refusal. An answer goes out when
 * every worker routes by the new snapshot and the state is saved. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/log.h"
#include "core/mem.h"
#include "lb/control.h"

#define MAX_QUEUED 64

/* What the body of /add or /rm asks for. */
struct change {
    size_t n;
    size_t n_names;
    const char **names; /* borrowed from the tree */
    cJSON *tree;
};

static void run_first(struct control *control);

/* ---- what is asked for ------------------------------------------------------------------------
 */

static int refuse(struct control *control, struct admin_call *call, const char *reason)
{
    answer_refuse(control, call, 400, "%s", reason);
    return -EINVAL;
}

static int check_keys(const cJSON *tree, struct err *err)
{
    const cJSON *item;
    cJSON_ArrayForEach (item, tree) {
        if (strcmp(item->string, "n") != 0 && strcmp(item->string, "hostnames") != 0)
            return err_set(err, -EINVAL,
                           "'%s' is not known here: a body has \"n\" and \"hostnames\"",
                           item->string);
    }
    return 0;
}

/* CONTRACT.md, Part 1: {"n":4,"hostnames":["S5","S4"]}. too_long: the refusal of a list longer than
 * n. */
static int read_change(const struct buf *body, const char *too_long, struct change *change,
                       struct err *err)
{
    struct err why = {0};
    change->tree = json_parse(buf_head(body), buf_len(body), &why);
    if (!change->tree)
        return err_set(err, -EINVAL, "the body is bad %s", why.message);
    if (!cJSON_IsObject(change->tree))
        return err_set(err, -EINVAL, "the body is not a JSON object");
    int rc = check_keys(change->tree, err);
    if (rc != 0)
        return rc;
    int64_t n;
    rc = json_get_int64(change->tree, "n", &n);
    if (rc != 0)
        return err_set(err, -EINVAL,
                       rc == -ENOENT ? "\"n\" is missing" : "\"n\" is not a whole number");
    if (n < 1 || n > LB_MAX_SERVERS)
        return err_set(err, -EINVAL, "\"n\" is %lld: it must be from 1 to %d", (long long)n,
                       LB_MAX_SERVERS);
    change->n = (size_t)n;
    const cJSON *names = json_get(change->tree, "hostnames");
    if (!names)
        return 0;
    if (!cJSON_IsArray(names))
        return err_set(err, -EINVAL, "\"hostnames\" is not an array");
    size_t n_names = (size_t)cJSON_GetArraySize(names);
    if (n_names > change->n)
        return err_set(err, -EINVAL, "%s", too_long);
    change->names = mem_zalloc(n_names + 1, sizeof(*change->names));
    const cJSON *name;
    cJSON_ArrayForEach (name, names) {
        if (!cJSON_IsString(name))
            return err_set(err, -EINVAL, "\"hostnames\" holds something that is no string");
        if (!name_valid(name->valuestring))
            return err_set(err, -EINVAL, "\"hostnames\" holds '%.*s%s', which is no server name",
                           NAME_MAX_BYTES, name->valuestring,
                           strlen(name->valuestring) > NAME_MAX_BYTES ? "..." : "");
        for (size_t i = 0; i < change->n_names; i++)
            if (strcmp(change->names[i], name->valuestring) == 0)
                return err_set(err, -EINVAL, "\"hostnames\" holds '%s' twice", name->valuestring);
        change->names[change->n_names++] = name->valuestring;
    }
    return 0;
}

static void change_done(struct change *change)
{
    free(change->names);
    cJSON_Delete(change->tree);
}

/* Whether the placement takes so many servers more: tried out before any is started. Dead ones
 * whose replacement is put off count too: it comes. */
static int check_room(struct control *control, size_t n_new, struct err *err)
{
    const struct lb_config *config = control->config;
    size_t n_live = member_count_live(control);
    if (control->n_target > n_live)
        n_new += control->n_target - n_live;
    size_t n = 0, most = n_new;
    for (struct member *member = control->members; member; member = member->next)
        most++;
    struct snapshot_server *servers = mem_zalloc(most + 1, sizeof(*servers));
    for (struct member *member = control->members; member; member = member->next)
        if (member->state != MEMBER_DRAINING && member->state != MEMBER_LEAVING)
            servers[n++] = (struct snapshot_server){.id = member->id, .name = member->name};
    for (size_t i = 0; i < n_new; i++) /* ids that no server can have */
        servers[n++] = (struct snapshot_server){.id = UINT64_MAX - i, .name = "new"};
    struct snapshot *trial = NULL;
    struct snapshot_plan plan = {.placement = &config->placement,
                                 .hashes = &config->hashes.pair,
                                 .servers = servers,
                                 .n_placed = n,
                                 .n_servers = n};
    int rc = n > LB_MAX_SERVERS
                 ? err_set(err, -EINVAL, "%zu servers are more than %d", n, LB_MAX_SERVERS)
                 : snapshot_new(&plan, &trial, err);
    snapshot_free(trial);
    free(servers);
    return rc;
}

/* ---- the queue --------------------------------------------------------------------------------
 */

static struct operation *queue(struct control *control, enum operation_type type,
                               struct admin_call *call)
{
    struct operation *operation = mem_zalloc(1, sizeof(*operation));
    operation->type = type;
    operation->call = call;
    struct operation **link = &control->operations;
    while (*link)
        link = &(*link)->next;
    *link = operation;
    return operation;
}

/* Takes the first off; the next begins when its caller is done. */
static void finish_first(struct control *control)
{
    struct operation *operation = control->operations;
    control->operations = operation->next;
    free(operation);
}

void operation_submit(struct control *control, struct admin_call *call)
{
    size_t n = 0;
    for (struct operation *operation = control->operations; operation; operation = operation->next)
        n++;
    if (control->stopping)
        answer_refuse(control, call, 503, "the load balancer is ending");
    else if (n >= MAX_QUEUED)
        answer_refuse(control, call, 503, "%zu changes of the cluster are waiting already", n);
    else {
        queue(control, call->endpoint == ADMIN_ADD ? OPERATION_ADD : OPERATION_RM, call);
        if (n == 0)
            run_first(control);
    }
}

void operation_refuse_all(struct control *control, const char *reason)
{
    for (struct member *member = control->members; member; member = member->next)
        member->operation = NULL;
    while (control->operations) {
        if (control->operations->call)
            answer_refuse(control, control->operations->call, 503, "%s", reason);
        finish_first(control);
    }
}

/* The change is made: it is answered when the workers have the snapshot and the disk has the state.
 */
static void publish_change(struct control *control, struct operation *operation)
{
    control_publish(control);
    const struct snapshot *current = atomic_load(&control->publisher->current);
    operation->publishing = true;
    operation->snapshot_version = current->version;
    operation->state_version = control->state_version;
}

void operation_check(struct control *control)
{
    struct operation *operation = control->operations;
    if (!operation || !operation->publishing ||
        publisher_reclaim(control->publisher) < operation->snapshot_version ||
        (control->state_store && control->saved_version < operation->state_version))
        return;
    answer_rep(control, operation->call);
    finish_first(control);
    run_first(control);
}

/* ---- /add and the start -----------------------------------------------------------------------
 */

/* Lets go of what the operation has started. */
static void abandon(struct control *control, struct operation *operation)
{
    for (struct member *member = control->members; member; member = member->next)
        if (member->operation == operation)
            member_stop(member, 0);
}

static int start_servers(struct control *control, struct operation *operation, size_t n,
                         const char *const *names, size_t n_names, struct err *err)
{
    operation->n_members = n;
    for (size_t i = 0; i < n; i++) {
        char name[NAME_MAX_BYTES + 1];
        if (i < n_names)
            memcpy(name, names[i], strlen(names[i]) + 1);
        else
            member_invent_name(control, name);
        int rc = member_start(control, name, operation, err);
        if (rc != 0) {
            abandon(control, operation);
            return err_prefix(err, "%s could not be started", name);
        }
    }
    return 0;
}

/* 0: under way. Else it is answered. */
static int begin_add(struct control *control, struct operation *operation)
{
    struct admin_call *call = operation->call;
    struct change change = {0};
    struct err err = {0};
    int rc = read_change(&call->body, "Length of hostname list is more than newly added instances",
                         &change, &err);
    for (size_t i = 0; rc == 0 && i < change.n_names; i++)
        if (member_find_name(control, change.names[i]))
            rc = err_set(&err, -EEXIST, "a server named '%s' is there already", change.names[i]);
    if (rc == 0)
        rc = check_room(control, change.n, &err);
    if (rc != 0) {
        refuse(control, call, err.message);
    } else {
        rc = start_servers(control, operation, change.n, change.names, change.n_names, &err);
        if (rc != 0)
            answer_refuse(control, call, 503, "%s; nothing was changed", err.message);
    }
    change_done(&change);
    return rc;
}

static void set_all_serving(struct control *control, const struct operation *operation)
{
    for (struct member *member = control->members; member; member = member->next)
        if (member->operation == operation)
            member_set_serving(member);
}

static void finish_boot(struct control *control, struct operation *operation)
{
    struct err err = {0};
    set_all_serving(control, operation);
    finish_first(control);
    control_publish(control);
    int rc = control_go_live(control, &err);
    if (rc == 0)
        return;
    if (control->err)
        *control->err = err;
    control_stop(control, true, rc);
}

void operation_member_ready(struct operation *operation, struct member *member)
{
    struct control *control = member->control;
    if (++operation->n_ready < operation->n_members)
        return;
    if (operation->type == OPERATION_BOOT) {
        finish_boot(control, operation);
        return;
    }
    set_all_serving(control, operation);
    control->n_target += operation->n_members;
    publish_change(control, operation);
}

void operation_member_lost(struct operation *operation, struct member *member, const char *cause)
{
    struct control *control = member->control;
    if (operation->type == OPERATION_BOOT && member->adopted) {
        /* One server of an earlier life is gone: the others serve, and it is replaced. */
        operation->n_members--;
        operation->n_ready -= member->ready;
        if (operation->n_ready == operation->n_members)
            finish_boot(control, operation);
        return;
    }
    abandon(control, operation);
    if (operation->type == OPERATION_BOOT) {
        err_set(control->err, -ECHILD, "%s could not be started: %s", member->name, cause);
        finish_first(control);
        control_stop(control, true, -ECHILD);
        return;
    }
    answer_refuse(control, operation->call, 503, "%s could not be started: %s; nothing was changed",
                  member->name, cause);
    finish_first(control);
    run_first(control);
}

static int boot_anew(struct control *control, struct operation *operation, struct err *err)
{
    size_t n = control->config->n_servers;
    int rc = check_room(control, n, err);
    if (rc != 0)
        return rc;
    control->n_target = n;
    const char **names = mem_zalloc(n + 1, sizeof(*names));
    for (size_t i = 0; i < n; i++)
        names[i] = mem_printf("Server%zu", i + 1);
    rc = start_servers(control, operation, n, names, n, err);
    for (size_t i = 0; i < n; i++)
        free((char *)names[i]);
    free(names);
    return rc;
}

static int boot_again(struct control *control, struct operation *operation,
                      const struct state *state, struct err *err)
{
    control->n_target = state->n_target;
    control->next_uid = state->next_uid;
    operation->n_members++; /* the loop itself: one lost at once must not end the boot within it */
    for (size_t i = 0; i < state->n_servers; i++) {
        const struct state_server *server = &state->servers[i];
        struct err why = {0};
        operation->n_members++; /* before: it could be lost at once */
        int rc = member_adopt(control, server, operation, &why);
        if (rc == 0)
            continue;
        operation->n_members--;
        if (rc != -ESRCH)
            return err_set(err, rc, "cannot adopt %s: %s", server->name, why.message);
        log_warn("lb", "%s of an earlier life is gone: %s", server->name, why.message);
    }
    operation->n_members--;
    log_info("lb", "found %zu of %zu servers of an earlier life", operation->n_members,
             state->n_target);
    return 0;
}

int operation_boot(struct control *control, const struct state *state, bool found, struct err *err)
{
    struct operation *operation = queue(control, OPERATION_BOOT, NULL);
    int rc =
        found ? boot_again(control, operation, state, err) : boot_anew(control, operation, err);
    if (rc != 0) {
        finish_first(control);
        return rc;
    }
    if (operation->n_ready == operation->n_members) {
        finish_boot(control, operation);
        rc = control->exit_code;
    }
    return rc;
}

/* ---- /rm --------------------------------------------------------------------------------------
 */

static bool is_removable(const struct member *member)
{
    return !member->operation &&
           (member->state == MEMBER_STARTING || member->state == MEMBER_CHECKING ||
            member->state == MEMBER_SERVING);
}

/* The named ones first, then others at random. chosen: change->n of them. */
static int choose_members(struct control *control, const struct change *change,
                          struct member **chosen, struct err *err)
{
    size_t n = 0, n_rest = 0;
    for (size_t i = 0; i < change->n_names; i++) {
        struct member *member = member_find_name(control, change->names[i]);
        if (!member || !is_removable(member))
            return err_set(err, -ENOENT, "no server is named '%s'", change->names[i]);
        chosen[n++] = member;
    }
    struct member **rest = mem_zalloc(member_count_live(control) + 1, sizeof(*rest));
    for (struct member *member = control->members; member; member = member->next) {
        bool is_chosen = false;
        for (size_t i = 0; i < n; i++)
            is_chosen |= chosen[i] == member;
        if (is_removable(member) && !is_chosen)
            rest[n_rest++] = member;
    }
    rng_shuffle(&control->rng, rest, n_rest, sizeof(*rest));
    memcpy(chosen + n, rest, (change->n - n) * sizeof(*rest));
    free(rest);
    return 0;
}

static int begin_rm(struct control *control, struct operation *operation)
{
    struct admin_call *call = operation->call;
    struct change change = {0};
    struct err err = {0};
    struct member **chosen = NULL;
    int rc = read_change(&call->body, "Length of hostname list is more than removable instances",
                         &change, &err);
    size_t n_live = member_count_live(control);
    if (rc == 0 && change.n > n_live)
        rc = err_set(&err, -EINVAL, "\"n\" is %zu, but there are only %zu servers", change.n,
                     n_live);
    if (rc == 0) {
        chosen = mem_zalloc(change.n, sizeof(struct member *));
        rc = choose_members(control, &change, chosen, &err);
    }
    if (rc != 0) {
        refuse(control, call, err.message);
    } else {
        control->n_target = n_live > control->n_target ? n_live : control->n_target;
        control->n_target -= change.n;
        for (size_t i = 0; i < change.n; i++)
            member_drain(chosen[i]);
        publish_change(control, operation);
    }
    free(chosen);
    change_done(&change);
    return rc;
}

static void run_first(struct control *control)
{
    while (control->operations) {
        struct operation *operation = control->operations;
        int rc = operation->type == OPERATION_ADD ? begin_add(control, operation)
                                                  : begin_rm(control, operation);
        if (rc == 0)
            return;
        finish_first(control);
    }
}
