#include "tests/support/fake_engine_parts.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/json.h"
#include "core/mem.h"

/* ---- answers ------------------------------------------------------------------------------ */

void fake_say(struct connection *connection, const char *bytes, size_t n)
{
    ssize_t sent = send(connection->fd, bytes, n, MSG_NOSIGNAL);
    (void)sent; /* a peer that has gone takes nothing */
}

void fake_answer(struct connection *connection, int status, const char *body)
{
    char *text = mem_printf("HTTP/1.1 %d X\r\nContent-Type: application/json\r\n"
                            "Content-Length: %zu\r\n\r\n%s",
                            status, strlen(body), body);
    if (status == 204) {
        free(text);
        text = mem_strdup("HTTP/1.1 204 X\r\n\r\n");
    }
    if (connection->held == NULL) {
        fake_say(connection, text, strlen(text));
        free(text);
    } else { /* on hold */
        free(connection->held);
        connection->held = text;
    }
}

void fake_answer_message(struct connection *connection, int status, const char *message)
{
    struct buf body;

    buf_init(&body, 0);
    buf_append_str(&body, "{\"message\":");
    json_escape(&body, message, strlen(message));
    buf_append_str(&body, "}");
    fake_answer(connection, status, buf_str(&body));
    buf_done(&body);
}

void fake_answer_tree(struct connection *connection, int status, cJSON *tree)
{
    struct buf body;

    buf_init(&body, 0);
    json_print(&body, tree, false);
    fake_answer(connection, status, buf_str(&body));
    buf_done(&body);
    cJSON_Delete(tree);
}

void fake_open_stream(struct connection *connection, enum connection_kind kind)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: application/x\r\n\r\n";

    connection->kind = kind;
    fake_say(connection, head, sizeof(head) - 1);
}

static void close_connection(struct connection *connection)
{
    if (connection->closed)
        *connection->closed = true;
    ev_io_stop(connection->engine->loop, &connection->io);
    close(connection->fd);
    TAILQ_REMOVE(&connection->engine->connections, connection, link);
    buf_done(&connection->in);
    free(connection->held);
    free(connection);
}

void fake_close_streams(struct fake_engine *engine, enum connection_kind kind, const char *id)
{
    struct connection *connection, *next;

    for (connection = TAILQ_FIRST(&engine->connections); connection; connection = next) {
        next = TAILQ_NEXT(connection, link);
        if (connection->kind == kind && strcmp(connection->id, id) == 0)
            close_connection(connection);
    }
}

/* ---- calls -------------------------------------------------------------------------------- */

static void dispatch(struct connection *connection, const char *method, char *path,
                     const char *body)
{
    struct fake_engine *engine = connection->engine;
    char *query = strchr(path, '?');
    char version[128];

    if (query)
        *query++ = '\0';
    if (strcmp(path, "version") == 0) {
        snprintf(version, sizeof(version), "{\"ApiVersion\":\"%s\",\"MinAPIVersion\":\"%s\"}",
                 engine->newest, engine->oldest);
        fake_answer(connection, 200, version);
    } else if (strcmp(path, "events") == 0) {
        fake_open_stream(connection, EVENTS);
    } else if (strncmp(path, "volumes/", 8) == 0) {
        fake_answer(connection, 204, "");
    } else if (!fake_containers_dispatch(connection, method, path, query, body) &&
               !fake_swarm_dispatch(connection, method, path, query, body)) {
        fake_answer_message(connection, 404, "page not found");
    }
}

static struct rule *find_rule(struct fake_engine *engine, const char *request)
{
    for (size_t i = 0; i < engine->n_rules; i++)
        if (engine->rules[i].n > 0 &&
            strncmp(request, engine->rules[i].request, strlen(engine->rules[i].request)) == 0)
            return &engine->rules[i];
    return NULL;
}

/* False: the connection was closed. */
static bool take_request(struct connection *connection, const char *method, char *path,
                         const char *body)
{
    struct fake_engine *engine = connection->engine;
    unsigned minor;
    int skip = 0;

    path++;
    if (sscanf(path, "v1.%u/%n", &minor, &skip) == 1 && skip > 0)
        path += skip;
    char *request = mem_printf("%s %s", method, path);
    assert(engine->n_log < MAX_LOG);
    engine->log[engine->n_log++] = request;
    struct rule *rule = find_rule(engine, request);
    if (rule && rule->n--) {
        if (rule->swallows) {
            connection->held = mem_strdup(""); /* its answer goes nowhere */
            dispatch(connection, method, path, body);
        } else if (rule->status != 0) {
            fake_answer_message(connection, rule->status, rule->message);
            return true;
        }
        close_connection(connection);
        return false;
    }
    if (engine->hold[0] && strncmp(request, engine->hold, strlen(engine->hold)) == 0)
        connection->held = mem_strdup("");
    dispatch(connection, method, path, body);
    return true;
}

/* ---- connections -------------------------------------------------------------------------- */

static void on_readable(struct ev_loop *loop, struct ev_io *io, int events)
{
    struct connection *connection = io->data;
    char method[16], path[2048];

    (void)loop;
    (void)events;
    char *room = buf_reserve(&connection->in, 65536);
    ssize_t n = recv(connection->fd, room, 65536, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        close_connection(connection);
        return;
    }
    buf_commit(&connection->in, (size_t)n);
    for (;;) {
        const char *text = buf_str(&connection->in);
        const char *end = strstr(text, "\r\n\r\n");
        if (!end || sscanf(text, "%15s %2047s", method, path) != 2)
            return;
        const char *length = strstr(text, "Content-Length: ");
        size_t n_body = length && length < end ? (size_t)atol(length + 16) : 0;
        size_t n_head = (size_t)(end - text) + 4;
        if (buf_len(&connection->in) < n_head + n_body)
            return;
        char *body = mem_strndup(text + n_head, n_body);
        buf_consume(&connection->in, n_head + n_body);
        bool closed = false;
        connection->closed = &closed;
        bool open = take_request(connection, method, path, body);
        free(body);
        if (!open || closed)
            return;
        connection->closed = NULL;
    }
}

static void on_connection(struct ev_loop *loop, struct ev_io *io, int events)
{
    struct fake_engine *engine = io->data;
    int fd = accept4(engine->fd, NULL, NULL, SOCK_CLOEXEC);

    (void)events;
    if (fd < 0)
        return;
    struct connection *connection = mem_zalloc(1, sizeof(*connection));
    connection->engine = engine;
    connection->fd = fd;
    buf_init(&connection->in, 0);
    ev_io_init(&connection->io, on_readable, fd, EV_READ);
    connection->io.data = connection;
    ev_io_start(loop, &connection->io);
    TAILQ_INSERT_TAIL(&engine->connections, connection, link);
}

void fake_engine_start(struct fake_engine *engine)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    assert(strlen(engine->socket) < sizeof(address.sun_path));
    strcpy(address.sun_path, engine->socket);
    unlink(engine->socket);
    engine->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int rc = bind(engine->fd, (struct sockaddr *)&address, sizeof(address));
    assert(rc == 0);
    rc = listen(engine->fd, 64);
    assert(rc == 0);
    (void)rc;
    ev_io_init(&engine->listener, on_connection, engine->fd, EV_READ);
    engine->listener.data = engine;
    ev_io_start(engine->loop, &engine->listener);
}

void fake_engine_stop(struct fake_engine *engine, bool kills)
{
    struct container *container;

    ev_io_stop(engine->loop, &engine->listener);
    if (engine->fd >= 0)
        close(engine->fd);
    unlink(engine->socket);
    engine->fd = -1;
    while (!TAILQ_EMPTY(&engine->connections))
        close_connection(TAILQ_FIRST(&engine->connections));
    TAILQ_FOREACH(container, &engine->containers, link)
    if (kills && strcmp(container->state, "running") == 0)
        strcpy(container->state, "exited");
}

/* ---- scripting ---------------------------------------------------------------------------- */

static void add_rule(struct fake_engine *engine, const char *request, int status,
                     const char *message, unsigned n, bool swallows)
{
    assert(engine->n_rules < sizeof(engine->rules) / sizeof(*engine->rules));
    struct rule *rule = &engine->rules[engine->n_rules++];
    *rule = (struct rule){.status = status, .n = n, .swallows = swallows};
    snprintf(rule->request, sizeof(rule->request), "%s", request);
    snprintf(rule->message, sizeof(rule->message), "%s", message);
}

void fake_engine_refuse(struct fake_engine *engine, const char *request, int status,
                        const char *message, unsigned n)
{
    add_rule(engine, request, status, message, n, false);
}

void fake_engine_swallow(struct fake_engine *engine, const char *request, unsigned n)
{
    add_rule(engine, request, 0, "", n, true);
}

void fake_engine_hold(struct fake_engine *engine, const char *request)
{
    struct connection *connection;

    snprintf(engine->hold, sizeof(engine->hold), "%s", request ? request : "");
    if (request)
        return;
    TAILQ_FOREACH(connection, &engine->connections, link)
    {
        if (connection->held)
            fake_say(connection, connection->held, strlen(connection->held));
        free(connection->held);
        connection->held = NULL;
    }
}

void fake_engine_set_version(struct fake_engine *engine, const char *newest, const char *oldest)
{
    snprintf(engine->newest, sizeof(engine->newest), "%s", newest);
    snprintf(engine->oldest, sizeof(engine->oldest), "%s", oldest);
}

void fake_engine_babble(struct fake_engine *engine, size_t n)
{
    struct connection *connection;
    char *bytes = mem_alloc(n);

    memset(bytes, ' ', n);
    TAILQ_FOREACH(connection, &engine->connections, link)
    if (connection->kind == EVENTS)
        fake_say(connection, bytes, n);
    free(bytes);
}

void fake_engine_cut_events(struct fake_engine *engine)
{
    fake_close_streams(engine, EVENTS, "");
}

size_t fake_engine_n_requests(const struct fake_engine *engine, const char *request)
{
    size_t n = 0;

    for (size_t i = 0; i < engine->n_log; i++)
        n += strncmp(engine->log[i], request, strlen(request)) == 0;
    return n;
}

/* ---- life --------------------------------------------------------------------------------- */

struct fake_engine *fake_engine_new(struct ev_loop *loop, const char *socket)
{
    struct fake_engine *engine = mem_zalloc(1, sizeof(*engine));

    engine->loop = loop;
    engine->socket = mem_strdup(socket);
    TAILQ_INIT(&engine->containers);
    TAILQ_INIT(&engine->connections);
    TAILQ_INIT(&engine->configs);
    fake_engine_set_version(engine, "1.41", "1.12");
    fake_engine_start(engine);
    return engine;
}

void fake_engine_free(struct fake_engine *engine)
{
    fake_engine_stop(engine, false);
    fake_containers_free(engine);
    for (size_t i = 0; i < engine->n_log; i++)
        free(engine->log[i]);
    fake_swarm_free(engine);
    free(engine->socket);
    free(engine);
}
