/* What every hash of the registry must do: basic claims first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "backends/hash.h"
#include "core/mem.h"
#include "core/rng.h"
#include "tests/support/alloc_count.h"

#define MAX_PARTS 128

static const struct part *parts[MAX_PARTS];
static size_t n_parts;

#define CLAIM(holds, part)                                                                         \
    do {                                                                                           \
        if (!(holds))                                                                              \
            fail_msg("%s: not so: %s", (part)->name, #holds);                                      \
    } while (0)

static struct hash open_hash(struct hash_choice *choice, const char *text)
{
    struct err err = {0};
    if (hash_choice_parse(text, choice, &err) != 0)
        fail_msg("%s: %s", text, err.message);
    return choice->pair.request;
}

static int compare_u64(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static size_t count_distinct(uint64_t *values, size_t n)
{
    qsort(values, n, sizeof(*values), compare_u64);
    size_t n_distinct = n > 0;
    for (size_t i = 1; i < n; i++)
        n_distinct += values[i] != values[i - 1];
    return n_distinct;
}

static void registry_holds_the_hashes(void **state)
{
    (void)state;
    assert_non_null(family_find(&hash_family, "quadratic"));
    assert_non_null(family_find(&hash_family, "splitmix64"));
    assert_non_null(family_find(&hash_family, "xxh64"));
    assert_non_null(family_find(&hash_family, "md5"));
    assert_true(n_parts >= 14); /* and those of the laboratory */
    assert_null(family_find(&hash_family, "template"));
}

static void every_hash_says_what_it_is(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_parts; i++) {
        const struct hash_ops *ops = (const struct hash_ops *)parts[i];
        CLAIM(parts[i]->name[0] != '\0', parts[i]);
        CLAIM(strpbrk(parts[i]->name, " :,=/") == NULL, parts[i]);
        CLAIM(parts[i]->summary && parts[i]->summary[0], parts[i]);
        CLAIM(parts[i]->source && parts[i]->source[0], parts[i]);
        CLAIM(ops->key != NULL, parts[i]);
        CLAIM(ops->point != NULL, parts[i]);
        CLAIM((parts[i]->options == NULL) == (parts[i]->params_size == 0), parts[i]);
    }
}

static void options_given_their_defaults_change_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_parts; i++) {
        const struct option_def *def = parts[i]->options;
        for (; def && def->name; def++) {
            if (!def->fallback)
                continue;
            char *text = mem_printf("%s:%s=%s", parts[i]->name, def->name, def->fallback);
            struct hash_choice plain, given;
            struct hash a = open_hash(&plain, parts[i]->name);
            struct hash b = open_hash(&given, text);
            CLAIM(hash_key(a, 123456) == hash_key(b, 123456), parts[i]);
            CLAIM(hash_point(a, 3, 8) == hash_point(b, 3, 8), parts[i]);
            hash_choice_done(&plain);
            hash_choice_done(&given);
            free(text);
        }
    }
}

static void hashes_are_pure(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_parts; i++) {
        struct hash_choice first, second;
        struct hash a = open_hash(&first, parts[i]->name);
        struct hash b = open_hash(&second, parts[i]->name);
        struct rng rng;
        rng_seed(&rng, 1);
        for (int k = 0; k < 1000; k++) {
            uint64_t x = rng_next(&rng), y = rng_next(&rng);
            uint64_t key = hash_key(a, x), point = hash_point(a, x, y);
            hash_key(a, y); /* nothing stays behind from another call */
            CLAIM(hash_key(a, x) == key && hash_key(b, x) == key, parts[i]);
            CLAIM(hash_point(a, x, y) == point && hash_point(b, x, y) == point, parts[i]);
        }
        hash_choice_done(&first);
        hash_choice_done(&second);
    }
}

static void check_form(const char *text, const struct part *part)
{
    enum { N = 1000 };
    uint64_t keys[N], many[N];
    struct hash_choice choice;
    struct hash hash = open_hash(&choice, text);
    struct rng rng;
    rng_seed(&rng, 1);
    for (unsigned k = 0; k < N; k++)
        keys[k] = k < 2 ? 0 - (uint64_t)k : k % 2 ? 100000 + k : rng_next(&rng);
    for (size_t n = 0; n < 4; n++)
        hash_keys(&hash, keys, n, many); /* short ones too */
    hash_keys(&hash, keys, N, many);
    for (unsigned k = 0; k < N; k++) {
        uint64_t expected = hash.ops->key(hash.params, keys[k]);
        CLAIM(hash_key(hash, keys[k]) == expected && many[k] == expected, part);
    }
    hash_choice_done(&choice);
}

static void a_closed_form_and_many_keys_give_what_the_hook_gives(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_parts; i++) {
        check_form(parts[i]->name, parts[i]);
        for (const struct option_def *def = parts[i]->options; def && def->name; def++) {
            static const char *const values[] = {"0", "1", "4294967297", "18446744073709551615"};
            for (size_t v = 0; v < 4; v++) {
                char *text = mem_printf("%s:%s=%s", parts[i]->name, def->name, values[v]);
                check_form(text, parts[i]);
                free(text);
            }
        }
    }
}

static void request_ids_rarely_collide(void **state)
{
    (void)state;
    enum { N = 100000 };
    uint64_t *values = mem_zalloc(N, sizeof(*values));
    for (size_t i = 0; i < n_parts; i++) {
        struct hash_choice choice;
        struct hash hash = open_hash(&choice, parts[i]->name);
        for (uint64_t k = 0; k < N; k++)
            values[k] = hash_key(hash, 100000 + k);
        /* 32 bits, spread over 64, would have one or two. */
        CLAIM(count_distinct(values, N) >= N - 10, parts[i]);
        hash_choice_done(&choice);
    }
    free(values);
}

static void points_depend_on_the_member_and_on_the_replica(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_parts; i++) {
        struct hash_choice choice;
        struct hash hash = open_hash(&choice, parts[i]->name);
        uint64_t by_member[1000], by_replica[1000];
        for (uint64_t k = 0; k < 1000; k++) {
            by_member[k] = hash_point(hash, k, 3);
            by_replica[k] = hash_point(hash, 3, k);
        }
        CLAIM(count_distinct(by_member, 1000) >= 998, parts[i]);
        CLAIM(count_distinct(by_replica, 1000) >= 998, parts[i]);
        hash_choice_done(&choice);
    }
}

static void bytes_are_hashed_by_content_not_by_place(void **state)
{
    (void)state;
    unsigned char text[80], moved[96];
    struct rng rng;
    rng_seed(&rng, 2);
    for (size_t k = 0; k < sizeof(text); k++)
        text[k] = (unsigned char)rng_next(&rng);

    for (size_t i = 0; i < n_parts; i++) {
        const struct hash_ops *ops = (const struct hash_ops *)parts[i];
        if (!ops->bytes)
            continue;
        struct hash_choice choice;
        struct hash hash = open_hash(&choice, parts[i]->name);
        for (size_t n = 0; n <= sizeof(text); n++) {
            uint64_t expected = ops->bytes(hash.params, text, n, 5);
            for (size_t shift = 0; shift < 8; shift++) {
                memset(moved, (int)shift, sizeof(moved)); /* other bytes before and behind */
                memcpy(moved + shift, text, n);
                CLAIM(ops->bytes(hash.params, moved + shift, n, 5) == expected, parts[i]);
            }
        }
        hash_choice_done(&choice);
    }
}

static void every_byte_the_length_and_the_seed_count(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_parts; i++) {
        const struct hash_ops *ops = (const struct hash_ops *)parts[i];
        if (!ops->bytes)
            continue;
        struct hash_choice choice;
        struct hash hash = open_hash(&choice, parts[i]->name);
        unsigned char text[64] = {0};
        uint64_t by_length[65];
        for (size_t n = 0; n <= 64; n++)
            by_length[n] = ops->bytes(hash.params, text, n, 0);
        CLAIM(count_distinct(by_length, 65) == 65, parts[i]);
        for (size_t n = 1; n <= 64; n++) {
            uint64_t zeros = ops->bytes(hash.params, text, n, 0);
            for (size_t k = 0; k < n; k++) {
                text[k] = 0x80;
                CLAIM(ops->bytes(hash.params, text, n, 0) != zeros, parts[i]);
                text[k] = 0;
            }
            CLAIM(ops->bytes(hash.params, text, n, 1) != zeros, parts[i]);
        }
        hash_choice_done(&choice);
    }
}

static void hashing_allocates_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_parts; i++) {
        const struct hash_ops *ops = (const struct hash_ops *)parts[i];
        struct hash_choice choice;
        struct hash hash = open_hash(&choice, parts[i]->name);
        char text[300] = {0};
        uint64_t sum = 0;
        uint64_t before = alloc_count();
        for (uint64_t k = 0; k < 100; k++) {
            sum += hash_key(hash, k) + hash_point(hash, k, k);
            if (ops->bytes)
                sum += ops->bytes(hash.params, text, 3 * k, k);
        }
        CLAIM(alloc_count() == before && sum != 0, parts[i]);
        hash_choice_done(&choice);
    }
}

static void allocations_are_counted(void **state)
{
    (void)state;
    uint64_t before = alloc_count();
    void *volatile block = malloc(10);
    free(block);
    assert_true(alloc_count() > before);
}

int main(void)
{
    alloc_count_init();
    n_parts = family_list(&hash_family, parts, MAX_PARTS);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registry_holds_the_hashes),
        cmocka_unit_test(every_hash_says_what_it_is),
        cmocka_unit_test(options_given_their_defaults_change_nothing),
        cmocka_unit_test(hashes_are_pure),
        cmocka_unit_test(a_closed_form_and_many_keys_give_what_the_hook_gives),
        cmocka_unit_test(request_ids_rarely_collide),
        cmocka_unit_test(points_depend_on_the_member_and_on_the_replica),
        cmocka_unit_test(bytes_are_hashed_by_content_not_by_place),
        cmocka_unit_test(every_byte_the_length_and_the_seed_count),
        cmocka_unit_test(allocations_are_counted),
        cmocka_unit_test(hashing_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
