/* Jobs over a store that finishes late: what the memory store, which does all at once, never shows.
 */
#include "server/service.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/mem.h"
#include "core/net.h"

/* ---- a store that does nothing before it is told ---- */

struct late_store {
    struct store base; /* first member; the memory store's shards */
    struct store *inner;
    struct store_request *first, **last;
    size_t n_waiting;
};

static enum store_submit late_submit(struct store *store, struct store_request *request)
{
    struct late_store *late = (struct late_store *)store;
    request->next = NULL;
    *late->last = request;
    late->last = &request->next;
    late->n_waiting++;
    return STORE_PENDING;
}

static void late_close(struct store *store)
{
    store_close(((struct late_store *)store)->inner);
}

static const struct store_ops late_ops = {.submit = late_submit, .close = late_close};

static void late_finish(struct late_store *late, size_t n)
{
    for (; n > 0; n--) {
        struct store_request *request = late->first;
        assert_non_null(request);
        late->first = request->next;
        if (!late->first)
            late->last = &late->first;
        late->n_waiting--;
        assert_int_equal(store_submit(late->inner, request), STORE_DONE);
        request->on_done(request);
    }
}

/* ---- a server and a client ---- */

struct bed {
    struct ev_loop *loop;
    struct flusher flusher;
    struct httpd *httpd;
    struct late_store late;
    struct store_spec spec;
    struct service service;
    int fd;
    char got[4096];
    size_t n_got;
};

static void on_request(void *context, struct httpd_exchange *exchange)
{
    struct bed *bed = context;
    struct http_view path = exchange->request->path;
    if (http_view_equal(path, "/batch"))
        answer_batch(&bed->service, exchange);
    else if (http_view_equal(path, "/config"))
        answer_config(&bed->service, exchange);
    else if (http_view_equal(path, "/digest"))
        answer_digest(&bed->service, exchange);
    else
        answer_copy(&bed->service, exchange);
}

static void turn(struct bed *bed)
{
    for (int i = 0; i < 20; i++) {
        ev_run(bed->loop, EVRUN_NOWAIT);
        ssize_t n =
            recv(bed->fd, bed->got + bed->n_got, sizeof(bed->got) - 1 - bed->n_got, MSG_DONTWAIT);
        if (n > 0)
            bed->n_got += (size_t)n;
        bed->got[bed->n_got] = '\0';
        usleep(200);
    }
}

static void say(struct bed *bed, const char *path, const char *body)
{
    char *text = mem_printf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s", path,
                            strlen(body), body);
    assert_int_equal(send(bed->fd, text, strlen(text), 0), (ssize_t)strlen(text));
    free(text);
    turn(bed);
}

static void forget(struct bed *bed)
{
    bed->n_got = 0;
    bed->got[0] = '\0';
}

#define CONFIG(shards)                                                                             \
    "{\"schema\":{\"columns\":[\"k\"],\"dtypes\":[\"Number\"]},\"shards\":[" shards "]}"

static int set_up(void **state)
{
    struct bed *bed = mem_zalloc(1, sizeof(*bed));
    struct addr addr;
    struct err err = {0};
    bed->loop = ev_loop_new(EVFLAG_AUTO);
    flusher_init(&bed->flusher, bed->loop);
    struct store_config config = {.loop = bed->loop, .flusher = &bed->flusher, .server = "S0"};
    assert_int_equal(store_spec_parse("memory", &bed->spec, &err), 0);
    assert_int_equal(store_open(&bed->spec, &config, &bed->late.inner, &err), 0);
    bed->late.base.ops = &late_ops;
    bed->late.last = &bed->late.first;
    assert_int_equal(service_init(&bed->service, &bed->late.base, "S0", "late", &err), 0);
    bed->httpd = httpd_new(&(struct httpd_config){
        .loop = bed->loop, .flusher = &bed->flusher, .on_request = on_request, .context = bed});
    assert_int_equal(addr_parse("127.0.0.1:0", &addr, NULL), 0);
    httpd_listen(bed->httpd, net_listen(&addr, false, &addr, &err));
    bed->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* or a second request waits for the first one's answer to be acknowledged */
    assert_int_equal(setsockopt(bed->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)), 0);
    assert_int_equal(connect(bed->fd, (struct sockaddr *)&addr.storage, addr.len), 0);
    say(bed, "/config", CONFIG("\"a\",\"b\""));
    assert_int_equal(bed->late.n_waiting, 2);
    late_finish(&bed->late, 2);
    turn(bed);
    assert_non_null(strstr(bed->got, "S0:a, S0:b configured"));
    forget(bed);
    *state = bed;
    return 0;
}

static int tear_down(void **state)
{
    struct bed *bed = *state;
    if (bed->service.store)
        service_done(&bed->service);
    turn(bed);
    close(bed->fd);
    httpd_free(bed->httpd);
    flusher_done(&bed->flusher);
    ev_loop_destroy(bed->loop);
    store_spec_done(&bed->spec);
    free(bed);
    return 0;
}

static void batch_is_submitted_in_one_turn_and_answered_when_the_last_is_done(void **state)
{
    struct bed *bed = *state;
    say(bed, "/batch", "insert a 1\n1 7\n{\"k\":1}\ninsert b 1\n2 7\n{\"k\":2}\ndelete a 9\n");
    assert_int_equal(bed->late.n_waiting, 3);
    /* another request takes the place of the first one's bytes */
    say(bed, "/batch", "insert a 1\n5 7\n{\"k\":5}\nXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX\n");
    late_finish(&bed->late, 2);
    turn(bed);
    assert_string_equal(bed->got, "");
    late_finish(&bed->late, 1);
    turn(bed);
    assert_non_null(strstr(bed->got, "\r\n\r\nok 1\nok 1\nmissing 9\n"));
    assert_non_null(strstr(bed->got, "HTTP/1.1 400 "));
    assert_true(service_is_idle(&bed->service));
    forget(bed);
    say(bed, "/copy", "{\"shards\":[\"a\",\"b\"]}");
    late_finish(&bed->late, 1);
    late_finish(&bed->late, 1);
    turn(bed);
    assert_non_null(
        strstr(bed->got, "{\"a\":[{\"k\":1}],\"b\":[{\"k\":2}],\"status\":\"success\"}"));
}

static void drop_waits_for_those_who_use_the_shard(void **state)
{
    struct bed *bed = *state;
    say(bed, "/batch", "insert a 1\n1 7\n{\"k\":1}\ndrop a\ndelete a 1\n");
    assert_int_equal(bed->late.n_waiting, 1); /* the insert alone */
    say(bed, "/config", CONFIG("\"a\""));     /* while it is being dropped */
    late_finish(&bed->late, 1);
    assert_int_equal(bed->late.n_waiting, 1);
    late_finish(&bed->late, 1);
    turn(bed);
    assert_non_null(strstr(bed->got, "ok 1\nok 0\nrefused shard 'a' is not on this server\n"));
    assert_non_null(strstr(bed->got, "503 "));
    assert_non_null(strstr(bed->got, "being dropped"));
    assert_null(replica_find_any(&bed->service, "a", 1));
    assert_non_null(replica_find(&bed->service, "b", 1));
}

static void what_the_store_left_unfinished_at_the_end_is_refused(void **state)
{
    struct bed *bed = *state;
    say(bed, "/batch", "insert a 1\n1 7\n{\"k\":1}\ndrop a\n");
    service_done(&bed->service);
    turn(bed);
    assert_non_null(strstr(bed->got, "503 "));
    assert_non_null(strstr(bed->got, "the server ended"));
    assert_true(service_is_idle(&bed->service));
}

static void a_client_that_left_is_answered_all_the_same(void **state)
{
    struct bed *bed = *state;
    say(bed, "/batch", "insert a 1\n1 7\n{\"k\":1}\n");
    shutdown(bed->fd, SHUT_RDWR);
    turn(bed);
    late_finish(&bed->late, 1);
    assert_true(service_is_idle(&bed->service));
    assert_int_equal(bed->service.counters.rows_written, 1);
}

/* ---- what is late ---- */

#define PAGE(shard, key) "replace " shard " 0 9 1\n" key " 7\n{\"k\":" key "}\n"

/* What the server says to a request; the store has done it all. */
static const char *hear(struct bed *bed, const char *path, const char *body)
{
    forget(bed);
    say(bed, path, body);
    late_finish(&bed->late, bed->late.n_waiting);
    turn(bed);
    return bed->got;
}

static void assert_heard(struct bed *bed, const char *path, const char *body, const char *words)
{
    if (!strstr(hear(bed, path, body), words))
        fail_msg("%s: no '%s' in '%s'", path, words, bed->got);
}

#define LATE "\r\n\r\nrefused a later copy of the shard was begun\n"

static void a_page_of_an_earlier_copy_is_refused_once_a_later_one_has_asked(void **state)
{
    struct bed *bed = *state;
    assert_heard(bed, "/batch?copy=20", PAGE("a", "1"), "\r\n\r\nok 1\n");
    assert_heard(bed, "/batch?copy=20", PAGE("a", "2"), "\r\n\r\nok 1\n");
    assert_heard(bed, "/digest?shard=a&copy=21", "", "\"rows\":1");
    assert_heard(bed, "/batch?copy=20", PAGE("a", "3"), LATE);
    assert_heard(bed, "/digest?shard=a&copy=20", "", "HTTP/1.1 409 ");
    assert_heard(bed, "/digest?shard=a&epoch=1", "", "\"rows\":1");     /* of a source: no change */
    assert_heard(bed, "/batch?copy=22", "delete a 8\n", "missing 8\n"); /* by a batch as well */
    assert_heard(bed, "/batch?copy=21", "replace a 0 9 0\n", LATE);
    assert_heard(bed, "/batch?copy=21", "drop a\n", LATE);
    assert_heard(bed, "/copy", "{\"shards\":[\"a\"]}", "{\"a\":[{\"k\":2}],");
    /* Copies of other shards have nothing to do with it. */
    assert_heard(bed, "/batch?copy=1", PAGE("b", "1") PAGE("a", "1"),
                 "\r\n\r\nok 1\nrefused a later copy");
}

static void a_page_that_is_with_the_store_is_done_before_a_later_copy_is_told_the_rows(void **state)
{
    struct bed *bed = *state;
    say(bed, "/batch?copy=20", PAGE("a", "1"));
    say(bed, "/digest?shard=a&copy=21", "");
    assert_int_equal(bed->late.n_waiting, 2);
    late_finish(&bed->late, 1);
    late_finish(&bed->late, 1);
    turn(bed);
    assert_non_null(strstr(bed->got, "\r\n\r\nok 1\n"));
    assert_non_null(strstr(bed->got, "\"rows\":1"));
}

static void a_change_that_was_sent_before_a_copy_is_refused_behind_it(void **state)
{
    struct bed *bed = *state;
    assert_heard(bed, "/batch?epoch=20", PAGE("a", "1"), "ok 1\n");
    assert_heard(bed, "/digest?shard=a&copy=30", "", "\"rows\":1");
    /* Of this shard alone, and the server's own order of batches goes on as it was. */
    assert_heard(bed, "/batch?epoch=29", "delete a 1\n" PAGE("b", "1"),
                 "\r\n\r\nrefused a later copy of the shard was begun\nok 1\n");
    assert_heard(bed, "/batch?epoch=28", "delete a 1\n", "HTTP/1.1 409 ");
    assert_heard(bed, "/batch?epoch=31", "delete a 1\n", "\r\n\r\nok 0\n");
    assert_heard(bed, "/batch?copy=30", PAGE("a", "4"), "ok 1\n");
}

static void what_says_nothing_of_its_age_is_done_and_what_says_nonsense_is_refused(void **state)
{
    static const char *const nonsense[] = {"x", "", "1.5", "9223372036854775808"};
    struct bed *bed = *state;
    assert_heard(bed, "/digest?shard=a&copy=9223372036854775807", "", "\"rows\":0");
    assert_heard(bed, "/batch", PAGE("a", "1"), "ok 1\n");
    assert_heard(bed, "/batch?copy=0", PAGE("a", "1"), "ok 1\n");
    for (size_t i = 0; i < sizeof(nonsense) / sizeof(*nonsense); i++) {
        char path[64];
        snprintf(path, sizeof(path), "/batch?copy=%s", nonsense[i]);
        assert_heard(bed, path, "delete a 1\n", "HTTP/1.1 400 ");
        snprintf(path, sizeof(path), "/digest?shard=a&copy=%s", nonsense[i]);
        assert_heard(bed, path, "", "HTTP/1.1 400 ");
    }
    assert_heard(bed, "/copy", "{\"shards\":[\"a\"]}", "{\"a\":[{\"k\":1}],");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            batch_is_submitted_in_one_turn_and_answered_when_the_last_is_done, set_up, tear_down),
        cmocka_unit_test_setup_teardown(drop_waits_for_those_who_use_the_shard, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_the_store_left_unfinished_at_the_end_is_refused,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_client_that_left_is_answered_all_the_same, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            a_page_of_an_earlier_copy_is_refused_once_a_later_one_has_asked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_page_that_is_with_the_store_is_done_before_a_later_copy_is_told_the_rows, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(a_change_that_was_sent_before_a_copy_is_refused_behind_it,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            what_says_nothing_of_its_age_is_done_and_what_says_nonsense_is_refused, set_up,
            tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
