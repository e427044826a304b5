/* quoit ctl: words to a running load balancer, and what it says. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/verbs.h"
#include "core/clock.h"
#include "core/name.h"
#include "ctl/ctl.h"

#define DEFAULT_LB "127.0.0.1:5000"
#define MAX_WORDS 1025 /* the command and as many names as an LB has servers */

struct ctl_options {
    const char *lb;
    uint64_t timeout_ns;
    uint64_t interval_ns;
    uint64_t n_rounds;
    bool json;
    bool verbose;
};

static const struct option_def options[] = {
    {.name = "lb",
     .type = OPTION_STRING,
     .offset = offsetof(struct ctl_options, lb),
     .metavar = "HOST:PORT",
     .help = "Numeric address of the load balancer; else $QUOIT_LB, else " DEFAULT_LB},
    {.name = "json",
     .type = OPTION_FLAG,
     .offset = offsetof(struct ctl_options, json),
     .help = "Print JSON; watch prints an object a line"},
    {.name = "timeout",
     .type = OPTION_DURATION,
     .offset = offsetof(struct ctl_options, timeout_ns),
     .metavar = "TIME",
     .min = NS_PER_MS,
     .max = 3600 * NS_PER_S,
     .unit = "s",
     .help = "Give up when an answer takes longer (5 s, for changes 60 s)"},
    {.name = "interval",
     .short_name = 'i',
     .type = OPTION_DURATION,
     .offset = offsetof(struct ctl_options, interval_ns),
     .metavar = "TIME",
     .min = 10 * NS_PER_MS,
     .max = 86400 * NS_PER_S,
     .unit = "s",
     .help = "watch: time between two looks (1 s)"},
    {.name = "count",
     .type = OPTION_U64,
     .offset = offsetof(struct ctl_options, n_rounds),
     .metavar = "N",
     .min = 1,
     .help = "watch: end after N tables"},
    {.name = "verbose",
     .short_name = 'v',
     .type = OPTION_FLAG,
     .offset = offsetof(struct ctl_options, verbose),
     .help = "health: say so when all is well"},
    {0},
};

static int run(int argc, char **argv);

static const struct cli_verb ctl_verb = {
    .name = "ctl",
    .summary = "look at a running load balancer and change its cluster",
    .usage = "status|add|rm|drain|kill|digest|ring|watch|health [options] [N] [NAME...]",
    .details = "  status             the servers, their shares, and what happened lately\n"
               "  add [N] [NAME...]  start N servers: as many as named, else 1\n"
               "  rm N|NAME...       take N servers out: those named, and others at random;\n"
               "                     what is under way to them is finished\n"
               "  drain NAME...      the same, and wait until they have ended\n"
               "  kill NAME...       kill them outright, and watch the cluster heal\n"
               "  digest             whether every shard's replicas hold the same rows: 0 or 1\n"
               "  ring               who owns what: a circle, and the exact shares\n"
               "  watch              requests/s, latency and failures of each server, live\n"
               "  health             for container health checks: silent, 0 or 1\n\n"
               "Exit codes: 0, 1 it failed, 2 wrong usage, 130 interrupted.",
    .options = options,
    .run = run,
};

static const char *const commands[] = {"status", "add",  "rm",    "drain", "kill",
                                       "digest", "ring", "watch", "health"};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

/* What follows the command. */
struct words {
    char **names;
    size_t n_names;
    uint64_t n; /* 0: not given */
};

static bool is(const char *command, const char *word)
{
    return strcmp(command, word) == 0;
}

static int unknown_command(const char *word)
{
    const char *alike = option_suggest(word, commands, N_COMMANDS);
    return cli_usage_error(&ctl_verb,
                           "unknown command '%s'; there is status, add, rm, drain, kill, digest, "
                           "ring, watch, health%s%s%s",
                           word, alike ? "; did you mean '" : "", alike ? alike : "",
                           alike ? "'?" : "");
}

/* [N] [NAME…]: a first word of digits alone is the number. 0 or EXIT_USAGE. */
static int read_words(const char *command, char **argv, size_t n, struct words *words)
{
    bool takes_number = is(command, "add") || is(command, "rm");
    bool takes_names = takes_number || is(command, "drain") || is(command, "kill");
    *words = (struct words){.names = argv, .n_names = n};
    if (!takes_names && n > 0)
        return cli_usage_error(&ctl_verb, "%s takes no further words, got '%s'", command, argv[0]);
    if (takes_number && n > 0 && argv[0][strspn(argv[0], "0123456789")] == '\0') {
        char *end;
        errno = 0;
        words->n = strtoull(argv[0], &end, 10);
        if (errno != 0 || end == argv[0] || words->n < 1 || words->n > INT64_MAX)
            return cli_usage_error(&ctl_verb, "'%s' is no number of servers: 1 or more", argv[0]);
        words->names++;
        words->n_names--;
    }
    for (size_t i = 0; i < words->n_names; i++)
        if (!name_valid(words->names[i]))
            return cli_usage_error(&ctl_verb, "'%s' is no server name", words->names[i]);
    if (words->n == 0 && words->n_names == 0 && takes_names && !is(command, "add"))
        return cli_usage_error(&ctl_verb, "%s wants to know which%s", command,
                               takes_number ? ", or how many" : ": NAME...");
    if (words->n == 0)
        words->n = words->n_names > 0 ? words->n_names : 1;
    if (words->n < words->n_names)
        return cli_usage_error(&ctl_verb, "%" PRIu64 " server%s, but %zu names", words->n,
                               words->n == 1 ? "" : "s", words->n_names);
    return 0;
}

/* An option of another command is a mistake, not to be passed over. */
static int check_options(const char *command, const struct ctl_options *opts)
{
    bool watch = is(command, "watch"), health = is(command, "health");
    if ((opts->interval_ns || opts->n_rounds) && !watch)
        return cli_usage_error(&ctl_verb, "--%s is for watch, not for %s",
                               opts->interval_ns ? "interval" : "count", command);
    if (opts->verbose && !health)
        return cli_usage_error(&ctl_verb, "--verbose is for health, not for %s", command);
    return 0;
}

static int run_command(struct ctl *ctl, const char *command, const struct ctl_options *opts,
                       const struct words *words, struct err *err)
{
    if (is(command, "status"))
        return ctl_status(ctl, err);
    if (is(command, "add"))
        return ctl_add(ctl, words->n, words->names, words->n_names, err);
    if (is(command, "rm"))
        return ctl_rm(ctl, words->n, words->names, words->n_names, err);
    if (is(command, "drain"))
        return ctl_drain(ctl, words->names, words->n_names, err);
    if (is(command, "kill"))
        return ctl_kill(ctl, words->names, words->n_names, err);
    if (is(command, "digest"))
        return ctl_digest(ctl, err);
    if (is(command, "ring"))
        return ctl_ring(ctl, err);
    if (is(command, "watch"))
        return ctl_watch(ctl, opts->interval_ns ? opts->interval_ns : NS_PER_S, opts->n_rounds,
                         err);
    return ctl_health(ctl, opts->verbose, err);
}

static int choose_lb(const struct ctl_options *opts, struct addr *addr)
{
    struct err err = {0};
    const char *variable = getenv("QUOIT_LB");
    bool from_variable = !opts->lb && variable && *variable;
    const char *text = opts->lb ? opts->lb : from_variable ? variable : DEFAULT_LB;
    if (addr_parse(text, addr, &err) == 0)
        return 0;
    return cli_usage_error(&ctl_verb, "%s: %s", from_variable ? "$QUOIT_LB" : "--lb", err.message);
}

static int run(int argc, char **argv)
{
    struct ctl_options opts;
    struct words words;
    struct addr lb;
    struct ctl ctl;
    struct err err = {0};
    char **argv_words;
    int n = cli_parse(&ctl_verb, argc, argv, &opts, 1, MAX_WORDS, &argv_words);
    const char *command = argv_words[0];
    size_t known = 0;
    while (known < N_COMMANDS && !is(command, commands[known]))
        known++;
    if (known == N_COMMANDS)
        return unknown_command(command);
    if (read_words(command, argv_words + 1, (size_t)n - 1, &words) != 0 ||
        check_options(command, &opts) != 0 || choose_lb(&opts, &lb) != 0)
        return EXIT_USAGE;
    ctl_init(&ctl, &lb, opts.timeout_ns, opts.json);
    int rc = run_command(&ctl, command, &opts, &words, &err);
    ctl_done(&ctl);
    if (rc == 0)
        return EXIT_OK;
    fflush(stdout);
    fprintf(stderr, "quoit ctl: %s\n", err.message);
    return rc == -EINTR ? EXIT_INTERRUPTED : EXIT_FAILED;
}

VERB_REGISTER(ctl_verb);
