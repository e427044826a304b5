/* quoit load: the load generator. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/load_job.h"
#include "cmd/verbs.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/json.h"
#include "core/mem.h"
#include "experiments/environment.h"
#include "loadgen/trust.h"

#define FIELD(name) offsetof(struct load_options, name)

static const struct option_def options[] = {
    {.name = "requests",
     .short_name = 'n',
     .type = OPTION_U64,
     .offset = FIELD(n_requests),
     .metavar = "N",
     .min = 1,
     .max = LOAD_MAX_REQUESTS,
     .help = "end after N requests; 10000 when there is no --duration either"},
    {.name = "duration",
     .short_name = 'd',
     .type = OPTION_DURATION,
     .offset = FIELD(duration_ns),
     .metavar = "TIME",
     .min = 1,
     .max = UINT64_C(31536000000000000),
     .unit = "s",
     .help = "send for so long (seconds, or 500ms, 2m); with -n, whichever ends first"},
    {.name = "in-flight",
     .short_name = 'c',
     .type = OPTION_U64,
     .offset = FIELD(n_in_flight),
     .metavar = "N",
     .fallback = "64",
     .min = 1,
     .max = CLIENT_MAX_SLOTS,
     .help = "requests in flight at any time; in an open loop at most so many"},
    {.name = "threads",
     .type = OPTION_U64,
     .offset = FIELD(n_threads),
     .metavar = "N",
     .fallback = "1",
     .min = 1,
     .max = RESULT_MAX_THREADS,
     .help = "generator threads, which share the requests, the rate and -c"},
    {.name = "warmup",
     .type = OPTION_STRING,
     .offset = FIELD(warmup),
     .metavar = "N|TIME",
     .help = "send so many requests (1000) or for so long (2s) first, not counted"},
    {.name = "rate",
     .short_name = 'r',
     .type = OPTION_DOUBLE,
     .offset = FIELD(rate),
     .metavar = "R",
     .max = (uint64_t)ARRIVALS_MAX_RATE,
     .help = "open loop: send R requests a second, whatever becomes of them"},
    {.name = "arrivals",
     .type = OPTION_CHOICE,
     .offset = FIELD(arrivals),
     .choices = "constant|poisson",
     .fallback = "constant",
     .help = "open loop: evenly spaced, or independent of each other"},
    {.name = "ramp",
     .type = OPTION_DURATION,
     .offset = FIELD(ramp_ns),
     .metavar = "TIME",
     .min = NS_PER_MS,
     .max = UINT64_C(31536000000000000),
     .unit = "s",
     .help = "open loop: begin with a linear rise from 0 to the rate, part of --duration"},
    {.name = "stages",
     .type = OPTION_STRING,
     .offset = FIELD(stages),
     .metavar = "RATE:TIME,...",
     .help = "open loop: rates in sequence, each reported apart; in place of --rate, -n and -d"},
    {.name = "max-lag",
     .type = OPTION_DURATION,
     .offset = FIELD(max_lag_ns),
     .metavar = "TIME",
     .min = NS_PER_US,
     .max = UINT64_C(86400000000000),
     .unit = "s",
     .help =
         "open loop: drop, and count, a request that could not be sent within TIME of its time; "
         "--timeout when not given"},
    {.name = "lag-bound",
     .type = OPTION_DURATION,
     .offset = FIELD(lag_bound_ns),
     .metavar = "TIME",
     .fallback = "1ms",
     .min = NS_PER_US,
     .max = UINT64_C(86400000000000),
     .unit = "ms",
     .help = "open loop: the run is INVALID when the generator's own schedule lag has a p99 above "
             "TIME"},
    {.name = "method",
     .short_name = 'X',
     .type = OPTION_STRING,
     .offset = FIELD(method),
     .metavar = "NAME",
     .help = "of the requests: GET, or POST when there is a --body"},
    {.name = "header",
     .short_name = 'H',
     .type = OPTION_LIST,
     .offset = FIELD(headers),
     .metavar = "NAME: VALUE",
     .help = "add a header line; may be given again"},
    {.name = "body",
     .type = OPTION_STRING,
     .offset = FIELD(body),
     .metavar = "TEXT|@FILE",
     .help = "of the requests; Content-Type is JSON unless a --header says otherwise"},
    {.name = "workload",
     .type = OPTION_STRING,
     .offset = FIELD(workload),
     .metavar = "NAME[:k=v]",
     .help = "db-write, db-read, db-mix, or ycsb-a to ycsb-f: the database's requests, in place of "
             "the URL's path"},
    {.name = "verify",
     .type = OPTION_CHOICE,
     .offset = FIELD(verify),
     .choices = VERIFICATION_MODES,
     .fallback = "all",
     .help = "with --workload, and in none of the figures: read every row before and after the run "
             "and compare all replicas, or compare these alone, or neither"},
    {.name = "verify-timeout",
     .type = OPTION_DURATION,
     .offset = FIELD(verify_timeout_ns),
     .metavar = "TIME",
     .fallback = "30s",
     .min = NS_PER_MS,
     .max = UINT64_C(86400000000000),
     .unit = "s",
     .help = "how long that waits for what does not answer, or for replicas to be equal, as while "
             "a server is being replaced"},
    {.name = "keys",
     .type = OPTION_STRING,
     .offset = FIELD(keys),
     .metavar = "NAME[:k=v]",
     .help = "ids, uniform, zipfian, sequential or hotspot: what {key} in the URL, a --header or "
             "the --body stands for (default: ids)"},
    {.name = "key-header",
     .type = OPTION_STRING,
     .offset = FIELD(key_header),
     .metavar = "NAME",
     .help = "send the key in this header"},
    {.name = "trace",
     .type = OPTION_STRING,
     .offset = FIELD(trace),
     .metavar = "FILE",
     .help = "replay a file of paths or six-digit ids (as keys), one a line, over and over"},
    {.name = "trace-once",
     .type = OPTION_FLAG,
     .offset = FIELD(trace_once),
     .help = "end with the trace's last line"},
    {.name = "timeout",
     .type = OPTION_DURATION,
     .offset = FIELD(timeout_ns),
     .metavar = "TIME",
     .fallback = "10s",
     .min = 1000000,
     .max = UINT64_C(86400000000000),
     .unit = "s",
     .help = "give a request up after so long (seconds, or 500ms)"},
    {.name = "expect",
     .type = OPTION_STRING,
     .offset = FIELD(expect),
     .metavar = "TEXT",
     .help = "a good answer's body holds this text"},
    {.name = "client",
     .type = OPTION_STRING,
     .offset = FIELD(client),
     .metavar = "NAME[:k=v]",
     .fallback = "curl",
     .help = "what sends the requests"},
    {.name = "seed",
     .type = OPTION_U64,
     .offset = FIELD(seed),
     .metavar = "S",
     .fallback = "1",
     .help = "of the random choices: keys, poisson arrivals"},
    {.name = "fail-if",
     .type = OPTION_LIST,
     .offset = FIELD(fail_if),
     .metavar = "EXPR",
     .help = "exit with 3 when it holds: p99>10ms, errors>0, errors>=1%, rate<1000, dropped>0, "
             "service.p50>2ms; may be given again"},
    {.name = "timeline",
     .type = OPTION_STRING,
     .offset = FIELD(timeline),
     .metavar = "FILE",
     .help = "write what happened in each bucket of time: answers, errors, latency, by server "
             "(tab-separated)"},
    {.name = "timeline-bucket",
     .type = OPTION_DURATION,
     .offset = FIELD(timeline_ns),
     .metavar = "TIME",
     .fallback = "50ms",
     .min = NS_PER_MS,
     .max = UINT64_C(3600000000000),
     .unit = "ms",
     .help = "width of a bucket"},
    {.name = "ready-fd",
     .type = OPTION_U64,
     .offset = FIELD(ready_fd),
     .metavar = "FD",
     .fallback = "0",
     .max = 1u << 20,
     .help = "write HOST:PORT to this inherited descriptor when the first request is sent, after "
             "what --verify reads before; 0 is none"},
    {.name = "json",
     .type = OPTION_STRING,
     .offset = FIELD(json),
     .metavar = "FILE",
     .help = "write the result as JSON; - for stdout, in place of the table"},
    {.name = "hgrm",
     .type = OPTION_STRING,
     .offset = FIELD(hgrm),
     .metavar = "FILE",
     .help = "write the latency histogram in HdrHistogram's percentile format (ms)"},
    {.name = "latencies",
     .type = OPTION_STRING,
     .offset = FIELD(latencies),
     .metavar = "FILE",
     .help = "write the latency of every single good answer: ns, one a line; of at most 33554432, "
             "for which they take 256 MiB of memory"},
    {.name = "quiet",
     .short_name = 'q',
     .type = OPTION_FLAG,
     .offset = FIELD(quiet),
     .help = "no progress on stderr"},
    {.name = NULL},
};

static int run_verb(int argc, char **argv);

static const struct cli_verb load_verb = {
    .name = "load",
    .summary = "send requests, count and time the answers",
    .usage = "[options] http://HOST[:PORT][/PATH]",
    .details =
        "Closed loop: each of the requests in flight is followed by the next when it ends. With\n"
        "--rate or --stages an open loop: requests have their times, whatever the target does, "
        "and\n"
        "latency counts from the intended start, so that a stall is not hidden; the service time,\n"
        "from the actual send, stands beside it. HOST is a numeric address or localhost. Only "
        "good\n"
        "answers (whole, 2xx, with the expected text) count in rate and latency; failed ones are\n"
        "counted by class, with a hint. After --duration nothing more is sent, and the answers\n"
        "still out are waited for.\n"
        "\n"
        "--keys: ids (100000 to 999999), uniform, sequential, "
        "zipfian:exponent=0.99,scrambled=true,\n"
        "hotspot:keys=0.2,requests=0.8; all but ids take low=K,high=K.\n"
        "\n"
        "--workload: the example table of the database. db-write:rows=1,low=0,ids=10000 adds each "
        "id\n"
        "once; db-read:width=1 reads keys that must all be there; "
        "db-mix:read=50,update=40,insert=10\n"
        "(also scan, delete, rmw) mixes them, as ycsb-a to ycsb-f do; each takes low and ids, and "
        "--keys\n"
        "chooses among these what is read and changed. Without -n and -d db-write adds all of "
        "them.\n"
        "Every row that comes back is proven to be one that was written. --verify all proves the "
        "run:\n"
        "every acknowledged write is there, nothing else is, rows from before are as they were, "
        "and\n"
        "the replicas of each shard have equal counts and checksums. Nobody else may write "
        "meanwhile.\n"
        "\n"
        "The result goes to stdout, progress to stderr. Exit code: 0 when every request\n"
        "succeeded, 1 when any failed or was dropped or none was answered (failures that an\n"
        "'errors' threshold allows aside), 2 on wrong usage, 3 when a --fail-if holds, 4 when the\n"
        "run is INVALID: an open loop whose generator itself was too slow; a run on the database "
        "that\n"
        "--verify does not find in order, or in which any request failed (unless an 'errors' "
        "threshold\n"
        "allows it). 130 when interrupted, the partial result then being printed, unverified.",
    .options = options,
    .run = run_verb,
};
VERB_REGISTER(load_verb);

static int write_json(const struct result *result, const char *path, struct err *err)
{
    cJSON *tree = result_json(result);
    cJSON *environment = cJSON_AddObjectToObject(tree, "environment");
    struct buf text;
    int rc = 0;

    cJSON_AddItemToObject(environment, "quoit", environment_build());
    cJSON_AddItemToObject(environment, "host", environment_host());
    cJSON_AddItemToObject(environment, "libraries", environment_libraries(NULL));

    buf_init(&text, 0);
    json_print(&text, tree, true);
    if (strcmp(path, "-") != 0)
        rc = file_write_atomic(path, buf_head(&text), buf_len(&text), err);
    else if (fwrite(buf_head(&text), 1, buf_len(&text), stdout) != buf_len(&text))
        rc = err_set_errno(err, -EIO, "stdout");
    buf_done(&text);
    cJSON_Delete(tree);
    return rc;
}

static int write_hgrm(const struct result *result, const char *path, struct err *err)
{
    char *text = NULL;
    size_t n = 0;
    FILE *memory = open_memstream(&text, &n);
    int rc;

    if (!memory)
        return err_set_errno(err, -errno, "%s", path);
    hist_write_hgrm(result->latency, memory, 1e6);
    fclose(memory);
    rc = file_write_atomic(path, text, n, err);
    free(text);
    return rc;
}

/* Not by way of a text in memory, as the others: this one can be a third of a gigabyte. */
static int write_latencies(const struct latencies *latencies, const char *path, struct err *err)
{
    FILE *out = fopen(path, "we");
    int rc;

    if (!out)
        return err_set_errno(err, -errno, "%s", path);
    rc = latencies_write(latencies, out);
    if (fclose(out) != 0 && rc == 0)
        rc = -errno;
    if (rc < 0)
        return err_set_errno(err, rc, "%s", path);
    if (latencies_lost(latencies))
        return err_set(err, -EFBIG,
                       "--latencies: %s has the first %" PRIu64 " only, %" PRIu64
                       " more were not kept",
                       path, latencies_kept(latencies), latencies_lost(latencies));
    return 0;
}

static int write_timeline(const struct result *result, const char *path, struct err *err)
{
    char *text = NULL;
    size_t n = 0;
    FILE *memory = open_memstream(&text, &n);
    int rc;

    if (!memory)
        return err_set_errno(err, -errno, "%s", path);
    timeline_write(result->timeline, result->started_ns, memory);
    fclose(memory);
    rc = file_write_atomic(path, text, n, err);
    free(text);
    return rc;
}

/* ---- what became of it ---- */

static int write_files(const struct load_options *opt, const struct result *result)
{
    struct err err;

    if ((opt->json && write_json(result, opt->json, &err) < 0) ||
        (opt->hgrm && write_hgrm(result, opt->hgrm, &err) < 0) ||
        (opt->timeline && write_timeline(result, opt->timeline, &err) < 0) ||
        (opt->latencies && write_latencies(result->latencies, opt->latencies, &err) < 0)) {
        fprintf(stderr, "quoit load: %s\n", err.message);
        return EXIT_FAILED;
    }
    if (fflush(stdout) != 0) {
        fprintf(stderr, "quoit load: stdout: %s\n", err_errno_text(errno));
        return EXIT_FAILED;
    }
    return EXIT_OK;
}

static bool any_missed(const struct result *result)
{
    bool any = false;

    for (size_t i = 0; i < result->n_thresholds; i++) {
        const struct threshold_outcome *outcome = &result->thresholds[i];
        if (!outcome->missed)
            continue;
        any = true;
        if (outcome->known)
            fprintf(stderr, "quoit load: threshold missed: %s (measured: %.6g%s%s)\n",
                    outcome->threshold->text, outcome->value,
                    *threshold_unit(outcome->threshold) == 'm' ? " " : "",
                    threshold_unit(outcome->threshold));
        else
            fprintf(stderr, "quoit load: threshold missed: %s (nothing was measured)\n",
                    outcome->threshold->text);
    }
    return any;
}

/* Prints and writes everything; returns the exit code. */
static int report(const struct load_options *opt, const struct result *result)
{
    const bool json_on_stdout = opt->json && strcmp(opt->json, "-") == 0;
    struct trust trust;
    bool missed;
    int code;

    if (!json_on_stdout)
        result_print(result, stdout);
    code = write_files(opt, result);
    missed = any_missed(result);
    trust_judge(result, &trust);
    for (size_t i = 0; i < trust.n_reasons; i++)
        fprintf(stderr, "quoit load: INVALID: %s\n", trust.reasons[i]);
    if (result->interrupted) {
        fprintf(stderr, "quoit load: interrupted; the result is partial\n");
        return EXIT_INTERRUPTED;
    }
    if (code != EXIT_OK)
        return code;
    if (result->n_ok == 0)
        fprintf(stderr, "quoit load: not one of %" PRIu64 " requests to %s succeeded\n",
                result_requests(result) + result->n_dropped, result->settings.url);
    else if (result->n_failed || result->n_dropped)
        fprintf(stderr,
                "quoit load: %" PRIu64 " of %" PRIu64 " requests failed, %" PRIu64
                " were dropped\n",
                result->n_failed, result_requests(result) + result->n_dropped, result->n_dropped);
    if (!trust.valid)
        return EXIT_INVALID;
    if (missed)
        return EXIT_THRESHOLD;
    if (result->n_ok == 0 || result->n_dropped ||
        (result->n_failed && !trust_errors_are_allowed(result)))
        return EXIT_FAILED;
    return EXIT_OK;
}

static void judge(struct load_job *job, struct result *result)
{
    result->thresholds = job->outcomes;
    result->n_thresholds = job->opt->fail_if.n;
    for (size_t i = 0; i < result->n_thresholds; i++)
        job->outcomes[i] = threshold_judge(&job->thresholds[i], result);
}

/* The run, and around it, with a database workload, what verifies it. */
static int drive(struct load_job *job, struct result **ret_result, struct err *err)
{
    int rc;

    if (!job->opt->workload)
        return load_run(&job->config, ret_result, err);
    rc = verification_begin(&job->verification, &job->verify, err);
    if (rc == 0)
        rc = load_run(&job->config, ret_result, err);
    if (rc < 0)
        return rc;
    assert(*ret_result);
    verification_end(&job->verification, (*ret_result)->interrupted);
    (*ret_result)->verification = &job->verification;
    return 0;
}

static int run_verb(int argc, char **argv)
{
    struct load_options opt;
    struct result *result = NULL;
    struct load_job *job;
    struct err err = {0, ""};
    char **words;
    int code, rc;

    cli_parse(&load_verb, argc, argv, &opt, 1, 1, &words);
    job = mem_zalloc(1, sizeof(*job));
    if (load_job_init(job, &opt, words[0], &err) < 0) {
        code = cli_usage_error(&load_verb, "%s", err.message);
    } else if ((rc = drive(job, &result, &err)) < 0) {
        fprintf(stderr, "quoit load: %s\n", err.message);
        code = rc == -EINTR ? EXIT_INTERRUPTED : EXIT_FAILED;
    } else {
        judge(job, result);
        code = report(&opt, result);
    }
    result_free(result);
    load_job_done(job);
    free(job);
    return code;
}
