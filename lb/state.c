#include "lb/state.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/file.h"
#include "core/json.h"
#include "core/mem.h"
#include "core/name.h"
#include "lb/epoch.h"
#include "lb/letters.h"

#define FORMAT_SERVERS 1
#define FORMAT_DATABASE 2
#define MAX_FILE_BYTES (16u << 20)
#define MAX_SAVED_SERVERS 65536

struct state_store {
    char *dir, *path;
    int lock_fd;
    struct mailbox *control;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t work;
    /* Under the mutex: */
    struct buf next; /* what waits to be written */
    uint64_t next_version;
    uint64_t *removals; /* data directories */
    size_t n_removals;
    bool waiting, ending;
};

/* ---- text -------------------------------------------------------------------------------------
 */

static cJSON *replicas_json(const struct state_replica *replicas, size_t n)
{
    cJSON *array = cJSON_CreateArray();
    for (size_t i = 0; i < n; i++) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "shard", replicas[i].shard);
        cJSON_AddBoolToObject(object, "whole", replicas[i].whole);
        cJSON_AddItemToArray(array, object);
    }
    return array;
}

static void add_database(cJSON *root, const struct state *state)
{
    struct buf text;
    if (state->store)
        cJSON_AddStringToObject(root, "store", state->store);
    buf_init(&text, 0);
    schema_print(state->schema, &text);
    cJSON_AddRawToObject(root, "schema", buf_str(&text));
    buf_clear(&text);
    shard_print_all(state->shards, state->n_shards, state->schema->columns[0].name, &text);
    cJSON_AddRawToObject(root, "shards", buf_str(&text));
    buf_done(&text);
}

static void add_vacancies(cJSON *root, const struct state *state)
{
    cJSON *vacancies = cJSON_AddArrayToObject(root, "vacancies");
    for (size_t i = 0; i < state->n_vacancies; i++) {
        const struct state_vacancy *vacancy = &state->vacancies[i];
        cJSON *object = cJSON_CreateObject();
        if (vacancy->name) {
            cJSON_AddStringToObject(object, "name", vacancy->name);
            json_add_uint64(object, "id", vacancy->id);
        }
        json_add_uint64(object, "data", vacancy->data_id);
        cJSON_AddItemToObject(object, "replicas",
                              replicas_json(vacancy->replicas, vacancy->n_replicas));
        cJSON_AddItemToArray(vacancies, object);
    }
}

static void print_state(const struct state *state, struct buf *out)
{
    cJSON *root = cJSON_CreateObject();
    json_add_int64(root, "format", state->schema ? FORMAT_DATABASE : FORMAT_SERVERS);
    json_add_uint64(root, "next_uid", state->next_uid);
    json_add_uint64(root, "target", state->n_target);
    cJSON *servers = cJSON_AddArrayToObject(root, "servers");
    for (size_t i = 0; i < state->n_servers; i++) {
        const struct state_server *server = &state->servers[i];
        char text[ADDR_TEXT_BYTES];
        cJSON *object = cJSON_CreateObject();
        json_add_uint64(object, "uid", server->uid);
        json_add_uint64(object, "id", server->id);
        cJSON_AddStringToObject(object, "name", server->name);
        cJSON_AddStringToObject(object, "address", addr_format(&server->addr, text));
        json_add_int64(object, "pid", server->pid);
        cJSON_AddStringToObject(object, "reference", server->reference);
        if (server->data_id != 0)
            json_add_uint64(object, "data", server->data_id);
        if (state->schema)
            cJSON_AddItemToObject(object, "replicas",
                                  replicas_json(server->replicas, server->n_replicas));
        cJSON_AddItemToArray(servers, object);
    }
    if (state->schema)
        add_database(root, state);
    if (state->schema || state->n_vacancies > 0)
        add_vacancies(root, state);
    json_print(out, root, true);
    cJSON_Delete(root);
}

static int get_unsigned(const cJSON *object, const char *key, uint64_t *ret_value, struct err *err)
{
    int64_t value;
    if (json_get_int64(object, key, &value) != 0 || value < 0)
        return err_set(err, -EINVAL, "\"%s\" is missing or no count", key);
    *ret_value = (uint64_t)value;
    return 0;
}

static int read_replicas(const cJSON *array, const struct state *state, struct arena *arena,
                         struct state_replica **ret_replicas, size_t *ret_n, struct err *err)
{
    int n = cJSON_IsArray(array) ? cJSON_GetArraySize(array) : 0;
    struct state_replica *replicas = arena_zalloc(arena, (size_t)n + 1, sizeof(*replicas));
    size_t at = 0;
    const cJSON *object;
    cJSON_ArrayForEach (object, array) {
        const char *name = json_get_string(object, "shard");
        size_t shard = 0;
        while (name && shard < state->n_shards && strcmp(state->shards[shard].name, name) != 0)
            shard++;
        if (!name || shard == state->n_shards)
            return err_set(err, -EINVAL, "a replica of a shard that is not there");
        replicas[at++] = (struct state_replica){state->shards[shard].name,
                                                cJSON_IsTrue(json_get(object, "whole"))};
    }
    *ret_replicas = replicas;
    *ret_n = at;
    return 0;
}

/* 0 also where there is none. */
static int get_data_id(const cJSON *object, const struct state *state, uint64_t *ret_id,
                       struct err *err)
{
    *ret_id = 0;
    int rc = json_get(object, "data") ? get_unsigned(object, "data", ret_id, err) : 0;
    if (rc == 0 && *ret_id >= state->next_uid)
        rc = err_set(err, -EINVAL, "\"data\" is not below \"next_uid\"");
    return rc;
}

static int read_vacancy(const cJSON *object, const struct state *state, struct arena *arena,
                        struct state_vacancy *ret_vacancy, struct err *err)
{
    const char *name = json_get_string(object, "name");
    if (json_get(object, "name") && (!name || !name_valid(name)))
        return err_set(err, -EINVAL, "a vacancy without a valid name");
    int rc = name ? get_unsigned(object, "id", &ret_vacancy->id, err) : 0;
    if (rc == 0)
        rc = get_data_id(object, state, &ret_vacancy->data_id, err);
    if (rc == 0)
        rc = read_replicas(json_get(object, "replicas"), state, arena, &ret_vacancy->replicas,
                           &ret_vacancy->n_replicas, err);
    ret_vacancy->name = rc == 0 && name ? arena_strdup(arena, name) : NULL;
    return rc;
}

static int read_vacancies(const cJSON *array, struct arena *arena, struct state *ret_state,
                          struct err *err)
{
    int n = cJSON_IsArray(array) ? cJSON_GetArraySize(array) : -1;
    if (n < 0 || n > MAX_SAVED_SERVERS)
        return err_set(err, -EINVAL, "\"vacancies\" is no array, or too many");
    ret_state->vacancies = arena_zalloc(arena, (size_t)n + 1, sizeof(*ret_state->vacancies));
    const cJSON *object;
    cJSON_ArrayForEach (object, array) {
        int rc = read_vacancy(object, ret_state, arena,
                              &ret_state->vacancies[ret_state->n_vacancies], err);
        if (rc != 0)
            return rc;
        ret_state->n_vacancies++;
    }
    return 0;
}

static int read_database(const cJSON *root, struct arena *arena, struct state *ret_state,
                         struct err *err)
{
    struct schema *schema = arena_zalloc(arena, 1, sizeof(*schema));
    int rc = schema_read(json_get(root, "schema"), schema, err);
    if (rc != 0)
        return rc;
    ret_state->schema = schema;
    const char *store = json_get_string(root, "store");
    ret_state->store = store ? arena_strdup(arena, store) : NULL;
    ret_state->shards = arena_zalloc(arena, SHARD_MAX_SHARDS, sizeof(*ret_state->shards));
    return shard_read_all(json_get(root, "shards"), schema->columns[0].name, ret_state->shards,
                          SHARD_MAX_SHARDS, &ret_state->n_shards, err);
}

static int read_server(const cJSON *object, const struct state *state, struct arena *arena,
                       struct state_server *ret_server, struct err *err)
{
    const char *name = json_get_string(object, "name");
    const char *address = json_get_string(object, "address");
    const char *reference = json_get_string(object, "reference");
    if (!name || !name_valid(name) || !address || !reference)
        return err_set(err, -EINVAL, "a server without a valid name, address or reference");
    uint64_t pid = 0;
    int rc = get_unsigned(object, "uid", &ret_server->uid, err);
    if (rc == 0)
        rc = get_unsigned(object, "id", &ret_server->id, err);
    if (rc == 0)
        rc = get_unsigned(object, "pid", &pid, err);
    if (rc == 0)
        rc = addr_parse(address, &ret_server->addr, err);
    if (rc == 0)
        rc = get_data_id(object, state, &ret_server->data_id, err);
    if (rc == 0)
        rc = read_replicas(json_get(object, "replicas"), state, arena, &ret_server->replicas,
                           &ret_server->n_replicas, err);
    if (rc != 0)
        return rc;
    ret_server->pid = (long)pid;
    ret_server->name = arena_strdup(arena, name);
    ret_server->reference = arena_strdup(arena, reference);
    return 0;
}

static int read_tree(const cJSON *root, struct arena *arena, struct state *ret_state,
                     struct err *err)
{
    uint64_t format = 0, target = 0;
    int rc = get_unsigned(root, "format", &format, err);
    if (rc == 0 && format != FORMAT_SERVERS && format != FORMAT_DATABASE)
        rc = err_set(err, -EINVAL, "format %llu is not one this program knows (%d, %d)",
                     (unsigned long long)format, FORMAT_SERVERS, FORMAT_DATABASE);
    if (rc == 0)
        rc = get_unsigned(root, "next_uid", &ret_state->next_uid, err);
    if (rc == 0)
        rc = get_unsigned(root, "target", &target, err);
    if (rc == 0 && format == FORMAT_DATABASE)
        rc = read_database(root, arena, ret_state, err);
    if (rc == 0 && (format == FORMAT_DATABASE || json_get(root, "vacancies")))
        rc = read_vacancies(json_get(root, "vacancies"), arena, ret_state, err);
    if (rc != 0)
        return rc;
    const cJSON *servers = json_get(root, "servers");
    int n = cJSON_IsArray(servers) ? cJSON_GetArraySize(servers) : -1;
    if (n < 0 || n > MAX_SAVED_SERVERS || target > MAX_SAVED_SERVERS)
        return err_set(err, -EINVAL, "\"servers\" is no array, or too many");
    ret_state->n_target = (size_t)target;
    ret_state->servers = arena_zalloc(arena, (size_t)n + 1, sizeof(*ret_state->servers));
    ret_state->n_servers = 0;
    const cJSON *object;
    uint64_t last_uid = 0;
    cJSON_ArrayForEach (object, servers) {
        struct state_server *server = &ret_state->servers[ret_state->n_servers];
        rc = read_server(object, ret_state, arena, server, err);
        if (rc != 0)
            return rc;
        if (server->uid <= last_uid || server->uid >= ret_state->next_uid)
            return err_set(err, -EINVAL, "the uids do not ascend from 1 to below \"next_uid\"");
        last_uid = server->uid;
        ret_state->n_servers++;
    }
    return 0;
}

static int load(const char *path, struct arena *arena, struct state *ret_state, int *ret_found,
                struct err *err)
{
    struct buf text;
    buf_init(&text, MAX_FILE_BYTES);
    *ret_found = 0;
    *ret_state = (struct state){.next_uid = 1};
    int rc = file_read(path, &text, err);
    if (rc == -ENOENT) {
        buf_done(&text);
        return 0;
    }
    if (rc == 0) {
        cJSON *root = json_parse(buf_head(&text), buf_len(&text), err);
        rc = root ? read_tree(root, arena, ret_state, err) : -EINVAL;
        cJSON_Delete(root);
        if (rc != 0)
            err_prefix(err, "%s cannot be used (move it away to begin anew)", path);
        *ret_found = rc == 0;
    }
    buf_done(&text);
    return rc;
}

/* ---- the writing thread -----------------------------------------------------------------------
 */

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info;
    (void)type;
    (void)where;
    return remove(path);
}

/* With the mutex held; gives it back meanwhile. What cannot be removed stays: nobody looks at it.
 */
static void remove_data(struct state_store *store)
{
    while (store->n_removals > 0) {
        char *path = mem_printf("%s/servers/%llu", store->dir,
                                (unsigned long long)store->removals[--store->n_removals]);
        pthread_mutex_unlock(&store->mutex);
        nftw(path, remove_entry, 8, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
        free(path);
        pthread_mutex_lock(&store->mutex);
    }
}

static void *write_states(void *context)
{
    struct state_store *store = context;
    pthread_mutex_lock(&store->mutex);
    for (;;) {
        while (!store->waiting && !store->ending && store->n_removals == 0)
            pthread_cond_wait(&store->work, &store->mutex);
        if (!store->waiting && store->n_removals == 0)
            break;
        if (!store->waiting) { /* never while the file on disk may still name them */
            remove_data(store);
            continue;
        }
        struct buf text = store->next;
        uint64_t version = store->next_version;
        buf_init(&store->next, 0);
        store->waiting = false;
        pthread_mutex_unlock(&store->mutex);
        struct err err = {0};
        struct lb_letter *letter = letter_new(LETTER_SAVED, 0);
        letter->version = version;
        letter->code = file_write_atomic(store->path, buf_head(&text), buf_len(&text), &err);
        mailbox_post(store->control, &letter->letter);
        buf_done(&text);
        pthread_mutex_lock(&store->mutex);
    }
    pthread_mutex_unlock(&store->mutex);
    return NULL;
}

static void free_store(struct state_store *store)
{
    if (store->lock_fd >= 0)
        close(store->lock_fd);
    buf_done(&store->next);
    pthread_mutex_destroy(&store->mutex);
    pthread_cond_destroy(&store->work);
    free(store->removals);
    free(store->dir);
    free(store->path);
    free(store);
}

static int lock_dir(struct state_store *store, const char *dir, struct err *err)
{
    char *path = mem_printf("%s/lock", dir);
    store->lock_fd = file_lock(path, err);
    free(path);
    if (store->lock_fd == -EWOULDBLOCK)
        return err_set(err, -EWOULDBLOCK, "another load balancer uses the state directory %s", dir);
    return store->lock_fd < 0 ? store->lock_fd : 0;
}

/* What file_write_atomic() left behind when an earlier life was killed within it. The lock is ours:
 * nobody is writing one now. */
static void remove_leftovers(const char *dir)
{
    static const char prefix[] = "cluster.json.tmp-";
    DIR *entries = opendir(dir);
    if (!entries)
        return;
    for (struct dirent *entry; (entry = readdir(entries));)
        if (strncmp(entry->d_name, prefix, sizeof(prefix) - 1) == 0)
            unlinkat(dirfd(entries), entry->d_name, 0);
    closedir(entries);
}

/* A number is used once, also when the state file was moved away and the directories stayed: a new
 * server must not find old rows. */
static void raise_next_uid(const char *dir, struct state *state)
{
    char *path = mem_printf("%s/servers", dir);
    DIR *entries = opendir(path);
    free(path);
    if (!entries)
        return;
    for (struct dirent *entry; (entry = readdir(entries));) {
        char *end;
        unsigned long long number = strtoull(entry->d_name, &end, 10);
        if (*end == '\0' && end != entry->d_name && number < INT64_MAX && number >= state->next_uid)
            state->next_uid = number + 1;
    }
    closedir(entries);
}

static int begin_life(const char *dir, struct err *err)
{
    char *path = mem_printf("%s/life", dir);
    int rc = epoch_begin(path, err);
    free(path);
    return rc;
}

int state_open(const char *dir, struct mailbox *control, struct arena *arena,
               struct state *ret_state, int *ret_found, struct state_store **ret_store,
               struct err *err)
{
    int rc = file_make_dirs(dir, err);
    if (rc != 0)
        return rc;
    struct state_store *store = mem_zalloc(1, sizeof(*store));
    store->dir = mem_strdup(dir);
    store->path = mem_printf("%s/cluster.json", dir);
    store->control = control;
    store->lock_fd = -1;
    buf_init(&store->next, 0);
    pthread_mutex_init(&store->mutex, NULL);
    pthread_cond_init(&store->work, NULL);
    rc = lock_dir(store, dir, err);
    if (rc == 0)
        remove_leftovers(dir);
    if (rc == 0)
        rc = load(store->path, arena, ret_state, ret_found, err);
    if (rc == 0)
        raise_next_uid(dir, ret_state);
    if (rc == 0)
        rc = begin_life(dir, err);
    if (rc == 0) {
        rc = -pthread_create(&store->thread, NULL, write_states, store);
        if (rc != 0)
            err_set_errno(err, rc, "cannot start the thread that writes %s", store->path);
    }
    if (rc != 0) {
        free_store(store);
        return rc;
    }
    *ret_store = store;
    return 0;
}

void state_save(struct state_store *store, const struct state *state, uint64_t version)
{
    if (!store)
        return;
    struct buf text;
    buf_init(&text, 0);
    print_state(state, &text);
    pthread_mutex_lock(&store->mutex);
    struct buf old = store->next;
    store->next = text;
    store->next_version = version;
    store->waiting = true;
    pthread_cond_signal(&store->work);
    pthread_mutex_unlock(&store->mutex);
    buf_done(&old);
}

void state_remove_data(struct state_store *store, uint64_t data_id)
{
    if (!store)
        return;
    pthread_mutex_lock(&store->mutex);
    store->removals = mem_realloc(store->removals, store->n_removals + 1, sizeof(*store->removals));
    store->removals[store->n_removals++] = data_id;
    pthread_cond_signal(&store->work);
    pthread_mutex_unlock(&store->mutex);
}

void state_close(struct state_store *store, int forget)
{
    if (!store)
        return;
    pthread_mutex_lock(&store->mutex);
    store->ending = true;
    pthread_cond_signal(&store->work);
    pthread_mutex_unlock(&store->mutex);
    pthread_join(store->thread, NULL);
    if (forget)
        unlink(store->path);
    free_store(store);
}
