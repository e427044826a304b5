#include "tests/support/writer_bed.h"

#include <assert.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/mem.h"

struct rows_farm *farm;
struct writer *writer;
const struct snapshot *snapshot;
struct change_call *written[BED_MAX_CALLS]; /* in the order of their answers */
size_t n_written, n_asked;
unsigned idle_uids; /* a bit each */
bool in_rounds;

static void on_written(void *context, struct change_call *call)
{
    (void)context;
    assert(n_written < BED_MAX_CALLS);
    written[n_written++] = call;
}

static void on_idle(void *context, uint64_t uid)
{
    (void)context;
    idle_uids |= 1u << uid;
}

struct writer *writer_bed_new(struct writer_config config)
{
    config.on_written = on_written;
    config.on_idle = on_idle;
    return writer_new(&config);
}

void open_with(struct writer_config config, size_t n_servers, const char *const *shards,
               size_t n_shards)
{
    farm = farm_new(n_servers, 1);
    config.in_rounds = in_rounds;
    config.loop = farm->loop;
    config.flusher = &farm->flusher;
    config.control = &farm->control;
    writer = writer_bed_new(config);
    farm_publish(farm, shards, n_shards, "");
    snapshot = publisher_take(farm->publisher, 0);
    writer_take(writer, snapshot);
    n_written = n_asked = 0;
}

/* Three servers; sh1 (0 … 99) on S1 and S2, sh2 (100 … 199) on S2 and S3. */
const char *const two_shards[2] = {"12", "23"};

int set_up(void **state)
{
    (void)state;
    open_with((struct writer_config){.timeout_ns = 10 * NS_PER_S}, 3, two_shards, 2);
    return 0;
}

void close_all(void)
{
    for (size_t i = 0; i < n_written; i++)
        change_call_free(written[i]);
    if (!writer_is_idle(writer)) {
        size_t n = n_written;
        writer_abort(writer);
        farm_wait(farm, writer_is_idle(writer));
        for (; n < n_written; n++)
            change_call_free(written[n]);
    }
    writer_free(writer);
    farm_free(farm);
}

int tear_down(void **state)
{
    (void)state;
    close_all();
    return 0;
}

struct change_call *ask(enum change_type type, const char *body)
{
    struct change_call *call = mem_zalloc(1, sizeof(*call));
    struct err err = {0};
    if (change_read(snapshot, type, (struct http_view){body, strlen(body)}, &call->change, &err))
        fail_msg("%s", err.message);
    snprintf(call->key_column, sizeof(call->key_column), "id");
    n_asked++;
    writer_submit(writer, call);
    return call;
}

/* Asks to write rows with these keys, all named so. */
struct change_call *write_rows(const char *name, size_t n, ...)
{
    char body[1024] = "{\"data\":[";
    va_list args;
    va_start(args, n);
    for (size_t i = 0; i < n; i++)
        snprintf(body + strlen(body), sizeof(body) - strlen(body), "%s{\"id\":%d,\"name\":\"%s\"}",
                 i > 0 ? "," : "", va_arg(args, int), name);
    va_end(args);
    strcat(body, "]}");
    return ask(CHANGE_WRITE, body);
}

void wait_all(void)
{
    farm_wait(farm, n_written == n_asked);
}

void assert_answer(const struct change_call *call, unsigned status, const char *text)
{
    assert_int_equal(call->status, status);
    assert_string_equal(status == 200 ? call->message : call->reason, text);
}

void assert_keys(const char *s1, const char *s2, const char *s3)
{
    assert_string_equal(farm_keys(farm->servers[0]), s1);
    assert_string_equal(farm_keys(farm->servers[1]), s2);
    assert_string_equal(farm_keys(farm->servers[2]), s3);
}

void post(enum letter_type type, size_t shard, bool hold)
{
    struct shard_letter *letter = shard_letter_new(type, &farm->live[shard]);
    letter->hold = hold;
    writer_take_letter(writer, &letter->base);
}

void post_fenced(uint64_t uid)
{
    struct lb_letter *letter = letter_new(LETTER_FENCED, 0);
    letter->uid = uid;
    writer_take_letter(writer, letter);
}

/* The n-th LETTER_DIRTY from 0. */
const struct shard_letter *dirty(size_t n)
{
    for (size_t i = 0; i < farm->n_letters; i++)
        if (farm->letters[i]->type == LETTER_DIRTY && n-- == 0)
            return (const struct shard_letter *)farm->letters[i];
    return NULL;
}

void turn(int n)
{
    for (int i = 0; i < n; i++)
        farm_turn(farm);
}
