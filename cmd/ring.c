/* quoit ring: which server gets how much, computed and not measured. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/placement.h"
#include "cmd/verbs.h"
#include "core/json.h"
#include "core/mem.h"
#include "core/stats.h"

#define BAR_COLUMNS 40
#define NAME_BYTES 32 /* "Server" and twenty digits fit */
#define DEFAULT_SERVERS 3

enum ring_keys { KEYS_IDS, KEYS_SPACE };

struct ring_options {
    const char *placement;
    const char *hash;
    uint64_t n_servers; /* 0: not given */
    const char *ids;
    int keys; /* enum ring_keys */
    bool json;
};

static const struct option_def options[] = {
    {.name = "placement",
     .type = OPTION_STRING,
     .offset = offsetof(struct ring_options, placement),
     .metavar = "NAME[:k=v,…]",
     .fallback = "slots",
     .help = "Which server a request falls to; 'quoit ring list' shows what there is"},
    {.name = "hash",
     .type = OPTION_STRING,
     .offset = offsetof(struct ring_options, hash),
     .metavar = "NAME[:k=v,…]",
     .fallback = "quadratic",
     .help = "Hash of requests and servers, or REQUEST/SERVER with one for each"},
    {.name = "servers",
     .type = OPTION_U64,
     .offset = offsetof(struct ring_options, n_servers),
     .metavar = "N",
     .min = 1,
     .max = PLACEMENT_MAX_MEMBERS,
     .help = "Servers with the ids 1 … N; 3 unless --ids lists them"},
    {.name = "ids",
     .type = OPTION_STRING,
     .offset = offsetof(struct ring_options, ids),
     .metavar = "LIST",
     .help = "Ids of the servers instead, e.g. 1,2,58127"},
    {.name = "keys",
     .type = OPTION_CHOICE,
     .offset = offsetof(struct ring_options, keys),
     .metavar = "WHAT",
     .fallback = "ids",
     .choices = "ids|space",
     .help = "Count all 900000 request ids, or take the hash space itself, as a perfect request "
             "hash would"},
    {.name = "json",
     .type = OPTION_FLAG,
     .offset = offsetof(struct ring_options, json),
     .help = "Print JSON"},
    {0},
};

static int run(int argc, char **argv);

static const struct cli_verb ring_verb = {
    .name = "ring",
    .summary = "print each server's exact share of the requests, or the placements and hashes",
    .usage = "shares|list [options]",
    .details =
        "  quoit ring shares   every server's share under --placement and --hash, exactly: each\n"
        "                      of the 900000 request ids is looked up, nothing is sampled\n"
        "  quoit ring list     the placements and hashes that are built in, with their options\n\n"
        "Example: quoit ring shares --placement slots:probe=quadratic --hash splitmix64 --ids "
        "1,2,9",
    .options = options,
    .run = run,
};

/* What is placed, and what came of it. */
struct ring_shares {
    struct spec spec;
    struct hash_choice hashes;
    uint64_t *ids;
    size_t n;
    struct placement *placement;
    uint64_t *counts; /* NULL for the hash space */
    double *shares;   /* sum 1 */
};

static void ring_shares_done(struct ring_shares *ring)
{
    free(ring->ids);
    free(ring->counts);
    free(ring->shares);
    placement_free(ring->placement);
    spec_done(&ring->spec);
    hash_choice_done(&ring->hashes);
}

/* "1,2,58127" into ids, at most PLACEMENT_MAX_MEMBERS. Duplicates are the placement's to refuse. */
static int parse_ids(const char *list, struct ring_shares *ring, struct err *err)
{
    size_t max = 1;
    for (const char *at = list; *at; at++)
        max += *at == ',';
    if (max > PLACEMENT_MAX_MEMBERS)
        return err_set(err, -EINVAL, "--ids: %zu servers; at most %u", max, PLACEMENT_MAX_MEMBERS);

    ring->ids = mem_zalloc(max, sizeof(*ring->ids));
    for (const char *at = list;; at++) {
        size_t n_bytes = strcspn(at, ",");
        char *end;
        errno = 0;
        uint64_t id = strtoull(at, &end, 10);
        /* strtoull takes blanks and signs; an id is digits */
        if (n_bytes == 0 || strspn(at, "0123456789") != n_bytes || errno != 0)
            return err_set(err, -EINVAL,
                           "--ids: '%.*s' is no id; it takes numbers up to %" PRIu64
                           " with commas between, e.g. 1,2,58127",
                           (int)(n_bytes < 40 ? n_bytes : 40), at, UINT64_MAX);
        ring->ids[ring->n++] = id;
        if (*end == '\0')
            return 0;
        at = end;
    }
}

static int choose_ids(const struct ring_options *opts, struct ring_shares *ring, struct err *err)
{
    if (opts->ids) {
        int rc = parse_ids(opts->ids, ring, err);
        if (rc == 0 && opts->n_servers != 0 && opts->n_servers != ring->n)
            rc = err_set(err, -EINVAL, "--servers %" PRIu64 ", but --ids lists %zu",
                         opts->n_servers, ring->n);
        return rc;
    }
    ring->n = opts->n_servers ? opts->n_servers : DEFAULT_SERVERS;
    ring->ids = mem_zalloc(ring->n, sizeof(*ring->ids));
    for (size_t i = 0; i < ring->n; i++)
        ring->ids[i] = i + 1;
    return 0;
}

/* The name an LB gives its first servers (CONTRACT.md, Names, ids, hashing). */
static const char *name_of(uint64_t id, char *name)
{
    snprintf(name, NAME_BYTES, "Server%" PRIu64, id);
    return name;
}

static int build(struct ring_shares *ring, struct err *err)
{
    char(*names)[NAME_BYTES] = mem_zalloc(ring->n, sizeof(*names));
    struct placement_member *members = mem_zalloc(ring->n, sizeof(*members));
    for (size_t i = 0; i < ring->n; i++)
        members[i] = (struct placement_member){
            .id = ring->ids[i], .name = name_of(ring->ids[i], names[i]), .weight = 1};
    int rc =
        placement_build(&ring->spec, members, ring->n, &ring->hashes.pair, &ring->placement, err);
    free(members);
    free(names);
    return rc;
}

static int compute(const struct ring_options *opts, struct ring_shares *ring, struct err *err)
{
    int rc = spec_parse(&placement_family, opts->placement, &ring->spec, err);
    if (rc == 0)
        rc = hash_choice_parse(opts->hash, &ring->hashes, err);
    if (rc == 0)
        rc = choose_ids(opts, ring, err);
    if (rc == 0)
        rc = build(ring, err);
    if (rc != 0)
        return rc;

    ring->shares = mem_zalloc(ring->n, sizeof(*ring->shares));
    if (opts->keys == KEYS_SPACE) {
        if (!ring->placement->ops->shares)
            return err_set(err, -EINVAL, "--keys space: the shares of %s cannot be enumerated",
                           ring->spec.part->name);
        ring->placement->ops->shares(ring->placement, ring->shares);
        return 0;
    }
    ring->counts = mem_zalloc(ring->n, sizeof(*ring->counts));
    placement_count_keys(ring->placement, REQUEST_ID_FIRST, REQUEST_ID_LAST, ring->counts);
    for (size_t i = 0; i < ring->n; i++)
        ring->shares[i] = (double)ring->counts[i] / (REQUEST_ID_LAST - REQUEST_ID_FIRST + 1);
    return 0;
}

static double peak_to_mean(const struct ring_shares *ring)
{
    return stats_max(ring->shares, ring->n) * (double)ring->n;
}

static void print_json(const struct ring_options *opts, const struct ring_shares *ring)
{
    cJSON *tree = cJSON_CreateObject();
    cJSON_AddStringToObject(tree, "placement", opts->placement);
    cJSON_AddStringToObject(tree, "hash", opts->hash);
    cJSON_AddStringToObject(tree, "over", opts->keys == KEYS_SPACE ? "hash space" : "request ids");
    if (ring->counts)
        json_add_uint64(tree, "keys", REQUEST_ID_LAST - REQUEST_ID_FIRST + 1);
    cJSON *shares = cJSON_AddArrayToObject(tree, "shares");
    for (size_t i = 0; i < ring->n; i++) {
        char name[NAME_BYTES];
        cJSON *share = cJSON_CreateObject();
        json_add_uint64(share, "id", ring->ids[i]);
        cJSON_AddStringToObject(share, "name", name_of(ring->ids[i], name));
        if (ring->counts)
            json_add_uint64(share, "count", ring->counts[i]);
        json_add_double(share, "share", ring->shares[i]);
        cJSON_AddItemToArray(shares, share);
    }
    json_add_double(tree, "peak_to_mean", peak_to_mean(ring));
    json_add_double(tree, "cov", stats_cov(ring->shares, ring->n));

    struct buf text;
    buf_init(&text, 0);
    json_print(&text, tree, true);
    fputs(buf_str(&text), stdout);
    buf_done(&text);
    cJSON_Delete(tree);
}

static void print_table(const struct ring_options *opts, const struct ring_shares *ring)
{
    static const char bar[] = "########################################";
    _Static_assert(sizeof(bar) == BAR_COLUMNS + 1, "the longest bar");

    printf("%s over %s, %zu servers, %s\n\n", opts->placement, opts->hash, ring->n,
           ring->counts ? "all 900000 request ids" : "the whole hash space");
    int width = (int)strlen("server");
    for (size_t i = 0; i < ring->n; i++) {
        char name[NAME_BYTES];
        int length = (int)strlen(name_of(ring->ids[i], name));
        width = length > width ? length : width;
    }
    double peak = stats_max(ring->shares, ring->n);
    printf("%-*s", width, "server");
    if (ring->counts)
        printf("  %8s", "requests");
    printf("  %9s\n", "share");
    for (size_t i = 0; i < ring->n; i++) {
        char name[NAME_BYTES];
        printf("%-*s", width, name_of(ring->ids[i], name));
        if (ring->counts)
            printf("  %8" PRIu64, ring->counts[i]);
        int columns = (int)(ring->shares[i] / peak * BAR_COLUMNS + 0.5);
        printf("  %8.4f%%%s%.*s\n", 100 * ring->shares[i], columns > 0 ? "  " : "", columns, bar);
    }
    printf("\npeak to mean %.3f, coefficient of variation %.3f\n", peak_to_mean(ring),
           stats_cov(ring->shares, ring->n));
}

static int run_shares(const struct ring_options *opts)
{
    struct ring_shares ring = {0};
    struct err err = {0};
    /* Whatever fails was asked for on the command line. */
    int rc = compute(opts, &ring, &err);
    if (rc == 0 && opts->json)
        print_json(opts, &ring);
    else if (rc == 0)
        print_table(opts, &ring);
    ring_shares_done(&ring);
    return rc == 0 ? EXIT_OK : cli_usage_error(&ring_verb, "%s", err.message);
}

static int run_list(void)
{
    printf("Placements (--placement NAME[:k=v,…])\n\n");
    family_print(&placement_family, stdout);
    printf("\nHashes (--hash NAME[:k=v,…], or REQUEST/SERVER)\n\n");
    family_print(&hash_family, stdout);
    return EXIT_OK;
}

static int run(int argc, char **argv)
{
    struct ring_options opts;
    char **words;
    cli_parse(&ring_verb, argc, argv, &opts, 1, 1, &words);
    if (strcmp(words[0], "shares") == 0)
        return run_shares(&opts);
    if (strcmp(words[0], "list") == 0)
        return run_list();

    const char *const known[] = {"shares", "list"};
    const char *alike = option_suggest(words[0], known, 2);
    return cli_usage_error(&ring_verb, "unknown word '%s'; there is shares, list%s%s%s", words[0],
                           alike ? "; did you mean '" : "", alike ? alike : "", alike ? "'?" : "");
}

VERB_REGISTER(ring_verb);
