/* Servers of rows for tests of the LB's data path, on the test's own loop: each answers /batch and
 * /read from a handful of rows in memory, and can be told to hold, to fail, or to die.
 *
 * Waiting is bounded: what does not come true in FARM_PATIENCE_S fails the test. */
#ifndef QUOIT_TESTS_SUPPORT_ROWS_FARM_H
#define QUOIT_TESTS_SUPPORT_ROWS_FARM_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/flush.h"
#include "core/httpd.h"
#include "core/mailbox.h"
#include "lb/letters.h"
#include "lb/snapshot.h"
#include "tests/support/placement_fixture.h"

#define FARM_PATIENCE_S 30.
#define FARM_MAX_SERVERS 8
#define FARM_MAX_SHARDS 4
#define FARM_MAX_ROWS 4096
#define FARM_MAX_HELD 64
#define FARM_MAX_LETTERS 64

struct farm_row {
    char shard[NAME_MAX_BYTES + 1];
    int64_t key;
    char text[128];
};

struct rows_server {
    struct rows_farm *farm;
    char name[NAME_MAX_BYTES + 1];
    uint64_t uid;
    struct httpd *httpd; /* NULL: dead */
    struct addr addr;
    struct server_counters counters[4]; /* one row a worker */
    struct farm_row rows[FARM_MAX_ROWS];
    size_t n_rows;
    bool held;           /* requests are taken and not worked on */
    uint64_t hold_wider; /* reads of more keys than that are taken and not answered; 0: none */
    bool deaf;           /* batches are worked on, and their answers held */
    const char *failing; /* every change of rows answers `failed` with this; NULL: none does */
    const char *failing_shard; /* … in this shard alone; NULL: in all */
    unsigned status;           /* every request is answered so; 0: as it should be */
    size_t n_to_lose;          /* so many batches are answered 500, and … */
    bool loses_answers;        /* … were worked on all the same */
    uint64_t epoch;            /* of the last batch */
    struct {
        struct httpd_exchange *exchange;
        struct buf body;
        bool is_read, is_answer;
    } kept[FARM_MAX_HELD];
    size_t n_kept;
    size_t n_batches, n_reads;
    struct buf story; /* the heads of the operations in the order they came, a line each */
};

struct rows_farm {
    struct ev_loop *loop;
    struct ev_timer tick;
    struct flusher flusher;
    struct placement_fixture fixture;
    struct schema schema; /* id Number, name String */
    struct rows_server *servers[FARM_MAX_SERVERS];
    size_t n_servers;
    int64_t n_shard_keys; /* of each shard: 100 */
    struct shard_live live[FARM_MAX_SHARDS];
    struct mailbox control; /* what is written to the control loop */
    struct lb_letter *letters[FARM_MAX_LETTERS];
    size_t n_letters;
    struct publisher *publisher;
};

/* n servers S1 … Sn, uids 1 … n. n_readers: workers that take snapshots. */
struct rows_farm *farm_new(size_t n_servers, size_t n_readers);
void farm_free(struct rows_farm *farm);
void farm_turn(struct rows_farm *farm);
#define farm_wait(farm, condition)                                                                 \
    do {                                                                                           \
        double farm_until = ev_time() + FARM_PATIENCE_S;                                           \
        while (!(condition)) {                                                                     \
            farm_turn(farm);                                                                       \
            if (ev_time() > farm_until)                                                            \
                fail_msg("in vain: %s", #condition);                                               \
        }                                                                                          \
    } while (0)

/* Publishes a snapshot and returns it. shards: of n_shard_keys keys each from 0, "sh1", "sh2" …;
 * each a text of the servers that have it, "12" = S1 and S2. left: servers that the snapshot does
 * not have. n_shards 0: no database. */
const struct snapshot *farm_publish(struct rows_farm *farm, const char *const *shards,
                                    size_t n_shards, const char *left);
/* Works on what was held, and holds no more. */
void farm_release(struct rows_server *server);
/* Closes its port and its connections, with what it has unanswered. */
void farm_kill(struct rows_server *server);
/* Puts a row there, as if it had always been. */
void farm_plant(struct rows_server *server, const char *shard, int64_t key, const char *text);
/* The server's keys, ascending, joined by blanks; valid until the next call. */
const char *farm_keys(const struct rows_server *server);
/* The text of a key's row, or NULL. */
const char *farm_text(const struct rows_server *server, int64_t key);
/* How many letters of that type have come, of that uid (0: any). */
size_t farm_count_letters(const struct rows_farm *farm, enum letter_type type, uint64_t uid);

#endif
