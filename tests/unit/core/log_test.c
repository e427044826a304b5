#include "core/log.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/json.h"
#include "tests/support/forked.h"

struct event {
    bool json;
    enum log_level threshold;
    enum log_level level;
    const char *component;
    const char *message;
};

static void call_log(void *argument)
{
    const struct event *event = argument;

    log_set_json(event->json);
    log_set_level(event->threshold);
    log_at(event->level, event->component, "%s", event->message);
}

/* What one event writes on stderr. */
static const char *line_of(bool json, enum log_level level, const char *component,
                           const char *message)
{
    struct event event = {json, LOG_DEBUG, level, component, message};

    return forked_run(call_log, &event)->err;
}

/* Checks the time and the single line end, and returns what is between. */
static const char *behind_time(const char *line)
{
    static char rest[2 * FORKED_TEXT_BYTES];
    int year;
    size_t n = strlen(line);

    assert_true(n > CLOCK_ISO_BYTES);
    assert_int_equal(sscanf(line, "%4d-", &year), 1);
    assert_true(year >= 2020);
    assert_int_equal(line[CLOCK_ISO_BYTES - 2], 'Z');
    assert_ptr_equal(strchr(line, '\n'), line + n - 1);
    snprintf(rest, sizeof(rest), "%.*s", (int)(n - CLOCK_ISO_BYTES - 1), line + CLOCK_ISO_BYTES);
    return rest;
}

static void log_writes_time_level_component_and_message(void **state)
{
    (void)state;
    assert_string_equal(behind_time(line_of(false, LOG_INFO, "lb", "server S3 serves")),
                        "info  lb: server S3 serves");
    assert_string_equal(behind_time(line_of(false, LOG_ERROR, "server", "x")), "error server: x");
    assert_string_equal(behind_time(line_of(false, LOG_WARN, "lb", "")), "warn  lb: ");
    assert_string_equal(behind_time(line_of(false, LOG_DEBUG, "lb", "Größe €")),
                        "debug lb: Größe €");
}

static void log_message_cannot_forge_a_line_or_steer_a_terminal(void **state)
{
    static const struct {
        const char *message, *written;
    } cases[] = {
        {"a\n2026-11-21T09:30:12.345Z info  lb: forged", "a\\n2026-11-21T09:30:12.345Z info  lb: "
                                                         "forged"},
        {"a\r\tb", "a\\r\\tb"},
        {"\x1b[31mred\x07", "\\x1b[31mred\\x07"},
        {"\x7f", "\\x7f"},
        {"\xc2\x9b"
         "31m",
         "\\xc2\\x9b31m"},                           /* C1: CSI in one character */
        {"\xe2\x80\xa8", "\\xe2\\x80\\xa8"},         /* U+2028, a line end to some */
        {"\xff\xfe ok \xc3", "\\xff\\xfe ok \\xc3"}, /* no UTF-8 */
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"},         /* half a surrogate pair */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *rest = behind_time(line_of(false, LOG_INFO, "lb", cases[i].message));

        assert_string_equal(rest + strlen("info  lb: "), cases[i].written);
    }
}

static void log_lines_in_json_are_valid_whatever_the_message(void **state)
{
    static const struct {
        const char *message, *read;
    } cases[] = {
        {"plain", "plain"},
        {"\"quoted\" \\ and\nlines\x01", "\"quoted\" \\ and\nlines\x01"},
        {"Größe €", "Größe €"},
        {"\xff|\xc3", "\xef\xbf\xbd|\xef\xbf\xbd"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *line = line_of(true, LOG_WARN, "spawner", cases[i].message);
        struct err err = {0, ""};
        cJSON *tree = json_parse(line, strlen(line), &err);

        if (tree == NULL)
            fail_msg("%s: %s", err.message, line);
        assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
        assert_int_equal(strlen(json_get_string(tree, "ts")), CLOCK_ISO_BYTES - 1);
        assert_string_equal(json_get_string(tree, "level"), "warn");
        assert_string_equal(json_get_string(tree, "component"), "spawner");
        assert_string_equal(json_get_string(tree, "message"), cases[i].read);
        assert_int_equal(cJSON_GetArraySize(tree), 4);
        cJSON_Delete(tree);
    }
}

static void log_writes_only_what_its_level_lets_through(void **state)
{
    (void)state;
    for (int threshold = LOG_ERROR; threshold <= LOG_DEBUG; threshold++) {
        for (int level = LOG_ERROR; level <= LOG_DEBUG; level++) {
            struct event event = {false, (enum log_level)threshold, (enum log_level)level, "lb",
                                  "x"};

            assert_int_equal(forked_run(call_log, &event)->err[0] != '\0', level <= threshold);
        }
    }
}

static void log_is_at_info_at_first(void **state)
{
    (void)state;
    assert_true(log_enabled(LOG_INFO));
    assert_false(log_enabled(LOG_DEBUG));
}

static void log_level_parse_knows_the_four_names(void **state)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    enum log_level level;

    (void)state;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(log_level_parse(names[i], &level), 0);
        assert_int_equal(level, i);
    }
    assert_int_equal(log_level_parse("", &level), -EINVAL);
    assert_int_equal(log_level_parse("Info", &level), -EINVAL);
    assert_int_equal(log_level_parse("warning", &level), -EINVAL);
    assert_int_equal(level, LOG_DEBUG);
}

static void log_cuts_a_huge_message_and_stays_one_line(void **state)
{
    static char huge[100000];
    const char *line;
    cJSON *tree;

    (void)state;
    memset(huge, '\x01', sizeof(huge) - 1);
    line = behind_time(line_of(false, LOG_INFO, "lb", huge));
    assert_true(strlen(line) > 4000 && strlen(line) < 20000);
    line = line_of(true, LOG_INFO, "lb", huge);
    tree = json_parse(line, strlen(line), NULL);
    assert_non_null(tree);
    cJSON_Delete(tree);
}

/* stderr is a datagram socket: it keeps apart what separate writes brought. */
static void call_log_to_datagrams(void *fds)
{
    dup2(((int *)fds)[1], STDERR_FILENO);
    log_at(LOG_ERROR, "lb", "one\ntwo %d", 3);
    log_set_json(true);
    log_at(LOG_ERROR, "lb", "three");
}

static void log_writes_a_line_by_one_write(void **state)
{
    int fds[2];
    char text[512];
    ssize_t n;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
    assert_int_equal(forked_run(call_log_to_datagrams, fds)->exit_code, FORKED_RETURNED);
    for (int i = 0; i < 2; i++) {
        n = recv(fds[0], text, sizeof(text), MSG_DONTWAIT);
        assert_true(n > 0);
        assert_ptr_equal(memchr(text, '\n', (size_t)n), text + n - 1);
    }
    assert_int_equal(recv(fds[0], text, sizeof(text), MSG_DONTWAIT), -1);
    close(fds[0]);
    close(fds[1]);
}

static void call_log_to_nowhere(void *unused)
{
    (void)unused;
    close(STDERR_FILENO);
    errno = E2BIG;
    log_at(LOG_ERROR, "lb", "lost");
    if (errno != E2BIG)
        _exit(1);
}

static void log_that_cannot_be_written_is_dropped_and_keeps_errno(void **state)
{
    (void)state;
    assert_int_equal(forked_run(call_log_to_nowhere, NULL)->exit_code, FORKED_RETURNED);
}

static void *log_100_lines(void *unused)
{
    (void)unused;
    for (int i = 0; i < 100; i++)
        log_info("thread", "%0200d", i);
    return NULL;
}

static void call_log_from_threads(void *unused)
{
    pthread_t threads[4];

    (void)unused;
    for (size_t i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, log_100_lines, NULL);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}

static void log_lines_of_threads_do_not_mix(void **state)
{
    /* 400 lines of 240 bytes are more than forked_run() keeps: all but the last are whole. */
    const char *line = forked_run(call_log_from_threads, NULL)->err;
    size_t n_lines = 0;

    (void)state;
    for (const char *end; (end = strchr(line, '\n')) != NULL; line = end + 1, n_lines++)
        assert_int_equal(end - line, CLOCK_ISO_BYTES + strlen("info  thread: ") + 200);
    assert_true(n_lines >= 250);
}

static void call_macros(void *unused)
{
    (void)unused;
    log_set_level(LOG_DEBUG);
    log_error("a", "%d", 1);
    log_warn("b", "%d", 2);
    log_info("c", "%d", 3);
    log_debug("d", "%d", 4);
}

static void log_macros_name_their_level(void **state)
{
    const char *text = forked_run(call_macros, NULL)->err;

    (void)state;
    assert_non_null(strstr(text, " error a: 1\n"));
    assert_non_null(strstr(text, " warn  b: 2\n"));
    assert_non_null(strstr(text, " info  c: 3\n"));
    assert_non_null(strstr(text, " debug d: 4\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_writes_time_level_component_and_message),
        cmocka_unit_test(log_message_cannot_forge_a_line_or_steer_a_terminal),
        cmocka_unit_test(log_lines_in_json_are_valid_whatever_the_message),
        cmocka_unit_test(log_writes_only_what_its_level_lets_through),
        cmocka_unit_test(log_is_at_info_at_first),
        cmocka_unit_test(log_level_parse_knows_the_four_names),
        cmocka_unit_test(log_cuts_a_huge_message_and_stays_one_line),
        cmocka_unit_test(log_writes_a_line_by_one_write),
        cmocka_unit_test(log_that_cannot_be_written_is_dropped_and_keeps_errno),
        cmocka_unit_test(log_lines_of_threads_do_not_mix),
        cmocka_unit_test(log_macros_name_their_level),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
