/* quoit lb: the load balancer and, through its spawner, the servers of its cluster. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/placement.h"
#include "backends/spawner.h"
#include "backends/store.h"
#include "cmd/log_options.h"
#include "cmd/verbs.h"
#include "core/clock.h"
#include "core/rng.h"
#include "lb/lb.h"

struct lb_options {
    const char *listen;
    uint64_t n_servers;
    const char *placement;
    const char *hash;
    const char *spawner;
    const char *store;
    uint64_t n_threads;
    const char *state_dir;
    uint64_t heartbeat_ns;
    uint64_t fall;
    const char *key_from;
    uint64_t answer_timeout_ns;
    uint64_t orphan_after_ns;
    uint64_t service_ns;
    uint64_t seed;
    uint64_t ready_fd;
    struct log_options log;
};

static const struct option_def options[] = {
    {.name = "listen",
     .type = OPTION_STRING,
     .offset = offsetof(struct lb_options, listen),
     .metavar = "HOST:PORT",
     .fallback = "127.0.0.1:5000",
     .help = "Numeric address to serve on; port 0 takes any"},
    {.name = "servers",
     .type = OPTION_U64,
     .offset = offsetof(struct lb_options, n_servers),
     .metavar = "N",
     .fallback = "3",
     .max = LB_MAX_SERVERS,
     .help = "Servers to start, Server1 to ServerN; a state directory that knows a cluster wins; 0 "
             "waits for /add or /init"},
    {.name = "placement",
     .type = OPTION_STRING,
     .offset = offsetof(struct lb_options, placement),
     .metavar = "NAME[:k=v,...]",
     .fallback = "slots",
     .help = "How requests are mapped to servers; `quoit ring list` shows what there is"},
    {.name = "hash",
     .type = OPTION_STRING,
     .offset = offsetof(struct lb_options, hash),
     .metavar = "NAME[:k=v,...]",
     .fallback = "quadratic",
     .help = "Hash of requests and servers, or REQUEST/SERVER with one for each"},
    {.name = "spawner",
     .type = OPTION_STRING,
     .offset = offsetof(struct lb_options, spawner),
     .metavar = "NAME[:k=v,...]",
     .fallback = "process",
     .help = "What starts and stops servers"},
    {.name = "store",
     .type = OPTION_STRING,
     .offset = offsetof(struct lb_options, store),
     .metavar = "NAME[:k=v,...]",
     .fallback = "memory",
     .help =
         "What servers keep the database's rows in; one that outlives them needs --state, where "
         "each gets a directory"},
    {.name = "threads",
     .type = OPTION_U64,
     .offset = offsetof(struct lb_options, n_threads),
     .metavar = "N",
     .fallback = "1",
     .min = 1,
     .max = LB_MAX_THREADS,
     .help = "Worker threads"},
    {.name = "state",
     .type = OPTION_STRING,
     .offset = offsetof(struct lb_options, state_dir),
     .metavar = "DIR",
     .help = "Keep the cluster map here; the next start takes over the servers it names, or starts "
             "them again, whatever --servers says. Without it nothing is kept"},
    {.name = "heartbeat-ms",
     .type = OPTION_DURATION,
     .offset = offsetof(struct lb_options, heartbeat_ns),
     .metavar = "MS",
     .fallback = "200",
     .unit = "ms",
     .min = NS_PER_MS,
     .max = 3600 * NS_PER_S,
     .help = "Ask every server for its heartbeat so often"},
    {.name = "fall",
     .type = OPTION_U64,
     .offset = offsetof(struct lb_options, fall),
     .metavar = "N",
     .fallback = "5",
     .min = 1,
     .max = 1000,
     .help = "Heartbeats missed in a row until a server counts as dead"},
    {.name = "key-from",
     .type = OPTION_STRING,
     .offset = offsetof(struct lb_options, key_from),
     .metavar = "SOURCE",
     .fallback = "random",
     .help = "Where a request's id comes from: random, header:NAME, query:NAME, path or client"},
    {.name = "answer-timeout",
     .type = OPTION_DURATION,
     .offset = offsetof(struct lb_options, answer_timeout_ns),
     .metavar = "TIME",
     .fallback = "60s",
     .unit = "s",
     .max = UINT64_C(86400) * NS_PER_S,
     .help = "A server that owes a routed request its answer for so long is hung up on: that "
             "request is answered 504, those behind it go elsewhere; 0 waits for ever"},
    {.name = "orphan-after",
     .type = OPTION_DURATION,
     .offset = offsetof(struct lb_options, orphan_after_ns),
     .metavar = "TIME",
     .fallback = "30s",
     .unit = "s",
     .help = "Servers end by themselves when they have heard from no load balancer for so long; 0 "
             "never"},
    {.name = "service-time",
     .type = OPTION_DURATION,
     .offset = offsetof(struct lb_options, service_ns),
     .metavar = "TIME",
     .fallback = "0s",
     .max = UINT64_C(60) * NS_PER_S,
     .help = "Servers answer GET /home one at a time, each after so long"},
    {.name = "seed",
     .type = OPTION_U64,
     .offset = offsetof(struct lb_options, seed),
     .metavar = "S",
     .fallback = "0",
     .help = "Seed of request ids, invented names and random choices; 0 takes one from the kernel"},
    {.name = "ready-fd",
     .type = OPTION_U64,
     .offset = offsetof(struct lb_options, ready_fd),
     .metavar = "FD",
     .fallback = "0",
     .max = 1u << 20,
     .help = "Write HOST:PORT to this inherited descriptor once every server serves; 0 is none"},
    LOG_OPTION_ROWS(struct lb_options),
    {0},
};

static int run(int argc, char **argv);

static const struct cli_verb lb_verb = {
    .name = "lb",
    .summary = "run a load balancer and its servers in the foreground",
    .usage = "[options]",
    .details =
        "Starts N servers, keeps N alive, and routes GET /PATH to them by consistent hashing.\n"
        "Its own endpoints: GET /rep, POST /add, DELETE /rm, GET /cluster, /healthz, /metrics.\n"
        "POST /init makes its servers a sharded, replicated database: GET /status, POST /read and\n"
        "/write, PUT /update, DELETE /del.\n"
        "SIGTERM or SIGINT ends it in order, and its servers with it; a second one kills them.\n"
        "Started again with the same --state it starts the same servers, by name and id; of a\n"
        "database only where its store outlives them: rows in memory end with the servers.\n"
        "Killed outright, it leaves its servers serving: started again with the same --state it\n"
        "takes them over.",
    .options = options,
    .run = run,
};

/* The program's own file: servers are started from the same one. */
static const char *own_path(char *path, size_t bytes)
{
    ssize_t n = readlink("/proc/self/exe", path, bytes - 1);
    if (n < 0)
        return "quoit";
    path[n] = '\0';
    return path;
}

/* "mysql" alone, whatever stands before it: nobody said which database. */
static bool wants_private(const struct store_spec *store)
{
    return strcmp(store->parts[store->n_parts - 1].text, "mysql") == 0;
}

static int read_store(const struct lb_options *opts, struct store_spec *store,
                      struct lb_config *config)
{
    struct err err = {0};
    if (store_spec_parse(opts->store, store, &err) != 0)
        return cli_usage_error(&lb_verb, "--store: %s", err.message);
    config->store = store->text;
    config->store_name = store->parts[store->n_parts - 1].part->name;
    config->store_durable = store_spec_caps(store) & STORE_DURABLE;
    config->store_private = wants_private(store);
    if ((config->store_durable || config->store_private) && !opts->state_dir)
        return cli_usage_error(
            &lb_verb, "--store %s needs a state directory: name one with --state", store->text);
    return 0;
}

/* Fills config from the options. 0, or EXIT_USAGE after saying what is wrong. */
static int make_config(const struct lb_options *opts, struct lb_config *config)
{
    struct err err = {0};
    config->n_servers = opts->n_servers;
    config->n_threads = opts->n_threads;
    config->state_dir = opts->state_dir;
    config->heartbeat_ns = opts->heartbeat_ns;
    config->fall = (unsigned)opts->fall;
    config->answer_timeout_ns = opts->answer_timeout_ns;
    config->orphan_after_ns = opts->orphan_after_ns;
    config->seed = opts->seed ? opts->seed : rng_entropy();
    config->ready_fd = opts->ready_fd ? (int)opts->ready_fd : -1;
    if (addr_parse(opts->listen, &config->listen, &err) != 0)
        return cli_usage_error(&lb_verb, "--listen: %s", err.message);
    if (spec_parse(&placement_family, opts->placement, &config->placement, &err) != 0)
        return cli_usage_error(&lb_verb, "--placement: %s", err.message);
    if (hash_choice_parse(opts->hash, &config->hashes, &err) != 0)
        return cli_usage_error(&lb_verb, "--hash: %s", err.message);
    if (spec_parse(&spawner_family, opts->spawner, &config->spawner, &err) != 0)
        return cli_usage_error(&lb_verb, "--spawner: %s", err.message);
    if (key_source_parse(opts->key_from, &config->key_source, &err) != 0)
        return cli_usage_error(&lb_verb, "--key-from: %s", err.message);
    return 0;
}

static int run(int argc, char **argv)
{
    struct lb_options opts;
    struct lb_config config = {0};
    struct store_spec store = {0};
    struct err err = {0};
    char path[4096];
    cli_parse(&lb_verb, argc, argv, &opts, 0, 0, NULL);
    log_options_apply(&opts.log);
    const char *server_args[2 + LOG_OPTION_WORDS];
    char service_time[32];
    size_t n_args = 0;
    if (opts.service_ns) {
        snprintf(service_time, sizeof(service_time), "%" PRIu64 "us",
                 (opts.service_ns + NS_PER_US - 1) / NS_PER_US);
        server_args[n_args++] = "--service-time";
        server_args[n_args++] = service_time;
    }
    log_options_words(&opts.log, server_args + n_args);
    config.server_args = server_args;
    config.program = own_path(path, sizeof(path));
    int code = make_config(&opts, &config);
    if (code == 0)
        code = read_store(&opts, &store, &config);
    if (code == 0) {
        code = lb_run(&config, &err) == 0 ? EXIT_OK : EXIT_FAILED;
        if (code != EXIT_OK)
            log_error("lb", "%s", err.message);
    }
    spec_done(&config.placement);
    spec_done(&config.spawner);
    store_spec_done(&store);
    hash_choice_done(&config.hashes);
    return code;
}

VERB_REGISTER(lb_verb);
