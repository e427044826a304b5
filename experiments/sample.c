#include "experiments/sample.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/format.h"
#include "core/json.h"
#include "core/mem.h"
#include "core/name.h"
#include "experiments/warmup.h"

#define SAMPLE_MAX_BYTES (1024 * 1024)
#define SAMPLE_MAX_TIMELINE_BYTES (32 * 1024 * 1024)
/* No sample of an experiment is to take longer: a stuck one must not hold up the others. */
#define SAMPLE_TIMEOUT_NS (UINT64_C(600) * NS_PER_S)
#define SAMPLE_STOP_NS (UINT64_C(3) * NS_PER_S)

/* Of the command line below. */
#define LOAD_MAX_WORDS 32

#define AT(field) offsetof(struct sample, field)

const struct sample_metric sample_metrics[SAMPLE_N_METRICS + 1] = {
    {"rate", "requests/s", "good answers a second", AT(rate)},
    {"p50", "ms", "median latency", AT(p50_ms)},
    {"p90", "ms", "latency that 90 % of the answers kept", AT(p90_ms)},
    {"p99", "ms", "latency that 99 % of the answers kept", AT(p99_ms)},
    {"p999", "ms", "latency that 99.9 % of the answers kept", AT(p999_ms)},
    {"max", "ms", "longest latency", AT(max_ms)},
    {"generator_cpu", "cores", "CPU time of the load generator over wall time", AT(generator_cpu)},
    {0},
};

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

static int sample_collect(const struct sample_config *config, const struct load_files *files,
                          const struct child *load, struct sample *sample, struct err *err)
{
    char text[32];
    struct buf json, hgrm;
    buf_init(&json, SAMPLE_MAX_BYTES);
    buf_init(&hgrm, SAMPLE_MAX_BYTES);
    /* A load whose requests failed exits 1 and still says what it found. */
    int status = file_read(files->json, &json, NULL);
    if (status < 0)
        status = child_fail(load, status, child_status_text(load, text), err);
    else
        status = sample_parse(buf_head(&json), buf_len(&json), config->settings->cluster.servers,
                              sample, err);
    if (status >= 0 && file_read(files->hgrm, &hgrm, NULL) == 0)
        sample->hgrm = mem_strdup(buf_str(&hgrm));
    if (status >= 0 && sample->course)
        status = sample_collect_course(files, sample->course, err);
    buf_done(&json);
    buf_done(&hgrm);
    return status;
}

static int sample_wait(const struct sample_config *config, const struct testbed *testbed,
                       struct child *load, struct sample *sample, struct err *err)
{
    if (!sample->course)
        return child_wait(load, SAMPLE_TIMEOUT_NS, -1);
    const struct course_config course = {.events = config->events,
                                         .lb = &testbed->lb,
                                         .address = testbed->address,
                                         .seed = config->seed};
    return course_run(sample->course, &course, load, SAMPLE_TIMEOUT_NS, err);
}

/* The command line of the load: into argv, whose texts live in `words`. */
struct load_words {
    char url[4096], count[24], in_flight[24], warmup[24], seed[24], bucket[24], threads[24];
    char rate[FORMAT_DOUBLE_BYTES];
};

static void load_command(const struct sample_config *config, const char *address,
                         const struct load_files *files, struct load_words *words,
                         const char **argv)
{
    const struct experiment_load *settings = &config->settings->load;
    bool events = config->events && config->events->n;
    snprintf(words->url, sizeof(words->url), "http://%s%s", address, settings->path);
    snprintf(words->in_flight, sizeof(words->in_flight), "%" PRIu64, settings->in_flight);
    snprintf(words->warmup, sizeof(words->warmup), "%" PRIu64, settings->warmup);
    snprintf(words->seed, sizeof(words->seed), "%" PRIu64, config->seed);
    snprintf(words->threads, sizeof(words->threads), "%" PRIu64, settings->threads);
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
    }
    argv[n] = NULL;
}

static int sample_load(const struct sample_config *config, const struct testbed *testbed,
                       struct sample *sample, struct err *err)
{
    struct load_files files;
    struct load_words words;
    struct child load;
    const char *argv[LOAD_MAX_WORDS];
    snprintf(files.json, sizeof(files.json), "%s/load.json", config->dir);
    snprintf(files.hgrm, sizeof(files.hgrm), "%s/load.hgrm", config->dir);
    snprintf(files.said, sizeof(files.said), "%s/load.stderr", config->dir);
    snprintf(files.timeline, sizeof(files.timeline), "%s/timeline.tsv", config->dir);
    load_command(config, testbed->address, &files, &words, argv);
    if (config->events && config->events->n)
        sample->course = course_new();
    int status = child_start(&load, "quoit load", argv, files.said, -1, err);
    if (status < 0)
        return status;
    status = sample_wait(config, testbed, &load, sample, err);
    child_stop(&load, SAMPLE_STOP_NS);
    if (status == -EINTR)
        err_set(err, status, "interrupted");
    else if (status == -ETIMEDOUT)
        child_fail(&load, status, "did not end within 10 minutes", err);
    else if (status < 0 && !sample->course)
        err_set_errno(err, status, "waiting for quoit load");
    else if (status >= 0)
        status = sample_collect(config, &files, &load, sample, err);
    child_done(&load);
    return status;
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
    status = warmup_run(config, testbed.address, sample, err);
    if (status >= 0)
        status = sample_load(config, &testbed, sample, err);
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
}
