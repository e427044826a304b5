/* The state file: what was saved is found again; what cannot be understood is refused and left as
 * it is; what cannot be written is told. */
#include "lb/state.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/file.h"
#include "lb/letters.h"

#define PATIENCE_S 30.

static char dir[64];
static struct ev_loop *loop;
static struct mailbox mailbox;
static struct arena arena;
static uint64_t saved_version; /* of the last letter */
static int saved_code;
static unsigned n_letters;

static void on_letter(void *context, struct letter *raw)
{
    struct lb_letter *letter = (struct lb_letter *)raw;

    (void)context;
    assert_int_equal(letter->type, LETTER_SAVED);
    assert_true(letter->version > saved_version);
    saved_version = letter->version;
    saved_code = letter->code;
    n_letters++;
    free(letter);
}

static int set_up(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/quoit-state-XXXXXX");
    assert_non_null(mkdtemp(dir));
    loop = ev_loop_new(EVFLAG_AUTO);
    mailbox_open(&mailbox, loop, on_letter, NULL);
    arena_init(&arena);
    saved_version = 0;
    saved_code = 0;
    n_letters = 0;
    return 0;
}

static int tear_down(void **state)
{
    char command[128];

    (void)state;
    mailbox_close(&mailbox);
    ev_loop_destroy(loop);
    arena_done(&arena);
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command);
}

static const char *file_of(const char *name)
{
    static char path[128];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static struct state_store *open_store(struct state *ret_state, int expect_found)
{
    struct state_store *store = NULL;
    struct err err = {0};
    int found = -1;

    if (state_open(dir, &mailbox, &arena, ret_state, &found, &store, &err) != 0)
        fail_msg("%s", err.message);
    assert_int_equal(found, expect_found);
    return store;
}

static void expect_refused(const char *word)
{
    struct state_store *store = NULL;
    struct state state;
    struct err err = {0};
    int found = -1;

    int rc = state_open(dir, &mailbox, &arena, &state, &found, &store, &err);
    assert_int_not_equal(rc, 0);
    assert_int_equal(err.code, rc);
    assert_null(store);
    if (!strstr(err.message, word))
        fail_msg("'%s' is not in '%s'", word, err.message);
}

static void wait_for(uint64_t version)
{
    double until = ev_time() + PATIENCE_S;

    while (saved_version < version && ev_time() < until) {
        ev_run(loop, EVRUN_NOWAIT);
        usleep(200);
    }
    assert_int_equal(saved_version, version);
}

static void write_file(const char *text, size_t n)
{
    FILE *file = fopen(file_of("cluster.json"), "w"); /* without an fsync */

    assert_int_equal(fwrite(text, 1, n, file), n);
    fclose(file);
}

static void read_file(struct buf *text)
{
    struct err err = {0};

    buf_init(text, 0);
    if (file_read(file_of("cluster.json"), text, &err) != 0)
        fail_msg("%s", err.message);
}

static struct state example(void)
{
    static struct state_server servers[3];

    for (size_t i = 0; i < 3; i++) {
        static const char *const addrs[] = {"127.0.0.1:40001", "[::1]:40002", "127.0.0.1:1"};
        static const char *const names[] = {"Server1", "s.2-x_y", "Z9"};
        static const char *const references[] = {"1234/567", "", "a \"b\" \\ \xc3\xa9\n"};
        servers[i] = (struct state_server){.uid = 10 + i,
                                           .id = i == 2 ? INT64_MAX : i,
                                           .name = names[i],
                                           .pid = (long)i * 1000,
                                           .reference = references[i]};
        assert_int_equal(addr_parse(addrs[i], &servers[i].addr, NULL), 0);
    }
    return (struct state){.next_uid = 20, .n_target = 5, .n_servers = 3, .servers = servers};
}

static void save_example(void)
{
    struct state state, saved = example();
    struct state_store *store = open_store(&state, 0);

    state_save(store, &saved, 1);
    state_close(store, 0);
    mailbox_close(&mailbox); /* delivers the letter */
    mailbox_open(&mailbox, loop, on_letter, NULL);
    assert_int_equal(saved_version, 1);
    assert_int_equal(saved_code, 0);
    saved_version = 0;
}

static void state_of_a_new_directory_is_empty(void **state)
{
    struct state loaded;

    (void)state;
    strcat(dir, "/a/b"); /* made on the way */
    struct state_store *store = open_store(&loaded, 0);
    assert_int_equal(loaded.next_uid, 1);
    assert_int_equal(loaded.n_servers, 0);
    state_close(store, 0);
    assert_int_equal(access(file_of("cluster.json"), F_OK), -1);
    dir[strlen(dir) - 4] = '\0';
}

static void state_comes_back_as_it_was_saved(void **state)
{
    struct state saved = example(), loaded;

    (void)state;
    save_example();
    struct state_store *store = open_store(&loaded, 1);
    assert_int_equal(loaded.next_uid, saved.next_uid);
    assert_int_equal(loaded.n_target, saved.n_target);
    assert_int_equal(loaded.n_servers, saved.n_servers);
    for (size_t i = 0; i < 3; i++) {
        const struct state_server *a = &saved.servers[i], *b = &loaded.servers[i];
        assert_int_equal(a->uid, b->uid);
        assert_int_equal(a->id, b->id);
        assert_int_equal(a->pid, b->pid);
        assert_string_equal(a->name, b->name);
        assert_string_equal(a->reference, b->reference);
        assert_true(addr_equal(&a->addr, &b->addr));
    }
    state_close(store, 0);
}

static void state_keeps_places_without_a_database(void **state)
{
    struct state_vacancy places[2] = {{.name = "Server1", .id = 1, .data_id = 0},
                                      {.name = "x", .id = 123456, .data_id = 7}};
    struct state loaded,
        saved = {.next_uid = 9, .n_target = 3, .n_vacancies = 2, .vacancies = places};
    struct state_store *store = open_store(&loaded, 0);

    (void)state;
    state_save(store, &saved, 1);
    wait_for(1);
    state_close(store, 0);
    store = open_store(&loaded, 1);
    assert_null(loaded.schema);
    assert_int_equal(loaded.n_target, 3);
    assert_int_equal(loaded.n_servers, 0);
    assert_int_equal(loaded.n_vacancies, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(loaded.vacancies[i].name, places[i].name);
        assert_int_equal(loaded.vacancies[i].id, places[i].id);
        assert_int_equal(loaded.vacancies[i].data_id, places[i].data_id);
        assert_int_equal(loaded.vacancies[i].n_replicas, 0);
    }
    state_close(store, 0);
}

static void state_tells_what_was_written(void **state)
{
    struct state loaded, saved = example();
    struct state_store *store = open_store(&loaded, 0);

    (void)state;
    for (uint64_t version = 1; version <= 3; version++) {
        saved.n_target = version;
        state_save(store, &saved, version);
        wait_for(version);
        assert_int_equal(saved_code, 0);
        struct buf text;
        char target[32];
        read_file(&text);
        snprintf(target, sizeof(target), "\"target\": %d", (int)version);
        assert_non_null(strstr(buf_str(&text), target));
        buf_done(&text);
    }
    state_close(store, 0);
    state_save(NULL, &saved, 9);
    state_close(NULL, 1);
}

static void state_writes_the_last_of_many(void **state)
{
    struct state loaded, saved = example();
    struct state_store *store = open_store(&loaded, 0);

    (void)state;
    for (uint64_t version = 1; version <= 2000; version++) {
        saved.n_target = version;
        state_save(store, &saved, version);
    }
    wait_for(2000);
    assert_true(n_letters < 2000); /* those in between were passed over */
    state_close(store, 0);
    store = open_store(&loaded, 1);
    assert_int_equal(loaded.n_target, 2000);
    state_close(store, 0);
}

static void state_is_forgotten_when_nothing_is_left_to_adopt(void **state)
{
    struct state loaded;

    (void)state;
    save_example();
    state_close(open_store(&loaded, 1), 1);
    state_close(open_store(&loaded, 0), 0);
}

static void state_is_one_load_balancers_alone(void **state)
{
    struct state loaded;
    struct state_store *store = open_store(&loaded, 0);

    (void)state;
    expect_refused("another load balancer uses");
    expect_refused(dir);
    state_close(store, 0);
    state_close(open_store(&loaded, 0), 0);
}

static void state_refuses_a_file_cut_at_any_byte_and_leaves_it(void **state)
{
    struct buf text, after;

    (void)state;
    save_example();
    read_file(&text);
    size_t n = buf_len(&text);
    /* Without the line end it is still whole. */
    for (size_t cut = n - 1; cut-- > 0;) {
        assert_int_equal(truncate(file_of("cluster.json"), (off_t)cut), 0);
        expect_refused("cluster.json");
        read_file(&after);
        assert_int_equal(buf_len(&after), cut);
        buf_done(&after);
    }
    buf_done(&text);
}

static void state_survives_any_changed_byte(void **state)
{
    static const unsigned char values[] = {0, ' ', '"', '0', '9', '-', '}', 'x', 0x80, 0xff};
    struct buf text;

    (void)state;
    save_example();
    read_file(&text);
    int fd = open(file_of("cluster.json"), O_WRONLY | O_CLOEXEC);
    for (size_t at = 0; at < buf_len(&text); at++) {
        for (size_t i = 0; i < sizeof(values); i++) {
            struct state_store *store = NULL;
            struct state loaded;
            struct err err = {0};
            int found;
            assert_int_equal(pwrite(fd, &values[i], 1, (off_t)at), 1);
            int rc = state_open(dir, &mailbox, &arena, &loaded, &found, &store, &err);
            if (rc != 0) {
                assert_true(err.message[0] != '\0');
                continue;
            }
            /* What it takes it can work with. */
            assert_int_equal(loaded.n_servers, 3);
            for (size_t j = 0; j < 3; j++) {
                assert_true(loaded.servers[j].uid > 0);
                assert_true(loaded.servers[j].uid < loaded.next_uid);
                assert_true(loaded.servers[j].name[0] != '\0');
                assert_true(loaded.servers[j].addr.len > 0);
            }
            state_close(store, 0);
        }
        assert_int_equal(pwrite(fd, buf_head(&text) + at, 1, (off_t)at), 1);
    }
    close(fd);
    buf_done(&text);
}

#define SERVER(uid, id, name, address, pid)                                                        \
    "{\"uid\":" uid ",\"id\":" id ",\"name\":" name ",\"address\":" address ",\"pid\":" pid        \
    ",\"reference\":\"r\"}"
#define STATE(format, next, target, servers)                                                       \
    "{\"format\":" format ",\"next_uid\":" next ",\"target\":" target ",\"servers\":[" servers "]" \
    "}"

static void state_refuses_what_it_does_not_understand(void **state)
{
    static const char *const bad[] = {
        "",
        "null",
        "[]",
        "{}",
        STATE("3", "2", "1", ""),
        STATE("2", "2", "1", ""), /* without a schema */
        STATE("0", "2", "1", ""),
        STATE("\"1\"", "2", "1", ""),
        STATE("1", "-1", "1", ""),
        STATE("1", "2", "1.5", ""),
        STATE("1", "2", "65537", ""),
        "{\"format\":1,\"next_uid\":1,\"target\":1,\"servers\":{}}",
        "{\"format\":1,\"next_uid\":1,\"target\":1}",
        STATE("1", "2", "1", "1"),
        STATE("1", "2", "1", SERVER("\"1\"", "1", "\"S1\"", "\"127.0.0.1:1\"", "1")),
        STATE("1", "2", "1", SERVER("1", "-1", "\"S1\"", "\"127.0.0.1:1\"", "1")),
        STATE("1", "2", "1", SERVER("1", "1", "\"../S1\"", "\"127.0.0.1:1\"", "1")),
        STATE("1", "2", "1", SERVER("1", "1", "\"\"", "\"127.0.0.1:1\"", "1")),
        STATE("1", "2", "1", SERVER("1", "1", "7", "\"127.0.0.1:1\"", "1")),
        STATE("1", "2", "1", SERVER("1", "1", "\"S1\"", "\"example.org:80\"", "1")),
        STATE("1", "2", "1", SERVER("1", "1", "\"S1\"", "\"127.0.0.1\"", "1")),
        STATE("1", "2", "1", SERVER("1", "1", "\"S1\"", "\"127.0.0.1:1\"", "-5")),
        STATE("1", "2", "1", SERVER("0", "1", "\"S1\"", "\"127.0.0.1:1\"", "1")),
        STATE("1", "2", "1", SERVER("2", "1", "\"S1\"", "\"127.0.0.1:1\"", "1")),
        STATE("1", "3", "1",
              SERVER("1", "1", "\"S1\"", "\"127.0.0.1:1\"",
                     "1") "," SERVER("1", "2", "\"S2\"", "\"127.0.0.1:2\"", "2")),
        STATE("1", "2", "1", "") "x",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct state_store *store = NULL;
        struct state loaded;
        struct err err = {0};
        int found;
        write_file(bad[i], strlen(bad[i]));
        if (state_open(dir, &mailbox, &arena, &loaded, &found, &store, &err) == 0)
            fail_msg("taken: %s", bad[i]);
        assert_non_null(strstr(err.message, "cluster.json"));
    }
    write_file(bad[4], strlen(bad[4]));
    expect_refused("format 3");
    static const char good[] =
        STATE("1", "2", "1", SERVER("1", "1", "\"S1\"", "\"127.0.0.1:1\"", "1"));
    write_file(good, sizeof(good) - 1);
    struct state loaded;
    state_close(open_store(&loaded, 1), 0);
}

static void state_refuses_a_directory_that_is_none(void **state)
{
    (void)state;
    FILE *file = fopen(file_of("file"), "w");
    fclose(file);
    size_t n = strlen(dir);
    strcat(dir, "/file");
    expect_refused("/file");
    dir[n] = '\0';
}

static void state_removes_what_a_killed_writer_left(void **state)
{
    struct state loaded;

    (void)state;
    save_example();
    FILE *file = fopen(file_of("cluster.json.tmp-0123456789abcdef"), "w");
    fclose(file);
    file = fopen(file_of("cluster.json.mine"), "w");
    fclose(file);
    state_close(open_store(&loaded, 1), 0);
    assert_int_equal(access(file_of("cluster.json.tmp-0123456789abcdef"), F_OK), -1);
    assert_int_equal(unlink(file_of("cluster.json.mine")), 0);
    assert_int_equal(access(file_of("cluster.json"), F_OK), 0);
}

static void state_tells_that_it_could_not_be_written(void **state)
{
    struct state loaded, saved = example();
    struct rlimit before, tiny;
    struct state_store *store;
    struct buf text, after;

    (void)state;
    save_example();
    read_file(&text);
    store = open_store(&loaded, 1);
    /* A full disk. */
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    tiny = before;
    tiny.rlim_cur = 10;
    setrlimit(RLIMIT_FSIZE, &tiny);
    state_save(store, &saved, 1);
    wait_for(1);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(saved_code, -EFBIG);
    read_file(&after); /* the old one stands */
    assert_int_equal(buf_len(&after), buf_len(&text));
    assert_memory_equal(buf_head(&after), buf_head(&text), buf_len(&text));
    buf_done(&after);
    buf_done(&text);
    /* Something in the way. */
    assert_int_equal(unlink(file_of("cluster.json")), 0);
    assert_int_equal(mkdir(file_of("cluster.json"), 0700), 0);
    state_save(store, &saved, 2);
    wait_for(2);
    assert_true(saved_code < 0);
    assert_int_equal(rmdir(file_of("cluster.json")), 0);
    /* A directory that is gone. */
    char away[80];
    snprintf(away, sizeof(away), "%s.away", dir);
    assert_int_equal(rename(dir, away), 0);
    state_save(store, &saved, 3);
    wait_for(3);
    assert_int_equal(saved_code, -ENOENT);
    /* And back: it goes on. */
    assert_int_equal(rename(away, dir), 0);
    state_save(store, &saved, 4);
    wait_for(4);
    assert_int_equal(saved_code, 0);
    state_close(store, 0);
    state_close(open_store(&loaded, 1), 0);
}

static void state_keeps_the_database(void **state)
{
    struct schema schema = {.n_columns = 1, .columns = {{.name = "k", .n_name = 1}}};
    struct shard shards[] = {{"sh1", -INT64_MAX, -1}, {"sh2", 0, INT64_MAX - 1}};
    struct state_replica held[] = {{"sh1", true}, {"sh2", false}}, gone[] = {{"sh2", true}};
    struct state_server server = {.uid = 3,
                                  .id = 1,
                                  .name = "S1",
                                  .pid = 7,
                                  .reference = "r",
                                  .data_id = 2,
                                  .n_replicas = 2,
                                  .replicas = held};
    struct state_vacancy vacancies[] = {
        {.data_id = 4, .n_replicas = 1, .replicas = gone},
        {.data_id = 5, .name = "S2", .id = 9, .n_replicas = 0},
    };
    struct state saved = {.next_uid = 8,
                          .n_target = 3,
                          .n_servers = 1,
                          .servers = &server,
                          .schema = &schema,
                          .n_shards = 2,
                          .shards = shards,
                          .n_vacancies = 2,
                          .vacancies = vacancies};
    struct state loaded;

    (void)state;
    assert_int_equal(addr_parse("127.0.0.1:4711", &server.addr, NULL), 0);
    struct state_store *store = open_store(&loaded, 0);
    state_save(store, &saved, 1);
    state_close(store, 0);
    state_close(open_store(&loaded, 1), 0);
    assert_non_null(loaded.schema);
    assert_true(schema_equal(loaded.schema, &schema));
    assert_int_equal(loaded.n_shards, 2);
    assert_true(loaded.shards[0].low == -INT64_MAX && loaded.shards[0].last == -1);
    assert_true(loaded.shards[1].low == 0 && loaded.shards[1].last == INT64_MAX - 1);
    assert_int_equal(loaded.servers[0].data_id, 2);
    assert_int_equal(loaded.servers[0].n_replicas, 2);
    assert_string_equal(loaded.servers[0].replicas[0].shard, "sh1");
    assert_true(loaded.servers[0].replicas[0].whole);
    assert_false(loaded.servers[0].replicas[1].whole);
    assert_int_equal(loaded.n_vacancies, 2);
    assert_null(loaded.vacancies[0].name);
    assert_int_equal(loaded.vacancies[0].data_id, 4);
    assert_true(loaded.vacancies[0].replicas[0].whole);
    assert_string_equal(loaded.vacancies[1].name, "S2");
    assert_int_equal(loaded.vacancies[1].id, 9);
    assert_int_equal(loaded.vacancies[1].n_replicas, 0);
}

static void state_refuses_a_database_that_does_not_hold_together(void **state)
{
#define HEAD "{\"format\":2,\"next_uid\":5,\"target\":1,\"servers\":["
#define SCHEMA "],\"schema\":{\"columns\":[\"k\"],\"dtypes\":[\"Number\"]},\"shards\":"
#define SHARD "{\"k_low\":0,\"Shard_id\":\"a\",\"Shard_size\":5}"
    static const char *const bad[] = {
        HEAD SCHEMA "[],\"vacancies\":{}}",
        HEAD SCHEMA "[" SHARD "," SHARD "],\"vacancies\":[]}",
        HEAD SCHEMA "[" SHARD "],\"vacancies\":[{\"data\":5,\"replicas\":[]}]}",
        HEAD SCHEMA "[" SHARD "],\"vacancies\":[{\"name\":\"..\",\"id\":1}]}",
        HEAD SCHEMA "[" SHARD "],\"vacancies\":[{\"replicas\":[{\"shard\":\"b\"}]}]}",
        HEAD "{\"uid\":1,\"id\":1,\"name\":\"S1\",\"address\":\"127.0.0.1:1\",\"pid\":1,"
             "\"reference\":\"r\",\"data\":99}" SCHEMA "[],\"vacancies\":[]}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        write_file(bad[i], strlen(bad[i]));
        expect_refused("cluster.json");
    }
    static const char good[] = HEAD SCHEMA "[" SHARD "],\"vacancies\":[{\"data\":4}]}";
    struct state loaded;
    write_file(good, sizeof(good) - 1);
    state_close(open_store(&loaded, 1), 0);
    assert_int_equal(loaded.n_vacancies, 1);
}

static void state_never_uses_the_number_of_a_directory_again(void **state)
{
    struct state loaded;

    (void)state;
    assert_int_equal(mkdir(file_of("servers"), 0700), 0);
    assert_int_equal(mkdir(file_of("servers/41"), 0700), 0);
    assert_int_equal(mkdir(file_of("servers/99x"), 0700), 0);
    state_close(open_store(&loaded, 0), 0);
    assert_int_equal(loaded.next_uid, 42);
}

static void state_removes_a_data_directory_with_all_that_is_in_it(void **state)
{
    struct state loaded;
    struct stat info;

    (void)state;
    struct state_store *store = open_store(&loaded, 0);
    assert_int_equal(mkdir(file_of("servers"), 0700), 0);
    assert_int_equal(mkdir(file_of("servers/7"), 0700), 0);
    assert_int_equal(mkdir(file_of("servers/7/in"), 0700), 0);
    assert_int_equal(mkdir(file_of("servers/8"), 0700), 0);
    fclose(fopen(file_of("servers/7/in/log"), "w"));
    assert_int_equal(symlink("../8", file_of("servers/7/out")), 0); /* is not followed */
    state_remove_data(store, 7);
    state_remove_data(store, 77); /* there is none */
    state_close(store, 0);
    assert_int_equal(stat(file_of("servers/7"), &info), -1);
    assert_int_equal(stat(file_of("servers/8"), &info), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(state_of_a_new_directory_is_empty),
        TEST(state_comes_back_as_it_was_saved),
        TEST(state_keeps_places_without_a_database),
        TEST(state_tells_what_was_written),
        TEST(state_writes_the_last_of_many),
        TEST(state_is_forgotten_when_nothing_is_left_to_adopt),
        TEST(state_is_one_load_balancers_alone),
        TEST(state_refuses_a_file_cut_at_any_byte_and_leaves_it),
        TEST(state_survives_any_changed_byte),
        TEST(state_refuses_what_it_does_not_understand),
        TEST(state_keeps_the_database),
        TEST(state_refuses_a_database_that_does_not_hold_together),
        TEST(state_never_uses_the_number_of_a_directory_again),
        TEST(state_removes_a_data_directory_with_all_that_is_in_it),
        TEST(state_refuses_a_directory_that_is_none),
        TEST(state_removes_what_a_killed_writer_left),
        TEST(state_tells_that_it_could_not_be_written),
    };
    return cmocka_run_group_tests_name("lb state", tests, NULL, NULL);
}
