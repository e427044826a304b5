/* What the files of an LB's bed have in common:
 *
 *   lb_bed.c         the LB and its spawner     lb_bed_farm.c   the servers
 *   lb_bed_client.c  the test's calls of the LB */
#ifndef QUOIT_TESTS_SUPPORT_LB_BED_PARTS_H
#define QUOIT_TESTS_SUPPORT_LB_BED_PARTS_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>

#include <cmocka.h>

#include "core/addr.h"
#include "core/err.h"
#include "tests/support/lb_bed.h"
#include "tests/support/stage.h"

struct lb_farm;

struct lb_bed {
    struct lb_config config;
    pthread_t thread;
    bool running;
    atomic_bool ended;
    int rc;
    struct err err;
    int ready_fds[2];
    struct addr addr;
    struct lb_farm *farm;
    /* Of the client's last answer. */
    struct buf body;
    char text[1024];
    /* The LB's loop. */
    struct stage control;
    struct spawner *fake;
    struct spec fake_spec;
    char refused_name[NAME_MAX_BYTES + 1];
    struct fake_call last_calls[FAKE_MAX_CALLS];
    size_t n_last_calls;
};

/* lb_bed_farm.c */

/* Without servers yet (lb_bed_plant()), in a thread of its own. */
struct lb_farm *lb_farm_new(void);
void lb_farm_free(struct lb_farm *farm);

#endif
