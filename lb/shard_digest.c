#include "lb/shard_digest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/json.h"

int shard_ask(struct httpc *httpc, struct httpc_request *call, const char *path, const char *shard,
              const struct key_range *range, size_t n_rows, struct shard_age age)
{
    char text[512];
    char piece[128] = "", epoch[32] = "", copy[32] = "";
    if (range)
        snprintf(piece, sizeof(piece), "&low=%" PRId64 "&last=%" PRId64 "&rows=%zu", range->low,
                 range->last, n_rows);
    if (age.epoch > 0)
        snprintf(epoch, sizeof(epoch), "&epoch=%" PRIu64, age.epoch);
    if (age.copy > 0)
        snprintf(copy, sizeof(copy), "&copy=%" PRIu64, age.copy);
    int n = snprintf(text, sizeof(text), "GET %s?shard=%s%s%s%s HTTP/1.1\r\nHost: quoit\r\n\r\n",
                     path, shard, piece, epoch, copy);
    return httpc_send(httpc, call, text, (size_t)n);
}

int shard_digest_read(const struct http_message *answer, struct shard_digest *ret_digest)
{
    int rc = -EPROTO;
    struct shard_digest digest;
    int64_t n_rows;
    if (answer->status != 200)
        return rc;
    cJSON *tree = json_parse(answer->body.at, answer->body.len, NULL);
    const char *checksum = tree ? json_get_string(tree, "checksum") : NULL;
    if (checksum && json_get_int64(tree, "rows", &n_rows) == 0 && n_rows >= 0 &&
        json_get_int64(tree, "last", &digest.last) == 0) {
        digest.n_rows = (uint64_t)n_rows;
        digest.checksum = strtoull(checksum, NULL, 16);
        digest.more = cJSON_IsTrue(json_get(tree, "more"));
        *ret_digest = digest;
        rc = 0;
    }
    cJSON_Delete(tree);
    return rc;
}
