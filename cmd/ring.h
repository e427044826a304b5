/* quoit ring: what its words share. */
#ifndef QUOIT_CMD_RING_H
#define QUOIT_CMD_RING_H

#include "core/cli.h"
#include "core/err.h"
#include "core/json.h"
#include "ring/state.h"
#include "ring/view.h"

#define RING_MAX_LIST 64u /* of placements, hashes, numbers of servers */

struct ring_options {
    const char *placement;
    const char *hash;
    const char *servers;
    const char *ids;
    const char *weights;
    int keys; /* enum ring_over */
    uint64_t n_sampled;
    const char *add;
    const char *remove;
    const char *svg;
    uint64_t n_replicas;
    uint64_t n_changes;
    uint64_t n_draws;
    double zipf;
    uint64_t seed;
    bool cost;
    bool capabilities;
    bool json;
};

extern const struct cli_verb ring_verb;

/* One placement over one hash and one set of members, as the options say. Not to be moved in
 * memory. */
struct ring_job {
    struct ring_setup setup;
    struct ring_members members;
};

/* 0 or -EINVAL with the reason. Pair with ring_job_done(). */
int ring_job_parse(const struct ring_options *opts, struct ring_job *job, struct err *err);
/* Takes a zeroed one. */
void ring_job_done(struct ring_job *job);
/* The numbers of --servers, at most RING_MAX_LIST. 0 or -EINVAL. */
int ring_parse_servers(const char *list, uint64_t *ret_numbers, size_t *ret_n, struct err *err);

/* The words; each an exit code. words: what stands behind it, n_words of them. */
int ring_run_list(const struct ring_options *opts);
int ring_run_shares(const struct ring_options *opts);
int ring_run_lookup(const struct ring_options *opts, char **words, size_t n_words);
int ring_run_show(const struct ring_options *opts);
int ring_run_plan(const struct ring_options *opts);
int ring_run_compare(const struct ring_options *opts);
int ring_run_lint(const struct ring_options *opts);

/* Prints the tree on stdout and deletes it. EXIT_OK, or EXIT_FAILED when stdout does not take it.
 */
int ring_print_json(cJSON *tree);
/* {"placement","hash"} of the options. */
cJSON *ring_json_head(const struct ring_options *opts);
/* "all 900000 request ids", "1000 random request ids", "the whole hash space". */
const char *ring_keys_text(const struct ring_keys *keys, char *text, size_t n_bytes);

#endif
