/* A writer over a farm of servers (tests/support/rows_farm.h), on the test's own loop, and what a
 * test says to it in place of workers and the control loop. */
#ifndef QUOIT_TESTS_SUPPORT_WRITER_BED_H
#define QUOIT_TESTS_SUPPORT_WRITER_BED_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lb/writer.h"
#include "tests/support/rows_farm.h"

#define BED_MAX_CALLS 64

extern struct rows_farm *farm;
extern struct writer *writer;
extern const struct snapshot *snapshot;
extern struct change_call *written[BED_MAX_CALLS]; /* in the order of their answers */
extern size_t n_written, n_asked;
extern unsigned idle_uids; /* a bit each: on_idle came */
extern bool in_rounds;     /* set before set_up(): as servers that sync are written to */

/* With the config's limits. shards: as farm_publish() has them. */
void open_with(struct writer_config config, size_t n_servers, const char *const *shards,
               size_t n_shards);
/* A writer whose answers come to written[]. */
struct writer *writer_bed_new(struct writer_config config);
/* Aborts what is under way; frees everything. */
void close_all(void);
/* For cmocka: three servers; sh1 (0 … 99) on S1 and S2, sh2 (100 … 199) on S2 and S3. */
int set_up(void **state);
int tear_down(void **state);
extern const char *const two_shards[2];

struct change_call *ask(enum change_type type, const char *body);
/* Asks to write n rows with these keys (int), all named so. */
struct change_call *write_rows(const char *name, size_t n, ...);
/* Until everything asked is answered. */
void wait_all(void);
/* So many turns of the loop, for what must not happen in them. */
void turn(int n);
void assert_answer(const struct change_call *call, unsigned status, const char *text);
void assert_keys(const char *s1, const char *s2, const char *s3);
/* A struct shard_letter about that shard from 0. */
void post(enum letter_type type, size_t shard, bool hold);
void post_fenced(uint64_t uid);
/* The n-th LETTER_DIRTY from 0, or NULL. */
const struct shard_letter *dirty(size_t n);

#endif
