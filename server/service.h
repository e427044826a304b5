/* What a server does with its store: shard replicas by name, and jobs, one a request.
 *
 *   exchange ─▶ job ─┬─▶ op ─▶ store_submit() ─ DONE ─────────────┐
 *                    ├─▶ op ─▶ … ─ PENDING ─ … ─ on_done ─────────┤ the last one
 *                    └─▶ op ─▶ …                                  ▼
 *                                                     job->on_done(): answers, ends the job
 *
 * A job owns the memory that its store requests borrow (an arena, the rows' texts), so that nothing
 * of the HTTP request, which is gone when its handler returns, is looked at later. Jobs are used
 * again, with their memory: a small request allocates nothing.
 *
 * All shards of a server have one schema: they are replicas of one table's. */
#ifndef QUOIT_SERVER_SERVICE_H
#define QUOIT_SERVER_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "backends/store.h"
#include "core/arena.h"
#include "core/buf.h"
#include "core/err.h"
#include "core/httpd.h"

/* Of one answer; a longer one is refused with 413. */
#define SERVICE_MAX_ANSWER_BYTES (48u << 20)

struct job;
struct op;

/* A shard of the store, and who uses it. */
struct replica {
    char name[NAME_MAX_BYTES + 1];
    struct store_shard *shard; /* (ref) */
    size_t n_users;            /* ops that were begun and are not settled */
    struct op *drop;           /* waits until there are none, or is under way; else NULL */
    uint64_t floor;            /* the highest epoch of a copy: nothing of a lower one is begun. Kept
                                  in memory alone: what this process has not read ends with it */
    UT_hash_handle hh;
};

/* Counted by the loop's thread, shown by /metrics. */
struct service_counters {
    uint64_t rows_written, rows_read, store_requests, store_failures, pending, shards;
};

struct service {
    struct store *store;
    const char *name;         /* the server's (ref) */
    const char *store_text;   /* canonical --store (ref) */
    struct replica *replicas; /* by name */
    struct schema schema;     /* of all replicas; means nothing while there is none */
    struct job *configuring;  /* the POST /config under way, or NULL */
    struct job *jobs;         /* under way */
    struct job *free_jobs;
    size_t n_free_jobs;
    uint64_t epoch; /* the highest that a request bore */
    struct service_counters counters;
};

/* A store request of a job. */
struct op {
    struct store_request request; /* first member */
    struct job *job;
    struct replica *replica; /* used until it is settled; NULL: none */
    size_t n_taken;          /* STORE_READ: rows that went into job->out */
    const char *refusal;     /* not submitted, and why; else NULL */
};

struct job {
    struct service *service;
    struct httpd_exchange *exchange;
    struct arena arena;
    struct buf texts; /* of rows */
    struct buf out;   /* the answer's body */
    struct op *ops;
    size_t n_ops;
    size_t at;                        /* of those done one after another: the next */
    size_t n_pending;                 /* ops under way, and holds */
    int64_t number;                   /* the handler's, until on_done */
    bool numbered;                    /* the handler's: number was given */
    void (*on_done)(struct job *job); /* nothing is pending any more: answer and end */
    struct job *next, **link;
};

/* ---- life: service.c ---- */

/* Takes the store over. 0, or -EINVAL with the reason: what it holds cannot be served. */
int service_init(struct service *service, struct store *store, const char *name,
                 const char *store_text, struct err *err);
/* Closes the store, which finishes what is pending; what it then left unanswered is refused. */
void service_done(struct service *service);
/* What a request's query says of when it was sent (server.h); 0: nothing. */
struct request_age {
    uint64_t epoch; /* epoch=N */
    uint64_t copy;  /* copy=N: the epoch of a copy of the shards that it names */
};

/* Reads both, and takes the epoch. 0; -EALREADY: one with a later one was here; -EINVAL: that is no
 * number. */
int service_take_age(struct service *service, const struct http_message *request,
                     struct request_age *ret_age, struct err *err);
static inline bool service_is_idle(const struct service *service)
{
    return service->jobs == NULL;
}

/* ---- replicas: service.c ---- */

/* The replica of that name, or NULL; one that is being dropped is found no more. */
struct replica *replica_find(const struct service *service, const char *name, size_t n);
/* The same, but also one that is being dropped. */
struct replica *replica_find_any(const struct service *service, const char *name, size_t n);
void replica_add(struct service *service, struct store_shard *shard);
/* Whether a request of that age may be begun in the replica; one of a copy raises its floor. */
bool replica_take_age(struct replica *replica, const struct request_age *age);

/* ---- jobs: job.c ---- */

struct job *job_new(struct service *service, struct httpd_exchange *exchange);
/* n zeroed ops, in place of those there were. */
void job_set_ops(struct job *job, size_t n);
/* Makes `op` one of the replica's, which stays until the op is settled. */
void op_begin(struct op *op, struct replica *replica, enum store_op what);
/* STORE_DONE: settled. STORE_PENDING: it will be, then job->on_done is called if it was the last
 * one pending. */
enum store_submit op_submit(struct op *op);
/* Drops the replica once nobody uses it; from now on it is not found. The op's result is as that of
 * a submitted one. Under a hold only. */
void op_submit_drop(struct op *op, struct replica *replica);
/* Between the two, on_done is not called: while ops are submitted that some may settle at once. */
void job_hold(struct job *job);
void job_release(struct job *job);
/* Answers 200 with job->out, and ends the job. headers: as httpd_reply(). */
void job_reply(struct job *job, const char *content_type, const char *headers);
/* Answers with the refusal that belongs to the code, and ends the job: -EINVAL 400, -ENOENT 404,
 * -EEXIST, -EALREADY, -ENXIO 409, -EMSGSIZE 413, -ENOSPC, -EDQUOT 507, others 503. */
void job_refuse(struct job *job, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The refusal of a store request that failed in a way that its endpoint has no words for. */
void job_refuse_store(struct job *job, const struct store_request *request);
/* Why it failed, in words; static or the store's, or until the next call. */
const char *store_request_reason(const struct store_request *request);
/* Ends it without an answer of its own: the exchange has been answered. */
void job_end(struct job *job);

/* ---- request bodies: body.c ---- */

/* The body as a JSON object whose members are all among names[0 … NULL]. 0, with a tree for
 * cJSON_Delete(), or -EINVAL. */
int body_read(const struct http_message *request, const char *const *names, cJSON **ret_body,
              struct err *err);
/* The same of a call to a shard: "shard", the key column and names[]. -ENXIO before /config. */
int body_read_call(struct service *service, const struct http_message *request,
                   const char *const *names, cJSON **ret_body, struct replica **ret_replica,
                   struct err *err);
/* 0 or -ENXIO with the reason. */
int service_check_configured(const struct service *service, struct err *err);
/* The replica that a JSON string names, or NULL with the reason (-EINVAL). */
struct replica *body_find_replica(struct service *service, const cJSON *name, struct err *err);
/* "name=integer" of a query. 0; -EINVAL: it is missing (and there is no fallback) or no integer of
 * 64 bits. */
int query_int64(const struct http_message *request, const char *name, const int64_t *fallback,
                int64_t *ret_value, struct err *err);

/* ---- endpoints; each answers or begins a job that will ---- */

/* config.c */
void answer_config(struct service *service, struct httpd_exchange *exchange);
void answer_shards(struct service *service, struct httpd_exchange *exchange);
/* read.c */
void answer_read(struct service *service, struct httpd_exchange *exchange);
void answer_copy(struct service *service, struct httpd_exchange *exchange);
/* page.c */
void answer_page(struct service *service, struct httpd_exchange *exchange);
void answer_digest(struct service *service, struct httpd_exchange *exchange);
/* change.c */
void answer_write(struct service *service, struct httpd_exchange *exchange);
void answer_update(struct service *service, struct httpd_exchange *exchange);
void answer_del(struct service *service, struct httpd_exchange *exchange);
/* batch.c */
void answer_batch(struct service *service, struct httpd_exchange *exchange);

#endif
