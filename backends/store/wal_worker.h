/* A thread for what takes long and need not be quick: makes segments, writes snapshots, removes
 * files. Jobs are done one after the other, in the order in which they were given. */
#ifndef QUOIT_BACKENDS_STORE_WAL_WORKER_H
#define QUOIT_BACKENDS_STORE_WAL_WORKER_H

#include <ev.h>
#include <pthread.h>
#include <stdbool.h>

#include "core/mailbox.h"

/* First member of every job; owned by who gave it, again so from on_done on. */
struct wal_job {
    struct letter letter; /* first member */
    struct wal_job *next;
    void (*work)(struct wal_job *job);    /* on the thread */
    void (*on_done)(struct wal_job *job); /* on the loop */
};

struct wal_worker {
    struct mailbox mailbox;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    /* Under the mutex: */
    struct wal_job *first, **last;
    bool is_ending;
};

/* 0 or a negative errno. */
int wal_worker_open(struct wal_worker *worker, struct ev_loop *loop);
/* Does what was given, delivers it, and ends the thread. */
void wal_worker_close(struct wal_worker *worker);
/* From the loop. */
void wal_worker_give(struct wal_worker *worker, struct wal_job *job);

#endif
