#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "loadgen/verify.h"

static enum verdict judge(const char *expect, enum client_error error, int status, const char *body)
{
    const struct verify verify = {.expect = expect};
    const struct client_answer answer = {
        .error = error, .status = status, .body = body, .body_bytes = body ? strlen(body) : 0};

    return verify_answer(&verify, &answer);
}

static void only_a_whole_2xx_answer_is_ok(void **state)
{
    (void)state;
    assert_int_equal(judge(NULL, CLIENT_OK, 200, NULL), VERDICT_OK);
    assert_int_equal(judge(NULL, CLIENT_OK, 204, NULL), VERDICT_OK);
    assert_int_equal(judge(NULL, CLIENT_OK, 299, NULL), VERDICT_OK);
    assert_int_equal(judge(NULL, CLIENT_OK, 302, NULL), VERDICT_STATUS_3XX);
    assert_int_equal(judge(NULL, CLIENT_OK, 404, NULL), VERDICT_STATUS_4XX);
    assert_int_equal(judge(NULL, CLIENT_OK, 503, NULL), VERDICT_STATUS_5XX);
    assert_int_equal(judge(NULL, CLIENT_OK, 101, NULL), VERDICT_STATUS_OTHER);
    assert_int_equal(judge(NULL, CLIENT_OK, 999, NULL), VERDICT_STATUS_OTHER);
}

static void a_broken_answer_is_its_error_whatever_its_status(void **state)
{
    (void)state;
    for (int e = CLIENT_OK + 1; e < CLIENT_N_ERRORS; e++) {
        assert_int_equal(judge(NULL, (enum client_error)e, 200, NULL), e);
        assert_int_equal(judge("x", (enum client_error)e, 500, "x"), e);
    }
}

static void the_expected_text_must_stand_in_the_body(void **state)
{
    const struct verify none = {.expect = NULL}, some = {.expect = "Server: 1"};

    (void)state;
    assert_int_equal(judge("Server: 1", CLIENT_OK, 200, "Hello from Server: 1"), VERDICT_OK);
    assert_int_equal(judge("Server: 2", CLIENT_OK, 200, "Hello from Server: 1"),
                     VERDICT_WRONG_BODY);
    assert_int_equal(judge("x", CLIENT_OK, 200, NULL), VERDICT_WRONG_BODY);
    assert_int_equal(judge("", CLIENT_OK, 200, NULL), VERDICT_OK);
    assert_int_equal(judge("x", CLIENT_OK, 500, "x"), VERDICT_STATUS_5XX);
    assert_int_equal(verify_keep_bytes(&none), 0);
    assert_true(verify_keep_bytes(&some) > 0);
}

static void every_class_has_its_own_name_and_a_hint_with_the_address(void **state)
{
    char hint[256];

    (void)state;
    for (int v = VERDICT_OK + 1; v < VERDICT_N; v++) {
        for (int w = VERDICT_OK; w < v; w++)
            assert_string_not_equal(verdict_name((enum verdict)v), verdict_name((enum verdict)w));
        verdict_hint((enum verdict)v, 0, "127.0.0.1:5000", hint, sizeof(hint));
        assert_non_null(strstr(hint, "127.0.0.1:5000"));
        assert_null(strstr(hint, "%s"));
        assert_true(strlen(hint) < sizeof(hint) - 1); /* it was not cut */
    }
    assert_string_equal(verdict_name(VERDICT_OK), "ok");
    assert_string_equal(verdict_hint(VERDICT_STATUS_4XX, 418, "[::1]:80", hint, sizeof(hint)),
                        "[::1]:80 refuses the request; is the path right?");
}

static void a_hint_says_what_to_change_where_the_status_does(void **state)
{
    static const struct {
        unsigned status;
        const char *words;
    } cases[] = {
        {400, "shards of /init"},  {404, "was it written"}, {405, "-X"},
        {409, "POST /init first"}, {413, "fewer rows"},     {503, "being replaced"},
    };
    char hint[256];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        enum verdict verdict = cases[i].status < 500 ? VERDICT_STATUS_4XX : VERDICT_STATUS_5XX;
        verdict_hint(verdict, cases[i].status, "127.0.0.1:5000", hint, sizeof(hint));
        assert_non_null(strstr(hint, cases[i].words));
        assert_non_null(strstr(hint, "127.0.0.1:5000"));
        assert_true(strlen(hint) < sizeof(hint) - 1);
    }
    /* A body that is wrong is so whatever its status. */
    verdict_hint(VERDICT_WRONG_BODY, 409, "127.0.0.1:5000", hint, sizeof(hint));
    assert_null(strstr(hint, "/init"));
}

static void an_example_names_status_and_server(void **state)
{
    char text[256];
    struct client_answer answer = {
        .status = 503, .server = "Server2 and bytes behind it", .server_bytes = 7};

    (void)state;
    assert_string_equal(verdict_describe(VERDICT_STATUS_5XX, &answer, text, sizeof(text)),
                        "HTTP 503 from Server2");
    answer.server_bytes = 0;
    assert_string_equal(verdict_describe(VERDICT_STATUS_5XX, &answer, text, sizeof(text)),
                        "HTTP 503");
    answer.error = CLIENT_TIMEOUT;
    answer.detail = "no answer within 500 ms";
    assert_string_equal(verdict_describe(VERDICT_STATUS_5XX, &answer, text, sizeof(text)),
                        "no answer within 500 ms");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_a_whole_2xx_answer_is_ok),
        cmocka_unit_test(a_broken_answer_is_its_error_whatever_its_status),
        cmocka_unit_test(the_expected_text_must_stand_in_the_body),
        cmocka_unit_test(every_class_has_its_own_name_and_a_hint_with_the_address),
        cmocka_unit_test(a_hint_says_what_to_change_where_the_status_does),
        cmocka_unit_test(an_example_names_status_and_server),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
