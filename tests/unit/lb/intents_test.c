/* Intents: on disk before anyone acts on them, gone once they have ended, found again by the next
 * life, whatever the file's end looks like. */
#include "lb/intents.h"

#include <errno.h>
#include <ev.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/file.h"

static char dir[64], path[80];
static struct ev_loop *loop;
static struct intents *intents;
static size_t n_opened, n_ended;
static struct intent *kept[16]; /* open ones, freed once nothing knows them any more */
static size_t n_kept;
static int last_code;

static void on_open(void *context, struct intent *intent, int code)
{
    (void)context;
    (void)intent;
    n_opened++;
    last_code = code;
}

static void on_ended(void *context, struct intent *intent)
{
    (void)context;
    n_ended++;
    intent_free(intent);
}

static int open_again(void)
{
    static const struct intents_handler handler = {on_open, on_ended, NULL};
    struct err err = {0};
    int rc = intents_open(loop, dir, true, &intents, &err);
    if (rc == 0)
        intents_set_handler(intents, &handler);
    else
        intents = NULL;
    return rc;
}

static int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/quoit-intents-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/intents", dir);
    loop = ev_loop_new(EVFLAG_AUTO);
    n_opened = n_ended = 0;
    last_code = 0;
    return open_again();
}

static void keep(struct intent *intent)
{
    kept[n_kept++] = intent;
}

static void close_file(void)
{
    intents_close(intents);
    while (n_kept > 0)
        intent_free(kept[--n_kept]);
}

static int tear_down(void **state)
{
    (void)state;
    close_file();
    ev_loop_destroy(loop);
    unlink(path);
    return rmdir(dir);
}

static void wait_for(const size_t *count, size_t n)
{
    ev_tstamp until = ev_time() + 10.;
    while (*count < n && ev_time() < until) {
        ev_run(loop, EVRUN_NOWAIT);
        usleep(1000);
    }
    assert_int_equal(*count, n);
}

static const char *file_text(void)
{
    static char text[65536];
    struct buf buf;
    buf_init(&buf, sizeof(text) - 1);
    assert_int_equal(file_read(path, &buf, NULL), 0);
    snprintf(text, sizeof(text), "%s", buf_str(&buf));
    buf_done(&buf);
    return text;
}

static void write_file(const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static struct intent *begin(int64_t a, int64_t b)
{
    int64_t keys[] = {a, b};
    struct intent *intent = intent_new(keys, 2);
    size_t n = n_opened;
    assert_false(intents_begin(intents, intent));
    wait_for(&n_opened, n + 1);
    return intent;
}

/* Closes and opens again; the keys of what was left, "1 2|3 4". */
static const char *left_after_a_life(void)
{
    static char text[256];
    struct intent *intent;
    close_file();
    assert_int_equal(open_again(), 0);
    text[0] = '\0';
    while ((intent = intents_take_left(intents))) {
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%lld %lld",
                 text[0] ? "|" : "", (long long)intent->keys[0], (long long)intent->keys[1]);
        keep(intent);
    }
    return text;
}

static void an_intent_is_on_disk_when_it_is_told_to_be_open(void **state)
{
    (void)state;
    struct intent *intent = begin(INT64_MIN, INT64_MAX);
    assert_int_equal(last_code, 0);
    assert_string_equal(file_text(), "begin 1 2 -9223372036854775808 9223372036854775807 .\n");
    assert_false(intents_end(intents, intent));
    wait_for(&n_ended, 1);
    assert_non_null(strstr(file_text(), "end 1 .\n"));
    assert_string_equal(left_after_a_life(), "");
    assert_string_equal(file_text(), "");
}

static void what_has_not_ended_is_found_by_the_next_life_and_the_one_after(void **state)
{
    (void)state;
    struct intent *first = begin(1, 2);
    keep(begin(3, 4));
    assert_false(intents_end(intents, first));
    wait_for(&n_ended, 1);
    assert_string_equal(left_after_a_life(), "3 4");
    assert_string_equal(left_after_a_life(), "3 4");
    /* A new one takes no number of theirs. */
    keep(begin(5, 6));
    assert_non_null(strstr(file_text(), "begin 3 2 5 6 .\n"));
    close_file();
    assert_int_equal(open_again(), 0);
    struct intent *left = intents_take_left(intents);
    assert_int_equal(left->keys[0], 3);
    intents_end(intents, left);
    wait_for(&n_ended, 2);
    keep(intents_take_left(intents));
    assert_string_equal(left_after_a_life(), "5 6");
}

static void an_end_that_waits_is_written_when_it_closes(void **state)
{
    (void)state;
    struct intent *intent = begin(1, 2);
    assert_false(intents_end(intents, intent));
    assert_string_equal(left_after_a_life(), "");
    if (n_ended == 0)
        intent_free(intent);
}

static void a_line_cut_off_anywhere_was_never_begun(void **state)
{
    static const char whole[] = "begin 7 2 1 2 .\n", next[] = "begin 8 2 -30 40 .\n";
    char text[64];
    (void)state;
    for (size_t n = 0; n < sizeof(next); n++) {
        snprintf(text, sizeof(text), "%s%.*s", whole, (int)n, next);
        close_file();
        write_file(text);
        assert_int_equal(open_again(), 0);
        assert_string_equal(left_after_a_life(), n == sizeof(next) - 1 ? "-30 40|1 2" : "1 2");
    }
    for (size_t n = 0; n < sizeof(whole) - 1; n++) {
        snprintf(text, sizeof(text), "%.*s", (int)n, whole);
        close_file();
        write_file(text);
        assert_int_equal(open_again(), 0);
        assert_string_equal(left_after_a_life(), "");
    }
}

static void a_file_that_is_none_of_ours_is_refused(void **state)
{
    (void)state;
    close_file();
    write_file("{\"version\":1}\n");
    assert_int_equal(open_again(), -EINVAL);
    assert_string_equal(file_text(), "{\"version\":1}\n");
}

static void the_file_does_not_grow_with_what_has_ended(void **state)
{
    static int64_t keys[20000];
    struct stat info;
    (void)state;
    keep(begin(1, 2));
    for (int64_t i = 0; i < 20000; i++)
        keys[i] = 1000000000 + i;
    for (size_t i = 0; i < 60; i++) { /* 13 MB */
        struct intent *intent = intent_new(keys, 20000);
        size_t n = n_opened;
        intents_begin(intents, intent);
        wait_for(&n_opened, n + 1);
        intents_end(intents, intent);
    }
    wait_for(&n_ended, 60);
    assert_int_equal(stat(path, &info), 0);
    assert_true(info.st_size < 6 << 20);
    assert_string_equal(left_after_a_life(), "1 2");
}

static void a_disk_that_is_full_is_told_and_an_end_is_tried_until_it_stands(void **state)
{
    struct rlimit before, none;
    int64_t keys[] = {3, 4};
    (void)state;
    struct intent *intent = begin(1, 2);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    none = before;
    none.rlim_cur = 10;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    struct intent *refused = intent_new(keys, 2);
    intents_begin(intents, refused);
    intents_end(intents, intent);
    wait_for(&n_opened, 2);
    assert_int_equal(last_code, -EFBIG);
    assert_int_equal(n_ended, 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    wait_for(&n_ended, 1);
    intent_free(refused);
    assert_string_equal(left_after_a_life(), "");
}

static void without_a_folder_everything_is_at_once_and_forgotten(void **state)
{
    struct intents *none;
    int64_t key = 5;
    (void)state;
    assert_int_equal(intents_open(loop, NULL, false, &none, NULL), 0);
    struct intent *intent = intent_new(&key, 1);
    assert_true(intents_begin(none, intent));
    assert_true(intents_end(none, intent));
    intent_free(intent);
    intents_close(none);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_intent_is_on_disk_when_it_is_told_to_be_open),
        TEST(what_has_not_ended_is_found_by_the_next_life_and_the_one_after),
        TEST(an_end_that_waits_is_written_when_it_closes),
        TEST(a_line_cut_off_anywhere_was_never_begun),
        TEST(a_file_that_is_none_of_ours_is_refused),
        TEST(the_file_does_not_grow_with_what_has_ended),
        TEST(a_disk_that_is_full_is_told_and_an_end_is_tried_until_it_stands),
        TEST(without_a_folder_everything_is_at_once_and_forgotten),
    };
    return cmocka_run_group_tests_name("lb intents", tests, NULL, NULL);
}
