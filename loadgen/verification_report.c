/* What a verification found, in words and in JSON. */
#include <inttypes.h>

#include "core/clock.h"
#include "core/json.h"
#include "loadgen/verification.h"

static double seconds(uint64_t ns)
{
    return (double)ns / (double)NS_PER_S;
}

static void print_rows(const struct verification *verification, FILE *out)
{
    const struct audit_counts *counts = &verification->audit.counts;

    fprintf(out,
            "rows back   %" PRIu64 " of %" PRIu64 ", %" PRIu64 " missing, %" PRIu64
            " wrong, %" PRIu64 " unexpected, %" PRIu64 " unknown; %" PRIu64 " were there before\n",
            counts->n_read, counts->n_expected, counts->n_missing, counts->n_wrong,
            counts->n_unexpected, counts->n_unknown, counts->n_before);
    for (size_t i = 0; i < verification->audit.n_examples; i++)
        fprintf(out, "            %s\n", verification->audit.examples[i]);
}

static void print_replicas(const struct verification *verification, FILE *out)
{
    const struct replicas *replicas = &verification->replicas;
    size_t n = 0, n_equal = 0;

    if (!replicas->compared) {
        fputs("replicas    not compared: the target has no GET /cluster/digest\n", out);
        return;
    }
    for (size_t i = 0; i < replicas->n_shards; i++) {
        n += replicas->shards[i].n_replicas;
        n_equal += replicas->shards[i].equal;
    }
    fprintf(out, "replicas    %zu, those of %zu of %zu shards equal", n, n_equal,
            replicas->n_shards);
    if (replicas->n_short)
        fprintf(out, "; %zu shards have fewer than before", replicas->n_short);
    fputc('\n', out);
}

void verification_print(const struct verification *verification, FILE *out)
{
    if (verification->config.mode == VERIFICATION_NONE)
        return;
    if (!verification->done) {
        fputs("rows back   not verified\n", out);
        return;
    }
    if (verification->rows_were_read)
        print_rows(verification, out);
    print_replicas(verification, out);
    fprintf(out, "verified    in %.3f s, beside %.3f s before the run\n",
            seconds(verification->after_ns), seconds(verification->before_ns));
}

static void add_rows(cJSON *root, const struct verification *verification)
{
    const struct audit_counts *counts = &verification->audit.counts;
    cJSON *object;

    if (!verification->rows_were_read) {
        cJSON_AddNullToObject(root, "rows");
        return;
    }
    object = cJSON_AddObjectToObject(root, "rows");
    json_add_uint64(object, "before", counts->n_before);
    json_add_uint64(object, "expected", counts->n_expected);
    json_add_uint64(object, "read", counts->n_read);
    json_add_uint64(object, "missing", counts->n_missing);
    json_add_uint64(object, "wrong", counts->n_wrong);
    json_add_uint64(object, "unexpected", counts->n_unexpected);
    json_add_uint64(object, "unknown", counts->n_unknown);
}

static void add_shard(cJSON *shards, const struct verification *verification, size_t at)
{
    const struct replicas *replicas = &verification->replicas;
    cJSON *object = cJSON_CreateObject();

    cJSON_AddStringToObject(object, "shard", verification->target.shards[at].name);
    if (verification->rows_were_read)
        json_add_uint64(object, "read", verification->n_read[at]);
    else
        cJSON_AddNullToObject(object, "read");
    if (replicas->compared) {
        json_add_uint64(object, "rows", replicas->shards[at].n_rows);
        json_add_uint64(object, "replicas", replicas->shards[at].n_replicas);
        cJSON_AddBoolToObject(object, "equal", replicas->shards[at].equal);
    } else {
        cJSON_AddNullToObject(object, "rows");
        cJSON_AddNullToObject(object, "replicas");
        cJSON_AddNullToObject(object, "equal");
    }
    cJSON_AddItemToArray(shards, object);
}

const char *verification_mode_name(enum verification_mode mode)
{
    static const char *const names[] = {[VERIFICATION_ALL] = "all",
                                        [VERIFICATION_REPLICAS] = "replicas",
                                        [VERIFICATION_NONE] = "none"};
    return names[mode];
}

cJSON *verification_json(const struct verification *verification)
{
    const struct replicas *replicas = &verification->replicas;
    cJSON *root = cJSON_CreateObject(), *object;

    cJSON_AddStringToObject(root, "mode", verification_mode_name(verification->config.mode));
    cJSON_AddBoolToObject(root, "done", verification->done);
    add_rows(root, verification);
    object = cJSON_AddObjectToObject(root, "replicas");
    cJSON_AddBoolToObject(object, "compared", replicas->compared);
    cJSON_AddBoolToObject(object, "equal", replicas->equal);
    json_add_uint64(object, "short", replicas->n_short);
    object = cJSON_AddArrayToObject(root, "shards");
    for (size_t i = 0; verification->done && i < verification->target.n_shards; i++)
        add_shard(object, verification, i);
    object = cJSON_AddArrayToObject(root, "examples");
    for (size_t i = 0; i < verification->audit.n_examples; i++)
        cJSON_AddItemToArray(object, cJSON_CreateString(verification->audit.examples[i]));
    json_add_double(root, "seconds_before", seconds(verification->before_ns));
    json_add_double(root, "seconds", seconds(verification->after_ns));
    return root;
}
