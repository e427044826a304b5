/* A timer to the microsecond on a libev loop, at a time on CLOCK_MONOTONIC.
 *
 * libev's own timers end up in epoll_wait(), which takes whole milliseconds; this one is a timerfd,
 * which the kernel's high-resolution timers serve without the slack of poll and sleep. Setting it
 * costs a system call, and none when the time is the one that is set already. It keeps the loop
 * alive while it is set. */
#ifndef QUOIT_CORE_ALARM_H
#define QUOIT_CORE_ALARM_H

#include <ev.h>
#include <stdint.h>

#include "core/err.h"

struct alarm {
    void (*on_alarm)(struct alarm *alarm); /* once each setting */
    void *data;
    struct ev_loop *loop;
    struct ev_io io;
    int fd;
    uint64_t at_ns; /* 0: not set */
};

/* 0, or a negative errno with the reason. */
int alarm_init(struct alarm *alarm, struct ev_loop *loop, void (*on_alarm)(struct alarm *),
               void *data, struct err *err);
/* Takes a zeroed one. */
void alarm_done(struct alarm *alarm);
/* A time that has passed rings in the next turn of the loop. */
void alarm_set(struct alarm *alarm, uint64_t at_ns);
void alarm_clear(struct alarm *alarm);

#endif
