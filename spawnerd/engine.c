#include "spawnerd/engine.h"

#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "core/buf.h"
#include "core/clock.h"
#include "core/json.h"
#include "core/mem.h"

/* What we speak: the oldest version that has all that is asked for here. An engine that has given
 * it up (29 and later) is spoken to in the oldest that it still has. */
#define OUR_VERSION 41
#define VERSION_TIMEOUT_NS (5 * NS_PER_S)
#define MAX_HEAD_BYTES 65536

enum call_state { QUEUED, ACTIVE, CANCELLED };

struct engine_call {
    TAILQ_ENTRY(engine_call) link;
    struct engine *engine;
    enum call_state state;
    CURL *easy;
    const char *method; /* (ref) a literal */
    char *path;
    char *body;
    uint64_t timeout_ns;
    const struct engine_handler *handler;
    void *context;
    bool added; /* is in the multi */
    bool is_stream;
    bool asks_version;
    bool too_large;
    size_t n_head_bytes;
    struct buf answer; /* of a stream: only a refusal */
    char error_text[CURL_ERROR_SIZE];
};

struct engine_socket {
    struct ev_io io;
    struct engine *engine;
    struct engine_socket *next;
};

struct engine {
    struct ev_loop *loop;
    char *socket;
    CURLM *multi;
    struct curl_slist *headers;
    struct ev_timer timer;
    struct ev_prepare prepare;
    struct ev_timer awake; /* keeps the loop from sleeping over what the prepare step must do */
    struct engine_socket *sockets;
    TAILQ_HEAD(, engine_call) calls;
    int version; /* the minor one; 0: not known, −1: being asked for */
};

/* ---- the end of a call -------------------------------------------------------------------- */

static void free_call(struct engine_call *call)
{
    struct engine *engine = call->engine;

    TAILQ_REMOVE(&engine->calls, call, link);
    if (call->easy) {
        if (call->added)
            curl_multi_remove_handle(engine->multi, call->easy);
        curl_easy_cleanup(call->easy);
    }
    buf_done(&call->answer);
    free(call->path);
    free(call->body);
    free(call);
}

/* Frees the call, then tells. */
static void finish(struct engine_call *call, int code, unsigned status, const char *why)
{
    const struct engine_handler *handler = call->handler;
    void *context = call->context;
    struct buf body = call->answer;
    struct engine_answer answer = {.code = code, .status = status, .why = why};

    buf_init(&call->answer, 0);
    free_call(call);
    answer.body = buf_str(&body);
    answer.n = buf_len(&body);
    handler->on_done(context, &answer);
    buf_done(&body);
}

static int errno_of(const struct engine_call *call, CURLcode code)
{
    switch ((int)code) {
    case CURLE_COULDNT_CONNECT:
        return -ECONNREFUSED;
    case CURLE_OPERATION_TIMEDOUT:
        return -ETIMEDOUT;
    case CURLE_WRITE_ERROR:
        return call->too_large ? -EMSGSIZE : -EPROTO;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return -EPROTO;
    default:
        return -ECONNRESET;
    }
}

/* What the engine says in its refusal: {"message":"…"}, or the first line of whatever it is. */
static void explain(struct engine_call *call, unsigned status, char *why, size_t bytes)
{
    const char *text = buf_str(&call->answer);
    cJSON *tree = json_parse(text, buf_len(&call->answer), NULL);
    const char *message = json_get_string(tree, "message");

    if (message)
        snprintf(why, bytes, "%s", message);
    else
        snprintf(why, bytes, "status %u %.*s", status, (int)strcspn(text, "\r\n"), text);
    cJSON_Delete(tree);
}

static void finish_transfer(struct engine_call *call, CURLcode code)
{
    char why[ERR_MESSAGE_BYTES] = "";
    char text[CURL_ERROR_SIZE];
    long status = 0;

    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_OK) {
        if (status >= 400)
            explain(call, (unsigned)status, why, sizeof(why));
        finish(call, 0, (unsigned)status, why);
        return;
    }
    memcpy(text, call->error_text, sizeof(text));
    int failed = errno_of(call, code);
    long os_errno = 0;
    curl_easy_getinfo(call->easy, CURLINFO_OS_ERRNO, &os_errno);
    if (call->too_large)
        snprintf(why, sizeof(why), "its answer to %s is too large", call->path);
    else if (failed == -ECONNREFUSED)
        snprintf(why, sizeof(why), "cannot connect to %s%s%s", call->engine->socket,
                 os_errno ? ": " : "", os_errno ? err_errno_text((int)os_errno) : "");
    else
        snprintf(why, sizeof(why), "%s", text[0] ? text : curl_easy_strerror(code));
    finish(call, failed, 0, why);
}

static void collect(struct engine *engine)
{
    struct CURLMsg *message;
    int n_left;

    while ((message = curl_multi_info_read(engine->multi, &n_left))) {
        CURL *easy = message->easy_handle;
        CURLcode code = message->data.result; /* message dies with the removal */
        char *private = NULL;
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
        struct engine_call *call = (struct engine_call *)(void *)private;
        curl_multi_remove_handle(engine->multi, easy);
        call->added = false;
        if (call->state == CANCELLED)
            free_call(call);
        else
            finish_transfer(call, code);
    }
}

/* ---- the loop ----------------------------------------------------------------------------- */

static void act(struct engine *engine, curl_socket_t fd, int events)
{
    int n_running;
    CURLMcode code = curl_multi_socket_action(engine->multi, fd, events, &n_running);

    assert(code == CURLM_OK);
    (void)code;
    collect(engine);
}

static void on_timer(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static void on_socket_event(struct ev_loop *loop, struct ev_io *io, int events)
{
    struct engine_socket *sock = io->data;

    (void)loop;
    act(sock->engine, io->fd,
        (events & EV_READ ? CURL_CSELECT_IN : 0) | (events & EV_WRITE ? CURL_CSELECT_OUT : 0));
}

static void on_awake(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)loop, (void)timer, (void)events; /* the prepare step does it */
}

static void wake(struct engine *engine)
{
    if (ev_is_active(&engine->awake))
        return;
    ev_timer_set(&engine->awake, 0., 0.);
    ev_timer_start(engine->loop, &engine->awake);
}

/* Called from the middle of libcurl: must not call into it. */
static int on_curl_timer(CURLM *multi, long timeout_ms, void *context)
{
    struct engine *engine = context;

    (void)multi;
    ev_timer_stop(engine->loop, &engine->timer);
    if (timeout_ms >= 0) {
        ev_timer_set(&engine->timer, (double)timeout_ms * 1e-3, 0.);
        ev_timer_start(engine->loop, &engine->timer);
    }
    return 0;
}

static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *socket_data)
{
    struct engine *engine = context;
    struct engine_socket *sock = socket_data;
    int events = (what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0);

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (!sock)
            return 0;
        ev_io_stop(engine->loop, &sock->io);
        struct engine_socket **link = &engine->sockets;
        while (*link != sock)
            link = &(*link)->next;
        *link = sock->next;
        free(sock);
        return 0;
    }
    if (!sock) {
        sock = mem_zalloc(1, sizeof(*sock));
        sock->engine = engine;
        sock->next = engine->sockets;
        engine->sockets = sock;
        ev_init(&sock->io, on_socket_event);
        sock->io.data = sock;
        curl_multi_assign(engine->multi, fd, sock); /* allowed within this callback */
    }
    ev_io_stop(engine->loop, &sock->io);
    ev_io_set(&sock->io, fd, events);
    ev_io_start(engine->loop, &sock->io);
    return 0;
}

/* ---- a transfer --------------------------------------------------------------------------- */

static size_t on_head_line(char *line, size_t size, size_t n_items, void *context)
{
    struct engine_call *call = context;
    size_t n = size * n_items;
    long status = 0;

    call->n_head_bytes += n;
    if (call->n_head_bytes > MAX_HEAD_BYTES)
        return 0;
    if (call->is_stream && call->state == ACTIVE && n <= 2 &&
        (line[0] == '\r' || line[0] == '\n')) {
        curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
        if (status >= 200 && status < 300 && call->handler->on_open)
            call->handler->on_open(call->context);
    }
    return n;
}

static size_t on_body(char *data, size_t size, size_t n_items, void *context)
{
    struct engine_call *call = context;
    size_t n = size * n_items;
    long status = 0;

    if (call->state == CANCELLED)
        return n;
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    if (call->is_stream && status < 300) {
        call->handler->on_data(call->context, data, n);
    } else if (buf_append(&call->answer, data, n) != 0) {
        call->too_large = true;
        return 0;
    }
    return n;
}

static void make_easy(struct engine_call *call)
{
    struct engine *engine = call->engine;
    CURL *easy = curl_easy_init();
    char *url = call->asks_version
                    ? mem_printf("http://engine/%s", call->path)
                    : mem_printf("http://engine/v1.%d/%s", engine->version, call->path);

    if (!easy) {
        fputs("quoit: libcurl gives no handle: out of memory\n", stderr);
        abort();
    }
    call->easy = easy;
    curl_easy_setopt(easy, CURLOPT_URL, url); /* copied */
    curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, engine->socket);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, engine->headers);
    if (strcmp(call->method, "POST") == 0) {
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->body ? call->body : "");
    }
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, 5000L);
    if (call->timeout_ns)
        curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(call->timeout_ns / NS_PER_MS));
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->error_text);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_head_line);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    free(url);
}

static void begin(struct engine_call *call)
{
    call->state = ACTIVE;
    make_easy(call);
    CURLMcode code = curl_multi_add_handle(call->engine->multi, call->easy);
    assert(code == CURLM_OK);
    (void)code;
    call->added = true;
}

static struct engine_call *add_call(struct engine *engine, const char *method, const char *path,
                                    const char *body, const struct engine_handler *handler,
                                    void *context)
{
    struct engine_call *call = mem_zalloc(1, sizeof(*call));

    call->engine = engine;
    call->method = method;
    call->path = mem_strdup(path);
    call->body = body ? mem_strdup(body) : NULL;
    call->handler = handler;
    call->context = context;
    buf_init(&call->answer, ENGINE_MAX_ANSWER_BYTES);
    TAILQ_INSERT_TAIL(&engine->calls, call, link);
    wake(engine);
    return call;
}

/* ---- the version -------------------------------------------------------------------------- */

/* "1.41" → 41; 0 where it is no such thing. */
static int minor_version(const cJSON *tree, const char *key)
{
    const char *text = json_get_string(tree, key);
    int minor = 0;

    return text && sscanf(text, "1.%3d", &minor) == 1 && minor > 0 ? minor : 0;
}

/* Those that wait for the version go the same way as its question. One that an on_done adds waits
 * for another question. */
static void fail_waiting(struct engine *engine, int code, const char *why)
{
    struct engine_call *call;
    size_t n = 0;

    TAILQ_FOREACH(call, &engine->calls, link)
    n += call->state == QUEUED;
    while (n-- > 0) {
        TAILQ_FOREACH(call, &engine->calls, link)
        if (call->state == QUEUED)
            break;
        if (!call)
            return;
        finish(call, code, 0, why);
    }
}

static void on_version(void *context, const struct engine_answer *answer)
{
    struct engine *engine = context;
    cJSON *tree = answer->code == 0 && answer->status == 200
                      ? json_parse(answer->body, answer->n, NULL)
                      : NULL;
    int newest = minor_version(tree, "ApiVersion"), oldest = minor_version(tree, "MinAPIVersion");

    cJSON_Delete(tree);
    engine->version = 0;
    if (answer->code != 0)
        fail_waiting(engine, answer->code, answer->why);
    else if (newest < OUR_VERSION)
        fail_waiting(engine, -EPROTO,
                     newest ? "it is too old: API 1.41 (Docker 20.10) is needed"
                            : "what answers there is no Docker engine");
    else
        engine->version = oldest > OUR_VERSION ? oldest : OUR_VERSION;
    wake(engine);
}

static const struct engine_handler version_handler = {.on_done = on_version};

static void ask_version(struct engine *engine)
{
    struct engine_call *call = add_call(engine, "GET", "version", NULL, &version_handler, engine);

    call->asks_version = true;
    call->timeout_ns = VERSION_TIMEOUT_NS;
    engine->version = -1;
    begin(call);
}

/* ---- the prepare step --------------------------------------------------------------------- */

static void on_prepare(struct ev_loop *loop, struct ev_prepare *prepare, int events)
{
    struct engine *engine = prepare->data;
    struct engine_call *call, *next;
    bool waits = false;

    (void)loop;
    (void)events;
    for (call = TAILQ_FIRST(&engine->calls); call; call = next) {
        next = TAILQ_NEXT(call, link);
        if (call->state == CANCELLED)
            free_call(call);
        else if (call->state == QUEUED && engine->version > 0)
            begin(call);
        else if (call->state == QUEUED)
            waits = true;
    }
    if (waits && engine->version == 0)
        ask_version(engine);
}

/* ---- public ------------------------------------------------------------------------------- */

struct engine_call *engine_send(struct engine *engine, const char *method, const char *path,
                                const char *body, uint64_t timeout_ns,
                                const struct engine_handler *handler, void *context)
{
    struct engine_call *call = add_call(engine, method, path, body, handler, context);

    call->timeout_ns = timeout_ns;
    return call;
}

struct engine_call *engine_stream(struct engine *engine, const char *method, const char *path,
                                  const struct engine_handler *handler, void *context)
{
    struct engine_call *call = add_call(engine, method, path, NULL, handler, context);

    call->is_stream = true;
    return call;
}

void engine_cancel(struct engine_call *call)
{
    if (!call)
        return;
    call->state = CANCELLED;
    wake(call->engine);
}

void engine_forget_version(struct engine *engine)
{
    if (engine->version > 0)
        engine->version = 0;
}

char *engine_escape(const char *text)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    static const char digits[] = "0123456789ABCDEF";
    char *escaped = mem_alloc(3 * strlen(text) + 1), *end = escaped;

    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        if (strchr(plain, byte)) {
            *end++ = *text;
            continue;
        }
        *end++ = '%';
        *end++ = digits[byte >> 4];
        *end++ = digits[byte & 15];
    }
    *end = '\0';
    return escaped;
}

struct engine *engine_new(struct ev_loop *loop, const char *socket)
{
    struct engine *engine = mem_zalloc(1, sizeof(*engine));

    engine->loop = loop;
    engine->socket = mem_strdup(socket);
    TAILQ_INIT(&engine->calls);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    engine->multi = curl_multi_init();
    assert(engine->multi);
    curl_multi_setopt(engine->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
    curl_multi_setopt(engine->multi, CURLMOPT_SOCKETDATA, engine);
    curl_multi_setopt(engine->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
    curl_multi_setopt(engine->multi, CURLMOPT_TIMERDATA, engine);
    engine->headers = curl_slist_append(NULL, "Content-Type: application/json");
    engine->headers = curl_slist_append(engine->headers, "Expect:");
    ev_init(&engine->timer, on_timer);
    ev_init(&engine->awake, on_awake);
    ev_prepare_init(&engine->prepare, on_prepare);
    engine->timer.data = engine->prepare.data = engine;
    ev_prepare_start(loop, &engine->prepare);
    ev_unref(loop);
    return engine;
}

void engine_free(struct engine *engine)
{
    if (!engine)
        return;
    /* NOLINTBEGIN(clang-analyzer-unix.Malloc): it does not see TAILQ_REMOVE. */
    while (!TAILQ_EMPTY(&engine->calls))
        free_call(TAILQ_FIRST(&engine->calls));
    /* NOLINTEND(clang-analyzer-unix.Malloc) */
    curl_multi_cleanup(engine->multi);
    curl_slist_free_all(engine->headers);
    ev_timer_stop(engine->loop, &engine->timer);
    ev_timer_stop(engine->loop, &engine->awake);
    ev_ref(engine->loop);
    ev_prepare_stop(engine->loop, &engine->prepare);
    free(engine->socket);
    free(engine);
    curl_global_cleanup();
}
