/* lmdb and sqlite, on their thread: broken files, files in use, disks that are full, wide reads. */
#include "backends/store/threaded.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/mem.h"
#include "tests/support/forked.h"
#include "tests/support/store_bed.h"

static const char *const specs[] = {"lmdb", "sqlite"};
#define N_SPECS (sizeof(specs) / sizeof(*specs))

static void path_of(const struct store_bed *bed, char *path, size_t n)
{
    snprintf(path, n, "%s/%s", bed->dir, bed->spec.parts[0].part->name);
}

/* A store with some rows, shut. */
static void lay_shut(struct store_bed *bed, const char *spec, struct store_rows *rows)
{
    store_bed_open(bed, spec);
    store_rows_fill(rows, 0, 1, 5000, 1);
    assert_int_equal(store_bed_insert(bed, store_bed_create(bed, "sh1"), rows), 0);
    store_bed_shut(bed);
}

/* The store does not open, and says of which file. */
static void assert_refused(struct store_bed *bed, const char *words)
{
    struct err err = {0};
    char path[STORE_BED_PATH_BYTES + 32];
    path_of(bed, path, sizeof(path));
    assert_int_equal(store_bed_start(bed, &err), -EIO);
    if (!strstr(err.message, path) || !strstr(err.message, words))
        fail_msg("wanted %s and '%s', got: %s", path, words, err.message);
    bed->store = NULL;
}

static void write_at(const struct store_bed *bed, off_t offset, const char *byte, size_t n)
{
    char path[STORE_BED_PATH_BYTES + 32];
    path_of(bed, path, sizeof(path));
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    char *junk = mem_alloc(n);
    memset(junk, *byte, n);
    assert_int_equal(pwrite(fd, junk, n, offset), (ssize_t)n);
    free(junk);
    close(fd);
}

static void names_a_file_that_is_not_its_own(void **state)
{
    static const char *const words[N_SPECS] = {"not an LMDB file", "not a database"};
    (void)state;
    for (size_t i = 0; i < N_SPECS; i++) {
        struct store_bed bed;
        struct store_rows rows = {0};
        lay_shut(&bed, specs[i], &rows);
        write_at(&bed, 0, "x", 8192);
        assert_refused(&bed, words[i]);
        /* Nothing is left of the failure: the folder can be used again. */
        char path[STORE_BED_PATH_BYTES + 32];
        path_of(&bed, path, sizeof(path));
        assert_int_equal(unlink(path), 0);
        assert_int_equal(store_bed_start(&bed, NULL), 0);
        store_bed_close(&bed);
        store_rows_free(&rows);
    }
}

static void names_a_file_that_was_cut(void **state)
{
    static const char *const words[N_SPECS] = {"corrupt", "malformed"};
    (void)state;
    for (size_t i = 0; i < N_SPECS; i++) {
        struct store_bed bed;
        struct store_rows rows = {0};
        char path[STORE_BED_PATH_BYTES + 32];
        struct stat info;
        lay_shut(&bed, specs[i], &rows);
        path_of(&bed, path, sizeof(path));
        assert_int_equal(stat(path, &info), 0);
        assert_int_equal(truncate(path, info.st_size / 2 / 4096 * 4096), 0);
        assert_refused(&bed, words[i]);
        store_bed_close(&bed);
        store_rows_free(&rows);
    }
}

static void sqlite_tells_of_a_broken_page_when_it_meets_one(void **state)
{
    (void)state;
    struct store_bed bed;
    struct store_rows rows = {0};
    lay_shut(&bed, "sqlite", &rows);
    write_at(&bed, 20 * 4096, "\xff", 10 * 4096);
    assert_int_equal(store_bed_start(&bed, NULL), 0);
    struct store_call call = {.request = {.op = STORE_READ,
                                          .shard = store_find(bed.store, "sh1", 3),
                                          .low = INT64_MIN,
                                          .last = INT64_MAX}};
    assert_int_equal(store_bed_run(&bed, &call), -EIO);
    assert_non_null(strstr(call.request.reason, bed.dir));
    assert_non_null(strstr(call.request.reason, "malformed"));
    store_call_done(&call);
    store_bed_close(&bed);
    store_rows_free(&rows);
}

static void leaves_a_folder_that_is_in_use_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SPECS; i++) {
        struct store_bed bed, second;
        struct err err = {0};
        store_bed_open(&bed, specs[i]);
        assert_int_equal(store_bed_open_in(&second, specs[i], bed.dir, &err), -EWOULDBLOCK);
        assert_non_null(strstr(err.message, "locked by another process"));
        assert_int_equal(store_bed_insert_one(&bed, store_bed_create(&bed, "sh1"), 1, "a"), 0);
        store_bed_close(&bed);
    }
}

#define EXIT_CANNOT 77

/* In a child, which alone sees it: a disk of 3 MB where the store's folder is. */
static void fill_the_disk(void *argument)
{
    struct store_bed bed;
    char dir[STORE_BED_PATH_BYTES];
    store_bed_make_dir(dir);
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", dir, "tmpfs", 0, "size=3m") != 0) {
        store_bed_remove_dir(dir);
        _exit(EXIT_CANNOT);
    }
    if (store_bed_open_in(&bed, argument, dir, NULL) != 0)
        _exit(4);
    struct store_shard *shard = store_bed_create(&bed, "sh1");
    int64_t n = 0;
    int code;
    struct store_call call;
    do {
        struct store_rows rows = {0};
        store_rows_fill(&rows, n, 1, 1000, 1);
        call = (struct store_call){
            .request = {
                .op = STORE_INSERT, .shard = shard, .rows = rows.rows, .n_rows_in = rows.n}};
        code = store_bed_run(&bed, &call);
        store_rows_free(&rows);
        n += 1000;
    } while (code == 0 && n < 1000000);
    uint64_t checksum;
    if ((code != -ENOSPC && code != -EIO) || !call.request.reason ||
        !strstr(call.request.reason, dir) || !strstr(call.request.reason, "full")) {
        fprintf(stderr, "%d %s\n", code, call.request.reason ? call.request.reason : "");
        _exit(1);
    }
    if (store_bed_digest(&bed, shard, INT64_MIN, INT64_MAX, &checksum) != (uint64_t)n - 1000)
        _exit(2);
    store_bed_close(&bed);
    umount(dir);
    rmdir(dir);
    _exit(0);
}

static void tells_of_a_full_disk_and_keeps_what_it_has(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SPECS; i++) {
        const struct forked *child = forked_run(fill_the_disk, (void *)specs[i]);
        if (child->exit_code == EXIT_CANNOT)
            skip();
        if (child->exit_code != 0)
            fail_msg("%s: exit %d, signal %d\n%s%s", specs[i], child->exit_code, child->signal,
                     child->out, child->err);
    }
}

/* A read of many pieces, stopped in the middle of one, and one that goes on while the store is
 * being closed. */
static void reads_far_more_than_a_piece(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SPECS; i++) {
        struct store_bed bed;
        struct store_rows rows = {0}, got = {0};
        store_bed_open(&bed, specs[i]);
        struct store_shard *shard = store_bed_create(&bed, "sh1");
        store_rows_fill(&rows, 0, 1, 30000, 1);
        assert_true(store_rows_checksum(&rows) != 0);
        assert_int_equal(store_bed_insert(&bed, shard, &rows), 0);
        store_bed_read(&bed, shard, INT64_MIN, INT64_MAX, &got);
        store_rows_assert_equal(&got, &rows);
        size_t n_bytes = 0;
        for (size_t k = 0; k < got.n; k++)
            n_bytes += got.rows[k].n_bytes;
        assert_true(n_bytes > 4 * THREADED_PIECE_BYTES);
        store_rows_free(&got);

        struct store_call limited = {
            .request = {.op = STORE_READ, .shard = shard, .last = INT64_MAX, .max_rows = 29999}};
        assert_int_equal(store_bed_run(&bed, &limited), 0);
        assert_int_equal(limited.request.n_rows, 29999);
        assert_true(limited.request.more);
        store_call_done(&limited);

        struct store_call calls[5] = {0};
        for (size_t k = 0; k < 5; k++) {
            calls[k].request = (struct store_request){
                .op = STORE_READ, .shard = shard, .low = INT64_MIN, .last = INT64_MAX};
            calls[k].stop_after = k == 4 ? 17000 : 0;
            store_bed_submit(&bed, &calls[k]);
        }
        store_bed_turn(&bed);
        store_bed_shut(&bed);
        for (size_t k = 0; k < 5; k++) {
            assert_int_equal(calls[k].request.n_rows, k == 4 ? 17000 : 30000);
            assert_int_equal(calls[k].request.more, k == 4);
            store_call_done(&calls[k]);
        }
        assert_int_equal(store_bed_start(&bed, NULL), 0);
        store_bed_close(&bed);
        store_rows_free(&rows);
    }
}

static void tells_what_it_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SPECS; i++) {
        struct store_bed bed;
        struct store_rows rows = {0};
        struct buf text;
        buf_init(&text, 0);
        lay_shut(&bed, specs[i], &rows);
        assert_int_equal(store_bed_start(&bed, NULL), 0);
        bed.store->ops->describe(bed.store, &text);
        assert_non_null(strstr(buf_str(&text), "shards=1 rows=5000"));
        buf_done(&text);
        store_bed_close(&bed);
        store_rows_free(&rows);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_a_file_that_is_not_its_own),
        cmocka_unit_test(names_a_file_that_was_cut),
        cmocka_unit_test(sqlite_tells_of_a_broken_page_when_it_meets_one),
        cmocka_unit_test(leaves_a_folder_that_is_in_use_alone),
        cmocka_unit_test(tells_of_a_full_disk_and_keeps_what_it_has),
        cmocka_unit_test(reads_far_more_than_a_piece),
        cmocka_unit_test(tells_what_it_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
