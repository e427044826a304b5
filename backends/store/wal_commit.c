#include "backends/store/wal_commit.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "backends/store/wal_format.h"
#include "backends/store/wal_io.h"
#include "core/clock.h"
#include "core/crc32c.h"
#include "core/err.h"
#include "core/log.h"

/* Of one pwritev, the header included: far below IOV_MAX. A turn of the loop makes one batch, so
 * that more than a few wait only when a sync takes long. */
#define MAX_PIECES 256

/* The one place of the stores that logs: nobody is left to hand the reason to. */
static void die(const struct wal_segment *segment, const char *doing, int code)
{
    log_error("store",
              "cannot %s %s at offset %" PRIu64 ": %s. The process ends: what of the log is on the "
              "disk is not known, and trying again would not tell. Recovery keeps every "
              "acknowledged row",
              doing, segment->path, segment->end, err_errno_text(code));
    _exit(WAL_EXIT_CODE);
}

static void sync_segment(struct wal_commit *commit)
{
    struct wal_segment *segment = commit->segment;
    if (segment && segment->is_dirty) {
        uint64_t start = clock_now_ns();
        int rc = wal_io->sync(segment->fd);
        if (rc != 0)
            die(segment, "sync", rc);
        segment->is_dirty = false;
        commit->last_sync_ns = clock_now_ns();
        metric_observe_ns(&commit->io->syncs, commit->last_sync_ns - start);
        atomic_fetch_add_explicit(&commit->sync_ns, commit->last_sync_ns - start,
                                  memory_order_relaxed);
        atomic_fetch_add_explicit(&commit->n_syncs, 1, memory_order_relaxed);
    }
    commit->synced_seq = commit->written_seq;
}

static bool belongs(const struct wal_batch *batch, const struct wal_segment *segment,
                    uint64_t n_bytes)
{
    return batch->segment == segment &&
           n_bytes + buf_len(&batch->records) <= WAL_MAX_FRAME_BYTES - WAL_FRAME_HEADER_BYTES;
}

/* Writes the first batches as one frame; returns the first one that is not in it. */
static struct wal_batch *write_frame(struct wal_commit *commit, struct wal_batch *first,
                                     bool *ret_must_sync)
{
    struct wal_segment *segment = first->segment;
    struct wal_frame frame = {.first_seq = commit->written_seq + 1,
                              .synced_seq = commit->synced_seq};
    struct iovec pieces[MAX_PIECES];
    unsigned char header[WAL_FRAME_HEADER_BYTES];
    int n_pieces = 1;
    struct wal_batch *batch = first;
    for (; batch && n_pieces < MAX_PIECES && belongs(batch, segment, frame.n_bytes);
         batch = batch->next) {
        size_t n = buf_len(&batch->records);
        *ret_must_sync |= batch->must_sync;
        if (batch->n_records == 0)
            continue;
        assert(batch->first_seq == frame.first_seq + frame.n_records);
        pieces[n_pieces++] = (struct iovec){.iov_base = buf_head(&batch->records), .iov_len = n};
        frame.crc = crc32c(frame.crc, buf_head(&batch->records), n);
        frame.n_bytes += (uint32_t)n;
        frame.n_records += batch->n_records;
    }
    if (frame.n_records == 0)
        return batch;
    wal_frame_put(&frame, header);
    pieces[0] = (struct iovec){.iov_base = header, .iov_len = sizeof(header)};
    uint64_t end = segment->end + sizeof(header) + frame.n_bytes;
    assert(end <= segment->n_bytes);
    int rc = wal_io_write_all(segment->fd, pieces, n_pieces, segment->end);
    if (rc != 0)
        die(segment, "write", rc);
    segment->end = end;
    segment->is_dirty = true;
    commit->written_seq += frame.n_records;
    metric_bump_by(&commit->io->n_bytes, sizeof(header) + frame.n_bytes);
    atomic_fetch_add_explicit(&commit->n_frames, 1, memory_order_relaxed);
    return batch;
}

static void commit_batches(struct wal_commit *commit, struct wal_batch *batch)
{
    while (batch) {
        /* A segment is on the disk before the next one is begun: recovery counts on it, and so
         * does whoever closes the segment. */
        if (batch->segment != commit->segment) {
            sync_segment(commit);
            commit->segment = batch->segment;
        }
        bool must_sync = commit->sync == WAL_SYNC_ALWAYS;
        struct wal_batch *rest = write_frame(commit, batch, &must_sync);
        if (must_sync)
            sync_segment(commit);
        while (batch != rest) {
            struct wal_batch *next = batch->next;
            mailbox_post(&commit->mailbox, &batch->letter);
            batch = next;
        }
    }
}

/* Until there is work, the end, or, with WAL_SYNC_INTERVAL, a sync due. */
static struct wal_batch *take_work(struct wal_commit *commit, bool *ret_is_ending)
{
    bool has_deadline =
        commit->sync == WAL_SYNC_INTERVAL && commit->segment && commit->segment->is_dirty;
    uint64_t due_ns = commit->last_sync_ns + commit->interval_ns;
    struct timespec deadline = {.tv_sec = (time_t)(due_ns / NS_PER_S),
                                .tv_nsec = (long)(due_ns % NS_PER_S)};
    int rc = 0;
    pthread_mutex_lock(&commit->mutex);
    while (!commit->first && !commit->is_ending && rc == 0) {
        commit->is_waiting = true;
        rc = has_deadline ? pthread_cond_timedwait(&commit->work, &commit->mutex, &deadline)
                          : pthread_cond_wait(&commit->work, &commit->mutex);
        commit->is_waiting = false;
    }
    struct wal_batch *first = commit->first;
    commit->first = NULL;
    commit->last = &commit->first;
    *ret_is_ending = commit->is_ending && !first;
    pthread_mutex_unlock(&commit->mutex);
    return first;
}

static void *run(void *context)
{
    struct wal_commit *commit = context;
    bool is_ending = false;
    while (!is_ending) {
        commit_batches(commit, take_work(commit, &is_ending));
        bool is_due = commit->sync == WAL_SYNC_INTERVAL &&
                      clock_now_ns() >= commit->last_sync_ns + commit->interval_ns;
        if (is_due)
            sync_segment(commit);
    }
    sync_segment(commit);
    return NULL;
}

static void on_letter(void *context, struct letter *letter)
{
    struct wal_commit *commit = context;
    commit->on_batch(commit->context, (struct wal_batch *)letter);
}

int wal_commit_open(struct wal_commit *commit, struct ev_loop *loop, uint64_t synced_seq)
{
    pthread_condattr_t monotonic;
    sigset_t all, before;

    commit->first = NULL;
    commit->last = &commit->first;
    commit->is_waiting = commit->is_ending = false;
    commit->segment = NULL;
    commit->synced_seq = commit->written_seq = synced_seq;
    commit->last_sync_ns = clock_now_ns();
    atomic_init(&commit->n_frames, 0);
    atomic_init(&commit->n_syncs, 0);
    atomic_init(&commit->sync_ns, 0);
    pthread_mutex_init(&commit->mutex, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&commit->work, &monotonic);
    pthread_condattr_destroy(&monotonic);
    mailbox_open(&commit->mailbox, loop, on_letter, commit);
    /* Signals are the loop's. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = -pthread_create(&commit->thread, NULL, run, commit);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        mailbox_close(&commit->mailbox);
        pthread_cond_destroy(&commit->work);
        pthread_mutex_destroy(&commit->mutex);
    }
    return rc;
}

void wal_commit_close(struct wal_commit *commit)
{
    pthread_mutex_lock(&commit->mutex);
    commit->is_ending = true;
    pthread_cond_signal(&commit->work);
    pthread_mutex_unlock(&commit->mutex);
    pthread_join(commit->thread, NULL);
    mailbox_close(&commit->mailbox);
    pthread_cond_destroy(&commit->work);
    pthread_mutex_destroy(&commit->mutex);
}

void wal_commit_push(struct wal_commit *commit, struct wal_batch *batch)
{
    batch->next = NULL;
    pthread_mutex_lock(&commit->mutex);
    *commit->last = batch;
    commit->last = &batch->next;
    /* A thread that works looks again before it waits. */
    bool wakes = commit->is_waiting;
    pthread_mutex_unlock(&commit->mutex);
    if (wakes)
        pthread_cond_signal(&commit->work);
}
