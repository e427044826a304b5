#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backends/placement.h"
#include "backends/placement/jump.h"
#include "core/rng.h"

static void agree_alone(uint64_t key, uint32_t n)
{
    if (jump_bucket(key, n) != jump_hash(key, n))
        fail_msg("key %llu of %u buckets: %u, published %u", (unsigned long long)key, n,
                 jump_bucket(key, n), jump_hash(key, n));
}

/* Keys of one number of buckets, gathered until there are enough for the lanes. */
static struct {
    uint64_t keys[1024];
    size_t n;
    uint32_t n_buckets;
} gathered;

static void agree_gathered(void)
{
    uint32_t buckets[1024];
    jump_buckets(gathered.keys, gathered.n, gathered.n_buckets, buckets);
    for (size_t i = 0; i < gathered.n; i++)
        if (buckets[i] != jump_hash(gathered.keys[i], gathered.n_buckets))
            fail_msg("key %llu of %u buckets, one of many: %u, published %u",
                     (unsigned long long)gathered.keys[i], gathered.n_buckets, buckets[i],
                     jump_hash(gathered.keys[i], gathered.n_buckets));
    gathered.n = 0;
}

static void agree(uint64_t key, uint32_t n)
{
    agree_alone(key, n);
    if (gathered.n == 1024 || n != gathered.n_buckets)
        agree_gathered();
    gathered.n_buckets = n;
    gathered.keys[gathered.n++] = key;
}

/* Edges: one bucket, none to jump to, and the most there can be. */
static const uint32_t edges[] = {1,    2,     3,     4,     7,     8,     9,    60,
                                 1000, 32767, 32768, 65521, 65534, 65535, 65536};
#define N_EDGES (sizeof(edges) / sizeof(edges[0]))

static void
jump_in_blocks_and_lanes_is_the_published_function_for_edge_numbers_of_buckets(void **state)
{
    (void)state;
    assert_int_equal(edges[N_EDGES - 1], PLACEMENT_MAX_MEMBERS);
    for (size_t e = 0; e < N_EDGES; e++)
        for (uint64_t i = 0; i < 200000; i++)
            agree(rng_mix64(i), edges[e]);
    agree_gathered();
}

static void
jump_in_blocks_and_lanes_is_the_published_function_for_every_number_of_buckets(void **state)
{
    (void)state;
    for (uint32_t n = 1; n <= PLACEMENT_MAX_MEMBERS; n++)
        for (uint64_t i = 0; i < 32; i++)
            agree(rng_mix64(n * 32 + i), n);
    agree_gathered();
}

static void
jump_in_blocks_and_lanes_is_the_published_function_for_keys_that_are_not_mixed(void **state)
{
    (void)state;
    for (size_t e = 0; e < N_EDGES; e++) {
        for (uint64_t i = 0; i < 4096; i++) {
            agree(i, edges[e]);
            agree(UINT64_MAX - i, edges[e]);
        }
        for (unsigned bit = 0; bit < 64; bit++)
            agree(UINT64_C(1) << bit, edges[e]);
    }
    agree_gathered();
}

/* The key whose first 31 bits are all 0: the factor is the greatest there is, 2^31. The generator's
 * step is undone: its multiplier is odd, so it has an inverse modulo 2^64. */
static uint64_t key_before(uint64_t state)
{
    const uint64_t a = UINT64_C(2862933555777941757);
    uint64_t inverse = a;
    for (unsigned i = 0; i < 6; i++)
        inverse *= 2 - a * inverse;
    return (state - 1) * inverse;
}

static void the_greatest_and_the_smallest_factor_lead_where_published(void **state)
{
    (void)state;
    for (size_t e = 0; e < N_EDGES; e++) {
        for (uint64_t low = 0; low < 2000; low++) {
            agree(key_before(low), edges[e]);              /* 2^31 / 1 */
            agree(key_before(UINT64_MAX - low), edges[e]); /* 2^31 / 2^31: the next bucket */
            agree(key_before((UINT64_C(1) << 33) + low), edges[e]);
            /* Factors that are whole or nearly so, on both sides of a bucket's edge. */
            for (uint64_t j = 1; j < 20; j++)
                agree(key_before(((UINT64_C(1) << 31) / j + low % 3 - 2) << 33 | low), edges[e]);
        }
    }
    agree_gathered();
}

/* Where single precision cannot tell on which side of a bucket's edge a step ends. */
static void steps_that_end_at_the_edge_of_any_bucket_lead_where_published(void **state)
{
    (void)state;
    for (uint64_t bucket = 1; bucket <= PLACEMENT_MAX_MEMBERS; bucket++) {
        for (uint64_t off = 0; off < 4; off++) {
            uint64_t divisor = (UINT64_C(1) << 31) / bucket + off - 1; /* r + 1 */
            uint64_t key = key_before((divisor - 1) << 33 | (bucket & 0xffff));
            agree(key, PLACEMENT_MAX_MEMBERS);
        }
    }
    for (uint64_t bucket = 1; bucket < 2000; bucket++)
        for (uint64_t off = 0; off < 4; off++)
            agree(key_before(((UINT64_C(1) << 31) / bucket + off - 2) << 33), (uint32_t)bucket + 1);
    agree_gathered();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            jump_in_blocks_and_lanes_is_the_published_function_for_edge_numbers_of_buckets),
        cmocka_unit_test(
            jump_in_blocks_and_lanes_is_the_published_function_for_every_number_of_buckets),
        cmocka_unit_test(
            jump_in_blocks_and_lanes_is_the_published_function_for_keys_that_are_not_mixed),
        cmocka_unit_test(the_greatest_and_the_smallest_factor_lead_where_published),
        cmocka_unit_test(steps_that_end_at_the_edge_of_any_bucket_lead_where_published),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
