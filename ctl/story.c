#include "ctl/story.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "ctl/table.h"
#include "ctl/words.h"

/* One life of one server, as far as the timeline reaches back. */
struct life {
    uint64_t uid;
    const char *server;
    const struct cluster_event *spawned, *listens, *serving, *killed, *detected, *out, *draining,
        *drained, *exited, *failed;
    bool claimed; /* it replaced another */
};

static const struct cluster_event **slot_of(struct life *life, const char *step)
{
    const struct {
        const char *step;
        const struct cluster_event **slot;
    } slots[] = {
        {"spawned", &life->spawned},   {"listens", &life->listens}, {"serving", &life->serving},
        {"detected", &life->detected}, {"out", &life->out},         {"draining", &life->draining},
        {"drained", &life->drained},   {"exited", &life->exited},   {"failed", &life->failed},
        {"killed", &life->killed},
    };
    for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++)
        if (strcmp(slots[i].step, step) == 0)
            return slots[i].slot;
    return NULL; /* a step of a later version */
}

/* In the order in which they appear. */
static size_t gather_lives(const struct cluster *cluster, struct life *lives)
{
    size_t n = 0;
    for (size_t i = 0; i < cluster->n_events; i++) {
        const struct cluster_event *event = &cluster->events[i];
        size_t j = 0;
        while (j < n && lives[j].uid != event->uid)
            j++;
        if (j == n)
            lives[n++] = (struct life){.uid = event->uid, .server = event->server};
        const struct cluster_event **slot = slot_of(&lives[j], event->step);
        if (slot && !*slot)
            *slot = event;
    }
    return n;
}

static uint64_t time_of(const struct cluster_event *event)
{
    return event ? event->monotonic_ns : 0;
}

/* The first server that was asked for after this one was known to be lost. */
static struct life *claim_replacement(struct life *lives, size_t n, uint64_t lost_ns)
{
    for (size_t i = 0; i < n; i++) {
        struct life *life = &lives[i];
        if (!life->claimed && life->spawned && life->spawned->monotonic_ns >= lost_ns) {
            life->claimed = true;
            return life;
        }
    }
    return NULL;
}

static struct story begin(enum story_kind kind, const struct life *life,
                          const struct cluster_event *first)
{
    return (struct story){.kind = kind,
                          .server = life->server,
                          .uid = life->uid,
                          .at = first->at,
                          .cause = first->detail,
                          .began_ns = first->monotonic_ns};
}

/* The loss or failed start that ended a life, if one did. */
static bool tell_end(struct life *lives, size_t n, const struct life *life, struct story *story)
{
    if (life->failed)
        *story = begin(STORY_FAILED, life, life->failed);
    else if (life->detected)
        *story = begin(STORY_LOST, life, life->detected);
    else
        return false;
    story->detected_ns = story->began_ns;
    if (life->killed && life->killed->monotonic_ns < story->began_ns) {
        story->began_ns = life->killed->monotonic_ns;
        story->at = life->killed->at;
    }
    story->out_ns = time_of(life->out);
    const struct life *replacement = claim_replacement(lives, n, story->detected_ns);
    if (replacement) {
        story->replacement = replacement->server;
        story->spawned_ns = time_of(replacement->spawned);
        story->replaced_ns = time_of(replacement->serving);
    }
    return true;
}

static bool tell_removal(const struct life *life, struct story *story)
{
    if (!life->draining)
        return false;
    *story = begin(STORY_REMOVED, life, life->draining);
    story->drained_ns = time_of(life->drained);
    story->exited_ns = time_of(life->exited);
    return true;
}

static bool tell_start(const struct life *life, struct story *story)
{
    const struct cluster_event *first = life->spawned ? life->spawned : life->listens;
    /* What replaced another or never came up is told there. */
    if (!first || life->claimed || (life->failed && !life->serving))
        return false;
    *story = begin(life->spawned ? STORY_STARTED : STORY_ADOPTED, life, first);
    story->serving_ns = time_of(life->serving);
    return true;
}

static int compare_stories(const void *a, const void *b)
{
    const struct story *x = a, *y = b;
    if (x->began_ns != y->began_ns)
        return x->began_ns < y->began_ns ? -1 : 1;
    return (x->uid > y->uid) - (x->uid < y->uid);
}

/* Who was lost first is replaced first. */
static int compare_ends(const void *a, const void *b)
{
    const struct life *x = *(struct life *const *)a, *y = *(struct life *const *)b;
    uint64_t x_ns = time_of(x->failed ? x->failed : x->detected);
    uint64_t y_ns = time_of(y->failed ? y->failed : y->detected);
    return (x_ns > y_ns) - (x_ns < y_ns);
}

size_t stories_make(const struct cluster *cluster, struct story **ret_stories)
{
    struct life *lives = mem_zalloc(cluster->n_events + 1, sizeof(*lives));
    struct life **by_end = mem_zalloc(cluster->n_events + 1, sizeof(struct life *));
    size_t n_lives = gather_lives(cluster, lives), n = 0;
    struct story *stories = mem_zalloc(3 * n_lives + 1, sizeof(*stories));
    for (size_t i = 0; i < n_lives; i++)
        by_end[i] = &lives[i];
    if (n_lives > 1)
        qsort(by_end, n_lives, sizeof(struct life *), compare_ends);
    for (size_t i = 0; i < n_lives; i++) /* ends first: they claim starts */
        n += tell_end(lives, n_lives, by_end[i], &stories[n]);
    for (size_t i = 0; i < n_lives; i++) {
        n += tell_removal(&lives[i], &stories[n]);
        n += tell_start(&lives[i], &stories[n]);
    }
    if (n > 1)
        qsort(stories, n, sizeof(*stories), compare_stories);
    free(by_end);
    free(lives);
    *ret_stories = stories;
    return n;
}

/* ---- in words ---------------------------------------------------------------------------------
 */

static const char *after(const struct story *story, uint64_t ns, char *text)
{
    return words_latency(ns > story->began_ns ? ns - story->began_ns : 0, text);
}

static void print_healing(const struct story *story, const char *indent, struct buf *out)
{
    char text[WORDS_BYTES];
    if (story->detected_ns > story->began_ns)
        buf_appendf(out, "\n%snoticed %s after it was killed", indent,
                    after(story, story->detected_ns, text));
    if (story->out_ns)
        buf_appendf(out, "\n%sout of the placement after %s", indent,
                    after(story, story->out_ns, text));
    if (story->replaced_ns)
        buf_appendf(out, "\n%s%s serves instead after %s", indent, story->replacement,
                    after(story, story->replaced_ns, text));
    else if (story->replacement)
        buf_appendf(out, "\n%s%s was started instead after %s", indent, story->replacement,
                    after(story, story->spawned_ns, text));
}

void story_print(const struct story *story, const struct style *style, uint64_t now_wall_ns,
                 struct buf *out)
{
    char text[WORDS_BYTES];
    const char *end = style_end(style);
    words_time(story->at, now_wall_ns, text);
    int time_columns = (int)table_width(text);
    char *indent = mem_printf("%*s", time_columns + 4, "");
    buf_appendf(out, "  %s%s%s  %s ", style_begin(style, STYLE_DIM), text, end, story->server);
    switch (story->kind) {
    case STORY_STARTED:
    case STORY_ADOPTED:
        buf_append_str(out, story->kind == STORY_ADOPTED ? "found again" : "started");
        if (story->serving_ns)
            buf_appendf(out, ", serves after %s", after(story, story->serving_ns, text));
        break;
    case STORY_LOST:
        buf_appendf(out, "%slost%s: %s", style_begin(style, STYLE_RED), end,
                    story->cause ? story->cause : "no cause told");
        print_healing(story, indent, out);
        break;
    case STORY_FAILED:
        buf_appendf(out, "%scould not be started%s: %s", style_begin(style, STYLE_RED), end,
                    story->cause ? story->cause : "no cause told");
        print_healing(story, indent, out);
        break;
    case STORY_REMOVED:
        buf_append_str(out, "removed");
        if (story->drained_ns)
            buf_appendf(out, ", drained after %s", after(story, story->drained_ns, text));
        if (story->exited_ns)
            buf_appendf(out, ", ended after %s", after(story, story->exited_ns, text));
        break;
    }
    buf_append_str(out, "\n");
    free(indent);
}
