/* What the control loop asks of the writer: which keys of a shard change while it is copied, to
 * hold its changes for a moment, and that a server is fenced. */
#include <assert.h>
#include <stdlib.h>

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

void lane_free(struct lane *lane)
{
    struct shard_letter *letter;
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

static void on_fenced(struct writer *writer, uint64_t uid)
{
    for (size_t i = 0; i < writer->n_targets; i++)
        if (writer->targets[i] && writer->targets[i]->uid == uid)
            writer->targets[i]->fence = FENCE_DONE;
    for (struct target *target = writer->former_targets; target; target = target->next)
        if (target->uid == uid)
            target->fence = FENCE_DONE;
    for (struct job *job = writer->fencing; job; job = job->next)
        writer_queue(job);
}

void writer_take_letter(struct writer *writer, struct lb_letter *letter)
{
    if (letter->type == LETTER_FENCED) {
        on_fenced(writer, letter->uid);
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
    case LETTER_LET:
        on_let(writer, lane, letter->version);
        break;
    default:
        assert(false && "a letter that the writer does not take");
    }
    shard_letter_free(about);
}
