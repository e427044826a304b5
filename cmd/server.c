/* quoit server: one server of a cluster, in the foreground. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/store.h"
#include "cmd/log_options.h"
#include "cmd/verbs.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/name.h"
#include "server/server.h"

struct server_options {
    const char *listen;
    const char *name;
    const char *id;
    const char *store;
    const char *data_dir;
    uint64_t orphan_after_ns;
    uint64_t service_ns;
    uint64_t ready_fd;
    struct log_options log;
};

static const struct option_def options[] = {
    {.name = "listen",
     .type = OPTION_STRING,
     .offset = offsetof(struct server_options, listen),
     .metavar = "HOST:PORT",
     .fallback = "127.0.0.1:5000",
     .help = "Numeric address to serve on; port 0 takes any"},
    {.name = "name",
     .type = OPTION_STRING,
     .offset = offsetof(struct server_options, name),
     .metavar = "NAME",
     .fallback = "Server1",
     .help = "Its name in the cluster, told in X-Quoit-Server"},
    {.name = "id",
     .type = OPTION_STRING,
     .offset = offsetof(struct server_options, id),
     .metavar = "ID",
     .help =
         "What /home greets with; else SERVER_ID of the environment, else the number at the end "
         "of the name, else the name"},
    {.name = "store",
     .type = OPTION_STRING,
     .offset = offsetof(struct server_options, store),
     .metavar = "NAME[:k=v,...]",
     .fallback = "memory",
     .help = "What keeps the rows of its shards; shims stand before it, joined by '+'; 'list' "
             "prints what there is"},
    {.name = "data",
     .type = OPTION_STRING,
     .offset = offsetof(struct server_options, data_dir),
     .metavar = "DIR",
     .help = "Where a durable store keeps them, and finds them again; this server's alone"},
    {.name = "orphan-after",
     .type = OPTION_DURATION,
     .offset = offsetof(struct server_options, orphan_after_ns),
     .metavar = "TIME",
     .fallback = "0s",
     .unit = "s",
     .help = "End when no heartbeat came for so long; 0 never does"},
    {.name = "service-time",
     .type = OPTION_DURATION,
     .offset = offsetof(struct server_options, service_ns),
     .metavar = "TIME",
     .fallback = "0s",
     .max = UINT64_C(60) * NS_PER_S,
     .help = "Answer GET /home one at a time, each after so long: a server of a known capacity"},
    {.name = "ready-fd",
     .type = OPTION_U64,
     .offset = offsetof(struct server_options, ready_fd),
     .metavar = "FD",
     .max = 1u << 20,
     .fallback = "0",
     .help = "Write HOST:PORT to this inherited descriptor once it listens; 0 is none"},
    LOG_OPTION_ROWS(struct server_options),
    {0},
};

static int run(int argc, char **argv);

static const struct cli_verb server_verb = {
    .name = "server",
    .summary = "run one server of a cluster in the foreground",
    .usage = "[options]",
    .details =
        "Answers GET /home, /heartbeat and /metrics, and holds shards of a table: POST /config\n"
        "makes them; /read, /write, /update, /del and /copy are about their rows. Ends in order\n"
        "on SIGTERM or SIGINT. A load balancer starts its servers by itself; by hand it is\n"
        "useful as a target for `quoit load`.",
    .options = options,
    .run = run,
};

/* The ID that /home says (CONTRACT.md, Part 1). To be freed. */
static char *choose_id(const struct server_options *opts)
{
    const char *id = opts->id ? opts->id : getenv("SERVER_ID");
    uint64_t number;
    if (id && *id)
        return mem_strdup(id);
    if (name_trailing_id(opts->name, &number))
        return mem_printf("%llu", (unsigned long long)number);
    return mem_strdup(opts->name);
}

static int run(int argc, char **argv)
{
    struct server_options opts;
    cli_parse(&server_verb, argc, argv, &opts, 0, 0, NULL);
    if (strcmp(opts.store, "list") == 0) {
        family_print(&store_family, stdout);
        return EXIT_OK;
    }
    if (!name_valid(opts.name))
        return cli_usage_error(&server_verb, "--name: '%s' is no server name", opts.name);
    log_options_apply(&opts.log);
    struct err err = {0};
    struct server_config config = {.name = opts.name,
                                   .orphan_after_ns = opts.orphan_after_ns,
                                   .service_ns = opts.service_ns,
                                   .ready_fd = opts.ready_fd ? (int)opts.ready_fd : -1};
    if (addr_parse(opts.listen, &config.listen, &err) != 0)
        return cli_usage_error(&server_verb, "--listen: %s", err.message);
    struct store_spec store;
    if (store_spec_parse(opts.store, &store, &err) != 0)
        return cli_usage_error(&server_verb, "--store: %s", err.message);
    if (store_spec_caps(&store) & STORE_DURABLE && !opts.data_dir) {
        store_spec_done(&store);
        return cli_usage_error(&server_verb, "--store %s keeps its rows in a directory: --data DIR",
                               opts.store);
    }
    config.store = &store;
    config.data_dir = opts.data_dir;
    char *id = choose_id(&opts);
    config.id = id;
    int rc = server_run(&config, &err);
    store_spec_done(&store);
    if (rc != 0)
        log_error("server", "%s: %s", opts.name, err.message);
    free(id);
    return rc == 0 ? EXIT_OK : EXIT_FAILED;
}

VERB_REGISTER(server_verb);
