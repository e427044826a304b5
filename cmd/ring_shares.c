/* quoit ring shares, lookup. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "cmd/ring.h"
#include "core/mem.h"
#include "ring/balance.h"
#include "ring/names.h"
#include "ring/replicas.h"

#define BAR_COLUMNS 40

/* ---- shares --------------------------------------------------------------------------------- */

struct shares {
    struct ring_job job;
    struct ring_state state;
    uint64_t *counts; /* NULL for the hash space */
    double *shares;   /* sum 1 */
    struct ring_balance balance;
};

static void shares_done(struct shares *shares)
{
    ring_state_done(&shares->state);
    ring_job_done(&shares->job);
    free(shares->counts);
    free(shares->shares);
}

static int compute(const struct ring_options *opts, struct shares *shares, struct err *err)
{
    struct ring_keys keys;
    int rc = ring_job_parse(opts, &shares->job, err);
    if (rc == 0)
        rc = ring_state_build(&shares->job.setup, &shares->job.members, &shares->state, err);
    if (rc != 0)
        return rc;
    if (opts->keys == RING_OVER_SPACE && !ring_setup_ops(&shares->job.setup)->shares)
        return err_set(err, -EINVAL, "--keys space: the shares of %s cannot be enumerated",
                       shares->job.setup.spec.part->name);
    size_t n = shares->job.members.n;
    shares->shares = mem_zalloc(n, sizeof(*shares->shares));
    shares->counts = mem_zalloc(n, sizeof(*shares->counts));
    ring_keys_init(&keys, (enum ring_over)opts->keys, 0, 1);
    if (!ring_shares_of(&keys, shares->state.placement, shares->shares, shares->counts)) {
        free(shares->counts);
        shares->counts = NULL;
    }
    ring_keys_done(&keys);
    ring_balance_of(shares->shares, shares->counts, &shares->job.members, &shares->balance);
    return 0;
}

static int print_json(const struct ring_options *opts, const struct shares *shares)
{
    const struct ring_members *members = &shares->job.members;
    cJSON *tree = ring_json_head(opts);
    cJSON_AddStringToObject(tree, "over",
                            opts->keys == RING_OVER_SPACE ? "hash space" : "request ids");
    if (shares->counts)
        json_add_uint64(tree, "keys", RING_ALL_IDS);
    cJSON *list = cJSON_AddArrayToObject(tree, "shares");
    for (size_t i = 0; i < members->n; i++) {
        cJSON *share = cJSON_CreateObject();
        json_add_uint64(share, "id", members->at[i].id);
        cJSON_AddStringToObject(share, "name", members->names[i]);
        if (opts->weights)
            json_add_uint64(share, "weight", members->at[i].weight);
        if (shares->counts)
            json_add_uint64(share, "count", shares->counts[i]);
        json_add_double(share, "share", shares->shares[i]);
        cJSON_AddItemToArray(list, share);
    }
    json_add_double(tree, "peak_to_mean", shares->balance.peak);
    json_add_double(tree, "cov", shares->balance.cov);
    return ring_print_json(tree);
}

static void print_table(const struct ring_options *opts, const struct shares *shares)
{
    static const char bar[] = "########################################";
    _Static_assert(sizeof(bar) == BAR_COLUMNS + 1, "the longest bar");
    const struct ring_members *members = &shares->job.members;

    printf("%s over %s, %zu servers, %s\n\n", opts->placement, opts->hash, members->n,
           shares->counts ? "all 900000 request ids" : "the whole hash space");
    int width = (int)strlen("server");
    for (size_t i = 0; i < members->n; i++) {
        int length = (int)strlen(members->names[i]);
        width = length > width ? length : width;
    }
    double peak = stats_max(shares->shares, members->n);
    printf("%-*s", width, "server");
    if (shares->counts)
        printf("  %8s", "requests");
    printf("  %9s\n", "share");
    for (size_t i = 0; i < members->n; i++) {
        printf("%-*s", width, members->names[i]);
        if (shares->counts)
            printf("  %8" PRIu64, shares->counts[i]);
        int columns = (int)(shares->shares[i] / peak * BAR_COLUMNS + 0.5);
        printf("  %8.4f%%%s%.*s\n", 100 * shares->shares[i], columns > 0 ? "  " : "", columns, bar);
    }
    printf("\npeak to mean %.3f, coefficient of variation %.3f%s\n", shares->balance.peak,
           shares->balance.cov, opts->weights ? ", of the load per weight" : "");
}

int ring_run_shares(const struct ring_options *opts)
{
    struct shares shares = {0};
    struct err err = {0};
    int code = EXIT_OK;
    /* Whatever fails was asked for on the command line. */
    int rc = compute(opts, &shares, &err);
    if (rc == 0 && opts->json)
        code = print_json(opts, &shares);
    else if (rc == 0)
        print_table(opts, &shares);
    shares_done(&shares);
    return rc == 0 ? code : cli_usage_error(&ring_verb, "%s", err.message);
}

/* ---- lookup --------------------------------------------------------------------------------- */

/* A decimal number stands for itself, any other text for its XXH3 hash, as for a load balancer's
 * sessions. Blanks and signs are text. */
static uint64_t key_of(const char *text)
{
    size_t n = strlen(text);
    char *end;
    errno = 0;
    uint64_t key = strtoull(text, &end, 10);
    if (n > 0 && strspn(text, "0123456789") == n && errno == 0)
        return key;
    return XXH3_64bits(text, n);
}

static cJSON *lookup_json(const struct ring_state *state, const char *text, const uint32_t *out,
                          size_t n)
{
    cJSON *lookup = cJSON_CreateObject();
    cJSON_AddStringToObject(lookup, "key", text);
    json_add_uint64(lookup, "number", key_of(text));
    cJSON *servers = cJSON_AddArrayToObject(lookup, "servers");
    for (size_t i = 0; i < n; i++)
        cJSON_AddItemToArray(servers, cJSON_CreateString(state->members.names[out[i]]));
    return lookup;
}

int ring_run_lookup(const struct ring_options *opts, char **words, size_t n_words)
{
    struct ring_job job;
    struct ring_state state = {0};
    struct err err = {0};
    if (n_words == 0)
        return cli_usage_error(&ring_verb, "lookup wants to know which: KEY...");
    int rc = ring_job_parse(opts, &job, &err);
    if (rc == 0) {
        rc = ring_state_build(&job.setup, &job.members, &state, &err);
        if (rc != 0)
            ring_job_done(&job);
    }
    if (rc != 0)
        return cli_usage_error(&ring_verb, "%s", err.message);
    cJSON *tree = ring_json_head(opts);
    cJSON *lookups = cJSON_AddArrayToObject(tree, "lookups");
    for (size_t w = 0; w < n_words; w++) {
        uint32_t out[RING_MAX_REPLICAS];
        size_t n = placement_lookup_n(state.placement, key_of(words[w]),
                                      opts->n_replicas ? opts->n_replicas : 1, out);
        cJSON_AddItemToArray(lookups, lookup_json(&state, words[w], out, n));
        if (opts->json)
            continue;
        printf("%s", words[w]);
        for (size_t i = 0; i < n; i++)
            printf(" %s", state.members.names[out[i]]);
        printf("\n");
    }
    ring_state_done(&state);
    ring_job_done(&job);
    if (opts->json)
        return ring_print_json(tree);
    cJSON_Delete(tree);
    return EXIT_OK;
}
