/* One generator thread: a loop, a client with its window of slots, a workload and a result of its
 * own. Nothing is shared while it runs but the two counts that progress shows.
 *
 *   closed:  slot free ─▶ is there a next one? (schedule) ─▶ send
 *   open:    it is time (arrivals, alarm) ─▶ slot free? ─▶ send
 *                                               └─ no: it waits, and is late; too late: dropped
 *   both:    send ─▶ client_submit ─▶ … ─▶ on_done ─▶ verify ─▶ result ─▶ slot free
 *
 * Open loop: what waits for a slot is no queue but the arrivals not yet asked for, so that a
 * backlog of any length costs nothing. */
#ifndef QUOIT_LOADGEN_GENERATOR_H
#define QUOIT_LOADGEN_GENERATOR_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "loadgen/load.h"

struct generator;

struct generator_config {
    const struct load_config *load; /* (ref) */
    uint32_t index, n_generators;
    uint64_t epoch_ns; /* when the plan begins; before it nothing is sent in an open loop */
    void (*on_end)(void *context); /* on its thread, after its last request */
    void *context;
};

struct generator_progress {
    uint64_t started_ns; /* of the measured phase; 0: it has not begun */
    uint64_t n_warmup, n_warmup_failed;
    uint64_t n_done, n_failed;
};

/* Opens everything and sends nothing. 0 or a negative errno with the reason. */
int generator_new(const struct generator_config *config, struct generator **ret_generator,
                  struct err *err);
/* After its thread has been waited for. Takes NULL. */
void generator_free(struct generator *generator);
/* Starts the thread. A closed loop sends from began_ns on, which is now, an open one from epoch_ns.
 * 0, or a negative errno. */
int generator_start(struct generator *generator, uint64_t began_ns, uint64_t epoch_ns);
/* Waits for the thread's end. */
void generator_join(struct generator *generator);
/* From any thread: nothing more is sent; what is in flight has drain_ns to end. */
void generator_stop(struct generator *generator, uint64_t drain_ns);
/* From any thread: whether on_end has been or is about to be called. */
bool generator_has_ended(const struct generator *generator);
/* From any thread. */
struct generator_progress generator_look(const struct generator *generator);
/* After generator_join(); the generator's. */
struct result *generator_result(struct generator *generator);

#endif
