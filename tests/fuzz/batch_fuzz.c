/* Batches and their answers out of any bytes: the reader stays within them, keys ascend and lie in
 * their range, and what was read, written again, reads the same. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "table/batch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_head(struct buf *out, const struct batch_item *item)
{
    char *shard = mem_strndup(item->shard.at, item->shard.len);
    switch (item->op) {
    case BATCH_INSERT:
        batch_put_insert(out, shard, item->n_rows);
        break;
    case BATCH_UPDATE:
        assert(item->n_rows == 1);
        batch_put_update(out, shard);
        break;
    case BATCH_DELETE:
        assert(item->low == item->last && item->n_rows == 0);
        batch_put_delete(out, shard, item->low);
        break;
    case BATCH_ABSENT:
        batch_put_absent(out, shard, item->n_rows);
        break;
    case BATCH_REPLACE:
        batch_put_replace(out, shard, item->low, item->last, item->n_rows);
        break;
    case BATCH_DROP:
        batch_put_drop(out, shard);
        break;
    }
    free(shard);
}

/* 0 when the whole text is a batch; it is written into out as it is read. */
static int copy_batch(const char *text, size_t n, struct buf *out)
{
    struct batch_reader reader;
    struct batch_item item;
    struct err err = {0};
    int rc;
    batch_reader_init(&reader, text, n);
    while ((rc = batch_next(&reader, &item, &err)) == 1) {
        int64_t last_key = 0, before = INT64_MIN;
        if (memchr(item.shard.at, '\0', item.shard.len))
            return -1; /* no C string to write it with */
        write_head(out, &item);
        for (size_t i = 0; i < item.n_rows; i++) {
            struct row row;
            rc = batch_next_row(&reader, &item, &last_key, &row, &err);
            if (rc != 0)
                return rc;
            assert(i == 0 || row.key > before);
            assert(item.op != BATCH_REPLACE || (row.key >= item.low && row.key <= item.last));
            before = row.key;
            if (item.op == BATCH_ABSENT) {
                batch_put_key(out, row.key);
                continue;
            }
            assert(row.text >= text && row.text + row.n_bytes <= text + n);
            assert(row.n_bytes <= ROW_MAX_BYTES);
            batch_put_row(out, row.key, row.text, row.n_bytes);
        }
    }
    assert(rc == 0 || err.message[0] != '\0');
    return rc;
}

static int copy_results(const char *text, size_t n, struct buf *out)
{
    struct batch_reader reader;
    struct batch_result result;
    int rc;
    batch_reader_init(&reader, text, n);
    while ((rc = batch_next_result(&reader, &result)) == 1) {
        if (result.verdict == BATCH_REFUSED || result.verdict == BATCH_FAILED)
            assert(result.reason.at >= text && result.reason.at + result.reason.len <= text + n);
        batch_put_result(out, &result);
    }
    return rc;
}

static void check(int (*copy)(const char *, size_t, struct buf *), const char *text, size_t n)
{
    struct buf once, twice;
    buf_init(&once, 0);
    buf_init(&twice, 0);
    if (copy(text, n, &once) == 0) {
        assert(buf_len(&once) <= n); /* leading zeros go */
        assert(copy(buf_len(&once) > 0 ? buf_head(&once) : "", buf_len(&once), &twice) == 0);
        assert(buf_len(&once) == buf_len(&twice));
        assert(buf_len(&once) == 0 ||
               memcmp(buf_head(&once), buf_head(&twice), buf_len(&once)) == 0);
    }
    buf_done(&once);
    buf_done(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check(copy_batch, (const char *)data, size);
    check(copy_results, (const char *)data, size);
    return 0;
}
