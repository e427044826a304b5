#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "core/clock.h"
#include "core/err.h"
#include "lb/writer_parts.h"
#include "table/batch.h"

/* ---- what the words of servers come to --------------------------------------------------------
 */

/* How the replicas of a shard answered, those that are given up left out. */
struct tally {
    size_t n[OUTLET_LOST + 1];
    const struct item *of[OUTLET_LOST + 1]; /* one of each */
};

static bool counts(const struct item *item)
{
    return !item->is_out && target_takes_changes(item->target) &&
           !lane_is_demoting(item->lane, item->target->uid);
}

static struct tally tally_up(const struct run *run)
{
    struct tally tally = {0};
    for (size_t i = 0; i < run->n_items; i++) {
        const struct item *item = &run->items[i];
        enum outlet_verdict verdict = counts(item) ? item->written : OUTLET_LOST;
        tally.n[verdict]++;
        tally.of[verdict] = item;
    }
    return tally;
}

/* The refusal for a shard where no replica made the change. */
static void refuse_by(struct job *job, const struct run *run, const struct tally *tally)
{
    struct change_call *call = job->call;
    const char *shard = run->part->shard.name;
    const struct item *item;
    if ((item = tally->of[OUTLET_EXISTS])) {
        change_call_fail(call, 409, "%s %lld exists already", call->key_column,
                         (long long)item->base.key);
    } else if ((item = tally->of[OUTLET_MISSING])) {
        change_call_fail(call, 404, "%s %lld does not exist", call->key_column,
                         (long long)item->base.key);
    } else if ((item = tally->of[OUTLET_FAILED])) {
        bool is_full = strstr(item->base.reason, strerror(ENOSPC)) != NULL;
        change_call_fail(call, is_full ? 507 : 503, "shard %s could not be changed: %s", shard,
                         item->base.reason);
    } else if ((item = tally->of[OUTLET_REFUSED])) {
        change_call_fail(call, 503, "server %s does not take changes of shard %s: %s",
                         item->target->name, shard, item->base.reason);
    } else {
        job->unknown = true;
        change_call_fail(call, 503,
                         "outcome unknown: no replica of shard %s answered; the change may or may "
                         "not have been made",
                         shard);
    }
}

/* ---- sending ----------------------------------------------------------------------------------
 */

static void on_done(struct outlet_item *base)
{
    struct item *item = (struct item *)base;
    if (--item->job->n_outstanding == 0)
        writer_queue(item->job);
}

static void put(struct item *item, const char *text, size_t n, size_t n_operations)
{
    item->base.on_done = on_done;
    item->base.n_operations = n_operations;
    item->job->n_outstanding++;
    outlet_put(item->target->outlet, &item->base, text, n);
}

/* Asks one replica of the shard, not asked before, whether the keys are absent. False: there is
 * none left. */
bool job_check(struct run *run)
{
    for (size_t i = 0; i < run->n_items; i++) {
        struct item *item = &run->items[i];
        if (item->checked || !counts(item))
            continue;
        struct buf *text = &item->job->writer->scratch;
        buf_clear(text);
        batch_put_absent(text, run->part->shard.name, run->part->n_keys);
        for (size_t k = 0; k < run->part->n_keys; k++)
            batch_put_key(text, run->part->keys[k]);
        item->checked = true;
        run->asked = item;
        put(item, buf_head(text), buf_len(text), 1);
        return true;
    }
    return false;
}

static void send_writes(struct job *job)
{
    job->phase = JOB_WRITING;
    for (size_t i = 0; i < job->call->change.n_parts; i++) {
        struct run *run = &job->runs[i];
        for (size_t k = 0; k < run->n_items; k++) {
            struct item *item = &run->items[k];
            item->base.verdict = OUTLET_LOST;
            if (counts(item))
                put(item, run->part->text, run->part->n_bytes, 1);
        }
    }
    if (job->n_outstanding == 0)
        writer_queue(job);
}

/* ---- the end ----------------------------------------------------------------------------------
 */

static void count_end(struct job *job)
{
    struct writer_metrics *metrics = &job->writer->metrics;
    const struct change_call *call = job->call;
    if (call->status == 200)
        metric_bump_by(&metrics->rows, call->change.n_keys);
    else
        metric_bump(call->status < 500 ? &metrics->refused : &metrics->failed);
    metric_observe_ns(&metrics->latency, clock_now_ns() - job->begin_ns);
}

void job_finish(struct job *job)
{
    struct writer *writer = job->writer;
    struct change_call *call = job->call;
    assert(job->n_outstanding == 0 && !job->is_ready);
    writer_leave(job);
    for (size_t i = 0; job->runs && i < call->change.n_parts; i++)
        for (size_t k = 0; k < job->runs[i].n_items; k++)
            target_unref(job->runs[i].items[k].target);
    if (job->intent)
        recovery_finish(job);
    writer->n_jobs--;
    writer->n_bytes -= job->n_bytes;
    metric_set_gauge(&writer->metrics.waiting, writer->n_jobs);
    if (job->recovers) {
        change_call_free(call);
        return;
    }
    count_end(job);
    /* The job lies in the call's memory: it is gone from here on. */
    call->base.type = LETTER_WRITTEN;
    if (call->home)
        mailbox_post(call->home, &call->base.letter);
    else
        writer->config.on_written(writer->config.context, call);
}

/* The answer stands; it goes once every server that it waits for is fenced. */
static void finish_when_fenced(struct job *job)
{
    bool waits = false;
    for (size_t i = 0; i < job->call->change.n_parts; i++)
        for (size_t k = 0; k < job->runs[i].n_items; k++) {
            const struct item *item = &job->runs[i].items[k];
            waits |= item->needs_fence &&
                     (item->is_demoted ? lane_is_demoting(item->lane, item->target->uid)
                                       : item->target->fence == FENCE_ASKED);
        }
    if (!waits) {
        job_finish(job);
    } else if (job->phase != JOB_FENCING) {
        job->phase = JOB_FENCING;
        writer_await_fences(job);
    }
}

/* Has the replica taken out of the shard, with its server where that holds no last replica. False:
 * it is the shard's own last one. */
static bool give_up(struct item *item)
{
    struct target *target = item->target;
    struct writer *writer = item->job->writer;
    if (item->is_out)
        return true;
    bool is_fenced = target->fence != FENCE_NONE || !target->outlet;
    item->is_demoted = !is_fenced && (lane_is_demoting(item->lane, target->uid) ||
                                      !writer_may_fence(writer, target));
    if (item->is_demoted && !lane_is_demoting(item->lane, target->uid) &&
        !lane_has_another(item->lane, target))
        return false;
    if (item->is_demoted)
        lane_demote(writer, item->lane, target);
    else
        writer_fence(target);
    item->needs_fence = true;
    return true;
}

/* What is told of the shard's rows, where replicas said it now: the least that one of them has. */
static void count_rows(const struct run *run)
{
    uint64_t n_rows = UINT64_MAX;
    for (size_t i = 0; i < run->n_items; i++) {
        const struct item *item = &run->items[i];
        if (counts(item) && item->says_rows && item->base.n_rows < n_rows)
            n_rows = item->base.n_rows;
    }
    if (n_rows != UINT64_MAX && run->lane->live)
        atomic_store_explicit(&run->lane->live->valid_idx, n_rows, memory_order_relaxed);
}

/* ---- undoing ----------------------------------------------------------------------------------
 */

/* Takes back what an insert of several shards may have written: its keys were absent, and are
 * locked. A server that answers has done with whatever was sent over an earlier connection
 * (lb/outlet.h). */
void job_undo(struct job *job)
{
    struct buf *text = &job->writer->scratch;
    metric_bump(&job->writer->metrics.undone);
    job->phase = JOB_UNDOING;
    for (size_t i = 0; i < job->call->change.n_parts; i++) {
        struct run *run = &job->runs[i];
        buf_clear(text);
        for (size_t k = 0; k < run->part->n_keys; k++)
            batch_put_delete(text, run->part->shard.name, run->part->keys[k]);
        for (size_t k = 0; k < run->n_items; k++) {
            struct item *item = &run->items[k];
            if (!counts(item) || (item->written != OUTLET_OK && item->written != OUTLET_LOST))
                continue;
            item->undone = true;
            item->base.missing_is_fine = true;
            put(item, buf_head(text), buf_len(text), run->part->n_keys);
        }
    }
    if (job->n_outstanding == 0)
        writer_queue(job);
}

/* A replica that did not take it back is given up, where there is another. */
static void advance_undo(struct job *job)
{
    bool is_undone = true;
    for (size_t i = 0; i < job->call->change.n_parts; i++) {
        struct run *run = &job->runs[i];
        for (size_t k = 0; k < run->n_items; k++) {
            struct item *item = &run->items[k];
            /* Where rows were, one was removed, and so the rest were counted. */
            item->says_rows =
                item->undone && item->base.verdict == OUTLET_OK && item->written == OUTLET_OK;
            if (!item->undone || item->base.verdict == OUTLET_OK || give_up(item))
                continue;
            is_undone = false;
            job->unsettled = true;
            change_call_fail(job->call, 503,
                             "outcome unknown: server %s, which has the last replica of a shard, "
                             "does not answer; rows of shard %s may be there",
                             item->target->name, run->part->shard.name);
        }
        count_rows(run);
    }
    if (is_undone && job->unknown)
        change_call_fail(job->call, 503, "a shard's replicas did not answer; nothing was changed");
    finish_when_fenced(job);
}

/* ---- writing ----------------------------------------------------------------------------------
 */

/* Whether every shard was changed, on every replica that is not given up for it. If not, the call
 * says why. */
static bool is_made(struct job *job)
{
    size_t n_parts = job->call->change.n_parts;
    for (size_t i = 0; i < n_parts; i++) {
        struct tally tally = tally_up(&job->runs[i]);
        if (tally.n[OUTLET_OK] > 0)
            continue;
        refuse_by(job, &job->runs[i], &tally);
        return false;
    }
    for (size_t i = 0; i < n_parts; i++) {
        struct run *run = &job->runs[i];
        for (size_t k = 0; k < run->n_items; k++) {
            struct item *item = &run->items[k];
            if ((counts(item) && item->written == OUTLET_OK) || give_up(item))
                continue;
            change_call_fail(job->call, 503,
                             "outcome unknown: server %s did not make the change that others of "
                             "shard %s made, and those have gone",
                             item->target->name, run->part->shard.name);
            return false;
        }
    }
    return true;
}

/* No replica made the change, as far as is known: one that may have made it could differ from those
 * that did not. Where nothing is known of any, one stays, so that there is one answer to a read. */
static void fence_doubtful(struct job *job, struct run *run)
{
    struct tally tally = tally_up(run);
    /* They agreed before: where one had a reason to refuse it, all had. */
    bool all_refuse = !job->redone && (tally.n[OUTLET_EXISTS] > 0 || tally.n[OUTLET_MISSING] > 0);
    if (tally.n[OUTLET_OK] > 0 || all_refuse)
        return;
    bool keep = true;
    for (size_t i = 0; i < run->n_items; i++)
        keep &= !counts(&run->items[i]) || run->items[i].written == OUTLET_LOST;
    for (size_t i = 0; i < run->n_items; i++) {
        struct item *item = &run->items[i];
        if (!counts(item) || item->written != OUTLET_LOST)
            continue;
        if (!keep)
            give_up(item);
        keep = false;
    }
}

/* Whether replicas were asked, and none has answered. */
static bool is_lost(const struct run *run)
{
    bool any = false;
    for (size_t i = 0; i < run->n_items; i++) {
        const struct item *item = &run->items[i];
        if (counts(item) && item->written != OUTLET_LOST)
            return false;
        any |= counts(item);
    }
    return any;
}

/* What the second sending of a change came to. Its replicas agreed before the first, and each has
 * made it or has not; where one made it now, those that find it made already had made it then. What
 * failed now may have been done then. */
static void read_second(struct job *job)
{
    static const enum outlet_verdict found_made[] = {[CHANGE_WRITE] = OUTLET_EXISTS,
                                                     [CHANGE_UPDATE] = OUTLET_OK,
                                                     [CHANGE_DELETE] = OUTLET_MISSING};
    struct run *run = &job->runs[0];
    bool any_made = tally_up(run).n[OUTLET_OK] > 0;
    for (size_t i = 0; i < run->n_items; i++) {
        struct item *item = &run->items[i];
        if (any_made && item->written == found_made[job->call->change.type])
            item->written = OUTLET_OK;
        else if (item->written == OUTLET_FAILED || item->written == OUTLET_REFUSED)
            item->written = OUTLET_LOST;
    }
}

/* The answer where the second sending found the change made on every replica that answered: by the
 * first, or before it. */
static void tell_second(struct job *job)
{
    const struct change *change = &job->call->change;
    struct tally tally = tally_up(&job->runs[0]);
    const struct item *item;
    if (change->type == CHANGE_WRITE && (item = tally.of[OUTLET_EXISTS]))
        change_call_fail(job->call, 503,
                         "outcome unknown: %s %lld is there now, by this request or by an earlier "
                         "one",
                         job->call->key_column, (long long)item->base.key);
    else if (change->type == CHANGE_DELETE && tally.of[OUTLET_MISSING])
        change_call_fail(job->call, 503,
                         "outcome unknown: %s %lld is not there now; this request may have removed "
                         "it",
                         job->call->key_column, (long long)change->keys[0]);
}

static void take_verdicts(struct job *job)
{
    for (size_t i = 0; i < job->call->change.n_parts; i++)
        for (size_t k = 0; k < job->runs[i].n_items; k++) {
            struct item *item = &job->runs[i].items[k];
            item->written = item->base.verdict;
            item->says_rows = item->written == OUTLET_OK;
        }
}

/* The change is not made everywhere: what may have been made is taken back where that can be. */
static void leave_unmade(struct job *job)
{
    size_t n_parts = job->call->change.n_parts;
    bool any = false;
    for (size_t i = 0; i < n_parts; i++) {
        struct tally tally = tally_up(&job->runs[i]);
        any |= tally.n[OUTLET_OK] > 0 || tally.n[OUTLET_LOST] > 0;
    }
    if (n_parts > 1 && any) { /* its keys are locked, and were absent */
        job_undo(job);
        return;
    }
    if (job->redone)
        tell_second(job);
    for (size_t i = 0; i < n_parts; i++)
        fence_doubtful(job, &job->runs[i]);
    finish_when_fenced(job);
}

static void advance_write(struct job *job)
{
    size_t n_parts = job->call->change.n_parts;
    take_verdicts(job);
    if (job->redone)
        read_second(job);
    else if (n_parts == 1 && is_lost(&job->runs[0])) {
        job->redone = true;
        metric_bump(&job->writer->metrics.redone);
        send_writes(job);
        return;
    }
    if (!is_made(job)) {
        leave_unmade(job);
        return;
    }
    for (size_t i = 0; i < n_parts; i++)
        count_rows(&job->runs[i]);
    change_call_succeed(job->call);
    finish_when_fenced(job);
}

/* ---- checking ---------------------------------------------------------------------------------
 */

static void advance_check(struct job *job)
{
    size_t n_parts = job->call->change.n_parts;
    if (job->intent_code != 0) {
        change_call_fail(job->call, 503, "the change cannot be noted on disk: %s",
                         err_errno_text(job->intent_code));
        job_finish(job);
        return;
    }
    for (size_t i = 0; i < n_parts; i++) { /* ascending: the first has the smallest key */
        const struct item *asked = job->runs[i].asked;
        if (asked->base.verdict != OUTLET_EXISTS)
            continue;
        change_call_fail(job->call, 409, "%s %lld exists already", job->call->key_column,
                         (long long)asked->base.key);
        job_finish(job);
        return;
    }
    bool all = true;
    for (size_t i = 0; i < n_parts && all; i++) {
        struct run *run = &job->runs[i];
        if (run->asked->base.verdict != OUTLET_OK)
            all = job_check(run);
        if (!all)
            change_call_fail(job->call, 503, "shard %s could not be asked for its keys: %s",
                             run->part->shard.name, run->asked->base.reason);
    }
    if (job->n_outstanding > 0) {
        job->call->status = all ? 0 : 503; /* it ends with what is still asked */
        return;
    }
    if (all)
        send_writes(job);
    else
        job_finish(job);
}

/* ---- from start to end ------------------------------------------------------------------------
 */

/* The shards of the change, as they are now. False: it is refused. */
static bool find_lanes(struct job *job)
{
    struct change *change = &job->call->change;
    struct run *runs = arena_zalloc(&change->arena, change->n_parts, sizeof(*runs));
    for (size_t i = 0; i < change->n_parts; i++) {
        struct run *run = &runs[i];
        run->part = &change->parts[i];
        run->lane = writer_find_lane(job->writer, run->part);
        size_t n_there = 0;
        for (size_t k = 0; run->lane && k < run->lane->n_targets; k++)
            n_there += target_takes_changes(run->lane->targets[k]) &&
                       !lane_is_demoting(run->lane, run->lane->targets[k]->uid);
        if (n_there > 0)
            continue;
        change_call_fail(job->call, 503,
                         run->lane ? "no replica of shard %s takes changes"
                                   : "shard %s is not there any more",
                         run->part->shard.name);
        return false;
    }
    job->runs = runs;
    return true;
}

static void take_targets(struct job *job)
{
    struct change *change = &job->call->change;
    for (size_t i = 0; i < change->n_parts; i++) {
        struct run *run = &job->runs[i];
        run->n_items = run->lane->n_targets;
        run->items = arena_zalloc(&change->arena, run->n_items, sizeof(*run->items));
        for (size_t k = 0; k < run->n_items; k++) {
            struct target *target = run->lane->targets[k];
            run->items[k].job = job;
            run->items[k].lane = run->lane;
            run->items[k].target = target;
            target->n_refs++;
        }
    }
}

void job_start(struct job *job)
{
    if (!find_lanes(job)) {
        job_finish(job);
        return;
    }
    take_targets(job);
    writer_enter(job);
    if (job->call->change.n_parts == 1 && !job->recovers) {
        send_writes(job);
        return;
    }
    job->phase = JOB_CHECKING;
    if (!job->recovers) {
        metric_bump(&job->writer->metrics.over_shards);
        recovery_note(job);
    }
    for (size_t i = 0; i < job->call->change.n_parts; i++)
        job_check(&job->runs[i]); /* find_lanes() saw that it can */
}

void job_advance(struct job *job)
{
    if (job->writer->aborted) {
        change_call_fail(job->call, 503, "outcome unknown: the load balancer is ending");
        job->unsettled = job->phase != JOB_CHECKING || job->recovers;
        job_finish(job);
        return;
    }
    switch (job->phase) {
    case JOB_WAITING:
        assert(false && "a job that waits is admitted first");
        break;
    case JOB_CHECKING:
        if (job->call->status == 503) /* a shard could not be asked; the others have answered */
            job_finish(job);
        else if (job->recovers)
            recovery_advance_check(job);
        else
            advance_check(job);
        break;
    case JOB_WRITING:
        advance_write(job);
        break;
    case JOB_UNDOING:
        advance_undo(job);
        break;
    case JOB_FENCING:
        finish_when_fenced(job);
        break;
    }
}
