/* The bytes of the `file` store's log and snapshots. All numbers are little-endian.
 *
 *     file      header (64 bytes), then frames, each at a multiple of 8; zeros after the last one
 *     header    magic 8 · version 4 · CRC 4 · number 8 · size 8 · zeros
 *     frame     header (40 bytes), then records: what was committed by one write and one sync
 *       header  magic 4 · CRC of what follows in the header 4 · CRC of the records 4 ·
 *               bytes of the records 4 · records 4 · zero 4 · first sequence number 8 ·
 *               synced sequence number 8
 *     record    bytes, this header and padding included 4 · operation 4 · shard 8 · its fields,
 *               padded by zeros to a multiple of 8
 *       create  bytes of the name 4 · bytes of the schema 4 · name · schema (schema_print())
 *       drop    nothing
 *       insert, update   rows 8 · rows
 *       delete  key 8
 *       replace low 8 · last 8 · rows 8 · rows
 *       end     (of a snapshot) start 8 · end 8 · next shard 8 · rows 8
 *     row       key 8 · bytes 4 · text
 *
 * Records are numbered from 1 without a gap over the whole log: a frame's first record has its
 * first sequence number, the next one that plus 1. CRC is CRC-32C.
 *
 * Why frames: a commit is one write and one sync, so whether a frame that cannot be read was ever
 * acknowledged is told by what follows it. Each frame says up to which record the log was on the
 * disk when the frame was written. A bad frame whose first record a later frame calls synced was
 * damaged afterwards, and nothing of the log can be believed (wal_find_synced()); otherwise the
 * machine stopped while it was being written, nobody was told that it had been, and the log ends
 * before it. A row's text cannot pass for a frame header: that has bytes of zero, texts have none.
 */
#ifndef QUOIT_BACKENDS_STORE_WAL_FORMAT_H
#define QUOIT_BACKENDS_STORE_WAL_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "table/row.h"

#define WAL_VERSION 1u
#define WAL_FILE_HEADER_BYTES 64u
#define WAL_FRAME_HEADER_BYTES 40u
#define WAL_ALIGNMENT 8u
/* Of a record; one frame holds it and its number of bytes has 32 bits. */
#define WAL_MAX_RECORD_BYTES (UINT32_C(1) << 30)
#define WAL_MAX_FRAME_BYTES UINT32_MAX

enum wal_kind { WAL_SEGMENT, WAL_SNAPSHOT };

/* ---- file headers ---- */

struct wal_file_header {
    uint64_t number; /* the segment's; of a snapshot the record it starts from */
    uint64_t size;   /* bytes of the whole file; 0: not said (a snapshot) */
};

void wal_file_header_put(enum wal_kind kind, const struct wal_file_header *header,
                         unsigned char out[WAL_FILE_HEADER_BYTES]);
/* The header of a file that starts with these n bytes. 0; -EBADMSG: damaged; -ENOTSUP: of a newer
 * format. The reason names the path. */
int wal_file_header_get(enum wal_kind kind, const unsigned char *bytes, size_t n, const char *path,
                        struct wal_file_header *ret_header, struct err *err);

/* ---- frames ---- */

struct wal_frame {
    uint64_t first_seq;
    uint64_t synced_seq;
    uint32_t n_records;
    uint32_t n_bytes;             /* of the records */
    uint32_t crc;                 /* of the records */
    const unsigned char *records; /* into the file's bytes */
    size_t offset, end;           /* in the file */
};

/* A frame's header; `records`, offset and end are not looked at. */
void wal_frame_put(const struct wal_frame *frame, unsigned char out[WAL_FRAME_HEADER_BYTES]);

enum wal_check {
    WAL_GOOD,
    WAL_NOTHING, /* no frame starts here: zeros, or the end of the bytes */
    WAL_BAD,
};

/* Looks at what stands at offset `at` (a multiple of 8) of a file's bytes. ret_frame: when good,
 * borrowing from the bytes. ret_reason: when bad, static. */
enum wal_check wal_frame_check(const unsigned char *bytes, size_t n, size_t at,
                               struct wal_frame *ret_frame, const char **ret_reason);
/* How many bytes the frame there takes, by its header; 0: no good header is there. */
uint64_t wal_frame_bytes(const unsigned char *bytes, size_t n, size_t at);
/* Whether a frame at or after offset `from` shows that record seq, which should stand before it,
 * had been on the disk: it says so itself, or it begins within or right after what is known from
 * elsewhere to have been there, the records up to known_seq. Then its offset is told. Only headers
 * are looked at, which have a CRC of their own. */
bool wal_find_synced(const unsigned char *bytes, size_t n, size_t from, uint64_t seq,
                     uint64_t known_seq, size_t *ret_offset);

/* ---- records ---- */

enum wal_op {
    WAL_CREATE = 1,
    WAL_DROP,
    WAL_INSERT,
    WAL_UPDATE,
    WAL_DELETE,
    WAL_REPLACE,
    WAL_END,
};

/* What a snapshot says of itself. */
struct wal_end {
    uint64_t start_seq;  /* every record up to here is in the snapshot */
    uint64_t end_seq;    /* of those between the two, some may be */
    uint64_t next_shard; /* no shard has this number or a greater one */
    uint64_t n_rows;
};

/* A record to be written. */
struct wal_change {
    enum wal_op op;
    uint64_t shard;
    int64_t low, last; /* WAL_DELETE: low; WAL_REPLACE */
    const struct row *rows;
    size_t n_rows;
    const char *name; /* WAL_CREATE */
    const char *schema;
    size_t n_schema;
    struct wal_end end; /* WAL_END */
};

/* How many bytes its record takes, or 0: more than WAL_MAX_RECORD_BYTES. */
size_t wal_record_bytes(const struct wal_change *change);
/* Appends it; n_bytes is what wal_record_bytes() said. */
void wal_record_put(const struct wal_change *change, size_t n_bytes, struct buf *out);

/* A record that was read. */
struct wal_record {
    enum wal_op op;
    uint64_t shard;
    int64_t low, last;
    uint64_t n_rows;  /* to come by wal_row_next() */
    const char *name; /* WAL_CREATE: not NUL-ended */
    const char *schema;
    size_t n_name, n_schema;
    struct wal_end end;
    const unsigned char *at, *limit; /* of the rows not read yet */
    int64_t previous_key;
    bool has_previous;
};

struct wal_reader {
    const unsigned char *at, *limit;
    uint32_t n_left; /* records */
};

void wal_reader_init(struct wal_reader *reader, const struct wal_frame *frame);
/* The next record of the frame; the rows of the one before need not have been read. 1; 0 after the
 * last; -EBADMSG with a static reason. */
int wal_record_next(struct wal_reader *reader, struct wal_record *ret_record,
                    const char **ret_reason);
/* The next row of a record, its text borrowed from the bytes. 1; 0 after the last; -EBADMSG with a
 * static reason, also when keys do not ascend or leave the range of a WAL_REPLACE. */
int wal_row_next(struct wal_record *record, struct row *ret_row, const char **ret_reason);

#endif
