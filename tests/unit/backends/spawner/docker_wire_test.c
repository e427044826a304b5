#include "backends/spawner/docker_wire.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct world {
    char dir[64], path[96];
};

static int set_up(void **state)
{
    static struct world world;

    strcpy(world.dir, "/tmp/quoit-wire.XXXXXX");
    assert_non_null(mkdtemp(world.dir));
    snprintf(world.path, sizeof(world.path), "%s/socket", world.dir);
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    const struct world *world = *state;

    unlink(world->path);
    rmdir(world->dir);
    return 0;
}

static void listens_where_nobody_listens_any_more(void **state)
{
    const struct world *world = *state;
    struct err err = {0};
    struct stat made;
    int fd = docker_wire_listen(world->path, &err);

    assert_true(fd >= 0);
    assert_int_equal(docker_wire_listen(world->path, &err), -EADDRINUSE);
    close(fd);
    fd = docker_wire_listen(world->path, &err);
    assert_true(fd >= 0);
    assert_int_equal(stat(world->path, &made), 0);
    assert_int_equal(made.st_mode & 0777, 0660);
    close(fd);
}

static void leaves_what_is_no_socket(void **state)
{
    const struct world *world = *state;
    struct err err = {0};
    char kept[8] = "";

    FILE *file = fopen(world->path, "w");
    assert_non_null(file);
    fputs("rows", file);
    fclose(file);
    assert_int_equal(docker_wire_listen(world->path, &err), -ENOTSOCK);
    assert_non_null(strstr(err.message, world->path));
    assert_non_null(strstr(err.message, "no socket"));
    file = fopen(world->path, "r");
    assert_non_null(file);
    assert_non_null(fgets(kept, sizeof(kept), file));
    fclose(file);
    assert_string_equal(kept, "rows");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(listens_where_nobody_listens_any_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(leaves_what_is_no_socket, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("docker_wire", tests, NULL, NULL);
}
