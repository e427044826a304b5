#include "lb/copy.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "lb/control.h"
#include "lb/shard_digest.h"
#include "table/batch.h"

#define PAGE_ROWS 2000u
/* Of one copy: pages under way at a time. */
#define N_SLOTS 4u
#define MAX_COPIES 8u
/* Rounds of catching up while changes go on; then they are held, however many keys there are. */
#define MAX_ROUNDS 16u
/* Changed keys so near to each other are copied as one range. */
#define NEAR_KEYS 8
#define MAX_ATTEMPTS 6u
#define RETRY_FIRST_S 0.02
#define MAX_BODY_BYTES (16u << 20)

enum phase {
    PHASE_TRACKING,  /* waits for the writer to note changes */
    PHASE_ALL,       /* the whole shard, page by page */
    PHASE_ASKING,    /* waits for the writer to say what changed */
    PHASE_CHANGES,   /* what changed, again */
    PHASE_COMPARING, /* both sides' digests of the whole shard; of a claim the target's alone */
    PHASE_WIPING,    /* a claim that begins empty */
    PHASE_PAUSING,   /* before it is tried again */
};

enum step { STEP_IDLE, STEP_SOURCE_DIGEST, STEP_TARGET_DIGEST, STEP_PAGE, STEP_BATCH };

/* One range on its way. */
struct slot {
    struct httpc_request call; /* first member */
    struct copy *copy;
    enum step step;
    struct key_range range;
    struct shard_digest digest;
};

struct copy {
    struct copy *next;
    struct control *control;
    struct table_shard *shard;
    uint64_t number;
    uint64_t source, target; /* uids; source 0: a claim */
    struct httpc *from, *to;
    enum phase phase;
    bool claim, wipe; /* wipe: the claim begins empty */
    bool compare;     /* pages are compared before they are copied */
    bool tracked, held;
    bool quick;    /* the digests come first, and may be all there is to do */
    bool differed; /* the digests at the end, once */
    unsigned n_rounds, n_attempts;
    struct key_range *ranges; /* a stack of what is to be done */
    size_t n_ranges, capacity;
    struct slot slots[N_SLOTS];
    struct httpc_request whole_calls[2]; /* PHASE_COMPARING: the source's, the target's */
    struct shard_digest wholes[2];
    size_t n_wholes;          /* answers to whole_calls that are awaited */
    uint64_t n_rows, n_bytes; /* copied */
    struct ev_timer pause;
};

static void begin(struct copy *copy);
static void pump(struct copy *copy);

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
    for (size_t i = 0; i < N_SLOTS; i++)
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

/* Tries again from the start, after a moment, comparing what is there already; in the end gives the
 * target up. */
static void fail(struct copy *copy, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void fail(struct copy *copy, const char *format, ...)
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

/* ---- requests ---------------------------------------------------------------------------------
 */

/* Before the workers run, what an earlier life of the LB sent may still lie in an adopted server's
 * socket: no such batch is to be begun behind what is compared now. Afterwards the writer's
 * connections have epochs of their own, which are later. */
static uint64_t epoch_of(struct control *control)
{
    if (control->live)
        return 0;
    if (control->copies.epoch == 0)
        control->copies.epoch = clock_now_ns();
    return control->copies.epoch;
}

static int send_get(struct copy *copy, bool from_source, struct httpc_request *call,
                    const char *path, const struct key_range *range, size_t n_rows)
{
    return shard_ask(from_source ? copy->from : copy->to, call, path, copy->shard->range.name,
                     range, n_rows, epoch_of(copy->control));
}

static int send_batch(struct copy *copy, struct httpc_request *call, const char *bytes, size_t n)
{
    struct buf text;
    buf_init(&text, 0);
    buf_appendf(&text,
                "POST /batch HTTP/1.1\r\nHost: quoit\r\nContent-Type: %s\r\n"
                "Content-Length: %zu\r\n\r\n",
                BATCH_CONTENT_TYPE, n);
    buf_append(&text, bytes, n);
    int rc = httpc_send(copy->to, call, buf_head(&text), buf_len(&text));
    buf_done(&text);
    return rc;
}

/* Whether a batch of one operation was done. */
static bool is_done(const struct http_message *answer)
{
    struct batch_reader reader;
    struct batch_result result;
    if (answer->status != 200)
        return false;
    batch_reader_init(&reader, answer->body.at, answer->body.len);
    return batch_next_result(&reader, &result) == 1 && result.verdict == BATCH_OK;
}

static void push(struct copy *copy, int64_t low, int64_t last)
{
    if (copy->n_ranges == copy->capacity) {
        copy->capacity = copy->capacity ? copy->capacity * 2 : 64;
        copy->ranges = mem_realloc(copy->ranges, copy->capacity, sizeof(*copy->ranges));
    }
    copy->ranges[copy->n_ranges++] = (struct key_range){low, last};
}

/* ---- one range --------------------------------------------------------------------------------
 *
 *   (compare: digest of the source's next page ─▶ the target's of those keys ─▶ equal: done)
 *   page of the source ─▶ batch to the target ─▶ done
 *
 * What is behind the page is a range of its own, and another slot may take it. */

/* The range ends at `last`; what is behind goes back to be done. */
static void cut(struct slot *slot, int64_t last)
{
    if (last >= slot->range.last)
        return;
    push(slot->copy, last + 1, slot->range.last);
    slot->range.last = last;
}

static int send_page(struct slot *slot)
{
    slot->step = STEP_PAGE;
    return send_get(slot->copy, true, &slot->call, "/page", &slot->range, PAGE_ROWS);
}

static int take_source_digest(struct slot *slot, const struct http_message *answer)
{
    int rc = shard_digest_read(answer, &slot->digest);
    if (rc != 0 || (slot->digest.more && slot->digest.last < slot->range.low))
        return -EPROTO;
    if (slot->digest.more)
        cut(slot, slot->digest.last);
    slot->step = STEP_TARGET_DIGEST;
    return send_get(slot->copy, false, &slot->call, "/digest", &slot->range, 0);
}

static int take_target_digest(struct slot *slot, const struct http_message *answer)
{
    struct shard_digest digest;
    int rc = shard_digest_read(answer, &digest);
    if (rc != 0)
        return rc;
    if (!shard_digest_equal(&digest, &slot->digest))
        return send_page(slot);
    slot->step = STEP_IDLE;
    return 0;
}

static int take_page(struct slot *slot, const struct http_message *answer)
{
    struct batch_reader reader;
    struct batch_item item;
    if (answer->status != 200)
        return -EPROTO;
    batch_reader_init(&reader, answer->body.at, answer->body.len);
    if (batch_next(&reader, &item, NULL) != 1 || item.op != BATCH_REPLACE ||
        item.low != slot->range.low || item.last < item.low || item.last > slot->range.last)
        return -EPROTO;
    cut(slot, item.last);
    slot->copy->n_rows += item.n_rows;
    slot->copy->n_bytes += answer->body.len;
    slot->step = STEP_BATCH;
    return send_batch(slot->copy, &slot->call, answer->body.at, answer->body.len);
}

static void on_slot_answer(struct httpc_request *call, const struct http_message *answer)
{
    static const char *const names[] = {
        [STEP_SOURCE_DIGEST] = "the source's /digest",
        [STEP_TARGET_DIGEST] = "the target's /digest",
        [STEP_PAGE] = "the source's /page",
        [STEP_BATCH] = "the target's /batch",
    };
    struct slot *slot = (struct slot *)call;
    struct copy *copy = slot->copy;
    enum step step = slot->step;
    int rc = -EPROTO;
    if (step == STEP_SOURCE_DIGEST)
        rc = take_source_digest(slot, answer);
    else if (step == STEP_TARGET_DIGEST)
        rc = take_target_digest(slot, answer);
    else if (step == STEP_PAGE)
        rc = take_page(slot, answer);
    else if (is_done(answer))
        rc = 0, slot->step = STEP_IDLE;
    if (rc != 0)
        fail(copy, "%s answered %u %.*s", names[step], answer->status,
             (int)(answer->body.len < 60 ? answer->body.len : 60), answer->body.at);
    else
        pump(copy);
}

static void on_slot_failure(struct httpc_request *call, int code, bool sent)
{
    struct slot *slot = (struct slot *)call;
    (void)sent;
    if (slot->step != STEP_IDLE)
        fail(slot->copy, "the connection broke: %s", err_errno_text(code));
}

static int start_slot(struct slot *slot, struct key_range range)
{
    slot->call = (struct httpc_request){.on_answer = on_slot_answer, .on_failure = on_slot_failure};
    slot->range = range;
    if (!slot->copy->compare)
        return send_page(slot);
    slot->step = STEP_SOURCE_DIGEST;
    return send_get(slot->copy, true, &slot->call, "/digest", &slot->range, PAGE_ROWS);
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
    int rc = copy->claim ? 0 : send_get(copy, true, &copy->whole_calls[0], "/digest", NULL, 0);
    if (rc == 0)
        rc = send_get(copy, false, &copy->whole_calls[1], "/digest", NULL, 0);
    if (rc != 0)
        fail(copy, "no connection: %s", err_errno_text(rc));
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

/* Gives what is to be done to slots that are free. */
static void pump(struct copy *copy)
{
    bool busy = false;
    for (size_t i = 0; i < N_SLOTS; i++) {
        struct slot *slot = &copy->slots[i];
        if (slot->step == STEP_IDLE && copy->n_ranges > 0) {
            int rc = start_slot(slot, copy->ranges[--copy->n_ranges]);
            if (rc != 0) {
                fail(copy, "no connection: %s", err_errno_text(rc));
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
    push(copy, copy->shard->range.low, copy->shard->range.last);
    pump(copy);
}

static void take_whole(struct copy *copy, size_t side, const struct http_message *answer)
{
    if (shard_digest_read(answer, &copy->wholes[side]) != 0) {
        fail(copy, "/digest answered %u", answer->status);
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
        fail(copy, "%llu rows of %llu, or other ones", (unsigned long long)copy->wholes[1].n_rows,
             (unsigned long long)copy->wholes[0].n_rows);
    } else {
        log_error("lb", "shard %s: the copy differs from its source after two attempts",
                  copy->shard->range.name);
        if (may_lose_target(copy))
            give_up(copy, "it differs from its source");
        else
            fail(copy, "it differs from its source");
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
        fail(copy, "the connection broke: %s", err_errno_text(code));
}

static void on_wiped(struct httpc_request *call, const struct http_message *answer)
{
    struct copy *copy = copy_of_whole(call, 1);
    if (is_done(answer))
        compare_wholes(copy);
    else
        fail(copy, "/batch answered %u", answer->status);
}

static void on_wipe_failure(struct httpc_request *call, int code, bool sent)
{
    (void)sent;
    struct copy *copy = copy_of_whole(call, 1);
    if (copy->n_wholes > 0)
        fail(copy, "the connection broke: %s", err_errno_text(code));
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
    int rc = send_batch(copy, &copy->whole_calls[1], buf_head(&text), buf_len(&text));
    buf_done(&text);
    if (rc != 0)
        fail(copy, "no connection: %s", err_errno_text(rc));
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
    for (size_t i = 0; i < N_SLOTS; i++)
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
    fail(copy, "%s", why);
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
        push(copy, low, last);
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
        fail(copy, "the writer does not know the shard yet");
        return;
    }
    if (copy->phase == PHASE_TRACKING) {
        /* What is under way now stays noted: it is asked for again at the next question. */
        copy_all(copy);
        return;
    }
    copy->phase = PHASE_CHANGES;
    if (letter->too_many)
        push(copy, copy->shard->range.low, copy->shard->range.last);
    else
        push_keys(copy, letter->keys, letter->n_keys);
    bool few = !letter->too_many && letter->n_keys <= PAGE_ROWS;
    if (!copy->held && (few || ++copy->n_rounds >= MAX_ROUNDS)) {
        /* The last round: these keys, and those that change until the writer holds on. */
        copy->held = true;
        metric_bump(&control->metrics.held_copies);
        ask_changes(copy);
        return;
    }
    pump(copy);
}

void copy_stop_all(struct control *control)
{
    while (control->copies.first) {
        release_writer(control->copies.first);
        drop(control->copies.first);
    }
}
