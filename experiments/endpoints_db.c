/* CONTRACT.md, Part 2: its own examples where it has some, every refusal that it names, and after a
 * refusal the rows or servers that it was to leave alone. What a refusal says beyond <Error> is the
 * contract's where it gives the words, else ours. */
#include "experiments/endpoints_calls.h"

#define REFUSAL ENDPOINT_REFUSAL

#define SCHEMA                                                                                     \
    "{\"columns\":[\"Stud_id\",\"Stud_name\",\"Stud_marks\"],"                                     \
    "\"dtypes\":[\"Number\",\"String\",\"String\"]}"
#define SHARD(low, id) "{\"Stud_id_low\":" low ",\"Shard_id\":\"" id "\",\"Shard_size\":4096}"
#define SHARDS SHARD("0", "sh1") "," SHARD("4096", "sh2") "," SHARD("8192", "sh3")
#define HOLDS(server, shards) "\"" server "\":[" shards "]"
#define SERVERS                                                                                    \
    HOLDS("Server0", "\"sh1\",\"sh2\"")                                                            \
    "," HOLDS("Server1", "\"sh2\",\"sh3\"") "," HOLDS("Server2", "\"sh1\",\"sh3\"")
#define INIT(n, rest) "{\"N\":" n ",\"schema\":" SCHEMA ",\"shards\":[" SHARDS "]" rest "}"
#define THE_INIT INIT("3", ",\"servers\":{" SERVERS "}")
#define STATUS(n, shards, servers)                                                                 \
    "{\"N\":" n ",\"schema\":" SCHEMA ",\"shards\":[" shards "],\"servers\":{" servers "}}"
#define ROW(id, name, marks)                                                                       \
    "{\"Stud_id\":" id ",\"Stud_name\":\"" name "\",\"Stud_marks\":" marks "}"
#define DATA(rows) "{\"data\":[" rows "]}"
#define RANGE(low, high) "{\"Stud_id\":{\"low\":" low ",\"high\":" high "}}"
#define ROWS(shards, rows)                                                                         \
    "{\"shards_queried\":[" shards "],\"data\":[" rows "],\"status\":\"success\"}"
#define DONE(text) "{\"message\":\"" text "\",\"status\":\"success\"}"
#define UPDATE(id, row) "{\"Stud_id\":" id ",\"data\":" row "}"
#define ADD(n, rest) "{\"n\":" n rest "}"
#define NEW(low, id) ",\"new_shards\":[" SHARD(low, id) "]"
#define TO(servers) ",\"servers\":{" servers "}"
#define ADDED(n, text) "{\"N\":" n ",\"message\":\"" text "\",\"status\":\"successful\"}"
#define RM(n, names) "{\"n\":" n ",\"servers\":[" names "]}"

#define NOT_YET REFUSAL("there is no database yet: POST /init first")
#define ONE_ROW ROW("2255", "GHI", "27")
#define ALL_THREE "\"sh1\",\"sh2\",\"sh3\""

static const struct endpoint_call calls[] = {
    /* before /init */
    {NULL, "GET", "/status", NULL, 409, NOT_YET},
    {NULL, "POST", "/read", RANGE("1000", "8889"), 409, NOT_YET},
    {NULL, "POST", "/write", DATA(ONE_ROW), 409, NOT_YET},
    {NULL, "PUT", "/update", UPDATE("2255", ONE_ROW), 409, NOT_YET},
    {NULL, "DELETE", "/del", "{\"Stud_id\":2255}", 409, NOT_YET},
    {NULL, "POST", "/add", ADD("1", TO(HOLDS("Server4", "\"sh1\""))), 409, NOT_YET},
    {NULL, "DELETE", "/rm", RM("1", "\"Server1\""), 409, NOT_YET},

    /* /init */
    {NULL, "POST", "/init",
     "{\"N\":2,\"schema\":" SCHEMA ",\"shards\":[" SHARD("0", "sh1") "," SHARD("4095", "sh2") "]}",
     400, REFUSAL("shard 'sh2' overlaps shard 'sh1'")},
    {NULL, "POST", "/init", INIT("2", TO(HOLDS("A", ALL_THREE) "," HOLDS("B", "\"sh9\""))), 400,
     REFUSAL("server 'B' is to hold shard 'sh9', which is not defined")},
    {NULL, "POST", "/init", INIT("2", TO(SERVERS)), 400,
     REFUSAL("\\\"N\\\" is 2, but 3 servers are named")},
    {NULL, "POST", "/init", INIT("1", TO(HOLDS("A", "\"sh1\",\"sh2\""))), 400,
     REFUSAL("shard 'sh3' has no server")},
    {NULL, "POST", "/init", INIT("2", ",\"replicas\":3"), 400,
     REFUSAL("3 replicas of a shard do not fit on 2 servers")},
    {NULL, "POST", "/init",
     "{\"N\":2,\"schema\":{\"columns\":[\"Stud id\"],\"dtypes\":[\"Number\"]},\"shards\":[" SHARDS
     "]}",
     400, REFUSAL("column 1 of the schema has no valid name: 'Stud id'")},
    {NULL, "POST", "/init", THE_INIT, 200, DONE("Configured Database")},
    {NULL, "POST", "/init", THE_INIT, 409, REFUSAL("the database is configured already")},
    {NULL, "GET", "/status", NULL, 200, STATUS("3", SHARDS, SERVERS)},

    /* rows */
    {NULL, "POST", "/write",
     DATA(ONE_ROW "," ROW("8524", "JKBFSFS", "56") "," ROW("1005", "YUAAD", "100")), 200,
     DONE("3 Data entries added")},
    {NULL, "POST", "/read", RANGE("1000", "8889"), 200,
     ROWS(ALL_THREE, ROW("1005", "YUAAD", "100") "," ONE_ROW "," ROW("8524", "JKBFSFS", "56"))},
    {NULL, "GET", "/read", RANGE("2255", "2255"), 200, ROWS("\"sh1\"", ONE_ROW)},
    {NULL, "POST", "/read", RANGE("9", "1"), 400,
     REFUSAL("\\\"low\\\" is 9, above \\\"high\\\", which is 1")},
    {NULL, "POST", "/write", DATA(ROW("7", "A", "1") "," ROW("12288", "B", "2")), 400,
     REFUSAL("no shard holds Stud_id 12288")},
    {NULL, "POST", "/write", DATA(ROW("7", "A", "1") "," ONE_ROW "," ROW("5000", "B", "2")), 409,
     REFUSAL("Stud_id 2255 exists already")},
    {NULL, "POST", "/write", DATA(ROW("7", "A", "1") "," ROW("7", "B", "2")), 400,
     REFUSAL("Stud_id 7 is twice in the request")},
    {NULL, "POST", "/write", DATA(ROW("7", "A", "1") ",{\"Stud_id\":8,\"Stud_name\":\"B\"}"), 400,
     REFUSAL("row 2 of \\\"data\\\": column \\\"Stud_marks\\\" is missing")},
    {NULL, "POST", "/write",
     DATA("{\"Stud_id\":7,\"Stud_name\":\"A\",\"Stud_marks\":1,\"Stud_age\":2}"), 400,
     REFUSAL("row 1 of \\\"data\\\": column \\\"Stud_age\\\" is not in the schema")},
    {NULL, "POST", "/write", DATA(ROW("\"seven\"", "A", "1")), 400,
     REFUSAL("row 1 of \\\"data\\\": \\\"Stud_id\\\" is no whole Number")},
    {NULL, "POST", "/read", RANGE("0", "12287"), 200, /* as before: all or nothing */
     ROWS(ALL_THREE, ROW("1005", "YUAAD", "100") "," ONE_ROW "," ROW("8524", "JKBFSFS", "56"))},
    {NULL, "PUT", "/update", UPDATE("\"2255\"", ROW("2255", "GHI", "30")), 200,
     DONE("Data entry for Stud_id: 2255 updated")},
    {NULL, "PUT", "/update", UPDATE("2256", ROW("2256", "GHI", "30")), 404,
     REFUSAL("Stud_id 2256 does not exist")},
    {NULL, "PUT", "/update", UPDATE("2255", ROW("2256", "GHI", "30")), 400,
     REFUSAL("the row's Stud_id is 2256: an update does not change the key 2255")},
    {NULL, "DELETE", "/del", "{\"Stud_id\":1005}", 200,
     DONE("Data entry with Stud_id:1005 removed from all replicas")},
    {NULL, "DELETE", "/del", "{\"Stud_id\":1005}", 404, REFUSAL("Stud_id 1005 does not exist")},
    {NULL, "POST", "/read", RANGE("0", "4095"), 200, ROWS("\"sh1\"", ROW("2255", "GHI", "30"))},

    /* more servers */
    {NULL, "POST", "/add",
     ADD("2", NEW("12288", "sh5") TO(
                  HOLDS("Server4", "\"sh3\",\"sh5\"") "," HOLDS("Server[5]", "\"sh2\",\"sh5\""))),
     200, ADDED("5", "Add Server:4 and Server:#")},
    {NULL, "GET", "/status", NULL, 200,
     STATUS("5", SHARDS "," SHARD("12288", "sh5"),
            SERVERS
            "," HOLDS("Server4", "\"sh3\",\"sh5\"") "," HOLDS("Server#", "\"sh2\",\"sh5\""))},
    {"Server4", "POST", "/read", "{\"shard\":\"sh3\",\"Stud_id\":{\"low\":8192,\"high\":12287}}",
     200, "{\"data\":[" ROW("8524", "JKBFSFS", "56") "],\"status\":\"success\"}"},
    {NULL, "POST", "/add", ADD("3", TO(HOLDS("Server6", "\"sh1\""))), 400,
     REFUSAL("Number of new servers (n) is greater than newly added instances")},
    {NULL, "POST", "/add", ADD("1", TO(HOLDS("A", "\"sh1\"") "," HOLDS("B", "\"sh1\""))), 400,
     REFUSAL("\\\"n\\\" is 1, but 2 servers are named")},
    {NULL, "POST", "/add", ADD("1", TO(HOLDS("Server6", "\"sh9\""))), 400,
     REFUSAL("server 'Server6' is to hold shard 'sh9', which is not defined")},
    {NULL, "POST", "/add", ADD("1", NEW("12000", "sh6") TO(HOLDS("Server6", "\"sh6\""))), 400,
     REFUSAL("shard 'sh6' overlaps shard 'sh3'")},
    {NULL, "POST", "/add", ADD("1", TO(HOLDS("Server1", "\"sh1\""))), 400,
     REFUSAL("a server named 'Server1' is there already")},
    {NULL, "POST", "/add", ADD("1", NEW("20000", "sh6") TO(HOLDS("Server6", "\"sh6\""))), 200,
     ADDED("6", "Add Server:6")},

    /* fewer */
    {NULL, "DELETE", "/rm", RM("1", "\"Server4\",\"Server1\""), 400,
     REFUSAL("Length of server list is more than removable instances")},
    {NULL, "DELETE", "/rm", RM("1", "\"Server9\""), 400, REFUSAL("no server is named 'Server9'")},
    {NULL, "DELETE", "/rm", RM("1", "\"Server6\""), 400,
     REFUSAL("the last copy of shard 'sh6' would go with Server6")},
    {NULL, "DELETE", "/rm", RM("2", "\"Server4\""), 200,
     "{\"message\":{\"N\":4,\"servers\":[\"Server4\",\"Server#\"]},\"status\":\"successful\"}"},
    {NULL, "POST", "/read", RANGE("0", "30000"), 200, /* nothing went with them */
     ROWS(ALL_THREE ",\"sh5\",\"sh6\"", ROW("2255", "GHI", "30") "," ROW("8524", "JKBFSFS", "56"))},

    /* Part 1 and what is beyond the assignment, over the same servers */
    {NULL, "GET", "/rep", NULL, 200,
     "{\"message\":{\"N\":4,\"replicas\":[\"Server#\",\"Server#\",\"Server#\",\"Server6\"]},"
     "\"status\":\"successful\"}"},
    {NULL, "GET", "/home", NULL, 200,
     "{\"message\":\"Hello from Server: #\",\"status\":\"successful\"}"},
    {NULL, "GET", "/cluster", NULL, 200, "{…\"ShardT\":[{…}],\"MapT\":[{…}],…}"},
    {NULL, "GET", "/metrics", NULL, 200, "…\nquoit_lb_reads_total #\n…"},

    /* a server's own; Server6 holds sh6 alone */
    {"Server6", "GET", "/heartbeat", NULL, 200, ""},
    {"Server6", "POST", "/config", "{\"schema\":" SCHEMA ",\"shards\":[\"sh6\"]}", 200,
     DONE("Server6:sh6 configured")},
    {"Server6", "POST", "/write",
     "{\"shard\":\"sh6\",\"curr_idx\":0,\"data\":[" ROW("20007", "A", "7") "," ROW("20001", "B",
                                                                                   "1") "]}",
     200, "{\"message\":\"Data entries added\",\"current_idx\":2,\"status\":\"success\"}"},
    {"Server6", "POST", "/read", "{\"shard\":\"sh6\",\"Stud_id\":{\"low\":20000,\"high\":20010}}",
     200,
     "{\"data\":[" ROW("20001", "B", "1") "," ROW("20007", "A", "7") "],\"status\":\"success\"}"},
    {"Server6", "PUT", "/update",
     "{\"shard\":\"sh6\",\"Stud_id\":20007,\"data\":" ROW("20007", "A", "8") "}", 200,
     DONE("Data entry for Stud_id:20007 updated")},
    {"Server6", "DELETE", "/del", "{\"shard\":\"sh6\",\"Stud_id\":20001}", 200,
     DONE("Data entry with Stud_id:20001 removed")},
    {"Server6", "GET", "/copy", "{\"shards\":[\"sh6\"]}", 200,
     "{\"sh6\":[" ROW("20007", "A", "8") "],\"status\":\"success\"}"},
};

const struct endpoint_list endpoints_db = {calls, sizeof(calls) / sizeof(calls[0])};
