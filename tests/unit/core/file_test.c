#include "core/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/forked.h"

static char folder[64];
static char path[PATH_MAX];

/* The path of a name in this test's own folder; valid until the next call. */
static const char *in_folder(const char *name)
{
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/quoit-file-XXXXXX");
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static int remove_folder(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    return system(command);
}

static size_t count_files(void)
{
    DIR *dir = opendir(folder);
    size_t n = 0;

    assert_non_null(dir);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
        n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(dir);
    return n;
}

static void put(const char *name, const char *text)
{
    struct err err = {0, ""};

    if (file_write_atomic(in_folder(name), text, strlen(text), &err) < 0)
        fail_msg("%s", err.message);
}

static void assert_holds(const char *name, const char *text)
{
    struct buf buf;

    buf_init(&buf, 0);
    assert_int_equal(file_read(in_folder(name), &buf, NULL), 0);
    assert_string_equal(buf_str(&buf), text);
    buf_done(&buf);
}

static void file_reads_what_was_written(void **state)
{
    char *large = malloc(1000000);
    struct buf buf;

    (void)state;
    assert_non_null(large);
    for (size_t i = 0; i < 1000000; i++)
        large[i] = (char)(i * 7);
    assert_int_equal(file_write_atomic(in_folder("large"), large, 1000000, NULL), 0);
    buf_init(&buf, 0);
    assert_int_equal(file_read(in_folder("large"), &buf, NULL), 0);
    assert_int_equal(buf_len(&buf), 1000000);
    assert_memory_equal(buf_head(&buf), large, 1000000);
    buf_done(&buf);
    free(large);
    put("empty", "");
    assert_holds("empty", "");
    put("empty", "no more");
    assert_holds("empty", "no more");
    assert_int_equal(count_files(), 2); /* nothing is left beside them */
}

static void file_read_appends(void **state)
{
    struct buf buf;

    (void)state;
    put("tail", "tail");
    buf_init(&buf, 0);
    assert_int_equal(buf_append_str(&buf, "head "), 0);
    assert_int_equal(file_read(in_folder("tail"), &buf, NULL), 0);
    assert_string_equal(buf_str(&buf), "head tail");
    buf_done(&buf);
}

static void file_read_holds_the_buffers_limit(void **state)
{
    struct buf buf;
    struct err err;

    (void)state;
    put("ten", "0123456789");
    buf_init(&buf, 10);
    assert_int_equal(file_read(in_folder("ten"), &buf, &err), 0); /* exactly as large */
    assert_int_equal(buf_len(&buf), 10);
    buf_done(&buf);
    buf_init(&buf, 9);
    assert_int_equal(file_read(in_folder("ten"), &buf, &err), -EMSGSIZE);
    assert_non_null(strstr(err.message, "ten is larger than 9 bytes"));
    assert_int_equal(buf_len(&buf), 0);
    assert_int_equal(buf_append_str(&buf, "x"), 0);
    assert_int_equal(file_read("/dev/zero", &buf, &err), -EMSGSIZE); /* one without an end */
    assert_string_equal(buf_str(&buf), "x");
    buf_done(&buf);
}

static void file_read_names_the_path_it_could_not_read(void **state)
{
    struct buf buf;
    struct err err;

    (void)state;
    buf_init(&buf, 0);
    assert_int_equal(file_read("/nowhere/at/all", &buf, &err), -ENOENT);
    assert_string_equal(err.message, "cannot open /nowhere/at/all: No such file or directory");
    assert_int_equal(file_read(folder, &buf, &err), -EISDIR);
    assert_non_null(strstr(err.message, folder));
    assert_int_equal(buf_len(&buf), 0);
    buf_done(&buf);
}

/* In the child: files may grow to 1000 bytes, as a disk that fills up in the midst of a write. */
static void call_write_past_the_limit(void *unused)
{
    const struct rlimit limit = {1000, 1000};
    static char large[5000];
    struct err err;

    (void)unused;
    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
        _exit(1);
    memset(large, 'n', sizeof(large));
    if (file_write_atomic(in_folder("state"), large, sizeof(large), &err) != -EFBIG)
        _exit(2);
    if (strstr(err.message, "/state: File too large") == NULL)
        _exit(3);
}

static void file_write_that_fails_halfway_leaves_the_old_file(void **state)
{
    (void)state;
    put("state", "old");
    assert_int_equal(forked_run(call_write_past_the_limit, NULL)->exit_code, FORKED_RETURNED);
    assert_holds("state", "old");
    assert_int_equal(count_files(), 1);
}

static void file_write_fails_without_a_trace(void **state)
{
    struct err err;

    (void)state;
    assert_int_equal(file_write_atomic(in_folder("no/such/folder"), "x", 1, &err), -ENOENT);
    assert_non_null(strstr(err.message, "no/such/folder"));
    /* A folder stands where the file should. */
    assert_int_equal(mkdir(in_folder("folder"), 0777), 0);
    assert_int_equal(file_write_atomic(in_folder("folder"), "x", 1, &err), -EISDIR);
    assert_int_equal(count_files(), 1);
}

static void file_write_replaces_a_link_and_not_what_it_points_to(void **state)
{
    char target[PATH_MAX];
    struct stat status;

    (void)state;
    put("target", "precious");
    strcpy(target, in_folder("target"));
    assert_int_equal(symlink(target, in_folder("link")), 0);
    put("link", "new");
    assert_holds("target", "precious");
    assert_holds("link", "new");
    assert_int_equal(lstat(in_folder("link"), &status), 0);
    assert_true(S_ISREG(status.st_mode));
}

static void file_write_keeps_the_mode_of_the_old_file(void **state)
{
    struct stat status;
    mode_t mask = umask(022);

    (void)state;
    put("mode", "a");
    assert_int_equal(stat(in_folder("mode"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0644);
    assert_int_equal(chmod(in_folder("mode"), 0600), 0);
    put("mode", "b");
    assert_int_equal(stat(in_folder("mode"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    umask(mask);
}

static void file_write_takes_a_name_without_a_folder(void **state)
{
    char before[PATH_MAX];

    (void)state;
    assert_non_null(getcwd(before, sizeof(before)));
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(file_write_atomic("bare", "x", 1, NULL), 0);
    assert_int_equal(chdir(before), 0);
    assert_holds("bare", "x");
}

/* Writers at the same time never mix: whoever is last has the file, whole, and no temporary file is
 * shared. */
static void file_writers_at_once_leave_one_whole_file(void **state)
{
    enum { WRITERS = 8, SIZE = 50000 };
    static char text[SIZE];
    struct buf buf;
    int status;

    (void)state;
    fflush(NULL);
    for (int w = 0; w < WRITERS; w++) {
        if (fork() == 0) {
            memset(text, 'a' + w, SIZE);
            for (int i = 0; i < 20; i++)
                if (file_write_atomic(in_folder("shared"), text, SIZE, NULL) < 0)
                    _exit(1);
            _exit(0);
        }
    }
    for (int w = 0; w < WRITERS; w++) {
        assert_true(wait(&status) > 0);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    buf_init(&buf, 0);
    assert_int_equal(file_read(in_folder("shared"), &buf, NULL), 0);
    assert_int_equal(buf_len(&buf), SIZE);
    for (size_t i = 1; i < SIZE; i++)
        assert_int_equal(buf_head(&buf)[i], buf_head(&buf)[0]);
    buf_done(&buf);
    assert_int_equal(count_files(), 1);
}

static void file_makes_every_folder_of_a_path(void **state)
{
    struct stat status;
    struct err err;

    (void)state;
    assert_int_equal(file_make_dirs(in_folder("a/b//c/d/"), &err), 0);
    assert_int_equal(stat(in_folder("a/b/c/d"), &status), 0);
    assert_true(S_ISDIR(status.st_mode));
    assert_int_equal(file_make_dirs(in_folder("a/b/c/d"), &err), 0); /* there already */
    assert_int_equal(file_make_dirs("/", &err), 0);
    assert_int_equal(file_make_dirs(".", &err), 0);
}

static void file_make_dirs_refuses_a_file_on_the_way(void **state)
{
    struct err err;

    (void)state;
    put("plain", "x");
    assert_int_equal(file_make_dirs(in_folder("plain"), &err), -ENOTDIR);
    assert_int_equal(file_make_dirs(in_folder("plain/below"), &err), -ENOTDIR);
    assert_non_null(strstr(err.message, "/plain"));
    assert_int_equal(file_make_dirs("", &err), -ENOENT);
    assert_true(err.message[0] != '\0');
    assert_int_equal(file_make_dirs("/proc/nowhere", &err), -ENOENT);
}

static void call_lock(void *unused)
{
    struct err err;
    int fd = file_lock(in_folder("lock"), &err);

    (void)unused;
    if (fd == -EWOULDBLOCK && strstr(err.message, "is locked by another process") != NULL)
        _exit(10);
    _exit(fd >= 0 ? 11 : 12);
}

static void file_lock_is_for_one_process_at_a_time(void **state)
{
    int fd = file_lock(in_folder("lock"), NULL);

    (void)state;
    assert_true(fd >= 0);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0); /* a spawned server must not hold it */
    assert_int_equal(forked_run(call_lock, NULL)->exit_code, 10);
    assert_int_equal(file_lock(in_folder("lock"), NULL), -EWOULDBLOCK);
    close(fd);
    assert_int_equal(forked_run(call_lock, NULL)->exit_code, 11);
    /* The child's lock went with the child. */
    fd = file_lock(in_folder("lock"), NULL);
    assert_true(fd >= 0);
    close(fd);
}

static void file_lock_names_the_path_it_could_not_open(void **state)
{
    struct err err;

    (void)state;
    assert_int_equal(file_lock("/nowhere/lock", &err), -ENOENT);
    assert_non_null(strstr(err.message, "/nowhere/lock"));
}

static void file_reads_a_first_line_without_its_end(void **state)
{
    static const struct {
        const char *content, *line;
    } cases[] = {
        {"one\ntwo\n", "one"}, {"no end", "no end"}, {"\n", ""}, {"12345678901", "1234567"}};
    char line[8];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(
            file_write_atomic(in_folder("line"), cases[i].content, strlen(cases[i].content), NULL),
            0);
        assert_true(file_read_line(in_folder("line"), line, sizeof(line)));
        assert_string_equal(line, cases[i].line);
    }
    assert_int_equal(file_write_atomic(in_folder("line"), "", 0, NULL), 0);
    assert_false(file_read_line(in_folder("line"), line, sizeof(line)));
    assert_false(file_read_line("/nowhere/line", line, sizeof(line)));
}

#define in_a_folder(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_a_folder(file_reads_what_was_written),
        in_a_folder(file_read_appends),
        in_a_folder(file_read_holds_the_buffers_limit),
        in_a_folder(file_read_names_the_path_it_could_not_read),
        in_a_folder(file_reads_a_first_line_without_its_end),
        in_a_folder(file_write_that_fails_halfway_leaves_the_old_file),
        in_a_folder(file_write_fails_without_a_trace),
        in_a_folder(file_write_replaces_a_link_and_not_what_it_points_to),
        in_a_folder(file_write_keeps_the_mode_of_the_old_file),
        in_a_folder(file_write_takes_a_name_without_a_folder),
        in_a_folder(file_writers_at_once_leave_one_whole_file),
        in_a_folder(file_makes_every_folder_of_a_path),
        in_a_folder(file_make_dirs_refuses_a_file_on_the_way),
        in_a_folder(file_lock_is_for_one_process_at_a_time),
        in_a_folder(file_lock_names_the_path_it_could_not_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
