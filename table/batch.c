#include "table/batch.h"

#include <errno.h>
#include <string.h>

static const struct word {
    const char *text;
    size_t n;
} op_words[] = {
    [BATCH_INSERT] = {"insert", 6},   [BATCH_UPDATE] = {"update", 6},
    [BATCH_DELETE] = {"delete", 6},   [BATCH_ABSENT] = {"absent", 6},
    [BATCH_REPLACE] = {"replace", 7}, [BATCH_DROP] = {"drop", 4},
};

static const struct word verdict_words[] = {
    [BATCH_OK] = {"ok", 2},           [BATCH_EXISTS] = {"exists", 6},
    [BATCH_MISSING] = {"missing", 7}, [BATCH_REFUSED] = {"refused", 7},
    [BATCH_FAILED] = {"failed", 6},
};

#define N_OPS (sizeof(op_words) / sizeof(op_words[0]))
#define N_VERDICTS (sizeof(verdict_words) / sizeof(verdict_words[0]))
#define INTEGER_BYTES 20

/* ---- writing ----------------------------------------------------------------------------------
 */

static void put_word(struct buf *out, struct word word)
{
    buf_append(out, word.text, word.n);
}

/* A blank or nothing, the number in decimal. Hand-made: a batch is mostly numbers. */
static void put_number(struct buf *out, const char *before, bool negative, uint64_t value)
{
    char text[INTEGER_BYTES + 1];
    char *at = text + sizeof(text);
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    if (negative)
        *--at = '-';
    buf_append_str(out, before);
    buf_append(out, at, (size_t)(text + sizeof(text) - at));
}

static void put_key(struct buf *out, const char *before, int64_t key)
{
    put_number(out, before, key < 0, key < 0 ? -(uint64_t)key : (uint64_t)key);
}

static void put_head(struct buf *out, enum batch_op op, const char *shard)
{
    put_word(out, op_words[op]);
    buf_append(out, " ", 1);
    buf_append_str(out, shard);
}

static void put_counted(struct buf *out, enum batch_op op, const char *shard, size_t n)
{
    put_head(out, op, shard);
    put_number(out, " ", false, n);
    buf_append(out, "\n", 1);
}

void batch_put_insert(struct buf *out, const char *shard, size_t n_rows)
{
    put_counted(out, BATCH_INSERT, shard, n_rows);
}

void batch_put_absent(struct buf *out, const char *shard, size_t n_keys)
{
    put_counted(out, BATCH_ABSENT, shard, n_keys);
}

void batch_put_update(struct buf *out, const char *shard)
{
    put_head(out, BATCH_UPDATE, shard);
    buf_append(out, "\n", 1);
}

void batch_put_delete(struct buf *out, const char *shard, int64_t key)
{
    put_head(out, BATCH_DELETE, shard);
    put_key(out, " ", key);
    buf_append(out, "\n", 1);
}

void batch_put_replace(struct buf *out, const char *shard, int64_t low, int64_t last, size_t n_rows)
{
    put_head(out, BATCH_REPLACE, shard);
    put_key(out, " ", low);
    put_key(out, " ", last);
    put_number(out, " ", false, n_rows);
    buf_append(out, "\n", 1);
}

void batch_put_drop(struct buf *out, const char *shard)
{
    put_head(out, BATCH_DROP, shard);
    buf_append(out, "\n", 1);
}

void batch_put_row(struct buf *out, int64_t key, const char *text, size_t n_bytes)
{
    put_key(out, "", key);
    put_number(out, " ", false, n_bytes);
    buf_append(out, "\n", 1);
    buf_append(out, text, n_bytes);
    buf_append(out, "\n", 1);
}

void batch_put_key(struct buf *out, int64_t key)
{
    put_key(out, "", key);
    buf_append(out, "\n", 1);
}

void batch_put_result(struct buf *out, const struct batch_result *result)
{
    put_word(out, verdict_words[result->verdict]);
    switch (result->verdict) {
    case BATCH_OK:
        put_number(out, " ", false, result->n_rows);
        break;
    case BATCH_EXISTS:
    case BATCH_MISSING:
        put_key(out, " ", result->key);
        break;
    case BATCH_REFUSED:
    case BATCH_FAILED:
        buf_append(out, " ", 1);
        buf_append(out, result->reason.at, result->reason.len);
        break;
    }
    buf_append(out, "\n", 1);
}

/* ---- reading ----------------------------------------------------------------------------------
 */

void batch_reader_init(struct batch_reader *reader, const char *text, size_t n)
{
    *reader = (struct batch_reader){.at = text, .end = text + n};
}

static bool take_byte(struct batch_reader *reader, char c)
{
    if (reader->at == reader->end || *reader->at != c)
        return false;
    reader->at++;
    return true;
}

/* The word at the reader out of words[n], followed by a blank; n where there is none. */
static size_t take_word(struct batch_reader *reader, const struct word *words, size_t n)
{
    size_t left = (size_t)(reader->end - reader->at);
    for (size_t i = 0; i < n; i++) {
        if (words[i].n >= left || memcmp(reader->at, words[i].text, words[i].n) != 0 ||
            reader->at[words[i].n] != ' ')
            continue;
        reader->at += words[i].n + 1;
        return i;
    }
    return n;
}

/* Decimal digits, with a '-' where allowed, up to `most` (and one more when negative). */
static bool take_digits(struct batch_reader *reader, bool is_signed, uint64_t *ret_value,
                        bool *ret_negative)
{
    bool negative = is_signed && take_byte(reader, '-');
    uint64_t value = 0, most = is_signed ? (uint64_t)INT64_MAX + negative : UINT64_MAX;
    const char *begin = reader->at;
    for (; reader->at < reader->end; reader->at++) {
        unsigned digit = (unsigned)(*reader->at - '0');
        if (digit > 9)
            break;
        if (value > (most - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *ret_value = value;
    *ret_negative = negative;
    return reader->at > begin;
}

static bool take_key(struct batch_reader *reader, int64_t *ret_key)
{
    uint64_t value;
    bool negative;
    if (!take_digits(reader, true, &value, &negative))
        return false;
    *ret_key = (int64_t)(negative ? -value : value);
    return true;
}

static bool take_count(struct batch_reader *reader, size_t *ret_n)
{
    uint64_t value;
    bool negative;
    if (!take_digits(reader, false, &value, &negative) || value > SIZE_MAX)
        return false;
    *ret_n = (size_t)value;
    return true;
}

static bool take_shard(struct batch_reader *reader, struct http_view *ret_shard)
{
    const char *begin = reader->at;
    while (reader->at < reader->end && *reader->at != ' ' && *reader->at != '\n')
        reader->at++;
    *ret_shard = (struct http_view){begin, (size_t)(reader->at - begin)};
    return ret_shard->len > 0;
}

/* What follows the shard on an operation's line. */
static bool take_arguments(struct batch_reader *reader, struct batch_item *item)
{
    switch (item->op) {
    case BATCH_INSERT:
    case BATCH_ABSENT:
        return take_byte(reader, ' ') && take_count(reader, &item->n_rows);
    case BATCH_UPDATE:
        item->n_rows = 1;
        return true;
    case BATCH_DELETE:
        if (!take_byte(reader, ' ') || !take_key(reader, &item->low))
            return false;
        item->last = item->low;
        return true;
    case BATCH_REPLACE:
        return take_byte(reader, ' ') && take_key(reader, &item->low) && take_byte(reader, ' ') &&
               take_key(reader, &item->last) && take_byte(reader, ' ') &&
               take_count(reader, &item->n_rows);
    case BATCH_DROP:
        return true;
    }
    return false;
}

int batch_next(struct batch_reader *reader, struct batch_item *ret_item, struct err *err)
{
    const char *begin = reader->at;
    struct batch_item item = {0};
    if (reader->at == reader->end)
        return 0;
    if (reader->n_left > 0)
        return err_set(err, -EPROTO, "%zu rows of an operation were not read", reader->n_left);
    size_t op = take_word(reader, op_words, N_OPS);
    if (op == N_OPS)
        return err_set(err, -EPROTO, "no operation stands where one must, %zu bytes before the end",
                       (size_t)(reader->end - begin));
    item.op = (enum batch_op)op;
    if (!take_shard(reader, &item.shard) || !take_arguments(reader, &item) ||
        !take_byte(reader, '\n'))
        return err_set(err, -EPROTO, "a bad '%s' line, %zu bytes before the end", op_words[op].text,
                       (size_t)(reader->end - begin));
    /* A row takes at least "0 0\n\n", a key "0\n": no count is believed that cannot be there. */
    if (item.n_rows > (size_t)(reader->end - reader->at) / 2)
        return err_set(err, -EPROTO, "'%s' announces %zu rows, which are not there",
                       op_words[op].text, item.n_rows);
    reader->op = item.op;
    reader->n_left = item.n_rows;
    *ret_item = item;
    return 1;
}

int batch_next_row(struct batch_reader *reader, const struct batch_item *item, int64_t *io_last_key,
                   struct row *ret_row, struct err *err)
{
    struct row row = {0};
    bool first = reader->n_left == item->n_rows;
    size_t n_bytes = 0;
    if (reader->n_left == 0)
        return err_set(err, -EPROTO, "the operation has no further row");
    if (!take_key(reader, &row.key))
        return err_set(err, -EPROTO, "a row without a key");
    if (!first && row.key <= *io_last_key)
        return err_set(err, -EPROTO, "key %lld does not ascend", (long long)row.key);
    if (item->op == BATCH_REPLACE && (row.key < item->low || row.key > item->last))
        return err_set(err, -EPROTO, "key %lld is outside its range", (long long)row.key);
    if (item->op != BATCH_ABSENT) {
        if (!take_byte(reader, ' ') || !take_count(reader, &n_bytes) || n_bytes > ROW_MAX_BYTES ||
            !take_byte(reader, '\n') || n_bytes > (size_t)(reader->end - reader->at))
            return err_set(err, -EPROTO, "the row of key %lld is cut or too long",
                           (long long)row.key);
        row.text = reader->at;
        row.n_bytes = (uint32_t)n_bytes;
        reader->at += n_bytes;
    }
    if (!take_byte(reader, '\n'))
        return err_set(err, -EPROTO, "the row of key %lld does not end with its line",
                       (long long)row.key);
    reader->n_left--;
    *io_last_key = row.key;
    *ret_row = row;
    return 0;
}

int batch_next_result(struct batch_reader *reader, struct batch_result *ret_result)
{
    struct batch_result result = {0};
    size_t n = 0;
    if (reader->at == reader->end)
        return 0;
    size_t verdict = take_word(reader, verdict_words, N_VERDICTS);
    if (verdict == N_VERDICTS)
        return -EPROTO;
    result.verdict = (enum batch_verdict)verdict;
    if (result.verdict == BATCH_OK) {
        if (!take_count(reader, &n))
            return -EPROTO;
        result.n_rows = n;
    } else if (result.verdict == BATCH_EXISTS || result.verdict == BATCH_MISSING) {
        if (!take_key(reader, &result.key))
            return -EPROTO;
    } else {
        const char *end = memchr(reader->at, '\n', (size_t)(reader->end - reader->at));
        if (!end)
            return -EPROTO;
        result.reason = (struct http_view){reader->at, (size_t)(end - reader->at)};
        reader->at = end;
    }
    if (!take_byte(reader, '\n'))
        return -EPROTO;
    *ret_result = result;
    return 1;
}
