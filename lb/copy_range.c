/* One range of a copy on its way: asked of the source, put into the target. And the requests that a
 * copy makes to the two. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "lb/control.h"
#include "lb/copy_private.h"
#include "lb/epoch.h"
#include "lb/shard_digest.h"
#include "table/batch.h"

/* Before the workers run, what an earlier life of the LB sent may still lie in an adopted server's
 * socket: no such batch is to be begun behind what is compared now. Afterwards the writer's
 * connections have epochs of their own, which are later. */
static uint64_t epoch_of(struct control *control)
{
    if (control->live)
        return 0;
    if (control->copies.epoch == 0)
        control->copies.epoch = epoch_next();
    return control->copies.epoch;
}

int copy_ask(struct copy *copy, bool from_source, struct httpc_request *call, const char *path,
             const struct key_range *range, size_t n_rows)
{
    struct shard_age age = {.epoch = epoch_of(copy->control),
                            .copy = from_source ? 0 : copy->epoch};
    return shard_ask(from_source ? copy->from : copy->to, call, path, copy->shard->range.name,
                     range, n_rows, age);
}

int copy_send_batch(struct copy *copy, struct httpc_request *call, const char *bytes, size_t n)
{
    struct buf text;
    buf_init(&text, 0);
    buf_appendf(&text,
                "POST /batch?copy=%" PRIu64 " HTTP/1.1\r\nHost: quoit\r\nContent-Type: %s\r\n"
                "Content-Length: %zu\r\n\r\n",
                copy->epoch, BATCH_CONTENT_TYPE, n);
    buf_append(&text, bytes, n);
    int rc = httpc_send(copy->to, call, buf_head(&text), buf_len(&text));
    buf_done(&text);
    return rc;
}

bool copy_batch_is_done(const struct http_message *answer)
{
    struct batch_reader reader;
    struct batch_result result;
    if (answer->status != 200)
        return false;
    batch_reader_init(&reader, answer->body.at, answer->body.len);
    return batch_next_result(&reader, &result) == 1 && result.verdict == BATCH_OK;
}

void copy_push_range(struct copy *copy, int64_t low, int64_t last)
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
static void cut(struct copy_slot *slot, int64_t last)
{
    if (last >= slot->range.last)
        return;
    copy_push_range(slot->copy, last + 1, slot->range.last);
    slot->range.last = last;
}

static int send_page(struct copy_slot *slot)
{
    slot->step = STEP_PAGE;
    return copy_ask(slot->copy, true, &slot->call, "/page", &slot->range, COPY_PAGE_ROWS);
}

static int take_source_digest(struct copy_slot *slot, const struct http_message *answer)
{
    int rc = shard_digest_read(answer, &slot->digest);
    if (rc != 0 || (slot->digest.more && slot->digest.last < slot->range.low))
        return -EPROTO;
    if (slot->digest.more)
        cut(slot, slot->digest.last);
    slot->step = STEP_TARGET_DIGEST;
    return copy_ask(slot->copy, false, &slot->call, "/digest", &slot->range, 0);
}

static int take_target_digest(struct copy_slot *slot, const struct http_message *answer)
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

static int take_page(struct copy_slot *slot, const struct http_message *answer)
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
    return copy_send_batch(slot->copy, &slot->call, answer->body.at, answer->body.len);
}

static void on_slot_answer(struct httpc_request *call, const struct http_message *answer)
{
    static const char *const names[] = {
        [STEP_SOURCE_DIGEST] = "the source's /digest",
        [STEP_TARGET_DIGEST] = "the target's /digest",
        [STEP_PAGE] = "the source's /page",
        [STEP_BATCH] = "the target's /batch",
    };
    struct copy_slot *slot = (struct copy_slot *)call;
    struct copy *copy = slot->copy;
    enum copy_step step = slot->step;
    int rc = -EPROTO;
    if (step == STEP_SOURCE_DIGEST)
        rc = take_source_digest(slot, answer);
    else if (step == STEP_TARGET_DIGEST)
        rc = take_target_digest(slot, answer);
    else if (step == STEP_PAGE)
        rc = take_page(slot, answer);
    else if (copy_batch_is_done(answer))
        rc = 0, slot->step = STEP_IDLE;
    if (rc != 0)
        copy_fail(copy, "%s answered %u %.*s", names[step], answer->status,
                  (int)(answer->body.len < 60 ? answer->body.len : 60), answer->body.at);
    else
        copy_pump(copy);
}

static void on_slot_failure(struct httpc_request *call, int code, bool sent)
{
    struct copy_slot *slot = (struct copy_slot *)call;
    (void)sent;
    if (slot->step != STEP_IDLE)
        copy_fail(slot->copy, "the connection broke: %s", err_errno_text(code));
}

int copy_start_slot(struct copy_slot *slot, struct key_range range)
{
    slot->call = (struct httpc_request){.on_answer = on_slot_answer, .on_failure = on_slot_failure};
    slot->range = range;
    if (!slot->copy->compare)
        return send_page(slot);
    slot->step = STEP_SOURCE_DIGEST;
    return copy_ask(slot->copy, true, &slot->call, "/digest", &slot->range, COPY_PAGE_ROWS);
}
