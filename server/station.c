#include "server/station.h"

#include <stdbool.h>

#include "core/clock.h"

static struct station_item *take(struct station *station)
{
    struct station_item *item = STAILQ_FIRST(&station->queue);
    if (item)
        STAILQ_REMOVE_HEAD(&station->queue, link);
    return item;
}

/* All that are due: the loop may have been late. */
static void on_alarm(struct alarm *alarm)
{
    struct station *station = alarm->data;
    uint64_t now_ns = clock_now_ns();
    while (!STAILQ_EMPTY(&station->queue) && station->served_ns <= now_ns) {
        station->on_served(take(station));
        station->served_ns += station->service_ns;
    }
    if (!STAILQ_EMPTY(&station->queue))
        alarm_set(&station->alarm, station->served_ns);
}

int station_init(struct station *station, struct ev_loop *loop, uint64_t service_ns,
                 void (*on_served)(struct station_item *item), struct err *err)
{
    *station = (struct station){.on_served = on_served, .service_ns = service_ns};
    STAILQ_INIT(&station->queue);
    return alarm_init(&station->alarm, loop, on_alarm, station, err);
}

void station_done(struct station *station)
{
    struct station_item *item;
    if (!station->on_served)
        return;
    while ((item = take(station)))
        station->on_served(item);
    alarm_done(&station->alarm);
    station->on_served = NULL;
}

void station_put(struct station *station, struct station_item *item)
{
    bool idle = STAILQ_EMPTY(&station->queue);
    STAILQ_INSERT_TAIL(&station->queue, item, link);
    if (idle) {
        station->served_ns = clock_now_ns() + station->service_ns;
        alarm_set(&station->alarm, station->served_ns);
    }
}
