#include "loadgen/verification.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/mem.h"
#include "loadgen/readback.h"
#include "loadgen/student.h"

#define PAUSE_NS (100 * NS_PER_MS)
/* A comparison of all replicas counts their rows, and may wait for what is under way (lb/digest.h).
 */
#define COMPARISON_NS (60 * NS_PER_S)
/* Writes in doubt may still take effect between the two looks at the rows. */
#define MAX_LOOKS 3

static void blame(struct verification *verification, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void blame(struct verification *verification, const char *format, ...)
{
    va_list args;
    if (verification->n_reasons == VERIFICATION_MAX_REASONS)
        return;
    va_start(args, format);
    vsnprintf(verification->reasons[verification->n_reasons++], VERIFICATION_REASON_BYTES, format,
              args);
    va_end(args);
}

/* ---- before -----------------------------------------------------------------------------------
 */

static bool has_writes(const struct workload_db_mix *mix)
{
    return mix->percent[DB_UPDATE] || mix->percent[DB_INSERT] || mix->percent[DB_DELETE] ||
           mix->percent[DB_RMW];
}

/* Rows that inserts beside reads will add, as far as it is known: one at least. */
static uint64_t expected_inserts(const struct verification_config *config)
{
    const struct workload_db_mix *mix = &config->mix;
    if (mix->percent[DB_INSERT] == 0 || mix->percent[DB_INSERT] == 100)
        return 0;
    return config->n_requests * mix->percent[DB_INSERT] / 100 * mix->rows + 1;
}

static int check_keys(struct verification *verification, struct err *err)
{
    const struct verification_config *config = &verification->config;
    const uint64_t n_inserts = expected_inserts(config);
    int64_t low, last, insert_low = workload_db_insert_low(&config->mix);
    workload_db_range(config->workloads[0], &low, &last);
    int rc = target_check_range(&verification->target, low, last, err);
    if (rc == 0 && n_inserts > 0)
        rc = target_check_range(&verification->target, insert_low,
                                insert_low + (int64_t)n_inserts - 1, err);
    if (rc < 0 || config->mode != VERIFICATION_ALL || !has_writes(&config->mix))
        return rc;
    if (n_inserts > 0)
        last = insert_low + (int64_t)n_inserts - 1;
    if ((uint64_t)last - (uint64_t)low >= JOURNAL_MAX_KEYS)
        return err_set(err, -E2BIG,
                       "what is written to the keys %" PRId64 " to %" PRId64
                       " cannot be kept, only %" PRIu64 " of them: --verify replicas",
                       low, last, JOURNAL_MAX_KEYS);
    return 0;
}

static int on_row_before(void *context, size_t shard, int64_t key, uint64_t value, struct err *err)
{
    struct verification *verification = context;
    (void)shard;
    if (!student_is_foreign(value) && value > verification->highest_version)
        verification->highest_version = value;
    if (rowlog_add(&verification->before, key, value) < 0)
        return err_set(err, -E2BIG, "it has more rows than can be kept: --verify replicas");
    return 0;
}

static int read_rows_before(struct verification *verification, struct inquiry *inquiry,
                            struct err *err)
{
    const struct readback readback = {.inquiry = inquiry,
                                      .target = &verification->target,
                                      .on_row = on_row_before,
                                      .context = verification};
    return readback_run(&readback, err);
}

/* A target that tells nothing of itself may be none of ours: nothing can be checked then, and with
 * mode none nothing needs to be. */
static int ask_target(struct verification *verification, struct inquiry *inquiry, struct err *err)
{
    int rc = target_ask(inquiry, &verification->target, err);
    if (rc == 0)
        rc = check_keys(verification, err);
    else if (rc == -EPROTO && verification->config.mode == VERIFICATION_NONE)
        return 0;
    if (rc == 0 && verification->config.mode == VERIFICATION_ALL)
        rc = read_rows_before(verification, inquiry, err);
    return rc;
}

static void start_workloads(struct verification *verification)
{
    const struct verification_config *config = &verification->config;
    struct workload_db_start start = {.first_version = verification->highest_version,
                                      .n_room = UINT64_MAX};
    int64_t low, last, insert_low = workload_db_insert_low(&config->mix);
    workload_db_range(config->workloads[0], &low, &last);
    if (verification->target.n_shards > 0)
        start.n_room = target_room(&verification->target, insert_low);
    verification->journals = mem_zalloc(config->n_threads, sizeof(*verification->journals));
    for (uint32_t i = 0; i < config->n_threads; i++) {
        verification->journals[i] = journal_new(low < insert_low ? low : insert_low);
        if (config->mode == VERIFICATION_ALL)
            start.journal = verification->journals[i];
        workload_db_start(config->workloads[i], &start);
    }
}

int verification_begin(struct verification *verification, const struct verification_config *config,
                       struct err *err)
{
    const uint64_t began_ns = clock_now_ns();
    char address[ADDR_TEXT_BYTES];
    struct inquiry *inquiry;
    *verification = (struct verification){.config = *config};
    rowlog_init(&verification->before);
    int rc = inquiry_open(config->client, &config->addr, config->timeout_ns, &inquiry, err);
    if (rc < 0)
        return rc;
    rc = ask_target(verification, inquiry, err);
    inquiry_close(inquiry);
    if (rc < 0) {
        if (rc != -EINTR)
            err_prefix(err, "the database at %s", addr_format(&config->addr, address));
        return rc;
    }
    start_workloads(verification);
    verification->before_ns = clock_now_ns() - began_ns;
    return 0;
}

/* ---- after ------------------------------------------------------------------------------------
 */

/* As it is now, with as many replicas as it had. */
static int ask_target_again(struct verification *verification, struct inquiry *inquiry,
                            struct err *err)
{
    const uint64_t give_up_ns = clock_now_ns() + verification->config.patience_ns;
    struct target target;
    int rc;
    while ((rc = target_ask(inquiry, &target, err)) < 0) {
        if (rc == -EINTR || clock_now_ns() >= give_up_ns)
            return rc;
        if (inquiry_pause(inquiry, PAUSE_NS, err) < 0)
            return -EINTR;
    }
    for (size_t i = 0; i < target.n_shards; i++)
        for (size_t k = 0; k < verification->target.n_shards; k++) {
            const struct target_shard *before = &verification->target.shards[k];
            if (strcmp(before->name, target.shards[i].name) == 0 &&
                before->n_replicas > target.shards[i].n_replicas)
                target.shards[i].n_replicas = before->n_replicas;
        }
    target_done(&verification->target);
    verification->target = target;
    return 0;
}

static int on_row_after(void *context, size_t shard, int64_t key, uint64_t value, struct err *err)
{
    struct verification *verification = context;
    (void)err;
    verification->n_read[shard]++;
    audit_row(&verification->audit, key, value);
    return 0;
}

static int read_rows_after(struct verification *verification, struct inquiry *inquiry,
                           struct err *err)
{
    const struct readback readback = {.inquiry = inquiry,
                                      .target = &verification->target,
                                      .patience_ns = verification->config.patience_ns,
                                      .on_row = on_row_after,
                                      .context = verification};
    const struct journals journals = {verification->journals, verification->config.n_threads};
    free(verification->n_read);
    verification->n_read =
        mem_zalloc(verification->target.n_shards + 1, sizeof(*verification->n_read));
    audit_begin(&verification->audit, &verification->before, journals);
    int rc = readback_run(&readback, err);
    if (rc < 0)
        return rc;
    audit_end(&verification->audit);
    verification->rows_were_read = true;
    return 0;
}

/* The shard whose rows are not as many as its replicas say, or NULL. */
static const struct replicas_shard *find_miscounted(const struct verification *verification,
                                                    size_t *ret_index)
{
    const struct replicas *replicas = &verification->replicas;
    for (size_t i = 0; i < replicas->n_shards && verification->rows_were_read; i++)
        if (replicas->shards[i].equal && replicas->shards[i].n_rows != verification->n_read[i]) {
            *ret_index = i;
            return &replicas->shards[i];
        }
    return NULL;
}

static int look(struct verification *verification, struct inquiry *inquiry, struct err *err)
{
    size_t at;
    for (int n_looks = 1;; n_looks++) {
        replicas_done(&verification->replicas);
        int rc = replicas_compare(inquiry, &verification->target, verification->config.patience_ns,
                                  &verification->replicas, err);
        if (rc == 0 && verification->config.mode == VERIFICATION_ALL)
            rc = read_rows_after(verification, inquiry, err);
        if (rc < 0 || n_looks == MAX_LOOKS || verification->audit.counts.n_unknown == 0 ||
            !find_miscounted(verification, &at))
            return rc;
    }
}

static void blame_rows(struct verification *verification)
{
    const struct audit *audit = &verification->audit;
    const struct audit_counts *counts = &audit->counts;
    uint64_t n_lost = 0;
    for (uint32_t i = 0; i < verification->config.n_threads; i++)
        n_lost += journal_lost(verification->journals[i]);
    if (n_lost > 0)
        blame(verification,
              "%" PRIu64 " writes were too many to keep, so that rows cannot be judged", n_lost);
    else if (!audit_is_good(counts))
        blame(verification,
              "of %" PRIu64 " rows %" PRIu64 " are missing, %" PRIu64 " wrong, and %" PRIu64
              " are there that may not be: %s%s",
              counts->n_expected, counts->n_missing, counts->n_wrong, counts->n_unexpected,
              audit->examples[0], audit->n_examples > 1 ? ", …" : "");
}

static void blame_replicas(struct verification *verification)
{
    const struct replicas *replicas = &verification->replicas;
    const struct replicas_shard *shard;
    size_t at;
    for (size_t i = 0; i < replicas->n_shards; i++) {
        if (replicas->shards[i].equal)
            continue;
        blame(verification, "the replicas of shard %s are not equal: %s", replicas->shards[i].name,
              replicas->shards[i].differs);
        break;
    }
    if ((shard = find_miscounted(verification, &at)))
        blame(verification,
              "%" PRIu64 " rows of shard %s were read back, and its replicas say %" PRIu64,
              verification->n_read[at], shard->name, shard->n_rows);
}

static void judge(struct verification *verification, int rc, const struct err *err)
{
    if (rc < 0) {
        blame(verification, "the rows could not be verified: %s", err->message);
        return;
    }
    verification->done = true;
    if (verification->rows_were_read)
        blame_rows(verification);
    blame_replicas(verification);
}

void verification_end(struct verification *verification, bool interrupted)
{
    const struct verification_config *config = &verification->config;
    const struct journals journals = {verification->journals, config->n_threads};
    const uint64_t began_ns = clock_now_ns();
    struct inquiry *inquiry = NULL;
    struct err err = {0, ""};
    if (interrupted || config->mode == VERIFICATION_NONE)
        return;
    for (uint32_t i = 0; i < config->n_threads; i++)
        workload_db_stop(config->workloads[i]);
    journals_seal(&journals);
    int rc = inquiry_open(config->client, &config->addr,
                          config->timeout_ns > COMPARISON_NS ? config->timeout_ns : COMPARISON_NS,
                          &inquiry, &err);
    if (rc == 0)
        rc = ask_target_again(verification, inquiry, &err);
    if (rc == 0)
        rc = look(verification, inquiry, &err);
    inquiry_close(inquiry);
    judge(verification, rc, &err);
    verification->after_ns = clock_now_ns() - began_ns;
}

void verification_done(struct verification *verification)
{
    for (uint32_t i = 0; verification->journals && i < verification->config.n_threads; i++)
        journal_free(verification->journals[i]);
    free(verification->journals);
    free(verification->n_read);
    rowlog_done(&verification->before);
    replicas_done(&verification->replicas);
    target_done(&verification->target);
}
