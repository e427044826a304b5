#include "lb/digest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/json.h"
#include "core/mem.h"
#include "lb/control.h"
#include "lb/shard_digest.h"

#define MAX_COMPARISONS 4u
/* Of the first look. A server that counts a shard's rows one by one takes a second for a million.
 */
#define LOOK_S 6.
/* Of a hold, the wait for what is under way and for the digests in it. */
#define HELD_S 2.
/* No shard is held any more after this. */
#define ALL_NS (30 * NS_PER_S)
#define MAX_ANSWER_BYTES 65536u

/* One replica of one shard. */
struct view {
    struct httpc_request call; /* first member */
    struct comparison *comparison;
    uint64_t uid;
    char server[NAME_MAX_BYTES + 1];
    bool awaited;
    char error[80]; /* "": it answered */
    struct shard_digest digest;
};

struct compared {
    struct table_shard *shard;
    struct view *views;
    size_t n_views;
    bool was_held;  /* it was to be asked again, */
    bool was_asked; /* and was */
};

struct desk {
    uint64_t uid;
    struct httpc *httpc;
};

struct comparison {
    struct comparison *next;
    struct control *control;
    struct admin_call *call;
    uint64_t number, begun_ns;
    struct compared *shards;
    size_t n_shards;
    struct desk *desks; /* one a server that was asked */
    size_t n_desks;
    struct compared *held; /* LETTER_HOLD was sent for it; NULL: none */
    size_t n_awaited;
    struct ev_timer timer; /* of the look under way; then it frees */
};

/* ---- the end ----------------------------------------------------------------------------------
 */

static void tell_writer(struct comparison *comparison, enum letter_type type)
{
    struct shard_letter *letter = shard_letter_new(type, &comparison->held->shard->live);
    letter->base.version = comparison->number;
    control_tell_writer(comparison->control, &letter->base);
}

static void let_go(struct comparison *comparison)
{
    if (comparison->held)
        tell_writer(comparison, LETTER_LET);
    comparison->held = NULL;
}

static void disconnect(struct comparison *comparison)
{
    for (size_t i = 0; i < comparison->n_desks; i++)
        httpc_free(comparison->desks[i].httpc);
    free(comparison->desks);
    comparison->desks = NULL;
    comparison->n_desks = 0;
}

static void on_dead(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    struct comparison *comparison = timer->data;
    digest_free_dead(comparison->control);
}

/* It was answered. It is freed at the loop's next turn: a connection that broke may still go
 * through requests that lie in it. */
static void end(struct comparison *comparison)
{
    struct control *control = comparison->control;
    struct comparison **link = &control->comparisons.first;
    let_go(comparison);
    disconnect(comparison);
    while (*link != comparison)
        link = &(*link)->next;
    *link = comparison->next;
    comparison->next = control->comparisons.dead;
    control->comparisons.dead = comparison;
    ev_timer_stop(control->loop, &comparison->timer);
    ev_set_cb(&comparison->timer, on_dead);
    ev_timer_set(&comparison->timer, 0., 0.);
    ev_timer_start(control->loop, &comparison->timer);
}

void digest_free_dead(struct control *control)
{
    while (control->comparisons.dead) {
        struct comparison *comparison = control->comparisons.dead;
        control->comparisons.dead = comparison->next;
        ev_timer_stop(control->loop, &comparison->timer);
        for (size_t i = 0; i < comparison->n_shards; i++)
            free(comparison->shards[i].views);
        free(comparison->shards);
        free(comparison);
    }
}

void digest_stop_all(struct control *control)
{
    while (control->comparisons.first) {
        struct comparison *comparison = control->comparisons.first;
        answer_refuse(control, comparison->call, 503, "the load balancer is ending");
        end(comparison);
    }
}

/* ---- the answer -------------------------------------------------------------------------------
 */

static bool is_equal(const struct compared *compared)
{
    for (size_t i = 0; i < compared->n_views; i++) {
        const struct view *view = &compared->views[i];
        if (view->error[0] || !shard_digest_equal(&view->digest, &compared->views[0].digest))
            return false;
    }
    return compared->n_views > 0;
}

static void print_view(const struct view *view, struct buf *out)
{
    buf_appendf(out, "{\"server\":\"%s\"", view->server);
    if (view->error[0]) {
        buf_append_str(out, ",\"error\":");
        json_escape(out, view->error, strlen(view->error));
    } else {
        buf_appendf(out, ",\"rows\":%" PRIu64 ",\"checksum\":\"%016" PRIx64 "\"",
                    view->digest.n_rows, view->digest.checksum);
    }
    buf_append_str(out, "}");
}

static void answer(struct comparison *comparison)
{
    struct buf *out = &comparison->call->answer;
    bool equal = true;
    for (size_t i = 0; i < comparison->n_shards; i++)
        equal &= is_equal(&comparison->shards[i]);
    buf_appendf(out, "{\"equal\":%s,\"shards\":[", equal ? "true" : "false");
    for (size_t i = 0; i < comparison->n_shards; i++) {
        const struct compared *compared = &comparison->shards[i];
        buf_appendf(out, "%s{\"shard\":\"%s\",\"equal\":%s,\"replicas\":[", i > 0 ? "," : "",
                    compared->shard->range.name, is_equal(compared) ? "true" : "false");
        for (size_t k = 0; k < compared->n_views; k++) {
            buf_append_str(out, k > 0 ? "," : "");
            print_view(&compared->views[k], out);
        }
        buf_append_str(out, "]");
        if (!is_equal(compared) && !compared->was_asked)
            buf_append_str(out, ",\"error\":\"its changes could not be held in time\"");
        buf_append_str(out, "}");
    }
    buf_append_str(out, "],\"status\":\"successful\"}");
    answer_send(comparison->control, comparison->call, 200, "application/json");
    end(comparison);
}

/* ---- asking -----------------------------------------------------------------------------------
 */

static void go_on(struct comparison *comparison);

static void settle(struct view *view)
{
    struct comparison *comparison = view->comparison;
    view->awaited = false;
    if (--comparison->n_awaited == 0)
        go_on(comparison);
}

static void on_answer(struct httpc_request *call, const struct http_message *message)
{
    struct view *view = (struct view *)call;
    if (!view->awaited)
        return;
    if (shard_digest_read(message, &view->digest) != 0)
        snprintf(view->error, sizeof(view->error), "its /digest answered %u", message->status);
    settle(view);
}

static void on_failure(struct httpc_request *call, int code, bool sent)
{
    struct view *view = (struct view *)call;
    (void)sent;
    if (!view->awaited)
        return;
    snprintf(view->error, sizeof(view->error), "%.70s", err_errno_text(code));
    settle(view);
}

static struct httpc *desk_of(struct comparison *comparison, const struct member *member)
{
    for (size_t i = 0; i < comparison->n_desks; i++)
        if (comparison->desks[i].uid == member->uid)
            return comparison->desks[i].httpc;
    struct control *control = comparison->control;
    struct httpc *httpc = httpc_new(&(struct httpc_config){.loop = control->loop,
                                                           .flusher = &control->flusher,
                                                           .addr = member->addr,
                                                           .max_body_bytes = MAX_ANSWER_BYTES});
    comparison->desks =
        mem_realloc(comparison->desks, comparison->n_desks + 1, sizeof(*comparison->desks));
    comparison->desks[comparison->n_desks++] = (struct desk){member->uid, httpc};
    return httpc;
}

/* Asks the shard's replicas that are READY now. */
static void ask(struct comparison *comparison, struct compared *compared)
{
    struct table_shard *shard = compared->shard;
    size_t n = database_count(shard, REPLICA_READY);
    free(compared->views);
    compared->views = mem_zalloc(n + 1, sizeof(*compared->views));
    compared->n_views = 0;
    for (struct replica *replica = shard->replicas; replica; replica = replica->next) {
        if (replica->state != REPLICA_READY)
            continue;
        const struct member *member = member_find(comparison->control, replica->uid);
        struct view *view = &compared->views[compared->n_views++];
        view->call = (struct httpc_request){.on_answer = on_answer, .on_failure = on_failure};
        view->comparison = comparison;
        view->uid = member->uid;
        memcpy(view->server, member->name, sizeof(view->server));
        int rc = shard_ask(desk_of(comparison, member), &view->call, "/digest", shard->range.name,
                           NULL, 0, (struct shard_age){0});
        if (rc != 0) {
            snprintf(view->error, sizeof(view->error), "%.70s", err_errno_text(rc));
            continue;
        }
        view->awaited = true;
        comparison->n_awaited++;
    }
}

static void start_timer(struct comparison *comparison, double after_s)
{
    ev_timer_stop(comparison->control->loop, &comparison->timer);
    ev_timer_set(&comparison->timer, after_s, 0.);
    ev_timer_start(comparison->control->loop, &comparison->timer);
}

/* A look is over: the next shard that is to be asked again, or the answer. */
static void go_on(struct comparison *comparison)
{
    let_go(comparison);
    bool late = clock_now_ns() > comparison->begun_ns + ALL_NS;
    for (size_t i = 0; i < comparison->n_shards && !late; i++) {
        struct compared *compared = &comparison->shards[i];
        if (compared->was_held || is_equal(compared))
            continue;
        compared->was_held = true;
        comparison->held = compared;
        start_timer(comparison, HELD_S);
        tell_writer(comparison, LETTER_HOLD);
        return;
    }
    answer(comparison);
}

/* Whoever has not answered is not waited for any longer, and his connection is of no more use. */
static void on_late(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    struct comparison *comparison = timer->data;
    for (size_t i = 0; i < comparison->n_shards; i++) {
        struct compared *compared = &comparison->shards[i];
        for (size_t k = 0; k < compared->n_views; k++) {
            struct view *view = &compared->views[k];
            if (view->awaited)
                snprintf(view->error, sizeof(view->error), "no answer in time");
            view->awaited = false;
        }
    }
    comparison->n_awaited = 0;
    disconnect(comparison);
    go_on(comparison);
}

void digest_on_held(struct control *control, const struct shard_letter *letter)
{
    struct comparison *comparison = control->comparisons.first;
    while (comparison && comparison->number != letter->base.version)
        comparison = comparison->next;
    if (!comparison || !comparison->held || &comparison->held->shard->live != letter->live)
        return;
    comparison->held->was_asked = true;
    comparison->n_awaited = 1; /* so that it does not go on while it asks */
    ask(comparison, comparison->held);
    if (--comparison->n_awaited == 0)
        go_on(comparison);
}

void digest_begin(struct control *control, struct admin_call *call)
{
    const struct database *database = &control->database;
    size_t n = 0;
    for (const struct comparison *other = control->comparisons.first; other; other = other->next)
        n++;
    if (!database->configured || control->stopping || n >= MAX_COMPARISONS) {
        if (control->stopping)
            answer_refuse(control, call, 503, "the load balancer is ending");
        else if (!database->configured)
            answer_refuse(control, call, 409, "there is no database yet: POST /init first");
        else
            answer_refuse(control, call, 503, "%zu comparisons are under way already", n);
        return;
    }
    struct comparison *comparison = mem_zalloc(1, sizeof(*comparison));
    comparison->control = control;
    comparison->call = call;
    comparison->number = ++control->comparisons.n_begun;
    comparison->begun_ns = clock_now_ns();
    comparison->shards = mem_zalloc(database->n_shards + 1, sizeof(*comparison->shards));
    comparison->next = control->comparisons.first;
    control->comparisons.first = comparison;
    ev_init(&comparison->timer, on_late);
    comparison->timer.data = comparison;
    start_timer(comparison, LOOK_S);
    for (size_t i = 0; i < database->n_shards; i++)
        if (!database->shards[i]->operation)
            comparison->shards[comparison->n_shards++].shard = database->shards[i];
    comparison->n_awaited = 1; /* as above */
    for (size_t i = 0; i < comparison->n_shards; i++)
        ask(comparison, &comparison->shards[i]);
    if (--comparison->n_awaited == 0)
        go_on(comparison);
}
