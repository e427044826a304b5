/* How to write a client: what sends the requests of `quoit load`.
 *
 * Copy this file to backends/client/NAME.c, fill in the hooks, and build: the macro in the last
 * line registers it, `quoit load --client NAME` drives it, and
 * tests/contract/client_contract_test.c holds it to its promises against a server that lies.
 * Nothing else needs an edit. This file is compiled, so that it stays true, and not linked.
 *
 * This one sends nothing: every request ends at the next turn of the loop as CLIENT_OTHER. Such a
 * client measures what the load generator itself costs. */
#include <stdlib.h>

#include "backends/client.h"
#include "core/clock.h"
#include "core/mem.h"

/* The values of your k=v options; omit struct and table if there are none. */
struct template_params {
    uint64_t connections;
};

struct template_client {
    struct client client; /* first: the hooks are given a pointer to it */
    struct client_config config;
    const struct client_handler *handler;
    void *context;
    uint64_t *submitted_ns; /* by slot; 0 = free */
    struct ev_timer turn;
};

/* Where answers are told. A slot is free before its on_done, since the handler may submit it again
 * from inside the call. */
static void on_turn(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct template_client *self = timer->data;

    (void)loop, (void)events;
    for (uint32_t slot = 0; slot < self->config.n_slots; slot++) {
        struct client_answer answer = {
            .error = CLIENT_OTHER,
            .submitted_ns = self->submitted_ns[slot],
            .done_ns = clock_now_ns(),
            .detail = "the template sends nothing",
        };
        if (answer.submitted_ns == 0)
            continue;
        self->submitted_ns[slot] = 0;
        self->handler->on_done(self->context, slot, &answer);
    }
}

/* Required. Connects to nothing yet: connections are opened by the requests that need them, and
 * what goes wrong then is those requests' answer. Only what a person got wrong (a bad combination
 * of options) is an error here. */
static int template_open(const void *params, const struct client_config *config,
                         const struct client_handler *handler, void *context,
                         struct client **ret_client, struct err *err);

/* Required. In-flight requests are dropped without on_done; no watcher may stay active. Never
 * called from inside on_done. */
static void template_close(struct client *client)
{
    struct template_client *self = (struct template_client *)client;

    ev_timer_stop(self->config.loop, &self->turn);
    free(self->submitted_ns);
    free(self);
}

/* Required. Takes the time, and sees to it that the request goes out in this turn of the loop at
 * the latest. Must not call on_done: an error found here is told at the next turn. */
static void template_submit(struct client *client, uint32_t slot,
                            const struct client_request *request)
{
    struct template_client *self = (struct template_client *)client;

    (void)request;
    self->submitted_ns[slot] = clock_now_ns();
    if (!ev_is_active(&self->turn)) {
        ev_timer_set(&self->turn, 0., 0.);
        ev_timer_start(self->config.loop, &self->turn);
    }
}

/* Required. */
static struct client_counts template_counts(const struct client *client)
{
    (void)client;
    return (struct client_counts){0};
}

static const struct option_def template_options[] = {
    {.name = "connections",
     .type = OPTION_U64,
     .offset = offsetof(struct template_params, connections),
     .metavar = "N",
     .fallback = "1",
     .min = 1,
     .help = "what the option does, one sentence, no full stop"},
    {.name = NULL},
};

static const struct client_ops template_ops = {
    .part = {.name = "template",
             .summary = "one line for a list of clients",
             .source = "paper, RFC or manual page",
             .options = template_options,
             .params_size = sizeof(struct template_params)},
    .open = template_open,
    .close = template_close,
    .submit = template_submit,
    .counts = template_counts,
};

static int template_open(const void *params, const struct client_config *config,
                         const struct client_handler *handler, void *context,
                         struct client **ret_client, struct err *err)
{
    const struct template_params *options = params;
    struct template_client *self = mem_zalloc(1, sizeof(*self));

    (void)options, (void)err;
    self->client.ops = &template_ops;
    self->config = *config;
    self->handler = handler;
    self->context = context;
    self->submitted_ns = mem_zalloc(config->n_slots, sizeof(*self->submitted_ns));
    ev_init(&self->turn, on_turn);
    self->turn.data = self;
    *ret_client = &self->client;
    return 0;
}

CLIENT_REGISTER(template_ops);
