#include "experiments/experiment_check.h"

#include <errno.h>
#include <inttypes.h>

#include "backends/client.h"
#include "backends/hash.h"
#include "backends/placement.h"
#include "backends/spawner.h"
#include "backends/store.h"
#include "core/clock.h"
#include "loadgen/workload_db.h"

static int load_check(const struct experiment_load *load, struct err *err)
{
    struct spec client;
    int status = spec_parse(&client_family, load->client, &client, err);
    if (status < 0)
        return err_prefix(err, "client");
    spec_done(&client);
    if (load->threads > load->in_flight)
        return err_set(err, -EINVAL, "%" PRIu64 " threads share %" PRIu64 " in_flight",
                       load->threads, load->in_flight);
    if (load->arrivals != EXPERIMENT_CONSTANT && !(load->rate > 0))
        return err_set(err, -EINVAL, "arrivals are of an open loop, which has a rate");
    return 0;
}

/* Parts of the load generator. NULL is none. */
static int workloads_check(const struct experiment_load *load, struct err *err)
{
    const struct {
        const char *key, *text;
        const struct family *family;
    } parts[] = {{"workload", load->workload, &workload_family},
                 {"write", load->write, &workload_family},
                 {"read", load->read, &workload_family},
                 {"keys", load->keys, &keys_family}};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        struct spec spec;
        if (!parts[i].text)
            continue;
        if (spec_parse(parts[i].family, parts[i].text, &spec, err) < 0)
            return err_prefix(err, "load.%s", parts[i].key);
        spec_done(&spec);
    }
    return 0;
}

/* What a database needs, and what only a database has. */
static int database_check(const struct experiment_settings *settings, struct err *err)
{
    const struct experiment_cluster *cluster = &settings->cluster;
    const struct experiment_load *load = &settings->load;
    const struct layout_shape shape = {cluster->servers, cluster->shards, cluster->replicas};
    struct layout_shape to;
    struct store_spec store;
    struct layout layout;
    if (workloads_check(load, err) < 0)
        return -EINVAL;
    bool asked = load->workload || load->write || load->read;
    if (!experiment_has_database(settings))
        return asked || load->keys || load->preload || cluster->store || cluster->grow
                   ? err_set(err, -EINVAL,
                             "cluster.shards: rows need a database, and there is "
                             "none without shards")
                   : 0;
    if (!asked || (load->workload && (load->write || load->read)))
        return err_set(err, -EINVAL,
                       "load: a database is asked for a workload, or to write and read");
    if (load->steady_percent)
        return err_set(err, -EINVAL, "load.steady_percent is of loads that ask for a path");
    if (layout_check_shape(&shape, err) < 0)
        return err_prefix(err, "cluster");
    if (store_spec_parse(cluster->store, &store, err) < 0)
        return err_prefix(err, "cluster.store");
    store_spec_done(&store);
    if (load->preload > cluster->shards * cluster->shard_size)
        return err_set(err, -EINVAL,
                       "load.preload: %" PRIu64 " rows, but %" PRIu64 " shards of %" PRIu64 " keys",
                       load->preload, cluster->shards, cluster->shard_size);
    if (load->write && !load->write_keys.n && !experiment_says_ids(load->write))
        return err_set(err, -EINVAL,
                       "load.write: how many rows there will be is not known of a "
                       "load that has a duration: say ids");
    const struct experiment_range *written = &load->write_keys;
    if (written->low + written->n > experiment_shape(cluster).shards * cluster->shard_size)
        return err_set(err, -EINVAL, "load.write: %" PRIu64 " rows, but shards of %" PRIu64 " keys",
                       written->low + written->n, cluster->shard_size);
    layout_init(&layout, &shape, cluster->shard_size);
    if (cluster->grow &&
        (layout_parse_shape(cluster->grow, &to, err) < 0 || layout_grow(&layout, &to, err) < 0))
        return err_prefix(err, "cluster.grow");
    return 0;
}

int experiment_check_settings(const struct experiment_settings *settings, struct err *err)
{
    const struct experiment_cluster *cluster = &settings->cluster;
    struct hash_choice hash;
    int status = hash_choice_parse(cluster->hash, &hash, err);
    if (status < 0)
        return err_prefix(err, "cluster.hash");
    hash_choice_done(&hash);
    struct spec spec;
    if ((status = spec_parse(&placement_family, cluster->placement, &spec, err)) < 0)
        return err_prefix(err, "cluster.placement");
    spec_done(&spec);
    if ((status = spec_parse(&spawner_family, cluster->spawner, &spec, err)) < 0)
        return err_prefix(err, "cluster.spawner");
    spec_done(&spec);
    if ((status = load_check(&settings->load, err)) < 0)
        return err_prefix(err, "load");
    if ((status = database_check(settings, err)) < 0)
        return status;
    if (settings->load.steady_percent && !settings->load.warmup)
        return err_set(err, -EINVAL, "load.steady_percent: windows of load.warmup = 0 requests");
    const char *path = settings->load.path;
    if (path[0] != '/')
        return err_set(err, -EINVAL, "load.path: '%s' does not begin with '/'", path);
    for (const char *c = path; *c; c++)
        if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f)
            return err_set(err, -EINVAL, "load.path: '%s' has bytes that no path has", path);
    return 0;
}

int experiment_check_figure(const struct experiment *experiment,
                            const struct experiment_settings *settings, struct err *err)
{
    if (experiment_has_database(settings) && experiment->figure.table == TABLE_SERVERS)
        return err_set(err, -EINVAL,
                       "figure.table: a database's servers are not counted; points are");
    return 0;
}

int experiment_check_events(const struct experiment *experiment,
                            const struct experiment_settings *settings, struct err *err)
{
    const struct event_list *events = &experiment->events;
    if (!events->n &&
        (experiment->figure.table == TABLE_EVENTS || experiment->figure.table == TABLE_STEPS))
        return err_set(err, -EINVAL, "figure.table: there are no events");
    if (events->n && (settings->load.write || settings->load.read))
        return err_set(err, -EINVAL,
                       "[events] are of one load: load.workload in place of write and read");
    if (events->n && events->at[events->n - 1].at_ns >= settings->load.duration_ns)
        return err_set(err, -EINVAL,
                       "load.duration: the load must go on after the last event, at %.3g s",
                       (double)events->at[events->n - 1].at_ns / (double)NS_PER_S);
    return 0;
}

bool experiment_is_alike(const struct experiment_settings *a, const struct experiment_settings *b)
{
    return experiment_has_database(a) == experiment_has_database(b) &&
           !a->load.write == !b->load.write && !a->load.read == !b->load.read;
}
