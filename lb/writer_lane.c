/* What the control loop asks of the writer: which keys of a shard change while it is copied, to
 * hold its changes for a moment, and that a server is fenced. */
#include <assert.h>
#include <stdlib.h>

#include "core/mem.h"
#include "lb/writer_parts.h"

static struct lane *find_live(const struct writer *writer, const struct shard_live *live)
{
    for (size_t i = 0; i < writer->n_lanes; i++)
        if (writer->lanes[i]->live == live)
            return writer->lanes[i];
    return NULL;
}

static void send_back(struct writer *writer, struct shard_letter *letter, enum letter_type type)
{
    letter->base.type = type;
    letter->base.worker = writer->config.worker;
    mailbox_post(writer->config.control, &letter->base.letter);
}

/* ---- tracking, for a copy of a shard ----------------------------------------------------------
 */

/* Begins anew with what changes under way touch: whether they took effect before or after now is
 * not known yet. */
static void begin_tracking(struct writer *writer, struct lane *lane)
{
    key_log_clear(&lane->dirty);
    for (const struct job *job = writer->under_way; job; job = job->next)
        for (size_t i = 0; i < job->call->change.n_parts; i++)
            if (job->runs[i].lane == lane)
                key_log_add(&lane->dirty, job->runs[i].part->keys, job->runs[i].part->n_keys);
}

static void send_dirty(struct writer *writer, struct shard_letter *letter, struct key_log *log)
{
    if (log) {
        key_log_sort(log);
        letter->keys = log->keys;
        letter->n_keys = log->n;
        letter->too_many = log->too_many;
        *log = (struct key_log){0};
    }
    send_back(writer, letter, LETTER_DIRTY);
}

static void on_take_dirty(struct writer *writer, struct lane *lane, struct shard_letter *letter)
{
    if (lane && !lane->tracking) { /* nothing is known of it */
        lane->tracking = true;
        lane->dirty.too_many = true;
    }
    if (!lane) {
        letter->too_many = true;
        send_dirty(writer, letter, NULL);
    } else if (!letter->hold) {
        send_dirty(writer, letter, &lane->dirty);
        begin_tracking(writer, lane);
    } else {
        assert(!lane->asked);
        lane->held = true;
        lane->asked = letter;
        if (lane->n_under_way == 0)
            lane_went_idle(writer, lane);
    }
}

static void on_release(struct writer *writer, struct lane *lane)
{
    if (!lane)
        return;
    lane->tracking = lane->held = false;
    key_log_clear(&lane->dirty);
    if (lane->asked) { /* the copy was given up while it waited */
        struct shard_letter *asked = lane->asked;
        lane->asked = NULL;
        asked->too_many = true;
        send_dirty(writer, asked, NULL);
    }
    writer_admit_parked(writer);
}

/* ---- holds ------------------------------------------------------------------------------------
 */

static void on_hold(struct writer *writer, struct lane *lane, struct shard_letter *letter)
{
    if (!lane) { /* nothing changes it */
        send_back(writer, letter, LETTER_HELD);
        return;
    }
    lane->n_holds++;
    letter->base.letter.next = lane->hold ? &lane->hold->base.letter : NULL;
    lane->hold = letter;
    if (lane->n_under_way == 0)
        lane_went_idle(writer, lane);
}

static void on_let(struct writer *writer, struct lane *lane, uint64_t number)
{
    if (!lane || lane->n_holds == 0)
        return;
    lane->n_holds--;
    struct letter *waiting = lane->hold ? &lane->hold->base.letter : NULL, *next;
    lane->hold = NULL;
    for (; waiting; waiting = next) { /* all but the one that is not waited for any more */
        struct shard_letter *letter = (struct shard_letter *)waiting;
        next = waiting->next;
        if (letter->base.version == number) {
            shard_letter_free(letter);
        } else {
            waiting->next = lane->hold ? &lane->hold->base.letter : NULL;
            lane->hold = letter;
        }
    }
    writer_admit_parked(writer);
}

void lane_went_idle(struct writer *writer, struct lane *lane)
{
    struct shard_letter *letter = lane->asked;
    lane->asked = NULL;
    if (letter)
        send_dirty(writer, letter, &lane->dirty);
    while ((letter = lane->hold)) {
        lane->hold = (struct shard_letter *)letter->base.letter.next;
        send_back(writer, letter, LETTER_HELD);
    }
}

/* ---- demotions --------------------------------------------------------------------------------
 */

bool lane_is_demoting(const struct lane *lane, uint64_t uid)
{
    for (const struct demotion *demotion = lane->demotions; demotion; demotion = demotion->next)
        if (demotion->uid == uid)
            return true;
    return false;
}

bool lane_has_another(const struct lane *lane, const struct target *target)
{
    for (size_t i = 0; i < lane->n_targets; i++) {
        const struct target *other = lane->targets[i];
        if (other != target && target_takes_changes(other) && !lane_is_demoting(lane, other->uid))
            return true;
    }
    return false;
}

void lane_demote(struct writer *writer, struct lane *lane, const struct target *target)
{
    if (lane_is_demoting(lane, target->uid))
        return;
    struct demotion *demotion = mem_zalloc(1, sizeof(*demotion));
    demotion->uid = target->uid;
    demotion->next = lane->demotions;
    lane->demotions = demotion;
    metric_bump(&writer->metrics.demotions);
    struct shard_letter *letter = shard_letter_new(LETTER_DEMOTE, lane->live);
    letter->base.uid = target->uid;
    send_back(writer, letter, LETTER_DEMOTE);
}

static void drop_demotion(struct lane *lane, uint64_t uid)
{
    struct demotion **link = &lane->demotions;
    while (*link && (*link)->uid != uid)
        link = &(*link)->next;
    struct demotion *demotion = *link;
    if (demotion)
        *link = demotion->next;
    free(demotion);
}

void lane_free(struct lane *lane)
{
    struct shard_letter *letter;
    while (lane->demotions)
        drop_demotion(lane, lane->demotions->uid);
    if (lane->asked)
        shard_letter_free(lane->asked);
    while ((letter = lane->hold)) {
        lane->hold = (struct shard_letter *)letter->base.letter.next;
        shard_letter_free(letter);
    }
    key_log_clear(&lane->dirty);
    free(lane->targets);
    free(lane);
}

/* ---- fences, and all letters ------------------------------------------------------------------
 */

/* Whether the item's answer waits for this: the server's fence, or, with lane, the demotion of its
 * replica there. */
static bool waits_for(const struct item *item, uint64_t uid, const struct lane *lane)
{
    return item->needs_fence && item->target->uid == uid &&
           (lane ? item->is_demoted && item->lane == lane : !item->is_demoted);
}

/* Has those looked at again that waited. If it was not done (code), a change that is not on the
 * replica is on none that is read from. */
static void look_again(struct writer *writer, uint64_t uid, const struct lane *lane, int code)
{
    for (struct job *job = writer->fencing; job; job = job->next) {
        bool is_lost = false;
        for (size_t i = 0; i < job->call->change.n_parts && code != 0; i++)
            for (size_t k = 0; k < job->runs[i].n_items; k++)
                is_lost |= waits_for(&job->runs[i].items[k], uid, lane);
        job->unsettled |= is_lost;
        if (is_lost)
            change_call_fail(job->call, 503,
                             "outcome unknown: the servers that made the change have gone");
        writer_queue(job);
    }
}

static void set_fence(struct target *target, uint64_t uid, int code)
{
    if (target && target->uid == uid && target->fence == FENCE_ASKED)
        target->fence = code == 0 ? FENCE_DONE : FENCE_NONE;
}

static void on_fenced(struct writer *writer, uint64_t uid, int code)
{
    look_again(writer, uid, NULL, code);
    for (size_t i = 0; i < writer->n_targets; i++)
        set_fence(writer->targets[i], uid, code);
    for (struct target *target = writer->former_targets; target; target = target->next)
        set_fence(target, uid, code);
}

/* The replica is being made equal to the others: what a change under way did to it does not last,
 * even if it becomes one of them again before that change ends. */
static void leave_out(struct writer *writer, const struct lane *lane, uint64_t uid)
{
    for (struct job *job = writer->under_way; job; job = job->next)
        for (size_t i = 0; i < job->call->change.n_parts; i++)
            for (size_t k = 0; job->runs[i].lane == lane && k < job->runs[i].n_items; k++)
                job->runs[i].items[k].is_out |= job->runs[i].items[k].target->uid == uid;
}

static void on_demoted(struct writer *writer, struct lane *lane, uint64_t uid, int code)
{
    if (!lane)
        return;
    look_again(writer, uid, lane, code);
    if (code == 0)
        leave_out(writer, lane, uid);
    drop_demotion(lane, uid);
}

void writer_take_letter(struct writer *writer, struct lb_letter *letter)
{
    if (letter->type == LETTER_FENCED) {
        on_fenced(writer, letter->uid, letter->code);
        free(letter);
        return;
    }
    struct shard_letter *about = (struct shard_letter *)letter;
    struct lane *lane = find_live(writer, about->live);
    switch (letter->type) {
    case LETTER_TAKE_DIRTY:
        on_take_dirty(writer, lane, about);
        return; /* it goes back */
    case LETTER_HOLD:
        on_hold(writer, lane, about);
        return; /* the same */
    case LETTER_TRACK:
        if (lane) {
            lane->tracking = true;
            begin_tracking(writer, lane);
        }
        break;
    case LETTER_RELEASE:
        on_release(writer, lane);
        break;
    case LETTER_DEMOTED:
        on_demoted(writer, lane, letter->uid, letter->code);
        break;
    case LETTER_LET:
        on_let(writer, lane, letter->version);
        break;
    default:
        assert(false && "a letter that the writer does not take");
    }
    shard_letter_free(about);
}
