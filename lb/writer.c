#include "lb/writer.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/err.h"
#include "core/log.h"
#include "core/mem.h"
#include "lb/epoch.h"
#include "lb/writer_parts.h"

#define DEFAULT_TIMEOUT_NS (5 * NS_PER_S)
#define STEP_S 0.1
#define LATE_NS (400 * NS_PER_MS)

/* ---- lists ------------------------------------------------------------------------------------
 */

static void list_init(struct job_list *list)
{
    list->first = NULL;
    list->last = &list->first;
}

static void list_append(struct job_list *list, struct job *job)
{
    job->next_ready = NULL;
    *list->last = job;
    list->last = &job->next_ready;
}

static struct job *list_take(struct job_list *list)
{
    struct job *job = list->first;
    if (job) {
        list->first = job->next_ready;
        if (!list->first)
            list->last = &list->first;
    }
    return job;
}

void writer_queue(struct job *job)
{
    if (job->is_ready)
        return;
    job->is_ready = true;
    list_append(&job->writer->ready, job);
    flusher_add(job->writer->config.flusher, &job->writer->flush);
}

/* ---- targets ----------------------------------------------------------------------------------
 */

void target_unref(struct target *target)
{
    if (--target->n_refs > 0 || target->outlet)
        return;
    struct target **link = &target->writer->former_targets;
    while (*link != target)
        link = &(*link)->next;
    *link = target->next;
    free(target);
}

static void tell_control(struct writer *writer, enum letter_type type, uint64_t uid, int code)
{
    struct lb_letter *letter = letter_new(type, writer->config.worker);
    letter->uid = uid;
    letter->code = code;
    letter->version = writer->snapshot->version;
    mailbox_post(writer->config.control, &letter->letter);
}

static void on_down(void *context, int code)
{
    struct target *target = context;
    tell_control(target->writer, LETTER_SUSPECT, target->uid, code);
}

static void on_idle(void *context)
{
    struct target *target = context;
    const struct writer_config *config = &target->writer->config;
    if (config->on_idle)
        config->on_idle(config->context, target->uid);
}

static struct target *target_new(struct writer *writer, const struct snapshot_server *server)
{
    struct target *target = mem_zalloc(1, sizeof(*target));
    target->writer = writer;
    target->uid = server->uid;
    snprintf(target->name, sizeof(target->name), "%s", server->name);
    target->outlet = outlet_new(
        &(struct outlet_config){.loop = writer->config.loop,
                                .flusher = writer->config.flusher,
                                .addr = server->addr,
                                .timeout_ns = writer->config.timeout_ns,
                                .counters = &writer->metrics.outlets,
                                .rounds = writer->config.in_rounds ? &writer->rounds : NULL,
                                .on_down = on_down,
                                .on_idle = on_idle,
                                .context = target});
    return target;
}

/* It left the snapshot. */
static void target_close(struct target *target)
{
    outlet_free(target->outlet);
    target->outlet = NULL;
    target->next = target->writer->former_targets;
    target->writer->former_targets = target;
    target->n_refs++;
    target_unref(target);
}

void writer_fence(struct target *target)
{
    if (target->fence != FENCE_NONE)
        return;
    target->fence = FENCE_ASKED;
    metric_bump(&target->writer->metrics.fences);
    tell_control(target->writer, LETTER_FENCE, target->uid, 0);
    if (target->outlet)
        outlet_cut(target->outlet);
}

bool writer_may_fence(const struct writer *writer, const struct target *target)
{
    for (size_t i = 0; i < writer->n_lanes; i++) {
        const struct lane *lane = writer->lanes[i];
        bool has_it = false;
        for (size_t k = 0; k < lane->n_targets; k++)
            has_it |= lane->targets[k] == target && !lane_is_demoting(lane, target->uid);
        if (has_it && !lane_has_another(lane, target))
            return false;
    }
    return true;
}

/* ---- snapshots --------------------------------------------------------------------------------
 */

static struct target *take_target(struct target **targets, size_t n, uint64_t uid)
{
    for (size_t i = 0; i < n; i++) {
        struct target *target = targets[i];
        if (target && target->uid == uid) {
            targets[i] = NULL;
            return target;
        }
    }
    return NULL;
}

static struct lane *take_lane(struct lane **lanes, size_t n, const struct snapshot_shard *shard)
{
    for (size_t i = 0; i < n; i++) {
        struct lane *lane = lanes[i];
        if (lane && lane->live == shard->live && lane->range.low == shard->range.low) {
            lanes[i] = NULL;
            return lane;
        }
    }
    return NULL;
}

static void lane_set_targets(struct writer *writer, struct lane *lane,
                             const struct snapshot_shard *shard)
{
    free(lane->targets);
    lane->range = shard->range;
    lane->n_targets = shard->n_writers;
    lane->targets = mem_zalloc(shard->n_writers + 1, sizeof(*lane->targets));
    for (size_t i = 0; i < shard->n_writers; i++) {
        uint32_t index = shard->writers[i];
        if (!writer->targets[index])
            writer->targets[index] = target_new(writer, &writer->snapshot->servers[index]);
        lane->targets[i] = writer->targets[index];
    }
}

static void take_lanes(struct writer *writer, const struct snapshot *snapshot)
{
    struct lane **old = writer->lanes;
    size_t n_old = writer->n_lanes;
    writer->lanes = mem_zalloc(snapshot->n_shards + 1, sizeof(*writer->lanes));
    free(writer->ranges);
    writer->ranges = mem_zalloc(snapshot->n_shards + 1, sizeof(*writer->ranges));
    writer->n_lanes = snapshot->n_shards;
    for (size_t i = 0; i < snapshot->n_shards; i++) {
        const struct snapshot_shard *shard = &snapshot->shards[i];
        struct lane *lane = take_lane(old, n_old, shard);
        if (!lane) {
            lane = mem_zalloc(1, sizeof(*lane));
            lane->live = shard->live;
        }
        lane_set_targets(writer, lane, shard);
        writer->lanes[i] = lane;
        writer->ranges[i] = shard->range;
    }
    for (size_t i = 0; i < n_old; i++) {
        if (!old[i])
            continue;
        old[i]->live = NULL; /* it may be freed now */
        old[i]->n_targets = 0;
        old[i]->next = writer->former_lanes;
        writer->former_lanes = old[i];
    }
    free(old);
}

void writer_take(struct writer *writer, const struct snapshot *snapshot)
{
    struct target **old = writer->targets;
    size_t n_old = writer->n_targets;
    uint64_t epoch = epoch_next(); /* later than of the copies that filled its replicas */
    writer->snapshot = snapshot;
    writer->n_targets = snapshot->n_servers;
    writer->targets = mem_zalloc(snapshot->n_servers + 1, sizeof(*writer->targets));
    for (size_t i = 0; i < snapshot->n_servers; i++) {
        writer->targets[i] = take_target(old, n_old, snapshot->servers[i].uid);
        if (writer->targets[i])
            outlet_set_epoch(writer->targets[i]->outlet, epoch);
    }
    take_lanes(writer, snapshot);
    for (size_t i = 0; i < n_old; i++)
        if (old[i])
            target_close(old[i]);
    free(old);
    recovery_step(writer);
    writer_admit_parked(writer);
}

struct lane *writer_find_lane(const struct writer *writer, const struct change_part *part)
{
    size_t i = shard_find(writer->ranges, writer->n_lanes, part->keys[0]);
    if (i == writer->n_lanes || writer->ranges[i].low != part->shard.low ||
        writer->ranges[i].last != part->shard.last)
        return NULL;
    return writer->lanes[i];
}

size_t writer_n_under_way(const struct writer *writer, uint64_t uid)
{
    for (size_t i = 0; i < writer->n_targets; i++)
        if (writer->targets[i] && writer->targets[i]->uid == uid)
            return outlet_n_items(writer->targets[i]->outlet);
    return 0;
}

/* ---- admission --------------------------------------------------------------------------------
 */

bool writer_is_held(const struct job *job)
{
    const struct change *change = &job->call->change;
    for (size_t i = 0; i < change->n_parts; i++) {
        const struct lane *lane = writer_find_lane(job->writer, &change->parts[i]);
        if (lane && lane_is_held(lane))
            return true;
    }
    return false;
}

static void on_locked(struct keylock_holder *holder)
{
    writer_queue((struct job *)holder);
}

/* Starts the job, or lets it wait for what it needs. */
static void admit(struct job *job)
{
    struct writer *writer = job->writer;
    const struct change *change = &job->call->change;
    if (writer->aborted) {
        change_call_fail(job->call, 503, "the load balancer is ending");
        job_finish(job);
        return;
    }
    if (writer_is_held(job)) {
        list_append(&writer->parked, job);
        return;
    }
    bool wants_locks =
        change->n_parts > 1 || keylock_any(&writer->locks, change->keys, change->n_keys);
    if (!job->locks.locks && wants_locks &&
        !keylock_take(&writer->locks, &job->locks, change->keys, change->n_keys))
        return; /* on_locked() */
    job_start(job);
}

void writer_admit_parked(struct writer *writer)
{
    struct job_list parked = writer->parked;
    if (!parked.first)
        return;
    list_init(&writer->parked);
    struct job *next;
    for (struct job *job = parked.first; job; job = next) {
        next = job->next_ready;
        admit(job);
    }
}

void writer_submit(struct writer *writer, struct change_call *call)
{
    struct job *job = arena_zalloc(&call->change.arena, 1, sizeof(*job));
    job->writer = writer;
    job->call = call;
    job->locks.on_all = on_locked;
    job->n_bytes = buf_len(&call->change.text);
    job->begin_ns = clock_now_ns();
    metric_bump(&writer->metrics.changes);
    bool too_many = writer->n_jobs >= writer->config.max_changes ||
                    writer->n_bytes + job->n_bytes > writer->config.max_bytes;
    writer->n_jobs++;
    writer->n_bytes += job->n_bytes;
    metric_set_gauge(&writer->metrics.waiting, writer->n_jobs);
    if (too_many) {
        metric_bump(&writer->metrics.too_many);
        change_call_fail(call, 503, "too many changes are waiting");
        job_finish(job);
        return;
    }
    if (!ev_is_active(&writer->timer)) {
        ev_timer_again(writer->config.loop, &writer->timer);
        writer->ticked_ns = job->begin_ns;
    }
    admit(job);
}

static void link_job(struct job **list, struct job *job)
{
    job->next = *list;
    job->link = list;
    if (job->next)
        job->next->link = &job->next;
    *list = job;
}

static void unlink_job(struct job *job)
{
    if (!job->link)
        return;
    *job->link = job->next;
    if (job->next)
        job->next->link = job->link;
    job->link = NULL;
}

void writer_enter(struct job *job)
{
    job->started = true;
    link_job(&job->writer->under_way, job);
    for (size_t i = 0; i < job->call->change.n_parts; i++) {
        struct run *run = &job->runs[i];
        run->lane->n_under_way++;
        if (run->lane->tracking)
            key_log_add(&run->lane->dirty, run->part->keys, run->part->n_keys);
    }
}

void writer_leave(struct job *job)
{
    struct writer *writer = job->writer;
    unlink_job(job);
    if (job->started) {
        job->started = false;
        for (size_t i = 0; i < job->call->change.n_parts; i++) {
            struct lane *lane = job->runs[i].lane;
            if (--lane->n_under_way == 0)
                lane_went_idle(writer, lane);
        }
    }
    if (job->intent)
        keylock_move(&job->locks, &job->intent->locks);
    else
        keylock_release(&writer->locks, &job->locks);
}

void writer_await_fences(struct job *job)
{
    writer_leave(job);
    link_job(&job->writer->fencing, job);
}

/* ---- the turn's end ---------------------------------------------------------------------------
 */

static void on_flush(struct flush_item *item)
{
    struct writer *writer = (struct writer *)((char *)item - offsetof(struct writer, flush));
    struct job *job;
    while ((job = list_take(&writer->ready))) {
        job->is_ready = false;
        if (job->phase == JOB_WAITING)
            admit(job);
        else
            job_advance(job);
    }
}

static void on_timer(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)events;
    struct writer *writer = timer->data;
    uint64_t now_ns = clock_now_ns();
    /* If this loop itself was late, the silence is ours: what came meanwhile is read first. */
    bool on_time = now_ns - writer->ticked_ns < LATE_NS;
    writer->ticked_ns = now_ns;
    for (size_t i = 0; i < writer->n_targets && on_time; i++)
        if (writer->targets[i])
            outlet_expire(writer->targets[i]->outlet, now_ns);
    recovery_step(writer);
    if (writer->n_jobs == 0 && writer->n_to_recover == 0)
        ev_timer_stop(loop, timer);
}

/* ---- life -------------------------------------------------------------------------------------
 */

struct writer *writer_new(const struct writer_config *config)
{
    struct writer *writer = mem_aligned_zalloc(_Alignof(struct writer), sizeof(*writer));
    writer->config = *config;
    if (writer->config.timeout_ns == 0)
        writer->config.timeout_ns = DEFAULT_TIMEOUT_NS;
    if (writer->config.max_changes == 0)
        writer->config.max_changes = WRITER_MAX_CHANGES;
    if (writer->config.max_bytes == 0)
        writer->config.max_bytes = WRITER_MAX_BYTES;
    list_init(&writer->ready);
    list_init(&writer->parked);
    keylock_init(&writer->locks);
    struct err err;
    if (writer->config.in_rounds &&
        outlet_rounds_init(&writer->rounds, config->loop, config->flusher, &err) != 0) {
        log_warn("writer", "servers are written to each by itself: %s", err.message);
        writer->config.in_rounds = false;
    }
    buf_init(&writer->scratch, 0);
    writer->flush.flush = on_flush;
    ev_timer_init(&writer->timer, on_timer, 0., STEP_S);
    writer->timer.data = writer;
    recovery_begin(writer);
    return writer;
}

void writer_abort(struct writer *writer)
{
    writer->aborted = true;
    recovery_abort(writer);
    for (size_t i = 0; i < writer->n_targets; i++)
        if (writer->targets[i])
            outlet_cut(writer->targets[i]->outlet);
    for (struct job *job = writer->fencing; job; job = job->next)
        writer_queue(job);
    struct job *job;
    while ((job = list_take(&writer->parked)))
        writer_queue(job);
}

bool writer_is_idle(const struct writer *writer)
{
    return writer->n_jobs == 0;
}

void writer_free(struct writer *writer)
{
    if (!writer)
        return;
    assert(writer->n_jobs == 0);
    recovery_done(writer);
    ev_timer_stop(writer->config.loop, &writer->timer);
    flusher_remove(writer->config.flusher, &writer->flush);
    for (size_t i = 0; i < writer->n_targets; i++)
        if (writer->targets[i])
            target_close(writer->targets[i]);
    free(writer->targets);
    for (size_t i = 0; i < writer->n_lanes; i++)
        lane_free(writer->lanes[i]);
    free(writer->lanes);
    free(writer->ranges);
    struct lane *lane;
    while ((lane = writer->former_lanes)) {
        writer->former_lanes = lane->next;
        lane_free(lane);
    }
    if (writer->config.in_rounds)
        outlet_rounds_done(&writer->rounds);
    keylock_done(&writer->locks);
    buf_done(&writer->scratch);
    free(writer);
}

const struct writer_metrics *writer_metrics(const struct writer *writer)
{
    return &writer->metrics;
}
