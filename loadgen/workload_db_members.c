/* The members of the family, and their options. */
#include "loadgen/workload_db.h"

#define MAX_ROWS 10000u
#define MAX_WIDTH 100000u
#define MAX_IDS UINT64_C(1000000000000)

#define RANGE_ROWS                                                                                 \
    {.name = "low",                                                                                \
     .type = OPTION_U64,                                                                           \
     .offset = offsetof(struct workload_db_mix, low),                                              \
     .metavar = "KEY",                                                                             \
     .fallback = "0",                                                                              \
     .max = MAX_IDS,                                                                               \
     .help = "lowest id"},                                                                         \
    {                                                                                              \
        .name = "ids", .type = OPTION_U64, .offset = offsetof(struct workload_db_mix, ids),        \
        .metavar = "N", .fallback = "10000", .min = 1, .max = MAX_IDS,                             \
        .help = "how many ids, from low on"                                                        \
    }
#define INSERT_ROWS                                                                                \
    {.name = "rows",                                                                               \
     .type = OPTION_U64,                                                                           \
     .offset = offsetof(struct workload_db_mix, rows),                                             \
     .metavar = "N",                                                                               \
     .fallback = "1",                                                                              \
     .min = 1,                                                                                     \
     .max = MAX_ROWS,                                                                              \
     .help = "rows that one request adds"},                                                        \
    {                                                                                              \
        .name = "order", .type = OPTION_CHOICE, .offset = offsetof(struct workload_db_mix, order), \
        .choices = "random|ascending", .fallback = "random", .help = "in which the ids are added"  \
    }
#define WIDTH_ROW                                                                                  \
    {                                                                                              \
        .name = "width", .type = OPTION_U64, .offset = offsetof(struct workload_db_mix, width),    \
        .metavar = "N", .fallback = "1", .min = 1, .max = MAX_WIDTH,                               \
        .help = "keys of a range read"                                                             \
    }
#define FOUND_ROW                                                                                  \
    {                                                                                              \
        .name = "found", .type = OPTION_CHOICE, .offset = offsetof(struct workload_db_mix, found), \
        .choices = "all|any", .fallback = "all",                                                   \
        .help = "a read must find every key that is to be there, or may find none"                 \
    }
#define PERCENT_ROW(word, action, text)                                                            \
    {                                                                                              \
        .name = (word), .type = OPTION_U64,                                                        \
        .offset = offsetof(struct workload_db_mix, percent[action]), .metavar = "PERCENT",         \
        .fallback = "0", .max = 100, .help = (text)                                                \
    }

static const struct option_def write_options[] = {RANGE_ROWS, INSERT_ROWS, {.name = NULL}};
static const struct option_def read_options[] = {RANGE_ROWS, WIDTH_ROW, FOUND_ROW, {.name = NULL}};
static const struct option_def preset_options[] = {RANGE_ROWS, {.name = NULL}};
static const struct option_def mix_options[] = {
    RANGE_ROWS,
    INSERT_ROWS,
    WIDTH_ROW,
    FOUND_ROW,
    PERCENT_ROW("read", DB_READ, "of the requests read a key"),
    PERCENT_ROW("scan", DB_SCAN, "read `width` keys"),
    PERCENT_ROW("update", DB_UPDATE, "replace a row"),
    PERCENT_ROW("insert", DB_INSERT, "add `rows` rows behind the last id"),
    PERCENT_ROW("delete", DB_DELETE,
                "remove a row; where rows are removed, a 404 to a change is good"),
    PERCENT_ROW("rmw", DB_RMW, "read a row, then replace it"),
    {.name = NULL}};

#define MEMBER(member, member_name, member_summary, member_source, member_options, member_keys,    \
               ...)                                                                                \
    static void complete_##member(struct workload_db_mix *mix)                                     \
    {                                                                                              \
        __VA_ARGS__;                                                                               \
    }                                                                                              \
    static const struct workload_db_ops member##_ops = {                                           \
        .part = {.name = member_name,                                                              \
                 .summary = member_summary,                                                        \
                 .source = member_source,                                                          \
                 .options = member_options,                                                        \
                 .params_size = sizeof(struct workload_db_mix)},                                   \
        .complete = complete_##member,                                                             \
        .keys = member_keys,                                                                       \
    };                                                                                             \
    WORKLOAD_REGISTER(member##_ops)

#define YCSB "Cooper et al., SoCC 2010, table 2"
#define ZIPFIAN "zipfian:scrambled=true"

MEMBER(db_write, "db-write", "adds rows, each id once", "CONTRACT.md, Part 2", write_options, NULL,
       mix->percent[DB_INSERT] = 100);
MEMBER(db_read, "db-read", "reads keys that must all be there", "CONTRACT.md, Part 2", read_options,
       NULL, mix->percent[mix->width > 1 ? DB_SCAN : DB_READ] = 100);
MEMBER(db_mix, "db-mix", "reads and changes in given percentages", "CONTRACT.md, Part 2",
       mix_options, NULL, (void)mix);
MEMBER(ycsb_a, "ycsb-a", "half reads, half updates", YCSB, preset_options, ZIPFIAN,
       mix->percent[DB_READ] = 50, mix->percent[DB_UPDATE] = 50);
MEMBER(ycsb_b, "ycsb-b", "95 % reads, 5 % updates", YCSB, preset_options, ZIPFIAN,
       mix->percent[DB_READ] = 95, mix->percent[DB_UPDATE] = 5);
MEMBER(ycsb_c, "ycsb-c", "reads only", YCSB, preset_options, ZIPFIAN, mix->percent[DB_READ] = 100);
MEMBER(ycsb_d, "ycsb-d", "95 % reads of the latest keys, 5 % inserts", YCSB, preset_options,
       "zipfian", mix->percent[DB_READ] = 95, mix->percent[DB_INSERT] = 5, mix->rows = 1,
       mix->latest = true);
MEMBER(ycsb_e, "ycsb-e", "95 % scans of 1 to 100 keys, 5 % inserts", YCSB, preset_options, ZIPFIAN,
       mix->percent[DB_SCAN] = 95, mix->percent[DB_INSERT] = 5, mix->rows = 1, mix->width = 100,
       mix->any_width = true);
MEMBER(ycsb_f, "ycsb-f", "half reads, half read-modify-writes", YCSB, preset_options, ZIPFIAN,
       mix->percent[DB_READ] = 50, mix->percent[DB_RMW] = 50);
