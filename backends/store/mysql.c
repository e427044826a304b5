/* mysql: rows in tables of a MariaDB or MySQL server.
 *
 * mysql_store.h has the picture and says which file does what. This one has the options, opening
 * and closing, takes requests, and says who gets which connection. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "backends/store/mysql_store.h"
#include "core/addr.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/name.h"

#define PASSWORD_MAX_BYTES 1024
/* In the store's directory. */
#define OWNER_FILE "mysql-owner"

struct mysql_params {
    const char *socket, *host, *user, *database, *password_file;
    uint64_t port, connections, timeout_ns;
};

static const struct option_def mysql_store_options[] = {
    {.name = "socket",
     .type = OPTION_STRING,
     .offset = offsetof(struct mysql_params, socket),
     .metavar = "PATH",
     .help = "where the server listens on this machine; this or host="},
    {.name = "host",
     .type = OPTION_STRING,
     .offset = offsetof(struct mysql_params, host),
     .metavar = "ADDRESS",
     .help = "numeric address of the server, or localhost for 127.0.0.1"},
    {.name = "port",
     .type = OPTION_U64,
     .offset = offsetof(struct mysql_params, port),
     .metavar = "PORT",
     .fallback = "3306",
     .min = 1,
     .max = 65535,
     .help = "its port, with host="},
    {.name = "user",
     .type = OPTION_STRING,
     .offset = offsetof(struct mysql_params, user),
     .metavar = "NAME",
     .help = "who we are there"},
    {.name = "password-file",
     .type = OPTION_STRING,
     .offset = offsetof(struct mysql_params, password_file),
     .metavar = "PATH",
     .help = "file whose first line is the password; none: no password"},
    {.name = "database",
     .type = OPTION_STRING,
     .offset = offsetof(struct mysql_params, database),
     .metavar = "NAME",
     .help = "database to keep the tables in; it must be there"},
    {.name = "connections",
     .type = OPTION_U64,
     .offset = offsetof(struct mysql_params, connections),
     .metavar = "N",
     .fallback = "4",
     .min = 1,
     .max = MYSQL_MAX_CONNECTIONS,
     .help = "connections to the server"},
    {.name = "timeout",
     .type = OPTION_DURATION,
     .offset = offsetof(struct mysql_params, timeout_ns),
     .metavar = "TIME",
     .fallback = "30s",
     .min = 1000 * 1000,
     .unit = "ms",
     .help = "how long a server that cannot be reached is waited for before requests fail"},
    {.name = NULL},
};

/* ---- who gets which connection -----------------------------------------------------------------
 */

static struct mysql_slot *find_idle(struct mysql_store *store, const struct mysql_shard *shard)
{
    if (shard && shard->slot && shard->slot->state == SLOT_IDLE)
        return shard->slot;
    for (unsigned i = 0; i < store->n_slots; i++)
        if (store->slots[i].state == SLOT_IDLE)
            return &store->slots[i];
    return NULL;
}

/* Long reads leave half of the connections to the rest. */
static bool may_read(const struct mysql_store *store)
{
    const struct store_request *first = store->reads.first;
    unsigned most = store->n_slots > 1 ? store->n_slots / 2 : 1;
    return first && (!mysql_read_is_wide(first) || store->n_wide < most);
}

static bool begin_change(struct mysql_store *store)
{
    struct mysql_shard *shard = STAILQ_FIRST(&store->waiting);
    struct mysql_slot *slot = shard ? find_idle(store, shard) : NULL;
    if (!slot)
        return false;
    STAILQ_REMOVE_HEAD(&store->waiting, link);
    shard->waits = false;
    shard->slot = slot;
    mysql_write(slot, shard);
    return true;
}

static bool begin_read(struct mysql_store *store)
{
    struct mysql_slot *slot = may_read(store) ? find_idle(store, NULL) : NULL;
    if (!slot)
        return false;
    mysql_read(slot);
    return true;
}

static bool begin_shard_change(struct mysql_store *store)
{
    bool waits = store->shard_changes.first && !store->changing_shards;
    struct mysql_slot *slot = waits ? find_idle(store, NULL) : NULL;
    if (!slot)
        return false;
    mysql_catalog_change(slot);
    return true;
}

/* Reads and changes take turns, so that neither starves the other on few connections. */
static void dispatch(struct mysql_store *store)
{
    bool any = true;
    while (any) {
        any = begin_shard_change(store);
        store->reads_next = !store->reads_next;
        any = (store->reads_next ? begin_read(store) : begin_change(store)) || any;
        if (!any)
            any = store->reads_next ? begin_change(store) : begin_read(store);
    }
}

static void on_flush(struct flush_item *item)
{
    dispatch((struct mysql_store *)((char *)item - offsetof(struct mysql_store, dispatch)));
}

void mysql_wake(struct mysql_store *store)
{
    flusher_add(store->flusher, &store->dispatch);
}

void mysql_slot_take(struct mysql_slot *slot, void *work, void (*abandon)(struct mysql_slot *))
{
    assert(slot->state == SLOT_IDLE);
    slot->state = SLOT_BUSY;
    slot->work = work;
    slot->abandon = abandon;
}

void mysql_slot_release(struct mysql_slot *slot)
{
    slot->work = NULL;
    slot->state = SLOT_IDLE;
    slot->store->up_at_ns = clock_now_ns();
    mysql_wake(slot->store);
}

/* ---- submit ------------------------------------------------------------------------------------
 */

static void reset_request(struct store_request *request)
{
    request->code = 0;
    request->reason = NULL;
    request->n_rows_now = 0;
    request->n_rows = 0;
    request->checksum = 0;
    request->more = false;
}

/* The digest of a whole shard is known. */
static bool digest_at_once(const struct mysql_shard *shard, struct store_request *request)
{
    if (request->low != INT64_MIN || request->last != INT64_MAX ||
        (request->max_rows > 0 && request->max_rows <= shard->n_rows))
        return false;
    request->n_rows = shard->n_rows;
    request->checksum = shard->checksum;
    return true;
}

/* Digests that waited for the changes before them. */
static void settle_digests(struct mysql_store *store, struct mysql_shard *shard)
{
    while (!shard->changing && shard->changes.first && shard->changes.first->op == STORE_DIGEST) {
        struct store_request *request = mysql_queue_take(&shard->changes);
        if (digest_at_once(shard, request))
            mysql_answer(store, request, 0);
        else
            mysql_queue_add(&store->reads, request);
        mysql_wake(store);
    }
}

void mysql_shard_waits(struct mysql_store *store, struct mysql_shard *shard)
{
    settle_digests(store, shard);
    if (shard->waits || shard->changing || !shard->changes.first)
        return;
    shard->waits = true;
    STAILQ_INSERT_TAIL(&store->waiting, shard, link);
    mysql_wake(store);
}

static enum store_submit submit_create(struct mysql_store *store, struct store_request *request)
{
    if (store_settle_create(&store->base, request)) {
        if (request->code == 0)
            request->n_rows_now = ((struct mysql_shard *)request->shard)->n_rows;
        return STORE_DONE;
    }
    mysql_queue_add(&store->shard_changes, request);
    return STORE_PENDING;
}

static enum store_submit submit_read(struct mysql_store *store, struct store_request *request)
{
    struct mysql_shard *shard = (struct mysql_shard *)request->shard;
    if (request->low > request->last)
        return STORE_DONE;
    if (request->op == STORE_DIGEST && (shard->changing || shard->changes.first))
        mysql_queue_add(&shard->changes, request);
    else if (request->op == STORE_DIGEST && digest_at_once(shard, request))
        return STORE_DONE;
    else
        mysql_queue_add(&store->reads, request);
    return STORE_PENDING;
}

static bool is_up(const struct mysql_store *store)
{
    for (unsigned i = 0; i < store->n_slots; i++)
        if (store->slots[i].state >= SLOT_IDLE)
            return true;
    return false;
}

/* Keys that no change has put there, nor is about to, are absent whatever is under way. */
static bool is_surely_absent(const struct mysql_store *store, const struct store_request *request)
{
    const struct mysql_shard *shard = (const struct mysql_shard *)request->shard;
    for (size_t i = 0; i < request->n_rows_in; i++)
        if (mysql_filter_may_have(&shard->filter, request->rows[i].key))
            return false;
    return is_up(store);
}

static void note_keys(struct mysql_shard *shard, const struct store_request *request)
{
    for (size_t i = 0; i < request->n_rows_in; i++)
        mysql_filter_add(&shard->filter, request->rows[i].key);
}

static enum store_submit submit_change(struct mysql_store *store, struct store_request *request)
{
    struct mysql_shard *shard = (struct mysql_shard *)request->shard;
    if (request->op == STORE_ABSENT && is_surely_absent(store, request))
        return STORE_DONE;
    if (request->op == STORE_INSERT || request->op == STORE_REPLACE)
        note_keys(shard, request);
    mysql_queue_add(&shard->changes, request);
    mysql_shard_waits(store, shard);
    return STORE_PENDING;
}

static enum store_submit mysql_submit(struct store *base, struct store_request *request)
{
    struct mysql_store *store = (struct mysql_store *)base;
    enum store_submit submitted = STORE_PENDING;
    reset_request(request);
    switch (request->op) {
    case STORE_CREATE:
        submitted = submit_create(store, request);
        break;
    case STORE_DROP:
        mysql_queue_add(&store->shard_changes, request);
        break;
    case STORE_READ:
    case STORE_DIGEST:
        submitted = submit_read(store, request);
        break;
    case STORE_INSERT:
    case STORE_UPDATE:
    case STORE_DELETE:
    case STORE_REPLACE:
    case STORE_ABSENT:
        submitted = submit_change(store, request);
        break;
    }
    if (submitted == STORE_PENDING) {
        store->n_pending++;
        mysql_wake(store);
    }
    return submitted;
}

/* ---- opening and closing -----------------------------------------------------------------------
 */

void mysql_shard_free(struct mysql_shard *shard)
{
    mysql_filter_done(&shard->filter);
    free(shard);
}

static void free_store(struct mysql_store *store)
{
    for (unsigned i = 0; store->slots && i < store->n_slots; i++)
        mysql_slot_done(&store->slots[i]);
    while (store->base.n_shards > 0) {
        struct store_shard *shard = store->base.shards[0];
        store_remove_shard(&store->base, shard);
        mysql_shard_free((struct mysql_shard *)shard);
    }
    free(store->base.shards);
    free(store->slots);
    free(store->socket);
    free(store->host);
    free(store->user);
    if (store->password)
        explicit_bzero(store->password, strlen(store->password));
    free(store->password);
    free(store->database);
    free(store->server);
    free(store);
}

static int read_password(const char *path, char **ret_password, struct err *err)
{
    struct buf text;
    buf_init(&text, PASSWORD_MAX_BYTES);
    int rc = file_read(path, &text, err);
    if (rc != 0) {
        err_prefix(err, "store mysql, password-file");
    } else {
        const char *password = buf_str(&text);
        *ret_password = mem_strndup(password, strcspn(password, "\r\n"));
        explicit_bzero(buf_head(&text), buf_len(&text));
    }
    buf_done(&text);
    return rc;
}

static char *copy_text(const char *text)
{
    return text ? mem_strdup(text) : NULL;
}

/* A name would have to be resolved, which blocks the loop (law 2). */
static int check_host(const char *host, struct err *err)
{
    struct addr addr;
    bool bracketed = strchr(host, ':') && host[0] != '[';
    char *text = mem_printf(bracketed ? "[%s]:1" : "%s:1", host);
    int rc = host[0] != '\0' ? addr_parse(text, &addr, NULL) : -EINVAL;
    free(text);
    return rc == 0 ? 0
                   : err_set(err, -EINVAL,
                             "store mysql: host=%s is no numeric address (names are not resolved)",
                             host);
}

/* User locks are the whole server's: the same server name in another database is another store. A
 * hash, since a lock's name is short, and SQL is made of our own words. */
static void name_locks(struct mysql_store *store)
{
    char *both = mem_printf("%s/%s", store->database, store->server);
    snprintf(store->lock_name, sizeof(store->lock_name), "quoit.%016" PRIx64,
             (uint64_t)XXH3_64bits(both, strlen(both)));
    free(both);
}

static int take_params(struct mysql_store *store, const struct mysql_params *params,
                       struct err *err)
{
    if (!params->socket == !params->host)
        return err_set(err, -EINVAL,
                       "store mysql needs a server: socket=PATH, or host=ADDRESS,port=PORT, and "
                       "not both");
    if (!params->user || !params->database)
        return err_set(err, -EINVAL, "store mysql needs %s=NAME",
                       params->user ? "database" : "user");
    int rc = params->host ? check_host(params->host, err) : 0;
    if (rc == 0 && params->password_file)
        rc = read_password(params->password_file, &store->password, err);
    if (rc != 0)
        return rc;
    store->socket = copy_text(params->socket);
    store->host = !params->host                            ? NULL
                  : strcmp(params->host, "localhost") == 0 ? mem_strdup("127.0.0.1")
                                                           : mem_strdup(params->host);
    store->user = mem_strdup(params->user);
    store->database = mem_strdup(params->database);
    name_locks(store);
    store->timeout_ns = params->timeout_ns;
    store->n_slots = (unsigned)params->connections;
    store->address = (struct mysql_address){
        .socket = store->socket,
        .host = store->host,
        .port = store->host ? (unsigned)params->port : 0,
        .user = store->user,
        .password = store->password,
        .database = store->database,
        .timeout_s = 10,
    };
    return 0;
}

static int read_owner(struct mysql_store *store, const char *path, const char *text,
                      struct err *err)
{
    size_t n = strcspn(text, "\n");
    store->server = mem_strndup(text, n);
    if (!name_valid(store->server) || strcmp(text + n, "\n"))
        return err_set(err, -EINVAL, "store mysql: %s does not hold a server's name", path);
    return 0;
}

/* Whose tables. The catalog goes by the server's name, but a directory passes from a dead server to
 * one of another name, and its rows with it: they stay those of the first one that had it. */
static int take_owner(struct mysql_store *store, const struct store_config *config, struct err *err)
{
    struct buf text;
    if (!config->dir) {
        store->server = mem_strdup(config->server);
        return 0;
    }
    char *path = mem_printf("%s/" OWNER_FILE, config->dir);
    buf_init(&text, NAME_MAX_BYTES + 1);
    int rc = file_make_dirs(config->dir, err);
    if (rc == 0)
        rc = file_read(path, &text, err);
    if (rc == 0) {
        rc = read_owner(store, path, buf_str(&text), err);
    } else if (rc == -ENOENT) {
        store->server = mem_strdup(config->server);
        buf_clear(&text);
        buf_appendf(&text, "%s\n", store->server);
        rc = file_write_atomic(path, buf_head(&text), buf_len(&text), err);
    }
    if (rc == -EMSGSIZE)
        rc = err_set(err, -EINVAL, "store mysql: %s does not hold a server's name", path);
    buf_done(&text);
    free(path);
    return rc;
}

/* Connects and finds the shards, on a loop of its own; the other connections come later, while
 * requests are served. */
static int open_first(struct mysql_store *store, struct err *err)
{
    struct mysql_slot *first = &store->slots[0];
    int rc = mysql_slot_open_first(first, err);
    if (rc == 0)
        rc = mysql_catalog_open(store, err);
    if (rc != 0)
        err_prefix(err, "store mysql");
    return rc;
}

static void move_store(struct mysql_store *store, struct ev_loop *loop)
{
    for (unsigned i = 0; i < store->n_slots; i++)
        mysql_slot_move(&store->slots[i], loop);
    store->loop = loop;
}

static int mysql_open(const void *params, const struct store_config *config, struct store *inner,
                      struct store **ret_store, struct err *err)
{
    struct mysql_store *store = mem_zalloc(1, sizeof(*store));
    (void)inner;
    store->flusher = config->flusher;
    store->dispatch.flush = on_flush;
    STAILQ_INIT(&store->waiting);
    mysql_queue_init(&store->reads);
    mysql_queue_init(&store->shard_changes);
    int rc = take_owner(store, config, err);
    if (rc == 0)
        rc = take_params(store, params, err);
    if (rc != 0) {
        free_store(store);
        return rc;
    }
    struct ev_loop *private = ev_loop_new(EVFLAG_AUTO);
    assert(private);
    store->loop = private;
    store->slots = mem_zalloc(store->n_slots, sizeof(*store->slots));
    for (unsigned i = 0; i < store->n_slots; i++)
        mysql_slot_init(&store->slots[i], store, i);
    rc = open_first(store, err);
    if (rc == 0) {
        move_store(store, config->loop);
        store->slots[0].state = SLOT_IDLE;
        store->up_at_ns = clock_now_ns();
        for (unsigned i = 1; i < store->n_slots; i++)
            mysql_slot_open(&store->slots[i]);
        *ret_store = &store->base;
    } else {
        free_store(store);
    }
    ev_loop_destroy(private);
    return rc;
}

static void on_close_timeout(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    *(bool *)timer->data = true;
}

/* What is pending is done on a loop of our own: nobody else's watchers run. A server that answers
 * no more is not waited for longer than `timeout`. */
static void finish_pending(struct mysql_store *store)
{
    struct ev_loop *private = ev_loop_new(EVFLAG_AUTO);
    ev_timer patience;
    bool over = false;
    assert(private);
    move_store(store, private);
    ev_timer_init(&patience, on_close_timeout, (double)store->timeout_ns / 1e9, 0.);
    patience.data = &over;
    ev_timer_start(private, &patience);
    while (store->n_pending > 0 && !over) {
        dispatch(store);
        if (store->n_pending > 0)
            ev_run(private, EVRUN_ONCE);
    }
    for (unsigned i = 0; i < store->n_slots; i++)
        mysql_slot_done(&store->slots[i]);
    store->n_slots = 0;
    mysql_fail_waiting(store, "it did not answer while the store was closed");
    ev_timer_stop(private, &patience);
    ev_loop_destroy(private);
}

static void mysql_close_store(struct store *base)
{
    struct mysql_store *store = (struct mysql_store *)base;
    finish_pending(store);
    flusher_remove(store->flusher, &store->dispatch);
    free_store(store);
}

static void mysql_describe(const struct store *base, struct buf *out)
{
    const struct mysql_store *store = (const struct mysql_store *)base;
    buf_appendf(out,
                "rows=%" PRIu64 " shards=%zu counted_in_ms=%" PRIu64
                " server=%s innodb_flush_log_at_trx_commit=%s connections=%u",
                store->n_rows_found, store->base.n_shards, store->count_ns / NS_PER_MS,
                store->version, store->durability, store->n_slots);
}

static const struct store_ops mysql_ops = {
    .part = {.name = "mysql",
             .summary = "tables of a MariaDB or MySQL server, over a few connections",
             .source = "MariaDB Connector/C, non-blocking calls",
             .options = mysql_store_options,
             .params_size = sizeof(struct mysql_params)},
    .caps = STORE_DURABLE,
    .open = mysql_open,
    .close = mysql_close_store,
    .submit = mysql_submit,
    .describe = mysql_describe,
};

STORE_REGISTER(mysql_ops);
