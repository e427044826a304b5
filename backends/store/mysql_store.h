/* The mysql store from the inside: what its files know of each other.
 *
 *   submit ─▶ shard's queue of changes ─┐                       ┌─ slot 0 ── connection ─┐
 *             store's queue of reads ───┼─ dispatch at the end ─┼─ slot 1 ── connection ─┼─▶ server
 *             store's queue of shards   │  of the loop's turn   └─ slot 2 …             ─┘
 *             to make and to drop ──────┘
 *
 *   mysql.c          options, opening and closing, who gets which connection
 *   mysql_queue.c    what waits, and answers to it
 *   mysql_slot.c     a place for a connection: connecting, locking, connecting again
 *   mysql_write.c    batches of changes              mysql_read.c     reads and digests
 *   mysql_gather.c   what makes a batch              mysql_settle.c   what it comes to
 *   mysql_catalog.c  which table is which shard      mysql_rows.c     rows as columns
 *   mysql_filter.c   keys that are surely absent     mysql_conn.c     Connector/C on a loop
 *
 * Changes of one shard go one batch after another, each batch one transaction; shards are
 * independent. Nobody but us writes the tables (mysql_slot.c: the locks), so that count and
 * checksum of a shard, taken once at the start, are kept up in memory, and what a lost connection
 * did can be told afterwards by counting again. */
#ifndef QUOIT_BACKENDS_STORE_MYSQL_STORE_H
#define QUOIT_BACKENDS_STORE_MYSQL_STORE_H

#include <sys/queue.h>

#include "backends/store.h"
#include "backends/store/mysql_conn.h"
#include "backends/store/mysql_filter.h"
#include "backends/store/mysql_rows.h"

#define MYSQL_MAX_CONNECTIONS 64

struct mysql_store;
struct mysql_slot;
struct mysql_batch;

/* Requests waiting, first come first. Linked by ->next. */
struct mysql_queue {
    struct store_request *first;
    struct store_request **end;
};

struct mysql_shard {
    struct store_shard base; /* first member */
    struct mysql_form form;
    uint64_t n_rows, checksum; /* of what is committed */
    struct mysql_queue changes;
    struct mysql_filter filter; /* every key that is there, or that a change may put there */
    unsigned n_losses;          /* connections lost since a batch was last done */
    bool changing;              /* a batch is under way */
    bool waits;                 /* in the store's list: it has changes and none under way */
    struct mysql_slot *slot;    /* which did the last batch: its statements are prepared there */
    STAILQ_ENTRY(mysql_shard) link;
};

enum mysql_slot_state {
    SLOT_DOWN,    /* until its timer */
    SLOT_OPENING, /* connecting, taking its lock, finding out what was done */
    SLOT_IDLE,
    SLOT_BUSY,
};

/* A place for a connection. The place keeps its number and its lock; connections come and go. */
struct mysql_slot {
    struct mysql_conn conn; /* ->owner is the slot */
    struct mysql_store *store;
    unsigned number;
    enum mysql_slot_state state;
    struct mysql_call lock_call;
    ev_timer retry;
    double backoff_s;
    uint64_t down_since_ns; /* while SLOT_DOWN or SLOT_OPENING */
    void *work;             /* a batch, a reading, a creation: what has the slot */
    /* Has the work answer what it holds: the store is closed, and the connection gone. */
    void (*abandon)(struct mysql_slot *slot);
    struct mysql_batch *lost; /* its outcome is not known: looked at before anything else is done */
};

struct mysql_store {
    struct store base; /* first member */
    struct mysql_address address;
    char *socket, *host, *user, *password, *database, *server;
    char lock_name[32];
    uint64_t timeout_ns;
    struct ev_loop *loop;
    struct flusher *flusher;
    struct flush_item dispatch;
    STAILQ_HEAD(, mysql_shard) waiting;
    struct mysql_queue reads;
    struct mysql_queue shard_changes; /* STORE_CREATE, STORE_DROP: one at a time */
    bool changing_shards;
    unsigned n_slots, n_wide; /* n_wide: slots that read much at once */
    struct mysql_slot *slots;
    size_t n_pending;
    bool reads_next;   /* whose turn it is, when reads and changes both wait */
    uint64_t up_at_ns; /* when a connection was last of use */
    char reason[MYSQL_CONN_REASON_BYTES];
    /* For describe */
    char version[64];
    char durability[8];
    uint64_t n_rows_found, count_ns;
    /* How well it batches: statements that carry changes, and requests that they carried. */
    uint64_t n_batches, n_batched;
};

/* ---- mysql_queue.c ---- */

void mysql_queue_init(struct mysql_queue *queue);
void mysql_queue_add(struct mysql_queue *queue, struct store_request *request);
void mysql_queue_add_first(struct mysql_queue *queue, struct store_request *request);
struct store_request *mysql_queue_take(struct mysql_queue *queue);

/* Answers a request that was pending. */
void mysql_answer(struct mysql_store *store, struct store_request *request, int code);
/* The same with a reason, which is copied. */
void mysql_answer_failed(struct mysql_store *store, struct store_request *request, int code,
                         const char *reason);
/* Nothing can be reached: everything that waits is answered -EIO. */
void mysql_fail_waiting(struct mysql_store *store, const char *reason);

/* ---- mysql.c ---- */

/* Has the dispatch run at the end of the loop's turn. */
void mysql_wake(struct mysql_store *store);
/* Puts a shard with changes where a slot finds it. */
void mysql_shard_waits(struct mysql_store *store, struct mysql_shard *shard);
/* One that is not, or no more, among the store's. */
void mysql_shard_free(struct mysql_shard *shard);
/* The slot is given work, and has done it. */
void mysql_slot_take(struct mysql_slot *slot, void *work, void (*abandon)(struct mysql_slot *));
void mysql_slot_release(struct mysql_slot *slot);
/* ---- mysql_slot.c ---- */

void mysql_slot_init(struct mysql_slot *slot, struct mysql_store *store, unsigned number);
/* Closes the connection and has whatever it was doing abandoned. */
void mysql_slot_done(struct mysql_slot *slot);
/* Begins to connect; the slot is SLOT_IDLE in the end, or tries again. */
void mysql_slot_open(struct mysql_slot *slot);
/* Connects slot 0, waiting for it, and waits until nobody else has the store's locks. */
int mysql_slot_open_first(struct mysql_slot *slot, struct err *err);
/* The connection is gone (conn->lost): tries again after a while. What had the slot has let go of
 * it, or is `lost`. */
void mysql_slot_lost(struct mysql_slot *slot);
void mysql_slot_move(struct mysql_slot *slot, struct ev_loop *loop);

/* ---- mysql_write.c ---- */

/* Takes changes off the shard's queue and begins to do them. */
void mysql_write(struct mysql_slot *slot, struct mysql_shard *shard);
/* slot->lost: finds out what became of it, on a connection that is new. */
void mysql_write_verify(struct mysql_slot *slot);
/* Answers slot->lost that nobody knows; it is found out later all the same. */
void mysql_write_give_up(struct mysql_slot *slot);
/* Frees slot->lost, answering it if need be. */
void mysql_write_forget(struct mysql_slot *slot);

/* ---- mysql_read.c ---- */

/* Whether it keeps a connection for long. */
bool mysql_read_is_wide(const struct store_request *request);
/* Takes a read off the store's queue, and those that can be answered with it, and begins. */
void mysql_read(struct mysql_slot *slot);

/* ---- mysql_catalog.c ---- */

/* Makes the catalog when there is none, finishes what an earlier life left half done, and finds the
 * server's shards. Waits. */
int mysql_catalog_open(struct mysql_store *store, struct err *err);
/* Begins with the first of store->shard_changes. */
void mysql_catalog_change(struct mysql_slot *slot);

#endif
