/* Changes of the cluster: /add of CONTRACT.md's Part 1, /rm of both parts, and how those that
 * boot.c and configure.c begin go on.
 *
 * Each is checked whole before anything is begun, and is all or nothing: when one server of an /add
 * cannot be started, the others are let go of and the answer is a refusal. An answer goes out when
 * every worker routes by the new snapshot and the state is saved.
 *
 *   /init /add   start ─▶ every server configured ─▶ shards copied ─▶ all serve ─▶ published, saved
 *   /rm          nobody reads from them ─▶ drained ─▶ published, saved */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/log.h"
#include "core/mem.h"
#include "lb/control.h"

#define MAX_QUEUED 64
/* Random orders that /rm tries before it says that a last copy would go. */
#define MAX_CHOICES 64

/* What the body of /add or /rm asks for. */
struct change {
    size_t n;
    size_t n_names;
    const char **names; /* borrowed from the tree */
};

/* How the two parts of CONTRACT.md call a list of servers. */
struct dialect {
    const char *list;                   /* its key */
    const char *add_long, *remove_long; /* the refusals of one longer than n */
};

static const struct dialect dialects[] = {
    {"hostnames", "Length of hostname list is more than newly added instances",
     "Length of hostname list is more than removable instances"},
    {"servers", NULL, "Length of server list is more than removable instances"},
};

static void run_first(struct control *control);

/* ---- what is asked for ------------------------------------------------------------------------
 */

static int refuse(struct control *control, struct admin_call *call, const char *reason)
{
    answer_refuse(control, call, 400, "%s", reason);
    return -EINVAL;
}

static int check_keys(const cJSON *body, const char *list, struct err *err)
{
    const cJSON *item;
    cJSON_ArrayForEach (item, body) {
        if (strcmp(item->string, "n") != 0 && strcmp(item->string, list) != 0)
            return err_set(err, -EINVAL, "'%s' is not known here: a body has \"n\" and \"%s\"",
                           item->string, list);
    }
    return 0;
}

static int read_names(const cJSON *names, const char *list, struct change *change, struct err *err)
{
    change->names = mem_zalloc((size_t)cJSON_GetArraySize(names) + 1, sizeof(*change->names));
    const cJSON *name;
    cJSON_ArrayForEach (name, names) {
        if (!cJSON_IsString(name))
            return err_set(err, -EINVAL, "\"%s\" holds something that is no string", list);
        if (!name_valid(name->valuestring))
            return err_set(err, -EINVAL, "\"%s\" holds '%.*s%s', which is no server name", list,
                           NAME_MAX_BYTES, name->valuestring,
                           strlen(name->valuestring) > NAME_MAX_BYTES ? "..." : "");
        for (size_t i = 0; i < change->n_names; i++)
            if (strcmp(change->names[i], name->valuestring) == 0)
                return err_set(err, -EINVAL, "\"%s\" holds '%s' twice", list, name->valuestring);
        change->names[change->n_names++] = name->valuestring;
    }
    return 0;
}

/* {"n":4,"hostnames":["S5","S4"]} of Part 1, {"n":2,"servers":["Server4"]} of Part 2's /rm.
 * too_long: the refusal of a list longer than n. */
static int read_change(const cJSON *body, const char *list, const char *too_long,
                       struct change *change, struct err *err)
{
    int rc = check_keys(body, list, err);
    if (rc != 0)
        return rc;
    int64_t n;
    rc = json_get_int64(body, "n", &n);
    if (rc != 0)
        return err_set(err, -EINVAL,
                       rc == -ENOENT ? "\"n\" is missing" : "\"n\" is not a whole number");
    if (n < 1 || n > LB_MAX_SERVERS)
        return err_set(err, -EINVAL, "\"n\" is %lld: it must be from 1 to %d", (long long)n,
                       LB_MAX_SERVERS);
    change->n = (size_t)n;
    const cJSON *names = json_get(body, list);
    if (!names)
        return 0;
    if (!cJSON_IsArray(names))
        return err_set(err, -EINVAL, "\"%s\" is not an array", list);
    if ((size_t)cJSON_GetArraySize(names) > change->n)
        return err_set(err, -EINVAL, "%s", too_long);
    return read_names(names, list, change, err);
}

static void change_done(struct change *change)
{
    free(change->names);
}

int operation_check_room(struct control *control, size_t n_new, bool alone, struct err *err)
{
    const struct lb_config *config = control->config;
    size_t n_live = member_count_live(control);
    if (control->n_target > n_live && !alone)
        n_new += control->n_target - n_live;
    size_t n = 0, most = n_new;
    for (struct member *member = control->members; member; member = member->next)
        most++;
    struct snapshot_server *servers = mem_zalloc(most + 1, sizeof(*servers));
    for (struct member *member = control->members; member; member = member->next)
        if (!alone && member->state != MEMBER_PARTING && member->state != MEMBER_DRAINING &&
            member->state != MEMBER_LEAVING)
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

struct operation *operation_queue(struct control *control, enum operation_type type,
                                  struct admin_call *call)
{
    struct operation *operation = mem_zalloc(1, sizeof(*operation));
    operation->type = type;
    operation->call = call;
    buf_init(&operation->note, 0);
    struct operation **link = &control->operations;
    while (*link)
        link = &(*link)->next;
    *link = operation;
    return operation;
}

/* Takes the first off; the next begins when its caller is done. */
void operation_finish_first(struct control *control)
{
    struct operation *operation = control->operations;
    control->operations = operation->next;
    buf_done(&operation->note);
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
        operation_queue(control,
                        call->endpoint == ADMIN_INIT  ? OPERATION_INIT
                        : call->endpoint == ADMIN_ADD ? OPERATION_ADD
                                                      : OPERATION_RM,
                        call);
        if (n == 0)
            run_first(control);
    }
}

void operation_refuse_all(struct control *control, const char *reason)
{
    for (struct member *member = control->members; member; member = member->next)
        member->operation = NULL;
    for (struct operation *operation = control->operations; operation; operation = operation->next)
        database_forget_shards(&control->database, operation);
    while (control->operations) {
        if (control->operations->call)
            answer_refuse(control, control->operations->call, 503, "%s", reason);
        operation_finish_first(control);
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

static void answer(struct control *control, struct operation *operation)
{
    if (operation->type == OPERATION_INIT)
        answer_init(control, operation->call);
    else if (!operation->part2)
        answer_rep(control, operation->call);
    else if (operation->type == OPERATION_ADD)
        answer_add(control, operation->call, buf_str(&operation->note));
    else
        answer_rm(control, operation->call, buf_str(&operation->note));
}

void operation_check(struct control *control)
{
    struct operation *operation = control->operations;
    if (operation && operation->parting && member_count(control, MEMBER_PARTING) == 0) {
        operation->parting = false;
        publish_change(control, operation);
    }
    if (!operation || !operation->publishing ||
        publisher_reclaim(control->publisher) < operation->snapshot_version ||
        (control->state_store && control->saved_version < operation->state_version))
        return;
    answer(control, operation);
    operation_finish_first(control);
    run_first(control);
}

/* ---- /add and the start -----------------------------------------------------------------------
 */

void operation_abandon(struct control *control, struct operation *operation)
{
    for (struct member *member = control->members; member; member = member->next) {
        member->retiring = false;
        if (member->operation == operation)
            member_leave(member);
    }
    database_forget_shards(&control->database, operation);
    control_publish(control); /* some may have been read from already */
}

int operation_start(struct control *control, const struct member_plan *plan,
                    struct member **ret_member, struct err *err)
{
    int rc = member_start(control, plan, ret_member, err);
    if (rc != 0) {
        operation_abandon(control, plan->operation);
        return err_prefix(err, "%s could not be started", plan->name);
    }
    return 0;
}

int operation_start_all(struct control *control, struct operation *operation, size_t n,
                        const char *const *names, size_t n_names, struct err *err)
{
    operation->n_members = n;
    for (size_t i = 0; i < n; i++) {
        char name[NAME_MAX_BYTES + 1];
        if (i < n_names)
            memcpy(name, names[i], strlen(names[i]) + 1);
        else
            member_invent_name(control, name);
        struct member_plan plan = {.name = name, .operation = operation};
        int rc = operation_start(control, &plan, NULL, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* 0: under way. Else it is answered. */
static int begin_add(struct control *control, struct operation *operation, const cJSON *body)
{
    struct admin_call *call = operation->call;
    struct change change = {0};
    struct err err = {0};
    int rc = read_change(body, dialects[0].list, dialects[0].add_long, &change, &err);
    for (size_t i = 0; rc == 0 && i < change.n_names; i++)
        if (member_find_name(control, change.names[i]))
            rc = err_set(&err, -EEXIST, "a server named '%s' is there already", change.names[i]);
    if (rc == 0)
        rc = operation_check_room(control, change.n, false, &err);
    if (rc != 0) {
        refuse(control, call, err.message);
    } else {
        rc = operation_start_all(control, operation, change.n, change.names, change.n_names, &err);
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

/* The servers of before hold no shard; they go when the new ones serve. */
static void retire_others(struct control *control, const struct operation *operation)
{
    for (struct member *member = control->members; member; member = member->next) {
        member->retiring = false;
        if (member->operation != operation && member->state != MEMBER_DRAINING &&
            member->state != MEMBER_LEAVING)
            member_leave(member);
    }
    while (control->database.vacancies) {
        uint64_t data_id = control->database.vacancies->data_id;
        if (data_id != 0)
            control_remove_data(control, data_id);
        database_drop_vacancy(&control->database);
    }
}

/* All its servers have all their rows: the shards it makes are seen from now on. */
static void commit(struct control *control, struct operation *operation)
{
    struct database *database = &control->database;
    if (operation->type == OPERATION_INIT) {
        database->schema = operation->schema;
        database->configured = true;
        control->n_target = 0;
        retire_others(control, operation);
    }
    for (size_t i = 0; i < database->n_shards; i++) {
        struct table_shard *shard = database->shards[i];
        if (shard->operation != operation)
            continue;
        shard->operation = NULL;
        for (struct replica *replica = shard->replicas; replica; replica = replica->next)
            replica->state = REPLICA_READY;
    }
    control->n_target += operation->n_members;
    operation->filling = false;
    set_all_serving(control, operation);
    publish_change(control, operation);
}

void operation_filled(struct control *control)
{
    struct operation *operation = control->operations;
    if (!operation || !operation->filling || control->stopping)
        return;
    if (operation->type == OPERATION_BOOT) {
        if (control->copies.n == 0)
            operation_finish_boot(control, operation);
        return;
    }
    for (struct member *member = control->members; member; member = member->next)
        if (member->operation == operation && !database_is_filled(&control->database, member->uid))
            return;
    commit(control, operation);
}

/* Every server of it is there and knows its shards. */
void operation_fill(struct control *control, struct operation *operation)
{
    operation->filling = true;
    copy_schedule(control);
    operation_filled(control);
}

void operation_member_ready(struct operation *operation, struct member *member)
{
    if (++operation->n_ready == operation->n_members)
        operation_fill(member->control, operation);
}

void operation_member_lost(struct operation *operation, struct member *member, bool was_configured,
                           const char *cause)
{
    struct control *control = member->control;
    if (operation->type == OPERATION_BOOT && member->returning) {
        /* One server of an earlier life is gone: the others serve, and it is replaced. */
        operation->n_members--;
        operation->n_ready -= was_configured;
        if (operation->n_ready == operation->n_members && !operation->filling)
            operation_fill(control, operation);
        return;
    }
    operation_abandon(control, operation);
    if (operation->type == OPERATION_BOOT) {
        err_set(control->err, -ECHILD, "%s could not be started: %s", member->name, cause);
        operation_finish_first(control);
        control_stop(control, true, -ECHILD);
        return;
    }
    answer_refuse(control, operation->call, 503, "%s could not be started: %s; nothing was changed",
                  member->name, cause);
    operation_finish_first(control);
    run_first(control);
}

/* ---- /rm --------------------------------------------------------------------------------------
 */

static bool is_removable(const struct member *member)
{
    return !member->operation &&
           (member->state == MEMBER_STARTING || member->state == MEMBER_CHECKING ||
            member->state == MEMBER_FILLING || member->state == MEMBER_SERVING);
}

/* The first shard whose rows would be gone without these servers, or NULL. */
static const struct table_shard *find_endangered(const struct control *control,
                                                 struct member *const *chosen, size_t n)
{
    const struct database *database = &control->database;
    const struct table_shard *found = NULL;
    uint64_t *uids = mem_zalloc(n + 1, sizeof(*uids));
    for (size_t i = 0; i < n; i++)
        uids[i] = chosen[i]->uid;
    for (size_t i = 0; i < database->n_shards && !found; i++) {
        const struct table_shard *shard = database->shards[i];
        bool is_touched = false;
        for (size_t j = 0; j < n; j++)
            is_touched |= database_find_replica(shard, uids[j]) != NULL;
        if (is_touched && !shard->operation && !database_is_safe_without(shard, uids, n))
            found = shard;
    }
    free(uids);
    return found;
}

/* Fills chosen[n_named … n] from rest at random, one after the other as long as no last copy goes
 * with it. False: there were not enough. */
static bool choose_rest(struct control *control, struct member **chosen, size_t n_named, size_t n,
                        struct member **rest, size_t n_rest)
{
    size_t at = n_named;
    rng_shuffle(&control->rng, rest, n_rest, sizeof(*rest));
    for (size_t i = 0; i < n_rest && at < n; i++) {
        chosen[at] = rest[i];
        if (!find_endangered(control, chosen, at + 1))
            at++;
    }
    return at == n;
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
    /* Which ones go first decides how many can: several orders are tried. */
    bool found = false;
    for (size_t i = 0; i < MAX_CHOICES && !found; i++)
        found = choose_rest(control, chosen, n, change->n, rest, n_rest);
    if (!found)
        memcpy(chosen + n, rest, (change->n - n) * sizeof(struct member *));
    free(rest);
    const struct table_shard *shard = find_endangered(control, chosen, change->n);
    if (shard)
        return err_set(err, -EINVAL, "the last copy of shard '%s' would go with %s",
                       shard->range.name, change->n == 1 ? chosen[0]->name : "these servers");
    return 0;
}

static void note_removed(struct operation *operation, struct member *const *chosen, size_t n)
{
    buf_append_str(&operation->note, "[");
    for (size_t i = 0; i < n; i++)
        buf_appendf(&operation->note, "%s\"%s\"", i > 0 ? "," : "", chosen[i]->name);
    buf_append_str(&operation->note, "]");
}

static void remove_members(struct control *control, struct operation *operation,
                           struct member *const *chosen, size_t n)
{
    size_t n_live = member_count_live(control);
    control->n_target = n_live > control->n_target ? n_live : control->n_target;
    control->n_target -= n;
    note_removed(operation, chosen, n);
    for (size_t i = 0; i < n; i++)
        member_leave(chosen[i]);
    if (member_count(control, MEMBER_PARTING) > 0) {
        operation->parting = true;
        control_publish(control);
    } else {
        publish_change(control, operation);
    }
}

static int begin_rm(struct control *control, struct operation *operation, const cJSON *body)
{
    const struct dialect *dialect = &dialects[operation->part2];
    struct change change = {0};
    struct err err = {0};
    struct member **chosen = NULL;
    int rc = read_change(body, dialect->list, dialect->remove_long, &change, &err);
    size_t n_live = member_count_live(control);
    if (rc == 0 && change.n > n_live)
        rc = err_set(&err, -EINVAL, "\"n\" is %zu, but there are only %zu servers", change.n,
                     n_live);
    if (rc == 0) {
        chosen = mem_zalloc(change.n, sizeof(struct member *));
        rc = choose_members(control, &change, chosen, &err);
    }
    if (rc != 0)
        refuse(control, operation->call, err.message);
    else
        remove_members(control, operation, chosen, change.n);
    free(chosen);
    change_done(&change);
    return rc;
}

/* ---- which one --------------------------------------------------------------------------------
 */

/* CONTRACT.md, Part 2: which reading of /add and /rm a body means. */
static bool is_part2(const struct control *control, const cJSON *body)
{
    if (json_get(body, "servers") || json_get(body, "new_shards"))
        return true;
    return !json_get(body, "hostnames") && control->database.configured;
}

static int begin(struct control *control, struct operation *operation)
{
    struct err err = {0};
    struct admin_call *call = operation->call;
    if (operation->type == OPERATION_INIT)
        return configure_begin_init(control, operation);
    cJSON *body = json_parse_body(buf_head(&call->body), buf_len(&call->body), &err);
    int rc = 0;
    if (!body) {
        answer_refuse(control, call, 400, "%s", err.message);
        return -EINVAL;
    }
    operation->part2 = is_part2(control, body);
    if (operation->part2 && !control->database.configured) {
        answer_refuse(control, call, 409, "there is no database yet: POST /init first");
        rc = -ENXIO;
    } else if (operation->type == OPERATION_RM) {
        rc = begin_rm(control, operation, body);
    } else if (operation->part2) {
        rc = configure_begin_add(control, operation, body);
    } else {
        rc = begin_add(control, operation, body);
    }
    cJSON_Delete(body);
    return rc;
}

static void run_first(struct control *control)
{
    while (control->operations && begin(control, control->operations) != 0)
        operation_finish_first(control);
}
