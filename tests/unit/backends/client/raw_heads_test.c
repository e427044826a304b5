/* Remembered heads: what is found is what was parsed, and what is not simple is not remembered. */
#include "backends/client/raw_heads.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/mem.h"

#define HEAD(rest) "HTTP/1.1 200 OK\r\n" rest "\r\n"

static struct raw_heads heads;

/* Parses one answer and has its head remembered. */
static void learn(const char *text, const char *server)
{
    struct http_parser *parser = mem_alloc(sizeof(*parser));
    struct buf in;

    buf_init(&in, 0);
    buf_append_str(&in, text);
    http_parser_init(parser, HTTP_PARSE_RESPONSE, SIZE_MAX);
    if (http_parser_feed(parser, &in) != HTTP_FEED_MESSAGE)
        fail_msg("%s: %s", text, parser->refusal.reason);
    raw_heads_learn(&heads, &parser->message, parser->body_bytes, server, strlen(server));
    buf_done(&in);
    free(parser);
}

static const struct raw_head *find(const char *text)
{
    return raw_heads_find(&heads, text, strlen(text));
}

static int forget(void **state)
{
    (void)state;
    memset(&heads, 0, sizeof(heads));
    return 0;
}

static void heads_are_found_with_what_was_learnt_of_them(void **state)
{
    const struct raw_head *head;

    (void)state;
    assert_null(find(HEAD("Content-Length: 5\r\n") "hello"));
    learn(HEAD("Content-Length: 5\r\n") "hello", "Server1");
    learn("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "");
    head = find(HEAD("Content-Length: 5\r\n") "other");
    assert_non_null(head);
    assert_int_equal(head->status, 200);
    assert_int_equal(head->body_bytes, 5);
    assert_int_equal(head->head_bytes, strlen(HEAD("Content-Length: 5\r\n")));
    assert_string_equal(head->server, "Server1");
    assert_int_equal(head->server_bytes, 7);
    head = find("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
    assert_non_null(head);
    assert_int_equal(head->status, 503);
    assert_int_equal(head->server_bytes, 0);
}

static void heads_that_differ_in_a_byte_or_are_cut_are_not_found(void **state)
{
    static const char answer[] = HEAD("Content-Length: 5\r\nX-Quoit-Server: Server1\r\n");
    char changed[sizeof(answer)];

    (void)state;
    learn(HEAD("Content-Length: 5\r\nX-Quoit-Server: Server1\r\n") "hello", "Server1");
    for (size_t i = 0; i < sizeof(answer) - 1; i++) {
        assert_null(raw_heads_find(&heads, answer, i));
        memcpy(changed, answer, sizeof(answer));
        changed[i] ^= 1;
        assert_null(find(changed));
    }
    assert_non_null(find(answer));
}

static void heads_that_are_not_simple_are_not_remembered(void **state)
{
    static const char *const answers[] = {
        HEAD("Transfer-Encoding: chunked\r\n") "0\r\n\r\n",
        HEAD("Connection: close\r\nContent-Length: 0\r\n"),
        "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\n\r\n",
    };
    char padding[RAW_HEADS_BYTES], *text;

    (void)state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
        learn(answers[i], "");
        assert_null(find(answers[i]));
    }
    memset(padding, 'x', sizeof(padding));
    text = mem_printf("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Padding: %.*s\r\n\r\n",
                      (int)sizeof(padding), padding);
    learn(text, "");
    assert_null(find(text));
    free(text);
}

static void heads_are_hardly_looked_for_where_none_repeats_until_one_does(void **state)
{
    static const char same[] = HEAD("Content-Length: 0\r\n");
    int n_answers = 0;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        char text[128];
        snprintf(text, sizeof(text), HEAD("X-Request: %d\r\nContent-Length: 0\r\n"), i);
        assert_null(find(text));
        learn(text, "");
    }
    while (!find(same)) {
        assert_true(n_answers++ < 1000);
        learn(same, "");
    }
    assert_in_range(n_answers, 2, 200);
    assert_non_null(find(same)); /* and then every time */
    assert_non_null(find(same));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(heads_are_found_with_what_was_learnt_of_them, forget),
        cmocka_unit_test_setup(heads_that_differ_in_a_byte_or_are_cut_are_not_found, forget),
        cmocka_unit_test_setup(heads_that_are_not_simple_are_not_remembered, forget),
        cmocka_unit_test_setup(heads_are_hardly_looked_for_where_none_repeats_until_one_does,
                               forget),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
