/* What every placement of the registry must do when members change, when they fail together, and
 * when they are loaded, with every hash of the registry: what its flags claim, and no more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "tests/support/placement_pairs.h"

#define N_KEYS 4000u
/* 40 servers with 9 virtual nodes fit in the default 512 slots. */
#define MANY 40u

/* ---- rebuilds ------------------------------------------------------------------------------- */

/* `fewer` lacks ids[without]: seen from `more` a removal, from `fewer` an addition. */
static void check_moves_of_one(const struct placement_fixture *fixture, const uint64_t *ids,
                               size_t n, size_t without)
{
    uint64_t rest[MANY];
    size_t n_rest = 0;
    for (size_t i = 0; i < n; i++)
        if (i != without)
            rest[n_rest++] = ids[i];
    struct placement *more = placement_fixture_build(fixture, ids, n);
    struct placement *fewer = placement_fixture_build(fixture, rest, n_rest);
    for (unsigned i = 0; i < N_KEYS; i++) {
        uint64_t id_more = ids[placement_lookup(more, key_number(i))];
        uint64_t id_fewer = rest[placement_lookup(fewer, key_number(i))];
        CLAIM(id_more == id_fewer || id_more == ids[without]);
    }
    placement_free(more);
    placement_free(fewer);
}

static void check_moves(const struct placement_fixture *fixture)
{
    if (!(ops_of(fixture)->caps & PLACEMENT_MINIMAL_MOVES))
        return;
    static const size_t sizes[] = {2, 3, 6, 20};
    for (size_t s = 0; s < 4; s++) {
        uint64_t ids[MANY];
        fill_ids(ids, sizes[s]);
        for (size_t without = 0; without < sizes[s]; without++)
            check_moves_of_one(fixture, ids, sizes[s], without);
        for (size_t i = 0; i < sizes[s]; i++)
            ids[i] = i + 1; /* the first servers of an LB */
        check_moves_of_one(fixture, ids, sizes[s], sizes[s] - 1);
    }
}

static void a_change_moves_only_the_changed_members_keys_where_claimed(void **state)
{
    (void)state;
    each_pair(check_moves);
}

static void check_tail(const struct placement_fixture *fixture)
{
    if (!(ops_of(fixture)->caps & PLACEMENT_MINIMAL_TAIL))
        return;
    for (size_t n = 2; n <= MANY; n += n < 10 ? 1 : 7) {
        uint64_t ids[MANY];
        fill_ids(ids, n);
        size_t last = 0;
        for (size_t i = 1; i < n; i++)
            last = ids[i] > ids[last] ? i : last;
        check_moves_of_one(fixture, ids, n, last);
    }
}

static void the_last_member_can_come_and_go_where_that_is_claimed(void **state)
{
    (void)state;
    each_pair(check_tail);
}

/* Two placements of the same ids, one weight between them different. */
static void check_reweigh(const struct placement_fixture *fixture)
{
    enum { N = 6 };
    if (!(ops_of(fixture)->caps & PLACEMENT_MINIMAL_REWEIGH))
        return;
    uint64_t ids[N];
    uint32_t before[N] = {1, 2, 3, 5, 8, 13}, after[N];
    fill_ids(ids, N);
    for (size_t i = 0; i < N; i++) {
        for (uint32_t weight = 1; weight < 30; weight += 7) {
            struct placement *a = NULL, *b = NULL;
            struct err err = {0};
            memcpy(after, before, sizeof(after));
            after[i] = weight;
            CLAIM(placement_fixture_try(fixture, ids, before, N, (struct hash){0}, &a, &err) == 0);
            CLAIM(placement_fixture_try(fixture, ids, after, N, (struct hash){0}, &b, &err) == 0);
            for (unsigned k = 0; k < N_KEYS / 4; k++) {
                uint32_t x = placement_lookup(a, key_number(k));
                uint32_t y = placement_lookup(b, key_number(k));
                CLAIM(x == y || (weight > before[i] ? y : x) == i);
            }
            placement_free(a);
            placement_free(b);
        }
    }
}

static void a_changed_weight_moves_only_its_members_keys_where_claimed(void **state)
{
    (void)state;
    each_pair(check_reweigh);
}

/* ---- incremental changes -------------------------------------------------------------------- */

/* Lookups before and after a change, by id: only the changed member's keys may differ. */
static void compare_change(const struct placement_fixture *fixture, const struct placement *before,
                           const struct placement *after, uint64_t changed)
{
    for (unsigned i = 0; i < N_KEYS / 4; i++) {
        uint32_t x = placement_lookup(before, key_number(i));
        uint32_t y = placement_lookup(after, key_number(i));
        uint64_t id_x = x == PLACEMENT_NONE ? changed : before->members[x].id;
        uint64_t id_y = y == PLACEMENT_NONE ? changed : after->members[y].id;
        bool came = after->n_members > before->n_members;
        CLAIM(id_x == id_y || (came ? id_y : id_x) == changed);
    }
}

static unsigned count_differences(const struct placement *a, const struct placement *b)
{
    unsigned n = 0;
    for (unsigned i = 0; i < N_KEYS; i++)
        n += placement_lookup(a, key_number(i)) != placement_lookup(b, key_number(i));
    return n;
}

/* Members come and go at random, from none on; what remains is compared with the same built anew.
 * Without hooks of its own a placement is built anew at each step, and the wrappers are tested. */
static void check_incremental(const struct placement_fixture *fixture)
{
    const struct placement_ops *ops = ops_of(fixture);
    struct rng rng;
    rng_seed(&rng, 5);
    struct placement *placement = placement_fixture_build_n(fixture, 0);
    uint64_t next_id = 1;
    unsigned n_different = 0;
    for (unsigned step = 0; step < 60; step++) {
        struct placement *changed = NULL;
        struct err err = {0};
        uint32_t n = placement->n_members;
        uint64_t id;
        if (n == 0 || (n < 20 && rng_below(&rng, 5) < (step < 30 ? 4 : 2))) {
            id = next_id++;
            struct placement_member member = {.id = id, .name = "", .weight = 1};
            CLAIM(placement_add(&fixture->spec, placement, &member, &changed, &err) == 0);
            CLAIM(changed->n_members == n + 1 && changed->members[n].id == id);
        } else {
            uint32_t index = (uint32_t)rng_below(&rng, n);
            id = placement->members[index].id;
            CLAIM(placement_remove(&fixture->spec, placement, index, &changed, &err) == 0);
            CLAIM(changed->n_members == n - 1);
            for (uint32_t i = 0; i < n - 1; i++)
                CLAIM(changed->members[i].id == placement->members[i + (i >= index)].id);
        }
        if (ops->add)
            compare_change(fixture, placement, changed, id);
        placement_free(placement);
        placement = changed;

        struct placement *anew = NULL;
        CLAIM(placement_build(&fixture->spec, placement->members, placement->n_members,
                              &fixture->hashes.pair, &anew, &err) == 0);
        n_different += count_differences(placement, anew) > 0;
        placement_free(anew);
    }
    CLAIM((n_different > 0) == ((ops->caps & PLACEMENT_HISTORY) != 0));

    if (ops->shares && hash_mixes(fixture->hashes.pair.request) &&
        !(ops->caps & PLACEMENT_OWN_KEY_HASH)) {
        uint64_t counts[20];
        double shares[20];
        placement_count_keys(placement, REQUEST_ID_FIRST, REQUEST_ID_FIRST + 99999, counts);
        ops->shares(placement, shares);
        for (uint32_t i = 0; i < placement->n_members; i++)
            CLAIM(fabs((double)counts[i] - 100000 * shares[i]) <
                  6 * sqrt(100000 * shares[i] * (1 - shares[i])) + 1);
    }
    placement_free(placement);
}

static void members_come_and_go_as_the_flags_say(void **state)
{
    (void)state;
    each_pair(check_incremental);
}

static void check_incremental_refusals(const struct placement_fixture *fixture)
{
    struct placement *placement = placement_fixture_build_n(fixture, 3), *changed = NULL;
    struct placement_member member = {.id = 2, .name = "again", .weight = 1};
    struct err err = {0};
    CLAIM(placement_add(&fixture->spec, placement, &member, &changed, &err) == -EINVAL);
    CLAIM(changed == NULL && strstr(err.message, "id 2") != NULL);
    placement_free(placement);
}

static void an_id_that_is_there_is_not_added_again(void **state)
{
    (void)state;
    each_pair(check_incremental_refusals);
}

/* ---- failure domains ------------------------------------------------------------------------ */

static void check_domains(const struct placement_fixture *fixture)
{
    enum { N = 12 };
    static const uint32_t racks[N] = {7, 7, 7, 7, 7, 3, 3, 3, 9, 9, 0, 0}; /* 5 domains */
    struct placement_member members[N];
    for (uint32_t i = 0; i < N; i++)
        members[i] =
            (struct placement_member){.id = i + 1, .name = "", .weight = 1, .domain = racks[i]};
    struct placement *placement = NULL;
    struct err err = {0};
    CLAIM(placement_build(&fixture->spec, members, N, &fixture->hashes.pair, &placement, &err) ==
          0);
    CLAIM(placement->n_domains == 5);
    for (unsigned i = 0; i < 300; i++) {
        uint32_t full[N], out[N + 1];
        CLAIM(placement_lookup_n(placement, key_number(i), N + 3, full) == N);
        CLAIM(full[0] == placement_lookup(placement, key_number(i)));
        bool seen[N] = {false};
        for (uint32_t k = 0; k < N; k++) {
            CLAIM(full[k] < N && !seen[full[k]]);
            seen[full[k]] = true;
            for (uint32_t j = 0; j < k && k < 5; j++)
                CLAIM(racks[full[j]] != racks[full[k]] || racks[full[j]] == 0);
        }
        for (uint32_t wanted = 0; wanted <= N; wanted++) {
            memset(out, 0xee, sizeof(out));
            CLAIM(placement_lookup_n(placement, key_number(i), wanted, out) == wanted);
            CLAIM(memcmp(out, full, wanted * sizeof(*out)) == 0);
            CLAIM(out[wanted] == 0xeeeeeeee);
        }
    }
    placement_free(placement);
}

static void replicas_are_spread_over_failure_domains(void **state)
{
    (void)state;
    each_pair(check_domains);
}

/* ---- load ----------------------------------------------------------------------------------- */

/* Without load the answer is lookup's; with it, it depends on nothing but key and loads. Keys that
 * are placed one after another spread as evenly as lookup would have them, or little worse: the
 * default bound is 1.25 of the mean, and without it the fullest of ten is at 1.05 or more. */
static void check_loads(const struct placement_fixture *fixture)
{
    enum { N = 10, N_PLACED = 5000 };
    struct placement *placement = placement_fixture_build_n(fixture, N);
    uint64_t loads[N] = {0}, plain[N] = {0};
    struct placement_loads told = {.of = loads, .total = 0};
    for (unsigned i = 0; i < 300; i++)
        CLAIM(placement_lookup_loaded(placement, key_number(i), &told) ==
              placement_lookup(placement, key_number(i)));
    for (unsigned i = 0; i < N_PLACED; i++) {
        uint64_t key = rng_mix64(i);
        uint32_t member = placement_lookup_loaded(placement, key, &told);
        CLAIM(member < N);
        CLAIM(placement_lookup_loaded(placement, key, &told) == member);
        loads[member]++;
        told.total++;
        plain[placement_lookup(placement, key)]++;
    }
    uint64_t worst = 0, worst_plain = 0;
    for (size_t i = 0; i < N; i++) {
        worst = loads[i] > worst ? loads[i] : worst;
        worst_plain = plain[i] > worst_plain ? plain[i] : worst_plain;
    }
    CLAIM(ops_of(fixture)->lookup_loaded ? 5 * worst <= 6 * worst_plain : worst == worst_plain);
    placement_free(placement);
}

static void lookups_that_mind_load_keep_members_even(void **state)
{
    (void)state;
    each_pair(check_loads);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_moves_only_the_changed_members_keys_where_claimed),
        cmocka_unit_test(the_last_member_can_come_and_go_where_that_is_claimed),
        cmocka_unit_test(a_changed_weight_moves_only_its_members_keys_where_claimed),
        cmocka_unit_test(members_come_and_go_as_the_flags_say),
        cmocka_unit_test(an_id_that_is_there_is_not_added_again),
        cmocka_unit_test(replicas_are_spread_over_failure_domains),
        cmocka_unit_test(lookups_that_mind_load_keep_members_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
