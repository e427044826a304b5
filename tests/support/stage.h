/* Runs functions for one thread on the event loop of another, which is where what belongs to that
 * loop may be looked at and changed. One function at a time: who comes meanwhile waits. */
#ifndef QUOIT_TESTS_SUPPORT_STAGE_H
#define QUOIT_TESTS_SUPPORT_STAGE_H

#include <ev.h>
#include <pthread.h>
#include <stdbool.h>

struct stage {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct ev_async wake;
    struct ev_loop *loop; /* NULL: closed */
    void (*function)(void *argument);
    void *argument;
    bool busy;
};

void stage_init(struct stage *stage);
/* Both on the loop's own thread, or while it does not run. Closing drops what was not run yet. */
void stage_open(struct stage *stage, struct ev_loop *loop);
void stage_close(struct stage *stage);
/* Has it run, in the background. False: the stage is closed. */
bool stage_begin(struct stage *stage, void (*function)(void *argument), void *argument);
/* Until nothing is run. */
void stage_wait(struct stage *stage);
/* Both. */
bool stage_call(struct stage *stage, void (*function)(void *argument), void *argument);

#endif
