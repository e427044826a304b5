/* A client's change of rows: read, checked, and put in the words that servers are told it with.
 *
 *   worker that took it:  body ─▶ change_read() ─▶ struct change ──LETTER_WRITE──▶ writer
 *
 * All that can be known without asking a server is checked here, on the client's worker: the
 * writer, of which there is one, only copies text (CONTRACT.md, Part 2: /write, /update, /del). */
#ifndef QUOIT_LB_CHANGE_H
#define QUOIT_LB_CHANGE_H

#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/buf.h"
#include "core/err.h"
#include "core/httpd.h"
#include "lb/letters.h"
#include "lb/snapshot.h"
#include "table/batch.h"

/* Of a change in the words of a batch (table/batch.h): a server's /batch takes it as one body. */
#define CHANGE_MAX_BYTES (8u << 20)
/* Of rows: as many are taken back one by one in one batch. */
#define CHANGE_MAX_ROWS BATCH_MAX_OPERATIONS

enum change_type { CHANGE_WRITE, CHANGE_UPDATE, CHANGE_DELETE };

/* What a change does in one shard. */
struct change_part {
    struct shard shard;
    size_t n_keys;
    const int64_t *keys; /* ascending */
    const char *text;    /* one operation of a batch */
    size_t n_bytes;
};

struct change {
    enum change_type type;
    size_t n_keys;
    int64_t *keys; /* ascending, all parts' */
    size_t n_parts;
    struct change_part *parts; /* ascending */
    struct buf text;           /* holds the parts' */
    struct arena arena;        /* holds the rest */
};

/* Reads a body into a change that is zeroed or was reset. 0; or what to answer, 400 or 413, with
 * the reason; then the change is reset. The snapshot must have a schema; neither it nor the body is
 * needed after the call. */
unsigned change_read(const struct snapshot *snapshot, enum change_type type, struct http_view body,
                     struct change *change, struct err *err);
/* Empties it for another one; its memory stays, up to a limit. */
void change_reset(struct change *change);

/* A change on its way to the writer and back (LETTER_WRITE, LETTER_WRITTEN). */
struct change_call {
    struct lb_letter base;
    struct change_call *next_free;   /* the worker's, between two changes */
    struct mailbox *home;            /* of the worker that took it; NULL: the writer's own (ref) */
    struct httpd_exchange *exchange; /* that worker's; the writer only hands it back */
    struct change change;
    char key_column[SCHEMA_NAME_BYTES + 1];
    unsigned status; /* the answer */
    char message[192];
    char reason[ERR_MESSAGE_BYTES]; /* status ≥ 400: in place of the message */
};

/* Zeroed memory is an empty call. Empties one that was answered, as change_reset() does. */
void change_call_reset(struct change_call *call);
void change_call_free(struct change_call *call);
/* Fills in the answer that the contract has for a change that was made. */
void change_call_succeed(struct change_call *call);
void change_call_fail(struct change_call *call, unsigned status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
