#include "loadgen/readback.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "core/clock.h"
#include "loadgen/student.h"

#define PAGE_ROWS 4096u
#define FIRST_WIDTH 4096u
#define MOST_GROWTH 16u
#define MAX_WIDTH (UINT64_C(1) << 62)
#define PAUSE_NS (100 * NS_PER_MS)

/* Whether another try may help. */
static bool is_transient(int status)
{
    return status >= 500 || status == 408 || status == 425 || status == 429;
}

static int ask(const struct readback *readback, int64_t low, int64_t last, struct buf **body,
               struct err *err)
{
    char text[96];
    int status;
    snprintf(text, sizeof(text), "{\"Stud_id\":{\"low\":%" PRId64 ",\"high\":%" PRId64 "}}", low,
             last);
    int rc = inquiry_ask(readback->inquiry, "POST", "/read", text, &status, body, err);
    if (rc < 0 || status == 200)
        return rc;
    if (status == 413)
        return err_set(err, -EMSGSIZE, "POST /read: HTTP 413");
    return err_set(err, is_transient(status) ? -EAGAIN : -EREMOTEIO, "POST /read: HTTP %d: %.160s",
                   status, buf_str(*body));
}

struct page {
    int64_t low, last;
    uint64_t n_rows;
    struct buf *body; /* until the next call */
};

/* Goes through a page's rows; readback NULL: only counts them, so that nobody is told of a row
 * before its page is known to be whole. */
static int walk(const struct readback *readback, size_t shard, struct page *page, struct err *err)
{
    struct student_rows rows;
    int64_t key;
    uint64_t value;
    int rc = student_rows_begin(&rows, buf_head(page->body), buf_len(page->body), page->low,
                                page->last, true);
    page->n_rows = 0;
    while (rc == 0 && (rc = student_rows_next(&rows, &key, &value)) == 1) {
        page->n_rows++;
        rc = readback ? readback->on_row(readback->context, shard, key, value, err) : 0;
    }
    if (rc != -EPROTO)
        return rc;
    return err_set(err, -EAGAIN,
                   "POST /read: the answer is cut off, or holds what is no row of %" PRId64
                   " to %" PRId64 ", or rows out of order",
                   page->low, page->last);
}

/* The page from its low on, at most to end. */
static int get_page(const struct readback *readback, int64_t end, uint64_t *width,
                    struct page *page, struct err *err)
{
    const uint64_t give_up_ns = clock_now_ns() + readback->patience_ns;
    for (;;) {
        uint64_t left = (uint64_t)end - (uint64_t)page->low;
        page->last = left < *width ? end : page->low + (int64_t)(*width - 1);
        int rc = ask(readback, page->low, page->last, &page->body, err);
        if (rc == 0)
            rc = walk(NULL, 0, page, err);
        if (rc == 0 || rc == -EINTR)
            return rc;
        if (rc == -EMSGSIZE && *width > 1) {
            *width = *width > MOST_GROWTH ? *width / MOST_GROWTH : 1;
            continue;
        }
        if (rc == -EREMOTEIO || clock_now_ns() >= give_up_ns) {
            err->code = -EIO; /* its message is that of the last try */
            return -EIO;
        }
        rc = inquiry_pause(readback->inquiry, PAUSE_NS, err);
        if (rc < 0)
            return rc;
    }
}

static uint64_t next_width(uint64_t width, uint64_t n_rows)
{
    if (n_rows > 2 * PAGE_ROWS)
        return width > 1 ? width / 2 : 1;
    if (n_rows > PAGE_ROWS / 2)
        return width;
    uint64_t growth = PAGE_ROWS / (n_rows + 1);
    growth = growth > MOST_GROWTH ? MOST_GROWTH : growth;
    return width < MAX_WIDTH / MOST_GROWTH ? width * growth : MAX_WIDTH;
}

int readback_run(const struct readback *readback, struct err *err)
{
    uint64_t width = FIRST_WIDTH;
    for (size_t i = 0; i < readback->target->n_shards; i++) {
        const struct target_shard *shard = &readback->target->shards[i];
        struct page page = {.low = shard->low};
        for (;;) {
            int rc = get_page(readback, shard->last, &width, &page, err);
            if (rc == 0)
                rc = walk(readback, i, &page, err);
            if (rc < 0)
                return rc;
            width = next_width(width, page.n_rows);
            if (page.last == shard->last)
                break;
            page.low = page.last + 1;
        }
    }
    return 0;
}
