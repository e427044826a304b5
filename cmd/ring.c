/* quoit ring: what a placement does, computed and not measured. */
#include "cmd/ring.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/verbs.h"
#include "core/mem.h"
#include "ring/replicas.h"

#define DEFAULT_SERVERS 3
#define MAX_WORDS 1025
#define FIELD(name) offsetof(struct ring_options, name)

static const struct option_def options[] = {
    {.name = "placement",
     .type = OPTION_STRING,
     .offset = FIELD(placement),
     .metavar = "NAME[:k=v,…]",
     .fallback = "slots",
     .help = "Which server a request falls to; 'quoit ring list' shows what there is; compare "
             "takes several with commas between, or all"},
    {.name = "hash",
     .type = OPTION_STRING,
     .offset = FIELD(hash),
     .metavar = "NAME[:k=v,…]",
     .fallback = "quadratic",
     .help = "Hash of requests and servers, or REQUEST/SERVER with one for each; compare takes "
             "several, or all"},
    {.name = "servers",
     .type = OPTION_STRING,
     .offset = FIELD(servers),
     .metavar = "N",
     .help = "Servers with the ids 1 … N; 3 unless --ids lists them; compare takes several"},
    {.name = "ids",
     .type = OPTION_STRING,
     .offset = FIELD(ids),
     .metavar = "LIST",
     .help = "Ids of the servers instead, e.g. 1,2,58127"},
    {.name = "weights",
     .type = OPTION_STRING,
     .offset = FIELD(weights),
     .metavar = "LIST",
     .help = "Weights of the servers, one each, e.g. 1,1,4"},
    {.name = "keys",
     .type = OPTION_CHOICE,
     .offset = FIELD(keys),
     .metavar = "WHAT",
     .fallback = "ids",
     .choices = "ids|space",
     .help = "Count all 900000 request ids, or take the hash space itself, as a perfect request "
             "hash would"},
    {.name = "sample",
     .type = OPTION_U64,
     .offset = FIELD(n_sampled),
     .metavar = "S",
     .min = 1000,
     .max = 100000000,
     .help = "plan, compare: look at S random keys instead of all; figures have 99 % intervals"},
    {.name = "add",
     .type = OPTION_STRING,
     .offset = FIELD(add),
     .metavar = "IDS",
     .help = "plan: servers that come, e.g. 7,8"},
    {.name = "remove",
     .type = OPTION_STRING,
     .offset = FIELD(remove),
     .metavar = "IDS",
     .help = "plan: servers that go, before others come"},
    {.name = "svg",
     .type = OPTION_STRING,
     .offset = FIELD(svg),
     .metavar = "FILE",
     .help = "show: write the circle as a picture; - is stdout"},
    {.name = "replicas",
     .type = OPTION_U64,
     .offset = FIELD(n_replicas),
     .metavar = "R",
     .min = 1,
     .max = RING_MAX_REPLICAS,
     .help = "lookup: R servers a key; compare: figures of sets of R replicas"},
    {.name = "changes",
     .type = OPTION_U64,
     .offset = FIELD(n_changes),
     .metavar = "C",
     .fallback = "8",
     .max = PLACEMENT_MAX_MEMBERS,
     .help = "compare: try so many joins, leaves and failures; 0: none"},
    {.name = "draws",
     .type = OPTION_U64,
     .offset = FIELD(n_draws),
     .metavar = "D",
     .fallback = "25",
     .max = 100000,
     .help = "compare: balance over so many sets of random names; 0: none"},
    {.name = "zipf",
     .type = OPTION_DOUBLE,
     .offset = FIELD(zipf),
     .metavar = "S",
     .fallback = "0.99",
     .max = 10,
     .help = "compare: balance of keys whose popularity falls as 1/rank^S; 0: none"},
    {.name = "cost",
     .type = OPTION_FLAG,
     .offset = FIELD(cost),
     .help = "compare: time lookups, builds and changes on this machine"},
    {.name = "capabilities",
     .type = OPTION_FLAG,
     .offset = FIELD(capabilities),
     .help = "list: what each placement can do, as a table"},
    {.name = "seed",
     .type = OPTION_U64,
     .offset = FIELD(seed),
     .metavar = "S",
     .fallback = "1",
     .help = "compare, plan: of what is drawn at random"},
    {.name = "json", .type = OPTION_FLAG, .offset = FIELD(json), .help = "Print JSON"},
    {0},
};

static int run(int argc, char **argv);

const struct cli_verb ring_verb = {
    .name = "ring",
    .summary = "what a placement does to servers and keys, computed without a cluster",
    .usage = "list|shares|lookup|show|plan|compare|lint [options] [KEY...]",
    .details =
        "  list           the placements and hashes that are built in, with their options\n"
        "  shares         every server's share, exactly: each of the 900000 request ids is\n"
        "                 looked up, nothing is sampled\n"
        "  lookup KEY...  which server has a key: a number, or a text as in a session's cookie\n"
        "  show           the circle in letters, or as a picture with --svg\n"
        "  plan           --add and --remove: what would move, from whom to whom\n"
        "  compare        placements × hashes × numbers of servers beside each other: balance,\n"
        "                 change, popularity, replicas, cost\n"
        "  lint           what is bad about it, and why; exits 1 on a warning or an error\n\n"
        "moved/optimum: keys that have another server afterwards, over those that had to: the\n"
        "newcomer's on a join, those of who went on a leave or a failure (a failure: one goes, "
        "and\n"
        "one with a new name comes). Between survivors: keys of servers that had nothing to do\n"
        "with it. Absorber: the most of a gone server's keys that one survivor got, over an even\n"
        "part. History: keys that are elsewhere than if it were built anew.\n\n"
        "Examples: quoit ring shares --placement slots:probe=quadratic --hash splitmix64 --ids "
        "1,2,9\n"
        "          quoit ring compare --placement slots,ring:virtual=100,maglev,jump --hash "
        "quadratic,xxh3 --servers 3,10\n"
        "          quoit ring plan --placement ring --hash xxh3 --servers 5 --remove 2 --add 6",
    .options = options,
    .run = run,
};

/* ---- options -------------------------------------------------------------------------------- */

int ring_parse_servers(const char *list, uint64_t *ret_numbers, size_t *ret_n, struct err *err)
{
    static const struct option_def one = {.name = "servers",
                                          .type = OPTION_U64,
                                          .metavar = "N",
                                          .min = 1,
                                          .max = PLACEMENT_MAX_MEMBERS};
    int rc = 0;
    size_t n = 0;
    for (const char *at = list; rc == 0;) {
        size_t n_bytes = strcspn(at, ",");
        char *word = mem_strndup(at, n_bytes);
        if (n == RING_MAX_LIST)
            rc = err_set(err, -EINVAL, "--servers: more than %u numbers", RING_MAX_LIST);
        else
            rc = option_set(&one, &ret_numbers[n++], word, err);
        free(word);
        if (at[n_bytes] == '\0')
            break;
        at += n_bytes + 1;
    }
    *ret_n = n;
    return rc;
}

static int parse_members(const struct ring_options *opts, struct ring_members *members,
                         struct err *err)
{
    uint64_t numbers[RING_MAX_LIST], n_servers = DEFAULT_SERVERS;
    size_t n = 0;
    int rc = opts->servers ? ring_parse_servers(opts->servers, numbers, &n, err) : 0;
    if (rc == 0 && n > 1)
        rc = err_set(err, -EINVAL, "--servers: several numbers are for compare");
    if (rc != 0)
        return rc;
    if (n == 1)
        n_servers = numbers[0];
    if (!opts->ids) {
        ring_members_count(members, n_servers);
    } else {
        rc = ring_members_parse(members, "--ids", opts->ids, err);
        if (rc == 0 && n == 1 && n_servers != members->n)
            rc = err_set(err, -EINVAL, "--servers %" PRIu64 ", but --ids lists %zu", n_servers,
                         members->n);
    }
    if (rc == 0 && opts->weights)
        rc = ring_members_weigh(members, opts->weights, err);
    return rc;
}

int ring_job_parse(const struct ring_options *opts, struct ring_job *job, struct err *err)
{
    memset(job, 0, sizeof(*job));
    int rc = ring_setup_parse(&job->setup, opts->placement, opts->hash, err);
    if (rc == 0)
        rc = parse_members(opts, &job->members, err);
    if (rc == 0 && opts->keys == RING_OVER_SPACE)
        ring_setup_even_requests(&job->setup);
    if (rc != 0)
        ring_job_done(job);
    return rc;
}

void ring_job_done(struct ring_job *job)
{
    ring_members_done(&job->members);
    ring_setup_done(&job->setup);
}

/* ---- printing ------------------------------------------------------------------------------- */

int ring_print_json(cJSON *tree)
{
    struct buf text;
    buf_init(&text, 0);
    json_print(&text, tree, true);
    bool written = fwrite(buf_head(&text), 1, buf_len(&text), stdout) == buf_len(&text);
    buf_done(&text);
    cJSON_Delete(tree);
    return written && fflush(stdout) == 0 ? EXIT_OK : EXIT_FAILED;
}

cJSON *ring_json_head(const struct ring_options *opts)
{
    cJSON *tree = cJSON_CreateObject();
    cJSON_AddStringToObject(tree, "placement", opts->placement);
    cJSON_AddStringToObject(tree, "hash", opts->hash);
    return tree;
}

const char *ring_keys_text(const struct ring_keys *keys, char *text, size_t n_bytes)
{
    if (keys->over == RING_OVER_SPACE)
        snprintf(text, n_bytes, "the whole hash space");
    else
        snprintf(text, n_bytes, "%s%zu%s request ids", keys->is_sample ? "" : "all ", keys->n,
                 keys->is_sample ? " random" : "");
    return text;
}

/* ---- words ---------------------------------------------------------------------------------- */

static const char *const known[] = {"list", "shares", "lookup", "show", "plan", "compare", "lint"};
#define N_KNOWN (sizeof(known) / sizeof(known[0]))

/* An option of another word is a mistake, not to be passed over. */
static int check_options(const char *word, const struct ring_options *opts)
{
    bool plan = strcmp(word, "plan") == 0, compare = strcmp(word, "compare") == 0;
    bool lookup = strcmp(word, "lookup") == 0, show = strcmp(word, "show") == 0;
    const char *wrong = (opts->add && !plan)                                 ? "add"
                        : (opts->remove && !plan)                            ? "remove"
                        : (opts->svg && !show)                               ? "svg"
                        : (opts->cost && !compare)                           ? "cost"
                        : (opts->capabilities && strcmp(word, "list") != 0)  ? "capabilities"
                        : (opts->n_replicas && !compare && !lookup)          ? "replicas"
                        : (opts->n_sampled && !compare && !plan)             ? "sample"
                        : (opts->keys && (lookup || show || word[0] == 'l')) ? "keys"
                                                                             : NULL;
    if (wrong)
        return cli_usage_error(&ring_verb, "--%s is not for %s", wrong, word);
    return 0;
}

static int run(int argc, char **argv)
{
    struct ring_options opts;
    char **words;
    int n = cli_parse(&ring_verb, argc, argv, &opts, 1, MAX_WORDS, &words);
    const char *word = words[0], *alike = option_suggest(word, known, N_KNOWN);
    bool is_known = false;
    for (size_t i = 0; i < N_KNOWN; i++)
        is_known |= strcmp(word, known[i]) == 0;
    if (!is_known)
        return cli_usage_error(&ring_verb,
                               "unknown word '%s'; there is list, shares, lookup, show, plan, "
                               "compare, lint%s%s%s",
                               word, alike ? "; did you mean '" : "", alike ? alike : "",
                               alike ? "'?" : "");
    if (strcmp(word, "lookup") != 0 && n > 1)
        return cli_usage_error(&ring_verb, "unexpected argument '%s'", words[1]);
    if (check_options(word, &opts) != 0)
        return EXIT_USAGE;
    if (strcmp(word, "list") == 0)
        return ring_run_list(&opts);
    if (strcmp(word, "shares") == 0)
        return ring_run_shares(&opts);
    if (strcmp(word, "lookup") == 0)
        return ring_run_lookup(&opts, words + 1, (size_t)n - 1);
    if (strcmp(word, "show") == 0)
        return ring_run_show(&opts);
    if (strcmp(word, "plan") == 0)
        return ring_run_plan(&opts);
    if (strcmp(word, "compare") == 0)
        return ring_run_compare(&opts);
    return ring_run_lint(&opts);
}

VERB_REGISTER(ring_verb);
