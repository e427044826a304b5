#include "experiments/shares.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct experiment_cluster cluster(uint64_t servers, const char *placement, const char *hash)
{
    return (struct experiment_cluster){.servers = servers, .placement = placement, .hash = hash};
}

/* CONTRACT.md, Names, ids, hashing, computed apart from the program under test: the slots by hand,
 * then every request id. */
static void count_by_hand(size_t n_servers, double *shares)
{
    int owner[512] = {0};
    uint64_t counts[EXPERIMENT_MAX_SERVERS + 1] = {0};
    for (uint64_t i = 1; i <= n_servers; i++)
        for (uint64_t j = 0; j < 9; j++) {
            uint64_t slot = (i * i + j * j + 2 * j + 25) % 512;
            while (owner[slot])
                slot = (slot + 1) % 512;
            owner[slot] = (int)i;
        }
    for (uint64_t id = 100000; id <= 999999; id++) {
        uint64_t slot = (id * id + 2 * id + 17) % 512;
        while (!owner[slot])
            slot = (slot + 1) % 512;
        counts[owner[slot]]++;
    }
    for (size_t i = 0; i < n_servers; i++)
        shares[i] = (double)counts[i + 1] / 900000;
}

static void shares_are_those_counted_by_hand(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 6; n++) {
        double by_hand[EXPERIMENT_MAX_SERVERS], shares[EXPERIMENT_MAX_SERVERS];
        struct experiment_cluster settings = cluster(n, "slots", "quadratic");
        count_by_hand(n, by_hand);
        assert_int_equal(shares_exact(&settings, shares, NULL), 0);
        for (size_t i = 0; i < n; i++)
            assert_true(fabs(shares[i] - by_hand[i]) < 1e-12);
    }
}

static void shares_sum_to_one(void **state)
{
    static const char *const placements[] = {"slots", "ring", "modulo"};
    (void)state;
    for (size_t p = 0; p < 3; p++) {
        double shares[EXPERIMENT_MAX_SERVERS], sum = 0;
        struct experiment_cluster settings = cluster(7, placements[p], "xxh64");
        assert_int_equal(shares_exact(&settings, shares, NULL), 0);
        for (size_t i = 0; i < 7; i++)
            sum += shares[i];
        assert_true(fabs(sum - 1) < 1e-9);
    }
}

static void shares_say_why_there_are_none(void **state)
{
    double shares[EXPERIMENT_MAX_SERVERS];
    struct err err;
    struct experiment_cluster settings = cluster(60, "slots", "quadratic");
    (void)state;
    /* 60 × 9 virtual servers in 512 slots */
    assert_true(shares_exact(&settings, shares, &err) < 0);
    assert_true(strlen(err.message) > 0);
    settings = cluster(3, "slots", "nohash");
    assert_int_equal(shares_exact(&settings, shares, &err), -EINVAL);
    settings = cluster(3, "noplace", "xxh64");
    assert_int_equal(shares_exact(&settings, shares, &err), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_are_those_counted_by_hand),
        cmocka_unit_test(shares_sum_to_one),
        cmocka_unit_test(shares_say_why_there_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
