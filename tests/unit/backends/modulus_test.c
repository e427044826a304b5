#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backends/modulus.h"
#include "core/rng.h"

static void agree(uint64_t n, uint64_t x)
{
    if (modulus_rest(modulus_of(n), x) != x % n)
        fail_msg("%llu mod %llu: %llu", (unsigned long long)x, (unsigned long long)n,
                 (unsigned long long)modulus_rest(modulus_of(n), x));
}

/* Numbers at which the estimate is right and one too small: about the multiples of n. */
static void check(uint64_t n)
{
    uint64_t last = UINT64_MAX / n * n; /* the greatest multiple */
    for (uint64_t k = 0; k < 4; k++) {
        agree(n, k);
        agree(n, UINT64_MAX - k);
        agree(n, last - 1 + k);
        agree(n, last / n / 2 * n - 1 + k);
        agree(n, n - 1 + k);
        agree(n, rng_mix64(n * 4 + k));
    }
}

static void the_rest_is_that_of_a_division(void **state)
{
    (void)state;
    for (uint64_t n = 1; n < 200000; n++)
        check(n);
    for (unsigned bit = 17; bit < 63; bit++)
        for (uint64_t off = 0; off < 5; off++)
            check((UINT64_C(1) << bit) - 2 + off);
    check((UINT64_C(1) << 63) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_rest_is_that_of_a_division)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
