#include "server/service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

/* NOLINTBEGIN(readability-function-size): uthash's macros are long. */
struct replica *replica_find_any(const struct service *service, const char *name, size_t n)
{
    struct replica *replica;
    HASH_FIND(hh, service->replicas, name, n, replica);
    return replica;
}

struct replica *replica_find(const struct service *service, const char *name, size_t n)
{
    struct replica *replica = replica_find_any(service, name, n);
    return replica && !replica->drop ? replica : NULL;
}

void replica_add(struct service *service, struct store_shard *shard)
{
    struct replica *replica = mem_zalloc(1, sizeof(*replica));
    size_t n = strlen(shard->name);
    memcpy(replica->name, shard->name, n + 1);
    replica->shard = shard;
    HASH_ADD_KEYPTR(hh, service->replicas, replica->name, n, replica);
    metric_set_gauge(&service->counters.shards, HASH_COUNT(service->replicas));
}

/* NOLINTEND(readability-function-size) */

int service_init(struct service *service, struct store *store, const char *name,
                 const char *store_text, struct err *err)
{
    for (size_t i = 1; i < store->n_shards; i++)
        if (!schema_equal(&store->shards[0]->schema, &store->shards[i]->schema))
            return err_set(err, -EINVAL,
                           "the store holds shards of two tables: '%s' and '%s' differ in schema",
                           store->shards[0]->name, store->shards[i]->name);
    *service = (struct service){.store = store, .name = name, .store_text = store_text};
    for (size_t i = 0; i < store->n_shards; i++)
        replica_add(service, store->shards[i]);
    if (store->n_shards > 0)
        service->schema = store->shards[0]->schema;
    return 0;
}

static void job_free(struct job *job)
{
    arena_done(&job->arena);
    buf_done(&job->texts);
    buf_done(&job->out);
    free(job);
}

void service_done(struct service *service)
{
    store_close(service->store);
    service->store = NULL;
    while (service->jobs)
        job_refuse(service->jobs, -EIO, "the server ended before the store had finished");
    while (service->free_jobs) {
        struct job *job = service->free_jobs;
        service->free_jobs = job->next;
        job_free(job);
    }
    struct replica *replica = service->replicas, *next;
    HASH_CLEAR(hh, service->replicas); /* which leaves the list */
    for (; replica; replica = next) {
        next = replica->hh.next;
        free(replica);
    }
}

int service_take_age(struct service *service, const struct http_message *request,
                     struct request_age *ret_age, struct err *err)
{
    static const int64_t none = 0;
    int64_t epoch = 0, copy = 0;
    int rc = query_int64(request, "epoch", &none, &epoch, err);
    if (rc == 0)
        rc = query_int64(request, "copy", &none, &copy, err);
    if (rc != 0)
        return rc;
    *ret_age = (struct request_age){.epoch = epoch > 0 ? (uint64_t)epoch : 0,
                                    .copy = copy > 0 ? (uint64_t)copy : 0};
    if (ret_age->epoch == 0)
        return 0;
    if (ret_age->epoch < service->epoch)
        return err_set(err, -EALREADY, "it is of an earlier connection, or load balancer");
    service->epoch = ret_age->epoch;
    return 0;
}

bool replica_take_age(struct replica *replica, const struct request_age *age)
{
    uint64_t epoch = age->copy > 0 ? age->copy : age->epoch;
    if (epoch > 0 && epoch < replica->floor)
        return false;
    if (age->copy > 0)
        replica->floor = age->copy;
    return true;
}
