#include "loadgen/workload_db.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/mem.h"
#include "loadgen/student.h"

FAMILY_DEFINE(workload);

#define KEEP_BYTES_EACH ((size_t)STUDENT_ROW_BYTES)
#define KEEP_BYTES_HEAD ((size_t)64 * 1024) /* the shards that were asked, and the rest */

/* A slot's request: what it asks for, and what is needed to judge its answer. */
struct slot {
    struct buf body;
    enum workload_db_action action; /* DB_RMW: as its half */
    bool update_follows;            /* the read of a read-modify-write */
    bool busy;
    int64_t low, last; /* keys: read; of others low is the one changed */
    uint64_t value;    /* that the change leaves */
    uint64_t insert;   /* which insert this is, over all threads */
};

struct db {
    struct workload workload;
    struct workload_db_mix mix;
    struct workload_db_start start;
    struct keys_place place;
    struct keys *keys;
    bool all_there;      /* every key of the range is: a read must find it */
    uint64_t n_inserts;  /* requests of this thread's share */
    uint64_t n_versions; /* that this thread has given */
    struct slot *slots;
    uint32_t n_slots;
};

static struct slot *slot_of(struct db *db, uint32_t index)
{
    if (index >= db->n_slots) {
        uint32_t n = (index + 1) * 2;
        db->slots = mem_realloc(db->slots, n, sizeof(*db->slots));
        for (uint32_t i = db->n_slots; i < n; i++) {
            db->slots[i] = (struct slot){.action = DB_READ};
            buf_init(&db->slots[i].body, 0);
        }
        db->n_slots = n;
    }
    return &db->slots[index];
}

/* ---- requests ---------------------------------------------------------------------------------
 */

static void finish(struct slot *slot, const char *method, const char *target,
                   struct client_request *request)
{
    slot->busy = true;
    request->method = method;
    request->target = target;
    request->headers = "Content-Type: application/json\r\n";
    request->body_bytes = buf_len(&slot->body);
    request->body = buf_str(&slot->body);
}

static void read_keys(struct slot *slot, int64_t low, int64_t last, struct client_request *request)
{
    slot->low = low;
    slot->last = last;
    buf_appendf(&slot->body, "{\"Stud_id\":{\"low\":%lld,\"high\":%lld}}", (long long)low,
                (long long)last);
    finish(slot, "POST", "/read", request);
}

/* A version that no other write of this run has, and no row before it: threads take turns. */
static uint64_t next_version(struct db *db)
{
    return db->start.first_version + ++db->n_versions * db->place.n_threads + db->place.thread;
}

static void update_key(struct db *db, struct slot *slot, int64_t key,
                       struct client_request *request)
{
    slot->action = DB_UPDATE;
    slot->low = key;
    slot->value = next_version(db);
    buf_appendf(&slot->body, "{\"Stud_id\":%lld,\"data\":", (long long)key);
    student_put(&slot->body, key, slot->value);
    buf_append_str(&slot->body, "}");
    finish(slot, "PUT", "/update", request);
}

static void delete_key(struct slot *slot, int64_t key, struct client_request *request)
{
    slot->low = key;
    slot->value = STUDENT_NONE;
    buf_appendf(&slot->body, "{\"Stud_id\":%lld}", (long long)key);
    finish(slot, "DELETE", "/del", request);
}

int64_t workload_db_insert_low(const struct workload_db_mix *mix)
{
    return (int64_t)(mix->percent[DB_INSERT] < 100 ? mix->low + mix->ids : mix->low);
}

/* Alone, inserts fill the range; beside reads they go on behind it, as far as there is room. */
static uint64_t insertable(const struct db *db)
{
    uint64_t room = db->start.n_room;
    return db->mix.percent[DB_INSERT] < 100 || room < db->mix.ids ? room : db->mix.ids;
}

/* The id of row `row` of an insert: each once over all threads, whose inserts take turns. False:
 * there are no more. */
static bool insert_id(const struct db *db, uint64_t insert, uint64_t row, int64_t *ret_id)
{
    const struct workload_db_mix *mix = &db->mix;
    uint64_t at = insert * mix->rows + row;
    if (at >= insertable(db))
        return false;
    if (mix->percent[DB_INSERT] == 100 && mix->order == DB_ORDER_RANDOM)
        at = keys_permute(at, mix->ids, db->place.seed);
    *ret_id = workload_db_insert_low(mix) + (int64_t)at;
    return true;
}

static bool insert_rows(struct db *db, struct slot *slot, struct client_request *request)
{
    int64_t id;
    slot->insert = db->n_inserts * db->place.n_threads + db->place.thread;
    if (!insert_id(db, slot->insert, 0, &id))
        return false;
    db->n_inserts++;
    buf_append_str(&slot->body, "{\"data\":[");
    for (uint64_t row = 0; row < db->mix.rows && insert_id(db, slot->insert, row, &id); row++) {
        if (row > 0)
            buf_append_str(&slot->body, ",");
        student_put(&slot->body, id, 0);
    }
    buf_append_str(&slot->body, "]}");
    finish(slot, "POST", "/write", request);
    return true;
}

static int64_t choose_key(struct db *db, struct rng *rng)
{
    int64_t key = (int64_t)keys_next(db->keys, rng);
    if (!db->mix.latest)
        return key;
    /* As far from the newest of this thread's as the choice is from the lowest. */
    uint64_t newest =
        db->mix.low + db->mix.ids - 1 + db->n_inserts * db->place.n_threads * db->mix.rows;
    return (int64_t)newest - (key - (int64_t)db->mix.low);
}

static enum workload_db_action choose_action(const struct workload_db_mix *mix, struct rng *rng)
{
    uint64_t at = rng_below(rng, 100);
    for (int action = 0; action < DB_N_ACTIONS; action++) {
        if (at < mix->percent[action])
            return (enum workload_db_action)action;
        at -= mix->percent[action];
    }
    return DB_READ;
}

/* The last key of a scan from `key` on, which ends with the range. */
static int64_t scan_last(const struct workload_db_mix *mix, int64_t key, struct rng *rng)
{
    uint64_t width = mix->any_width ? 1 + rng_below(rng, mix->width) : mix->width;
    int64_t last = key + (int64_t)width - 1, end = (int64_t)(mix->low + mix->ids - 1);
    return last < end || key > end ? last : end;
}

static bool db_next(struct workload *workload, struct rng *rng, uint32_t index,
                    struct client_request *request)
{
    struct db *db = (struct db *)workload;
    struct slot *slot = slot_of(db, index);
    buf_clear(&slot->body);
    if (slot->update_follows) {
        slot->update_follows = false;
        update_key(db, slot, slot->low, request);
        return true;
    }
    slot->action = choose_action(&db->mix, rng);
    if (slot->action == DB_INSERT)
        return insert_rows(db, slot, request);
    const int64_t key = choose_key(db, rng);
    switch (slot->action) {
    case DB_UPDATE:
        update_key(db, slot, key, request);
        break;
    case DB_DELETE:
        delete_key(slot, key, request);
        break;
    case DB_SCAN:
        read_keys(slot, key, scan_last(&db->mix, key, rng), request);
        break;
    default:
        slot->update_follows = slot->action == DB_RMW;
        slot->action = DB_READ;
        read_keys(slot, key, key, request);
    }
    return true;
}

/* ---- answers ----------------------------------------------------------------------------------
 */

/* What an answer says of a change. A refusal (4xx) changes nothing (CONTRACT.md), unless the client
 * sent the request twice because its connection broke: then it may refuse what was done the first
 * time. */
enum fate { FATE_DONE, FATE_NOTHING, FATE_IN_DOUBT };

static enum fate fate_of(const struct slot *slot, const struct client_answer *answer)
{
    if (answer->error != CLIENT_OK || answer->status / 100 == 3 || answer->status / 100 > 4)
        return FATE_IN_DOUBT;
    if (answer->status / 100 == 2)
        return FATE_DONE;
    if (slot->action == DB_DELETE && answer->status == 404)
        return FATE_DONE; /* there was no row at some time in between, whoever removed it */
    if (slot->action == DB_INSERT && answer->status == 409)
        return FATE_IN_DOUBT;
    return FATE_NOTHING;
}

static void note_key(const struct db *db, int64_t key, uint64_t value, enum fate fate,
                     const struct client_answer *answer)
{
    if (fate == FATE_DONE)
        journal_done(db->start.journal, key, value, answer->submitted_ns, answer->done_ns);
    else if (fate == FATE_IN_DOUBT)
        journal_in_doubt(db->start.journal, key, value);
}

static bool is_change(const struct slot *slot)
{
    return slot->action == DB_UPDATE || slot->action == DB_INSERT || slot->action == DB_DELETE;
}

static void note(const struct db *db, const struct slot *slot, enum fate fate,
                 const struct client_answer *answer)
{
    int64_t id;
    if (!db->start.journal || !is_change(slot))
        return;
    if (slot->action != DB_INSERT) {
        note_key(db, slot->low, slot->value, fate, answer);
        return;
    }
    for (uint64_t row = 0; row < db->mix.rows && insert_id(db, slot->insert, row, &id); row++)
        note_key(db, id, 0, fate, answer);
}

/* How many rows an insert had: the last one may have fewer than the others. */
static uint64_t rows_of(const struct db *db, const struct slot *slot)
{
    uint64_t left = insertable(db) - slot->insert * db->mix.rows;
    return left < db->mix.rows ? left : db->mix.rows;
}

static enum verdict judge_change(const struct db *db, const struct slot *slot,
                                 const struct client_answer *answer, enum verdict verdict,
                                 struct workload_done *done)
{
    /* Where rows are removed, one that is gone is no surprise. */
    if (verdict == VERDICT_STATUS_4XX && answer->status == 404 && slot->action != DB_INSERT &&
        db->mix.percent[DB_DELETE] > 0)
        return VERDICT_OK;
    if (verdict == VERDICT_OK)
        done->n_written = slot->action == DB_INSERT ? rows_of(db, slot) : 1;
    return verdict;
}

static enum verdict db_ended(struct workload *workload, uint32_t index,
                             const struct client_answer *answer, enum verdict verdict,
                             struct workload_done *done)
{
    struct db *db = (struct db *)workload;
    struct slot *slot = slot_of(db, index);
    slot->busy = false;
    done->operation = (uint32_t)slot->action;
    done->is_write = is_change(slot);
    if (done->is_write) {
        note(db, slot, fate_of(slot, answer), answer);
        return judge_change(db, slot, answer, verdict, done);
    }
    if (verdict != VERDICT_OK)
        return verdict;
    int64_t n = student_count(answer->body, answer->body_bytes, slot->low, slot->last);
    if (db->all_there ? n != slot->last - slot->low + 1 : n < 0)
        return VERDICT_WRONG_BODY;
    done->n_read = (uint64_t)n;
    return VERDICT_OK;
}

static void db_free(struct workload *workload)
{
    struct db *db = (struct db *)workload;
    for (uint32_t i = 0; i < db->n_slots; i++)
        buf_done(&db->slots[i].body);
    free(db->slots);
    keys_close(db->keys);
    free(db);
}

static const char *const operations[] = {"read", "scan", "update", "insert", "delete", NULL};

static const struct workload_ops db_ops = {
    .name = "db", .operations = operations, .next = db_next, .ended = db_ended, .free = db_free};

/* ---- life -------------------------------------------------------------------------------------
 */

int workload_db_mix(const struct spec *spec, struct workload_db_mix *ret_mix, struct err *err)
{
    const struct workload_db_ops *ops = (const struct workload_db_ops *)spec->part;
    struct workload_db_mix mix = *(const struct workload_db_mix *)spec->params;
    uint64_t sum = 0;
    ops->complete(&mix);
    for (int action = 0; action < DB_N_ACTIONS; action++)
        sum += mix.percent[action];
    if (sum != 100)
        return err_set(err, -EINVAL, "the percentages add up to %llu, not to 100",
                       (unsigned long long)sum);
    *ret_mix = mix;
    return 0;
}

/* The choice with the mix's range, unless it says one itself. */
static int open_keys(struct db *db, const char *keys, struct err *err)
{
    struct spec spec = {0};
    struct buf text;
    int rc;
    keys = keys ? keys : "uniform";
    buf_init(&text, 0);
    buf_append_str(&text, keys);
    if (strcmp(keys, "ids") != 0 && !strstr(keys, "low=") && !strstr(keys, "high="))
        buf_appendf(&text, "%slow=%llu,high=%llu", strchr(keys, ':') ? "," : ":",
                    (unsigned long long)db->mix.low,
                    (unsigned long long)(db->mix.low + db->mix.ids - 1));
    rc = spec_parse(&keys_family, buf_str(&text), &spec, err);
    if (rc == 0)
        rc = keys_open(&spec, &db->place, &db->keys, err);
    spec_done(&spec);
    buf_done(&text);
    return rc;
}

int workload_db_new(const struct spec *spec, const char *keys, const struct keys_place *place,
                    struct workload **ret_workload, struct err *err)
{
    const struct workload_db_ops *ops = (const struct workload_db_ops *)spec->part;
    struct db *db = mem_zalloc(1, sizeof(*db));
    db->workload.ops = &db_ops;
    db->place = *place;
    db->start.n_room = UINT64_MAX;
    int rc = workload_db_mix(spec, &db->mix, err);
    if (rc == 0)
        rc = open_keys(db, keys ? keys : ops->keys, err);
    if (rc != 0) {
        db_free(&db->workload);
        return rc;
    }
    const uint64_t *percent = db->mix.percent;
    db->all_there =
        percent[DB_INSERT] == 0 && percent[DB_DELETE] == 0 && db->mix.found == DB_FOUND_ALL;
    uint64_t most = percent[DB_SCAN] ? db->mix.width : 1;
    bool reads = percent[DB_READ] || percent[DB_SCAN] || percent[DB_RMW];
    db->workload.keep_body_bytes = reads ? KEEP_BYTES_HEAD + most * KEEP_BYTES_EACH : 0;
    *ret_workload = &db->workload;
    return 0;
}

void workload_db_range(const struct workload *workload, int64_t *ret_low, int64_t *ret_last)
{
    const struct db *db = (const struct db *)workload;
    uint64_t low = db->mix.low, last = low + db->mix.ids - 1;
    if (db->mix.percent[DB_INSERT] < 100 && !db->mix.latest) {
        low = db->keys->low;
        last = db->keys->high;
    }
    *ret_low = (int64_t)low;
    *ret_last = (int64_t)last;
}

void workload_db_start(struct workload *workload, const struct workload_db_start *start)
{
    ((struct db *)workload)->start = *start;
}

void workload_db_stop(struct workload *workload)
{
    struct db *db = (struct db *)workload;
    for (uint32_t i = 0; i < db->n_slots; i++)
        if (db->slots[i].busy)
            note(db, &db->slots[i], FATE_IN_DOUBT, NULL);
}
