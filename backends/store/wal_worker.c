#include "backends/store/wal_worker.h"

#include <signal.h>
#include <stddef.h>

static void *run(void *context)
{
    struct wal_worker *worker = context;
    for (;;) {
        pthread_mutex_lock(&worker->mutex);
        while (!worker->first && !worker->is_ending)
            pthread_cond_wait(&worker->wake, &worker->mutex);
        struct wal_job *job = worker->first;
        if (job) {
            worker->first = job->next;
            if (!worker->first)
                worker->last = &worker->first;
        }
        pthread_mutex_unlock(&worker->mutex);
        if (!job)
            return NULL;
        job->work(job);
        mailbox_post(&worker->mailbox, &job->letter);
    }
}

static void on_letter(void *context, struct letter *letter)
{
    (void)context;
    struct wal_job *job = (struct wal_job *)letter;
    job->on_done(job);
}

int wal_worker_open(struct wal_worker *worker, struct ev_loop *loop)
{
    sigset_t all, before;

    worker->first = NULL;
    worker->last = &worker->first;
    worker->is_ending = false;
    pthread_mutex_init(&worker->mutex, NULL);
    pthread_cond_init(&worker->wake, NULL);
    mailbox_open(&worker->mailbox, loop, on_letter, worker);
    /* Signals are the loop's. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = -pthread_create(&worker->thread, NULL, run, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        mailbox_close(&worker->mailbox);
        pthread_cond_destroy(&worker->wake);
        pthread_mutex_destroy(&worker->mutex);
    }
    return rc;
}

void wal_worker_close(struct wal_worker *worker)
{
    pthread_mutex_lock(&worker->mutex);
    worker->is_ending = true;
    pthread_cond_signal(&worker->wake);
    pthread_mutex_unlock(&worker->mutex);
    pthread_join(worker->thread, NULL);
    mailbox_close(&worker->mailbox);
    pthread_cond_destroy(&worker->wake);
    pthread_mutex_destroy(&worker->mutex);
}

void wal_worker_give(struct wal_worker *worker, struct wal_job *job)
{
    job->next = NULL;
    pthread_mutex_lock(&worker->mutex);
    *worker->last = job;
    worker->last = &job->next;
    pthread_cond_signal(&worker->wake);
    pthread_mutex_unlock(&worker->mutex);
}
