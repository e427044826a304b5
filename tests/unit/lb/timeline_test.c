#include "lb/timeline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/json.h"

static struct timeline timeline;

static int set_up(void **state)
{
    (void)state;
    memset(&timeline, 0, sizeof(timeline));
    return 0;
}

static void timeline_tells_what_happened_in_its_order(void **state)
{
    static const enum timeline_step steps[] = {
        TIMELINE_SPAWNED,  TIMELINE_LISTENS, TIMELINE_SERVING, TIMELINE_DETECTED, TIMELINE_OUT,
        TIMELINE_DRAINING, TIMELINE_DRAINED, TIMELINE_EXITED,  TIMELINE_FAILED};
    static const char *const names[] = {"spawned",  "listens", "serving", "detected", "out",
                                        "draining", "drained", "exited",  "failed"};
    uint64_t before_ns = clock_now_ns();

    (void)state;
    for (uint64_t i = 0; i < 9; i++)
        timeline_add(&timeline, steps[i], i + 1, "Server1", i % 2 ? "because" : NULL);
    uint64_t after_ns = clock_now_ns();
    cJSON *events = timeline_json(&timeline);
    assert_int_equal(cJSON_GetArraySize(events), 9);
    int64_t last_ns = (int64_t)before_ns;
    for (int i = 0; i < 9; i++) {
        const cJSON *event = cJSON_GetArrayItem(events, i);
        const char *at = json_get_string(event, "at");
        char printed[64];
        assert_string_equal(json_get_string(event, "step"), names[i]);
        assert_string_equal(json_get_string(event, "server"), "Server1");
        assert_true(strlen(at) == 24 && at[10] == 'T' && at[23] == 'Z');
        const char *detail = json_get_string(event, "detail");
        if (i % 2)
            assert_string_equal(detail, "because");
        else
            assert_null(detail);
        snprintf(printed, sizeof(printed), "%d", i + 1);
        assert_string_equal(json_get(event, "uid")->valuestring, printed);
        int64_t ns = strtoll(json_get(event, "monotonic_ns")->valuestring, NULL, 10);
        assert_true(ns >= last_ns && ns <= (int64_t)after_ns);
        last_ns = ns;
    }
    cJSON_Delete(events);
}

static void timeline_tells_how_many_rows_were_held_and_copied(void **state)
{
    const struct timeline_rows rows = {.held = 100000, .copied = 37, .copied_bytes = 2600};
    int64_t value;

    (void)state;
    timeline_add_rows(&timeline, TIMELINE_FILLED, 7, "Server7", "sh1", &rows);
    timeline_add_rows(&timeline, TIMELINE_COPIED, 7, "Server7", NULL, &rows);
    timeline_add(&timeline, TIMELINE_SERVING, 7, "Server7", NULL);
    cJSON *events = timeline_json(&timeline);
    for (int i = 0; i < 2; i++) {
        const cJSON *event = cJSON_GetArrayItem(events, i);
        assert_string_equal(json_get_string(event, "step"), i ? "copied" : "filled");
        assert_int_equal(json_get_int64(event, "rows", &value), 0);
        assert_int_equal(value, 100000);
        assert_int_equal(json_get_int64(event, "copied_rows", &value), 0);
        assert_int_equal(value, 37);
        assert_int_equal(json_get_int64(event, "copied_bytes", &value), 0);
        assert_int_equal(value, 2600);
    }
    assert_null(json_get(cJSON_GetArrayItem(events, 2), "rows"));
    cJSON_Delete(events);
}

static void timeline_keeps_the_last_events(void **state)
{
    char name[32];

    (void)state;
    for (uint64_t i = 0; i < 3 * TIMELINE_EVENTS / 2; i++) {
        snprintf(name, sizeof(name), "Server%d", (int)i);
        timeline_add(&timeline, TIMELINE_SERVING, i, name, NULL);
        cJSON *events = timeline_json(&timeline);
        uint64_t n = i + 1 < TIMELINE_EVENTS ? i + 1 : TIMELINE_EVENTS;
        assert_int_equal(cJSON_GetArraySize(events), n);
        assert_string_equal(json_get_string(cJSON_GetArrayItem(events, (int)n - 1), "server"),
                            name);
        snprintf(name, sizeof(name), "Server%d", (int)(i + 1 - n));
        assert_string_equal(json_get_string(events->child, "server"), name);
        cJSON_Delete(events);
    }
}

static void timeline_cuts_what_is_too_long(void **state)
{
    char name[200], detail[200];

    (void)state;
    memset(name, 'n', sizeof(name));
    memset(detail, 'd', sizeof(detail));
    name[199] = detail[199] = '\0';
    timeline_add(&timeline, TIMELINE_FAILED, UINT64_MAX, name, detail);
    assert_int_equal(strlen(timeline.events[0].server), NAME_MAX_BYTES);
    assert_int_equal(strlen(timeline.events[0].detail), TIMELINE_DETAIL_BYTES - 1);
    cJSON *events = timeline_json(&timeline);
    struct buf out;
    buf_init(&out, 0);
    json_print(&out, events, false);
    assert_non_null(strstr(buf_str(&out), "\"uid\":18446744073709551615"));
    buf_done(&out);
    cJSON_Delete(events);
}

static void timeline_is_empty_at_first(void **state)
{
    (void)state;
    cJSON *events = timeline_json(&timeline);
    assert_true(cJSON_IsArray(events));
    assert_int_equal(cJSON_GetArraySize(events), 0);
    cJSON_Delete(events);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(timeline_tells_what_happened_in_its_order, set_up),
        cmocka_unit_test_setup(timeline_tells_how_many_rows_were_held_and_copied, set_up),
        cmocka_unit_test_setup(timeline_keeps_the_last_events, set_up),
        cmocka_unit_test_setup(timeline_cuts_what_is_too_long, set_up),
        cmocka_unit_test_setup(timeline_is_empty_at_first, set_up),
    };
    return cmocka_run_group_tests_name("lb timeline", tests, NULL, NULL);
}
