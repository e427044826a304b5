#include "experiments/experiment_keys.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/clock.h"
#include "core/mem.h"

#define AT(type, field) offsetof(struct experiment_##type, field)

static const struct option_def about_options[] = {
    {.name = "name",
     .type = OPTION_STRING,
     .offset = AT(about, name),
     .metavar = "NAME",
     .help = "the experiment's name, which is also its file's and its results' folder"},
    {.name = "title",
     .type = OPTION_STRING,
     .offset = AT(about, title),
     .metavar = "TEXT",
     .help = "what stands above the figure"},
    {.name = "question",
     .type = OPTION_STRING,
     .offset = AT(about, question),
     .metavar = "TEXT",
     .help = "what the experiment is to answer"},
    {.name = "repeats",
     .type = OPTION_U64,
     .offset = AT(about, repeats),
     .metavar = "N",
     .fallback = "5",
     .min = 1,
     .max = 1000,
     .help = "samples of every point"},
    {.name = "measures",
     .type = OPTION_CHOICE,
     .offset = AT(about, measures),
     .metavar = "WHAT",
     .fallback = "rates",
     .choices = "rates|counts",
     .help = "what is claimed: only rates suffer from a saturated generator"},
    {.name = "endpoints",
     .type = OPTION_CHOICE,
     .offset = AT(about, endpoints),
     .metavar = "WHAT",
     .fallback = "ignored",
     .choices = "ignored|checked",
     .help = "checked: every endpoint is asked first, and its answer held against CONTRACT.md"},
    {0},
};

static const struct option_def cluster_options[] = {
    {.name = "servers",
     .type = OPTION_U64,
     .offset = AT(cluster, servers),
     .metavar = "N",
     .fallback = "3",
     .min = 1,
     .max = EXPERIMENT_MAX_SERVERS,
     .help = "servers at the start"},
    {.name = "placement",
     .type = OPTION_STRING,
     .offset = AT(cluster, placement),
     .metavar = "NAME[:k=v,…]",
     .fallback = "slots",
     .help = "what maps a request to a server"},
    {.name = "hash",
     .type = OPTION_STRING,
     .offset = AT(cluster, hash),
     .metavar = "NAME[:k=v,…]",
     .fallback = "quadratic",
     .help = "the hash of requests and servers, or REQUEST/SERVER"},
    {.name = "spawner",
     .type = OPTION_STRING,
     .offset = AT(cluster, spawner),
     .metavar = "NAME[:k=v,…]",
     .fallback = "process",
     .help = "what starts the servers"},
    {.name = "threads",
     .type = OPTION_U64,
     .offset = AT(cluster, threads),
     .metavar = "N",
     .fallback = "1",
     .min = 1,
     .max = 64,
     .help = "worker threads of the load balancer"},
    {.name = "service_time",
     .type = OPTION_DURATION,
     .offset = AT(cluster, service_ns),
     .metavar = "TIME",
     .fallback = "0s",
     .max = UINT64_C(60) * NS_PER_S,
     .help = "a server answers GET /home one at a time, each after so long: of a known capacity"},
    {.name = "shards",
     .type = OPTION_U64,
     .offset = AT(cluster, shards),
     .metavar = "N",
     .max = LAYOUT_MAX_SHARDS,
     .help = "shards of a database that the servers keep; 0: there is none"},
    {.name = "replicas",
     .type = OPTION_U64,
     .offset = AT(cluster, replicas),
     .metavar = "N",
     .max = LAYOUT_MAX_SERVERS,
     .help = "copies of each shard (3 when it is not said)"},
    {.name = "shard_size",
     .type = OPTION_U64,
     .offset = AT(cluster, shard_size),
     .metavar = "KEYS",
     .max = UINT64_C(1000000000000),
     .help = "keys of a shard; not said: what the rows that are written fill"},
    {.name = "store",
     .type = OPTION_STRING,
     .offset = AT(cluster, store),
     .metavar = "NAME[:k=v,…]",
     .help = "what the servers keep rows in (memory when it is not said)"},
    {.name = "grow",
     .type = OPTION_STRING,
     .offset = AT(cluster, grow),
     .metavar = "SERVERS/SHARDS/REPLICAS",
     .help = "what the running cluster becomes by /add before the load; none: it stays"},
    {0},
};

static const struct option_def load_options[] = {
    {.name = "requests",
     .type = OPTION_U64,
     .offset = AT(load, requests),
     .metavar = "N",
     .fallback = "10000",
     .min = 1,
     .max = 1000000000,
     .help = "requests of one sample; a duration takes their place"},
    {.name = "duration",
     .type = OPTION_DURATION,
     .offset = AT(load, duration_ns),
     .metavar = "TIME",
     .fallback = "0s",
     .max = UINT64_C(600) * NS_PER_S,
     .help = "send for so long; 0s: until all requests are sent"},
    {.name = "in_flight",
     .type = OPTION_U64,
     .offset = AT(load, in_flight),
     .metavar = "N",
     .fallback = "64",
     .min = 1,
     .max = 65536,
     .help = "requests under way at once"},
    {.name = "rate",
     .type = OPTION_DOUBLE,
     .offset = AT(load, rate),
     .metavar = "R",
     .fallback = "0",
     .max = 1000000,
     .help = "open loop: so many requests a second, whatever becomes of them, in_flight being a "
             "limit; 0: closed loop"},
    {.name = "arrivals",
     .type = OPTION_CHOICE,
     .offset = AT(load, arrivals),
     .metavar = "WHEN",
     .fallback = "constant",
     .choices = "constant|poisson",
     .help = "of an open loop: evenly spaced, or independent of each other"},
    {.name = "client",
     .type = OPTION_STRING,
     .offset = AT(load, client),
     .metavar = "NAME[:k=v,…]",
     .fallback = "curl",
     .help = "what sends the requests"},
    {.name = "threads",
     .type = OPTION_U64,
     .offset = AT(load, threads),
     .metavar = "N",
     .fallback = "1",
     .min = 1,
     .max = 64,
     .help = "threads of the load generator"},
    {.name = "warmup",
     .type = OPTION_U64,
     .offset = AT(load, warmup),
     .metavar = "N",
     .fallback = "1000",
     .max = 1000000000,
     .help = "requests before those that count"},
    {.name = "steady_percent",
     .type = OPTION_U64,
     .offset = AT(load, steady_percent),
     .metavar = "PERCENT",
     .fallback = "0",
     .max = 100,
     .help = "warm up, in windows of so many requests as warmup says, until the rates of three in "
             "a row are within so much; 0: do not ask"},
    {.name = "steady_windows",
     .type = OPTION_U64,
     .offset = AT(load, steady_windows),
     .metavar = "N",
     .fallback = "10",
     .min = 3,
     .max = EXPERIMENT_MAX_WINDOWS,
     .help = "windows of the warm-up at most"},
    {.name = "path",
     .type = OPTION_STRING,
     .offset = AT(load, path),
     .metavar = "/PATH",
     .fallback = "/home",
     .help = "what is asked for"},
    {.name = "workload",
     .type = OPTION_STRING,
     .offset = AT(load, workload),
     .metavar = "NAME[:k=v,…]",
     .help = "what is asked of a database, e.g. db-mix:read=50,update=50"},
    {.name = "write",
     .type = OPTION_STRING,
     .offset = AT(load, write),
     .metavar = "NAME[:k=v,…]",
     .help = "the first of two phases, measured by itself, e.g. db-write"},
    {.name = "read",
     .type = OPTION_STRING,
     .offset = AT(load, read),
     .metavar = "NAME[:k=v,…]",
     .help = "the second, in the same cluster, e.g. db-read"},
    {.name = "keys",
     .type = OPTION_STRING,
     .offset = AT(load, keys),
     .metavar = "NAME[:k=v,…]",
     .help =
         "which keys are read and changed, e.g. zipfian:low=0,high=9999; not said: uniformly any"},
    {.name = "preload",
     .type = OPTION_U64,
     .offset = AT(load, preload),
     .metavar = "ROWS",
     .max = 100000000,
     .help = "rows of keys 0, 1 … that are there before the cluster grows and the load begins, and "
             "must be there at the end"},
    {0},
};

static const struct option_def axis_options[] = {
    {.name = "vary",
     .type = OPTION_STRING,
     .offset = AT(axis, vary),
     .metavar = "SECTION.KEY",
     .help = "the setting that varies"},
    {.name = "values",
     .type = OPTION_STRING,
     .offset = AT(axis, values_text),
     .metavar = "VALUE …",
     .help = "its values, separated by blanks"},
    {.name = "labels",
     .type = OPTION_STRING,
     .offset = AT(axis, labels_text),
     .metavar = "LABEL | …",
     .help = "what the figure calls them, separated by |"},
    {0},
};

static const struct option_def figure_options[] = {
    {.name = "kind",
     .type = OPTION_STRING,
     .offset = AT(figure, kind_text),
     .metavar = "KIND …",
     .fallback = "shares",
     .help = "the figures: plots/KIND.gp each"},
    {.name = "table",
     .type = OPTION_CHOICE,
     .offset = AT(figure, table),
     .metavar = "ROWS",
     .fallback = "servers",
     .choices = "servers|points|events|steps",
     .help = "one row a server of every point, one a point, one an event, or one a step that "
             "followed events of one kind"},
    {0},
};

#define IN(field) offsetof(struct experiment, field)

const struct section experiment_sections[] = {
    {"experiment", about_options, IN(about), false},
    {"cluster", cluster_options, IN(settings.cluster), true},
    {"load", load_options, IN(settings.load), true},
    {"axis", axis_options, IN(axes[0]), false},
    {"axis2", axis_options, IN(axes[1]), false},
    {"figure", figure_options, IN(figure), false},
    {0},
};

#define N_SECTIONS (sizeof(experiment_sections) / sizeof(experiment_sections[0]) - 1)

/* ——— names: what there is, and what was meant ——— */

const struct section *section_find(const char *name, size_t n)
{
    for (size_t i = 0; i < N_SECTIONS; i++)
        if (strlen(experiment_sections[i].name) == n &&
            !memcmp(experiment_sections[i].name, name, n))
            return &experiment_sections[i];
    return NULL;
}

int section_fail_unknown(const char *name, struct err *err)
{
    const char *names[N_SECTIONS + 2];
    for (size_t i = 0; i < N_SECTIONS; i++)
        names[i] = experiment_sections[i].name;
    names[N_SECTIONS] = EVENTS_SECTION;
    names[N_SECTIONS + 1] = PUBLISHED_SECTION;
    const char *meant = option_suggest(name, names, N_SECTIONS + 2);
    if (meant)
        return err_set(err, -EINVAL, "unknown section [%s]: did you mean [%s]?", name, meant);
    return err_set(
        err, -EINVAL,
        "unknown section [%s]: there are experiment, cluster, load, axis, axis2, events, "
        "published, figure",
        name);
}

int section_fail_unknown_key(const struct section *section, const char *key, struct err *err)
{
    const char *names[24];
    size_t n = 0;
    struct buf all;
    buf_init(&all, 1024);
    for (const struct option_def *def = section->options; def->name; def++) {
        assert(n < sizeof(names) / sizeof(names[0]));
        names[n++] = def->name;
        buf_appendf(&all, "%s%s", buf_len(&all) ? ", " : "", def->name);
    }
    const char *meant = option_suggest(key, names, n);
    if (meant)
        err_set(err, -EINVAL, "unknown key '%s' in [%s]: did you mean '%s'?", key, section->name,
                meant);
    else
        err_set(err, -EINVAL, "unknown key '%s' in [%s]: there are %s", key, section->name,
                buf_str(&all));
    buf_done(&all);
    return -EINVAL;
}

int setting_find(const char *dotted, const struct section **ret_section,
                 const struct option_def **ret_def, struct err *err)
{
    const char *dot = strchr(dotted, '.');
    if (!dot)
        return err_set(err, -EINVAL, "'%s' is not of the form SECTION.KEY", dotted);
    const struct section *section = section_find(dotted, (size_t)(dot - dotted));
    if (!section) {
        char *name = mem_strndup(dotted, (size_t)(dot - dotted));
        section_fail_unknown(name, err);
        free(name);
        return -EINVAL;
    }
    const struct option_def *def = option_find(section->options, dot + 1, strlen(dot + 1));
    if (!def)
        return section_fail_unknown_key(section, dot + 1, err);
    *ret_section = section;
    *ret_def = def;
    return 0;
}
