#include "experiments/datadir.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void datadir_is_first_looked_for_here(void **state)
{
    (void)state;
    char *dir = datadir_find("plots", NULL);
    assert_string_equal(dir, "plots");
    free(dir);
}

static void datadir_is_found_from_elsewhere_beside_the_build(void **state)
{
    char *program = datadir_program();
    char root[4096];
    struct stat st;
    (void)state;
    assert_true(program[0] == '/' && access(program, X_OK) == 0);
    free(program);
    assert_non_null(getcwd(root, sizeof(root)));
    assert_int_equal(chdir("/"), 0);
    /* This program lies at build/MODE/tests/unit/experiments: two up is no tree, so it is a folder
     * there that is asked for. */
    char *dir = datadir_find("unit", NULL);
    assert_non_null(dir);
    assert_int_equal(stat(dir, &st), 0);
    free(dir);
    assert_int_equal(chdir(root), 0);
}

static void datadir_says_where_it_looked(void **state)
{
    struct err err;
    (void)state;
    assert_null(datadir_find("no-such-folder", &err));
    assert_int_equal(err.code, -ENOENT);
    assert_non_null(strstr(err.message, "no-such-folder"));
    assert_non_null(strstr(err.message, "share/quoit"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(datadir_is_first_looked_for_here),
        cmocka_unit_test(datadir_is_found_from_elsewhere_beside_the_build),
        cmocka_unit_test(datadir_says_where_it_looked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
