#include "core/alarm.h"

#include <assert.h>
#include <errno.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"

/* The loop lives for an alarm that is set, not for one that may be. */
static void note(struct alarm *alarm, uint64_t at_ns)
{
    if (!alarm->at_ns && at_ns)
        ev_ref(alarm->loop);
    else if (alarm->at_ns && !at_ns)
        ev_unref(alarm->loop);
    alarm->at_ns = at_ns;
}

static void set(struct alarm *alarm, uint64_t at_ns)
{
    const struct itimerspec when = {
        .it_value = {.tv_sec = (time_t)(at_ns / NS_PER_S), .tv_nsec = (long)(at_ns % NS_PER_S)}};
    int rc = timerfd_settime(alarm->fd, TFD_TIMER_ABSTIME, &when, NULL);

    assert(rc == 0);
    (void)rc;
    note(alarm, at_ns);
}

static void on_event(struct ev_loop *loop, struct ev_io *io, int events)
{
    struct alarm *alarm = io->data;
    uint64_t n_expired;

    (void)loop, (void)events;
    /* It may have been set anew since the loop saw it ring. */
    if (alarm->at_ns == 0 || alarm->at_ns > clock_now_ns())
        return;
    note(alarm, 0);
    alarm->on_alarm(alarm);
    /* Setting it silences it; else a read must. */
    if (alarm->loop && alarm->at_ns == 0 && read(alarm->fd, &n_expired, sizeof(n_expired)) < 0)
        assert(errno == EAGAIN);
}

int alarm_init(struct alarm *alarm, struct ev_loop *loop, void (*on_alarm)(struct alarm *),
               void *data, struct err *err)
{
    *alarm = (struct alarm){.on_alarm = on_alarm, .data = data, .loop = loop};
    alarm->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (alarm->fd < 0) {
        alarm->loop = NULL;
        return err_set_errno(err, -errno, "no timer could be made");
    }
    ev_io_init(&alarm->io, on_event, alarm->fd, EV_READ);
    alarm->io.data = alarm;
    /* What is due goes out before answers are read. */
    ev_set_priority(&alarm->io, EV_MAXPRI);
    ev_io_start(loop, &alarm->io);
    ev_unref(loop);
    return 0;
}

void alarm_done(struct alarm *alarm)
{
    if (!alarm->loop)
        return;
    note(alarm, 0);
    ev_ref(alarm->loop);
    ev_io_stop(alarm->loop, &alarm->io);
    close(alarm->fd);
    alarm->loop = NULL;
}

void alarm_set(struct alarm *alarm, uint64_t at_ns)
{
    assert(at_ns > 0);
    if (alarm->at_ns != at_ns)
        set(alarm, at_ns);
}

void alarm_clear(struct alarm *alarm)
{
    if (alarm->at_ns)
        set(alarm, 0);
}
