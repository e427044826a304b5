#include "experiments/shares.h"

#include <stdio.h>

#include "backends/hash.h"
#include "backends/placement.h"

int shares_exact(const struct experiment_cluster *settings, double *shares, struct err *err)
{
    struct placement_member members[EXPERIMENT_MAX_SERVERS];
    char names[EXPERIMENT_MAX_SERVERS][16];
    uint64_t counts[EXPERIMENT_MAX_SERVERS] = {0};
    struct hash_choice hash;
    struct spec spec;
    struct placement *placement = NULL;
    size_t n = settings->servers;

    for (size_t i = 0; i < n; i++) {
        snprintf(names[i], sizeof(names[i]), "Server%zu", i + 1);
        members[i] = (struct placement_member){.id = i + 1, .name = names[i], .weight = 1};
    }
    int status = hash_choice_parse(settings->hash, &hash, err);
    if (status < 0)
        return status;
    if ((status = spec_parse(&placement_family, settings->placement, &spec, err)) < 0)
        goto out_hash;
    if ((status = placement_build(&spec, members, n, &hash.pair, &placement, err)) < 0)
        goto out_spec;
    placement_count_keys(placement, REQUEST_ID_FIRST, REQUEST_ID_LAST, counts);
    for (size_t i = 0; i < n; i++)
        shares[i] = (double)counts[i] / (double)(REQUEST_ID_LAST - REQUEST_ID_FIRST + 1);
    placement_free(placement);
out_spec:
    spec_done(&spec);
out_hash:
    hash_choice_done(&hash);
    return status;
}
