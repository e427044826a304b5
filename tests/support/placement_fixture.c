#include "tests/support/placement_fixture.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/rng.h"

static void die(const char *what, const char *text, const struct err *err)
{
    fprintf(stderr, "placement_fixture: %s %s: %s\n", what, text, err->message);
    abort();
}

void placement_fixture_open(struct placement_fixture *fixture, const char *placement,
                            const char *hash)
{
    struct err err = {0};
    memset(fixture, 0, sizeof(*fixture));
    if (spec_parse(&placement_family, placement, &fixture->spec, &err) != 0)
        die("placement", placement, &err);
    if (hash_choice_parse(hash, &fixture->hashes, &err) != 0)
        die("hash", hash, &err);
}

void placement_fixture_close(struct placement_fixture *fixture)
{
    spec_done(&fixture->spec);
    hash_choice_done(&fixture->hashes);
}

int placement_fixture_try(const struct placement_fixture *fixture, const uint64_t *ids,
                          const uint32_t *weights, size_t n, struct hash request,
                          struct placement **ret_placement, struct err *err)
{
    struct placement_member *members = mem_zalloc(n + 1, sizeof(*members));
    char(*names)[32] = mem_zalloc(n + 1, sizeof(*names));
    for (size_t i = 0; i < n; i++) {
        snprintf(names[i], sizeof(names[i]), "S%" PRIu64, ids[i]);
        members[i] = (struct placement_member){
            .id = ids[i], .name = names[i], .weight = weights ? weights[i] : 1};
    }
    struct hash_pair pair = fixture->hashes.pair;
    if (request.ops)
        pair.request = request;
    int rc = placement_build(&fixture->spec, members, n, &pair, ret_placement, err);
    free(members);
    free(names);
    return rc;
}

struct placement *placement_fixture_build(const struct placement_fixture *fixture,
                                          const uint64_t *ids, size_t n)
{
    struct placement *placement = NULL;
    struct err err = {0};
    if (placement_fixture_try(fixture, ids, NULL, n, (struct hash){0}, &placement, &err) != 0)
        die("build", fixture->spec.text, &err);
    return placement;
}

struct placement *placement_fixture_build_n(const struct placement_fixture *fixture, size_t n)
{
    uint64_t *ids = mem_zalloc(n + 1, sizeof(*ids));
    for (size_t i = 0; i < n; i++)
        ids[i] = i + 1;
    struct placement *placement = placement_fixture_build(fixture, ids, n);
    free(ids);
    return placement;
}

static uint64_t identity_key(const void *params, uint64_t key)
{
    (void)params;
    return key;
}

static uint64_t identity_point(const void *params, uint64_t member_id, uint64_t replica)
{
    (void)params;
    return member_id + replica;
}

const struct hash_ops identity_hash = {
    .part = {.name = "identity", .summary = "no hash", .source = "tests"},
    .key = identity_key,
    .point = identity_point,
};

void draw_ids(uint64_t seed, uint64_t bound, uint64_t *ids, size_t n)
{
    struct rng rng;
    rng_seed(&rng, seed);
    for (size_t i = 0; i < n; i++) {
        size_t j;
        do {
            ids[i] = rng_below(&rng, bound);
            for (j = 0; j < i && ids[j] != ids[i]; j++)
                ;
        } while (j < i);
    }
}
