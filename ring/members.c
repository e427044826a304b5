#include "ring/members.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

#define NEW_ID_FIRST 100000u
#define NEW_ID_LAST 999999u

/* The name an LB gives its first servers (CONTRACT.md, Names, ids, hashing). */
static void name_all(struct ring_members *members)
{
    for (size_t i = 0; i < members->n; i++) {
        snprintf(members->names[i], RING_NAME_BYTES, "Server%" PRIu64, members->at[i].id);
        members->at[i].name = members->names[i];
    }
}

static void alloc(struct ring_members *members, size_t n)
{
    members->at = mem_zalloc(n + 1, sizeof(*members->at));
    members->names = mem_zalloc(n + 1, sizeof(*members->names));
    members->n = n;
    for (size_t i = 0; i < n; i++)
        members->at[i].weight = 1;
}

void ring_members_count(struct ring_members *members, size_t n)
{
    alloc(members, n);
    for (size_t i = 0; i < n; i++)
        members->at[i].id = i + 1;
    name_all(members);
}

/* The numbers of a list, n_max of them at most; what: "id" or "weight". Returns how many there are,
 * or -EINVAL. */
static int parse_numbers(const char *option, const char *what, const char *list, uint64_t *numbers,
                         struct err *err)
{
    int n = 0;
    for (const char *at = list;; at++) {
        size_t n_bytes = strcspn(at, ",");
        char *end;
        errno = 0;
        uint64_t number = strtoull(at, &end, 10);
        /* strtoull takes blanks and signs; an id is digits */
        if (n_bytes == 0 || strspn(at, "0123456789") != n_bytes || errno != 0)
            return err_set(err, -EINVAL,
                           "%s: '%.*s' is no %s; it takes numbers up to %" PRIu64
                           " with commas between, e.g. 1,2,58127",
                           option, (int)(n_bytes < 40 ? n_bytes : 40), at, what, UINT64_MAX);
        numbers[n++] = number;
        if (*end == '\0')
            return n;
        at = end;
    }
}

static size_t count_commas(const char *list)
{
    size_t n = 0;
    for (const char *at = list; *at; at++)
        n += *at == ',';
    return n;
}

int ring_members_parse(struct ring_members *members, const char *option, const char *list,
                       struct err *err)
{
    size_t n = 1 + count_commas(list);
    if (n > PLACEMENT_MAX_MEMBERS)
        return err_set(err, -EINVAL, "%s: %zu servers; at most %u", option, n,
                       PLACEMENT_MAX_MEMBERS);
    uint64_t *ids = mem_zalloc(n, sizeof(*ids));
    int rc = parse_numbers(option, "id", list, ids, err);
    if (rc >= 0) {
        alloc(members, n);
        for (size_t i = 0; i < n; i++)
            members->at[i].id = ids[i];
        name_all(members);
    }
    free(ids);
    return rc < 0 ? rc : 0;
}

/* Taken ids in a table of bits: a member a look. */
void ring_members_draw(struct ring_members *members, size_t n, struct rng *rng)
{
    static const size_t n_bits = NEW_ID_LAST - NEW_ID_FIRST + 1;
    uint64_t *taken = mem_zalloc(n_bits / 64 + 1, sizeof(*taken));
    alloc(members, n);
    for (size_t i = 0; i < n; i++) {
        uint64_t draw;
        do {
            draw = rng_below(rng, n_bits);
        } while (taken[draw / 64] >> (draw % 64) & 1);
        taken[draw / 64] |= UINT64_C(1) << (draw % 64);
        members->at[i].id = NEW_ID_FIRST + draw;
    }
    free(taken);
    name_all(members);
}

void ring_members_copy(struct ring_members *members, const struct ring_members *of)
{
    alloc(members, of->n);
    memcpy(members->at, of->at, of->n * sizeof(*of->at));
    name_all(members);
}

void ring_members_done(struct ring_members *members)
{
    free(members->at);
    free(members->names);
    memset(members, 0, sizeof(*members));
}

int ring_members_weigh(struct ring_members *members, const char *list, struct err *err)
{
    size_t n = 1 + count_commas(list);
    if (n != 1 && n != members->n)
        return err_set(err, -EINVAL, "--weights: %zu for %zu servers; one each, or one for all", n,
                       members->n);
    uint64_t *weights = mem_zalloc(n, sizeof(*weights));
    int rc = parse_numbers("--weights", "weight", list, weights, err);
    for (size_t i = 0; rc >= 0 && i < n; i++)
        if (weights[i] < 1 || weights[i] > 1000000)
            rc = err_set(err, -EINVAL, "--weights: %" PRIu64 " is out of range: 1 to 1000000",
                         weights[i]);
    for (size_t i = 0; rc >= 0 && i < members->n; i++)
        members->at[i].weight = (uint32_t)weights[n == 1 ? 0 : i];
    free(weights);
    return rc < 0 ? rc : 0;
}

void ring_members_append(struct ring_members *members, uint64_t id, uint32_t weight)
{
    size_t n = members->n + 1;
    members->at = mem_realloc(members->at, n + 1, sizeof(*members->at));
    members->names = mem_realloc(members->names, n + 1, sizeof(*members->names));
    members->at[n - 1] = (struct placement_member){.id = id, .weight = weight};
    members->n = n;
    name_all(members);
}

void ring_members_remove(struct ring_members *members, size_t index)
{
    memmove(members->at + index, members->at + index + 1,
            (members->n - index - 1) * sizeof(*members->at));
    members->n--;
    name_all(members);
}

size_t ring_members_find(const struct ring_members *members, uint64_t id)
{
    size_t i = 0;
    while (i < members->n && members->at[i].id != id)
        i++;
    return i;
}

uint64_t ring_members_new_id(const struct ring_members *members, struct rng *rng)
{
    uint64_t id;
    do {
        id = NEW_ID_FIRST + rng_below(rng, NEW_ID_LAST - NEW_ID_FIRST + 1);
    } while (ring_members_find(members, id) < members->n);
    return id;
}
