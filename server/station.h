/* A station: a queue with one place of service, which each that comes takes for the same time
 * (M/D/1 where they come by chance). It makes a server one of a known capacity, 1 / service time,
 * whatever machine it runs on and whoever shares its cores: what an uneven placement does to
 * latencies shows once its busiest server nears that. */
#ifndef QUOIT_SERVER_STATION_H
#define QUOIT_SERVER_STATION_H

#include <ev.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "core/alarm.h"
#include "core/err.h"

/* Embedded in whatever waits; the station's from station_put() until on_served. */
struct station_item {
    STAILQ_ENTRY(station_item) link;
};

struct station {
    void (*on_served)(struct station_item *item);
    uint64_t service_ns;
    uint64_t served_ns; /* when the first of the queue will be served */
    STAILQ_HEAD(, station_item) queue;
    struct alarm alarm;
};

/* service_ns: above 0. 0, or a negative errno with the reason; nothing is to be done then. */
int station_init(struct station *station, struct ev_loop *loop, uint64_t service_ns,
                 void (*on_served)(struct station_item *item), struct err *err);
/* Serves at once who still waits. Takes a zeroed one. */
void station_done(struct station *station);
/* In the order in which they were put, each service_ns after the one before, or after it came to an
 * empty station. */
void station_put(struct station *station, struct station_item *item);

#endif
