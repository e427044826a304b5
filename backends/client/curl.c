/* libcurl's multi_socket interface on libev.
 *
 * One easy handle a slot, reused for every request of that slot and never reset: what does not
 * change between requests is set once. An easy handle stays in its multi only while its slot is
 * busy, so libcurl never queues anything: as many connections as busy slots, kept between requests.
 *
 *   submit ─▶ curl_multi_add_handle ─▶ (timer callback: 0) ─▶ group on the due list
 *   prepare step, just before the loop sleeps: every due group ─▶ curl_multi_socket_action(TIMEOUT)
 *   socket readable ─▶ curl_multi_socket_action(fd) ─▶ curl_multi_info_read ─▶ on_done ─▶ submit …
 *
 * So the requests that one turn of the loop frees go out together, and the sockets' interest, which
 * libcurl drops at the end of an answer and takes up with the next request, does not change between
 * two sleeps: no epoll_ctl a request.
 *
 * libcurl's cost a request grows with the handles of one multi (its connection cache is walked and
 * its timer tree searched for each), hence groups of `handles` slots, each with a multi of its own:
 * one slot a group, and more where that would be more than MAX_GROUPS: a multi costs 40 kB and two
 * descriptors. (Measured, 64 in flight: 3 % less CPU a request than with one multi.)
 *
 * Timeouts are kept here and not by CURLOPT_TIMEOUT_MS, which costs a timer-tree insertion a
 * request: all slots have the same timeout, so the list of busy slots in order of submission has
 * the next to expire at its head, and one timer is enough. */
#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backends/client.h"
#include "backends/client/curl_memory.h"
#include "backends/client/curl_private.h"
#include "core/buf.h"
#include "core/clock.h"
#include "core/mem.h"

#define SERVER_HEADER "x-quoit-server:"
#define SERVER_HEADER_BYTES (sizeof(SERVER_HEADER) - 1)
#define DETAIL_BYTES (CURL_ERROR_SIZE + 128)
/* Runs of the due list in one prepare step, before the sockets get their turn again. */
#define MAX_DUE_ROUNDS 4
/* Requests that may wait for the rest of a turn: it bounds the delay that a long turn adds to them,
 * and more at a time is not cheaper (measured: 16.3 µs of CPU a request at 1, 14.5 at 4, 14.1 at 16
 * and without limit). */
#define MAX_UNSENT 16
/* Multis of one client when nobody says how many handles each is to have. */
#define MAX_GROUPS 64u

struct curl_params {
    uint64_t handles;
};

static const struct client_ops curl_client_ops;

/* ---- slots ---- */

static void age_append(struct curl_client *self, struct curl_slot *slot)
{
    slot->younger = NULL;
    slot->older = self->youngest;
    if (self->youngest)
        self->youngest->younger = slot;
    else
        self->oldest = slot;
    self->youngest = slot;
}

static void age_remove(struct curl_client *self, struct curl_slot *slot)
{
    if (slot->older)
        slot->older->younger = slot->younger;
    else
        self->oldest = slot->younger;
    if (slot->younger)
        slot->younger->older = slot->older;
    else
        self->youngest = slot->older;
    slot->older = slot->younger = NULL;
}

static void arm_deadline(struct curl_client *self, uint64_t now_ns)
{
    uint64_t due_ns = self->oldest->submitted_ns + self->config.timeout_ns;
    uint64_t wait_ns = due_ns > now_ns ? due_ns - now_ns : 0;

    ev_timer_stop(self->config.loop, &self->deadline);
    ev_now_update(self->config.loop);
    ev_timer_set(&self->deadline, (double)wait_ns * 1e-9, 0.);
    ev_timer_start(self->config.loop, &self->deadline);
}

/* Frees the slot and tells the handler. */
static void finish(struct curl_slot *slot, enum client_error error, const char *detail)
{
    struct curl_client *self = slot->group->client;
    long status = 0;

    assert(slot->busy);
    slot->busy = false;
    age_remove(self, slot);
    curl_easy_getinfo(slot->easy, CURLINFO_RESPONSE_CODE, &status);
    self->done_ns = clock_now_ns();
    const struct client_answer answer = {
        .error = error,
        .status = slot->began ? (int)status : 0,
        .submitted_ns = slot->submitted_ns,
        .done_ns = self->done_ns,
        .n_body_bytes = slot->n_body_bytes,
        .server = slot->server,
        .server_bytes = slot->server_bytes,
        .body = self->config.keep_body_bytes && slot->body.data ? buf_head(&slot->body) : NULL,
        .body_bytes = buf_len(&slot->body),
        .detail = detail,
    };
    self->in_on_done = true;
    self->handler->on_done(self->context, slot->index, &answer);
    self->in_on_done = false;
}

/* A transfer that libcurl says is over. */
static void finish_transfer(struct curl_slot *slot, CURLcode code)
{
    char detail[DETAIL_BYTES] = "";
    enum client_error error = CLIENT_OK;

    if (code != CURLE_OK) {
        int error_number = curl_transfer_errno(slot, code);
        error = curl_classify(slot, code, error_number);
        if (error == CLIENT_TOO_LARGE)
            snprintf(detail, sizeof(detail), "%s larger than %zu bytes",
                     slot->n_body_bytes ? "body" : "head",
                     slot->n_body_bytes ? slot->group->client->config.keep_body_bytes
                                        : (size_t)CLIENT_MAX_HEAD_BYTES);
        else
            snprintf(detail, sizeof(detail), "%s (libcurl %d)%s%s",
                     slot->error_text[0] ? slot->error_text : curl_easy_strerror(code), (int)code,
                     error_number ? ": " : "", error_number ? err_errno_text(error_number) : "");
    }
    finish(slot, error, detail);
}

/* libcurl sends a request again by itself when a kept connection was closed under it, but gives up
 * at the fifth time of a handle's life (7.88 does not start counting anew with a new transfer), its
 * count then being 0 again. That is no failure of the request: it goes out once more. */
static bool send_again(struct curl_slot *slot, CURLcode code)
{
    CURLMcode added;

    if (code != CURLE_SEND_ERROR || slot->began ||
        strncmp(slot->error_text, "Connection died", strlen("Connection died")) != 0)
        return false;
    slot->group->client->counts.n_resent++;
    added = curl_multi_add_handle(slot->group->multi, slot->easy);
    assert(added == CURLM_OK);
    (void)added;
    return true;
}

static void collect(struct curl_group *group)
{
    struct CURLMsg *message;
    int n_left;

    while ((message = curl_multi_info_read(group->multi, &n_left))) {
        CURL *easy = message->easy_handle;
        CURLcode code = message->data.result; /* message dies with the removal */
        struct curl_slot *slot;
        char *private = NULL;

        curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
        slot = (struct curl_slot *)(void *)private;
        curl_multi_remove_handle(group->multi, easy);
        if (!send_again(slot, code))
            finish_transfer(slot, code);
    }
}

static void act(struct curl_group *group, curl_socket_t fd, int events)
{
    int n_running;
    CURLMcode code = curl_multi_socket_action(group->multi, fd, events, &n_running);

    assert(code == CURLM_OK);
    (void)code;
    collect(group);
}

/* ---- the loop's callbacks ---- */

static void run_due(struct curl_client *self)
{
    struct curl_group *group = self->first_due;

    self->first_due = NULL;
    self->n_unsent = 0;
    while (group) {
        struct curl_group *next = group->next_due;
        group->due = false;
        group->next_due = NULL;
        act(group, CURL_SOCKET_TIMEOUT, 0);
        group = next;
    }
}

static void on_prepare(struct ev_loop *loop, struct ev_prepare *prepare, int events)
{
    struct curl_client *self = prepare->data;

    (void)events;
    for (int round = 0; self->first_due && round < MAX_DUE_ROUNDS; round++)
        run_due(self);
    if (self->first_due && !ev_is_active(&self->again)) {
        ev_timer_set(&self->again, 0., 0.);
        ev_timer_start(loop, &self->again);
    }
}

static void on_again(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    /* Its having been due kept the loop awake; the prepare step does the rest. */
    (void)loop, (void)timer, (void)events;
}

static void on_group_timer(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)loop, (void)events;
    act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static void on_socket_event(struct ev_loop *loop, struct ev_io *io, int events)
{
    struct curl_socket *sock = io->data;

    (void)loop;
    act(sock->group, io->fd,
        (events & EV_READ ? CURL_CSELECT_IN : 0) | (events & EV_WRITE ? CURL_CSELECT_OUT : 0));
    if (sock->group->client->n_unsent >= MAX_UNSENT)
        run_due(sock->group->client);
}

static void on_deadline(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct curl_client *self = timer->data;
    const double timeout_ms = (double)self->config.timeout_ns * 1e-6;
    uint64_t now_ns = clock_now_ns();

    (void)loop, (void)events;
    while (self->oldest && now_ns >= self->oldest->submitted_ns + self->config.timeout_ns) {
        struct curl_slot *slot = self->oldest;
        char detail[DETAIL_BYTES];

        /* Closes its connection. */
        curl_multi_remove_handle(slot->group->multi, slot->easy);
        if (slot->began)
            snprintf(detail, sizeof(detail),
                     "the answer began but was not whole within %g ms (%llu bytes of body came)",
                     timeout_ms, (unsigned long long)slot->n_body_bytes);
        else
            snprintf(detail, sizeof(detail), "no answer within %g ms", timeout_ms);
        finish(slot, slot->began ? CLIENT_SLOW : CLIENT_TIMEOUT, detail);
    }
    if (self->oldest)
        arm_deadline(self, now_ns);
}

/* ---- libcurl's callbacks ---- */

/* Must not call into libcurl: it is called from the middle of it. */
static int on_curl_timer(CURLM *multi, long timeout_ms, void *context)
{
    struct curl_group *group = context;
    struct curl_client *self = group->client;

    (void)multi;
    ev_timer_stop(self->config.loop, &group->timer);
    if (timeout_ms == 0) {
        if (!group->due) {
            group->due = true;
            group->next_due = self->first_due;
            self->first_due = group;
        }
    } else if (timeout_ms > 0) {
        ev_timer_set(&group->timer, (double)timeout_ms * 1e-3, 0.);
        ev_timer_start(self->config.loop, &group->timer);
    }
    return 0;
}

static struct curl_socket *socket_of(struct curl_client *self, int fd)
{
    assert(fd >= 0);
    if ((size_t)fd >= self->n_sockets) {
        size_t n = ((size_t)fd + 1) * 2;
        self->sockets = mem_realloc(self->sockets, n, sizeof(*self->sockets));
        memset(self->sockets + self->n_sockets, 0, (n - self->n_sockets) * sizeof(*self->sockets));
        self->n_sockets = n;
    }
    if (!self->sockets[fd]) {
        struct curl_socket *sock = mem_zalloc(1, sizeof(*sock));
        ev_init(&sock->io, on_socket_event);
        sock->io.data = sock;
        sock->fresh = true;
        self->sockets[fd] = sock;
    }
    return self->sockets[fd];
}

static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *unused)
{
    struct curl_group *group = context;
    struct curl_client *self = group->client;
    struct curl_socket *sock = socket_of(self, fd);
    int events = (what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0);

    (void)easy, (void)unused;
    if (what == CURL_POLL_REMOVE)
        events = 0;
    ev_io_stop(self->config.loop, &sock->io);
    sock->group = group;
    if (!events)
        return 0;
    /* ev_io_set makes libev talk to the kernel whether or not anything changed. */
    if (sock->fresh || (sock->io.events & (EV_READ | EV_WRITE)) != events) {
        ev_io_set(&sock->io, fd, events);
        sock->fresh = false;
    }
    ev_io_start(self->config.loop, &sock->io);
    return 0;
}

static curl_socket_t on_open_socket(void *context, curlsocktype purpose,
                                    struct curl_sockaddr *address)
{
    struct curl_slot *slot = context;
    struct curl_client *self = slot->group->client;
    long n_sent = 0;
    int fd;

    (void)purpose;
    fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd < 0) {
        slot->connect_errno = errno;
        return CURL_SOCKET_BAD;
    }
    socket_of(self, fd)->fresh = true;
    self->counts.n_connections++;
    /* A new connection for a request that has been sent already: libcurl sends it again. (When it
     * finds another kept connection for that, nobody is told, and it is not counted.) */
    curl_easy_getinfo(slot->easy, CURLINFO_REQUEST_SIZE, &n_sent);
    if (n_sent > 0)
        self->counts.n_resent++;
    return fd;
}

static size_t on_head_line(char *line, size_t size, size_t n_items, void *context)
{
    struct curl_slot *slot = context;
    size_t n = size * n_items;

    slot->began = true;
    slot->n_head_bytes += n;
    if (slot->n_head_bytes > CLIENT_MAX_HEAD_BYTES) {
        slot->too_large = true;
        return 0;
    }
    /* Most lines fall at the first comparison. */
    if (n > SERVER_HEADER_BYTES && (line[0] | 0x20) == 'x' &&
        line[SERVER_HEADER_BYTES - 1] == ':' &&
        strncasecmp(line, SERVER_HEADER, SERVER_HEADER_BYTES) == 0)
        slot->server_bytes = (uint8_t)client_read_server_name(
            line + SERVER_HEADER_BYTES, n - SERVER_HEADER_BYTES, slot->server);
    return n;
}

static size_t on_body(char *bytes, size_t size, size_t n_items, void *context)
{
    struct curl_slot *slot = context;
    size_t n = size * n_items;

    slot->n_body_bytes += n;
    if (slot->group->client->config.keep_body_bytes && buf_append(&slot->body, bytes, n) < 0) {
        slot->too_large = true;
        return 0;
    }
    return n;
}

/* ---- the hooks ---- */

static void set_up_slot(struct curl_client *self, struct curl_slot *slot)
{
    CURL *easy = slot->easy;

    curl_easy_setopt(easy, CURLOPT_PRIVATE, slot);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*"); /* else it asks the environment each time */
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    /* The address is numeric; else the cache of names is searched for old ones after each request.
     */
    curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, -1L);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, self->headers);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, slot->error_text);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_head_line);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, slot);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, slot);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, slot);
}

static void set_up_group(struct curl_client *self, struct curl_group *group, uint64_t n_handles)
{
    group->client = self;
    ev_init(&group->timer, on_group_timer);
    group->timer.data = group;
    curl_multi_setopt(group->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
    curl_multi_setopt(group->multi, CURLMOPT_SOCKETDATA, group);
    curl_multi_setopt(group->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
    curl_multi_setopt(group->multi, CURLMOPT_TIMERDATA, group);
    curl_multi_setopt(group->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    curl_multi_setopt(group->multi, CURLMOPT_MAXCONNECTS, (long)n_handles);
}

static void curl_client_close(struct client *client)
{
    struct curl_client *self = (struct curl_client *)client;

    assert(!self->in_on_done);
    for (uint32_t i = 0; i < self->config.n_slots; i++) {
        struct curl_slot *slot = &self->slots[i];
        if (slot->easy) {
            if (slot->busy)
                curl_multi_remove_handle(slot->group->multi, slot->easy);
            curl_easy_cleanup(slot->easy);
        }
        curl_request_forget(slot);
        buf_done(&slot->body);
    }
    for (size_t i = 0; i < self->n_groups; i++) {
        if (self->groups[i].multi)
            curl_multi_cleanup(self->groups[i].multi);
        ev_timer_stop(self->config.loop, &self->groups[i].timer);
    }
    for (size_t fd = 0; fd < self->n_sockets; fd++) {
        if (self->sockets[fd])
            ev_io_stop(self->config.loop, &self->sockets[fd]->io);
        free(self->sockets[fd]);
    }
    ev_prepare_stop(self->config.loop, &self->prepare);
    ev_timer_stop(self->config.loop, &self->again);
    ev_timer_stop(self->config.loop, &self->deadline);
    curl_slist_free_all(self->headers);
    free(self->sockets);
    free(self->url_prefix);
    free(self->groups);
    free(self->slots);
    free(self);
}

static uint64_t choose_handles(const struct curl_params *params, uint32_t n_slots)
{
    return params->handles ? params->handles : (n_slots + MAX_GROUPS - 1) / MAX_GROUPS;
}

static int curl_client_open(const void *params, const struct client_config *config,
                            const struct client_handler *handler, void *context,
                            struct client **ret_client, struct err *err)
{
    const uint64_t handles = choose_handles(params, config->n_slots);
    struct curl_client *self = mem_zalloc(1, sizeof(*self));
    char address[ADDR_TEXT_BYTES];

    curl_memory_init();
    self->config = *config;
    self->handler = handler;
    self->context = context;
    self->url_prefix = mem_printf("http://%s", addr_format(&config->addr, address));
    self->headers = curl_slist_append(NULL, "Accept:");
    self->n_groups = (size_t)((config->n_slots + handles - 1) / handles);
    self->groups = mem_zalloc(self->n_groups, sizeof(*self->groups));
    self->slots = mem_zalloc(config->n_slots, sizeof(*self->slots));
    ev_prepare_init(&self->prepare, on_prepare);
    self->prepare.data = self;
    ev_init(&self->again, on_again);
    ev_init(&self->deadline, on_deadline);
    self->deadline.data = self;

    for (size_t i = 0; i < self->n_groups; i++) {
        self->groups[i].multi = curl_multi_init();
        set_up_group(self, &self->groups[i], handles);
    }
    for (uint32_t i = 0; i < config->n_slots; i++) {
        struct curl_slot *slot = &self->slots[i];
        slot->index = i;
        slot->group = &self->groups[i / handles];
        buf_init(&slot->body, config->keep_body_bytes);
        slot->easy = curl_easy_init();
        slot->url = curl_url();
        if (!slot->easy || !slot->url || !slot->group->multi || !self->headers) {
            curl_client_close(&self->client);
            return err_set(err, -ENOMEM, "libcurl could not make its handles");
        }
        set_up_slot(self, slot);
    }
    self->client.ops = &curl_client_ops;
    ev_prepare_start(config->loop, &self->prepare);
    *ret_client = &self->client;
    return 0;
}

static void curl_client_submit(struct client *client, uint32_t index,
                               const struct client_request *request)
{
    struct curl_client *self = (struct curl_client *)client;
    struct curl_slot *slot = &self->slots[index];
    CURLMcode code;

    assert(index < self->config.n_slots && !slot->busy);
    curl_request_set(self, slot, request);
    slot->busy = true;
    slot->began = slot->too_large = false;
    slot->server_bytes = 0;
    slot->n_body_bytes = slot->n_head_bytes = 0;
    slot->connect_errno = 0;
    buf_clear(&slot->body);
    /* One look at the clock serves an end and the request that follows it. */
    slot->submitted_ns = self->in_on_done ? self->done_ns : clock_now_ns();
    age_append(self, slot);
    if (!ev_is_active(&self->deadline))
        arm_deadline(self, slot->submitted_ns);
    self->n_unsent++;
    code = curl_multi_add_handle(slot->group->multi, slot->easy);
    assert(code == CURLM_OK); /* it can only run out of memory */
    (void)code;
}

static struct client_counts curl_client_counts(const struct client *client)
{
    return ((const struct curl_client *)client)->counts;
}

static const struct option_def curl_options[] = {
    {.name = "handles",
     .type = OPTION_U64,
     .offset = offsetof(struct curl_params, handles),
     .metavar = "N",
     .fallback = "0",
     .max = CLIENT_MAX_SLOTS,
     .help = "easy handles in one multi handle; 0: as few as 64 multi handles allow"},
    {.name = NULL},
};

static const struct client_ops curl_client_ops = {
    .part = {.name = "curl",
             .summary =
                 "libcurl's multi_socket interface on libev, a connection a request in flight",
             .source = "libcurl-multi(3), curl_multi_socket_action(3)",
             .options = curl_options,
             .params_size = sizeof(struct curl_params)},
    .open = curl_client_open,
    .close = curl_client_close,
    .submit = curl_client_submit,
    .counts = curl_client_counts,
};
CLIENT_REGISTER(curl_client_ops);
