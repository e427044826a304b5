/* Batches: how the LB tells a server many changes in one message, and hears what became of each.
 *
 * Lines and counted bytes, so that they can be read by eye and parsed without looking at rows:
 *
 *     insert SHARD N          then N rows       none of the keys may exist; all or nothing
 *     update SHARD            then 1 row        its key must exist
 *     delete SHARD KEY                          the key must exist
 *     absent SHARD N          then N key lines  changes nothing: ok when none of the keys exists
 *     replace SHARD LOW LAST N  then N rows     makes the keys LOW … LAST hold exactly these rows
 *     drop SHARD                                forgets the shard
 *
 *     row:  KEY BYTES\n TEXT\n                  canonical text (table/row.h); keys ascend in
 *                                               insert, absent and replace
 *
 * The operations of a batch take effect in their order, each by itself: one that is refused stops
 * no other. The answer has a line for each:
 *
 *     ok ROWS          the shard's rows now (after absent and drop: 0)
 *     exists KEY       insert, absent: this key is there (the smallest such)
 *     missing KEY      update, delete
 *     refused REASON   could not be meant: unknown shard, a row that is not canonical; or comes
 *                      too late
 *     failed REASON    the store could not; nothing has changed
 *
 * POST /batch takes one; GET /page answers a piece of a shard as one `replace`, to be posted as it
 * stands to a server that is to hold the same rows. */
#ifndef QUOIT_TABLE_BATCH_H
#define QUOIT_TABLE_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/http.h"
#include "table/row.h"

#define BATCH_CONTENT_TYPE "text/x-quoit-batch"
/* Of one batch; a longer one is refused whole. */
#define BATCH_MAX_OPERATIONS 65536u

enum batch_op {
    BATCH_INSERT,
    BATCH_UPDATE,
    BATCH_DELETE,
    BATCH_ABSENT,
    BATCH_REPLACE,
    BATCH_DROP,
};

/* ---- writing ---- */

/* Each appends one operation's head; its rows or keys follow. */
void batch_put_insert(struct buf *out, const char *shard, size_t n_rows);
void batch_put_update(struct buf *out, const char *shard);
void batch_put_delete(struct buf *out, const char *shard, int64_t key);
void batch_put_absent(struct buf *out, const char *shard, size_t n_keys);
void batch_put_replace(struct buf *out, const char *shard, int64_t low, int64_t last,
                       size_t n_rows);
void batch_put_drop(struct buf *out, const char *shard);
void batch_put_row(struct buf *out, int64_t key, const char *text, size_t n_bytes);
void batch_put_key(struct buf *out, int64_t key);

/* ---- reading ---- */

/* An operation, its rows still in their text. */
struct batch_item {
    enum batch_op op;
    struct http_view shard;
    int64_t low, last; /* BATCH_REPLACE; BATCH_DELETE: both the key */
    size_t n_rows;     /* or keys, with BATCH_ABSENT */
};

struct batch_reader {
    const char *at, *end;
    size_t n_left; /* rows or keys of the current item not read yet */
    enum batch_op op;
};

void batch_reader_init(struct batch_reader *reader, const char *text, size_t n);
/* The next operation. 1; 0 at the end; -EPROTO, the reason naming the byte. Rows or keys of the one
 * before must have been read. */
int batch_next(struct batch_reader *reader, struct batch_item *ret_item, struct err *err);
/* The next row (BATCH_ABSENT: a key, text NULL) of the item. 0 or -EPROTO; -EPROTO also where keys
 * do not ascend as they must, or leave the range of a replace: the caller passes the item. The text
 * is borrowed from the batch and not yet proven canonical (row_take_apart()). */
int batch_next_row(struct batch_reader *reader, const struct batch_item *item, int64_t *io_last_key,
                   struct row *ret_row, struct err *err);

/* ---- answers ---- */

enum batch_verdict { BATCH_OK, BATCH_EXISTS, BATCH_MISSING, BATCH_REFUSED, BATCH_FAILED };

struct batch_result {
    enum batch_verdict verdict;
    uint64_t n_rows;         /* BATCH_OK */
    int64_t key;             /* BATCH_EXISTS, BATCH_MISSING */
    struct http_view reason; /* BATCH_REFUSED, BATCH_FAILED; borrowed */
};

void batch_put_result(struct buf *out, const struct batch_result *result);
/* The next line of an answer. 1, 0 at the end, -EPROTO. */
int batch_next_result(struct batch_reader *reader, struct batch_result *ret_result);

#endif
