/* The `file` store's recovery over any bytes as its log or snapshot: it takes them or refuses them
 * with a reason, takes no record whose CRC is wrong, and what it took is there when it is opened
 * again, and goes on.
 *
 * The first byte says what the others are: bit 0, the file's header is made good; bit 1, they are
 * not a file but frames, each one byte of how many records, two of how many bytes, and the bytes of
 * the records, which get a good header (without this no fuzzer finds its way past a CRC); bit 2, it
 * is a snapshot. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/store/file_store.h"
#include "backends/store/wal_io.h"
#include "core/crc32c.h"
#include "core/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SEGMENT_BYTES (64u << 10)

static char dir[64];
static struct wal_io io;

static int sync_nothing(int fd)
{
    (void)fd;
    return 0;
}

static int sync_no_folder(const char *path)
{
    (void)path;
    return 0;
}

static void remove_dir(void)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    if (system(command) != 0)
        perror("rm");
}

static void begin(void)
{
    if (dir[0])
        return;
    snprintf(dir, sizeof(dir), "%s/quoit-fuzz-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert(mkdtemp(dir));
    atexit(remove_dir);
    io = wal_io_system;
    io.sync = sync_nothing;
    io.sync_folder = sync_no_folder;
    wal_io = &io;
}

/* ---- the files ---- */

static void clear_files(void)
{
    for (uint64_t number = 1; number < 4; number++) {
        char *path = wal_segment_path(dir, number);
        unlink(path);
        free(path);
    }
    for (uint64_t number = 0; number < 2; number++) {
        char *path = wal_snapshot_path(dir, number);
        unlink(path);
        free(path);
    }
}

/* The frames of the input with good headers. */
static void put_frames(struct buf *file, const uint8_t *data, size_t size)
{
    uint64_t seq = 1;
    while (size >= 3) {
        uint32_t n_records = data[0];
        size_t n = (size_t)(data[1] | data[2] << 8);
        data += 3, size -= 3;
        if (n > size)
            n = size;
        unsigned char header[WAL_FRAME_HEADER_BYTES];
        struct wal_frame frame = {.first_seq = seq,
                                  .synced_seq = seq - 1,
                                  .n_records = n_records,
                                  .n_bytes = (uint32_t)n,
                                  .crc = crc32c(0, data, n)};
        wal_frame_put(&frame, header);
        buf_append(file, header, sizeof(header));
        buf_append(file, data, n);
        seq += n_records;
        data += n, size -= n;
    }
}

static void make_file(struct buf *file, const uint8_t *data, size_t size, uint8_t how)
{
    bool is_snapshot = how & 4, has_good_header = how & 3;
    unsigned char header[WAL_FILE_HEADER_BYTES];
    struct wal_file_header fields = {.number = is_snapshot ? 0 : 1,
                                     .size = is_snapshot ? 0 : 2 * SEGMENT_BYTES};
    wal_file_header_put(is_snapshot ? WAL_SNAPSHOT : WAL_SEGMENT, &fields, header);
    if (how & 2) {
        buf_append(file, header, sizeof(header));
        put_frames(file, data, size);
    } else {
        buf_append(file, data, size);
        if (has_good_header && buf_len(file) >= sizeof(header))
            memcpy(buf_head(file), header, sizeof(header));
    }
    char *path = is_snapshot ? wal_snapshot_path(dir, 0) : wal_segment_path(dir, 1);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    assert(fd >= 0);
    assert(write(fd, buf_head(file), buf_len(file)) == (ssize_t)buf_len(file));
    close(fd);
    free(path);
}

/* How many records stand in frames with good CRCs from the file's start on: read here a second
 * time, by the text of wal_format.h. */
static uint64_t count_good(const unsigned char *bytes, size_t n)
{
    uint64_t n_records = 0;
    size_t at = 64;
    while (at + 40 <= n) {
        uint32_t words[6], crc = crc32c(0, bytes + at + 8, 32);
        memcpy(words, bytes + at, sizeof(words));
        if (words[1] != crc || words[3] > n - at - 40 ||
            crc32c(0, bytes + at + 40, words[3]) != words[2])
            break;
        n_records += words[4];
        at += 40 + (size_t)words[3];
    }
    return n_records;
}

/* ---- the store ---- */

/* As the store's open(), without its threads, which would take most of the time. */
static int recover(struct file_store **ret_store, struct err *err)
{
    struct file_store *store = mem_zalloc(1, sizeof(*store));
    store->dir = mem_strdup(dir);
    store->lock_fd = -1;
    store->params.segment_bytes = SEGMENT_BYTES;
    store->params.snapshot_bytes = SEGMENT_BYTES;
    file_log_init(store);
    file_snapshot_init(store);
    *ret_store = store;
    return file_recovery_run(store, err);
}

/* All shards: a sum over numbers, names, counts and checksums, which must be those of the rows. */
static uint64_t digest(const struct store *store)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < store->n_shards; i++) {
        const struct file_shard *shard = (const struct file_shard *)store->shards[i];
        struct store_request counted = {
            .op = STORE_DIGEST, .low = INT64_MIN, .last = INT64_MAX - 1};
        struct store_request last = {.op = STORE_DIGEST, .low = INT64_MAX, .last = INT64_MAX};
        rows_answer(&shard->rows, &counted);
        rows_answer(&shard->rows, &last);
        assert(counted.n_rows + last.n_rows == rows_count(&shard->rows));
        assert(counted.checksum + last.checksum == shard->rows.checksum);
        sum += crc32c(0, shard->base.name, strlen(shard->base.name)) + counted.n_rows * 31 +
               shard->rows.checksum + shard->number;
    }
    return sum;
}

static void on_done(struct store_request *request)
{
    *(bool *)request->context = true;
}

/* The whole store, which makes a shard more. Returns its digest then. */
static uint64_t write_on(void)
{
    static const struct schema schema = {
        .n_columns = 1, .columns = {{.name = "k", .n_name = 1, .type = COLUMN_NUMBER}}};
    struct err err = {0};
    struct store_spec spec;
    struct store *store;
    struct flusher flusher;
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    assert(store_spec_parse("file:segment=64k,snapshot=64k", &spec, &err) == 0);
    flusher_init(&flusher, loop);
    struct store_config config = {.loop = loop, .flusher = &flusher, .dir = dir, .server = "S1"};
    assert(store_open(&spec, &config, &store, &err) == 0);
    bool is_done = false;
    struct store_request request = {.op = STORE_CREATE,
                                    .name = "made-after",
                                    .schema = &schema,
                                    .on_done = on_done,
                                    .context = &is_done};
    if (store_submit(store, &request) == STORE_PENDING)
        while (!is_done)
            ev_run(loop, EVRUN_ONCE);
    assert(request.code == 0 || request.code == -EINVAL || request.code == -ENOSPC);
    uint64_t sum = digest(store);
    store_close(store);
    store_spec_done(&spec);
    flusher_done(&flusher);
    ev_loop_destroy(loop);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    struct file_store *store;
    struct buf file;
    if (size == 0)
        return 0;
    begin();
    clear_files();
    buf_init(&file, 0);
    make_file(&file, data + 1, size - 1, data[0]);
    bool is_snapshot = data[0] & 4;
    int rc = recover(&store, &err);
    if (rc == 0) {
        uint64_t n_good = count_good((const unsigned char *)buf_head(&file), buf_len(&file));
        if (!is_snapshot)
            assert(store->log.next_seq - 1 <= n_good && store->found.n_records <= n_good);
        uint64_t before = digest(&store->base), next_seq = store->log.next_seq;
        file_store_free(store);
        assert(recover(&store, &err) == 0);
        assert(digest(&store->base) == before && store->log.next_seq == next_seq);
        assert(store->found.n_cut_bytes == 0);
        if (size % 16 == 0) {
            before = write_on();
            file_store_free(store);
            assert(recover(&store, &err) == 0);
            assert(digest(&store->base) == before);
        }
    } else {
        assert(err.code == rc && strstr(err.message, dir));
    }
    file_store_free(store);
    buf_done(&file);
    return 0;
}
