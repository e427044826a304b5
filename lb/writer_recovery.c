/* Changes of several shards that may be half made: by an earlier life of the LB, which was killed
 * within them, or by this one, where the last replica of a shard did not answer. Each has an intent
 * (lb/intents.h), which keeps its keys locked, and is looked at again and again by a job of
 * nobody's until its keys are there in every shard or in none. An insert of a shard is all or
 * nothing there, its keys were absent before, and nobody else has changed them since: so where they
 * are in one shard and not in another, they are taken back. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "lb/writer_parts.h"

static void link_intent(struct writer *writer, struct intent *intent)
{
    intent->next = writer->intents;
    intent->link = &writer->intents;
    if (intent->next)
        intent->next->link = &intent->next;
    writer->intents = intent;
}

static void unlink_intent(struct intent *intent)
{
    *intent->link = intent->next;
    if (intent->next)
        intent->next->link = intent->link;
}

static void set_to_recover(struct writer *writer, struct intent *intent, bool to_recover)
{
    writer->n_to_recover += to_recover;
    writer->n_to_recover -= intent->to_recover;
    intent->to_recover = to_recover;
    if (to_recover && !ev_is_active(&writer->timer))
        ev_timer_again(writer->config.loop, &writer->timer);
}

/* Its keys are free, and nothing of it is left. */
static void forget(struct writer *writer, struct intent *intent)
{
    unlink_intent(intent);
    keylock_release(&writer->locks, &intent->locks);
    intent_free(intent);
}

static void end(struct writer *writer, struct intent *intent)
{
    set_to_recover(writer, intent, false);
    if (intents_end(writer->config.intents, intent))
        forget(writer, intent);
}

/* ---- noting -----------------------------------------------------------------------------------
 */

static void on_open(void *context, struct intent *intent, int code)
{
    (void)context;
    struct job *job = intent->job;
    job->intent_code = code;
    if (--job->n_outstanding == 0)
        writer_queue(job);
}

static void on_ended(void *context, struct intent *intent)
{
    forget(context, intent);
}

void recovery_note(struct job *job)
{
    struct writer *writer = job->writer;
    const struct change *change = &job->call->change;
    if (!writer->config.intents)
        return;
    struct intent *intent = intent_new(change->keys, change->n_keys);
    intent->job = job;
    job->intent = intent;
    link_intent(writer, intent);
    if (!intents_begin(writer->config.intents, intent))
        job->n_outstanding++;
}

void recovery_finish(struct job *job)
{
    struct writer *writer = job->writer;
    struct intent *intent = job->intent;
    intent->job = NULL;
    if (job->intent_code != 0)
        forget(writer, intent);
    else if (!job->unsettled)
        end(writer, intent);
    else if (writer->aborted)
        keylock_release(&writer->locks, &intent->locks);
    else
        set_to_recover(writer, intent, true);
}

/* ---- looking again ----------------------------------------------------------------------------
 */

/* The keys, by the shards that there are; those that no shard holds any more are gone. */
static void split(const struct writer *writer, const struct intent *intent, struct change *change)
{
    change->parts = arena_zalloc(&change->arena, writer->n_lanes + 1, sizeof(*change->parts));
    change->keys = arena_alloc(&change->arena, (intent->n_keys + 1) * sizeof(*change->keys));
    for (size_t i = 0; i < intent->n_keys; i++) {
        size_t shard = shard_find(writer->ranges, writer->n_lanes, intent->keys[i]);
        if (shard == writer->n_lanes)
            continue;
        struct change_part *part = &change->parts[change->n_parts - (change->n_parts > 0)];
        if (change->n_parts == 0 || part->shard.low != writer->ranges[shard].low) {
            part = &change->parts[change->n_parts++];
            part->shard = writer->ranges[shard];
            part->keys = change->keys + change->n_keys;
        }
        change->keys[change->n_keys++] = intent->keys[i];
        part->n_keys++;
    }
}

static void look(struct writer *writer, struct intent *intent)
{
    struct change_call *call = mem_zalloc(1, sizeof(*call));
    call->change.type = CHANGE_WRITE;
    arena_init(&call->change.arena);
    buf_init(&call->change.text, 0);
    split(writer, intent, &call->change);
    if (call->change.n_parts == 0) {
        change_call_free(call);
        end(writer, intent);
        return;
    }
    struct job *job = arena_zalloc(&call->change.arena, 1, sizeof(*job));
    job->writer = writer;
    job->call = call;
    job->recovers = job->unsettled = true;
    job->intent = intent;
    if (writer_is_held(job)) {
        change_call_free(call);
        return;
    }
    set_to_recover(writer, intent, false);
    intent->job = job;
    writer->n_jobs++;
    job_start(job);
}

void recovery_step(struct writer *writer)
{
    struct intent *next;
    if (writer->n_to_recover == 0 || writer->aborted || !writer->snapshot)
        return;
    for (struct intent *intent = writer->intents; intent; intent = next) {
        next = intent->next;
        if (intent->to_recover)
            look(writer, intent);
    }
}

/* Sends the next question of a shard that was not answered. False: nobody is left to ask. */
static bool ask_again(struct job *job, bool *ret_present, bool *ret_absent)
{
    for (size_t i = 0; i < job->call->change.n_parts; i++) {
        struct run *run = &job->runs[i];
        enum outlet_verdict verdict = run->asked->base.verdict;
        *ret_present |= verdict == OUTLET_EXISTS;
        *ret_absent |= verdict == OUTLET_OK;
        if (verdict != OUTLET_EXISTS && verdict != OUTLET_OK && !job_check(run))
            return false;
    }
    return true;
}

void recovery_advance_check(struct job *job)
{
    bool present = false, absent = false;
    if (!ask_again(job, &present, &absent)) {
        change_call_fail(job->call, 503, "a shard could not be asked");
        if (job->n_outstanding == 0)
            job_finish(job);
        return;
    }
    if (job->n_outstanding > 0)
        return;
    job->unsettled = false; /* unless the taking back says otherwise */
    metric_bump(&job->writer->metrics.recovered);
    if (!present || !absent) {
        job_finish(job);
        return;
    }
    for (size_t i = 0; i < job->call->change.n_parts; i++) {
        struct run *run = &job->runs[i];
        bool is_there = run->asked->base.verdict == OUTLET_EXISTS;
        for (size_t k = 0; k < run->n_items; k++)
            run->items[k].written = is_there ? OUTLET_OK : OUTLET_MISSING;
    }
    job_undo(job);
}

/* ---- life -------------------------------------------------------------------------------------
 */

/* Keys of what was left cannot be another's as well; were they, it would be looked at after it. */
static void on_locked(struct keylock_holder *holder)
{
    (void)holder;
}

void recovery_begin(struct writer *writer)
{
    static const struct intents_handler handler = {on_open, on_ended, NULL};
    struct intents *intents = writer->config.intents;
    struct intents_handler ours = handler;
    struct intent *intent;
    if (!intents)
        return;
    ours.context = writer;
    intents_set_handler(intents, &ours);
    while ((intent = intents_take_left(intents))) {
        intent->locks.on_all = on_locked;
        keylock_take(&writer->locks, &intent->locks, intent->keys, intent->n_keys);
        link_intent(writer, intent);
        set_to_recover(writer, intent, true);
    }
}

void recovery_abort(struct writer *writer)
{
    for (struct intent *intent = writer->intents; intent; intent = intent->next)
        if (intent->to_recover)
            keylock_release(&writer->locks, &intent->locks);
}

void recovery_done(struct writer *writer)
{
    intents_close(writer->config.intents);
    while (writer->intents)
        forget(writer, writer->intents);
}
