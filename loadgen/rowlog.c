#include "loadgen/rowlog.h"

#include <assert.h>

#define MAX_NUMBER_BYTES 10

void rowlog_init(struct rowlog *log)
{
    *log = (struct rowlog){.last_key = INT64_MIN};
    buf_init(&log->bytes, ROWLOG_MAX_BYTES);
}

void rowlog_done(struct rowlog *log)
{
    buf_done(&log->bytes);
}

static size_t put_number(unsigned char *to, uint64_t number)
{
    size_t n = 0;

    for (; number >= 0x80; number >>= 7)
        to[n++] = (unsigned char)(number | 0x80);
    to[n++] = (unsigned char)number;
    return n;
}

static uint64_t take_number(const unsigned char *bytes, size_t *at)
{
    uint64_t number = 0;

    for (unsigned shift = 0;; shift += 7) {
        unsigned char byte = bytes[(*at)++];
        number |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return number;
    }
}

int rowlog_add(struct rowlog *log, int64_t key, uint64_t value)
{
    unsigned char bytes[2 * MAX_NUMBER_BYTES];

    assert(log->n == 0 || key > log->last_key);
    size_t n = put_number(bytes, (uint64_t)key - (uint64_t)log->last_key);
    n += put_number(bytes + n, value);
    int rc = buf_append(&log->bytes, bytes, n);
    if (rc < 0)
        return rc;
    log->last_key = key;
    log->n++;
    return 0;
}

bool rowlog_next(struct rowlog_reader *reader, int64_t *ret_key, uint64_t *ret_value)
{
    const unsigned char *bytes = (const unsigned char *)buf_head(&reader->log->bytes);

    if (reader->at == buf_len(&reader->log->bytes))
        return false;
    if (reader->at == 0)
        reader->key = INT64_MIN;
    reader->key = (int64_t)((uint64_t)reader->key + take_number(bytes, &reader->at));
    *ret_key = reader->key;
    *ret_value = take_number(bytes, &reader->at);
    return true;
}
