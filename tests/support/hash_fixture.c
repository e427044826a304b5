#include "tests/support/hash_fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct hash_choice choice;

int hash_fixture_open(const char *text)
{
    return hash_choice_parse(text, &choice, NULL);
}

int hash_fixture_close(void **state)
{
    (void)state;
    hash_choice_done(&choice);
    return 0;
}

struct hash hash_fixture(void)
{
    return choice.pair.request;
}

uint64_t hash_of(const void *bytes, size_t n, uint64_t seed)
{
    struct hash hash = hash_fixture();
    return hash.ops->bytes(hash.params, bytes, n, seed);
}

uint64_t hash_of_choice(const char *text, const void *bytes, size_t n, uint64_t seed)
{
    struct hash_choice other;
    assert_int_equal(hash_choice_parse(text, &other, NULL), 0);
    struct hash hash = other.pair.request;
    uint64_t value = hash.ops->bytes(hash.params, bytes, n, seed);
    hash_choice_done(&other);
    return value;
}

void a_number_is_hashed_as_its_little_endian_bytes(void **state)
{
    const char key[8] = {0x40, 0x42, 0x0f};    /* 1000000 */
    const char point[16] = {[0] = 3, [8] = 8}; /* member 3, virtual node 8 */
    (void)state;
    assert_int_equal(hash_key(hash_fixture(), 1000000), hash_of(key, 8, 0));
    assert_int_equal(hash_point(hash_fixture(), 3, 8), hash_of(point, 16, 0));
}
