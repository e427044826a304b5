#include "lb/copy.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/mem.h"
#include "lb/control.h"
#include "lb/copy_private.h"
#include "lb/epoch.h"
#include "lb/shard_digest.h"
#include "table/batch.h"

#define MAX_COPIES 8u
/* Rounds of catching up while changes go on; then they are held, however many keys there are. */
#define MAX_ROUNDS 16u
/* Changed keys so near to each other are copied as one range. */
#define NEAR_KEYS 8
#define MAX_ATTEMPTS 6u
#define RETRY_FIRST_S 0.02
#define MAX_BODY_BYTES (16u << 20)

static void begin(struct copy *copy);

/* ---- the writer -------------------------------------------------------------------------------
 */

static void tell_writer(struct copy *copy, enum letter_type type, bool hold)
{
    struct shard_letter *letter = shard_letter_new(type, &copy->shard->live);
    letter->base.version = copy->number;
    letter->hold = hold;
    control_tell_writer(copy->control, &letter->base);
}

static void release_writer(struct copy *copy)
{
    if (copy->tracked)
        tell_writer(copy, LETTER_RELEASE, false);
    copy->tracked = copy->held = false;
}

/* ---- the end ----------------------------------------------------------------------------------
 */

/* Requests that fail by it, now or from a caller's loop over them, find that nobody waits. */
static void disconnect(struct copy *copy)
{
    for (size_t i = 0; i < COPY_N_SLOTS; i++)
        copy->slots[i].step = STEP_IDLE;
    copy->n_wholes = 0;
    copy->n_ranges = 0;
    httpc_free(copy->from);
    httpc_free(copy->to);
    copy->from = copy->to = NULL;
}

static void on_dead(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    struct copy *copy = timer->data;
    copy_free_dead(copy->control);
}

/* Takes it off its shard. What the writer holds is to be released before. It is freed at the loop's
 * next turn: a connection that broke may still go through requests that lie in it. */
static void drop(struct copy *copy)
{
    struct control *control = copy->control;
    struct copy **link = &control->copies.first;
    while (*link != copy)
        link = &(*link)->next;
    *link = copy->next;
    control->copies.n--;
    copy->shard->copy = NULL;
    disconnect(copy);
    copy->next = control->copies.dead;
    control->copies.dead = copy;
    ev_timer_stop(control->loop, &copy->pause);
    ev_set_cb(&copy->pause, on_dead);
    ev_timer_set(&copy->pause, 0., 0.);
    ev_timer_start(control->loop, &copy->pause);
}

void copy_free_dead(struct control *control)
{
    while (control->copies.dead) {
        struct copy *copy = control->copies.dead;
        control->copies.dead = copy->next;
        ev_timer_stop(control->loop, &copy->pause);
        free(copy->ranges);
        free(copy);
    }
}

static void succeed(struct copy *copy)
{
    struct control *control = copy->control;
    struct table_shard *shard = copy->shard;
    uint64_t target = copy->target;
    metric_bump(&control->metrics.copies);
    metric_bump_by(&control->metrics.copied_rows, copy->n_rows);
    if (copy->claim) {
        uint64_t n_rows = copy->wholes[1].n_rows;
        uint64_t n_known = atomic_exchange(&shard->live.valid_idx, n_rows);
        if (!copy->wipe && n_rows < n_known)
            log_error("lb", "shard %s: its last copy came back with %llu rows, it had %llu",
                      shard->range.name, (unsigned long long)n_rows, (unsigned long long)n_known);
    }
    struct replica *replica = database_find_replica(shard, target);
    replica->filled = (struct timeline_rows){
        .held = copy->wholes[1].n_rows, .copied = copy->n_rows, .copied_bytes = copy->n_bytes};
    filling_note_shard(control, shard, replica);
    log_debug("lb", "shard %s: %s, %llu of %llu rows copied", shard->range.name,
              copy->claim ? "claimed" : "equal", (unsigned long long)copy->n_rows,
              (unsigned long long)copy->wholes[1].n_rows);
    database_set_ready(&control->database, shard, replica);
    /* The snapshot's letter goes before the one that lets changes go on: they take the new replica
     * as well. */
    control_publish(control);
    release_writer(copy);
    drop(copy);
    filling_replica_ready(control, target);
}

static void give_up(struct copy *copy, const char *why)
{
    struct control *control = copy->control;
    struct member *target = member_find(control, copy->target);
    char cause[TIMELINE_DETAIL_BYTES];
    metric_bump(&control->metrics.failed_copies);
    snprintf(cause, sizeof(cause), "copy of %.24s: %.60s", copy->shard->range.name, why);
    release_writer(copy);
    drop(copy);
    if (target)
        member_lost(target, cause);
}

/* Whether the target holds no last replica. One that was demoted can be on a server that does. */
static bool may_lose_target(const struct copy *copy)
{
    const struct database *database = &copy->control->database;
    for (size_t i = 0; i < database->n_shards; i++) {
        const struct table_shard *shard = database->shards[i];
        const struct replica *replica = database_find_replica(shard, copy->target);
        if (replica && replica->state != REPLICA_FILLING &&
            !database_is_safe_without(shard, &copy->target, 1))
            return false;
    }
    return true;
}

static void on_pause(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    begin(timer->data);
}

void copy_fail(struct copy *copy, const char *format, ...)
{
    char why[128];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof(why), format, args);
    va_end(args);
    release_writer(copy);
    disconnect(copy);
    if (++copy->n_attempts >= MAX_ATTEMPTS) {
        if (may_lose_target(copy)) {
            give_up(copy, why);
            return;
        }
        copy->n_attempts = MAX_ATTEMPTS;
    }
    log_info("lb", "the copy of shard %s is tried again: %s", copy->shard->range.name, why);
    copy->compare = true;
    copy->phase = PHASE_PAUSING;
    ev_timer_stop(copy->control->loop, &copy->pause);
    ev_timer_set(&copy->pause, RETRY_FIRST_S * (double)(1u << copy->n_attempts), 0.);
    ev_timer_start(copy->control->loop, &copy->pause);
}

/* ---- the phases -------------------------------------------------------------------------------
 */

static void on_whole_failure(struct httpc_request *call, int code, bool sent);
static void on_source_whole(struct httpc_request *call, const struct http_message *answer);
static void on_target_whole(struct httpc_request *call, const struct http_message *answer);

static void compare_wholes(struct copy *copy)
{
    copy->phase = PHASE_COMPARING;
    copy->whole_calls[0] =
        (struct httpc_request){.on_answer = on_source_whole, .on_failure = on_whole_failure};
    copy->whole_calls[1] =
        (struct httpc_request){.on_answer = on_target_whole, .on_failure = on_whole_failure};
    copy->n_wholes = copy->claim ? 1 : 2;
    int rc = copy->claim ? 0 : copy_ask(copy, true, &copy->whole_calls[0], "/digest", NULL, 0);
    if (rc == 0)
        rc = copy_ask(copy, false, &copy->whole_calls[1], "/digest", NULL, 0);
    if (rc != 0)
        copy_fail(copy, "no connection: %s", err_errno_text(rc));
}

static void ask_changes(struct copy *copy)
{
    copy->phase = PHASE_ASKING;
    tell_writer(copy, LETTER_TAKE_DIRTY, copy->held);
}

/* Every range of the phase is done. */
static void finish_phase(struct copy *copy)
{
    /* From the first pass on the writer's keys are copied without a look. */
    copy->compare = false;
    if (!copy->tracked || copy->held)
        compare_wholes(copy);
    else
        ask_changes(copy);
}

void copy_pump(struct copy *copy)
{
    bool busy = false;
    for (size_t i = 0; i < COPY_N_SLOTS; i++) {
        struct copy_slot *slot = &copy->slots[i];
        if (slot->step == STEP_IDLE && copy->n_ranges > 0) {
            int rc = copy_start_slot(slot, copy->ranges[--copy->n_ranges]);
            if (rc != 0) {
                copy_fail(copy, "no connection: %s", err_errno_text(rc));
                return;
            }
        }
        busy |= slot->step != STEP_IDLE;
    }
    if (!busy)
        finish_phase(copy);
}

static void copy_all(struct copy *copy)
{
    copy->phase = PHASE_ALL;
    copy_push_range(copy, copy->shard->range.low, copy->shard->range.last);
    copy_pump(copy);
}

static void take_whole(struct copy *copy, size_t side, const struct http_message *answer)
{
    if (shard_digest_read(answer, &copy->wholes[side]) != 0) {
        copy_fail(copy, "/digest answered %u", answer->status);
        return;
    }
    if (--copy->n_wholes > 0)
        return;
    if (copy->claim || shard_digest_equal(&copy->wholes[0], &copy->wholes[1])) {
        succeed(copy);
    } else if (copy->quick) {
        copy->quick = false;
        copy_all(copy);
    } else if (!copy->differed) {
        copy->differed = true;
        copy_fail(copy, "%llu rows of %llu, or other ones",
                  (unsigned long long)copy->wholes[1].n_rows,
                  (unsigned long long)copy->wholes[0].n_rows);
    } else {
        log_error("lb", "shard %s: the copy differs from its source after two attempts",
                  copy->shard->range.name);
        if (may_lose_target(copy))
            give_up(copy, "it differs from its source");
        else
            copy_fail(copy, "it differs from its source");
    }
}

static struct copy *copy_of_whole(struct httpc_request *call, size_t side)
{
    return (struct copy *)((char *)(call - side) - offsetof(struct copy, whole_calls));
}

static void on_source_whole(struct httpc_request *call, const struct http_message *answer)
{
    take_whole(copy_of_whole(call, 0), 0, answer);
}

static void on_target_whole(struct httpc_request *call, const struct http_message *answer)
{
    take_whole(copy_of_whole(call, 1), 1, answer);
}

static void on_whole_failure(struct httpc_request *call, int code, bool sent)
{
    (void)sent;
    struct copy *copy = copy_of_whole(call, call->on_answer == on_target_whole);
    if (copy->n_wholes > 0)
        copy_fail(copy, "the connection broke: %s", err_errno_text(code));
}

static void on_wiped(struct httpc_request *call, const struct http_message *answer)
{
    struct copy *copy = copy_of_whole(call, 1);
    if (copy_batch_is_done(answer))
        compare_wholes(copy);
    else
        copy_fail(copy, "/batch answered %u", answer->status);
}

static void on_wipe_failure(struct httpc_request *call, int code, bool sent)
{
    (void)sent;
    struct copy *copy = copy_of_whole(call, 1);
    if (copy->n_wholes > 0)
        copy_fail(copy, "the connection broke: %s", err_errno_text(code));
}

static void wipe(struct copy *copy)
{
    struct buf text;
    copy->phase = PHASE_WIPING;
    copy->n_wholes = 1;
    copy->whole_calls[1] =
        (struct httpc_request){.on_answer = on_wiped, .on_failure = on_wipe_failure};
    buf_init(&text, 0);
    batch_put_replace(&text, copy->shard->range.name, copy->shard->range.low,
                      copy->shard->range.last, 0);
    int rc = copy_send_batch(copy, &copy->whole_calls[1], buf_head(&text), buf_len(&text));
    buf_done(&text);
    if (rc != 0)
        copy_fail(copy, "no connection: %s", err_errno_text(rc));
}

/* ---- the start --------------------------------------------------------------------------------
 */

/* Where to copy from: a replica that is READY, another one at each attempt; else one that leaves.
 * 0: there is none. */
static uint64_t choose_source(const struct table_shard *shard, unsigned attempt)
{
    size_t n = database_count(shard, REPLICA_READY);
    enum replica_state wanted = n > 0 ? REPLICA_READY : REPLICA_LEAVING;
    if (n == 0)
        n = database_count(shard, REPLICA_LEAVING);
    size_t at = n > 0 ? attempt % n : 0;
    for (const struct replica *replica = shard->replicas; replica; replica = replica->next)
        if (replica->state == wanted && at-- == 0)
            return replica->uid;
    return 0;
}

static struct httpc *connect_to(struct control *control, const struct member *member)
{
    return httpc_new(&(struct httpc_config){.loop = control->loop,
                                            .flusher = &control->flusher,
                                            .addr = member->addr,
                                            .max_body_bytes = MAX_BODY_BYTES});
}

static void begin(struct copy *copy)
{
    struct control *control = copy->control;
    struct member *target = member_find(control, copy->target);
    struct member *source = NULL;
    if (!copy->claim) {
        copy->source = choose_source(copy->shard, copy->n_attempts);
        source = member_find(control, copy->source);
        if (!source) { /* nobody has the rows any more: it is to be claimed, or to wait */
            drop(copy);
            copy_schedule(control);
            operation_filled(control);
            return;
        }
        copy->from = connect_to(control, source);
    }
    copy->to = connect_to(control, target);
    copy->epoch = epoch_next();
    copy->n_rounds = 0;
    if (copy->wipe) {
        wipe(copy);
    } else if (copy->claim) {
        compare_wholes(copy);
    } else if (control->live) {
        copy->phase = PHASE_TRACKING;
        copy->tracked = true;
        tell_writer(copy, LETTER_TRACK, false);
        tell_writer(copy, LETTER_TAKE_DIRTY, false); /* it comes back when the first was read */
    } else {                                         /* no worker runs yet: nothing changes */
        copy->quick = copy->compare;
        if (copy->quick)
            compare_wholes(copy);
        else
            copy_all(copy);
    }
}

static void start(struct control *control, struct table_shard *shard, struct replica *target,
                  bool claim, bool empty)
{
    struct copy *copy = mem_zalloc(1, sizeof(*copy));
    copy->control = control;
    copy->shard = shard;
    copy->number = ++control->copies.n_begun;
    copy->target = target->uid;
    copy->claim = claim;
    copy->wipe = empty;
    copy->compare = target->has_rows;
    target->has_rows = true;
    for (size_t i = 0; i < COPY_N_SLOTS; i++)
        copy->slots[i].copy = copy;
    ev_init(&copy->pause, on_pause);
    copy->pause.data = copy;
    copy->next = control->copies.first;
    control->copies.first = copy;
    control->copies.n++;
    shard->copy = copy;
    begin(copy);
}

/* Whether the member waits for its rows now, all or those of a replica that was demoted. An
 * operation copies once all its servers are there. */
static bool is_fillable(const struct member *member)
{
    return member && (member->state == MEMBER_FILLING || member->state == MEMBER_SERVING) &&
           (!member->operation || member->operation->filling);
}

/* The shard's next one to fill; with `whole`, the next one to claim. */
static struct replica *next_target(struct control *control, struct table_shard *shard, bool whole)
{
    for (struct replica *replica = shard->replicas; replica; replica = replica->next)
        if (replica->state == REPLICA_FILLING && (replica->whole || !whole) &&
            is_fillable(member_find(control, replica->uid)))
            return replica;
    return NULL;
}

static void schedule_shard(struct control *control, struct table_shard *shard)
{
    bool has_source = choose_source(shard, 0) != 0;
    bool waits = !has_source && database_waits_for_whole(&control->database, shard);
    struct replica *target = next_target(control, shard, waits);
    if (!target)
        return;
    if (!has_source && !waits)
        log_error("lb", "the rows of shard %s are lost: it begins empty", shard->range.name);
    start(control, shard, target, !has_source, !has_source && !waits);
}

void copy_schedule(struct control *control)
{
    const struct database *database = &control->database;
    if (control->stopping)
        return;
    for (size_t i = 0; i < database->n_shards && control->copies.n < MAX_COPIES; i++)
        if (!database->shards[i]->copy && !database->shards[i]->operation)
            schedule_shard(control, database->shards[i]);
}

/* ---- what happens meanwhile -------------------------------------------------------------------
 */

static void lose_source(struct copy *copy, const char *why)
{
    if (copy->phase == PHASE_PAUSING)
        return;
    copy->n_attempts = 0; /* the target is not to blame */
    copy_fail(copy, "%s", why);
}

void copy_member_gone(struct control *control, uint64_t uid)
{
    for (struct copy *copy = control->copies.first, *next; copy; copy = next) {
        next = copy->next;
        if (copy->target == uid) {
            release_writer(copy);
            drop(copy);
        } else if (copy->source == uid) {
            lose_source(copy, "its source has gone");
        }
    }
}

void copy_replica_demoted(struct control *control, const struct shard_live *live, uint64_t uid)
{
    for (struct copy *copy = control->copies.first; copy; copy = copy->next)
        if (&copy->shard->live == live && copy->source == uid) {
            lose_source(copy, "its source missed a change");
            return; /* there is one copy of a shard at a time */
        }
}

/* Changed keys, those close to each other together. */
static void push_keys(struct copy *copy, const int64_t *keys, size_t n)
{
    for (size_t i = 0; i < n;) {
        int64_t low = keys[i], last = low;
        while (++i < n && (uint64_t)keys[i] - (uint64_t)last <= NEAR_KEYS)
            last = keys[i];
        copy_push_range(copy, low, last);
    }
}

void copy_on_dirty(struct control *control, struct shard_letter *letter)
{
    struct copy *copy = control->copies.first;
    while (copy && copy->number != letter->base.version)
        copy = copy->next;
    if (!copy || (copy->phase != PHASE_TRACKING && copy->phase != PHASE_ASKING))
        return;
    if (letter->too_many && copy->phase == PHASE_TRACKING) {
        copy_fail(copy, "the writer does not know the shard yet");
        return;
    }
    if (copy->phase == PHASE_TRACKING) {
        /* What is under way now stays noted: it is asked for again at the next question. */
        copy_all(copy);
        return;
    }
    copy->phase = PHASE_CHANGES;
    if (copy->held) /* no change of the shard is under way: what is unread of one came to nothing */
        copy->epoch = epoch_next();
    if (letter->too_many)
        copy_push_range(copy, copy->shard->range.low, copy->shard->range.last);
    else
        push_keys(copy, letter->keys, letter->n_keys);
    bool few = !letter->too_many && letter->n_keys <= COPY_PAGE_ROWS;
    if (!copy->held && (few || ++copy->n_rounds >= MAX_ROUNDS)) {
        /* The last round: these keys, and those that change until the writer holds on. */
        copy->held = true;
        metric_bump(&control->metrics.held_copies);
        ask_changes(copy);
        return;
    }
    copy_pump(copy);
}

void copy_stop_all(struct control *control)
{
    while (control->copies.first) {
        release_writer(control->copies.first);
        drop(control->copies.first);
    }
}
