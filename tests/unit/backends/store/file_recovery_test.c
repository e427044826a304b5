/* What the `file` store makes of its files when it is opened: torn, damaged, missing, of another
 * format. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/store/file_store.h"
#include "core/mem.h"
#include "tests/support/store_bed.h"

#define SMALL "file:segment=64k,snapshot=64k"
/* No snapshot within a test. */
#define ONLY_LOG "file:segment=64k,snapshot=1G"
#define N_ROWS 12

/* ---- files ---- */

static char *path_in(const struct store_bed *bed, const char *name)
{
    return mem_printf("%s/%s", bed->dir, name);
}

/* The n-th file of those whose names begin so, in order; NULL: there are not so many. For free().
 */
static char *nth_file(const struct store_bed *bed, const char *prefix, size_t n)
{
    struct dirent **entries = NULL;
    int n_entries = scandir(bed->dir, &entries, NULL, alphasort);
    char *path = NULL;
    assert_true(n_entries >= 0);
    for (int i = 0; i < n_entries; i++) {
        if (strncmp(entries[i]->d_name, prefix, strlen(prefix)) == 0 && n-- == 0)
            path = path_in(bed, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return path;
}

static size_t count_files(const struct store_bed *bed, const char *prefix)
{
    size_t n = 0;
    for (;; n++) {
        char *path = nth_file(bed, prefix, n);
        if (!path)
            return n;
        free(path);
    }
}

struct content {
    char *path;
    unsigned char *bytes;
    size_t n;
};

static struct content content_of(char *path)
{
    struct stat status;
    assert_non_null(path);
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0 && fstat(fd, &status) == 0);
    struct content content = {.path = path, .n = (size_t)status.st_size};
    content.bytes = mem_alloc(content.n + 1);
    assert_int_equal(read(fd, content.bytes, content.n), content.n);
    close(fd);
    return content;
}

static void put_back(const struct content *content)
{
    int fd = open(content->path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content->bytes, content->n), content->n);
    close(fd);
}

static void put_byte(const struct content *content, size_t at, unsigned char byte)
{
    int fd = open(content->path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    close(fd);
}

static void content_done(struct content *content)
{
    free(content->path);
    free(content->bytes);
}

/* The offsets of a file's frames and of its end; how many frames there are. */
static size_t frames_of(const struct content *content, size_t *offsets, size_t max)
{
    size_t n = 0, at = WAL_FILE_HEADER_BYTES;
    struct wal_frame frame;
    const char *reason;
    while (wal_frame_check(content->bytes, content->n, at, &frame, &reason) == WAL_GOOD) {
        assert_true(n + 1 < max);
        offsets[n++] = at;
        at = frame.end;
    }
    offsets[n] = at;
    return n;
}

/* ---- the store ---- */

static void open_with_rows(struct store_bed *bed, const char *spec, struct store_rows *rows)
{
    store_bed_open(bed, spec);
    struct store_shard *shard = store_bed_create(bed, "sh1");
    for (int64_t key = 0; key < N_ROWS; key++) {
        store_rows_add(rows, key, "a name", key * 3);
        assert_int_equal(store_bed_insert_one(bed, shard, key, "other"), 0);
        struct store_rows one = {.rows = &rows->rows[key], .n = 1};
        assert_int_equal(store_bed_replace(bed, shard, key, key, &one), 0);
    }
    store_bed_shut(bed);
}

static void assert_opens_with(struct store_bed *bed, const struct store_rows *rows)
{
    struct err err = {0};
    if (store_bed_start(bed, &err) != 0)
        fail_msg("%s", err.message);
    struct store_shard *shard = store_find(bed->store, "sh1", 3);
    assert_non_null(shard);
    store_bed_assert_holds(bed, shard, rows);
}

/* Of one that is shut: it opens with these rows, and is closed for good. */
static void close_holding(struct store_bed *bed, struct store_rows *rows)
{
    assert_opens_with(bed, rows);
    store_rows_free(rows);
    store_bed_close(bed);
}

static void assert_refused(struct store_bed *bed, int code, const char *path, size_t offset)
{
    struct err err = {0};
    char wanted[64];
    int rc = store_bed_start(bed, &err);
    if (rc != code)
        fail_msg("offset %zu of %s: %d, wanted %d (%s)", offset, path, rc, code, err.message);
    snprintf(wanted, sizeof(wanted), "at offset %zu:", offset);
    if (!strstr(err.message, path) || (code == -EBADMSG && !strstr(err.message, wanted)))
        fail_msg("'%s' does not name %s and offset %zu", err.message, path, offset);
}

/* ---- torn ---- */

enum tear { TEAR_SHORTER, TEAR_ZEROS, TEAR_NOISE, TEAR_N };

static void tear_at(const struct content *content, size_t at, size_t end, enum tear tear)
{
    struct content torn = *content;
    if (tear == TEAR_SHORTER) {
        torn.n = at;
        put_back(&torn);
        return;
    }
    torn.bytes = mem_alloc(torn.n);
    memcpy(torn.bytes, content->bytes, torn.n);
    for (size_t i = at; i < end; i++)
        torn.bytes[i] = tear == TEAR_ZEROS ? 0 : (unsigned char)(torn.bytes[i] + 1 + i % 200);
    put_back(&torn);
    free(torn.bytes);
}

static void a_log_torn_in_its_last_record_is_cut_before_it(void **state)
{
    (void)state;
    struct store_bed bed;
    struct store_rows rows = {0};
    size_t offsets[4 * N_ROWS];
    open_with_rows(&bed, ONLY_LOG, &rows);
    struct content log = content_of(nth_file(&bed, "log-", 0));
    size_t n_frames = frames_of(&log, offsets, 4 * N_ROWS);
    assert_int_equal(n_frames, 1 + 2 * N_ROWS);
    /* Without its last change the last row is the one that was inserted first. */
    struct store_rows before = {0};
    for (int64_t key = 0; key < N_ROWS - 1; key++)
        store_rows_add(&before, key, "a name", key * 3);
    size_t from = offsets[n_frames - 1], end = offsets[n_frames];
    for (size_t at = from; at < end; at++) {
        for (enum tear tear = 0; tear < TEAR_N; tear++) {
            /* The padding is zeros already. */
            if (tear == TEAR_ZEROS && at + WAL_ALIGNMENT > end)
                continue;
            tear_at(&log, at, end, tear);
            struct err err = {0};
            if (store_bed_start(&bed, &err) != 0)
                fail_msg("torn at %zu: %s", at, err.message);
            struct store_shard *shard = store_find(bed.store, "sh1", 3);
            struct store_rows got = {0};
            store_bed_read(&bed, shard, 0, N_ROWS - 2, &got);
            store_rows_assert_equal(&got, &before);
            store_rows_free(&got);
            store_bed_read(&bed, shard, N_ROWS - 1, INT64_MAX, &got);
            assert_int_equal(got.n, 1);
            assert_non_null(memmem(got.rows[0].text, got.rows[0].n_bytes, "other", 5));
            store_rows_free(&got);
            /* And it goes on from there. */
            struct store_rows last = {.rows = &rows.rows[N_ROWS - 1], .n = 1};
            assert_int_equal(store_bed_replace(&bed, shard, N_ROWS - 1, INT64_MAX, &last), 0);
            store_bed_shut(&bed);
            assert_opens_with(&bed, &rows);
            store_bed_shut(&bed);
        }
    }
    content_done(&log);
    store_rows_free(&before);
    store_rows_free(&rows);
    store_bed_close(&bed);
}

static void what_lies_behind_a_cut_never_comes_back(void **state)
{
    (void)state;
    struct store_bed bed;
    struct store_rows rows = {0};
    open_with_rows(&bed, ONLY_LOG, &rows);
    struct content log = content_of(nth_file(&bed, "log-", 0));
    for (size_t at = log.n - 200; at < log.n; at++)
        log.bytes[at] = 0xaa;
    put_back(&log);
    assert_opens_with(&bed, &rows);
    assert_int_equal(((struct file_store *)bed.store)->found.n_cut_bytes > 200, 1);
    store_bed_shut(&bed);
    struct content after = content_of(nth_file(&bed, "log-", 0));
    assert_int_equal(after.n, log.n);
    for (size_t at = log.n - 200; at < log.n; at++)
        assert_int_equal(after.bytes[at], 0);
    assert_opens_with(&bed, &rows);
    assert_int_equal(((struct file_store *)bed.store)->found.n_cut_bytes, 0);
    content_done(&after);
    content_done(&log);
    store_rows_free(&rows);
    store_bed_close(&bed);
}

/* ---- damaged ---- */

static void a_flipped_byte_before_the_last_record_is_refused_with_its_place(void **state)
{
    (void)state;
    struct store_bed bed;
    struct store_rows rows = {0};
    size_t offsets[4 * N_ROWS], frame = 0;
    open_with_rows(&bed, ONLY_LOG, &rows);
    struct content log = content_of(nth_file(&bed, "log-", 0));
    size_t n_frames = frames_of(&log, offsets, 4 * N_ROWS);
    for (size_t at = 0; at < offsets[n_frames - 1]; at++) {
        while (at >= offsets[frame + 1])
            frame++;
        put_byte(&log, at, (unsigned char)~log.bytes[at]);
        bool is_version = at >= 8 && at < 12;
        assert_refused(&bed, is_version ? -ENOTSUP : -EBADMSG, log.path,
                       at < WAL_FILE_HEADER_BYTES ? 0 : offsets[frame]);
        put_byte(&log, at, log.bytes[at]);
    }
    assert_opens_with(&bed, &rows);
    content_done(&log);
    store_rows_free(&rows);
    store_bed_close(&bed);
}

static void zeros_over_a_record_in_the_middle_are_refused(void **state)
{
    (void)state;
    struct store_bed bed;
    struct store_rows rows = {0};
    size_t offsets[4 * N_ROWS];
    open_with_rows(&bed, ONLY_LOG, &rows);
    struct content log = content_of(nth_file(&bed, "log-", 0));
    size_t n_frames = frames_of(&log, offsets, 4 * N_ROWS);
    for (size_t i = 0; i + 1 < n_frames; i++) {
        struct content holed = log;
        holed.bytes = mem_alloc(log.n);
        memcpy(holed.bytes, log.bytes, log.n);
        memset(holed.bytes + offsets[i], 0, offsets[i + 1] - offsets[i]);
        put_back(&holed);
        assert_refused(&bed, -EBADMSG, log.path, offsets[i]);
        /* A record that is left out, the later ones moved up. */
        memmove(holed.bytes + offsets[i], log.bytes + offsets[i + 1], log.n - offsets[i + 1]);
        put_back(&holed);
        assert_refused(&bed, -EBADMSG, log.path, offsets[i]);
        free(holed.bytes);
    }
    content_done(&log);
    store_rows_free(&rows);
    store_bed_close(&bed);
}

/* Rows in several segments, and no snapshot. */
static void open_with_segments(struct store_bed *bed, const char *spec, struct store_rows *rows)
{
    char name[1001];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    store_bed_open(bed, spec);
    struct store_shard *shard = store_bed_create(bed, "sh1");
    for (int64_t key = 0; key < 300; key++) {
        store_rows_add(rows, key, name, key);
        struct store_rows one = {.rows = &rows->rows[rows->n - 1], .n = 1};
        assert_int_equal(store_bed_insert(bed, shard, &one), 0);
    }
}

static void a_segment_that_is_damaged_at_its_end_or_gone_is_refused(void **state)
{
    (void)state;
    struct store_bed bed;
    struct store_rows rows = {0};
    size_t offsets[100];
    open_with_segments(&bed, ONLY_LOG, &rows);
    store_bed_shut(&bed);
    size_t n_segments = count_files(&bed, "log-");
    assert_true(n_segments >= 4);
    for (size_t i = 0; i + 2 < n_segments; i++) {
        struct content log = content_of(nth_file(&bed, "log-", i));
        size_t n_frames = frames_of(&log, offsets, 100);
        assert_true(n_frames > 10);
        put_byte(&log, offsets[n_frames] - 1,
                 (unsigned char)(log.bytes[offsets[n_frames] - 1] + 1));
        assert_refused(&bed, -EBADMSG, log.path, offsets[n_frames - 1]);
        put_byte(&log, offsets[n_frames] - 1, log.bytes[offsets[n_frames] - 1]);
        put_byte(&log, offsets[0] + 9, (unsigned char)(log.bytes[offsets[0] + 9] + 1));
        assert_refused(&bed, -EBADMSG, log.path, offsets[0]);
        unlink(log.path);
        struct err err = {0};
        assert_int_equal(store_bed_start(&bed, &err), -EBADMSG);
        put_back(&log);
        content_done(&log);
    }
    close_holding(&bed, &rows);
}

/* ---- snapshots ---- */

static void wait_for_snapshot(struct store_bed *bed, uint64_t n)
{
    struct file_store *store = (struct file_store *)bed->store;
    while (store->snapshot.n_done < n || store->snapshot.state != FILE_SNAPSHOT_NONE)
        ev_run(bed->loop, EVRUN_ONCE);
}

static void a_damaged_snapshot_is_refused_with_its_place(void **state)
{
    (void)state;
    struct store_bed bed;
    struct store_rows rows = {0};
    open_with_segments(&bed, SMALL, &rows);
    wait_for_snapshot(&bed, 1);
    store_bed_shut(&bed);
    assert_int_equal(count_files(&bed, "snapshot-"), 1);
    struct content file = content_of(nth_file(&bed, "snapshot-", 0));
    struct err err = {0};
    for (size_t at = 0; at < file.n; at += at < 400 || at + 200 > file.n ? 1 : 997) {
        put_byte(&file, at, (unsigned char)(file.bytes[at] ^ 1));
        assert_int_equal(store_bed_start(&bed, &err), at >= 8 && at < 12 ? -ENOTSUP : -EBADMSG);
        assert_non_null(strstr(err.message, file.path));
        put_byte(&file, at, file.bytes[at]);
    }
    for (size_t cut = 0; cut < 300 && cut < file.n; cut += 8) {
        struct content shorter = file;
        shorter.n = file.n - 1 - cut;
        put_back(&shorter);
        assert_int_equal(store_bed_start(&bed, &err), -EBADMSG);
        assert_non_null(strstr(err.message, file.path));
    }
    put_back(&file);
    assert_opens_with(&bed, &rows);
    content_done(&file);
    store_rows_free(&rows);
    store_bed_close(&bed);
}

static void a_log_that_ends_before_its_snapshot_is_refused(void **state)
{
    (void)state;
    struct store_bed bed;
    struct store_rows rows = {0};
    open_with_segments(&bed, SMALL, &rows);
    struct store_shard *shard = store_find(bed.store, "sh1", 3);
    struct file_store *store = (struct file_store *)bed.store;
    /* Until one is being written: what is submitted now comes before its end. */
    for (size_t i = 0; store->snapshot.state != FILE_SNAPSHOT_WRITING; i++) {
        struct store_rows one = {.rows = &rows.rows[i % rows.n], .n = 1};
        assert_int_equal(store_bed_replace(&bed, shard, one.rows[0].key, one.rows[0].key, &one), 0);
    }
    uint64_t n_done = store->snapshot.n_done;
    assert_int_equal(store_bed_insert_one(&bed, shard, 1000, "meanwhile"), 0);
    wait_for_snapshot(&bed, n_done + 1);
    store_bed_shut(&bed);
    for (size_t i = count_files(&bed, "log-"); i-- > 0;) {
        char *path = nth_file(&bed, "log-", i);
        unlink(path);
        free(path);
    }
    struct err err = {0};
    assert_int_equal(store_bed_start(&bed, &err), -EBADMSG);
    assert_non_null(strstr(err.message, "missing"));
    store_rows_free(&rows);
    store_bed_close(&bed);
}

static void log_and_snapshots_do_not_grow_without_bound(void **state)
{
    (void)state;
    struct store_bed bed;
    struct store_rows rows = {0};
    store_bed_open(&bed, SMALL);
    struct store_shard *shard = store_bed_create(&bed, "sh1");
    store_rows_fill(&rows, 0, 1, 200, 1);
    assert_int_equal(store_bed_insert(&bed, shard, &rows), 0);
    for (unsigned salt = 2; salt < 300; salt++) {
        store_rows_free(&rows);
        store_rows_fill(&rows, 0, 1, 200, salt);
        assert_int_equal(store_bed_replace(&bed, shard, 0, 199, &rows), 0);
    }
    struct file_store *store = (struct file_store *)bed.store;
    wait_for_snapshot(&bed, 1);
    assert_true(store->snapshot.n_done >= 3);
    assert_int_equal(store->snapshot.n_failed, 0);
    assert_int_equal(count_files(&bed, "snapshot-"), 1);
    /* What was written since the newest snapshot's start, which may be as much as came during it,
     * and the segment before and after. */
    assert_true(count_files(&bed, "log-") <= store->log.n_bytes / (32u << 10) + 4);
    store_bed_shut(&bed);
    close_holding(&bed, &rows);
}

static void what_a_crash_left_over_is_removed(void **state)
{
    (void)state;
    struct store_bed bed;
    struct store_rows rows = {0};
    open_with_segments(&bed, SMALL, &rows);
    wait_for_snapshot(&bed, 1);
    struct content old = content_of(nth_file(&bed, "snapshot-", 0));
    struct file_store *store = (struct file_store *)bed.store;
    uint64_t n_done = store->snapshot.n_done;
    struct store_shard *shard = store_find(bed.store, "sh1", 3);
    for (int i = 0; i < 300 && store->snapshot.n_done == n_done; i++) {
        struct store_rows one = {.rows = &rows.rows[i], .n = 1};
        assert_int_equal(store_bed_replace(&bed, shard, i, i, &one), 0);
    }
    wait_for_snapshot(&bed, n_done + 1);
    store_bed_shut(&bed);
    put_back(&old);
    struct content junk = {.path = path_in(&bed, "log-00000000000000000099.tmp"),
                           .bytes = (unsigned char *)"junk",
                           .n = 4};
    put_back(&junk);
    assert_int_equal(count_files(&bed, "snapshot-"), 2);
    assert_opens_with(&bed, &rows);
    assert_int_equal(count_files(&bed, "snapshot-"), 1);
    assert_int_equal(access(junk.path, F_OK), -1);
    assert_int_equal(access(old.path, F_OK), -1);
    free(junk.path);
    content_done(&old);
    store_rows_free(&rows);
    store_bed_close(&bed);
}

/* ---- formats, sizes, two processes ---- */

static void a_newer_format_is_refused_by_name(void **state)
{
    (void)state;
    struct store_bed bed;
    struct store_rows rows = {0};
    open_with_segments(&bed, SMALL, &rows);
    wait_for_snapshot(&bed, 1);
    store_bed_shut(&bed);
    static const char *const prefixes[] = {"log-", "snapshot-"};
    for (size_t i = 0; i < 2; i++) {
        struct content file = content_of(nth_file(&bed, prefixes[i], 0));
        struct err err = {0};
        put_byte(&file, 8, WAL_VERSION + 1);
        assert_int_equal(store_bed_start(&bed, &err), -ENOTSUP);
        assert_non_null(strstr(err.message, file.path));
        assert_non_null(strstr(err.message, "format 2"));
        put_byte(&file, 8, WAL_VERSION);
        content_done(&file);
    }
    close_holding(&bed, &rows);
}

static void a_change_larger_than_a_segment_gets_one_of_its_size(void **state)
{
    (void)state;
    struct store_bed bed;
    struct store_rows rows = {0};
    store_bed_open(&bed, ONLY_LOG);
    struct store_shard *shard = store_bed_create(&bed, "sh1");
    assert_int_equal(store_bed_insert_one(&bed, shard, -1, "before"), 0);
    store_rows_fill(&rows, 0, 1, 20000, 3);
    assert_int_equal(store_bed_insert(&bed, shard, &rows), 0);
    assert_int_equal(store_bed_delete(&bed, shard, -1), 0);
    store_bed_shut(&bed);
    close_holding(&bed, &rows);
}

static void a_shard_made_again_does_not_have_its_old_rows(void **state)
{
    (void)state;
    struct store_bed bed;
    struct store_rows rows = {0};
    open_with_rows(&bed, ONLY_LOG, &rows);
    assert_opens_with(&bed, &rows);
    assert_int_equal(store_bed_drop(&bed, store_find(bed.store, "sh1", 3)), 0);
    store_bed_reopen(&bed);
    assert_null(store_find(bed.store, "sh1", 3));
    store_bed_create(&bed, "sh1");
    store_bed_reopen(&bed);
    struct store_rows none = {0};
    store_bed_assert_holds(&bed, store_find(bed.store, "sh1", 3), &none);
    store_rows_free(&rows);
    store_bed_close(&bed);
}

static void a_directory_serves_one_store_at_a_time(void **state)
{
    (void)state;
    struct store_bed bed, other;
    struct err err = {0};
    store_bed_open(&bed, ONLY_LOG);
    assert_int_equal(store_bed_open_in(&other, ONLY_LOG, bed.dir, &err), -EWOULDBLOCK);
    assert_non_null(strstr(err.message, "lock"));
    store_bed_shut(&bed);
    assert_int_equal(store_bed_open_in(&other, ONLY_LOG, bed.dir, &err), 0);
    store_bed_close(&other);
    store_bed_close(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_log_torn_in_its_last_record_is_cut_before_it),
        cmocka_unit_test(what_lies_behind_a_cut_never_comes_back),
        cmocka_unit_test(a_flipped_byte_before_the_last_record_is_refused_with_its_place),
        cmocka_unit_test(zeros_over_a_record_in_the_middle_are_refused),
        cmocka_unit_test(a_segment_that_is_damaged_at_its_end_or_gone_is_refused),
        cmocka_unit_test(a_damaged_snapshot_is_refused_with_its_place),
        cmocka_unit_test(a_log_that_ends_before_its_snapshot_is_refused),
        cmocka_unit_test(log_and_snapshots_do_not_grow_without_bound),
        cmocka_unit_test(what_a_crash_left_over_is_removed),
        cmocka_unit_test(a_newer_format_is_refused_by_name),
        cmocka_unit_test(a_change_larger_than_a_segment_gets_one_of_its_size),
        cmocka_unit_test(a_shard_made_again_does_not_have_its_old_rows),
        cmocka_unit_test(a_directory_serves_one_store_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
