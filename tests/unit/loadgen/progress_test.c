#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "loadgen/progress.h"

static const char *format(const struct progress_state *state, double rate, unsigned cells,
                          bool colour)
{
    static char text[512];
    struct buf line;

    buf_init(&line, sizeof(text) - 1);
    progress_format(&line, state, rate, cells, colour);
    snprintf(text, sizeof(text), "%s", buf_str(&line));
    buf_done(&line);
    return text;
}

static void a_line_says_count_rate_and_time_left(void **state)
{
    const struct progress_state half = {
        .n_done = 5000, .elapsed_ns = NS_PER_S, .limit = {10000, 0}};

    (void)state;
    assert_string_equal(format(&half, 2500., 0, false),
                        "5000 of 10000 (50 %), 2500 requests/s, ETA 2 s");
}

static void failures_and_warmup_are_named(void **state)
{
    const struct progress_state failing = {
        .warming_up = true, .n_done = 9, .n_failed = 3, .elapsed_ns = 1, .limit = {10, 0}};

    (void)state;
    assert_string_equal(format(&failing, 1., 0, false),
                        "warm-up: 9 of 10 (90 %), 1 requests/s, 3 failed, ETA 1 s");
}

static void the_bar_fills_and_colour_only_when_asked(void **state)
{
    struct progress_state progress = {.n_done = 0, .limit = {100, 0}};

    (void)state;
    assert_non_null(strstr(format(&progress, 1., 10, false), "[>         ] 0 of 100"));
    progress.n_done = 50;
    assert_non_null(strstr(format(&progress, 1., 10, false), "[=====>    ] 50 of 100"));
    progress.n_done = 100;
    assert_non_null(strstr(format(&progress, 1., 10, false), "[==========] 100 of 100 (100 %)"));
    assert_null(strchr(format(&progress, 1., 10, false), '\033'));
    assert_non_null(strchr(format(&progress, 1., 10, true), '\033'));
}

static void time_left_follows_the_nearer_limit(void **state)
{
    const struct progress_state by_time = {
        .n_done = 100, .elapsed_ns = 4 * NS_PER_S, .limit = {0, 10 * NS_PER_S}};
    const struct progress_state both = {
        .n_done = 100, .elapsed_ns = 4 * NS_PER_S, .limit = {150, 10 * NS_PER_S}};

    (void)state;
    assert_float_equal(progress_eta_s(&by_time, 1.), 6., 1e-9);
    assert_float_equal(progress_fraction(&by_time), .4, 1e-9);
    assert_float_equal(progress_eta_s(&both, 25.), 2., 1e-9);
    assert_true(fabs(progress_fraction(&both) - 2. / 3.) < 1e-9);
}

static void time_left_is_never_infinite(void **state)
{
    const struct progress_state stalled = {.n_done = 10, .elapsed_ns = 1, .limit = {100, 0}};
    const struct progress_state huge = {.n_done = 10, .elapsed_ns = 1, .limit = {UINT64_MAX, 0}};
    const struct progress_state over = {
        .n_done = 200, .elapsed_ns = 9 * NS_PER_S, .limit = {100, NS_PER_S}};

    (void)state;
    assert_non_null(strstr(format(&stalled, 0., 0, false), "ETA unknown"));
    assert_non_null(strstr(format(&huge, 1000., 0, false), " days"));
    assert_non_null(strstr(format(&over, 1000., 0, false), "(100 %), 1000 requests/s, ETA 0 s"));
    assert_float_equal(progress_eta_s(&over, 0.), 0., 0.);
}

static void long_waits_are_written_as_a_clock(void **state)
{
    const struct progress_state state_1h = {.n_done = 0, .elapsed_ns = 1, .limit = {3723, 0}};

    (void)state;
    assert_non_null(strstr(format(&state_1h, 1., 0, false), "ETA 1:02:03"));
}

static void a_file_gets_plain_lines_and_quiet_gets_nothing(void **state)
{
    struct progress_state at = {.n_done = 500, .elapsed_ns = NS_PER_S, .limit = {1000, 0}};
    char text[256] = "";
    FILE *file = tmpfile();
    struct progress progress;

    (void)state;
    progress_init(&progress, file);
    assert_true(progress_interval_s(&progress) >= 1.);
    progress_show(&progress, &at);
    at.n_done = 800;
    at.elapsed_ns = 2 * NS_PER_S;
    progress_show(&progress, &at);
    progress_clear(&progress);
    rewind(file);
    assert_true(fread(text, 1, sizeof(text) - 1, file) > 0);
    assert_string_equal(text, "500 of 1000 (50 %), 500 requests/s, ETA 1 s\n"
                              "800 of 1000 (80 %), 300 requests/s, ETA 1 s\n");
    fclose(file);

    progress_init(&progress, NULL);
    progress_show(&progress, &at);
    progress_clear(&progress);
}

static void the_rate_starts_anew_with_the_measured_phase(void **state)
{
    struct progress_state at = {
        .warming_up = true, .n_done = 900, .elapsed_ns = 3 * NS_PER_S, .limit = {1000, 0}};
    FILE *file = tmpfile();
    struct progress progress;

    (void)state;
    progress_init(&progress, file);
    progress_show(&progress, &at);
    at = (struct progress_state){.n_done = 100, .elapsed_ns = NS_PER_S, .limit = {1000, 0}};
    progress_show(&progress, &at);
    assert_float_equal(progress.rate, 100., 1e-9);
    fclose(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_says_count_rate_and_time_left),
        cmocka_unit_test(failures_and_warmup_are_named),
        cmocka_unit_test(the_bar_fills_and_colour_only_when_asked),
        cmocka_unit_test(time_left_follows_the_nearer_limit),
        cmocka_unit_test(time_left_is_never_infinite),
        cmocka_unit_test(long_waits_are_written_as_a_clock),
        cmocka_unit_test(a_file_gets_plain_lines_and_quiet_gets_nothing),
        cmocka_unit_test(the_rate_starts_anew_with_the_measured_phase),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
