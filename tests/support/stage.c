#include "tests/support/stage.h"

static void on_wake(struct ev_loop *loop, struct ev_async *wake, int events)
{
    struct stage *stage = wake->data;
    (void)loop;
    (void)events;
    pthread_mutex_lock(&stage->mutex);
    void (*function)(void *) = stage->function;
    void *argument = stage->argument;
    stage->function = NULL;
    pthread_mutex_unlock(&stage->mutex);
    if (!function)
        return;
    function(argument);
    pthread_mutex_lock(&stage->mutex);
    stage->busy = false;
    pthread_cond_broadcast(&stage->changed);
    pthread_mutex_unlock(&stage->mutex);
}

void stage_init(struct stage *stage)
{
    pthread_mutex_init(&stage->mutex, NULL);
    pthread_cond_init(&stage->changed, NULL);
}

void stage_open(struct stage *stage, struct ev_loop *loop)
{
    pthread_mutex_lock(&stage->mutex);
    ev_async_init(&stage->wake, on_wake);
    stage->wake.data = stage;
    ev_async_start(loop, &stage->wake);
    stage->loop = loop;
    pthread_mutex_unlock(&stage->mutex);
}

void stage_close(struct stage *stage)
{
    pthread_mutex_lock(&stage->mutex);
    ev_async_stop(stage->loop, &stage->wake);
    stage->loop = NULL;
    stage->function = NULL;
    stage->busy = false;
    pthread_cond_broadcast(&stage->changed);
    pthread_mutex_unlock(&stage->mutex);
}

bool stage_begin(struct stage *stage, void (*function)(void *), void *argument)
{
    pthread_mutex_lock(&stage->mutex);
    while (stage->busy)
        pthread_cond_wait(&stage->changed, &stage->mutex);
    bool open = stage->loop != NULL;
    if (open) {
        stage->busy = true;
        stage->function = function;
        stage->argument = argument;
        ev_async_send(stage->loop, &stage->wake);
    }
    pthread_mutex_unlock(&stage->mutex);
    return open;
}

void stage_wait(struct stage *stage)
{
    pthread_mutex_lock(&stage->mutex);
    while (stage->busy)
        pthread_cond_wait(&stage->changed, &stage->mutex);
    pthread_mutex_unlock(&stage->mutex);
}

bool stage_call(struct stage *stage, void (*function)(void *), void *argument)
{
    bool open = stage_begin(stage, function, argument);
    stage_wait(stage);
    return open;
}
