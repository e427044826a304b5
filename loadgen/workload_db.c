#include "loadgen/workload_db.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/mem.h"
#include "loadgen/student.h"

FAMILY_DEFINE(workload);

#define MAX_ROWS 10000u
#define MAX_WIDTH 100000u
#define MAX_IDS UINT64_C(1000000000000)
#define KEEP_BYTES_EACH ((size_t)STUDENT_ROW_BYTES)
#define KEEP_BYTES_HEAD ((size_t)64 * 1024) /* the shards that were asked, and the rest */

enum action { READ, SCAN, UPDATE, INSERT, DELETE, RMW, N_ACTIONS };

/* What the options fill, for every member alike. */
struct mix {
    uint64_t low, ids; /* the keys low … low + ids − 1 */
    uint64_t rows;     /* an insert */
    uint64_t width;    /* keys of a scan */
    int order;         /* of inserted ids */
    bool latest;       /* the newest keys are the most popular */
    bool any_width;    /* of scans: from 1 to width, equally often */
    uint64_t percent[N_ACTIONS];
};

enum { ORDER_RANDOM, ORDER_ASCENDING };

/* A slot's request. */
struct slot {
    struct buf body;
    enum action action;
    bool second; /* RMW: the update is what comes next */
    int64_t low, last;
};

struct db {
    struct workload workload;
    struct mix mix;
    struct keys_place place;
    struct keys *keys;
    bool all_there;      /* every key of the range is: a read must find it */
    uint64_t n_inserted; /* of this thread's share */
    uint64_t version;
    struct slot *slots;
    uint32_t n_slots;
};

static struct slot *slot_of(struct db *db, uint32_t index)
{
    if (index >= db->n_slots) {
        uint32_t n = (index + 1) * 2;
        db->slots = mem_realloc(db->slots, n, sizeof(*db->slots));
        for (uint32_t i = db->n_slots; i < n; i++) {
            db->slots[i] = (struct slot){.action = READ};
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

/* A version that no other write of this run has: threads take turns. */
static uint64_t next_version(struct db *db)
{
    return ++db->version * db->place.n_threads + db->place.thread;
}

static void update_key(struct db *db, struct slot *slot, int64_t key,
                       struct client_request *request)
{
    buf_appendf(&slot->body, "{\"Stud_id\":%lld,\"data\":", (long long)key);
    student_put(&slot->body, key, next_version(db));
    buf_append_str(&slot->body, "}");
    finish(slot, "PUT", "/update", request);
}

static void delete_key(struct slot *slot, int64_t key, struct client_request *request)
{
    buf_appendf(&slot->body, "{\"Stud_id\":%lld}", (long long)key);
    finish(slot, "DELETE", "/del", request);
}

/* The next id that this thread adds: each once over all threads. Alone, inserts fill the range (and
 * wrap past its end, so that one too many is refused and seen); beside reads, they go on behind it.
 */
static int64_t next_id(struct db *db)
{
    const struct mix *mix = &db->mix;
    uint64_t at = db->n_inserted++ * db->place.n_threads + db->place.thread;
    if (mix->percent[INSERT] < 100)
        return (int64_t)(mix->low + mix->ids + at);
    at %= mix->ids;
    if (mix->order == ORDER_RANDOM)
        at = keys_permute(at, mix->ids, db->place.seed);
    return (int64_t)(mix->low + at);
}

static void insert_rows(struct db *db, struct slot *slot, struct client_request *request)
{
    buf_append_str(&slot->body, "{\"data\":[");
    for (uint64_t i = 0; i < db->mix.rows; i++) {
        if (i > 0)
            buf_append_str(&slot->body, ",");
        student_put(&slot->body, next_id(db), 0);
    }
    buf_append_str(&slot->body, "]}");
    finish(slot, "POST", "/write", request);
}

static int64_t choose_key(struct db *db, struct rng *rng)
{
    int64_t key = (int64_t)keys_next(db->keys, rng);
    if (!db->mix.latest)
        return key;
    /* As far from the newest of this thread's as the choice is from the lowest. */
    uint64_t newest = db->mix.low + db->mix.ids - 1 + db->n_inserted * db->place.n_threads;
    return (int64_t)newest - (key - (int64_t)db->mix.low);
}

static enum action choose_action(const struct mix *mix, struct rng *rng)
{
    uint64_t at = rng_below(rng, 100);
    for (int action = 0; action < N_ACTIONS; action++) {
        if (at < mix->percent[action])
            return (enum action)action;
        at -= mix->percent[action];
    }
    return READ;
}

static void db_next(struct workload *workload, struct rng *rng, uint32_t index,
                    struct client_request *request)
{
    struct db *db = (struct db *)workload;
    struct slot *slot = slot_of(db, index);
    buf_clear(&slot->body);
    if (slot->action == RMW && slot->second) {
        slot->second = false;
        update_key(db, slot, slot->low, request);
        return;
    }
    slot->action = choose_action(&db->mix, rng);
    int64_t key = slot->action == INSERT ? 0 : choose_key(db, rng);
    int64_t end = (int64_t)(db->mix.low + db->mix.ids - 1), last = key;
    switch (slot->action) {
    case RMW:
        slot->second = true;
        read_keys(slot, key, key, request);
        break;
    case SCAN:
        last = key +
               (int64_t)(db->mix.any_width ? 1 + rng_below(rng, db->mix.width) : db->mix.width) - 1;
        read_keys(slot, key, last < end ? last : end, request);
        break;
    case UPDATE:
        update_key(db, slot, key, request);
        break;
    case DELETE:
        delete_key(slot, key, request);
        break;
    case INSERT:
        insert_rows(db, slot, request);
        break;
    default:
        read_keys(slot, key, key, request);
    }
}

/* ---- answers ----------------------------------------------------------------------------------
 */

/* Of the request that the slot has under way. */
static bool reads_rows(const struct slot *slot)
{
    return slot->action == READ || slot->action == SCAN || (slot->action == RMW && slot->second);
}

static bool db_check(struct workload *workload, uint32_t index, const struct client_answer *answer)
{
    struct db *db = (struct db *)workload;
    const struct slot *slot = slot_of(db, index);
    if (!reads_rows(slot))
        return true; /* a change is done when the status says so */
    int64_t n = student_count(answer->body, answer->body_bytes, slot->low, slot->last);
    return db->all_there ? n == slot->last - slot->low + 1 : n >= 0;
}

static bool db_writes(struct workload *workload, uint32_t index)
{
    return !reads_rows(slot_of((struct db *)workload, index));
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

/* ---- members ----------------------------------------------------------------------------------
 */

static int check_mix(const struct mix *mix, struct err *err)
{
    uint64_t sum = 0;
    for (int action = 0; action < N_ACTIONS; action++)
        sum += mix->percent[action];
    if (sum != 100)
        return err_set(err, -EINVAL, "the percentages add up to %llu, not to 100",
                       (unsigned long long)sum);
    return 0;
}

static int open_keys(struct db *db, const struct spec *keys, struct err *err)
{
    struct spec uniform = {0};
    char text[96];
    if (keys)
        return keys_open(keys, &db->place, &db->keys, err);
    snprintf(text, sizeof(text), "uniform:low=%llu,high=%llu", (unsigned long long)db->mix.low,
             (unsigned long long)(db->mix.low + db->mix.ids - 1));
    int rc = spec_parse(&keys_family, text, &uniform, err);
    if (rc == 0)
        rc = keys_open(&uniform, &db->place, &db->keys, err);
    spec_done(&uniform);
    return rc;
}

static int open_mix(const struct workload_ops *ops, const struct mix *mix, const struct spec *keys,
                    const struct keys_place *place, struct workload **ret_workload, struct err *err)
{
    int rc = check_mix(mix, err);
    if (rc != 0)
        return rc;
    struct db *db = mem_zalloc(1, sizeof(*db));
    db->workload.ops = ops;
    db->mix = *mix;
    db->place = *place;
    db->all_there = mix->percent[INSERT] == 0 && mix->percent[DELETE] == 0;
    uint64_t most = mix->percent[SCAN] ? mix->width : 1;
    bool reads = mix->percent[READ] || mix->percent[SCAN] || mix->percent[RMW];
    db->workload.keep_body_bytes = reads ? KEEP_BYTES_HEAD + most * KEEP_BYTES_EACH : 0;
    rc = open_keys(db, keys, err);
    if (rc != 0) {
        db_free(&db->workload);
        return rc;
    }
    *ret_workload = &db->workload;
    return 0;
}

#define RANGE_ROWS                                                                                 \
    {.name = "low",                                                                                \
     .type = OPTION_U64,                                                                           \
     .offset = offsetof(struct mix, low),                                                          \
     .metavar = "KEY",                                                                             \
     .fallback = "0",                                                                              \
     .max = MAX_IDS,                                                                               \
     .help = "lowest id"},                                                                         \
    {                                                                                              \
        .name = "ids", .type = OPTION_U64, .offset = offsetof(struct mix, ids), .metavar = "N",    \
        .fallback = "10000", .min = 1, .max = MAX_IDS, .help = "how many ids, from low on"         \
    }
#define INSERT_ROWS                                                                                \
    {.name = "rows",                                                                               \
     .type = OPTION_U64,                                                                           \
     .offset = offsetof(struct mix, rows),                                                         \
     .metavar = "N",                                                                               \
     .fallback = "1",                                                                              \
     .min = 1,                                                                                     \
     .max = MAX_ROWS,                                                                              \
     .help = "rows that one request adds"},                                                        \
    {                                                                                              \
        .name = "order", .type = OPTION_CHOICE, .offset = offsetof(struct mix, order),             \
        .choices = "random|ascending", .fallback = "random", .help = "in which the ids are added"  \
    }
#define WIDTH_ROW                                                                                  \
    {                                                                                              \
        .name = "width", .type = OPTION_U64, .offset = offsetof(struct mix, width),                \
        .metavar = "N", .fallback = "1", .min = 1, .max = MAX_WIDTH,                               \
        .help = "keys of a range read"                                                             \
    }
#define PERCENT_ROW(word, action, text)                                                            \
    {                                                                                              \
        .name = word, .type = OPTION_U64, .offset = offsetof(struct mix, percent[action]),         \
        .metavar = "PERCENT", .fallback = "0", .max = 100, .help = text                            \
    }

static const struct option_def write_options[] = {RANGE_ROWS, INSERT_ROWS, {.name = NULL}};
static const struct option_def read_options[] = {RANGE_ROWS, WIDTH_ROW, {.name = NULL}};
static const struct option_def mix_options[] = {
    RANGE_ROWS,
    INSERT_ROWS,
    WIDTH_ROW,
    PERCENT_ROW("read", READ, "of the requests read a key"),
    PERCENT_ROW("scan", SCAN, "read `width` keys"),
    PERCENT_ROW("update", UPDATE, "replace a row"),
    PERCENT_ROW("insert", INSERT, "add `rows` rows"),
    PERCENT_ROW("delete", DELETE, "remove a row; one that is gone is an error 404"),
    PERCENT_ROW("rmw", RMW, "read a row, then replace it"),
    {.name = NULL}};

/* A member: its ops, and what it adds to the options it was given. */
#define MEMBER(member, member_name, member_summary, member_source, member_options, ...)            \
    static const struct workload_ops member##_workload_ops = {.name = member_name,                 \
                                                              .next = db_next,                     \
                                                              .check = db_check,                   \
                                                              .writes = db_writes,                 \
                                                              .free = db_free};                    \
    static int member##_open(const void *params, const struct spec *keys,                          \
                             const struct keys_place *place, struct workload **ret_workload,       \
                             struct err *err)                                                      \
    {                                                                                              \
        struct mix mix = *(const struct mix *)params;                                              \
        __VA_ARGS__;                                                                               \
        return open_mix(&member##_workload_ops, &mix, keys, place, ret_workload, err);             \
    }                                                                                              \
    static const struct workload_db_ops member##_ops = {                                           \
        .part = {.name = member_name,                                                              \
                 .summary = member_summary,                                                        \
                 .source = member_source,                                                          \
                 .options = member_options,                                                        \
                 .params_size = sizeof(struct mix)},                                               \
        .open = member##_open,                                                                     \
    };                                                                                             \
    WORKLOAD_REGISTER(member##_ops)

#define YCSB "Cooper et al., SoCC 2010, table 2"

MEMBER(db_write, "db-write", "adds rows, each id once", "CONTRACT.md, Part 2", write_options,
       mix.percent[INSERT] = 100);
MEMBER(db_read, "db-read", "reads keys that must all be there", "CONTRACT.md, Part 2", read_options,
       mix.percent[SCAN] = 100);
MEMBER(db_mix, "db-mix", "reads and changes in given percentages", "CONTRACT.md, Part 2",
       mix_options, (void)0);
MEMBER(ycsb_a, "ycsb-a", "half reads, half updates", YCSB, read_options, mix.percent[READ] = 50,
       mix.percent[UPDATE] = 50);
MEMBER(ycsb_b, "ycsb-b", "95 % reads, 5 % updates", YCSB, read_options, mix.percent[READ] = 95,
       mix.percent[UPDATE] = 5);
MEMBER(ycsb_c, "ycsb-c", "reads only", YCSB, read_options, mix.percent[READ] = 100);
MEMBER(ycsb_d, "ycsb-d", "95 % reads of the latest keys, 5 % inserts", YCSB, read_options,
       mix.percent[READ] = 95, mix.percent[INSERT] = 5, mix.rows = 1, mix.latest = true);
MEMBER(ycsb_e, "ycsb-e", "95 % scans of 1 to 100 keys, 5 % inserts", YCSB, read_options,
       mix.percent[SCAN] = 95, mix.percent[INSERT] = 5, mix.rows = 1, mix.width = 100,
       mix.any_width = true);
MEMBER(ycsb_f, "ycsb-f", "half reads, half read-modify-writes", YCSB, read_options,
       mix.percent[READ] = 50, mix.percent[RMW] = 50);

int workload_db_new(const struct spec *spec, const struct spec *keys,
                    const struct keys_place *place, struct workload **ret_workload, struct err *err)
{
    const struct workload_db_ops *ops = (const struct workload_db_ops *)spec->part;
    return ops->open(spec->params, keys, place, ret_workload, err);
}
