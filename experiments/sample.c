#include "experiments/sample.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/format.h"
#include "core/json.h"
#include "core/mem.h"
#include "core/name.h"
#include "experiments/preload.h"
#include "experiments/usage.h"
#include "experiments/warmup.h"

#define SAMPLE_MAX_BYTES (1024 * 1024)
#define SAMPLE_MAX_TIMELINE_BYTES (32 * 1024 * 1024)
/* No sample of an experiment is to take longer: a stuck one must not hold up the others. */
#define SAMPLE_TIMEOUT_NS (UINT64_C(600) * NS_PER_S)
#define SAMPLE_STOP_NS (UINT64_C(3) * NS_PER_S)

/* Of the command line below. */
#define LOAD_MAX_WORDS 40

#define AT(field) offsetof(struct sample, field)

/* The numbers of a load, as far as they have the same meaning whatever is asked. */
#define LOAD_METRICS(prefix, phase)                                                                \
    {prefix "rate", "requests/s", "good answers a second", AT(rate), phase},                       \
        {prefix "p50", "ms", "median latency", AT(p50_ms), phase},                                 \
        {prefix "p90", "ms", "latency that 90 % of the answers kept", AT(p90_ms), phase},          \
        {prefix "p99", "ms", "latency that 99 % of the answers kept", AT(p99_ms), phase},          \
        {prefix "p999", "ms", "latency that 99.9 % of the answers kept", AT(p999_ms), phase},      \
        {prefix "max", "ms", "longest latency", AT(max_ms), phase},                                \
    {                                                                                              \
        prefix "generator_cpu", "cores", "CPU time of the load generator over wall time",          \
            AT(generator_cpu), phase                                                               \
    }
#define WRITE_METRICS                                                                              \
    LOAD_METRICS("write_", PHASE_WRITE),                                                           \
    {                                                                                              \
        "write_rows", "rows/s", "rows written a second", AT(row_rate), PHASE_WRITE                 \
    }
#define READ_METRICS LOAD_METRICS("read_", PHASE_READ)

const struct sample_metric sample_metrics[SAMPLE_N_METRICS + 1] = {
    LOAD_METRICS("", PHASE_LOAD),
    {"cluster_cpu", "µs/request", "CPU time of load balancer and servers a request",
     AT(cluster_cpu_us), PHASE_LOAD},
    {0}};
static const struct sample_metric write_metrics[] = {WRITE_METRICS, {0}};
static const struct sample_metric read_metrics[] = {READ_METRICS, {0}};
static const struct sample_metric both_metrics[SAMPLE_MAX_METRICS] = {
    WRITE_METRICS, READ_METRICS, {0}};

const struct sample_metric *sample_metrics_of(const struct experiment_load *load)
{
    if (load->write && load->read)
        return both_metrics;
    return load->write ? write_metrics : load->read ? read_metrics : sample_metrics;
}

double sample_metric_value(const struct sample *sample, const struct sample_metric *metric)
{
    while (sample && sample->phase != metric->phase)
        sample = sample->then;
    double value = NAN;
    if (sample)
        memcpy(&value, (const char *)sample + metric->offset, sizeof(value));
    return value;
}

const char *sample_phase_name(enum sample_phase phase)
{
    return phase == PHASE_WRITE ? "write" : phase == PHASE_READ ? "read" : "";
}

/* ——— what `quoit load` wrote ——— */

/* The class of error that was met most often, with its example. */
static void parse_errors(const cJSON *root, struct sample *sample)
{
    const cJSON *error;
    int64_t most = 0;
    cJSON_ArrayForEach (error, json_get(root, "errors")) {
        int64_t count = 0;
        const char *example = json_get_string(error, "example");
        if (json_get_int64(error, "count", &count) < 0 || count <= most)
            continue;
        most = count;
        snprintf(sample->error, sizeof(sample->error), "%s%s%s", error->string,
                 example ? ", e.g. " : "", example ? example : "");
    }
}

/* What the generator says of itself. */
static void parse_generator(const cJSON *root, struct sample *sample)
{
    const cJSON *thread;
    const cJSON *verdict = json_get(root, "verdict");
    const cJSON *reason = cJSON_GetArrayItem(json_get(verdict, "reasons"), 0);
    int64_t n_dropped = 0;
    cJSON_ArrayForEach (thread, json_get(json_get(root, "generator"), "threads")) {
        const cJSON *share = json_get(thread, "cpu_share");
        if (cJSON_IsNumber(share) && share->valuedouble > sample->thread_cpu)
            sample->thread_cpu = share->valuedouble;
    }
    if (json_get_int64(json_get(root, "open"), "dropped", &n_dropped) == 0 && n_dropped > 0)
        sample->n_dropped = (uint64_t)n_dropped;
    if (cJSON_IsFalse(json_get(verdict, "valid")))
        snprintf(sample->distrust, sizeof(sample->distrust), "%s",
                 cJSON_IsString(reason) ? reason->valuestring : "no reason given");
}

/* Rows of one kind: 0 where they were not counted. */
static int64_t count_rows(const cJSON *rows, const char *kind)
{
    int64_t n = 0;
    return json_get_int64(rows, kind, &n) == 0 && n > 0 ? n : 0;
}

/* Whether all that was written was found, in every replica (loadgen/verification.h). */
static void parse_verification(const cJSON *root, struct sample *sample)
{
    const cJSON *verification = json_get(root, "verification");
    const cJSON *rows = json_get(verification, "rows");
    const cJSON *replicas = json_get(verification, "replicas");
    const cJSON *example = cJSON_GetArrayItem(json_get(verification, "examples"), 0);
    int64_t n_missing = count_rows(rows, "missing"), n_wrong = count_rows(rows, "wrong");
    int64_t n_more = count_rows(rows, "unexpected");
    sample->verified = cJSON_IsTrue(json_get(verification, "done")) && cJSON_IsObject(rows);
    if (*sample->doubt) /* of the rows before: the first reason counts */
        return;
    if (n_missing || n_wrong || n_more)
        snprintf(sample->doubt, sizeof(sample->doubt),
                 "%" PRId64 " rows are missing, %" PRId64 " wrong, %" PRId64
                 " not to be there%s%.180s",
                 n_missing, n_wrong, n_more, cJSON_IsString(example) ? ": " : "",
                 cJSON_IsString(example) ? example->valuestring : "");
    else if (sample->verified && !cJSON_IsTrue(json_get(replicas, "compared")))
        snprintf(sample->doubt, sizeof(sample->doubt), "the replicas were not compared");
    else if (sample->verified && !cJSON_IsTrue(json_get(replicas, "equal")))
        snprintf(sample->doubt, sizeof(sample->doubt), "replicas of a shard are not equal");
}

static int parse_servers(const cJSON *root, size_t n_servers, struct sample *sample,
                         struct err *err)
{
    const cJSON *servers = json_get(root, "servers");
    const cJSON *server;
    if (!cJSON_IsObject(servers))
        return err_set(err, -EINVAL, "no 'servers'");
    cJSON_ArrayForEach (server, servers) {
        int64_t count;
        char name[24];
        uint64_t id = 0;
        if (json_int64(server, &count) < 0 || count < 0)
            return err_set(err, -EINVAL, "servers: the count of '%s' is none", server->string);
        name_trailing_id(server->string, &id);
        snprintf(name, sizeof(name), "Server%" PRIu64, id);
        if (id >= 1 && id <= n_servers && !strcmp(name, server->string))
            sample->counts[id - 1] = (uint64_t)count;
        else
            sample->n_strangers += (uint64_t)count;
    }
    static const char *const others[] = {"unnamed", "other_servers"};
    for (size_t i = 0; i < 2; i++) {
        int64_t count = 0;
        if (json_get_int64(root, others[i], &count) == 0 && count > 0)
            sample->n_strangers += (uint64_t)count;
    }
    return 0;
}

int sample_parse(const char *text, size_t n, size_t n_servers, struct sample *sample,
                 struct err *err)
{
    int status = 0;
    cJSON *root = json_parse(text, n, err);
    if (!root)
        return err_prefix(err, "the result of quoit load");
    const struct {
        const cJSON *object;
        const char *key;
        double *into;
        bool required;
    } numbers[] = {
        {root, "duration_s", &sample->seconds, true},
        {root, "rate", &sample->rate, true},
        {json_get(root, "generator"), "cpu_share", &sample->generator_cpu, true},
        {json_get(root, "latency_ms"), "p50", &sample->p50_ms, false},
        {json_get(root, "latency_ms"), "p90", &sample->p90_ms, false},
        {json_get(root, "latency_ms"), "p99", &sample->p99_ms, false},
        {json_get(root, "latency_ms"), "p99_9", &sample->p999_ms, false},
        {json_get(root, "latency_ms"), "max", &sample->max_ms, false},
    };
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]) && !status; i++) {
        const cJSON *node = json_get(numbers[i].object, numbers[i].key);
        if (cJSON_IsNumber(node))
            *numbers[i].into = node->valuedouble;
        else if (numbers[i].required)
            status = err_set(err, -EINVAL, "no '%s'", numbers[i].key);
    }
    int64_t ok = 0, failed = 0;
    if (!status && (json_get_int64(root, "ok", &ok) < 0 || ok < 0 ||
                    json_get_int64(root, "failed", &failed) < 0 || failed < 0))
        status = err_set(err, -EINVAL, "no 'ok' and 'failed'");
    if (!status)
        status = parse_servers(root, n_servers, sample, err);
    sample->n_ok = (uint64_t)ok;
    sample->n_errors = (uint64_t)failed;
    parse_errors(root, sample);
    parse_generator(root, sample);
    parse_verification(root, sample);
    cJSON_Delete(root);
    return status < 0 ? err_prefix(err, "the result of quoit load") : 0;
}

/* ——— taking one ——— */

struct load_files {
    char json[4096];
    char hgrm[4096];
    char said[4096];
    char timeline[4096];
};

/* What a phase asks of a database; NULL: the load is of a path. */
static const char *workload_of(const struct experiment_load *load, enum sample_phase phase)
{
    return phase == PHASE_WRITE ? load->write : phase == PHASE_READ ? load->read : load->workload;
}

static int sample_collect_course(const struct load_files *files, struct course *course,
                                 struct err *err)
{
    struct buf text;
    buf_init(&text, SAMPLE_MAX_TIMELINE_BYTES);
    int status = file_read(files->timeline, &text, err);
    if (status >= 0)
        status = course_parse_buckets(course, buf_head(&text), buf_len(&text), err);
    buf_done(&text);
    return status;
}

int sample_read(const struct child *load, const char *path, size_t n_servers, struct sample *sample,
                struct err *err)
{
    char text[32];
    struct buf json;
    buf_init(&json, SAMPLE_MAX_BYTES);
    /* A load whose requests failed exits 1 and still says what it found. */
    int status = file_read(path, &json, NULL);
    if (status < 0)
        status = child_fail(load, status, child_status_text(load, text), err);
    else
        status = sample_parse(buf_head(&json), buf_len(&json), n_servers, sample, err);
    buf_done(&json);
    return status;
}

static int sample_collect(const struct sample_config *config, const struct load_files *files,
                          const struct child *load, struct sample *sample, struct err *err)
{
    struct buf hgrm;
    buf_init(&hgrm, SAMPLE_MAX_BYTES);
    int status = sample_read(
        load, files->json,
        experiment_has_database(config->settings) ? 0 : config->settings->cluster.servers, sample,
        err);
    if (status >= 0 && experiment_has_database(config->settings) && !sample->verified &&
        !*sample->doubt && !experiment_store_forgets(&config->settings->cluster))
        snprintf(sample->doubt, sizeof(sample->doubt), "quoit load did not verify them%s%.250s",
                 *sample->distrust ? ": " : "", sample->distrust);
    if (status >= 0 && sample->phase == PHASE_WRITE)
        sample->row_rate =
            sample->rate * (double)experiment_rows_a_request(config->settings->load.write);
    if (status >= 0 && file_read(files->hgrm, &hgrm, NULL) == 0)
        sample->hgrm = mem_strdup(buf_str(&hgrm));
    if (status >= 0 && sample->course)
        status = sample_collect_course(files, sample->course, err);
    buf_done(&hgrm);
    return status;
}

static int sample_wait(const struct sample_config *config, const struct testbed *testbed,
                       struct child *load, int ready_fd, struct sample *sample, struct err *err)
{
    if (!sample->course)
        return child_wait(load, SAMPLE_TIMEOUT_NS, -1);
    const struct course_config course = {.events = config->events,
                                         .lb = &testbed->lb,
                                         .address = testbed->address,
                                         .seed = config->seed,
                                         .ready_fd = ready_fd};
    return course_run(sample->course, &course, load, SAMPLE_TIMEOUT_NS, err);
}

/* The command line of the load: into argv, whose texts live in `words`. */
struct load_words {
    char url[4096], count[24], in_flight[24], warmup[24], seed[24], bucket[24], threads[24];
    char ready_fd[16];
    char rate[FORMAT_DOUBLE_BYTES];
    char workload[1024];
};

/* With the keys, where it does not say them. */
static void print_workload(const struct experiment_load *load, enum sample_phase phase, char *text,
                           size_t bytes)
{
    const char *workload = workload_of(load, phase);
    const struct experiment_range *keys =
        phase == PHASE_WRITE ? &load->write_keys : &load->other_keys;
    if (keys->n)
        snprintf(text, bytes, "%s%clow=%" PRIu64 ",ids=%" PRIu64, workload,
                 strchr(workload, ':') ? ',' : ':', keys->low, keys->n);
    else
        snprintf(text, bytes, "%s", workload);
}

static void load_command(const struct sample_config *config, const char *address,
                         enum sample_phase phase, const struct load_files *files, int ready_fd,
                         struct load_words *words, const char **argv)
{
    const struct experiment_load *settings = &config->settings->load;
    const char *workload = workload_of(settings, phase);
    bool events = config->events && config->events->n;
    snprintf(words->url, sizeof(words->url), "http://%s%s", address,
             workload ? "" : settings->path);
    snprintf(words->in_flight, sizeof(words->in_flight), "%" PRIu64, settings->in_flight);
    snprintf(words->warmup, sizeof(words->warmup), "%" PRIu64, settings->warmup);
    snprintf(words->seed, sizeof(words->seed), "%" PRIu64, config->seed);
    snprintf(words->threads, sizeof(words->threads), "%" PRIu64, settings->threads);
    snprintf(words->ready_fd, sizeof(words->ready_fd), "%d", ready_fd);
    snprintf(words->bucket, sizeof(words->bucket), "%dms", COURSE_BUCKET_MS);
    if (settings->duration_ns)
        snprintf(words->count, sizeof(words->count), "%" PRIu64 "ms",
                 settings->duration_ns / NS_PER_MS);
    else
        snprintf(words->count, sizeof(words->count), "%" PRIu64, settings->requests);
    const char *const always[] = {
        config->program, "load",        words->url,       settings->duration_ns ? "-d" : "-n",
        words->count,    "-c",          words->in_flight, "--json",
        files->json,     "--hgrm",      files->hgrm,      "--seed",
        words->seed,     "--quiet",     "--client",       settings->client,
        "--threads",     words->threads};
    size_t n = sizeof(always) / sizeof(always[0]);
    memcpy(argv, always, sizeof(always));
    if (workload) {
        print_workload(settings, phase, words->workload, sizeof(words->workload));
        argv[n++] = "--workload";
        argv[n++] = words->workload;
    }
    if (workload && experiment_store_forgets(&config->settings->cluster)) {
        argv[n++] = "--verify";
        argv[n++] = "none";
    }
    if (workload && settings->keys) {
        argv[n++] = "--keys";
        argv[n++] = settings->keys;
    }
    /* Events count from the start, and the timeline shows all of it: no warm-up then. */
    if (settings->warmup && !events) {
        argv[n++] = "--warmup";
        argv[n++] = words->warmup;
    }
    if (settings->rate > 0) {
        argv[n++] = "--rate";
        argv[n++] = format_double(settings->rate, words->rate);
        argv[n++] = "--arrivals";
        argv[n++] = settings->arrivals == EXPERIMENT_POISSON ? "poisson" : "constant";
    }
    if (events) {
        argv[n++] = "--timeline";
        argv[n++] = files->timeline;
        argv[n++] = "--timeline-bucket";
        argv[n++] = words->bucket;
        argv[n++] = "--ready-fd";
        argv[n++] = words->ready_fd;
    }
    argv[n] = NULL;
}

/* Starts the load and waits for its end. */
static int run_load(const struct sample_config *config, const struct testbed *testbed,
                    const struct load_files *files, struct child *load, struct usage *before,
                    struct sample *sample, struct err *err)
{
    struct load_words words = {0};
    const char *argv[LOAD_MAX_WORDS];
    int ready[2] = {-1, -1};
    if (config->events && config->events->n) {
        sample->course = course_new();
        if (pipe2(ready, O_CLOEXEC) < 0)
            return err_set_errno(err, -errno, "pipe");
    }
    load_command(config, testbed->address, sample->phase, files, ready[1], &words, argv);
    usage_read(testbed, before);
    int status = child_start(load, "quoit load", argv, files->said, ready[1], err);
    if (ready[1] >= 0)
        close(ready[1]);
    if (status >= 0) {
        status = sample_wait(config, testbed, load, ready[0], sample, err);
        child_stop(load, SAMPLE_STOP_NS);
        if (status == -EINTR)
            err_set(err, status, "interrupted");
        else if (status == -ETIMEDOUT)
            child_fail(load, status, "did not end within 10 minutes", err);
        else if (status < 0 && !sample->course)
            err_set_errno(err, status, "waiting for quoit load");
    }
    if (ready[0] >= 0)
        close(ready[0]);
    return status;
}

static int sample_load(const struct sample_config *config, const struct testbed *testbed,
                       struct sample *sample, struct err *err)
{
    struct load_files files;
    struct usage before, after;
    struct child load = {.pidfd = -1};
    const char *name = sample->phase == PHASE_LOAD ? "load" : sample_phase_name(sample->phase);
    snprintf(files.json, sizeof(files.json), "%s/%s.json", config->dir, name);
    snprintf(files.hgrm, sizeof(files.hgrm), "%s/%s.hgrm", config->dir, name);
    snprintf(files.said, sizeof(files.said), "%s/%s.stderr", config->dir, name);
    snprintf(files.timeline, sizeof(files.timeline), "%s/timeline.tsv", config->dir);
    int status = run_load(config, testbed, &files, &load, &before, sample, err);
    usage_read(testbed, &after);
    if (status >= 0)
        status = sample_collect(config, &files, &load, sample, err);
    if (status >= 0) {
        /* The load's own warm-up is not among what it counts. */
        uint64_t n = sample->n_ok + sample->n_errors;
        n += config->events && config->events->n ? 0 : config->settings->load.warmup;
        sample->cluster_cpu_us = usage_per_request_us(&before, &after, n);
    }
    child_done(&load);
    return status;
}

/* The one load, or the phases one after the other. */
static int sample_measure(const struct sample_config *config, const struct testbed *testbed,
                          struct sample *sample, struct err *err)
{
    const struct experiment_load *load = &config->settings->load;
    if (load->write || load->read)
        sample->phase = load->write ? PHASE_WRITE : PHASE_READ;
    int status = sample_load(config, testbed, sample, err);
    if (status < 0 || !load->write || !load->read)
        return status;
    sample->then = mem_zalloc(1, sizeof(*sample->then));
    sample->then->phase = PHASE_READ;
    return sample_load(config, testbed, sample->then, err);
}

int sample_take(const struct sample_config *config, struct sample *sample, struct err *err)
{
    struct testbed testbed;
    const struct testbed_config testbed_config = {.program = config->program,
                                                  .dir = config->dir,
                                                  .settings = &config->settings->cluster,
                                                  .seed = config->seed};
    int status = testbed_start(&testbed, &testbed_config, err);
    if (status < 0)
        return status;
    status = preload_write(config, testbed.address, sample, err);
    if (status >= 0)
        status = testbed_grow(&testbed, &testbed_config, err);
    if (status >= 0)
        status = warmup_run(config, testbed.address, sample, err);
    if (status >= 0)
        status = sample_measure(config, &testbed, sample, err);
    if (status >= 0)
        status = preload_check(config, testbed.address, sample, err);
    int stopped = testbed_stop(&testbed, status < 0 ? NULL : err);
    if (status >= 0 && stopped < 0)
        status = stopped;
    if (status < 0)
        sample_done(sample);
    return status;
}

void sample_done(struct sample *sample)
{
    free(sample->hgrm);
    sample->hgrm = NULL;
    course_free(sample->course);
    sample->course = NULL;
    if (sample->then)
        sample_done(sample->then);
    free(sample->then);
    sample->then = NULL;
}
