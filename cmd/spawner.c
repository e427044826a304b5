/* quoit spawner: makes servers as containers for a load balancer that must not hold the engine. */
#include <string.h>

#include "backends/spawner/docker_wire.h"
#include "cmd/log_options.h"
#include "cmd/verbs.h"
#include "core/name.h"
#include "lb/lb.h"
#include "spawnerd/spawnerd.h"

/* The names of config objects end after 64. */
#define MAX_SWARM_CLUSTER_BYTES 32
/* What a load balancer takes on must not be refused here, unless somebody wants it so. */
_Static_assert(LB_MAX_SERVERS == 1024, "the default of --max-servers, in docker-*.yml too");

struct spawner_options {
    const char *socket;
    const char *engine;
    const char *image;
    const char *network;
    const char *cluster;
    const char *prefix;
    bool swarm;
    const char *node_label;
    uint64_t memory_bytes;
    uint64_t n_pids;
    uint64_t max_servers;
    struct log_options log;
};

static const struct option_def options[] = {
    {.name = "socket",
     .type = OPTION_STRING,
     .offset = offsetof(struct spawner_options, socket),
     .metavar = "PATH",
     .fallback = DOCKER_WIRE_DEFAULT_SOCKET,
     .help = "Where the load balancer comes to (its --spawner docker:socket=PATH); for this user "
             "and group alone"},
    {.name = "engine",
     .type = OPTION_STRING,
     .offset = offsetof(struct spawner_options, engine),
     .metavar = "PATH",
     .fallback = "/var/run/docker.sock",
     .help = "The container engine's socket"},
    {.name = "image",
     .type = OPTION_STRING,
     .offset = offsetof(struct spawner_options, image),
     .metavar = "IMAGE",
     .fallback = "quoit",
     .help = "What every server is made of"},
    {.name = "network",
     .type = OPTION_STRING,
     .offset = offsetof(struct spawner_options, network),
     .metavar = "NAME",
     .fallback = "n1",
     .help = "The network that servers are in, the load balancer too; with --swarm an overlay "
             "network, or host: the nodes' own addresses"},
    {.name = "cluster",
     .type = OPTION_STRING,
     .offset = offsetof(struct spawner_options, cluster),
     .metavar = "NAME",
     .fallback = "quoit",
     .help = "Label by which this cluster's containers and volumes are known; one spawner process "
             "each"},
    {.name = "prefix",
     .type = OPTION_STRING,
     .offset = offsetof(struct spawner_options, prefix),
     .metavar = "TEXT",
     .help = "Put before a server's name to make its container's; its hostname stays its name"},
    {.name = "swarm",
     .type = OPTION_FLAG,
     .offset = offsetof(struct spawner_options, swarm),
     .help = "Make each server a service of the Docker Swarm that the engine manages, spread over "
             "its nodes (the load balancer's --spawner swarm)"},
    {.name = "node-label",
     .type = OPTION_STRING,
     .offset = offsetof(struct spawner_options, node_label),
     .metavar = "KEY[=VALUE]",
     .help = "With --swarm: only nodes with this label get servers"},
    {.name = "memory",
     .type = OPTION_BYTES,
     .offset = offsetof(struct spawner_options, memory_bytes),
     .metavar = "BYTES",
     .fallback = "256M",
     .min = 6u << 20,
     .help = "Memory that a server may use"},
    {.name = "pids",
     .type = OPTION_U64,
     .offset = offsetof(struct spawner_options, n_pids),
     .metavar = "N",
     .fallback = "64",
     .min = 1,
     .max = 1u << 20,
     .help = "Threads and processes that a server may have"},
    {.name = "max-servers",
     .type = OPTION_U64,
     .offset = offsetof(struct spawner_options, max_servers),
     .metavar = "N",
     .fallback = "1024",
     .min = 1,
     .max = 1u << 20,
     .help =
         "Servers there may be at a time, those that are ending too, whatever the load balancer "
         "asks for; the default is as many as a load balancer manages, and less is safer: what "
         "the machine bears"},
    LOG_OPTION_ROWS(struct spawner_options),
    {0},
};

static int run(int argc, char **argv);

static const struct cli_verb spawner_verb = {
    .name = "spawner",
    .summary = "make servers as containers or Swarm services for a load balancer",
    .usage = "[options]",
    .details =
        "Alone holds the container engine's socket, and with it root on the machine: the load\n"
        "balancer, which anybody can talk to, gets no more than start, stop and remove, of this\n"
        "image and in this network. Made containers have no capabilities, a read-only root and\n"
        "limits. SIGTERM or SIGINT ends it and leaves servers that run; started again it finds\n"
        "them, and removes what was half made.",
    .options = options,
    .run = run,
};

static int run(int argc, char **argv)
{
    struct spawner_options opts;
    struct err err = {0};
    cli_parse(&spawner_verb, argc, argv, &opts, 0, 0, NULL);
    if (!name_valid(opts.cluster))
        return cli_usage_error(&spawner_verb, "--cluster: '%s' is no name", opts.cluster);
    if (!name_valid(opts.network))
        return cli_usage_error(&spawner_verb, "--network: '%s' is no name", opts.network);
    if (opts.swarm && strlen(opts.cluster) > MAX_SWARM_CLUSTER_BYTES)
        return cli_usage_error(&spawner_verb, "--cluster: in a swarm it has at most %d bytes",
                               MAX_SWARM_CLUSTER_BYTES);
    if (!opts.swarm && strcmp(opts.network, "host") == 0)
        return cli_usage_error(&spawner_verb, "--network: host is for --swarm alone");
    if (!opts.swarm && opts.node_label)
        return cli_usage_error(&spawner_verb, "--node-label is for --swarm alone");
    if (opts.node_label && (!opts.node_label[0] || opts.node_label[0] == '='))
        return cli_usage_error(&spawner_verb, "--node-label: '%s' is no KEY or KEY=VALUE",
                               opts.node_label);
    if (opts.prefix && opts.prefix[0] && !name_valid(opts.prefix))
        return cli_usage_error(&spawner_verb, "--prefix: '%s' begins no name", opts.prefix);
    log_options_apply(&opts.log);
    const struct spawnerd_config config = {.socket = opts.socket,
                                           .engine_socket = opts.engine,
                                           .image = opts.image,
                                           .network = opts.network,
                                           .cluster = opts.cluster,
                                           .prefix = opts.prefix ? opts.prefix : "",
                                           .swarm = opts.swarm,
                                           .node_label = opts.node_label ? opts.node_label : "",
                                           .memory_bytes = opts.memory_bytes,
                                           .n_pids = opts.n_pids,
                                           .max_servers = opts.max_servers};
    int rc = spawnerd_run(&config, &err);
    if (rc != 0)
        log_error("spawner", "%s", err.message);
    return rc == 0 ? EXIT_OK : EXIT_FAILED;
}

VERB_REGISTER(spawner_verb);
