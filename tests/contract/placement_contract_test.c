/* What every placement of the registry must do, with every hash of the registry: basic claims
 * first, then what its flags claim. Its shares are in placement_shares_contract_test.c, changes of
 * its members in placement_moves_contract_test.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/rng.h"
#include "tests/support/alloc_count.h"
#include "tests/support/placement_pairs.h"

/* 40 servers with 9 virtual nodes fit in the default 512 slots. */
#define MANY 40u
#define N_KEYS 4000u

/* ---- basic ---------------------------------------------------------------------------------- */

static void registry_holds_the_placements(void **state)
{
    const struct part *parts[PLACEMENT_PAIRS_MAX];
    (void)state;
    assert_non_null(family_find(&placement_family, "slots"));
    assert_non_null(family_find(&placement_family, "ring"));
    assert_non_null(family_find(&placement_family, "modulo"));
    assert_true(placement_pairs_list(&placement_family, parts) >=
                18); /* and those of the laboratory */
    assert_null(family_find(&placement_family, "template"));
}

static void check_part(const struct placement_fixture *fixture)
{
    const struct placement_ops *ops = ops_of(fixture);
    CLAIM(ops->part.name[0] != '\0' && strpbrk(ops->part.name, " :,=/") == NULL);
    CLAIM(ops->part.summary && ops->part.summary[0]);
    CLAIM(ops->part.source && ops->part.source[0]);
    CLAIM((ops->part.options == NULL) == (ops->part.params_size == 0));
    CLAIM(ops->build && ops->free && ops->lookup && ops->lookup_n && ops->bytes);
    unsigned caps = ops->caps;
    CLAIM(((caps & PLACEMENT_EXACT_SHARES) != 0) == (ops->shares != NULL));
    CLAIM(((caps & PLACEMENT_INCREMENTAL) != 0) == (ops->add != NULL));
    CLAIM(((caps & PLACEMENT_INCREMENTAL) != 0) == (ops->remove != NULL));
    CLAIM(!(caps & PLACEMENT_HISTORY) || caps & PLACEMENT_INCREMENTAL);
    CLAIM(((caps & PLACEMENT_LOAD_AWARE) != 0) == (ops->lookup_loaded != NULL));
    CLAIM(!(caps & PLACEMENT_MINIMAL_REWEIGH) ||
          (caps & PLACEMENT_MINIMAL_MOVES && caps & PLACEMENT_WEIGHTED));
    CLAIM(!(caps & PLACEMENT_MINIMAL_MOVES) || !(caps & PLACEMENT_MINIMAL_TAIL));
}

static void every_placement_says_what_it_is(void **state)
{
    (void)state;
    each_pair(check_part);
}

static void check_empty(const struct placement_fixture *fixture)
{
    struct placement *placement = placement_fixture_build_n(fixture, 0);
    uint32_t out[3] = {7, 7, 7};
    for (unsigned i = 0; i < 100; i++) {
        CLAIM(placement_lookup(placement, key_number(i)) == PLACEMENT_NONE);
        CLAIM(placement_lookup_n(placement, key_number(i), 3, out) == 0);
    }
    CLAIM(out[0] == 7);
    double share = 0.5;
    if (placement->ops->shares)
        placement->ops->shares(placement, &share);
    CLAIM(share == 0.5);
    CLAIM(placement->ops->bytes(placement) >= sizeof(struct placement));
    placement_free(placement);
}

static void no_members_get_no_key(void **state)
{
    (void)state;
    each_pair(check_empty);
}

static void check_single(const struct placement_fixture *fixture)
{
    const uint64_t ids[] = {0, 1, 58127, UINT64_MAX};
    for (size_t k = 0; k < 4; k++) {
        struct placement *placement = placement_fixture_build(fixture, &ids[k], 1);
        uint32_t out[2] = {9, 9};
        for (unsigned i = 0; i < 200; i++) {
            CLAIM(placement_lookup(placement, key_number(i)) == 0);
            CLAIM(placement_lookup_n(placement, key_number(i), 2, out) == 1);
            CLAIM(out[0] == 0 && out[1] == 9);
        }
        double share = 0;
        if (placement->ops->shares)
            placement->ops->shares(placement, &share);
        CLAIM(!placement->ops->shares || fabs(share - 1.0) < 1e-12);
        placement_free(placement);
    }
}

static void a_single_member_gets_every_key(void **state)
{
    (void)state;
    each_pair(check_single);
}

static void check_lookup_n(const struct placement_fixture *fixture)
{
    static const size_t sizes[] = {2, 3, 17, MANY};
    for (size_t s = 0; s < 4; s++) {
        size_t n_members = sizes[s];
        struct placement *placement = placement_fixture_build_n(fixture, n_members);
        const size_t wanted[] = {0, 1, 2, 3, n_members - 1, n_members, n_members + 1, 1000000};
        for (unsigned i = 0; i < 300; i++) {
            uint64_t key = key_number(i);
            uint32_t first = placement_lookup(placement, key);
            uint32_t full[MANY] = {0};
            CLAIM(first < n_members);
            CLAIM(placement_lookup_n(placement, key, MANY, full) == n_members);
            for (size_t w = 0; w < 8; w++) {
                uint32_t out[MANY + 1];
                bool seen[MANY] = {false};
                memset(out, 0xee, sizeof(out));
                size_t n = placement_lookup_n(placement, key, wanted[w], out);
                CLAIM(n == (wanted[w] < n_members ? wanted[w] : n_members));
                CLAIM(out[n] == 0xeeeeeeee); /* nothing behind the answer is touched */
                CLAIM(n == 0 || out[0] == first);
                for (size_t k = 0; k < n; k++) {
                    CLAIM(out[k] < n_members && !seen[out[k]]);
                    seen[out[k]] = true;
                    CLAIM(out[k] == full[k]); /* fewer wanted: a prefix */
                }
            }
        }
        placement_free(placement);
    }
}

static void lookup_n_gives_distinct_members_and_lookups_first(void **state)
{
    (void)state;
    each_pair(check_lookup_n);
}

/* Lengths about the batch's and the lanes' own. */
static void check_many(const struct placement_fixture *fixture)
{
    static const size_t lengths[] = {0, 1, 2, 31, 32, 33, 127, 128, 129, 300, 1000};
    static const size_t sizes[] = {0, 1, 2, 3, 7, 8, MANY};
    uint64_t keys[1000];
    uint32_t out[1001];
    for (unsigned i = 0; i < 1000; i++)
        keys[i] = key_number(i);
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        struct placement *placement = placement_fixture_build_n(fixture, sizes[s]);
        for (size_t l = 0; l < sizeof(lengths) / sizeof(lengths[0]); l++) {
            size_t n = lengths[l], first = (7 * l) % (1001 - n);
            memset(out, 0xee, sizeof(out));
            placement_lookup_many(placement, keys + first, n, out);
            for (size_t i = 0; i < n; i++)
                CLAIM(out[i] == placement_lookup(placement, keys[first + i]));
            CLAIM(out[n] == 0xeeeeeeee);
        }
        placement_free(placement);
    }
}

static void lookup_many_is_lookup_of_each(void **state)
{
    (void)state;
    each_pair(check_many);
}

/* Options that take other ways through a lookup: no power of two, one point, many. */
static void lookup_many_is_lookup_of_each_under_other_options(void **state)
{
    static const char *const specs[] = {"slots:slots=509",   "slots:slots=1000,probe=quadratic",
                                        "maglev:table=521",  "ring:virtual=1",
                                        "ring:virtual=1000", "partitions:partitions=41",
                                        "ketama:key=text",   "two-choices"};
    static const char *const hashes[] = {"quadratic", "poly-67", "splitmix64:seed=7",
                                         "xxh3:seed=123456789012345", "fnv1a"};
    (void)state;
    for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
        for (size_t j = 0; j < sizeof(hashes) / sizeof(hashes[0]); j++) {
            struct placement_fixture fixture;
            placement_fixture_open(&fixture, specs[i], hashes[j]);
            check_many(&fixture);
            placement_fixture_close(&fixture);
        }
    }
}

static void check_deterministic(const struct placement_fixture *fixture)
{
    uint64_t ids[MANY];
    fill_ids(ids, MANY);
    struct placement_fixture other;
    placement_fixture_open(&other, fixture->spec.part->name, fixture->hashes.request.part->name);
    struct placement *a = placement_fixture_build(fixture, ids, MANY);
    struct placement *b = placement_fixture_build(&other, ids, MANY);
    for (unsigned i = 0; i < N_KEYS; i++) {
        uint32_t member = placement_lookup(a, key_number(i));
        CLAIM(placement_lookup(a, key_number(i)) == member);
        CLAIM(placement_lookup(b, key_number(i)) == member);
    }
    CLAIM(a->ops->bytes(a) == b->ops->bytes(b));
    placement_free(a);
    placement_free(b);
    placement_fixture_close(&other);
}

static void the_same_members_give_the_same_placement(void **state)
{
    (void)state;
    each_pair(check_deterministic);
}

/* ---- refusals ------------------------------------------------------------------------------- */

static int try_build(const struct placement_fixture *fixture, const uint64_t *ids,
                     const uint32_t *weights, size_t n, struct err *err)
{
    struct placement *placement = NULL;
    memset(err, 0, sizeof(*err));
    int rc = placement_fixture_try(fixture, ids, weights, n, (struct hash){0}, &placement, err);
    if (rc == 0)
        placement_free(placement);
    else
        assert_null(placement);
    return rc;
}

static void check_refusals(const struct placement_fixture *fixture)
{
    struct err err;
    CLAIM(try_build(fixture, (const uint64_t[]){4, 1, 4}, NULL, 3, &err) == -EINVAL);
    CLAIM(strstr(err.message, "id 4") != NULL);
    CLAIM(try_build(fixture, (const uint64_t[]){1, 2}, (const uint32_t[]){1, 0}, 2, &err) ==
          -EINVAL);
    CLAIM(strstr(err.message, "weight 0") != NULL);
    CLAIM(try_build(fixture, (const uint64_t[]){1, 2}, (const uint32_t[]){3, 3}, 2, &err) == 0);

    bool weighted = ops_of(fixture)->caps & PLACEMENT_WEIGHTED;
    int rc = try_build(fixture, (const uint64_t[]){1, 2}, (const uint32_t[]){1, 2}, 2, &err);
    CLAIM(rc == (weighted ? 0 : -EINVAL));
    CLAIM(weighted || strstr(err.message, "weight") != NULL);
}

static void bad_members_are_refused_with_the_reason(void **state)
{
    (void)state;
    each_pair(check_refusals);
}

static void check_thousands(const struct placement_fixture *fixture)
{
    enum { N = 3000 };
    uint64_t *ids = mem_zalloc(N, sizeof(*ids));
    for (size_t i = 0; i < N; i++)
        ids[i] = i * 7919;
    struct placement *placement = NULL;
    struct err err = {0};
    int rc = placement_fixture_try(fixture, ids, NULL, N, (struct hash){0}, &placement, &err);
    CLAIM(rc == 0 || (rc == -EINVAL && err.message[0] != '\0'));
    for (unsigned i = 0; rc == 0 && i < 1000; i++)
        CLAIM(placement_lookup(placement, key_number(i)) < N);
    placement_free(placement);
    free(ids);
}

static void thousands_of_members_are_placed_or_refused_with_the_reason(void **state)
{
    (void)state;
    each_pair(check_thousands);
}

/* ---- what the flags claim ------------------------------------------------------------------- */

static void check_order(const struct placement_fixture *fixture)
{
    if (!(ops_of(fixture)->caps & PLACEMENT_ORDER_FREE))
        return;
    uint64_t ids[MANY], shuffled[MANY];
    fill_ids(ids, MANY);
    struct placement *a = placement_fixture_build(fixture, ids, MANY);
    struct rng rng;
    rng_seed(&rng, 3);
    for (int round = 0; round < 5; round++) {
        memcpy(shuffled, ids, sizeof(ids));
        rng_shuffle(&rng, shuffled, MANY, sizeof(*shuffled));
        struct placement *b = placement_fixture_build(fixture, shuffled, MANY);
        for (unsigned i = 0; i < N_KEYS / 4; i++) {
            uint32_t x[5], y[5];
            placement_lookup_n(a, key_number(i), 5, x);
            placement_lookup_n(b, key_number(i), 5, y);
            for (int k = 0; k < 5; k++)
                CLAIM(ids[x[k]] == shuffled[y[k]]);
        }
        placement_free(b);
    }
    placement_free(a);
}

static void the_order_of_members_is_irrelevant_where_claimed(void **state)
{
    (void)state;
    each_pair(check_order);
}

/* ---- law 3 ---------------------------------------------------------------------------------- */

static void check_allocations(const struct placement_fixture *fixture)
{
    struct placement *placement = placement_fixture_build_n(fixture, MANY);
    uint32_t out[MANY];
    uint64_t sum = 0, none[MANY] = {0}, keys[MANY] = {0};
    const struct placement_loads loads = {.of = none, .total = 0};
    uint64_t before = alloc_count();
    for (unsigned i = 0; i < 1000; i++) {
        sum += placement_lookup(placement, key_number(i));
        placement_lookup_n(placement, key_number(i), i % (MANY + 1), out);
        sum += placement_lookup_loaded(placement, key_number(i), &loads);
        placement_lookup_many(placement, keys, MANY, out);
    }
    CLAIM(alloc_count() == before);
    CLAIM(sum < 2000 * (uint64_t)MANY);
    placement_free(placement);
}

static void lookups_allocate_nothing(void **state)
{
    (void)state;
    uint64_t before = alloc_count();
    void *volatile block = malloc(10);
    free(block);
    assert_true(alloc_count() > before); /* the counter counts */
    each_pair(check_allocations);
}

static void *sum_lookups(void *argument)
{
    const struct placement *placement = argument;
    uint32_t out[3];
    uint64_t sum = 0;
    for (unsigned i = 0; i < 2000; i++) {
        placement_lookup_n(placement, key_number(i), 3, out);
        sum += placement_lookup(placement, key_number(i)) + out[2];
    }
    return (void *)(uintptr_t)sum;
}

/* Under ThreadSanitizer a lookup that writes is a report. */
static void check_threads(const struct placement_fixture *fixture)
{
    struct placement *placement = placement_fixture_build_n(fixture, 10);
    pthread_t thread;
    void *other = NULL;
    CLAIM(pthread_create(&thread, NULL, sum_lookups, placement) == 0);
    void *own = sum_lookups(placement);
    CLAIM(pthread_join(thread, &other) == 0);
    CLAIM(own == other);
    placement_free(placement);
}

static void threads_share_a_placement(void **state)
{
    (void)state;
    each_pair(check_threads);
}

int main(void)
{
    alloc_count_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registry_holds_the_placements),
        cmocka_unit_test(every_placement_says_what_it_is),
        cmocka_unit_test(no_members_get_no_key),
        cmocka_unit_test(a_single_member_gets_every_key),
        cmocka_unit_test(lookup_n_gives_distinct_members_and_lookups_first),
        cmocka_unit_test(lookup_many_is_lookup_of_each),
        cmocka_unit_test(lookup_many_is_lookup_of_each_under_other_options),
        cmocka_unit_test(the_same_members_give_the_same_placement),
        cmocka_unit_test(bad_members_are_refused_with_the_reason),
        cmocka_unit_test(thousands_of_members_are_placed_or_refused_with_the_reason),
        cmocka_unit_test(the_order_of_members_is_irrelevant_where_claimed),
        cmocka_unit_test(lookups_allocate_nothing),
        cmocka_unit_test(threads_share_a_placement),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
