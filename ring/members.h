/* The servers that a placement is computed over: ids, the names an LB gives them, weights. */
#ifndef QUOIT_RING_MEMBERS_H
#define QUOIT_RING_MEMBERS_H

#include <stddef.h>
#include <stdint.h>

#include "backends/placement.h"
#include "core/err.h"
#include "core/rng.h"

#define RING_NAME_BYTES 32 /* "Server" and twenty digits fit */

/* at[i].name points into names. */
struct ring_members {
    struct placement_member *at;
    char (*names)[RING_NAME_BYTES];
    size_t n;
};

/* Ids 1 … n, as an LB numbers its first servers. Pair with ring_members_done(). */
void ring_members_count(struct ring_members *members, size_t n);
/* "1,2,58127". option: what errors call it ("--ids"). 0 or -EINVAL; two alike are left to the
 * placement to refuse. */
int ring_members_parse(struct ring_members *members, const char *option, const char *list,
                       struct err *err);
/* n distinct random six-digit ids, as an LB invents them. */
void ring_members_draw(struct ring_members *members, size_t n, struct rng *rng);
void ring_members_copy(struct ring_members *members, const struct ring_members *of);
/* Takes a zeroed one. */
void ring_members_done(struct ring_members *members);

/* "1,2,4": one weight a member, or one for all. 0 or -EINVAL. */
int ring_members_weigh(struct ring_members *members, const char *list, struct err *err);
/* Behind the others. */
void ring_members_append(struct ring_members *members, uint64_t id, uint32_t weight);
void ring_members_remove(struct ring_members *members, size_t index);
/* The index of that id, or members->n. */
size_t ring_members_find(const struct ring_members *members, uint64_t id);
/* A random six-digit id that none of them has. */
uint64_t ring_members_new_id(const struct ring_members *members, struct rng *rng);

#endif
