#include "lb/outlet.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/err.h"
#include "core/httpc.h"
#include "core/mem.h"
#include "core/metrics.h"
#include "lb/epoch.h"
#include "table/batch.h"

/* Where each outlet goes by itself: with one under way a server idles while its answer travels;
 * with more than two, batches are smaller. */
#define MAX_UNDER_WAY 2
/* A batch takes no further operation past this; a server's /batch takes 16 MiB. */
#define MAX_BATCH_BYTES (4u << 20)
#define HEAD_BYTES 160u
/* A server ends a connection that was idle for 75 s (core/httpd.h). */
#define IDLE_NS (40 * NS_PER_S)
#define KEEP_BATCHES 4
#define KEEP_BYTES (256u * 1024)

struct batch {
    struct httpc_request call; /* first member */
    struct outlet *outlet;
    struct batch *next;
    uint64_t number; /* ascends */
    uint64_t round;
    struct buf text; /* room for a head, then the operations */
    struct outlet_item *first, **last;
    size_t n_items, n_operations;
    bool resent;
};

struct outlet {
    struct outlet_config config;
    LIST_ENTRY(outlet) link; /* config.rounds */
    struct httpc *httpc;
    struct flush_item flush;
    struct batch *waiting; /* the last one gathers */
    struct batch *kept;
    size_t n_kept, n_under_way, n_items;
    uint64_t next_number;
    uint64_t epoch;          /* of what is sent now */
    uint64_t waits_since_ns; /* the last answer, or when the oldest under way was sent */
    bool closing;
};

/* ---- batches ----------------------------------------------------------------------------------
 */

static void on_answer(struct httpc_request *call, const struct http_message *answer);
static void on_failure(struct httpc_request *call, int code, bool sent);

static struct batch *batch_new(struct outlet *outlet)
{
    struct batch *batch = outlet->kept;
    if (batch) {
        outlet->kept = batch->next;
        outlet->n_kept--;
        buf_clear(&batch->text);
    } else {
        batch = mem_zalloc(1, sizeof(*batch));
        batch->outlet = outlet;
        batch->call = (struct httpc_request){.on_answer = on_answer, .on_failure = on_failure};
        buf_init(&batch->text, 0);
    }
    buf_reserve(&batch->text, HEAD_BYTES);
    buf_commit(&batch->text, HEAD_BYTES);
    batch->next = NULL;
    batch->number = outlet->next_number++;
    batch->first = NULL;
    batch->last = &batch->first;
    batch->n_items = batch->n_operations = 0;
    batch->resent = false;
    return batch;
}

static void batch_free(struct batch *batch)
{
    struct outlet *outlet = batch->outlet;
    if (!outlet->closing && outlet->n_kept < KEEP_BATCHES && batch->text.capacity <= KEEP_BYTES) {
        batch->next = outlet->kept;
        outlet->kept = batch;
        outlet->n_kept++;
        return;
    }
    buf_done(&batch->text);
    free(batch);
}

static struct outlet_item *take_item(struct batch *batch)
{
    struct outlet_item *item = batch->first;
    if (item) {
        batch->first = item->next;
        batch->outlet->n_items--;
        if (batch->outlet->config.rounds)
            batch->outlet->config.rounds->n_items--;
    }
    return item;
}

/* Ends the batch: every item that is left comes to this. */
static void settle_rest(struct batch *batch, enum outlet_verdict verdict, const char *reason)
{
    struct outlet_item *item;
    while ((item = take_item(batch))) {
        item->verdict = verdict;
        snprintf(item->reason, sizeof(item->reason), "%s", reason);
        item->on_done(item);
    }
    batch_free(batch);
}

static void tell_if_idle(struct outlet *outlet)
{
    if (outlet->n_items == 0 && !outlet->closing && outlet->config.on_idle)
        outlet->config.on_idle(outlet->config.context);
}

/* ---- rounds -----------------------------------------------------------------------------------
 */

static void open_round(struct outlet_rounds *rounds)
{
    struct outlet *outlet;
    rounds->gathering = rounds->closed = false;
    alarm_clear(&rounds->alarm);
    LIST_FOREACH(outlet, &rounds->outlets, link)
    if (outlet->waiting)
        flusher_add(outlet->config.flusher, &outlet->flush);
}

static void shorten_gathering(struct outlet_rounds *rounds)
{
    rounds->gather_ns /= 2;
    if (rounds->gather_ns < OUTLET_GATHER_MIN_NS)
        rounds->gather_ns = OUTLET_GATHER_MIN_NS;
}

static void lengthen_gathering(struct outlet_rounds *rounds)
{
    rounds->gather_ns *= 2;
    if (rounds->gather_ns > OUTLET_GATHER_MAX_NS)
        rounds->gather_ns = OUTLET_GATHER_MAX_NS;
}

/* There are not as many as were wanted. */
static void on_gathering_over(struct alarm *alarm)
{
    struct outlet_rounds *rounds = alarm->data;
    if (rounds->n_items > 0 && rounds->gather_ns > OUTLET_GATHER_MIN_NS) {
        shorten_gathering(rounds);
    } else if (rounds->n_items > 0 && ++rounds->n_in_vain == OUTLET_GATHER_TRIES) {
        rounds->n_in_vain = 0;
        rounds->gather_ns = OUTLET_GATHER_MAX_NS;
    }
    open_round(rounds);
}

static void count_item(struct outlet_rounds *rounds)
{
    rounds->n_items++;
    if (rounds->n_items > rounds->n_most)
        rounds->n_most = rounds->n_items;
    if (!rounds->gathering || rounds->n_items < rounds->n_wanted)
        return;
    lengthen_gathering(rounds);
    open_round(rounds);
}

static void end_round(struct outlet_rounds *rounds)
{
    uint64_t now_ns = clock_now_ns();
    uint64_t half_ns = (now_ns - rounds->began_ns) / 2;
    rounds->number++;
    rounds->n_awaited = 0;
    rounds->n_wanted = rounds->n_most;
    rounds->n_most = rounds->n_items;
    rounds->gathering = rounds->closed = true;
    ev_timer_stop(rounds->loop, &rounds->patience);
    alarm_set(&rounds->alarm, now_ns + (half_ns < rounds->gather_ns ? half_ns : rounds->gather_ns));
}

static void on_patience_over(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    end_round(timer->data);
}

/* Every outlet that had something at this turn's end has sent it. */
static void close_round(struct flush_item *item)
{
    struct outlet_rounds *rounds =
        (struct outlet_rounds *)((char *)item - offsetof(struct outlet_rounds, close));
    if (rounds->n_awaited == 0 || rounds->closed)
        return;
    rounds->closed = true;
    ev_timer_set(&rounds->patience, OUTLET_PATIENCE_S, 0.);
    ev_timer_start(rounds->loop, &rounds->patience);
}

static void join_round(struct batch *batch)
{
    struct outlet_rounds *rounds = batch->outlet->config.rounds;
    if (!rounds)
        return;
    batch->round = rounds->number;
    if (rounds->n_awaited++ == 0)
        rounds->began_ns = clock_now_ns();
    flusher_add(batch->outlet->config.flusher, &rounds->close);
}

/* A batch of that round was answered, or never will be; of its items there is nothing to do. */
static void leave_round(struct outlet *outlet, uint64_t round)
{
    struct outlet_rounds *rounds = outlet->config.rounds;
    if (rounds && round == rounds->number && --rounds->n_awaited == 0)
        end_round(rounds);
}

static bool may_send(const struct outlet *outlet)
{
    const struct outlet_rounds *rounds = outlet->config.rounds;
    return rounds ? outlet->n_under_way == 0 && !rounds->closed
                  : outlet->n_under_way < MAX_UNDER_WAY;
}

int outlet_rounds_init(struct outlet_rounds *rounds, struct ev_loop *loop, struct flusher *flusher,
                       struct err *err)
{
    *rounds = (struct outlet_rounds){
        .loop = loop, .flusher = flusher, .number = 1, .gather_ns = OUTLET_GATHER_MAX_NS};
    LIST_INIT(&rounds->outlets);
    rounds->close.flush = close_round;
    ev_init(&rounds->patience, on_patience_over);
    rounds->patience.data = rounds;
    return alarm_init(&rounds->alarm, loop, on_gathering_over, rounds, err);
}

void outlet_rounds_done(struct outlet_rounds *rounds)
{
    assert(LIST_EMPTY(&rounds->outlets));
    ev_timer_stop(rounds->loop, &rounds->patience);
    alarm_done(&rounds->alarm);
    flusher_remove(rounds->flusher, &rounds->close);
}

/* ---- sending ----------------------------------------------------------------------------------
 */

/* Back to where it belongs among those that wait. */
static void wait_again(struct batch *batch)
{
    struct outlet *outlet = batch->outlet;
    struct batch **link = &outlet->waiting;
    while (*link && (*link)->number < batch->number)
        link = &(*link)->next;
    batch->next = *link;
    *link = batch;
    flusher_add(outlet->config.flusher, &outlet->flush);
}

/* An idle connection that the server may be about to end is no way for a batch: what is lost with
 * it might have been done. */
static void renew_if_idle(struct outlet *outlet)
{
    if (outlet->n_under_way == 0 && httpc_is_up(outlet->httpc) &&
        clock_now_ns() - outlet->waits_since_ns > IDLE_NS)
        httpc_break(outlet->httpc, 0);
}

static void send_batch(struct outlet *outlet, struct batch *batch)
{
    char head[HEAD_BYTES];
    size_t n_body = buf_len(&batch->text) - HEAD_BYTES;
    int n = snprintf(head, sizeof(head),
                     "POST /batch?epoch=%" PRIu64 " HTTP/1.1\r\nHost: quoit\r\n"
                     "Content-Type: " BATCH_CONTENT_TYPE "\r\nContent-Length: %zu\r\n\r\n",
                     outlet->epoch, n_body);
    char *begin = buf_head(&batch->text) + HEAD_BYTES - (size_t)n;
    memcpy(begin, head, (size_t)n);
    renew_if_idle(outlet);
    if (outlet->n_under_way == 0)
        outlet->waits_since_ns = clock_now_ns();
    int rc = httpc_send(outlet->httpc, &batch->call, begin, n_body + (size_t)n);
    if (rc != 0) {
        settle_rest(batch, OUTLET_FAILED, err_errno_text(rc));
        tell_if_idle(outlet);
        return;
    }
    outlet->n_under_way++;
    join_round(batch);
    metric_bump(&outlet->config.counters->batches);
    metric_bump_by(&outlet->config.counters->operations, batch->n_items);
    metric_bump_by(&outlet->config.counters->bytes, n_body);
}

static void on_flush(struct flush_item *flush)
{
    struct outlet *outlet = (struct outlet *)((char *)flush - offsetof(struct outlet, flush));
    while (outlet->waiting && may_send(outlet)) {
        struct batch *batch = outlet->waiting;
        outlet->waiting = batch->next;
        send_batch(outlet, batch);
    }
}

void outlet_put(struct outlet *outlet, struct outlet_item *item, const char *text, size_t n)
{
    struct batch **link = &outlet->waiting;
    while (*link && ((*link)->next || (*link)->resent))
        link = &(*link)->next;
    if (*link && (*link)->n_items > 0 &&
        (buf_len(&(*link)->text) + n > MAX_BATCH_BYTES ||
         (*link)->n_operations + item->n_operations > BATCH_MAX_OPERATIONS))
        link = &(*link)->next;
    if (!*link)
        *link = batch_new(outlet);
    struct batch *batch = *link;
    buf_append(&batch->text, text, n);
    item->next = NULL;
    *batch->last = item;
    batch->last = &item->next;
    batch->n_items++;
    batch->n_operations += item->n_operations;
    outlet->n_items++;
    if (outlet->config.rounds)
        count_item(outlet->config.rounds);
    flusher_add(outlet->config.flusher, &outlet->flush);
}

/* ---- answers ----------------------------------------------------------------------------------
 */

static const enum outlet_verdict verdicts[] = {
    [BATCH_OK] = OUTLET_OK,           [BATCH_EXISTS] = OUTLET_EXISTS,
    [BATCH_MISSING] = OUTLET_MISSING, [BATCH_REFUSED] = OUTLET_REFUSED,
    [BATCH_FAILED] = OUTLET_FAILED,
};

/* The lines of one item. False: they are not there, or no lines of an answer. */
static bool read_item(struct batch_reader *reader, struct outlet_item *item)
{
    item->verdict = OUTLET_OK;
    for (size_t i = 0; i < item->n_operations; i++) {
        struct batch_result result;
        if (batch_next_result(reader, &result) != 1)
            return false;
        if (result.verdict == BATCH_OK)
            item->n_rows = result.n_rows;
        bool fine = result.verdict == BATCH_OK ||
                    (result.verdict == BATCH_MISSING && item->missing_is_fine);
        if (fine || item->verdict != OUTLET_OK)
            continue;
        item->verdict = verdicts[result.verdict];
        item->key = result.key;
        snprintf(item->reason, sizeof(item->reason), "%.*s",
                 (int)(result.reason.len < OUTLET_REASON_BYTES ? result.reason.len
                                                               : OUTLET_REASON_BYTES - 1),
                 result.reason.at ? result.reason.at : "");
    }
    return true;
}

static void on_answer(struct httpc_request *call, const struct http_message *answer)
{
    struct batch *batch = (struct batch *)call;
    struct outlet *outlet = batch->outlet;
    uint64_t round = batch->round;
    outlet->n_under_way--;
    outlet->waits_since_ns = clock_now_ns();
    if (outlet->waiting)
        flusher_add(outlet->config.flusher, &outlet->flush);
    if (answer->status != 200) {
        char reason[OUTLET_REASON_BYTES];
        snprintf(reason, sizeof(reason), "a batch was answered %u", answer->status);
        settle_rest(batch, OUTLET_LOST, reason);
    } else {
        struct batch_reader reader;
        batch_reader_init(&reader, answer->body.at, answer->body.len);
        while (batch->first && read_item(&reader, batch->first)) {
            struct outlet_item *item = take_item(batch);
            item->on_done(item);
        }
        settle_rest(batch, OUTLET_LOST, "a batch was answered with fewer lines than it has");
    }
    leave_round(outlet, round);
    tell_if_idle(outlet);
}

/* What surely did not reach the server is sent once more: an idle connection that the server had
 * just ended says nothing against it. */
static void on_failure(struct httpc_request *call, int code, bool sent)
{
    struct batch *batch = (struct batch *)call;
    struct outlet *outlet = batch->outlet;
    uint64_t round = batch->round;
    outlet->n_under_way--;
    if (sent) /* it may lie in the server's socket still: from now on it must not be begun there */
        outlet->epoch = epoch_next();
    if (!sent && !batch->resent && !outlet->closing && code != -ECANCELED) {
        batch->resent = true;
        metric_bump(&outlet->config.counters->resent);
        wait_again(batch);
        leave_round(outlet, round);
        return;
    }
    if (outlet->waiting)
        flusher_add(outlet->config.flusher, &outlet->flush);
    bool surely_not = !sent && !outlet->closing && code != -ECANCELED;
    settle_rest(batch, surely_not ? OUTLET_FAILED : OUTLET_LOST, err_errno_text(code));
    leave_round(outlet, round);
    tell_if_idle(outlet);
}

static void on_down(void *context, int code)
{
    struct outlet *outlet = context;
    if (!outlet->closing && outlet->config.on_down)
        outlet->config.on_down(outlet->config.context, code);
}

/* ---- life -------------------------------------------------------------------------------------
 */

struct outlet *outlet_new(const struct outlet_config *config)
{
    struct outlet *outlet = mem_zalloc(1, sizeof(*outlet));
    outlet->config = *config;
    if (config->rounds)
        LIST_INSERT_HEAD(&config->rounds->outlets, outlet, link);
    outlet->flush.flush = on_flush;
    outlet->epoch = epoch_next();
    outlet->httpc = httpc_new(&(struct httpc_config){.loop = config->loop,
                                                     .flusher = config->flusher,
                                                     .addr = config->addr,
                                                     .on_down = on_down,
                                                     .context = outlet});
    return outlet;
}

static void lose_waiting(struct outlet *outlet)
{
    struct batch *batch;
    while ((batch = outlet->waiting)) {
        outlet->waiting = batch->next;
        settle_rest(batch, OUTLET_LOST, "the server was given up");
    }
}

void outlet_cut(struct outlet *outlet)
{
    httpc_break(outlet->httpc, -ECANCELED);
    lose_waiting(outlet);
    tell_if_idle(outlet);
}

void outlet_free(struct outlet *outlet)
{
    if (!outlet)
        return;
    outlet->closing = true;
    if (outlet->config.rounds)
        LIST_REMOVE(outlet, link);
    httpc_free(outlet->httpc);
    lose_waiting(outlet);
    flusher_remove(outlet->config.flusher, &outlet->flush);
    struct batch *batch;
    while ((batch = outlet->kept)) {
        outlet->kept = batch->next;
        buf_done(&batch->text);
        free(batch);
    }
    free(outlet);
}

void outlet_set_epoch(struct outlet *outlet, uint64_t epoch)
{
    assert(epoch > outlet->epoch);
    outlet->epoch = epoch;
}

void outlet_expire(struct outlet *outlet, uint64_t now_ns)
{
    if (outlet->n_under_way > 0 && now_ns > outlet->waits_since_ns + outlet->config.timeout_ns)
        httpc_break(outlet->httpc, -ETIMEDOUT);
}

size_t outlet_n_items(const struct outlet *outlet)
{
    return outlet->n_items;
}
