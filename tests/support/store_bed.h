/* A store (backends/store.h) on a loop and in a folder of its own, driven request by request, for
 * tests with cmocka.
 *
 * Every request goes through store_bed_submit(), which holds the store to its word: on_done comes
 * once, after STORE_PENDING only and never from within submit(); rows come in ascending order and
 * within the range. Waiting is bounded: what is not done after STORE_BED_PATIENCE_S fails the test.
 */
#ifndef QUOIT_TESTS_SUPPORT_STORE_BED_H
#define QUOIT_TESTS_SUPPORT_STORE_BED_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/store.h"

#define STORE_BED_PATIENCE_S 60.
#define STORE_BED_PATH_BYTES 256

/* The example table of CONTRACT.md: Stud_id Number, Stud_name String, Stud_marks Number. */
const struct schema *store_bed_schema(void);
/* Another one: a column more. */
const struct schema *store_bed_other_schema(void);

/* ---- rows ---- */

/* Rows that own their texts. Zeroed: none. */
struct store_rows {
    struct row *rows;
    size_t n, capacity;
};

void store_rows_free(struct store_rows *rows);
/* Appends a copy. */
void store_rows_add_text(struct store_rows *rows, int64_t key, const char *text, size_t n);
/* Appends the canonical text of the example's row. name: canonical between its quotes. */
void store_rows_add(struct store_rows *rows, int64_t key, const char *name, int64_t marks);
/* n rows from key `first`, `step` apart, of different lengths; `salt` makes their texts differ. */
void store_rows_fill(struct store_rows *rows, int64_t first, int64_t step, size_t n, unsigned salt);
uint64_t store_rows_checksum(const struct store_rows *rows);
/* Fails the test where the two are not the same rows in the same order. */
void store_rows_assert_equal(const struct store_rows *got, const struct store_rows *wanted);

/* ---- the bed ---- */

struct store_bed {
    struct ev_loop *loop;
    struct ev_timer tick;
    struct flusher flusher;
    char dir[STORE_BED_PATH_BYTES];
    bool owns_dir;
    char server[32];
    struct store_spec spec;
    struct store *store; /* NULL while it is closed */
    unsigned n_pending;
    bool in_submit;
};

/* A request of a test. Zeroed, but for what the test says in `request`. */
struct store_call {
    struct store_request request; /* first member; ->context is the bed */
    bool pending;
    bool done;
    struct store_rows got; /* STORE_READ */
    size_t stop_after;     /* STORE_READ: on_row refuses after so many; 0: it takes all */
    void (*on_done)(struct store_bed *bed, struct store_call *call); /* the test's, may be NULL */
};

/* Opens a store by its spec in a new folder. */
void store_bed_open(struct store_bed *bed, const char *spec);
/* Closes the store; folder and loop stay. */
void store_bed_shut(struct store_bed *bed);
/* Opens it again over what is there. 0, or store_open()'s error. */
int store_bed_start(struct store_bed *bed, struct err *err);
/* Shuts and starts. */
void store_bed_reopen(struct store_bed *bed);
/* Closes everything and removes the folder. */
void store_bed_close(struct store_bed *bed);
/* Where a store in a folder of the caller's is wanted: as store_bed_open(), and store_bed_close()
 * leaves the folder. 0, or store_open()'s error with nothing left. */
int store_bed_open_in(struct store_bed *bed, const char *spec, const char *dir, struct err *err);
/* A new folder under $TMPDIR or /tmp, into path; and its end with all that is in it. */
void store_bed_make_dir(char path[STORE_BED_PATH_BYTES]);
void store_bed_remove_dir(const char *path);

void store_bed_submit(struct store_bed *bed, struct store_call *call);
void store_bed_wait(struct store_bed *bed, const struct store_call *call);
void store_bed_wait_all(struct store_bed *bed);
/* Handles what there is to handle, without waiting. */
void store_bed_turn(struct store_bed *bed);
/* Submits and waits; the request's code. */
int store_bed_run(struct store_bed *bed, struct store_call *call);
/* Frees what it got. */
void store_call_done(struct store_call *call);

/* ---- one request each, submitted and waited for ---- */

struct store_shard *store_bed_create(struct store_bed *bed, const char *name);
int store_bed_drop(struct store_bed *bed, struct store_shard *shard);
int store_bed_insert(struct store_bed *bed, struct store_shard *shard,
                     const struct store_rows *rows);
int store_bed_insert_one(struct store_bed *bed, struct store_shard *shard, int64_t key,
                         const char *name);
int store_bed_update_one(struct store_bed *bed, struct store_shard *shard, int64_t key,
                         const char *name);
int store_bed_delete(struct store_bed *bed, struct store_shard *shard, int64_t key);
int store_bed_replace(struct store_bed *bed, struct store_shard *shard, int64_t low, int64_t last,
                      const struct store_rows *rows);
int store_bed_absent(struct store_bed *bed, struct store_shard *shard, int64_t key);
/* All rows of low … last, appended to ret_rows. */
void store_bed_read(struct store_bed *bed, struct store_shard *shard, int64_t low, int64_t last,
                    struct store_rows *ret_rows);
/* Count and checksum of low … last. */
uint64_t store_bed_digest(struct store_bed *bed, struct store_shard *shard, int64_t low,
                          int64_t last, uint64_t *ret_checksum);
/* Fails the test where the shard does not hold just these rows, as read and as digested. */
void store_bed_assert_holds(struct store_bed *bed, struct store_shard *shard,
                            const struct store_rows *wanted);

#endif
