#include "experiments/resultdir.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/mem.h"

/* 2026-11-21T09:30:12Z */
#define STARTED (UINT64_C(1795253412) * UINT64_C(1000000000))

static char root[] = "/tmp/quoit-results-XXXXXX";

/* Entries of root/NAME, hidden ones too. */
static int count_entries(const char *name)
{
    char path[128];
    int n = 0;
    snprintf(path, sizeof(path), "%s/%s", root, name);
    DIR *dir = opendir(path);
    if (!dir)
        return -1;
    for (struct dirent *entry; (entry = readdir(dir));)
        n += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
    closedir(dir);
    return n;
}

static void resultdir_is_there_whole_when_finished(void **state)
{
    struct resultdir dir;
    struct stat st;
    (void)state;
    assert_int_equal(resultdir_open(&dir, root, "A9", STARTED, NULL), 0);
    assert_int_equal(resultdir_write(&dir, "x.txt", "hello", 5, NULL), 0);
    assert_true(strstr(dir.final, "/A9/20261121T093012Z-") != NULL);
    assert_int_equal(access(dir.final, F_OK), -1);
    assert_int_equal(resultdir_finish(&dir, NULL), 0);
    char *path = mem_printf("%s/x.txt", dir.final);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 5);
    free(path);
    assert_int_equal(stat(dir.final, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0755);
    resultdir_done(&dir);
    assert_int_equal(count_entries("A9"), 1);
}

static void resultdir_unfinished_leaves_nothing(void **state)
{
    struct resultdir dir;
    (void)state;
    assert_int_equal(resultdir_open(&dir, root, "B", STARTED, NULL), 0);
    assert_int_equal(resultdir_write(&dir, "x.txt", "hello", 5, NULL), 0);
    assert_int_equal(count_entries("B"), 1);
    resultdir_done(&dir);
    assert_int_equal(count_entries("B"), -1);
}

static void resultdir_keeps_earlier_results(void **state)
{
    struct resultdir dir;
    (void)state;
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(resultdir_open(&dir, root, "C", STARTED, NULL), 0);
        assert_int_equal(resultdir_write(&dir, "x.txt", "hello", 5, NULL), 0);
        assert_int_equal(resultdir_finish(&dir, NULL), 0);
        size_t n = strlen(dir.final);
        assert_true(i == 1 ? dir.final[n - 2] != '.' : dir.final[n - 2] == '.');
        resultdir_done(&dir);
        assert_int_equal(count_entries("C"), i);
    }
    assert_int_equal(resultdir_open(&dir, root, "C", STARTED, NULL), 0);
    resultdir_done(&dir);
    assert_int_equal(count_entries("C"), 3);
}

static void resultdir_says_where_it_cannot_write(void **state)
{
    struct resultdir dir;
    struct err err;
    char path[128];
    (void)state;
    snprintf(path, sizeof(path), "%s/file", root);
    FILE *file = fopen(path, "w");
    fclose(file);
    assert_true(resultdir_open(&dir, path, "A1", STARTED, &err) < 0);
    assert_non_null(strstr(err.message, path));
}

static int open_root(void **state)
{
    (void)state;
    return mkdtemp(root) ? 0 : -1;
}

static int close_root(void **state)
{
    (void)state;
    resultdir_remove_tree(root);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resultdir_is_there_whole_when_finished),
        cmocka_unit_test(resultdir_unfinished_leaves_nothing),
        cmocka_unit_test(resultdir_keeps_earlier_results),
        cmocka_unit_test(resultdir_says_where_it_cannot_write),
    };
    return cmocka_run_group_tests(tests, open_root, close_root);
}
