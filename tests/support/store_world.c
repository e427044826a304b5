#include "tests/support/store_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/mem.h"
#include "tests/support/mariadb.h"

#define MAX_STORES 64

static struct mariadb_bed mariadb;

static bool begin_mariadb(void)
{
    if (!mariadb_bed_is_possible())
        return false;
    mariadb_bed_open(&mariadb);
    return true;
}

static char *mariadb_spec(void)
{
    return mem_strdup(mariadb_bed_new_database(&mariadb));
}

static void end_mariadb(void)
{
    mariadb_bed_close(&mariadb);
}

static const struct store_fixture fixtures[] = {
    {.name = "mysql", .begin = begin_mariadb, .spec = mariadb_spec, .end = end_mariadb},
    {.name = NULL},
};

/* Shims as they are meant, options that change how a store works, stores with little room. */
static const char *const variants[] = {
    "delay:read=100us,write=200us,jitter=100us+memory",
    "delay:write=100us,jitter=300us,probability=0.5+fault:fail=none+lmdb:sync=none",
    "file:sync=interval,interval=5ms",
    "file:sync=none,snapshot=1M",
    "memory:max=16M",
    "lmdb:sync=none,map=1M,max=16M",
    "lmdb:sync=normal",
    "sqlite:sync=none,max=16M",
    "sqlite:sync=normal,journal=truncate",
};

/* What the tests run over now. */
static const char *spec_now; /* NULL: the fixture's */
static const struct store_fixture *fixture_now;

int store_world_set_up(void **state)
{
    struct store_world *world = mem_zalloc(1, sizeof(*world));
    world->spec = fixture_now ? fixture_now->spec() : mem_strdup(spec_now);
    store_bed_open(&world->bed, world->spec);
    world->caps = store_spec_caps(&world->bed.spec);
    world->shard = store_bed_create(&world->bed, "sh1");
    *state = world;
    return 0;
}

int store_world_tear_down(void **state)
{
    struct store_world *world = *state;
    store_bed_close(&world->bed);
    free(world->spec);
    free(world);
    return 0;
}

struct store_world *store_world_keeping(void **state)
{
    struct store_world *world = *state;
    if (world->caps & STORE_FORGETS)
        skip();
    return world;
}

struct store_world *store_world_durable(void **state)
{
    struct store_world *world = *state;
    if (!(world->caps & STORE_DURABLE))
        skip();
    return world;
}

struct store_call store_world_change(const struct store_world *world, enum store_op op,
                                     const struct store_rows *rows, size_t at)
{
    return (struct store_call){.request = {.op = op,
                                           .shard = world->shard,
                                           .low = rows->rows[at].key,
                                           .last = rows->rows[at].key,
                                           .rows = &rows->rows[at],
                                           .n_rows_in = op == STORE_DELETE ? 0 : 1}};
}

static int run_over(const char *spec, const struct store_fixture *fixture,
                    const struct CMUnitTest *tests, size_t n_tests)
{
    char title[160];
    spec_now = spec;
    fixture_now = fixture;
    snprintf(title, sizeof(title), "store %s", fixture ? fixture->name : spec);
    printf("# %s\n", title);
    fflush(stdout);
    return _cmocka_run_group_tests(title, tests, n_tests, NULL, NULL);
}

static const struct store_fixture *fixture_of(const char *name)
{
    for (const struct store_fixture *fixture = fixtures; fixture->name; fixture++)
        if (strcmp(fixture->name, name) == 0)
            return fixture;
    return NULL;
}

static int run_member(const struct part *part, const struct CMUnitTest *tests, size_t n_tests)
{
    const struct store_fixture *fixture = fixture_of(part->name);
    bool shim = ((const struct store_ops *)part)->caps & STORE_SHIM;
    if (fixture && !fixture->begin()) {
        printf("# store %s: skipped, what it needs is not here\n", part->name);
        return 0;
    }
    char *spec = mem_printf(shim ? "%s+memory" : "%s", part->name);
    int failed = run_over(spec, fixture, tests, n_tests);
    if (fixture)
        fixture->end();
    free(spec);
    return failed;
}

int store_world_run_all(int argc, char **argv, const struct CMUnitTest *tests, size_t n_tests)
{
    const struct part *parts[MAX_STORES];
    size_t n = family_list(&store_family, parts, MAX_STORES);
    int failed = 0;
    if (argc > 1) {
        const struct part *part = family_find(&store_family, argv[1]);
        return part ? run_member(part, tests, n_tests) : run_over(argv[1], NULL, tests, n_tests);
    }
    for (size_t i = 0; i < n; i++)
        failed += run_member(parts[i], tests, n_tests);
    for (size_t i = 0; i < sizeof(variants) / sizeof(*variants); i++)
        failed += run_over(variants[i], NULL, tests, n_tests);
    return failed > 0;
}
