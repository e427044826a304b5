#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "loadgen/server_counts.h"

static void add(struct server_counts *counts, const char *name, bool ok)
{
    server_counts_add(counts, name, strlen(name), ok);
}

static void counts_are_kept_by_name_and_outcome(void **state)
{
    struct server_counts counts;

    (void)state;
    server_counts_init(&counts);
    for (int i = 0; i < 5; i++)
        add(&counts, "Server2", true);
    add(&counts, "Server2", false);
    add(&counts, "Server1", true);
    add(&counts, "Server", true); /* a prefix of the others is another server */
    add(&counts, "", true);
    add(&counts, "", false);
    server_counts_sort(&counts);
    assert_int_equal(counts.n_servers, 3);
    assert_string_equal(counts.servers[0].name, "Server");
    assert_string_equal(counts.servers[1].name, "Server1");
    assert_string_equal(counts.servers[2].name, "Server2");
    assert_int_equal(counts.servers[2].n_ok, 5);
    assert_int_equal(counts.servers[2].n_failed, 1);
    assert_int_equal(counts.unnamed.n_ok, 1);
    assert_int_equal(counts.unnamed.n_failed, 1);
    assert_int_equal(counts.others.n_ok, 0);
    server_counts_done(&counts);
}

static void names_are_sorted_with_numbers_by_value(void **state)
{
    static const char *const want[] = {"A", "S1", "S2", "S9", "S10", "S100"};
    struct server_counts counts;

    (void)state;
    server_counts_init(&counts);
    for (size_t i = 6; i-- > 0;)
        add(&counts, want[i], true);
    server_counts_sort(&counts);
    for (size_t i = 0; i < 6; i++)
        assert_string_equal(counts.servers[i].name, want[i]);
    server_counts_done(&counts);
}

static void a_peer_cannot_make_the_counts_grow_without_limit(void **state)
{
    struct server_counts counts;

    (void)state;
    server_counts_init(&counts);
    for (int round = 0; round < 2; round++) {
        for (unsigned i = 0; i < SERVER_COUNTS_MAX + 1000; i++) {
            char name[NAME_MAX_BYTES + 1];
            snprintf(name, sizeof(name), "Server%u", i);
            add(&counts, name, round == 0);
        }
    }
    server_counts_sort(&counts);
    assert_int_equal(counts.n_servers, SERVER_COUNTS_MAX);
    assert_int_equal(counts.others.n_ok, 1000);
    assert_int_equal(counts.others.n_failed, 1000);
    for (size_t i = 0; i < counts.n_servers; i++) {
        assert_int_equal(counts.servers[i].n_ok, 1);
        assert_int_equal(counts.servers[i].n_failed, 1);
    }
    server_counts_done(&counts);
}

static void the_longest_name_fits(void **state)
{
    struct server_counts counts;
    char name[NAME_MAX_BYTES + 1];

    (void)state;
    memset(name, 'x', NAME_MAX_BYTES);
    name[NAME_MAX_BYTES] = '\0';
    server_counts_init(&counts);
    add(&counts, name, true);
    add(&counts, name, true);
    assert_int_equal(counts.n_servers, 1);
    assert_string_equal(counts.servers[0].name, name);
    assert_int_equal(counts.servers[0].n_ok, 2);
    server_counts_done(&counts);
}

static void merged_counts_are_sums_and_keep_the_limit(void **state)
{
    struct server_counts into, from;
    char name[16];

    (void)state;
    server_counts_init(&into);
    server_counts_init(&from);
    add(&into, "Server1", true);
    add(&into, "", false);
    add(&from, "Server1", false);
    add(&from, "Server2", true);
    add(&from, "", false);
    server_counts_merge(&into, &from);
    assert_int_equal(into.n_servers, 2);
    assert_int_equal(into.servers[0].n_ok, 1);
    assert_int_equal(into.servers[0].n_failed, 1);
    assert_int_equal(into.servers[1].n_ok, 1);
    assert_int_equal(into.unnamed.n_failed, 2);
    for (unsigned i = 0; i < SERVER_COUNTS_MAX + 10; i++) {
        snprintf(name, sizeof(name), "Other%u", i);
        add(&from, name, true);
    }
    server_counts_merge(&into, &from);
    assert_int_equal(into.n_servers, SERVER_COUNTS_MAX);
    assert_int_equal(into.servers[1].n_ok, 2);
    /* Ten past from's limit and the two it had; into had room for two fewer than from. */
    assert_int_equal(into.others.n_ok, 12);
    server_counts_done(&into);
    server_counts_done(&from);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_kept_by_name_and_outcome),
        cmocka_unit_test(names_are_sorted_with_numbers_by_value),
        cmocka_unit_test(a_peer_cannot_make_the_counts_grow_without_limit),
        cmocka_unit_test(the_longest_name_fits),
        cmocka_unit_test(merged_counts_are_sums_and_keep_the_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
