/* POST /init, and /add as CONTRACT.md's Part 2 means it: which servers are to hold which shards.
 *
 * The body is read and judged whole, then the servers are started; how it goes on from there is
 * operations.c's. Shards that are made stay unseen until every server of theirs serves. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "core/json.h"
#include "core/mem.h"
#include "lb/control.h"

#define DEFAULT_REPLICAS 3
#define RANDOM_DIGITS 6
#define RANDOM_ID_FIRST 100000
#define RANDOM_IDS 900000

/* A server that is to be started. */
struct wanted {
    char name[NAME_MAX_BYTES + 1];
    bool named;     /* by the client: it gets no shard that was not asked for while others can */
    size_t *shards; /* indices of the layout's; n_shards of them */
    size_t n_shards;
};

struct layout {
    struct arena arena;
    struct shard *shards; /* n_old that there are, then new ones */
    size_t n_old, n_shards;
    struct wanted *servers;
    size_t n_servers;
};

/* ---- reading ----------------------------------------------------------------------------------
 */

static void layout_init(struct layout *layout, const struct database *database)
{
    *layout = (struct layout){0};
    arena_init(&layout->arena);
    layout->shards = arena_zalloc(&layout->arena, SHARD_MAX_SHARDS, sizeof(*layout->shards));
    for (size_t i = 0; i < database->n_shards; i++)
        layout->shards[layout->n_shards++] = database->shards[i]->range;
    layout->n_old = layout->n_shards;
}

static void layout_done(struct layout *layout)
{
    arena_done(&layout->arena);
}

static int check_keys(const cJSON *body, const char *const *known, struct err *err)
{
    const cJSON *item;
    cJSON_ArrayForEach (item, body) {
        size_t i = 0;
        while (known[i] && strcmp(known[i], item->string) != 0)
            i++;
        if (!known[i])
            return err_set(err, -EINVAL, "'%.80s' is not known here", item->string);
    }
    return 0;
}

static int read_count(const cJSON *body, const char *key, size_t *ret_n, struct err *err)
{
    int64_t n;
    int rc = json_get_int64(body, key, &n);
    if (rc != 0)
        return err_set(err, -EINVAL, "\"%s\" is %s", key,
                       rc == -ENOENT ? "missing" : "not a whole number");
    if (n < 1 || n > LB_MAX_SERVERS)
        return err_set(err, -EINVAL, "\"%s\" is %lld: it must be from 1 to %d", key, (long long)n,
                       LB_MAX_SERVERS);
    *ret_n = (size_t)n;
    return 0;
}

static size_t find_shard(const struct layout *layout, const char *name)
{
    size_t i = 0;
    while (i < layout->n_shards && strcmp(layout->shards[i].name, name) != 0)
        i++;
    return i;
}

static bool holds(const struct wanted *server, size_t shard)
{
    for (size_t i = 0; i < server->n_shards; i++)
        if (server->shards[i] == shard)
            return true;
    return false;
}

static int read_list(const cJSON *list, struct layout *layout, struct wanted *server,
                     struct err *err)
{
    if (!cJSON_IsArray(list))
        return err_set(err, -EINVAL, "the shards of server '%s' are no array", list->string);
    server->shards = arena_zalloc(&layout->arena, layout->n_shards + 1, sizeof(*server->shards));
    const cJSON *name;
    cJSON_ArrayForEach (name, list) {
        size_t at = cJSON_IsString(name) ? find_shard(layout, name->valuestring) : 0;
        if (!cJSON_IsString(name))
            return err_set(err, -EINVAL,
                           "the shards of server '%.80s' hold something that is no "
                           "string",
                           list->string);
        if (at == layout->n_shards)
            return err_set(err, -EINVAL,
                           "server '%.80s' is to hold shard '%.80s', which is not "
                           "defined",
                           list->string, name->valuestring);
        if (holds(server, at))
            return err_set(err, -EINVAL, "server '%.80s' is to hold shard '%s' twice", list->string,
                           name->valuestring);
        server->shards[server->n_shards++] = at;
    }
    return 0;
}

static bool is_named(const struct layout *layout, const char *name)
{
    for (size_t i = 0; i < layout->n_servers; i++)
        if (strcmp(layout->servers[i].name, name) == 0)
            return true;
    return false;
}

/* `Server[5]`: the name's part before the brackets. False: it is no template. */
static bool read_template(const char *text, char *prefix)
{
    size_t n = strlen(text), n_prefix = strcspn(text, "[]");
    if (n_prefix == 0 || n_prefix > NAME_MAX_BYTES - RANDOM_DIGITS || text[n_prefix] != '[' ||
        n_prefix + 1 + strcspn(text + n_prefix + 1, "[]") + 1 != n || text[n - 1] != ']')
        return false;
    memcpy(prefix, text, n_prefix);
    prefix[n_prefix] = '\0';
    return name_valid(prefix);
}

static void invent_name(struct control *control, const struct layout *layout, const char *prefix,
                        char *name)
{
    do
        snprintf(name, NAME_MAX_BYTES + 1, "%.*s%llu", NAME_MAX_BYTES - RANDOM_DIGITS, prefix,
                 (unsigned long long)(RANDOM_ID_FIRST + rng_below(&control->rng, RANDOM_IDS)));
    while (member_find_name(control, name) || is_named(layout, name));
}

/* {"Server0":["sh1","sh2"],…}. anew: no server of now stands in the way of a name, and there are no
 * templates. */
static int read_servers(struct control *control, const cJSON *servers, bool anew,
                        struct layout *layout, struct err *err)
{
    if (servers && !cJSON_IsObject(servers))
        return err_set(err, -EINVAL, "\"servers\" is not an object");
    layout->servers = arena_zalloc(&layout->arena, LB_MAX_SERVERS + 1, sizeof(*layout->servers));
    const cJSON *list;
    cJSON_ArrayForEach (list, servers) {
        char prefix[NAME_MAX_BYTES + 1];
        struct wanted *server = &layout->servers[layout->n_servers];
        if (layout->n_servers == LB_MAX_SERVERS)
            return err_set(err, -EINVAL, "more than %d servers are named", LB_MAX_SERVERS);
        if (name_valid(list->string))
            snprintf(server->name, sizeof(server->name), "%s", list->string);
        else if (!anew && read_template(list->string, prefix))
            invent_name(control, layout, prefix, server->name);
        else
            return err_set(err, -EINVAL, "'%.80s' is no server name", list->string);
        if (!anew && member_find_name(control, server->name))
            return err_set(err, -EINVAL, "a server named '%s' is there already", server->name);
        if (is_named(layout, server->name)) /* by a template before it */
            return err_set(err, -EINVAL, "two servers are named '%s'", server->name);
        server->named = true;
        int rc = read_list(list, layout, server, err);
        if (rc != 0)
            return rc;
        layout->n_servers++;
    }
    return 0;
}

/* ---- placing ----------------------------------------------------------------------------------
 */

static size_t count_copies(const struct layout *layout, size_t shard)
{
    size_t n = 0;
    for (size_t i = 0; i < layout->n_servers; i++)
        n += holds(&layout->servers[i], shard);
    return n;
}

static int check_all_placed(const struct layout *layout, struct err *err)
{
    for (size_t i = layout->n_old; i < layout->n_shards; i++)
        if (count_copies(layout, i) == 0)
            return err_set(err, -EINVAL, "shard '%s' has no server", layout->shards[i].name);
    return 0;
}

/* Whom a copy goes to: those that the client left to us before those that it spoke of, then the
 * one with the fewest shards, then any. */
static struct wanted *choose_server(struct layout *layout, size_t shard, struct rng *rng)
{
    struct wanted *best = NULL;
    size_t n_alike = 0;
    for (size_t i = 0; i < layout->n_servers; i++) {
        struct wanted *server = &layout->servers[i];
        if (holds(server, shard))
            continue;
        bool better = !best || server->named < best->named ||
                      (server->named == best->named && server->n_shards < best->n_shards);
        bool alike = best && server->named == best->named && server->n_shards == best->n_shards;
        n_alike = better ? 1 : n_alike + alike;
        if (better || (alike && rng_below(rng, n_alike) == 0))
            best = server;
    }
    assert(best); /* there are no more copies than servers */
    return best;
}

/* Servers that were not named get names, and the shards are spread until each has its copies. */
static void place_at_random(struct control *control, struct layout *layout, size_t n_servers,
                            size_t n_copies)
{
    for (size_t number = 0; layout->n_servers < n_servers; number++) {
        struct wanted *server = &layout->servers[layout->n_servers];
        char name[NAME_MAX_BYTES + 1];
        snprintf(name, sizeof(name), "Server%zu", number);
        if (is_named(layout, name))
            continue;
        memcpy(server->name, name, sizeof(name));
        server->shards =
            arena_zalloc(&layout->arena, layout->n_shards + 1, sizeof(*server->shards));
        layout->n_servers++;
    }
    for (size_t i = 0; i < layout->n_shards; i++)
        for (size_t n = count_copies(layout, i); n < n_copies; n++) {
            struct wanted *server = choose_server(layout, i, &control->rng);
            server->shards[server->n_shards++] = i;
        }
}

/* ---- starting ---------------------------------------------------------------------------------
 */

static void note_added(struct operation *operation, const struct member *member, size_t at,
                       size_t n)
{
    buf_appendf(&operation->note, "%sServer:%llu",
                at == 0       ? "Add "
                : at + 1 == n ? " and "
                              : ", ",
                (unsigned long long)member->id);
}

/* Makes the shards, unseen, and starts the servers. 0: under way; else it is answered. */
static int start(struct control *control, struct operation *operation, const struct layout *layout)
{
    struct database *database = &control->database;
    struct err err = {0};
    for (size_t i = layout->n_old; i < layout->n_shards; i++)
        database_add_shard(database, &layout->shards[i], operation);
    operation->n_members = layout->n_servers;
    for (size_t i = 0; i < layout->n_servers; i++) {
        const struct wanted *server = &layout->servers[i];
        struct member *member;
        uint32_t *groups = mem_zalloc(server->n_shards + 1, sizeof(*groups));
        for (size_t j = 0; j < server->n_shards; j++)
            groups[j] = database_group(layout->shards[server->shards[j]].name);
        struct member_plan plan = {.name = server->name,
                                   .operation = operation,
                                   .groups = groups,
                                   .n_groups = server->n_shards};
        int rc = operation_start(control, &plan, &member, &err);
        free(groups);
        if (rc != 0) {
            answer_refuse(control, operation->call, 503, "%s; nothing was changed", err.message);
            return rc;
        }
        note_added(operation, member, i, layout->n_servers);
        for (size_t j = 0; j < server->n_shards; j++) {
            const char *shard = layout->shards[server->shards[j]].name;
            database_add_replica(database_find(database, shard), member->uid, REPLICA_FILLING);
        }
    }
    return 0;
}

/* ---- /init ------------------------------------------------------------------------------------
 */

static int read_schema(const cJSON *body, struct schema *ret_schema, struct err *err)
{
    const cJSON *schema = json_get(body, "schema");
    if (!schema)
        return err_set(err, -EINVAL, "\"schema\" is missing");
    int rc = schema_read(schema, ret_schema, err);
    const char *key = rc == 0 ? ret_schema->columns[0].name : "";
    if (strcmp(key, "shard") == 0 || strcmp(key, "data") == 0)
        rc = err_set(err, -EINVAL,
                     "the key column cannot be called '%s': calls have a member of that name", key);
    return rc;
}

static int read_init(struct control *control, const cJSON *body, struct layout *layout,
                     struct schema *ret_schema, struct err *err)
{
    static const char *const keys[] = {"N", "schema", "shards", "servers", "replicas", NULL};
    size_t n = 0, n_copies = DEFAULT_REPLICAS;
    int rc = check_keys(body, keys, err);
    if (rc == 0)
        rc = read_count(body, "N", &n, err);
    if (rc == 0)
        rc = read_schema(body, ret_schema, err);
    if (rc == 0)
        rc = shard_read_all(json_get(body, "shards"), ret_schema->columns[0].name, layout->shards,
                            SHARD_MAX_SHARDS, &layout->n_shards, err);
    if (rc == 0 && layout->n_shards == 0)
        rc = err_set(err, -EINVAL, "\"shards\" is empty");
    if (rc == 0)
        rc = read_servers(control, json_get(body, "servers"), true, layout, err);
    if (rc == 0 && layout->n_servers > n)
        rc = err_set(err, -EINVAL, "\"N\" is %zu, but %zu servers are named", n, layout->n_servers);
    bool asked = json_get(body, "replicas") != NULL;
    if (rc == 0 && asked)
        rc = read_count(body, "replicas", &n_copies, err);
    if (rc == 0 && asked && n_copies > n)
        rc =
            err_set(err, -EINVAL, "%zu replicas of a shard do not fit on %zu servers", n_copies, n);
    if (rc != 0)
        return rc;
    if (layout->n_servers < n)
        place_at_random(control, layout, n, n_copies < n ? n_copies : n);
    return check_all_placed(layout, err);
}

int configure_begin_init(struct control *control, struct operation *operation)
{
    struct admin_call *call = operation->call;
    struct err err = {0};
    struct layout layout;
    if (control->database.configured) {
        answer_refuse(control, call, 409, "the database is configured already");
        return -EALREADY;
    }
    cJSON *body = json_parse_body(buf_head(&call->body), buf_len(&call->body), &err);
    if (!body) {
        answer_refuse(control, call, 400, "%s", err.message);
        return -EINVAL;
    }
    layout_init(&layout, &control->database);
    int rc = read_init(control, body, &layout, &operation->schema, &err);
    if (rc == 0)
        rc = operation_check_room(control, layout.n_servers, true, &err);
    if (rc != 0) {
        answer_refuse(control, call, 400, "%s", err.message);
    } else {
        for (struct member *member = control->members; member; member = member->next)
            member->retiring = true;
        rc = start(control, operation, &layout);
    }
    layout_done(&layout);
    cJSON_Delete(body);
    return rc;
}

/* ---- /add -------------------------------------------------------------------------------------
 */

static int read_add(struct control *control, const cJSON *body, struct layout *layout,
                    struct err *err)
{
    static const char *const keys[] = {"n", "new_shards", "servers", NULL};
    const struct schema *schema = &control->database.schema;
    size_t n = 0;
    int rc = check_keys(body, keys, err);
    if (rc == 0)
        rc = read_count(body, "n", &n, err);
    if (rc == 0 && json_get(body, "new_shards"))
        rc = shard_read_all(json_get(body, "new_shards"), schema->columns[0].name, layout->shards,
                            SHARD_MAX_SHARDS, &layout->n_shards, err);
    if (rc == 0)
        rc = read_servers(control, json_get(body, "servers"), false, layout, err);
    if (rc == 0 && n > layout->n_servers)
        rc = err_set(err, -EINVAL,
                     "Number of new servers (n) is greater than newly added instances");
    if (rc == 0 && n < layout->n_servers)
        rc = err_set(err, -EINVAL, "\"n\" is %zu, but %zu servers are named", n, layout->n_servers);
    return rc == 0 ? check_all_placed(layout, err) : rc;
}

int configure_begin_add(struct control *control, struct operation *operation, const cJSON *body)
{
    struct err err = {0};
    struct layout layout;
    layout_init(&layout, &control->database);
    int rc = read_add(control, body, &layout, &err);
    if (rc == 0)
        rc = operation_check_room(control, layout.n_servers, false, &err);
    if (rc != 0)
        answer_refuse(control, operation->call, 400, "%s", err.message);
    else
        rc = start(control, operation, &layout);
    layout_done(&layout);
    return rc;
}
