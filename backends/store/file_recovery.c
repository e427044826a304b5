/* Reading back: the newest snapshot, then what the log says after it.
 *
 *   for each segment, oldest first, for each frame:
 *     good                          replay its records
 *     nothing, or a bad one         here the log ends, unless anything after it says that what
 *                                   should stand here had been synced: then the file was damaged,
 *                                   and is refused
 *
 * Records that the snapshot holds already are passed over. Those up to the snapshot's end may be in
 * it or not and are replayed without asking whether they fit (file_snapshot.c); later ones must
 * fit: an insert of a key that is there, say, shows that log and snapshot do not belong together.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "backends/store/file_store.h"
#include "backends/store/wal_io.h"
#include "backends/store/wal_window.h"
#include "core/clock.h"
#include "core/mem.h"

struct numbers {
    uint64_t *all; /* ascending */
    size_t n;
};

/* Where the log ends. */
struct end_of_log {
    bool is_found;
    size_t segment; /* index into the segments */
    uint64_t offset;
    uint64_t n_bytes; /* of the file, as its header has it */
    bool is_clean;    /* zeros up to there follow */
};

struct recovery {
    struct file_store *store;
    struct numbers segments, snapshots;
    struct wal_end snapshot; /* all 0 without one */
    uint64_t next_seq;       /* 0: no frame was seen */
    struct row *rows;        /* of one record */
    size_t max_rows;
    struct end_of_log end;
    struct err *err;
};

/* ---- what is there ---- */

static void add_number(struct numbers *numbers, uint64_t number)
{
    numbers->all = mem_realloc(numbers->all, numbers->n + 1, sizeof(*numbers->all));
    numbers->all[numbers->n++] = number;
}

static int compare_numbers(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void sort_numbers(struct numbers *numbers)
{
    if (numbers->n > 1)
        qsort(numbers->all, numbers->n, sizeof(*numbers->all), compare_numbers);
}

static void remove_file(char *path)
{
    wal_io->remove(path);
    free(path);
}

static int list_files(struct recovery *r)
{
    const char *dir = r->store->dir;
    DIR *folder = opendir(dir);
    if (!folder)
        return err_set_errno(r->err, -errno, "cannot read the folder %s", dir);
    for (;;) {
        uint64_t number;
        errno = 0;
        const struct dirent *entry = readdir(folder);
        if (!entry)
            break;
        if (wal_is_temporary(entry->d_name))
            remove_file(mem_printf("%s/%s", dir, entry->d_name));
        else if (wal_segment_parse_name(entry->d_name, &number))
            add_number(&r->segments, number);
        else if (wal_snapshot_parse_name(entry->d_name, &number))
            add_number(&r->snapshots, number);
    }
    int rc = -errno;
    closedir(folder);
    if (rc != 0)
        return err_set_errno(r->err, rc, "cannot read the folder %s", dir);
    sort_numbers(&r->segments);
    sort_numbers(&r->snapshots);
    return 0;
}

/* ---- records ---- */

static int corrupt(struct recovery *r, const struct wal_window *file, uint64_t offset,
                   const char *reason)
{
    return err_set(r->err, -EBADMSG, "%s is corrupt at offset %" PRIu64 ": %s", file->path, offset,
                   reason);
}

/* All rows of a record, into r->rows. */
static int read_rows(struct recovery *r, struct wal_record *record, size_t *ret_n,
                     const char **ret_reason)
{
    size_t n = 0;
    for (;;) {
        if (n == r->max_rows) {
            r->max_rows = r->max_rows ? 2 * r->max_rows : 64;
            r->rows = mem_realloc(r->rows, r->max_rows, sizeof(*r->rows));
        }
        int rc = wal_row_next(record, &r->rows[n], ret_reason);
        if (rc < 0)
            return rc;
        if (rc == 0)
            break;
        n++;
    }
    *ret_n = n;
    return 0;
}

static const char *make_shard(struct recovery *r, const struct wal_record *record, uint64_t seq)
{
    struct file_store *store = r->store;
    char name[NAME_MAX_BYTES + 1];
    struct schema schema;
    if (record->n_name > NAME_MAX_BYTES)
        return "a shard's name is too long";
    memcpy(name, record->name, record->n_name);
    name[record->n_name] = '\0';
    if (strlen(name) != record->n_name || !name_valid(name))
        return "a shard's name is none";
    if (record->shard == UINT64_MAX || file_store_find_shard(store, record->shard))
        return "a shard is made again";
    if (store->n_numbered > 2 * STORE_MAX_SHARDS)
        return "too many shards";
    if (schema_parse(record->schema, record->n_schema, &schema, NULL) != 0)
        return "a shard's schema is none";
    struct file_shard *shard = file_store_add_shard(store, record->shard);
    memcpy(shard->base.name, name, sizeof(name));
    shard->base.schema = schema;
    shard->created_seq = seq;
    if (store->next_shard <= record->shard)
        store->next_shard = record->shard + 1;
    return NULL;
}

static const char *insert_rows(struct file_shard *shard, const struct row *rows, size_t n,
                               bool is_strict)
{
    int64_t key;
    if (is_strict)
        return rows_insert(&shard->rows, rows, n, &key) == 0 ? NULL : "a key is inserted again";
    for (size_t i = 0; i < n; i++)
        rows_set(&shard->rows, &rows[i]);
    return NULL;
}

/* NULL, or why the record cannot be. */
static const char *replay(struct recovery *r, struct wal_record *record, uint64_t seq,
                          bool is_strict)
{
    const char *reason;
    size_t n = 0;
    if (record->op == WAL_CREATE) {
        bool is_there = file_store_find_shard(r->store, record->shard) != NULL;
        return is_there && !is_strict ? NULL : make_shard(r, record, seq);
    }
    struct file_shard *shard = file_store_find_shard(r->store, record->shard);
    if (read_rows(r, record, &n, &reason) != 0)
        return reason;
    if (record->op == WAL_END)
        return "an end within the log";
    if (!shard)
        return is_strict ? "a shard that is not there" : NULL;
    switch (record->op) {
    case WAL_DROP:
        file_store_free_shard(r->store, shard);
        return NULL;
    case WAL_INSERT:
        return insert_rows(shard, r->rows, n, is_strict);
    case WAL_UPDATE:
        if (n != 1 || (rows_update(&shard->rows, &r->rows[0]) != 0 && is_strict))
            return "a row is updated that is not there";
        if (!is_strict)
            rows_set(&shard->rows, &r->rows[0]);
        return NULL;
    case WAL_DELETE:
        if (rows_remove(&shard->rows, record->low) != 0 && is_strict)
            return "a row is removed that is not there";
        return NULL;
    case WAL_REPLACE:
        rows_replace(&shard->rows, record->low, record->last, r->rows, n);
        return NULL;
    default:
        return "an operation that is none";
    }
}

/* ---- the snapshot ---- */

static int load_frame(struct recovery *r, const struct wal_window *file,
                      const struct wal_frame *frame, uint64_t offset, uint64_t *n_rows,
                      bool *ret_is_end)
{
    struct wal_reader reader;
    struct wal_record record;
    const char *reason = "";
    int rc;
    wal_reader_init(&reader, frame);
    while ((rc = wal_record_next(&reader, &record, &reason)) > 0) {
        if (*ret_is_end)
            return corrupt(r, file, offset, "a record after the end");
        if (record.op == WAL_END) {
            r->snapshot = record.end;
            *ret_is_end = true;
            continue;
        }
        if (record.op != WAL_CREATE && record.op != WAL_INSERT)
            return corrupt(r, file, offset, "a record that no snapshot has");
        *n_rows += record.n_rows;
        reason = replay(r, &record, 0, true);
        if (reason)
            return corrupt(r, file, offset, reason);
    }
    return rc < 0 ? corrupt(r, file, offset, reason) : 0;
}

static int load_frames(struct recovery *r, struct wal_window *file, uint64_t number)
{
    struct wal_file_header header;
    uint64_t offset = WAL_FILE_HEADER_BYTES, next_seq = 1, n_rows = 0;
    bool is_end = false;
    int rc = wal_window_header(file, WAL_SNAPSHOT, &header, r->err);
    while (rc == 0 && offset < file->n_file) {
        struct wal_frame frame;
        const char *reason = "it ends before its end";
        enum wal_check check;
        rc = wal_window_frame(file, offset, &check, &frame, &reason, r->err);
        if (rc == 0 && check == WAL_GOOD && frame.first_seq != next_seq) {
            reason = "a frame out of its order";
            check = WAL_BAD;
        }
        if (rc == 0 && check != WAL_GOOD)
            rc = corrupt(r, file, offset, reason);
        if (rc == 0)
            rc = load_frame(r, file, &frame, offset, &n_rows, &is_end);
        if (rc == 0) {
            next_seq += frame.n_records;
            offset += frame.end - frame.offset;
        }
    }
    if (rc != 0)
        return rc;
    if (!is_end || n_rows != r->snapshot.n_rows || r->snapshot.start_seq != number ||
        header.number != number || r->snapshot.end_seq < number ||
        r->snapshot.next_shard < r->store->next_shard)
        return corrupt(r, file, offset, "it ends before its end, or contradicts itself");
    return 0;
}

static int load_snapshot(struct recovery *r)
{
    struct wal_window file;
    if (r->snapshots.n == 0)
        return 0;
    uint64_t number = r->snapshots.all[r->snapshots.n - 1];
    int rc = wal_window_open(&file, wal_snapshot_path(r->store->dir, number), r->err);
    if (rc == 0)
        rc = load_frames(r, &file, number);
    r->store->found.n_bytes += file.n_file;
    wal_window_close(&file);
    if (rc != 0)
        return rc;
    r->store->next_shard = r->snapshot.next_shard;
    r->store->snapshot.number = number;
    r->store->snapshot.n_bytes = file.n_file;
    return 0;
}

/* ---- the log ---- */

static int replay_frame(struct recovery *r, const struct wal_window *file,
                        const struct wal_frame *frame)
{
    struct wal_reader reader;
    struct wal_record record;
    const char *reason = "";
    uint64_t seq = frame->first_seq;
    int rc;
    wal_reader_init(&reader, frame);
    while ((rc = wal_record_next(&reader, &record, &reason)) > 0) {
        if (seq > r->snapshot.start_seq) {
            r->store->log.n_bytes += (uint64_t)(record.limit - record.at);
            reason = replay(r, &record, seq, seq > r->snapshot.end_seq);
            if (reason)
                return corrupt(r, file, frame->offset, reason);
            r->store->found.n_records++;
        }
        seq++;
    }
    if (rc < 0)
        return corrupt(r, file, frame->offset, reason);
    r->next_seq = seq;
    return 0;
}

/* Whether a good frame is the next one. The log's first one may begin within what the snapshot
 * holds, as may that of a later segment when some before it are gone. */
static bool follows(const struct recovery *r, const struct wal_frame *frame, bool is_first)
{
    if (frame->first_seq == r->next_seq)
        return true;
    bool is_gap_held = frame->first_seq <= r->snapshot.start_seq + 1;
    return is_first && is_gap_held && frame->first_seq > r->next_seq;
}

/* Whether anything from offset `from` on shows that record seq was once where the log ends now:
 * -EBADMSG then. `file` and `offset` say where it ends. */
static int look_for_more(struct recovery *r, const struct wal_window *file, uint64_t offset,
                         const char *reason, const struct wal_window *later, uint64_t from)
{
    uint64_t seq = r->next_seq ? r->next_seq : r->snapshot.start_seq + 1;
    size_t found = 0;
    if (!wal_find_synced(later->bytes, later->n, (size_t)from, seq, r->snapshot.end_seq, &found))
        return 0;
    return err_set(r->err, -EBADMSG,
                   "%s is corrupt at offset %" PRIu64
                   ": %s, though its record was on the disk when what stands at offset %zu%s%s was "
                   "written",
                   file->path, offset, reason, found, later == file ? "" : " of ",
                   later == file ? "" : later->path);
}

static int look_in_later_segments(struct recovery *r, const struct wal_window *file, size_t segment,
                                  uint64_t offset, const char *reason)
{
    int rc = 0;
    for (size_t i = segment + 1; i < r->segments.n && rc == 0; i++) {
        struct wal_window later;
        struct wal_file_header header;
        rc = wal_window_open(&later, wal_segment_path(r->store->dir, r->segments.all[i]), r->err);
        if (rc == 0)
            rc = wal_window_header(&later, WAL_SEGMENT, &header, r->err);
        if (rc == 0)
            rc = wal_window_load(&later, r->err);
        if (rc == 0)
            rc = look_for_more(r, file, offset, reason, &later, WAL_FILE_HEADER_BYTES);
        wal_window_close(&later);
    }
    return rc;
}

/* What stands at the offset is no frame that follows. Unless something after it shows that one was
 * there, the log ends here, and what was being written when the machine stopped is cut. */
static int end_log(struct recovery *r, struct wal_window *file, size_t segment, uint64_t offset,
                   uint64_t n_bytes, enum wal_check check, const char *reason)
{
    if (r->next_seq != 0 && r->next_seq <= r->snapshot.end_seq)
        return corrupt(r, file, offset, reason);
    /* The header of a frame whose records are damaged proves nothing about them. */
    uint64_t from = offset + (check == WAL_BAD ? WAL_ALIGNMENT : 0);
    int rc = look_for_more(r, file, offset, reason, file, from);
    if (rc == 0)
        rc = look_in_later_segments(r, file, segment, offset, reason);
    if (rc != 0)
        return rc;
    uint64_t n_used = file->n;
    while (n_used > offset && file->bytes[n_used - 1] == 0)
        n_used--;
    r->store->found.n_cut_bytes = n_used > offset ? n_used - offset : 0;
    r->end = (struct end_of_log){
        .is_found = true,
        .segment = segment,
        .offset = offset,
        .n_bytes = n_bytes,
        .is_clean = n_used <= offset && file->n_file == n_bytes,
    };
    return 0;
}

/* Whether the log goes on in a later segment, be it with a frame that was being written when the
 * machine stopped: then this one ended as it should. */
static int next_goes_on(struct recovery *r, size_t segment, bool *ret_goes_on)
{
    *ret_goes_on = false;
    for (size_t i = segment + 1; i < r->segments.n && !*ret_goes_on; i++) {
        struct wal_window next;
        struct wal_frame frame;
        enum wal_check check = WAL_NOTHING;
        const char *reason;
        int rc =
            wal_window_open(&next, wal_segment_path(r->store->dir, r->segments.all[i]), r->err);
        if (rc == 0)
            rc = wal_window_frame(&next, WAL_FILE_HEADER_BYTES, &check, &frame, &reason, r->err);
        wal_window_close(&next);
        if (rc != 0)
            return rc;
        *ret_goes_on = check == WAL_BAD || (check == WAL_GOOD && follows(r, &frame, true));
        if (check != WAL_NOTHING)
            break;
    }
    return 0;
}

static int replay_segment(struct recovery *r, struct wal_window *file, size_t segment)
{
    struct wal_file_header header;
    uint64_t offset = WAL_FILE_HEADER_BYTES;
    int rc = wal_window_header(file, WAL_SEGMENT, &header, r->err);
    if (rc != 0)
        return rc;
    if (header.number != r->segments.all[segment] || header.size < WAL_FILE_HEADER_BYTES ||
        file->n_file > header.size)
        return corrupt(r, file, 0, "the header is of another file");
    rc = wal_window_load(file, r->err);
    while (rc == 0) {
        struct wal_frame frame;
        const char *reason = "";
        enum wal_check check = wal_frame_check(file->bytes, file->n, offset, &frame, &reason);
        if (check == WAL_GOOD && follows(r, &frame, offset == WAL_FILE_HEADER_BYTES)) {
            rc = replay_frame(r, file, &frame);
            offset = frame.end;
            continue;
        }
        bool goes_on = false;
        if (check == WAL_NOTHING) {
            reason = "nothing stands there";
            rc = next_goes_on(r, segment, &goes_on);
        } else if (check == WAL_GOOD) {
            reason = "a frame out of its order";
        }
        if (rc == 0 && !goes_on)
            rc = end_log(r, file, segment, offset, header.size, check, reason);
        break;
    }
    if (rc == 0 && !r->end.is_found)
        file_log_add_closed(&r->store->log, header.number, r->next_seq ? r->next_seq - 1 : 0);
    return rc;
}

static int replay_log(struct recovery *r)
{
    int rc = 0;
    for (size_t i = 0; i < r->segments.n && !r->end.is_found && rc == 0; i++) {
        struct wal_window file;
        rc = wal_window_open(&file, wal_segment_path(r->store->dir, r->segments.all[i]), r->err);
        if (rc == 0)
            rc = replay_segment(r, &file, i);
        r->store->found.n_bytes += file.n_file;
        wal_window_close(&file);
    }
    if (rc != 0)
        return rc;
    if (r->next_seq == 0)
        r->next_seq = r->snapshot.start_seq + 1;
    if (r->next_seq <= r->snapshot.end_seq)
        return err_set(r->err, -EBADMSG,
                       "the log in %s ends before record %" PRIu64
                       ", its snapshot goes up to %" PRIu64 ": a file is missing or was cut",
                       r->store->dir, r->next_seq, r->snapshot.end_seq);
    return 0;
}

/* ---- going on ---- */

/* The log goes on where it ends; of the files after that the first is the spare, if it is whole. */
static int resume_log(struct recovery *r)
{
    struct file_store *store = r->store;
    struct file_log *log = &store->log;
    const char *dir = store->dir;
    size_t n = r->segments.n;
    log->next_number = n > 0 ? r->segments.all[n - 1] + 1 : 1;
    log->next_seq = r->next_seq;
    log->done_seq = r->next_seq - 1;
    /* Nothing was handed out of them yet. */
    for (size_t i = r->end.segment + 1; r->end.is_found && i < n; i++)
        remove_file(wal_segment_path(dir, r->segments.all[i]));
    if (r->end.is_found)
        return wal_segment_resume(dir, r->segments.all[r->end.segment], r->end.n_bytes,
                                  r->end.offset, r->end.is_clean, &log->current, r->err);
    int rc =
        wal_segment_make(dir, log->next_number, store->params.segment_bytes, &log->current, r->err);
    if (rc == 0)
        log->next_number++;
    return rc;
}

/* What a snapshot would have removed, had its process gone on. */
static void remove_superfluous(struct recovery *r)
{
    struct file_log *log = &r->store->log;
    size_t n = 0;
    while (n < log->n_closed && log->closed[n].last_seq <= r->snapshot.start_seq)
        remove_file(wal_segment_path(r->store->dir, log->closed[n++].number));
    file_log_drop_closed(log, n);
    for (size_t i = 0; i + 1 < r->snapshots.n; i++)
        remove_file(wal_snapshot_path(r->store->dir, r->snapshots.all[i]));
}

static int list_shards(struct recovery *r)
{
    struct file_store *store = r->store;
    for (size_t i = 0; i < store->n_numbered; i++) {
        struct file_shard *shard = store->numbered[i];
        if (store_find(&store->base, shard->base.name, strlen(shard->base.name)) ||
            store->base.n_shards == STORE_MAX_SHARDS)
            return err_set(r->err, -EBADMSG, "the log in %s has two shards %s, or too many",
                           store->dir, shard->base.name);
        store_add_shard(&store->base, &shard->base);
        store->found.n_rows += rows_count(&shard->rows);
    }
    return 0;
}

int file_recovery_run(struct file_store *store, struct err *err)
{
    struct err own;
    struct recovery r = {.store = store, .err = err ? err : &own};
    uint64_t start_ns = clock_now_ns();
    store->next_shard = 1;
    int rc = list_files(&r);
    if (rc == 0)
        rc = load_snapshot(&r);
    if (rc == 0)
        rc = replay_log(&r);
    if (rc == 0)
        rc = list_shards(&r);
    if (rc == 0)
        rc = resume_log(&r);
    if (rc == 0)
        remove_superfluous(&r);
    if (store->snapshot.n_bytes > store->snapshot.due_bytes)
        store->snapshot.due_bytes = store->snapshot.n_bytes;
    store->found.took_ns = clock_now_ns() - start_ns;
    free(r.segments.all);
    free(r.snapshots.all);
    free(r.rows);
    return rc;
}
