/* quoit load: the load generator. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/verbs.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/json.h"
#include "core/mem.h"
#include "loadgen/headers.h"
#include "loadgen/load.h"
#include "loadgen/threshold.h"
#include "loadgen/trust.h"
#include "loadgen/url.h"

#define DEFAULT_REQUESTS 10000
#define MAX_BODY_BYTES (1u << 20)

struct load_options {
    uint64_t n_requests;
    uint64_t duration_ns;
    uint64_t n_in_flight;
    uint64_t n_threads;
    const char *warmup;
    double rate;
    int arrivals;
    uint64_t ramp_ns;
    const char *stages;
    uint64_t max_lag_ns;
    uint64_t lag_bound_ns;
    const char *method;
    struct option_list headers;
    const char *body;
    const char *keys;
    const char *key_header;
    const char *trace;
    bool trace_once;
    struct option_list fail_if;
    const char *json;
    const char *hgrm;
    const char *timeline;
    uint64_t timeline_ns;
    const char *client;
    uint64_t timeout_ns;
    const char *expect;
    uint64_t seed;
    bool quiet;
};

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
        "The result goes to stdout, progress to stderr. Exit code: 0 when every request\n"
        "succeeded, 1 when any failed or was dropped or none was answered (failures that an\n"
        "'errors' threshold allows aside), 2 on wrong usage, 3 when a --fail-if holds, 4 when an\n"
        "open loop is INVALID because the generator itself was too slow, 130 when interrupted,\n"
        "the partial result then being printed.",
    .options = options,
    .run = run_verb,
};
VERB_REGISTER(load_verb);

static int write_json(const struct result *result, const char *path, struct err *err)
{
    cJSON *tree = result_json(result);
    struct buf text;
    int rc = 0;

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
        (opt->timeline && write_timeline(result, opt->timeline, &err) < 0)) {
        fprintf(stderr, "quoit load: %s\n", err.message);
        return EXIT_FAILED;
    }
    if (fflush(stdout) != 0) {
        fprintf(stderr, "quoit load: stdout: %s\n", err_errno_text(errno));
        return EXIT_FAILED;
    }
    return EXIT_OK;
}

/* Failures that a threshold on errors has been asked about, and that it let pass. */
static bool are_allowed(const struct result *result)
{
    for (size_t i = 0; i < result->n_thresholds; i++)
        if (result->thresholds[i].threshold->metric == THRESHOLD_ERRORS)
            return !result->thresholds[i].missed;
    return false;
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
    if (result->n_ok == 0 || result->n_dropped || (result->n_failed && !are_allowed(result)))
        return EXIT_FAILED;
    return EXIT_OK;
}

/* ---- what is asked for ---- */

/* Everything a run borrows, made from the options. */
struct job {
    const struct load_options *opt;
    struct url url;
    struct spec client, keys;
    struct trace trace;
    struct buf headers, body;
    struct arrivals_plan plan;
    struct threshold thresholds[OPTION_LIST_MAX];
    struct threshold_outcome outcomes[OPTION_LIST_MAX];
    struct workload *workloads[RESULT_MAX_THREADS];
    struct load_config config;
};

static int set_up_closed(const struct load_options *opt, struct err *err)
{
    const struct {
        const char *name;
        bool given;
    } open_only[] = {{"ramp", opt->ramp_ns > 0},
                     {"max-lag", opt->max_lag_ns > 0},
                     {"arrivals poisson", opt->arrivals != ARRIVALS_CONSTANT}};

    for (size_t i = 0; i < sizeof(open_only) / sizeof(*open_only); i++)
        if (open_only[i].given)
            return err_set(err, -EINVAL, "--%s needs an open loop: --rate or --stages",
                           open_only[i].name);
    return 0;
}

/* The warm-up goes at the first rate there is. */
static int add_warmup(struct job *job, double rate, struct err *err)
{
    const struct schedule_limit *warmup = &job->config.settings.warmup;
    uint64_t duration_ns = warmup->duration_ns;

    if (warmup->n_requests)
        duration_ns = (uint64_t)((double)warmup->n_requests * (double)NS_PER_S / rate + .5);
    if (duration_ns == 0)
        return 0;
    if (!(rate > 0.))
        return err_set(err, -EINVAL, "a warm-up goes at the first rate, and that is 0");
    return arrivals_plan_add(&job->plan, rate, rate, duration_ns, true);
}

static int set_up_stages(struct job *job, struct err *err)
{
    struct arrivals_plan probe = {.n_segments = 0};
    const struct load_options *opt = job->opt;
    double first;
    int rc;

    if (opt->rate > 0. || opt->n_requests || opt->duration_ns)
        return err_set(err, -EINVAL, "--stages says the rates and times: no --rate, -n or -d");
    rc = arrivals_plan_parse(&probe, opt->stages, err);
    if (rc < 0)
        return rc;
    first = probe.segments[0].rate_from;
    rc = add_warmup(job, first, err);
    if (rc == 0 && opt->ramp_ns)
        rc = arrivals_plan_add(&job->plan, 0., first, opt->ramp_ns, false);
    return rc < 0 ? rc : arrivals_plan_parse(&job->plan, opt->stages, err);
}

static int set_up_rate(struct job *job, struct err *err)
{
    const struct load_options *opt = job->opt;
    uint64_t rest_ns = opt->duration_ns ? opt->duration_ns - opt->ramp_ns : UINT64_MAX;
    int rc = add_warmup(job, opt->rate, err);

    if (rc < 0)
        return rc;
    if (opt->duration_ns && opt->ramp_ns >= opt->duration_ns)
        return err_set(err, -EINVAL, "--ramp is part of --duration, and must be shorter");
    if (opt->ramp_ns)
        arrivals_plan_add(&job->plan, 0., opt->rate, opt->ramp_ns, false);
    arrivals_plan_add(&job->plan, opt->rate, opt->rate, rest_ns, false);
    return 0;
}

static int set_up_schedule(struct job *job, struct err *err)
{
    const struct load_options *opt = job->opt;
    struct result_settings *settings = &job->config.settings;
    int rc = 0;

    if (opt->warmup)
        rc = schedule_limit_parse(opt->warmup, &settings->warmup, err);
    if (rc < 0)
        return rc;
    if (!opt->n_requests && !opt->duration_ns && !opt->stages && !opt->trace_once)
        settings->measured.n_requests = DEFAULT_REQUESTS;
    if (!(opt->rate > 0.) && !opt->stages)
        return set_up_closed(opt, err);
    settings->plan = &job->plan;
    settings->arrivals = (enum arrivals_kind)opt->arrivals;
    settings->rate = opt->rate;
    settings->stages = opt->stages;
    settings->ramp_ns = opt->ramp_ns;
    settings->max_lag_ns = opt->max_lag_ns ? opt->max_lag_ns : opt->timeout_ns;
    settings->lag_bound_ns = opt->lag_bound_ns;
    return opt->stages ? set_up_stages(job, err) : set_up_rate(job, err);
}

static int set_up_body(struct job *job, struct err *err)
{
    const struct load_options *opt = job->opt;
    int rc = 0;

    if (!opt->body)
        return 0;
    if (opt->body[0] == '@')
        rc = file_read(opt->body + 1, &job->body, err);
    else if (buf_append_str(&job->body, opt->body) < 0)
        rc = err_set(err, -EINVAL, "the body is longer than %u bytes", MAX_BODY_BYTES);
    if (rc == 0 && buf_len(&job->body) && memchr(buf_head(&job->body), '\0', buf_len(&job->body)))
        rc = err_set(err, -EINVAL, "the body has a NUL");
    return rc;
}

static int set_up_trace(struct job *job, struct err *err)
{
    const struct load_options *opt = job->opt;
    struct schedule_limit *measured = &job->config.settings.measured;
    int rc;

    if (opt->trace_once && !opt->trace)
        return err_set(err, -EINVAL, "--trace-once needs a --trace");
    if (!opt->trace)
        return 0;
    if (opt->trace_once && (opt->n_requests || opt->warmup))
        return err_set(err, -EINVAL, "--trace-once sends each line once: no -n, no --warmup");
    rc = trace_open(opt->trace, &job->trace, err);
    if (rc == 0 && opt->trace_once)
        measured->n_requests = job->trace.n_lines;
    return rc;
}

/* {key} without --keys stands for ids. */
static int set_up_keys(struct job *job, struct err *err)
{
    const struct load_options *opt = job->opt;
    struct result_settings *settings = &job->config.settings;
    const char *texts[] = {job->url.target, buf_str(&job->headers), buf_str(&job->body)};
    const char *keys = opt->keys;

    for (size_t i = 0; i < 3 && !keys && !opt->trace; i++)
        if (strstr(texts[i], WORKLOAD_KEY))
            keys = "ids";
    settings->keys = keys;
    settings->key_header = opt->key_header;
    settings->trace = opt->trace;
    return keys ? spec_parse(&keys_family, keys, &job->keys, err) : 0;
}

static int set_up_workloads(struct job *job, struct err *err)
{
    const struct load_options *opt = job->opt;
    struct result_settings *settings = &job->config.settings;
    struct workload_http http = {.target = job->url.target};
    int rc = set_up_body(job, err);

    if (rc == 0 && opt->method && !headers_method_valid(opt->method))
        rc = err_set(err, -EINVAL, "--method: '%s' is none; GET, PUT, DELETE …", opt->method);
    if (rc == 0)
        rc = headers_build(opt->headers.texts, opt->headers.n, opt->key_header, opt->body != NULL,
                           &job->headers, err);
    if (rc == 0)
        rc = set_up_keys(job, err);
    if (rc < 0)
        return rc;
    http.method = settings->method = opt->method ? opt->method : opt->body ? "POST" : NULL;
    http.headers = buf_len(&job->headers) ? buf_str(&job->headers) : NULL;
    http.body = opt->body ? buf_str(&job->body) : NULL;
    http.keys = settings->keys ? &job->keys : NULL;
    http.trace = opt->trace ? &job->trace : NULL;
    http.place.seed = settings->seed;
    http.place.n_threads = settings->n_threads;
    for (uint32_t i = 0; i < settings->n_threads && rc == 0; i++) {
        http.place.thread = i;
        rc = workload_http_new(&http, &job->workloads[i], err);
    }
    if (rc == 0)
        settings->workload = job->workloads[0]->ops->name;
    return rc;
}

static int set_up_threads(struct job *job, struct err *err)
{
    struct result_settings *settings = &job->config.settings;

    if (settings->n_threads > settings->n_in_flight)
        return err_set(err, -EINVAL, "%" PRIu32 " threads share %" PRIu32 " in flight (-c)",
                       settings->n_threads, settings->n_in_flight);
    if (settings->measured.n_requests && settings->n_threads > settings->measured.n_requests)
        settings->n_threads = (uint32_t)settings->measured.n_requests;
    return 0;
}

static int set_up(struct job *job, const char *url, struct err *err)
{
    const struct load_options *opt = job->opt;
    int rc = 0;

    job->config = (struct load_config){
        .client = &job->client,
        .workloads = job->workloads,
        .progress = opt->quiet ? NULL : stderr,
        .settings = {.url = url,
                     .client = opt->client,
                     .expect = opt->expect,
                     .n_in_flight = (uint32_t)opt->n_in_flight,
                     .n_threads = (uint32_t)opt->n_threads,
                     .measured = {opt->n_requests, opt->duration_ns},
                     .timeout_ns = opt->timeout_ns,
                     .timeline_ns = opt->timeline ? opt->timeline_ns : 0,
                     .seed = opt->seed},
    };
    for (size_t i = 0; i < opt->fail_if.n && rc == 0; i++) {
        rc = threshold_parse(opt->fail_if.texts[i], &job->thresholds[i], err);
        if (rc < 0)
            err_prefix(err, "--fail-if");
    }
    if (rc == 0)
        rc = url_parse(url, &job->url, err);
    if (rc == 0)
        rc = spec_parse(&client_family, opt->client, &job->client, err);
    if (rc == 0)
        rc = set_up_schedule(job, err);
    if (rc == 0)
        rc = set_up_trace(job, err);
    job->config.addr = job->url.addr;
    if (rc == 0)
        rc = set_up_threads(job, err);
    return rc < 0 ? rc : set_up_workloads(job, err);
}

static void tear_down(struct job *job)
{
    for (size_t i = 0; i < RESULT_MAX_THREADS; i++)
        workload_free(job->workloads[i]);
    trace_close(&job->trace);
    buf_done(&job->headers);
    buf_done(&job->body);
    spec_done(&job->keys);
    spec_done(&job->client);
    url_done(&job->url);
    free(job);
}

static void judge(struct job *job, struct result *result)
{
    result->thresholds = job->outcomes;
    result->n_thresholds = job->opt->fail_if.n;
    for (size_t i = 0; i < result->n_thresholds; i++)
        job->outcomes[i] = threshold_judge(&job->thresholds[i], result);
}

static int run_verb(int argc, char **argv)
{
    struct load_options opt;
    struct result *result = NULL;
    struct job *job;
    struct err err;
    char **words;
    int code;

    cli_parse(&load_verb, argc, argv, &opt, 1, 1, &words);
    job = mem_zalloc(1, sizeof(*job));
    job->opt = &opt;
    buf_init(&job->headers, 0);
    buf_init(&job->body, MAX_BODY_BYTES);
    if (set_up(job, words[0], &err) < 0) {
        code = cli_usage_error(&load_verb, "%s", err.message);
    } else if (load_run(&job->config, &result, &err) < 0) {
        fprintf(stderr, "quoit load: %s\n", err.message);
        code = EXIT_FAILED;
    } else {
        judge(job, result);
        code = report(&opt, result);
    }
    result_free(result);
    tear_down(job);
    return code;
}
