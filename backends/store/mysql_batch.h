/* A batch of changes, as mysql_write.c, mysql_gather.c and mysql_settle.c know it. */
#ifndef QUOIT_BACKENDS_STORE_MYSQL_BATCH_H
#define QUOIT_BACKENDS_STORE_MYSQL_BATCH_H

#include "backends/store/mysql_store.h"

#define MYSQL_BATCH_REASON_BYTES 256

/* A request, its rows taken apart. */
struct mysql_change {
    struct store_request *request;
    struct mysql_values *rows; /* n_rows_in */
};

/* A key that the batch concerns. */
struct mysql_cell {
    int64_t key;
    bool was_there, is_there;
    uint64_t old_sum;
    const struct mysql_values *row; /* what it becomes; NULL: as it was, or gone */
};

struct mysql_batch {
    struct mysql_store *store;
    struct mysql_shard *shard;
    struct mysql_slot *slot;
    struct arena arena;
    struct mysql_change *changes;
    size_t n_changes;
    size_t n_rows;
    unsigned attempts;
    int told_code; /* of the error told for what commits, and its text; 0: none, or to be tried
                      again */
    char told[MYSQL_BATCH_REASON_BYTES];
    bool answered; /* given up: only the shard's count is still to be found out */

    /* Of an attempt */
    struct arena scratch;
    struct mysql_cell *cells;
    size_t n_cells, n_looked;
    const struct mysql_values **puts;
    size_t n_puts, n_put;
    enum mysql_sql put_kind;
    int64_t *deletes;
    size_t n_deletes, n_deleted;
    bool delete_range;
    bool settled;        /* the answers stand in the requests */
    bool in_transaction; /* BEGIN was sent */
    bool committing;     /* what commits was sent */
    uint64_t n_rows_after, checksum_after;
};

/* ---- mysql_gather.c ---- */

/* Takes requests off the shard's queue as long as they make one statement: at least one, and a
 * REPLACE alone. Those that are no rows of the shard's are answered; there may be none left. */
void mysql_batch_gather(struct mysql_batch *batch);

/* ---- mysql_settle.c: what the requests come to, once it is known what is there ---- */

/* The keys that the requests name, sorted, each once; of those that are asked for alone, the ones
 * that may be there. */
void mysql_batch_make_cells(struct mysql_batch *batch);
/* The key is there, with a row of this sum. */
void mysql_batch_found(struct mysql_batch *batch, int64_t key, uint64_t sum);
/* Each request's answer in its turn, and what is to be put and deleted for all of them. */
void mysql_batch_settle(struct mysql_batch *batch);

#endif
