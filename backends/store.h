/* The store family: what keeps the rows of a server's shard replicas.
 *
 * A store lives on one loop and is asynchronous and batched: submit() answers at once (STORE_DONE)
 * or later (STORE_PENDING, then on_done is called exactly once, from the loop). Nothing in it
 * blocks the loop: what has to wait for a disk or a database does so on a thread or through
 * non-blocking calls. What one turn of the loop submits is committed together where that is
 * cheaper: one fdatasync, one transaction.
 *
 *   server ── submit(request) ──▶ store ──▶ log, database, …
 *   server ◀── on_done(request) ── store
 *
 * Requests to one shard take effect in the order of their submits. A read sees everything that was
 * done (DONE, or its on_done called) before the read was submitted; it may see more. A write that
 * is done is as durable as the store promises (STORE_DURABLE: it survives SIGKILL of the server and
 * loss of power, unless an option says less). A write whose code is not 0 has changed nothing,
 * unless it is -ENOTRECOVERABLE.
 *
 * A row is a key and its canonical text (table/row.h); only a store that needs columns takes it
 * apart. */
#ifndef QUOIT_BACKENDS_STORE_H
#define QUOIT_BACKENDS_STORE_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/flush.h"
#include "core/metrics.h"
#include "core/name.h"
#include "core/registry.h"
#include "table/row.h"
#include "table/schema.h"

struct store;

/* Of one server. */
#define STORE_MAX_SHARDS 4096

enum store_caps {
    STORE_DURABLE = 1u << 0, /* rows outlive the process; needs a directory */
    STORE_SHIM = 1u << 1,    /* wraps another store: "delay:write=2ms+memory" */
    STORE_FORGETS = 1u << 2, /* null: keeps nothing, measures the harness */
};

/* A shard replica. First member of every implementation's; owned by the store. */
struct store_shard {
    char name[NAME_MAX_BYTES + 1];
    struct schema schema;
};

enum store_op {
    /* Makes the shard of request->name and ->schema, durably; one that is there already with an
     * equal schema is taken as it is, rows and all. Tells ->shard and ->n_rows_now. -EINVAL: it is
     * there with another schema. */
    STORE_CREATE,
    /* Forgets the shard and its rows, durably. Nothing else of the shard may be pending. */
    STORE_DROP,
    /* Adds rows (n ≥ 1, keys ascending): all or none. -EEXIST: a key is there, ->key is the
     * smallest such. */
    STORE_INSERT,
    /* Replaces the row of rows[0].key. -ENOENT: no such key. */
    STORE_UPDATE,
    /* Removes the row of key `low`. -ENOENT: no such key. */
    STORE_DELETE,
    /* Makes the keys low … last hold exactly these rows (0 ≤ n, ascending, within low … last). */
    STORE_REPLACE,
    /* Changes nothing: 0 when none of the rows' keys is there (texts are not looked at), else
     * -EEXIST as STORE_INSERT. */
    STORE_ABSENT,
    /* The rows with low ≤ key ≤ last, ascending, at most max_rows (0: no limit): given one by one
     * to ->on_row while the request is worked on, on the loop. Ends early when on_row returns false
     * (the row was not taken). ->n_rows were taken, ->key is the last of them, ->more says whether
     * there are further ones. */
    STORE_READ,
    /* How many rows there are with low ≤ key ≤ last, ->n_rows, and the sum of their checksums
     * (row_checksum()), ->checksum; at most max_rows of them (0: no limit). ->more says
     * whether there are further ones, and then ->key is the last one counted. Over INT64_MIN …
     * INT64_MAX it takes no scan where the store can keep count. Changes of the shard that were
     * submitted before it are done before it counts: what was compared is not changed any more by
     * what came earlier. */
    STORE_DIGEST,
};

struct store_request {
    /* In */
    enum store_op op;
    struct store_shard *shard;   /* all but STORE_CREATE */
    const char *name;            /* STORE_CREATE: a valid name (borrowed until it is done) */
    const struct schema *schema; /* STORE_CREATE (borrowed until it is done) */
    int64_t low, last;           /* STORE_DELETE: low; STORE_REPLACE, _READ, _DIGEST */
    const struct row *rows;      /* borrowed until it is done, texts too */
    size_t n_rows_in;
    size_t max_rows;
    bool (*on_row)(struct store_request *request, const struct row *row); /* STORE_READ */
    void (*on_done)(struct store_request *request); /* after STORE_PENDING only */
    void *context;                                  /* the caller's */
    /* Out */
    int code;            /* 0 or a negative errno: -EEXIST, -ENOENT, -EINVAL, -ENOSPC, -EIO …;
                            -ENOTRECOVERABLE: a change that may have been made, nobody knows */
    const char *reason;  /* code < 0 and not one of those above: static, or of the store */
    uint64_t n_rows_now; /* after a change or STORE_CREATE: rows in the shard */
    int64_t key;
    uint64_t n_rows;
    uint64_t checksum;
    bool more;
    /* The store's, between submit and done */
    struct store_request *next;
    void *private;
};

enum store_submit { STORE_DONE, STORE_PENDING };

struct store_config {
    struct ev_loop *loop;
    struct flusher *flusher; /* the loop's: what runs at the end of its turn */
    const char *dir;         /* this store's alone, made when missing; NULL: none (ref) */
    const char *server;      /* the server's name, for messages and generated names (ref) */
};

struct store_ops {
    struct part part;
    unsigned caps; /* enum store_caps */
    /* Required. Opens what the directory holds and recovers it; store->shards lists the shards that
     * were found. May block: nothing is served yet. 0, or a negative errno with the reason: a
     * corrupt file names itself and the offset. inner: what a shim wraps (then its own; it closes
     * it), else NULL. The struct store at the start of what it makes is zero but for shards and io;
     * store_open() fills it, with a wrapped store's io where it has none. */
    int (*open)(const void *params, const struct store_config *config, struct store *inner,
                struct store **ret_store, struct err *err);
    /* Required. What is pending is done first; no on_done comes after. May block. */
    void (*close)(struct store *store);
    /* Required. STORE_DONE: the request is finished, on_done is not called. STORE_PENDING: it will
     * be, never from within submit(). */
    enum store_submit (*submit)(struct store *store, struct store_request *request);
    /* Optional. Ends with 0 or 1 line "key=value key=value" about itself, for logs: rows recovered
     * and in what time. Into out. */
    void (*describe)(const struct store *store, struct buf *out);
};

/* What a store that writes and syncs files itself counts of a part of them: bumped by the thread
 * that writes it alone, read by anyone. */
struct store_io {
    const char *part;              /* "log", "snapshot" */
    struct metric_histogram syncs; /* the time of each fdatasync */
    uint64_t n_bytes;              /* written */
};

#define STORE_MAX_IO 4

/* First member of every implementation's struct. */
struct store {
    const struct store_ops *ops;
    const struct store_io *io; /* kept by the store, up to STORE_MAX_IO; NULL: it does not know */
    size_t n_io;
    struct store_shard **shards; /* kept by the store: those there are, in no order */
    size_t n_shards;
};

extern const struct family store_family;

#define STORE_REGISTER(ops) FAMILY_REGISTER(store, ops)

#define STORE_MAX_SHIMS 4

/* A parsed `--store`: "NAME[:k=v,…]", shims before what they wrap, joined by '+'. */
struct store_spec {
    struct spec parts[STORE_MAX_SHIMS + 1]; /* outermost first; the last one is no shim */
    size_t n_parts;
    char *text; /* canonical */
};

/* 0 or -EINVAL with the reason. Pair with store_spec_done(). */
int store_spec_parse(const char *text, struct store_spec *ret_spec, struct err *err);
void store_spec_done(struct store_spec *spec);
/* The innermost store's capabilities. */
unsigned store_spec_caps(const struct store_spec *spec);

/* Opens the innermost store first, then the shims around it. -EINVAL: a durable store without a
 * directory. */
int store_open(const struct store_spec *spec, const struct store_config *config,
               struct store **ret_store, struct err *err);
/* Takes NULL. */
void store_close(struct store *store);
/* The shard of that name, or NULL. */
struct store_shard *store_find(const struct store *store, const char *name, size_t n);
/* For implementations. Begins a STORE_CREATE: true when it is settled, ->code and ->shard set,
 * because the shard is there (->n_rows_now is left to the caller) or cannot be (-EINVAL: another
 * schema; -ENOSPC: STORE_MAX_SHARDS are there); false: it is to be made. */
bool store_settle_create(struct store *store, struct store_request *request);
/* For implementations: name and schema of a new shard. */
void store_shard_init(struct store_shard *shard, const struct store_request *request);
/* For implementations: keep store->shards. */
void store_add_shard(struct store *store, struct store_shard *shard);
void store_remove_shard(struct store *store, struct store_shard *shard);

static inline enum store_submit store_submit(struct store *store, struct store_request *request)
{
    return store->ops->submit(store, request);
}

#endif
