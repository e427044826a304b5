#include "loadgen/inquiry.h"

#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/mem.h"

struct inquiry {
    struct ev_loop *loop;
    struct client *client;
    struct ev_signal on_int, on_term;
    bool interrupted;
    /* What became of the last call. */
    enum client_error error;
    int status;
    char detail[256];
    struct buf body;
};

static void on_done(void *context, uint32_t slot, const struct client_answer *answer)
{
    struct inquiry *inquiry = context;

    (void)slot;
    inquiry->error = answer->error;
    inquiry->status = answer->status;
    inquiry->detail[0] = '\0';
    strncat(inquiry->detail, answer->detail ? answer->detail : "", sizeof(inquiry->detail) - 1);
    buf_clear(&inquiry->body);
    if (answer->body_bytes)
        buf_append(&inquiry->body, answer->body, answer->body_bytes);
    ev_break(inquiry->loop, EVBREAK_ALL);
}

static void on_signal(struct ev_loop *loop, struct ev_signal *watcher, int events)
{
    (void)events;
    ((struct inquiry *)watcher->data)->interrupted = true;
    ev_break(loop, EVBREAK_ALL);
}

static void on_over(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)timer, (void)events;
    ev_break(loop, EVBREAK_ALL);
}

int inquiry_open(const struct spec *client, const struct addr *addr, uint64_t timeout_ns,
                 struct inquiry **ret_inquiry, struct err *err)
{
    static const struct client_handler handler = {.on_done = on_done};
    struct inquiry *inquiry = mem_zalloc(1, sizeof(*inquiry));

    inquiry->loop = ev_loop_new(EVFLAG_AUTO);
    if (!inquiry->loop) {
        free(inquiry);
        return err_set(err, -EMFILE, "no event loop could be made");
    }
    const struct client_config config = {.loop = inquiry->loop,
                                         .addr = *addr,
                                         .n_slots = 1,
                                         .timeout_ns = timeout_ns,
                                         .keep_body_bytes = INQUIRY_MAX_ANSWER_BYTES};
    buf_init(&inquiry->body, 0);
    ev_signal_init(&inquiry->on_int, on_signal, SIGINT);
    ev_signal_init(&inquiry->on_term, on_signal, SIGTERM);
    inquiry->on_int.data = inquiry->on_term.data = inquiry;
    int rc = client_open(client, &config, &handler, inquiry, &inquiry->client, err);
    if (rc < 0) {
        inquiry_close(inquiry);
        return rc;
    }
    ev_signal_start(inquiry->loop, &inquiry->on_int);
    ev_signal_start(inquiry->loop, &inquiry->on_term);
    *ret_inquiry = inquiry;
    return 0;
}

void inquiry_close(struct inquiry *inquiry)
{
    if (!inquiry)
        return;
    client_close(inquiry->client);
    ev_signal_stop(inquiry->loop, &inquiry->on_int);
    ev_signal_stop(inquiry->loop, &inquiry->on_term);
    ev_loop_destroy(inquiry->loop);
    buf_done(&inquiry->body);
    free(inquiry);
}

int inquiry_ask(struct inquiry *inquiry, const char *method, const char *target, const char *body,
                int *ret_status, struct buf **ret_body, struct err *err)
{
    const struct client_request request = {
        .target = target,
        .method = method,
        .headers = body ? "Content-Type: application/json\r\n" : NULL,
        .body = body,
        .body_bytes = body ? strlen(body) : 0,
    };

    if (inquiry->interrupted)
        return err_set(err, -EINTR, "interrupted");
    client_submit(inquiry->client, 0, &request);
    ev_run(inquiry->loop, 0);
    if (inquiry->interrupted)
        return err_set(err, -EINTR, "interrupted");
    if (inquiry->error != CLIENT_OK)
        return err_set(err, inquiry->error == CLIENT_TOO_LARGE ? -EMSGSIZE : -EIO, "%s %s: %s",
                       method, target, inquiry->detail);
    *ret_status = inquiry->status;
    *ret_body = &inquiry->body;
    return 0;
}

int inquiry_pause(struct inquiry *inquiry, uint64_t ns, struct err *err)
{
    struct ev_timer timer;

    ev_timer_init(&timer, on_over, (double)ns / (double)NS_PER_S, 0.);
    ev_now_update(inquiry->loop);
    ev_timer_start(inquiry->loop, &timer);
    if (!inquiry->interrupted)
        ev_run(inquiry->loop, 0);
    ev_timer_stop(inquiry->loop, &timer);
    return inquiry->interrupted ? err_set(err, -EINTR, "interrupted") : 0;
}
