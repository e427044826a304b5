/* Reads and changes of rows through whole workers, each a thread, over HTTP: the test plays the
 * control loop, the servers and the clients. */
#include "lb/query.h"

#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/httpc.h"
#include "core/net.h"
#include "lb/worker.h"
#include "tests/support/rows_farm.h"

#define N_WORKERS 2
#define MAX_ASKED 256

static struct rows_farm *farm;
static struct worker *workers[N_WORKERS];
static struct addr bounds[N_WORKERS];
static struct httpc *clients[N_WORKERS];

static struct asked {
    struct httpc_request call;
    bool done;
    unsigned status;
    char body[2048];
    char server[32];
} asked[MAX_ASKED];
static size_t n_asked;

static const char *const shards[] = {"12", "23"};

static void on_answer(struct httpc_request *call, const struct http_message *answer)
{
    struct asked *it = (struct asked *)call;
    struct http_view server = http_find_header(answer, "X-Quoit-Server");
    it->done = true;
    it->status = answer->status;
    snprintf(it->body, sizeof(it->body), "%.*s", (int)answer->body.len, answer->body.at);
    snprintf(it->server, sizeof(it->server), "%.*s", (int)server.len, server.at ? server.at : "");
}

static void on_failure(struct httpc_request *call, int code, bool sent)
{
    struct asked *it = (struct asked *)call;
    (void)sent;
    it->done = true;
    it->status = 0;
    snprintf(it->body, sizeof(it->body), "%s", err_errno_text(code));
}

static struct asked *begin(size_t worker, const char *method, const char *path, const char *body)
{
    char text[1024];
    assert(n_asked < MAX_ASKED);
    struct asked *it = &asked[n_asked++];
    *it = (struct asked){.call = {.on_answer = on_answer, .on_failure = on_failure}};
    int n =
        snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s",
                 method, path, strlen(body), body);
    assert_int_equal(httpc_send(clients[worker], &it->call, text, (size_t)n), 0);
    return it;
}

static const struct asked *call(size_t worker, const char *method, const char *path,
                                const char *body)
{
    struct asked *it = begin(worker, method, path, body);
    farm_wait(farm, it->done);
    return it;
}

static void publish(const char *const *where, size_t n_shards, const char *left)
{
    farm_publish(farm, where, n_shards, left);
    size_t n_before = farm_count_letters(farm, LETTER_TOOK, 0);
    for (size_t i = 0; i < N_WORKERS; i++)
        mailbox_post(worker_mailbox(workers[i]), &letter_new(LETTER_TAKE, 0)->letter);
    farm_wait(farm, farm_count_letters(farm, LETTER_TOOK, 0) == n_before + N_WORKERS);
}

static int set_up(void **state)
{
    struct addr loopback;
    struct err err = {0};
    (void)state;
    farm = farm_new(3, N_WORKERS);
    farm_publish(farm, shards, 2, "");
    n_asked = 0;
    for (size_t i = 0; i < N_WORKERS; i++) {
        assert_int_equal(addr_parse("127.0.0.1:0", &loopback, &err), 0);
        int fd = net_listen(&loopback, false, &bounds[i], &err);
        struct worker_config config = {.index = i,
                                       .listen_fd = fd,
                                       .publisher = farm->publisher,
                                       .control = &farm->control,
                                       .writer = i > 0 ? worker_mailbox(workers[0]) : NULL,
                                       .seed = i + 1};
        assert_int_equal(worker_start(&config, &workers[i], &err), 0);
        clients[i] = httpc_new(&(struct httpc_config){
            .loop = farm->loop, .flusher = &farm->flusher, .addr = bounds[i]});
    }
    farm_wait(farm, farm_count_letters(farm, LETTER_TOOK, 0) == N_WORKERS);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_WORKERS; i++)
        httpc_free(clients[i]);
    for (size_t i = 0; i < N_WORKERS; i++)
        mailbox_post(worker_mailbox(workers[i]), &letter_new(LETTER_STOP, 0)->letter);
    farm_wait(farm, farm_count_letters(farm, LETTER_STOPPED, 0) == N_WORKERS);
    for (size_t i = 0; i < N_WORKERS; i++)
        worker_join(workers[i]);
    farm_free(farm);
    return 0;
}

static void plant(const char *servers, const char *shard, int64_t key)
{
    char text[64];
    snprintf(text, sizeof(text), "{\"id\":%lld,\"name\":\"n\"}", (long long)key);
    for (; *servers; servers++)
        farm_plant(farm->servers[*servers - '1'], shard, key, text);
}

static void assert_answer(const struct asked *it, unsigned status, const char *body)
{
    assert_string_equal(it->body, body);
    assert_int_equal(it->status, status);
}

/* ---- reads ------------------------------------------------------------------------------------
 */

static void a_read_joins_its_shards_in_the_order_of_keys(void **state)
{
    (void)state;
    plant("12", "sh1", 98);
    plant("12", "sh1", 99);
    plant("23", "sh2", 100);
    assert_answer(call(1, "POST", "/read", "{\"id\":{\"low\":99,\"high\":100}}"), 200,
                  "{\"shards_queried\":[\"sh1\",\"sh2\"],\"data\":[{\"id\":99,\"name\":\"n\"},"
                  "{\"id\":100,\"name\":\"n\"}],\"status\":\"success\"}");
    assert_answer(call(0, "GET", "/read", "{\"id\":{\"low\":\"98\",\"high\":98}}"), 200,
                  "{\"shards_queried\":[\"sh1\"],\"data\":[{\"id\":98,\"name\":\"n\"}],"
                  "\"status\":\"success\"}");
    assert_answer(call(0, "POST", "/read", "{\"id\":{\"low\":101,\"high\":250}}"), 200,
                  "{\"shards_queried\":[\"sh2\"],\"data\":[],\"status\":\"success\"}");
    assert_answer(call(0, "POST", "/read", "{\"id\":{\"low\":200,\"high\":900}}"), 200,
                  "{\"shards_queried\":[],\"data\":[],\"status\":\"success\"}");
}

static void a_read_of_one_shard_says_who_answered(void **state)
{
    bool seen[2] = {false};
    (void)state;
    for (int i = 0; i < 60; i++) {
        const struct asked *it = call(0, "POST", "/read", "{\"id\":{\"low\":1,\"high\":1}}");
        assert_int_equal(it->status, 200);
        assert_true(strcmp(it->server, "S1") == 0 || strcmp(it->server, "S2") == 0);
        seen[it->server[1] - '1'] = true;
    }
    assert_true(seen[0] && seen[1]); /* the placement's, by random keys */
    assert_string_equal(call(0, "POST", "/read", "{\"id\":{\"low\":1,\"high\":101}}")->server, "");
}

static void reads_that_cannot_be_meant_are_refused(void **state)
{
    (void)state;
    assert_answer(call(0, "POST", "/read", "{\"id\":{\"low\":2,\"high\":1}}"), 400,
                  "{\"message\":\"<Error> \\\"low\\\" is 2, above \\\"high\\\", which is 1\","
                  "\"status\":\"failure\"}");
    static const char *const bodies[] = {
        "",
        "[]",
        "{}",
        "{\"id\":5}",
        "{\"id\":{\"low\":1}}",
        "{\"id\":{\"low\":1,\"high\":\"x\"}}",
        "{\"id\":{\"low\":1,\"high\":2},\"x\":1}",
        "{\"id\":{\"low\":1,\"high\":2,\"middle\":1}}",
    };
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
        assert_int_equal(call(0, "POST", "/read", bodies[i])->status, 400);
    assert_int_equal(call(0, "PUT", "/read", "")->status, 405);
}

static void a_replica_that_fails_is_replaced_within_the_request(void **state)
{
    (void)state;
    plant("12", "sh1", 5);
    farm->servers[0]->status = 500;
    for (int i = 0; i < 20; i++)
        assert_string_equal(call(0, "POST", "/read", "{\"id\":{\"low\":5,\"high\":5}}")->server,
                            "S2");
    assert_true(worker_query_metrics(workers[0])->retries > 0);
    farm->servers[0]->status = 0;
    farm_kill(farm->servers[0]);
    for (int i = 0; i < 20; i++)
        assert_string_equal(call(0, "POST", "/read", "{\"id\":{\"low\":5,\"high\":5}}")->server,
                            "S2");
    farm_kill(farm->servers[1]);
    assert_answer(
        call(0, "POST", "/read", "{\"id\":{\"low\":5,\"high\":5}}"), 503,
        "{\"message\":\"<Error> no replica of shard sh1 answers\",\"status\":\"failure\"}");
}

static void a_replica_that_hangs_is_replaced_within_the_request(void **state)
{
    (void)state;
    plant("12", "sh1", 5);
    farm->servers[0]->held = true;
    struct asked *reads[16];
    for (int i = 0; i < 16; i++)
        reads[i] = begin(0, "POST", "/read", "{\"id\":{\"low\":5,\"high\":5}}");
    for (int i = 0; i < 16; i++) {
        farm_wait(farm, reads[i]->done);
        assert_string_equal(reads[i]->server, "S2");
    }
    assert_true(farm_count_letters(farm, LETTER_SUSPECT, 1) > 0);
}

static void a_read_under_way_outlives_its_snapshot_and_its_server(void **state)
{
    static const char *const without_s1[] = {"2", "23"};
    (void)state;
    plant("12", "sh1", 5);
    farm->servers[0]->held = farm->servers[1]->held = true;
    struct asked *reads[16];
    for (int i = 0; i < 16; i++)
        reads[i] = begin(1, "POST", "/read", "{\"id\":{\"low\":5,\"high\":105}}");
    farm_wait(farm, farm->servers[0]->n_kept > 0 && farm->servers[1]->n_kept > 0);
    publish(without_s1, 2, "1");
    farm_release(farm->servers[1]);
    for (int i = 0; i < 16; i++) {
        farm_wait(farm, reads[i]->done);
        assert_int_equal(reads[i]->status, 200);
        assert_non_null(strstr(reads[i]->body, "\"data\":[{\"id\":5,\"name\":\"n\"}]"));
    }
}

static void wide_reads_hold_up_no_short_one(void **state)
{
    static const char *const one_shard[] = {"1"};
    (void)state;
    farm->n_shard_keys = 1000;
    publish(one_shard, 1, "");
    plant("1", "sh1", 5);
    farm->servers[0]->hold_wider = QUERY_SHORT_KEYS;
    struct asked *wide = begin(0, "POST", "/read", "{\"id\":{\"low\":0,\"high\":256}}");
    farm_wait(farm, farm->servers[0]->n_kept == 1);
    /* From another client: answers to one leave in the order of its requests. */
    httpc_free(clients[1]);
    clients[1] = httpc_new(
        &(struct httpc_config){.loop = farm->loop, .flusher = &farm->flusher, .addr = bounds[0]});
    for (int i = 0; i < 10; i++)
        assert_int_equal(call(1, "POST", "/read", "{\"id\":{\"low\":0,\"high\":255}}")->status,
                         200);
    assert_false(wide->done);
    farm_release(farm->servers[0]);
    farm_wait(farm, wide->done);
    assert_int_equal(wide->status, 200);
    assert_int_equal(worker_query_metrics(workers[0])->bulk_parts, 1);
    assert_int_equal(worker_query_metrics(workers[0])->parts, 11);
}

/* ---- changes ----------------------------------------------------------------------------------
 */

static void before_init_there_is_no_database(void **state)
{
    static const char refusal[] = "{\"message\":\"<Error> there is no database yet: POST /init "
                                  "first\",\"status\":\"failure\"}";
    (void)state;
    publish(NULL, 0, "");
    assert_answer(call(0, "POST", "/read", "{\"id\":{\"low\":1,\"high\":2}}"), 409, refusal);
    assert_answer(call(1, "POST", "/write", "{\"data\":[{\"id\":1,\"name\":\"a\"}]}"), 409,
                  refusal);
    assert_answer(call(0, "PUT", "/update", ""), 409, refusal);
    assert_answer(call(1, "DELETE", "/del", "{\"id\":1}"), 409, refusal);
}

static void changes_come_from_every_worker(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_WORKERS; i++) {
        char body[256];
        snprintf(body, sizeof(body),
                 "{\"data\":[{\"id\":%zu,\"name\":\"a\"},{\"name\":4,\"id\":\"%zu\"}]}", 150 + i,
                 50 + i);
        assert_answer(call(i, "POST", "/write", body), 200,
                      "{\"message\":\"2 Data entries added\",\"status\":\"success\"}");
        assert_int_equal(call(i, "POST", "/write", body)->status, 409);
    }
    assert_string_equal(farm_keys(farm->servers[1]), "50 51 150 151");
    assert_string_equal(farm_text(farm->servers[0], 51), "{\"id\":51,\"name\":4}");
    assert_answer(call(1, "PUT", "/update", "{\"id\":\"50\",\"data\":{\"id\":50,\"name\":\"b\"}}"),
                  200, "{\"message\":\"Data entry for id: 50 updated\",\"status\":\"success\"}");
    assert_answer(call(1, "DELETE", "/del", "{\"id\":150}"), 200,
                  "{\"message\":\"Data entry with id:150 removed from all "
                  "replicas\",\"status\":\"success\"}");
    assert_int_equal(call(0, "DELETE", "/del", "{\"id\":150}")->status, 404);
    assert_int_equal(call(0, "POST", "/del", "{\"id\":150}")->status, 405);
}

static void what_cannot_be_meant_changes_nothing(void **state)
{
    static const struct {
        const char *method, *path, *body, *reason;
    } cases[] = {
        {"POST", "/write", "{\"data\":[{\"id\":1,\"name\":\"a\"},{\"id\":200,\"name\":\"a\"}]}",
         "no shard holds id 200"},
        {"POST", "/write", "{\"data\":[{\"id\":1,\"name\":\"a\"},{\"id\":\"1\",\"name\":\"b\"}]}",
         "id 1 is twice in the request"},
        {"POST", "/write", "{\"data\":[{\"id\":1}]}",
         "row 1 of \\\"data\\\": column \\\"name\\\" is missing"},
        {"POST", "/write", "{\"data\":[{\"id\":1,\"name\":\"a\",\"x\":1}]}",
         "row 1 of \\\"data\\\": column \\\"x\\\" is not in the schema"},
        {"POST", "/write", "{\"data\":[{\"id\":\"x\",\"name\":\"a\"}]}",
         "row 1 of \\\"data\\\": \\\"id\\\" is no whole Number"},
        {"POST", "/write", "{\"data\":[]}", "\\\"data\\\" is missing, empty or no array of rows"},
        {"POST", "/write", "{\"rows\":[]}", "\\\"rows\\\" is not known here"},
        {"POST", "/write", "", "the body is empty: it must be a JSON object"},
        {"PUT", "/update", "{\"id\":1,\"data\":{\"id\":2,\"name\":\"a\"}}",
         "the row's id is 2: an update does not change the key 1"},
        {"PUT", "/update", "{\"id\":1}", "\\\"data\\\" is missing"},
        {"PUT", "/update", "{\"data\":{\"id\":2,\"name\":\"a\"}}", "\\\"id\\\" is missing"},
        {"DELETE", "/del", "{\"id\":-1}", "no shard holds id -1"},
        {"DELETE", "/del", "{\"id\":1,\"data\":1}", "\\\"data\\\" is not known here"},
    };
    (void)state;
    plant("12", "sh1", 2);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char refusal[256];
        snprintf(refusal, sizeof(refusal), "{\"message\":\"<Error> %s\",\"status\":\"failure\"}",
                 cases[i].reason);
        assert_answer(call(i % N_WORKERS, cases[i].method, cases[i].path, cases[i].body), 400,
                      refusal);
    }
    assert_string_equal(farm_keys(farm->servers[0]), "2");
    assert_string_equal(farm_keys(farm->servers[1]), "2");
}

static void an_acknowledged_change_is_read_from_every_replica_by_every_worker(void **state)
{
    (void)state;
    for (int i = 0; i < 40; i++) {
        char body[128], found[64];
        snprintf(body, sizeof(body), "{\"data\":[{\"id\":%d,\"name\":\"%d\"}]}", i, i);
        assert_int_equal(call((size_t)i % N_WORKERS, "POST", "/write", body)->status, 200);
        snprintf(body, sizeof(body), "{\"id\":{\"low\":%d,\"high\":%d}}", i, i);
        snprintf(found, sizeof(found), "\"data\":[{\"id\":%d,\"name\":\"%d\"}]", i, i);
        struct asked *reads[4];
        for (size_t k = 0; k < 4; k++)
            reads[k] = begin(k % N_WORKERS, "POST", "/read", body);
        for (size_t k = 0; k < 4; k++) {
            farm_wait(farm, reads[k]->done);
            assert_non_null(strstr(reads[k]->body, found));
        }
    }
}

static void a_forced_end_refuses_changes_under_way(void **state)
{
    (void)state;
    farm->servers[0]->held = true;
    struct asked *changes[N_WORKERS];
    for (size_t i = 0; i < N_WORKERS; i++) {
        char body[64];
        snprintf(body, sizeof(body), "{\"data\":[{\"id\":%zu,\"name\":\"a\"}]}", i);
        changes[i] = begin(i, "POST", "/write", body);
        farm_wait(farm, farm->servers[0]->n_kept == i + 1);
    }
    for (size_t i = 0; i < N_WORKERS; i++)
        for (int k = 0; k < 2; k++) /* the second: at once */
            mailbox_post(worker_mailbox(workers[i]), &letter_new(LETTER_STOP, 0)->letter);
    for (size_t i = 0; i < N_WORKERS; i++) {
        farm_wait(farm, changes[i]->done);
        assert_int_equal(changes[i]->status, 503);
        assert_non_null(strstr(changes[i]->body, "<Error>"));
    }
    farm_wait(farm, farm_count_letters(farm, LETTER_STOPPED, 0) == N_WORKERS);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_read_joins_its_shards_in_the_order_of_keys),
        TEST(a_read_of_one_shard_says_who_answered),
        TEST(reads_that_cannot_be_meant_are_refused),
        TEST(a_replica_that_fails_is_replaced_within_the_request),
        TEST(a_replica_that_hangs_is_replaced_within_the_request),
        TEST(a_read_under_way_outlives_its_snapshot_and_its_server),
        TEST(wide_reads_hold_up_no_short_one),
        TEST(before_init_there_is_no_database),
        TEST(changes_come_from_every_worker),
        TEST(what_cannot_be_meant_changes_nothing),
        TEST(an_acknowledged_change_is_read_from_every_replica_by_every_worker),
        TEST(a_forced_end_refuses_changes_under_way),
    };
    return cmocka_run_group_tests_name("lb query", tests, NULL, NULL);
}
