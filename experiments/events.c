#include "experiments/events.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/name.h"
#include "core/option.h"

#define MAX_WORDS 6
#define MAX_SERVERS_AT_ONCE 64

static const char *const action_names[] = {"kill", "stop", "cont", "rm", "add"};
#define N_ACTIONS (sizeof(action_names) / sizeof(action_names[0]))

const char *event_action_name(enum event_action action)
{
    return action_names[action];
}

/* Words between blanks into words[MAX_WORDS]; how many there are, or -E2BIG. */
static int words_of(struct arena *arena, const char *text, const char **words)
{
    int n = 0;
    for (;;) {
        text += strspn(text, " \t");
        size_t length = strcspn(text, " \t");
        if (!length)
            return n;
        if (n == MAX_WORDS)
            return -E2BIG;
        words[n++] = arena_strndup(arena, text, length);
        text += length;
    }
}

static int parse_time(const char *text, uint64_t *ret_ns, struct err *err)
{
    static const struct option_def def = {.name = "at",
                                          .type = OPTION_DURATION,
                                          .max = UINT64_C(600) * NS_PER_S,
                                          .metavar = "TIME",
                                          .help = "when"};
    /* 2.5s: an option takes whole numbers of a unit only. */
    char *end;
    double seconds = strtod(text, &end);
    if (isdigit((unsigned char)*text) && !strcmp(end, "s") && strchr(text, '.')) {
        if (seconds > 600)
            return err_set(err, -EINVAL, "at: %s is more than 600 s", text);
        *ret_ns = (uint64_t)(seconds * 1e6 + 0.5) * NS_PER_US;
        return 0;
    }
    return option_set(&def, ret_ns, text, err);
}

static int parse_count(const char *text, uint64_t max, uint64_t *ret_n, struct err *err)
{
    const struct option_def def = {.name = "count",
                                   .type = OPTION_U64,
                                   .min = 1,
                                   .max = max,
                                   .metavar = "N",
                                   .help = "how many"};
    return option_set(&def, ret_n, text, err);
}

/* "at TIME [every TIME times N]" */
static int parse_when(struct arena *arena, const char *text, uint64_t *ret_at_ns,
                      uint64_t *ret_every_ns, uint64_t *ret_times, struct err *err)
{
    const char *words[MAX_WORDS];
    int n = words_of(arena, text, words);
    bool once = n == 2, again = n == 6;
    if ((!once && !again) || strcmp(words[0], "at") ||
        (again && (strcmp(words[2], "every") || strcmp(words[4], "times"))))
        return err_set(err, -EINVAL, "'%s' is neither 'at TIME' nor 'at TIME every TIME times N'",
                       text);
    *ret_every_ns = 0;
    *ret_times = 1;
    int status = parse_time(words[1], ret_at_ns, err);
    if (status >= 0 && again)
        status = parse_time(words[3], ret_every_ns, err);
    if (status >= 0 && again)
        status = parse_count(words[5], EVENTS_MAX, ret_times, err);
    if (status >= 0 && again && *ret_every_ns == 0)
        return err_set(err, -EINVAL, "'%s': every 0 is never", text);
    return status;
}

static int fail_action(const char *word, struct err *err)
{
    const char *meant = option_suggest(word, action_names, N_ACTIONS);
    if (meant)
        return err_set(err, -EINVAL, "unknown event '%s': did you mean '%s'?", word, meant);
    return err_set(err, -EINVAL, "unknown event '%s': there are kill, stop, cont, rm, add", word);
}

static const char *label_of(struct arena *arena, const struct event *event)
{
    static const char *const verbs[] = {"SIGKILL", "SIGSTOP", "SIGCONT", "/rm", "/add"};
    const char *verb = verbs[event->action];
    if (!event->target)
        return arena_printf(arena, "%s %" PRIu64, verb, event->n);
    if (!strcmp(event->target, "random") || !strcmp(event->target, "last"))
        return verb;
    return arena_printf(arena, "%s %s", verb, event->target);
}

/* "kill Server1", "stop random", "rm 2" */
static int parse_what(struct arena *arena, const char *text, struct event *event, struct err *err)
{
    const char *words[MAX_WORDS];
    int n = words_of(arena, text, words);
    if (n != 2)
        return err_set(err, -EINVAL, "'%s' is not of the form 'ACTION SERVER' or 'ACTION N'", text);
    size_t action = 0;
    while (action < N_ACTIONS && strcmp(words[0], action_names[action]))
        action++;
    if (action == N_ACTIONS)
        return fail_action(words[0], err);
    event->action = (enum event_action)action;
    event->n = 1;
    event->target = NULL;
    bool signals = event->action <= EVENT_CONT;
    bool random = !strcmp(words[1], "random"), last = !strcmp(words[1], "last");
    if (!signals && !words[1][strspn(words[1], "0123456789")]) {
        if (parse_count(words[1], MAX_SERVERS_AT_ONCE, &event->n, err) < 0)
            return err_prefix(err, "%s", words[0]);
    } else if (random && event->action != EVENT_KILL && event->action != EVENT_STOP) {
        return err_set(err, -EINVAL, "%s: random goes with kill and stop%s", words[0],
                       signals ? "" : "; a number leaves the choice to the load balancer");
    } else if (last && event->action != EVENT_CONT) {
        return err_set(err, -EINVAL, "%s: last goes with cont, and is the one stopped last",
                       words[0]);
    } else if (!name_valid(words[1])) {
        return err_set(err, -EINVAL, "%s: '%s' is not the name of a server", words[0], words[1]);
    } else {
        event->target = words[1];
    }
    event->label = label_of(arena, event);
    return 0;
}

static void insert(struct event_list *list, const struct event *event)
{
    size_t i = list->n++;
    for (; i > 0 && list->at[i - 1].at_ns > event->at_ns; i--)
        list->at[i] = list->at[i - 1];
    list->at[i] = *event;
}

int events_add(struct event_list *list, struct arena *arena, const char *when, const char *what,
               struct err *err)
{
    struct event event = {0};
    uint64_t every_ns = 0, times = 1;
    int status = parse_when(arena, when, &event.at_ns, &every_ns, &times, err);
    if (status >= 0)
        status = parse_what(arena, what, &event, err);
    if (status < 0)
        return status;
    if (list->n + times > EVENTS_MAX)
        return err_set(err, -EINVAL, "more than %d events", EVENTS_MAX);
    for (uint64_t i = 0; i < times; i++, event.at_ns += every_ns)
        insert(list, &event);
    return 0;
}
