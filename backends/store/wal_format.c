#include "backends/store/wal_format.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "core/crc32c.h"

#define RECORD_HEADER_BYTES 16u
#define ROW_HEADER_BYTES 12u

static const char file_magics[][9] = {[WAL_SEGMENT] = "quoitlog", [WAL_SNAPSHOT] = "quoitsnp"};
/* 0xff stands in no UTF-8, 0x00 in no text of a row. */
static const unsigned char frame_magic[4] = {0xff, 'q', 0x00, 'f'};

static void put_u32(unsigned char *at, uint32_t value)
{
    value = htole32(value);
    memcpy(at, &value, sizeof(value));
}

static void put_u64(unsigned char *at, uint64_t value)
{
    value = htole64(value);
    memcpy(at, &value, sizeof(value));
}

static uint32_t get_u32(const unsigned char *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return le32toh(value);
}

static uint64_t get_u64(const unsigned char *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return le64toh(value);
}

static bool all_zero(const unsigned char *at, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (at[i] != 0)
            return false;
    return true;
}

static size_t aligned(size_t n)
{
    return (n + WAL_ALIGNMENT - 1) & ~(size_t)(WAL_ALIGNMENT - 1);
}

/* ---- file headers ---- */

static uint32_t file_header_crc(const unsigned char *bytes)
{
    uint32_t crc = crc32c(0, bytes, 12);
    return crc32c(crc, bytes + 16, WAL_FILE_HEADER_BYTES - 16);
}

void wal_file_header_put(enum wal_kind kind, const struct wal_file_header *header,
                         unsigned char out[WAL_FILE_HEADER_BYTES])
{
    memset(out, 0, WAL_FILE_HEADER_BYTES);
    memcpy(out, file_magics[kind], 8);
    put_u32(out + 8, WAL_VERSION);
    put_u64(out + 16, header->number);
    put_u64(out + 24, header->size);
    put_u32(out + 12, file_header_crc(out));
}

int wal_file_header_get(enum wal_kind kind, const unsigned char *bytes, size_t n, const char *path,
                        struct wal_file_header *ret_header, struct err *err)
{
    if (n < WAL_FILE_HEADER_BYTES || memcmp(bytes, file_magics[kind], 8) != 0)
        return err_set(err, -EBADMSG, "%s is corrupt at offset 0: no header of a %s", path,
                       kind == WAL_SEGMENT ? "log" : "snapshot");
    /* Before the CRC, which a newer format may have elsewhere. */
    uint32_t version = get_u32(bytes + 8);
    if (version != WAL_VERSION)
        return err_set(err, -ENOTSUP, "%s is of format %" PRIu32 ", this program reads format %u",
                       path, version, WAL_VERSION);
    if (get_u32(bytes + 12) != file_header_crc(bytes))
        return err_set(err, -EBADMSG, "%s is corrupt at offset 0: the header's CRC is wrong", path);
    ret_header->number = get_u64(bytes + 16);
    ret_header->size = get_u64(bytes + 24);
    return 0;
}

/* ---- frames ---- */

static uint32_t frame_header_crc(const unsigned char *header)
{
    return crc32c(0, header + 8, WAL_FRAME_HEADER_BYTES - 8);
}

void wal_frame_put(const struct wal_frame *frame, unsigned char out[WAL_FRAME_HEADER_BYTES])
{
    memcpy(out, frame_magic, sizeof(frame_magic));
    put_u32(out + 8, frame->crc);
    put_u32(out + 12, frame->n_bytes);
    put_u32(out + 16, frame->n_records);
    put_u32(out + 20, 0);
    put_u64(out + 24, frame->first_seq);
    put_u64(out + 32, frame->synced_seq);
    put_u32(out + 4, frame_header_crc(out));
}

static bool frame_header_good(const unsigned char *header)
{
    return memcmp(header, frame_magic, sizeof(frame_magic)) == 0 &&
           get_u32(header + 4) == frame_header_crc(header) && get_u32(header + 20) == 0;
}

uint64_t wal_frame_bytes(const unsigned char *bytes, size_t n, size_t at)
{
    if (at > n || n - at < WAL_FRAME_HEADER_BYTES || !frame_header_good(bytes + at))
        return 0;
    return WAL_FRAME_HEADER_BYTES + (uint64_t)get_u32(bytes + at + 12);
}

enum wal_check wal_frame_check(const unsigned char *bytes, size_t n, size_t at,
                               struct wal_frame *ret_frame, const char **ret_reason)
{
    size_t n_left = at < n ? n - at : 0;
    if (n_left < WAL_FRAME_HEADER_BYTES) {
        *ret_reason = "the file ends within a header";
        return n_left == 0 || all_zero(bytes + at, n_left) ? WAL_NOTHING : WAL_BAD;
    }
    const unsigned char *header = bytes + at;
    if (!frame_header_good(header)) {
        *ret_reason = "the header's CRC is wrong";
        return all_zero(header, WAL_FRAME_HEADER_BYTES) ? WAL_NOTHING : WAL_BAD;
    }
    struct wal_frame frame = {
        .crc = get_u32(header + 8),
        .n_bytes = get_u32(header + 12),
        .n_records = get_u32(header + 16),
        .first_seq = get_u64(header + 24),
        .synced_seq = get_u64(header + 32),
        .records = header + WAL_FRAME_HEADER_BYTES,
        .offset = at,
    };
    if (frame.n_bytes > n_left - WAL_FRAME_HEADER_BYTES) {
        *ret_reason = "the file ends within a frame";
        return WAL_BAD;
    }
    if (crc32c(0, frame.records, frame.n_bytes) != frame.crc) {
        *ret_reason = "the records' CRC is wrong";
        return WAL_BAD;
    }
    if (frame.n_bytes % WAL_ALIGNMENT != 0 || frame.n_records == 0 ||
        frame.n_records > frame.n_bytes / RECORD_HEADER_BYTES || frame.first_seq == 0 ||
        frame.synced_seq >= frame.first_seq || frame.first_seq > UINT64_MAX - frame.n_records) {
        *ret_reason = "a frame's numbers contradict each other";
        return WAL_BAD;
    }
    frame.end = at + WAL_FRAME_HEADER_BYTES + frame.n_bytes;
    *ret_frame = frame;
    return WAL_GOOD;
}

bool wal_find_synced(const unsigned char *bytes, size_t n, size_t from, uint64_t seq,
                     uint64_t known_seq, size_t *ret_offset)
{
    for (size_t at = aligned(from); at < n && n - at >= WAL_FRAME_HEADER_BYTES;
         at += WAL_ALIGNMENT) {
        const unsigned char *header = bytes + at;
        if (header[0] == frame_magic[0] && frame_header_good(header) &&
            (get_u64(header + 32) >= seq || get_u64(header + 24) <= known_seq + 1)) {
            *ret_offset = at;
            return true;
        }
    }
    return false;
}

/* ---- records ---- */

static size_t fixed_bytes(const struct wal_change *change)
{
    switch (change->op) {
    case WAL_CREATE:
        return 8 + strlen(change->name) + change->n_schema;
    case WAL_DROP:
        return 0;
    case WAL_INSERT:
    case WAL_UPDATE:
    case WAL_DELETE:
        return 8;
    case WAL_REPLACE:
        return 24;
    case WAL_END:
        return 32;
    }
    assert(0 && "an operation that is none");
}

size_t wal_record_bytes(const struct wal_change *change)
{
    size_t n = RECORD_HEADER_BYTES + fixed_bytes(change);
    for (size_t i = 0; i < change->n_rows; i++) {
        n += ROW_HEADER_BYTES + change->rows[i].n_bytes;
        if (n > WAL_MAX_RECORD_BYTES - WAL_ALIGNMENT)
            return 0;
    }
    return aligned(n);
}

static unsigned char *put_fixed(const struct wal_change *change, unsigned char *at)
{
    size_t n_name;
    switch (change->op) {
    case WAL_CREATE:
        n_name = strlen(change->name);
        put_u32(at, (uint32_t)n_name);
        put_u32(at + 4, (uint32_t)change->n_schema);
        memcpy(at + 8, change->name, n_name);
        memcpy(at + 8 + n_name, change->schema, change->n_schema);
        break;
    case WAL_DROP:
        break;
    case WAL_INSERT:
    case WAL_UPDATE:
        put_u64(at, change->n_rows);
        break;
    case WAL_DELETE:
        put_u64(at, (uint64_t)change->low);
        break;
    case WAL_REPLACE:
        put_u64(at, (uint64_t)change->low);
        put_u64(at + 8, (uint64_t)change->last);
        put_u64(at + 16, change->n_rows);
        break;
    case WAL_END:
        put_u64(at, change->end.start_seq);
        put_u64(at + 8, change->end.end_seq);
        put_u64(at + 16, change->end.next_shard);
        put_u64(at + 24, change->end.n_rows);
        break;
    }
    return at + fixed_bytes(change);
}

void wal_record_put(const struct wal_change *change, size_t n_bytes, struct buf *out)
{
    unsigned char *start = (unsigned char *)buf_reserve(out, n_bytes);
    assert(start);
    put_u32(start, (uint32_t)n_bytes);
    put_u32(start + 4, change->op);
    put_u64(start + 8, change->shard);
    unsigned char *at = put_fixed(change, start + RECORD_HEADER_BYTES);
    for (size_t i = 0; i < change->n_rows; i++) {
        const struct row *row = &change->rows[i];
        put_u64(at, (uint64_t)row->key);
        put_u32(at + 8, row->n_bytes);
        memcpy(at + ROW_HEADER_BYTES, row->text, row->n_bytes);
        at += ROW_HEADER_BYTES + row->n_bytes;
    }
    size_t n_padding = (size_t)(start + n_bytes - at);
    assert(n_padding < WAL_ALIGNMENT);
    memset(at, 0, n_padding);
    buf_commit(out, n_bytes);
}

void wal_reader_init(struct wal_reader *reader, const struct wal_frame *frame)
{
    *reader = (struct wal_reader){
        .at = frame->records, .limit = frame->records + frame->n_bytes, .n_left = frame->n_records};
}

/* The fields of a record between ->at and ->limit; what is left there are rows and padding. */
static bool get_fixed(struct wal_record *record)
{
    const unsigned char *at = record->at;
    size_t n = (size_t)(record->limit - at), n_fixed = 0;
    switch (record->op) {
    case WAL_CREATE:
        if (n < 8)
            return false;
        record->n_name = get_u32(at);
        record->n_schema = get_u32(at + 4);
        if (record->n_name > n - 8 || record->n_schema > n - 8 - record->n_name)
            return false;
        record->name = (const char *)at + 8;
        record->schema = record->name + record->n_name;
        n_fixed = 8 + record->n_name + record->n_schema;
        break;
    case WAL_DROP:
        break;
    case WAL_INSERT:
    case WAL_UPDATE:
        if (n < 8)
            return false;
        record->n_rows = get_u64(at);
        n_fixed = 8;
        break;
    case WAL_DELETE:
        if (n < 8)
            return false;
        record->low = record->last = (int64_t)get_u64(at);
        n_fixed = 8;
        break;
    case WAL_REPLACE:
        if (n < 24)
            return false;
        record->low = (int64_t)get_u64(at);
        record->last = (int64_t)get_u64(at + 8);
        record->n_rows = get_u64(at + 16);
        n_fixed = 24;
        break;
    case WAL_END:
        if (n < 32)
            return false;
        record->end = (struct wal_end){.start_seq = get_u64(at),
                                       .end_seq = get_u64(at + 8),
                                       .next_shard = get_u64(at + 16),
                                       .n_rows = get_u64(at + 24)};
        n_fixed = 32;
        break;
    default:
        return false;
    }
    record->at += n_fixed;
    size_t n_rest = n - n_fixed;
    return record->n_rows > 0 || (n_rest < WAL_ALIGNMENT && all_zero(record->at, n_rest));
}

int wal_record_next(struct wal_reader *reader, struct wal_record *ret_record,
                    const char **ret_reason)
{
    size_t n = (size_t)(reader->limit - reader->at);
    if (reader->n_left == 0) {
        *ret_reason = "bytes after the last record";
        return n == 0 ? 0 : -EBADMSG;
    }
    size_t n_bytes = n >= RECORD_HEADER_BYTES ? get_u32(reader->at) : 0;
    if (n_bytes < RECORD_HEADER_BYTES || n_bytes > n || n_bytes % WAL_ALIGNMENT != 0) {
        *ret_reason = "a record passes its frame";
        return -EBADMSG;
    }
    struct wal_record record = {
        .op = (enum wal_op)get_u32(reader->at + 4),
        .shard = get_u64(reader->at + 8),
        .at = reader->at + RECORD_HEADER_BYTES,
        .limit = reader->at + n_bytes,
    };
    if (!get_fixed(&record)) {
        *ret_reason = "a record that is none";
        return -EBADMSG;
    }
    reader->at += n_bytes;
    reader->n_left--;
    *ret_record = record;
    return 1;
}

int wal_row_next(struct wal_record *record, struct row *ret_row, const char **ret_reason)
{
    if (record->n_rows == 0)
        return 0;
    size_t n = (size_t)(record->limit - record->at);
    *ret_reason = "a row passes its record";
    if (n < ROW_HEADER_BYTES)
        return -EBADMSG;
    struct row row = {
        .key = (int64_t)get_u64(record->at),
        .n_bytes = get_u32(record->at + 8),
        .text = (const char *)record->at + ROW_HEADER_BYTES,
    };
    if (row.n_bytes > n - ROW_HEADER_BYTES)
        return -EBADMSG;
    *ret_reason = "keys that do not ascend, or leave the range";
    if ((record->has_previous && row.key <= record->previous_key) ||
        (record->op == WAL_REPLACE && (row.key < record->low || row.key > record->last)))
        return -EBADMSG;
    record->previous_key = row.key;
    record->has_previous = true;
    record->at += ROW_HEADER_BYTES + row.n_bytes;
    record->n_rows--;
    size_t n_rest = n - ROW_HEADER_BYTES - row.n_bytes;
    *ret_reason = "bytes after the last row";
    if (record->n_rows == 0 && !(n_rest < WAL_ALIGNMENT && all_zero(record->at, n_rest)))
        return -EBADMSG;
    *ret_row = row;
    return 1;
}
