/* The stores that contract tests run over (backends/store.h): every one of the registry, a shim
 * around `memory`, and the specs besides that store_world.c names. A store that needs a service
 * gets it from a row of `fixtures` there. Each test has a world of its own: an empty folder, a new
 * spec of the fixture, the shard "sh1".
 *
 * With an argument such a test program runs over that store alone, by name or by spec. */
#ifndef QUOIT_TESTS_SUPPORT_STORE_WORLD_H
#define QUOIT_TESTS_SUPPORT_STORE_WORLD_H

#include <stdbool.h>
#include <stddef.h>

#include "tests/support/store_bed.h"

/* What a store needs before it can be opened. */
struct store_fixture {
    const char *name; /* of the store */
    /* Begins a service; false: it cannot be had here, and the store's tests are skipped. */
    bool (*begin)(void);
    /* A spec for an empty store: allocated, freed by the caller. */
    char *(*spec)(void);
    void (*end)(void);
};

/* What a test works with. */
struct store_world {
    struct store_bed bed;
    char *spec;
    unsigned caps;             /* of the innermost store */
    struct store_shard *shard; /* "sh1" */
};

#define STORE_TEST(name)                                                                           \
    cmocka_unit_test_setup_teardown(name, store_world_set_up, store_world_tear_down)

int store_world_set_up(void **state);
int store_world_tear_down(void **state);
/* The test's world; skips the test for a store that keeps nothing. */
struct store_world *store_world_keeping(void **state);
/* The same for one that does not outlive its process. */
struct store_world *store_world_durable(void **state);
/* An insert, update, delete, absent or replace of the one row `at` of rows, in "sh1". */
struct store_call store_world_change(const struct store_world *world, enum store_op op,
                                     const struct store_rows *rows, size_t at);

struct CMUnitTest;
/* main() of such a test program: runs the tests over every store. */
int store_world_run_all(int argc, char **argv, const struct CMUnitTest *tests, size_t n_tests);

#endif
