#include "backends/store.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/mem.h"

FAMILY_DEFINE(store);

static const struct store_ops *ops_of(const struct spec *spec)
{
    return (const struct store_ops *)spec->part;
}

int store_spec_parse(const char *text, struct store_spec *ret_spec, struct err *err)
{
    struct store_spec spec = {.text = mem_strdup(text)};
    const char *from = text;
    bool shim = true;
    int rc = 0;
    while (rc == 0 && shim) {
        /* Only a shim is followed by '+': elsewhere it is part of a value, a file's name say. */
        size_t n_name = strcspn(from, ":+");
        char *name = mem_strndup(from, n_name);
        const struct part *part = family_find(&store_family, name);
        shim = part && ((const struct store_ops *)part)->caps & STORE_SHIM;
        size_t n = shim ? strcspn(from, "+") : strlen(from);
        char *one = mem_strndup(from, n);
        if (spec.n_parts > STORE_MAX_SHIMS)
            rc = err_set(err, -EINVAL, "more than %d shims in '%s'", STORE_MAX_SHIMS, text);
        else
            rc = spec_parse(&store_family, one, &spec.parts[spec.n_parts], err);
        if (rc == 0)
            spec.n_parts++;
        if (rc == 0 && shim && from[n] != '+')
            rc = err_set(err, -EINVAL, "'%s' wraps another store: write '%s+NAME'", name, one);
        from += n + 1;
        free(one);
        free(name);
    }
    if (rc != 0) {
        store_spec_done(&spec);
        return rc;
    }
    *ret_spec = spec;
    return 0;
}

void store_spec_done(struct store_spec *spec)
{
    for (size_t i = 0; i < spec->n_parts; i++)
        spec_done(&spec->parts[i]);
    free(spec->text);
    *spec = (struct store_spec){0};
}

unsigned store_spec_caps(const struct store_spec *spec)
{
    return ops_of(&spec->parts[spec->n_parts - 1])->caps;
}

int store_open(const struct store_spec *spec, const struct store_config *config,
               struct store **ret_store, struct err *err)
{
    struct store *store = NULL;
    if (store_spec_caps(spec) & STORE_DURABLE && !config->dir)
        return err_set(err, -EINVAL, "store %s keeps its rows in a directory: name one with --data",
                       spec->text);
    if (config->dir && store_spec_caps(spec) & STORE_DURABLE) {
        int rc = file_make_dirs(config->dir, err);
        if (rc != 0)
            return rc;
    }
    for (size_t i = spec->n_parts; i-- > 0;) {
        const struct store_ops *ops = ops_of(&spec->parts[i]);
        struct store *outer;
        int rc = ops->open(spec->parts[i].params, config, store, &outer, err);
        if (rc != 0) {
            store_close(store);
            return rc;
        }
        outer->ops = ops;
        if (store && !outer->io) {
            outer->io = store->io;
            outer->n_io = store->n_io;
        }
        store = outer;
    }
    *ret_store = store;
    return 0;
}

void store_close(struct store *store)
{
    if (store)
        store->ops->close(store);
}

struct store_shard *store_find(const struct store *store, const char *name, size_t n)
{
    for (size_t i = 0; i < store->n_shards; i++) {
        struct store_shard *shard = store->shards[i];
        if (strncmp(shard->name, name, n) == 0 && shard->name[n] == '\0')
            return shard;
    }
    return NULL;
}

bool store_settle_create(struct store *store, struct store_request *request)
{
    struct store_shard *shard = store_find(store, request->name, strlen(request->name));
    if (!shard && store->n_shards < STORE_MAX_SHARDS)
        return false;
    if (!shard) {
        request->code = -ENOSPC;
        request->reason = "the server has as many shards as it may";
    } else {
        request->shard = shard;
        request->code = schema_equal(&shard->schema, request->schema) ? 0 : -EINVAL;
    }
    return true;
}

void store_shard_init(struct store_shard *shard, const struct store_request *request)
{
    assert(name_valid(request->name));
    memcpy(shard->name, request->name, strlen(request->name) + 1);
    shard->schema = *request->schema;
}

void store_add_shard(struct store *store, struct store_shard *shard)
{
    store->shards = mem_realloc(store->shards, store->n_shards + 1, sizeof(struct store_shard *));
    store->shards[store->n_shards++] = shard;
}

void store_remove_shard(struct store *store, struct store_shard *shard)
{
    for (size_t i = 0; i < store->n_shards; i++) {
        if (store->shards[i] != shard)
            continue;
        store->shards[i] = store->shards[--store->n_shards];
        return;
    }
    assert(false && "a shard that the store does not have");
}
