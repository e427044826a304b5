#include "loadgen/student.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"

#define HASH_MASK ((UINT64_C(1) << 48) - 1)

static int print_row(char *text, int64_t key, uint64_t version)
{
    uint64_t hash = rng_mix64((uint64_t)key ^ rng_mix64(version));
    return snprintf(text, STUDENT_ROW_BYTES,
                    "{\"Stud_id\":%" PRId64 ",\"Stud_name\":\"%" PRIu64 "-%012" PRIx64
                    "\",\"Stud_marks\":%u}",
                    key, version, hash & HASH_MASK, (unsigned)(hash >> 48) % 101u);
}

void student_put(struct buf *out, int64_t key, uint64_t version)
{
    char text[STUDENT_ROW_BYTES];
    int n = print_row(text, key, version);
    buf_append(out, text, (size_t)n);
}

size_t student_read(const char *text, size_t n, int64_t *ret_key, uint64_t *ret_version)
{
    char copy[STUDENT_ROW_BYTES], made[STUDENT_ROW_BYTES];
    const char *end = memchr(text, '}', n < sizeof(copy) - 1 ? n : sizeof(copy) - 1);
    long long key;
    unsigned long long version;
    if (!end)
        return 0;
    size_t len = (size_t)(end - text) + 1;
    memcpy(copy, text, len);
    copy[len] = '\0';
    if (sscanf(copy, "{\"Stud_id\":%lld,\"Stud_name\":\"%llu-", &key, &version) != 2)
        return 0;
    print_row(made, key, version);
    if (strcmp(made, copy) != 0)
        return 0;
    *ret_key = key;
    *ret_version = version;
    return len;
}

int64_t student_count(const char *body, size_t n, int64_t low, int64_t last)
{
    static const char head[] = "\"data\":[";
    const char *at = n > 0 ? memmem(body, n, head, sizeof(head) - 1) : NULL;
    const char *end = body + n;
    int64_t count = 0, before = 0;
    if (!at)
        return -1;
    for (at += sizeof(head) - 1; at < end && *at != ']'; count++) {
        int64_t key;
        uint64_t version;
        if (count > 0 && *at++ != ',')
            return -1;
        size_t len = student_read(at, (size_t)(end - at), &key, &version);
        if (len == 0 || key < low || key > last || (count > 0 && key <= before))
            return -1;
        before = key;
        at += len;
    }
    return at < end ? count : -1;
}
