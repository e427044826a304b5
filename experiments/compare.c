#include "experiments/compare.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "experiments/course.h"

/* ——— rows ——— */

const char *compare_verdict_text(enum compare_verdict verdict)
{
    static const char *const texts[] = {
        [COMPARE_TOO_FEW] = "too few samples", [COMPARE_NOT_SHOWN] = "no difference shown",
        [COMPARE_BETTER] = "better",           [COMPARE_WORSE] = "worse",
        [COMPARE_DIFFERENT] = "different",
    };
    return texts[verdict];
}

static enum compare_verdict judge(const struct compare_row *row)
{
    const struct interval *interval = &row->change.difference_interval;
    if (row->old->n < COMPARE_MIN_SAMPLES || row->new->n < COMPARE_MIN_SAMPLES)
        return COMPARE_TOO_FEW;
    if (interval->low <= 0 && interval->high >= 0)
        return COMPARE_NOT_SHOWN;
    if (row->old->better == COMPARE_NEITHER)
        return COMPARE_DIFFERENT;
    return (interval->low > 0) == (row->old->better == COMPARE_HIGHER) ? COMPARE_BETTER
                                                                       : COMPARE_WORSE;
}

static void make_row(struct compare_row *row, const struct compare_values *old,
                     const struct compare_values *new, uint64_t seed)
{
    row->old = old;
    row->new = new;
    row->old_median = stats_median(old->values, old->n);
    row->new_median = stats_median(new->values, new->n);
    row->change = stats_bootstrap_change(old->values, old->n, new->values, new->n, COMPARE_LEVEL,
                                         COMPARE_RESAMPLES, seed);
    row->verdict = judge(row);
    if (old->n == 1 && new->n == 1)
        row->change.difference_interval = row->change.ratio_interval = (struct interval){NAN, NAN};
}

static const struct compare_values *find_metric(const struct compare_point *point, const char *name)
{
    for (size_t i = 0; i < point->n_metrics; i++)
        if (!strcmp(point->metrics[i].name, name))
            return &point->metrics[i];
    return NULL;
}

static bool all_zero(const struct compare_values *values)
{
    return stats_max(values->values, values->n) <= 0 && stats_min(values->values, values->n) >= 0;
}

static void make_rows(struct compare *compare, struct compare_rows *rows,
                      const struct compare_point *old, const struct compare_point *new)
{
    rows->label = old->label;
    rows->rows = arena_zalloc(&compare->arena, old->n_metrics, sizeof(*rows->rows));
    for (size_t i = 0; i < old->n_metrics; i++) {
        const struct compare_values *is = find_metric(new, old->metrics[i].name);
        /* What is nothing on both sides, as a share of failed requests, is not worth a row. */
        if (is && !(all_zero(&old->metrics[i]) && all_zero(is)))
            make_row(&rows->rows[rows->n_rows++], &old->metrics[i], is, compare->seed);
    }
}

/* ——— notes ——— */

__attribute__((format(printf, 2, 3))) static void note(struct compare *compare, const char *format,
                                                       ...)
{
    struct buf text;
    const char **notes;
    va_list args;
    buf_init(&text, 0);
    va_start(args, format);
    buf_vappendf(&text, format, args);
    va_end(args);
    notes = arena_zalloc(&compare->arena, compare->n_notes + 1, sizeof(*notes));
    if (compare->n_notes)
        memcpy(notes, compare->notes, compare->n_notes * sizeof(*notes));
    notes[compare->n_notes++] = arena_strdup(&compare->arena, buf_str(&text));
    compare->notes = notes;
    buf_done(&text);
}

static void note_order(struct compare *compare)
{
    const struct compare_side *old = compare->old, *new = compare->new;
    if (!*old->began || !*new->began)
        return;
    if (old->is_experiment) {
        if (!strcmp(old->began, new->began))
            note(compare, "both are the same run, of %s", old->began);
        else
            note(
                compare,
                "not interleaved: OLD was measured from %s on and NEW from %s on, so that whatever "
                "else changed in between counts too",
                old->began, new->began);
    } else if (strcmp(old->ended, new->began) <= 0 || strcmp(new->ended, old->began) <= 0) {
        note(compare,
             "not interleaved: every sample of one side came before every one of the other (OLD "
             "%s to %s, NEW %s to %s), so that whatever else changed in between counts too",
             old->began, old->ended, new->began, new->ended);
    }
}

static const char *condition_of(const struct compare_side *side, const char *key)
{
    for (size_t i = 0; i < side->n_conditions; i++)
        if (!strcmp(side->conditions[i].key, key))
            return side->conditions[i].text;
    return NULL;
}

static void note_conditions(struct compare *compare)
{
    const struct compare_side *old = compare->old, *new = compare->new;
    for (size_t i = 0; i < old->n_conditions; i++) {
        const char *was = old->conditions[i].text;
        const char *is = condition_of(new, old->conditions[i].key);
        if (!is)
            note(compare, "%s is given in OLD only: %s", old->conditions[i].key, was);
        else if (strcmp(was, is))
            note(compare, "%s differs: %s, then %s", old->conditions[i].key, was, is);
    }
    for (size_t i = 0; i < new->n_conditions; i++)
        if (!condition_of(old, new->conditions[i].key))
            note(compare, "%s is given in NEW only: %s", new->conditions[i].key,
                 new->conditions[i].text);
    if (!old->is_experiment)
        note(compare, "results of quoit load do not say where they came about: that machine, "
                      "server and program were the same is not checked");
}

static void note_sides(struct compare *compare)
{
    const struct compare_side *sides[] = {compare->old, compare->new};
    static const char *const names[] = {"OLD", "NEW"};
    if (compare->old->counts_only)
        note(compare,
             "%s claims counts: whether the load generator was the bottleneck of its rates "
             "and latencies was not judged",
             compare->old->name);
    for (size_t i = 0; i < 2; i++) {
        if (sides[i]->dirty)
            note(compare,
                 "%s was measured with uncommitted changes: its commit does not say what ran",
                 names[i]);
        if (sides[i]->failed)
            note(compare, "%s has failed requests: rate and latency are those of the good answers",
                 names[i]);
    }
}

static void note_samples(struct compare *compare)
{
    const struct compare_side *old = compare->old, *new = compare->new;
    size_t n_rows = 0, n_shown = 0;
    if (old->n_samples < COMPARE_MIN_SAMPLES || new->n_samples < COMPARE_MIN_SAMPLES)
        note(compare,
             "%zu and %zu samples: with fewer than %u on a side chance orders them so too often to "
             "call anything better or worse",
             old->n_samples, new->n_samples, COMPARE_MIN_SAMPLES);
    for (size_t i = 0; i < compare->n_points; i++) {
        for (size_t r = 0; r < compare->points[i].n_rows; r++) {
            enum compare_verdict verdict = compare->points[i].rows[r].verdict;
            n_rows += verdict != COMPARE_TOO_FEW;
            n_shown += verdict > COMPARE_NOT_SHOWN;
        }
    }
    if (n_shown && n_rows >= 10)
        note(compare,
             "%zu numbers are compared at %g %% each: chance alone makes about %.0f of them look "
             "different",
             n_rows, 100 * COMPARE_LEVEL, ceil((1 - COMPARE_LEVEL) * (double)n_rows));
}

/* ——— all of it ——— */

static int check_same(const struct compare_side *old, const struct compare_side *new,
                      struct err *err)
{
    if (old->is_experiment != new->is_experiment)
        return err_set(err, -EINVAL, "%s is a result of quoit %s, and %s one of quoit %s",
                       old->path, old->is_experiment ? "run" : "load", new->path,
                       new->is_experiment ? "run" : "load");
    if (strcmp(old->name, new->name))
        return err_set(err, -EINVAL, "not the same %s: %s in %s, %s in %s",
                       old->is_experiment ? "experiment" : "target", old->name, old->path,
                       new->name, new->path);
    if (strcmp(old->kind, new->kind))
        return err_set(err, -EINVAL, "not the same %s: %s in %s, %s in %s",
                       old->is_experiment ? "axis" : "kind of load", old->kind, old->path,
                       new->kind, new->path);
    if (old->n_points != new->n_points)
        return err_set(err, -EINVAL, "%s has %zu points and %s has %zu", old->path, old->n_points,
                       new->path, new->n_points);
    return 0;
}

int compare_make(const struct compare_side *old, const struct compare_side *new, uint64_t seed,
                 struct compare *ret_compare, struct err *err)
{
    struct compare *compare = ret_compare;
    int status;
    *compare = (struct compare){.old = old, .new = new, .seed = seed};
    arena_init(&compare->arena);
    status = check_same(old, new, err);
    if (status < 0)
        return status;
    compare->n_points = old->n_points;
    compare->points = arena_zalloc(&compare->arena, compare->n_points, sizeof(*compare->points));
    for (size_t i = 0; i < compare->n_points; i++)
        make_rows(compare, &compare->points[i], &old->points[i], &new->points[i]);
    note_samples(compare);
    note_order(compare);
    note_sides(compare);
    note_conditions(compare);
    return 0;
}

void compare_done(struct compare *compare)
{
    arena_done(&compare->arena);
}

/* ——— limits ——— */

static const char *skip_blanks(const char *at)
{
    while (isblank((unsigned char)*at))
        at++;
    return at;
}

/* "kill.serving" */
static bool is_event_metric(const char *name)
{
    const char *dot = strchr(name, '.');
    for (int action = 0; dot && action <= EVENT_ADD; action++) {
        const char *word = event_action_name((enum event_action)action);
        if (strlen(word) != (size_t)(dot - name) || memcmp(word, name, strlen(word)))
            continue;
        if (!strcmp(dot + 1, "failed"))
            return true;
        for (int step = 0; step < COURSE_N_STEPS; step++)
            if (!strcmp(dot + 1, course_steps[step].name))
                return course_step_follows((enum course_step)step, (enum event_action)action);
    }
    return false;
}

static bool known_metric(const char *name)
{
    static const char *const names[] = {"rate", "p50", "p90",    "p99",          "p99.9",
                                        "max",  "cpu", "failed", "peak_to_mean", NULL};
    const char *const *known = names;
    while (*known && strcmp(*known, name))
        known++;
    return *known || (!strncmp(name, "share:", 6) && name[6]) || is_event_metric(name);
}

static int refuse_limit(const char *text, const char *why, struct err *err)
{
    return err_set(err, -EINVAL,
                   "'%s': %s; it reads METRIC OP PERCENT, as in rate<-5%% or p99>+10%%, with rate, "
                   "p50, p90, p99, p99.9, max, cpu, failed, peak_to_mean, share:SERVER or "
                   "EVENT.STEP (kill.serving, kill.failed)",
                   text, why);
}

int compare_limit_parse(const char *text, struct compare_limit *ret_limit, struct err *err)
{
    struct compare_limit limit = {.text = text};
    const char *name = skip_blanks(text), *at = name + strcspn(name, "<> \t");
    size_t n = (size_t)(at - name);
    char *end;
    if (n >= sizeof(limit.metric))
        return refuse_limit(text, "the metric's name is too long", err);
    memcpy(limit.metric, name, n);
    if (!known_metric(limit.metric))
        return refuse_limit(text, "no such metric", err);
    at = skip_blanks(at);
    if (*at != '<' && *at != '>')
        return refuse_limit(text, "no < or > after the metric", err);
    limit.below = *at++ == '<';
    limit.or_equal = *at == '=';
    at = skip_blanks(at + limit.or_equal);
    limit.percent = strtod(at, &end);
    if (end == at || !isfinite(limit.percent) || !strchr("+-.0123456789", *at))
        return refuse_limit(text, "no number after the operator", err);
    at = skip_blanks(end);
    if (*at != '%')
        return refuse_limit(text, "no % after the number", err);
    if (*skip_blanks(at + 1))
        return refuse_limit(text, "something follows the %", err);
    *ret_limit = limit;
    return 0;
}

/* Of the medians, in percent of OLD's. */
static double change_percent(const struct compare_row *row)
{
    if (isfinite(row->change.ratio))
        return 100 * (row->change.ratio - 1);
    return row->change.difference > 0 ? INFINITY : row->change.difference < 0 ? -INFINITY : 0;
}

struct compare_limit_outcome compare_limit_judge(const struct compare_limit *limit,
                                                 const struct compare *compare, size_t point)
{
    const struct compare_rows *rows = &compare->points[point];
    struct compare_limit_outcome outcome = {
        .limit = limit, .label = rows->label, .percent = NAN, .missed = true};
    const struct compare_values *old = find_metric(&compare->old->points[point], limit->metric);
    const struct compare_values *new = find_metric(&compare->new->points[point], limit->metric);
    if (!old || !new)
        return outcome;
    outcome.percent = 0; /* without a row it is 0 on both sides */
    outcome.missed = false;
    for (size_t i = 0; i < rows->n_rows; i++) {
        if (rows->rows[i].old != old)
            continue;
        outcome.percent = change_percent(&rows->rows[i]);
        if (rows->rows[i].verdict == COMPARE_NOT_SHOWN)
            return outcome;
    }
    outcome.missed =
        limit->below ? outcome.percent < limit->percent : outcome.percent > limit->percent;
    /* Written so that equality is exact by both: neither below nor above. */
    if (limit->or_equal && !(outcome.percent < limit->percent) &&
        !(outcome.percent > limit->percent))
        outcome.missed = true;
    return outcome;
}
