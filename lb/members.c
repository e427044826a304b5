#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "lb/control.h"

#define STOP_GRACE_NS (2 * NS_PER_S)
#define DRAIN_NS (5 * NS_PER_S)
#define HEAL_BACKOFF_MIN_S 0.1
#define HEAL_BACKOFF_MAX_S 5.0
#define RANDOM_ID_FIRST 100000
#define RANDOM_IDS 900000

/* ---- finding and naming -----------------------------------------------------------------------
 */

static bool is_live(const struct member *member)
{
    return member->state == MEMBER_STARTING || member->state == MEMBER_CHECKING ||
           member->state == MEMBER_FILLING || member->state == MEMBER_SERVING;
}

struct member *member_find(struct control *control, uint64_t uid)
{
    for (struct member *member = control->members; member; member = member->next)
        if (member->uid == uid)
            return member;
    return NULL;
}

struct member *member_find_name(struct control *control, const char *name)
{
    for (struct member *member = control->members; member; member = member->next)
        if (is_live(member) && !member->retiring && strcmp(member->name, name) == 0)
            return member;
    return NULL;
}

size_t member_count_live(const struct control *control)
{
    size_t n = 0;
    for (const struct member *member = control->members; member; member = member->next)
        n += is_live(member) && !member->operation;
    return n;
}

size_t member_count(const struct control *control, enum member_state state)
{
    size_t n = 0;
    for (const struct member *member = control->members; member; member = member->next)
        n += member->state == state;
    return n;
}

static bool id_taken(struct control *control, uint64_t id)
{
    for (struct member *member = control->members; member; member = member->next)
        if (is_live(member) && !member->retiring && member->id == id)
            return true;
    return false;
}

/* CONTRACT.md, Names, ids, hashing: the number at the end of the name, if it is free; else a random
 * six-digit one. A number past int64 could not be written exactly in JSON, and counts as none. The
 * random one depends on --seed and on what was drawn before; it is drawn once, and the state file
 * keeps it: an LB started again places by the id that the server has. */
static uint64_t choose_id(struct control *control, const char *name)
{
    uint64_t id;
    if (name_trailing_id(name, &id) && id <= INT64_MAX && !id_taken(control, id))
        return id;
    do
        id = RANDOM_ID_FIRST + rng_below(&control->rng, RANDOM_IDS);
    while (id_taken(control, id));
    return id;
}

void member_invent_name(struct control *control, char *name)
{
    do
        snprintf(name, NAME_MAX_BYTES + 1, "Server%llu",
                 (unsigned long long)(RANDOM_ID_FIRST + rng_below(&control->rng, RANDOM_IDS)));
    while (member_find_name(control, name));
}

/* ---- birth ------------------------------------------------------------------------------------
 */

static struct member *member_new(struct control *control, uint64_t uid, uint64_t id,
                                 const char *name, struct operation *operation)
{
    struct member *member = mem_zalloc(1, sizeof(*member));
    member->control = control;
    member->uid = uid;
    member->id = id;
    snprintf(member->name, sizeof(member->name), "%s", name);
    member->operation = operation;
    member->counters = mem_aligned_zalloc(_Alignof(struct server_counters),
                                          control->config->n_threads * sizeof(*member->counters));
    *control->last_member = member;
    control->last_member = &member->next;
    return member;
}

static void unlink_and_free(struct control *control, struct member **link)
{
    struct member *member = *link;
    *link = member->next;
    if (!member->next)
        control->last_member = link;
    httpc_free(member->probe);
    httpc_free(member->desk);
    free(member->counters);
    free(member->groups);
    free(member);
}

static struct member **link_of(struct control *control, const struct member *member)
{
    struct member **link = &control->members;
    while (*link != member)
        link = &(*link)->next;
    return link;
}

static void note(struct member *member, enum timeline_step step, const char *detail)
{
    timeline_add(&member->control->timeline, step, member->uid, member->name, detail);
}

static void take_server(struct member *member, const struct addr *addr, long pid,
                        const char *reference)
{
    member->state = MEMBER_CHECKING;
    member->addr = *addr;
    member->pid = pid;
    snprintf(member->reference, sizeof(member->reference), "%s", reference);
    health_probe(member);
}

/* The words that a server with this data directory is started with: the store's, and where. */
int member_ask_spawner(struct member *member, const char *store, struct err *err)
{
    struct control *control = member->control;
    const struct lb_config *config = control->config;
    char *dir = control_data_dir(control, member->data_id);
    if (!store)
        store = config->store;
    const char *args[] = {store ? "--store" : NULL, store, dir ? "--data" : NULL, dir, NULL};
    struct spawner_request request = {.uid = member->uid,
                                      .name = member->name,
                                      .id = member->id,
                                      .args = args,
                                      .data_id = member->data_id,
                                      .data_is_new = member->data_id == member->uid,
                                      .groups = member->groups,
                                      .n_groups = member->n_groups};
    int rc = control->spawner->ops->start(control->spawner, &request, err);
    free(dir);
    member->unasked = false;
    return rc;
}

int member_start(struct control *control, const struct member_plan *plan,
                 struct member **ret_member, struct err *err)
{
    uint64_t id =
        plan->has_id && !id_taken(control, plan->id) ? plan->id : choose_id(control, plan->name);
    struct member *member =
        member_new(control, control->next_uid++, id, plan->name, plan->operation);
    if (control->config->store_durable)
        member->data_id = plan->data_id ? plan->data_id : member->uid;
    if (plan->n_groups > 0) {
        member->groups = mem_alloc(plan->n_groups * sizeof(*member->groups));
        memcpy(member->groups, plan->groups, plan->n_groups * sizeof(*member->groups));
        member->n_groups = plan->n_groups;
    }
    member->unasked = control->private_db.mariadb != NULL;
    int rc = member->unasked ? 0 : member_ask_spawner(member, NULL, err);
    if (rc != 0) {
        note(member, TIMELINE_FAILED, err ? err->message : NULL);
        metric_bump(&control->metrics.failed_starts);
        unlink_and_free(control, link_of(control, member));
        return rc;
    }
    metric_bump(&control->metrics.starts);
    note(member, TIMELINE_SPAWNED, NULL);
    if (member->unasked)
        private_db_add(member);
    if (ret_member)
        *ret_member = member;
    return 0;
}

int member_adopt(struct control *control, const struct state_server *server,
                 struct operation *operation, struct member **ret_member, struct err *err)
{
    struct spawner_server found = {.uid = server->uid,
                                   .name = server->name,
                                   .addr = server->addr,
                                   .pid = server->pid,
                                   .reference = server->reference};
    int rc = control->spawner->ops->adopt(control->spawner, &found, err);
    if (rc != 0)
        return rc;
    struct member *member = member_new(control, server->uid, server->id, server->name, operation);
    member->adopted = member->returning = true;
    member->data_id = server->data_id;
    note(member, TIMELINE_LISTENS, "adopted");
    *ret_member = member;
    take_server(member, &server->addr, server->pid, server->reference);
    return 0;
}

static void on_started(void *context, const struct spawner_server *server)
{
    struct control *control = context;
    struct member *member = member_find(control, server->uid);
    if (!member || member->state != MEMBER_STARTING)
        return; /* let go of while it started; its exit will be told */
    note(member, TIMELINE_LISTENS, NULL);
    take_server(member, &server->addr, server->pid, server->reference);
    control_save(control);
}

static void on_failed(void *context, uint64_t uid, const struct err *err)
{
    struct control *control = context;
    struct member *member = member_find(control, uid);
    if (member)
        member_failed(member, err);
}

void member_failed(struct member *member, const struct err *err)
{
    struct control *control = member->control;
    member->exited = true;
    metric_bump(&control->metrics.failed_starts);
    note(member, TIMELINE_FAILED, err->message);
    if (member->state != MEMBER_LEAVING)
        member_lost(member, err->message);
    member_reap_all(control, publisher_reclaim(control->publisher));
}

static void on_exit_told(void *context, uint64_t uid, const char *why)
{
    struct control *control = context;
    struct member *member = member_find(control, uid);
    if (!member)
        return;
    member->exited = true;
    if (member->state != MEMBER_LEAVING)
        member_lost(member, why);
    note(member, TIMELINE_EXITED, why);
    member_reap_all(control, publisher_reclaim(control->publisher));
}

const struct spawner_handler member_spawner_handler = {on_started, on_failed, on_exit_told};

void member_ready(struct member *member)
{
    struct control *control = member->control;
    member->ready = true;
    control->heal_backoff_s = 0;
    control->heal_not_before_ns = 0;
    filling_begin(member);
}

void member_set_serving(struct member *member)
{
    char text[ADDR_TEXT_BYTES];
    member->state = MEMBER_SERVING;
    member->operation = NULL;
    note(member, TIMELINE_SERVING, NULL);
    log_info("lb", "%s (id %llu) serves at %s%s", member->name, (unsigned long long)member->id,
             addr_format(&member->addr, text), member->adopted ? ", adopted" : "");
}

/* ---- death ------------------------------------------------------------------------------------
 */

/* Callbacks of its connections come within; by then it is LEAVING, and they do nothing. */
static void let_go(struct member *member)
{
    struct httpc *probe = member->probe, *desk = member->desk;
    member->state = MEMBER_LEAVING;
    member->operation = NULL;
    member->probe = member->desk = NULL;
    httpc_free(probe);
    httpc_free(desk);
}

void member_stop(struct member *member, uint64_t grace_ns)
{
    struct control *control = member->control;
    let_go(member);
    if (member->unasked) /* nobody will tell of its end */
        member->exited = true;
    if (!member->exited)
        control->spawner->ops->stop(control->spawner, member->uid, grace_ns);
}

void member_spare(struct member *member)
{
    let_go(member);
    member->exited = true; /* as far as this life of the LB is concerned */
}

/* A replacement that failed is not tried again at once, but after 0.1 s, 0.2 s … 5 s. */
static void put_off_healing(struct control *control)
{
    double backoff = control->heal_backoff_s * 2;
    if (backoff < HEAL_BACKOFF_MIN_S)
        backoff = HEAL_BACKOFF_MIN_S;
    control->heal_backoff_s = backoff < HEAL_BACKOFF_MAX_S ? backoff : HEAL_BACKOFF_MAX_S;
    control->heal_not_before_ns = clock_now_ns() + (uint64_t)(control->heal_backoff_s * 1e9);
}

/* What the dead one held is a replacement's to take over, unless it was leaving anyway, or its
 * operation fails with it. */
static void vacate(struct member *member, enum member_state state)
{
    struct control *control = member->control;
    struct database *database = &control->database;
    const struct operation *operation = member->operation;
    bool leaves = state == MEMBER_PARTING || state == MEMBER_DRAINING;
    bool fails = operation && operation->type != OPERATION_BOOT;
    size_t n_lost = 0;
    if (control->stopping)
        return;
    if (leaves || fails || member->retiring) {
        database_drop_replicas(database, member->uid);
        member->removed = true;
        return;
    }
    struct vacancy *vacancy = database_vacate(database, member->uid, member->data_id, &n_lost);
    for (size_t i = 0; i < n_lost; i++)
        metric_bump(&control->metrics.lost_shards);
    if (n_lost > 0)
        log_error("lb", "%s held the last copy of %zu shards: their rows are lost", member->name,
                  n_lost);
    /* A directory that its server could not even start on is given up where others have the rows.
     */
    bool needed = false;
    for (size_t i = 0; vacancy && i < vacancy->n_shards; i++)
        needed |= vacancy->shards[i].whole;
    if (vacancy && vacancy->data_id != 0 && !needed && !member->ready) {
        vacancy->data_id = 0;
        member->removed = true;
    }
}

void member_lost(struct member *member, const char *cause)
{
    struct control *control = member->control;
    struct operation *operation = member->operation;
    enum member_state state = member->state;
    bool was_routed = state == MEMBER_FILLING || state == MEMBER_SERVING ||
                      state == MEMBER_PARTING || state == MEMBER_DRAINING;
    bool was_configured = state != MEMBER_STARTING && state != MEMBER_CHECKING;
    note(member, TIMELINE_DETECTED, cause);
    metric_bump(&control->metrics.deaths);
    if (control->stopping)
        log_debug("lb", "%s ended: %s", member->name, cause);
    else
        log_warn("lb", "%s is lost: %s", member->name, cause);
    vacate(member, state);
    member_stop(member, 0); /* fenced: it must not come back to life behind our back */
    if (was_routed && !control->stopping)
        control_publish(control);
    if (operation)
        operation_member_lost(operation, member, was_configured, cause);
    else if (!member->ready)
        put_off_healing(control);
    copy_member_gone(control, member->uid);
    member_heal(control);
    copy_schedule(control);
    operation_filled(control);
}

static void drain(struct member *member)
{
    member->state = MEMBER_DRAINING;
    member->n_drained = 0;
    uint64_t drain_ns = member->control->config->drain_ns;
    member->drain_deadline_ns = clock_now_ns() + (drain_ns ? drain_ns : DRAIN_NS);
    note(member, TIMELINE_DRAINING, NULL);
}

void member_leave(struct member *member)
{
    struct control *control = member->control;
    bool is_routed = member->state == MEMBER_SERVING || member->state == MEMBER_FILLING;
    member->removed = true;
    member->operation = NULL;
    database_leave(&control->database, member->uid);
    bool is_read = database_n_replicas_of(&control->database, member->uid) > 0;
    if (is_read)
        member->state = MEMBER_PARTING;
    else if (is_routed)
        drain(member);
    else
        member_stop(member, 0);
    if (is_routed)
        log_info("lb", "%s is being removed", member->name);
    copy_member_gone(control, member->uid);
}

/* Whether all it holds is somewhere else. A server that died since its removal was begun can have
 * made its copies the last ones: then they wait here for the next one's copy. */
static bool is_dispensable(const struct member *member)
{
    const struct database *database = &member->control->database;
    for (size_t i = 0; i < database->n_shards; i++)
        if (database_find_replica(database->shards[i], member->uid) &&
            database_count(database->shards[i], REPLICA_READY) == 0)
            return false;
    return true;
}

void member_part_all(struct control *control, uint64_t reached_version)
{
    bool any = false;
    for (struct member *member = control->members; member; member = member->next) {
        if (member->state != MEMBER_PARTING || member->parted_version == 0 ||
            member->parted_version > reached_version || !is_dispensable(member))
            continue;
        database_drop_replicas(&control->database, member->uid);
        drain(member);
        copy_member_gone(control, member->uid);
        any = true;
    }
    if (any)
        control_publish(control);
}

void member_drained(struct member *member)
{
    note(member, TIMELINE_DRAINED, NULL);
    member_stop(member, STOP_GRACE_NS);
    control_publish(member->control);
}

void member_reap_all(struct control *control, uint64_t reached_version)
{
    bool no_workers = control->n_workers == control->n_workers_stopped;
    struct member **link = &control->members;
    while (*link) {
        struct member *member = *link;
        bool unknown = no_workers || member->last_version < reached_version;
        if (member->state == MEMBER_LEAVING && unknown && member->last_version > 0 &&
            !member->out_told) {
            member->out_told = true;
            note(member, TIMELINE_OUT, NULL);
        }
        if (member->state == MEMBER_LEAVING && member->exited && unknown) {
            if (member->removed && member->data_id != 0) {
                control_remove_data(control, member->data_id);
            }
            unlink_and_free(control, link);
        } else
            link = &member->next;
    }
    if (control->stopping && !control->members && no_workers && private_db_stop(control))
        ev_break(control->loop, EVBREAK_ALL);
}

void member_free_all(struct control *control)
{
    while (control->members)
        unlink_and_free(control, &control->members);
}

/* ---- healing ----------------------------------------------------------------------------------
 */

/* The place of the one that died first. */
static int start_replacement(struct control *control, struct err *err)
{
    struct vacancy *vacancy = control->database.vacancies;
    struct member *member;
    char name[NAME_MAX_BYTES + 1];
    struct member_plan plan = {.name = name, .data_id = vacancy ? vacancy->data_id : 0};
    member_invent_name(control, name);
    if (vacancy && vacancy->name[0] && !member_find_name(control, vacancy->name)) {
        snprintf(name, sizeof(name), "%s", vacancy->name);
        plan.has_id = true;
        plan.id = vacancy->id;
    }
    uint32_t *groups = vacancy ? database_groups_of(vacancy) : NULL;
    plan.groups = groups;
    plan.n_groups = vacancy ? vacancy->n_shards : 0;
    int rc = member_start(control, &plan, &member, err);
    free(groups);
    if (rc == 0 && vacancy)
        database_occupy(&control->database, vacancy, member->uid);
    return rc;
}

void member_heal(struct control *control)
{
    if (!control->live || control->stopping)
        return;
    while (member_count_live(control) < control->n_target) {
        uint64_t now_ns = clock_now_ns();
        if (now_ns < control->heal_not_before_ns) {
            double wait_s = (double)(control->heal_not_before_ns - now_ns) * 1e-9;
            ev_timer_stop(control->loop, &control->heal_timer);
            ev_timer_set(&control->heal_timer, wait_s, 0.);
            ev_timer_start(control->loop, &control->heal_timer);
            return;
        }
        struct err err = {0};
        if (start_replacement(control, &err) != 0) {
            log_error("lb", "cannot start a replacement: %s", err.message);
            put_off_healing(control);
        }
    }
}
