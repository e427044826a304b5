#include "loadgen/threshold.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/mem.h"
#include "core/option.h"

static const struct {
    const char *name;
    enum threshold_metric metric;
} names[] = {
    {"min", THRESHOLD_MIN},       {"mean", THRESHOLD_MEAN}, {"max", THRESHOLD_MAX},
    {"errors", THRESHOLD_ERRORS}, {"late", THRESHOLD_LATE}, {"dropped", THRESHOLD_DROPPED},
    {"rate", THRESHOLD_RATE},
};

static const char known[] = "known are p50, p99, p99.9 … min, mean, max (each also as service.p99, "
                            "lag.p99 …), errors, late, dropped, rate";

static bool is_time(enum threshold_metric metric)
{
    return metric <= THRESHOLD_MAX;
}

static bool is_count(enum threshold_metric metric)
{
    return metric == THRESHOLD_ERRORS || metric == THRESHOLD_LATE || metric == THRESHOLD_DROPPED;
}

struct cursor {
    const char *text;
    const char *at;
    struct err *err;
};

static int fail(const struct cursor *cursor, const char *wanted)
{
    if (*cursor->at)
        return err_set(cursor->err, -EINVAL, "'%s', at character %zu ('%.12s'): %s", cursor->text,
                       (size_t)(cursor->at - cursor->text) + 1, cursor->at, wanted);
    return err_set(cursor->err, -EINVAL, "'%s', at its end: %s", cursor->text, wanted);
}

static void skip_blanks(struct cursor *cursor)
{
    while (isblank((unsigned char)*cursor->at))
        cursor->at++;
}

static bool take(struct cursor *cursor, const char *word)
{
    size_t n = strlen(word);

    if (strncmp(cursor->at, word, n) != 0)
        return false;
    cursor->at += n;
    return true;
}

/* "99.9", digits and at most one point between them; 0 … 100. */
static int parse_percentile(struct cursor *cursor, struct threshold *threshold)
{
    size_t n = strspn(cursor->at, "0123456789.");
    char *end;

    threshold->metric = THRESHOLD_PERCENTILE;
    threshold->percentile = strtod(cursor->at, &end);
    if (end != cursor->at + n || threshold->percentile > 100. || n > 12)
        return fail(cursor, "a percentile is a number from 0 to 100, as in p99.9");
    cursor->at = end;
    return 0;
}

static int parse_metric(struct cursor *cursor, struct threshold *threshold)
{
    const char *begin = cursor->at;

    if (take(cursor, "service."))
        threshold->of = THRESHOLD_OF_SERVICE;
    else if (take(cursor, "lag."))
        threshold->of = THRESHOLD_OF_LAG;
    if (cursor->at[0] == 'p' && isdigit((unsigned char)cursor->at[1])) {
        cursor->at++;
        return parse_percentile(cursor, threshold);
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        size_t n = strlen(names[i].name);
        if (strncmp(cursor->at, names[i].name, n) != 0 || isalnum((unsigned char)cursor->at[n]))
            continue;
        threshold->metric = names[i].metric;
        if (threshold->of != THRESHOLD_OF_LATENCY && !is_time(threshold->metric))
            break;
        cursor->at += n;
        return 0;
    }
    cursor->at = begin;
    return fail(cursor, known);
}

static int parse_op(struct cursor *cursor, struct threshold *threshold)
{
    if (take(cursor, ">="))
        threshold->op = THRESHOLD_AT_LEAST;
    else if (take(cursor, ">"))
        threshold->op = THRESHOLD_ABOVE;
    else if (take(cursor, "<="))
        threshold->op = THRESHOLD_AT_MOST;
    else if (take(cursor, "<"))
        threshold->op = THRESHOLD_BELOW;
    else
        return fail(cursor, "one of > >= < <= is wanted");
    return 0;
}

static int parse_duration(struct cursor *cursor, struct threshold *threshold)
{
    struct value {
        uint64_t ns;
    } value;
    static const struct option_def duration = {
        .name = "value", .type = OPTION_DURATION, .offset = offsetof(struct value, ns)};
    size_t n = strcspn(cursor->at, " \t");
    char *word = mem_strndup(cursor->at, n);
    int rc = option_set(&duration, &value, word, NULL);

    free(word);
    if (rc < 0)
        return fail(cursor, "a duration with its unit is wanted, such as 10ms or 250us");
    threshold->value = (double)value.ns / (double)NS_PER_MS;
    cursor->at += n;
    return 0;
}

static int parse_number(struct cursor *cursor, struct threshold *threshold)
{
    struct value {
        double number;
    } value;
    static const struct option_def number = {
        .name = "value", .type = OPTION_DOUBLE, .offset = offsetof(struct value, number)};
    size_t n = strcspn(cursor->at, " \t%");
    char *word = mem_strndup(cursor->at, n);
    int rc = option_set(&number, &value, word, NULL);

    free(word);
    if (rc < 0)
        return fail(cursor, "a number is wanted");
    threshold->value = value.number;
    cursor->at += n;
    if (is_count(threshold->metric) && take(cursor, "%"))
        threshold->percent = true;
    return 0;
}

int threshold_parse(const char *text, struct threshold *ret_threshold, struct err *err)
{
    struct threshold threshold = {.text = text};
    struct cursor cursor = {text, text, err};
    int rc;

    skip_blanks(&cursor);
    rc = parse_metric(&cursor, &threshold);
    if (rc < 0)
        return rc;
    skip_blanks(&cursor);
    rc = parse_op(&cursor, &threshold);
    if (rc < 0)
        return rc;
    skip_blanks(&cursor);
    rc = is_time(threshold.metric) ? parse_duration(&cursor, &threshold)
                                   : parse_number(&cursor, &threshold);
    if (rc < 0)
        return rc;
    skip_blanks(&cursor);
    if (*cursor.at)
        return fail(&cursor, "nothing may follow the value");
    *ret_threshold = threshold;
    return 0;
}

static double time_of(const struct threshold *threshold, const struct hist *hist)
{
    switch (threshold->metric) {
    case THRESHOLD_PERCENTILE:
        return (double)hist_percentile(hist, threshold->percentile) / (double)NS_PER_MS;
    case THRESHOLD_MIN:
        return (double)hist_min(hist) / (double)NS_PER_MS;
    case THRESHOLD_MAX:
        return (double)hist_max(hist) / (double)NS_PER_MS;
    default:
        assert(threshold->metric == THRESHOLD_MEAN);
        return hist_mean(hist) / (double)NS_PER_MS;
    }
}

/* Whether there is a value, and which. */
static bool measure(const struct threshold *threshold, const struct result *result,
                    double *ret_value)
{
    const struct hist *of[] = {result->latency, result->service, result->lag};
    /* Closed loop: the service time is the latency. */
    const struct hist *hist = of[threshold->of] || threshold->of == THRESHOLD_OF_LAG
                                  ? of[threshold->of]
                                  : result->latency;
    const double n_all = (double)(result_requests(result) + result->n_dropped);
    double count;

    if (is_time(threshold->metric)) {
        if (!hist || hist_count(hist) == 0)
            return false;
        *ret_value = time_of(threshold, hist);
        return true;
    }
    if (threshold->metric == THRESHOLD_RATE) {
        *ret_value = result_rate(result);
        return true;
    }
    count = (double)(threshold->metric == THRESHOLD_ERRORS ? result->n_failed
                     : threshold->metric == THRESHOLD_LATE ? result->n_late
                                                           : result->n_dropped);
    if (threshold->percent && n_all <= 0.)
        return false;
    *ret_value = threshold->percent ? 100. * count / n_all : count;
    return true;
}

struct threshold_outcome threshold_judge(const struct threshold *threshold,
                                         const struct result *result)
{
    struct threshold_outcome outcome = {.threshold = threshold};
    const double limit = threshold->value;

    outcome.known = measure(threshold, result, &outcome.value);
    if (!outcome.known) {
        outcome.missed = true;
        return outcome;
    }
    switch (threshold->op) {
    case THRESHOLD_ABOVE:
        outcome.missed = outcome.value > limit;
        break;
    case THRESHOLD_AT_LEAST:
        outcome.missed = outcome.value >= limit;
        break;
    case THRESHOLD_BELOW:
        outcome.missed = outcome.value < limit;
        break;
    case THRESHOLD_AT_MOST:
        outcome.missed = outcome.value <= limit;
        break;
    }
    return outcome;
}

const char *threshold_unit(const struct threshold *threshold)
{
    if (is_time(threshold->metric))
        return "ms";
    if (threshold->metric == THRESHOLD_RATE)
        return "/s";
    return threshold->percent ? "%" : "";
}
