#include "cmd/load_job.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/file.h"
#include "loadgen/headers.h"
#include "loadgen/workload_db.h"

#define DEFAULT_REQUESTS 10000
#define MAX_BODY_BYTES (1u << 20)

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
static int add_warmup(struct load_job *job, double rate, struct err *err)
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

static int set_up_stages(struct load_job *job, struct err *err)
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

static int set_up_rate(struct load_job *job, struct err *err)
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

/* Where there is nothing but ids to add, as many as add them all. */
static uint64_t default_requests(const struct load_job *job)
{
    const struct workload_db_mix *mix = &job->mix;

    return mix->percent[DB_INSERT] == 100 ? (mix->ids + mix->rows - 1) / mix->rows
                                          : DEFAULT_REQUESTS;
}

static int set_up_schedule(struct load_job *job, struct err *err)
{
    const struct load_options *opt = job->opt;
    struct result_settings *settings = &job->config.settings;
    int rc = 0;

    if (opt->warmup)
        rc = schedule_limit_parse(opt->warmup, &settings->warmup, err);
    if (rc < 0)
        return rc;
    if (!opt->n_requests && !opt->duration_ns && !opt->stages && !opt->trace_once)
        settings->measured.n_requests = default_requests(job);
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

static int set_up_body(struct load_job *job, struct err *err)
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

static int set_up_trace(struct load_job *job, struct err *err)
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
static int set_up_keys(struct load_job *job, struct err *err)
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

static int check_db_options(const struct load_job *job, struct err *err)
{
    const struct load_options *opt = job->opt;
    const struct {
        const char *name;
        bool given;
    } http_only[] = {{"body", opt->body != NULL},
                     {"method", opt->method != NULL},
                     {"header", opt->headers.n > 0},
                     {"trace", opt->trace != NULL},
                     {"key-header", opt->key_header != NULL}};

    for (size_t i = 0; i < sizeof(http_only) / sizeof(*http_only); i++)
        if (http_only[i].given)
            return err_set(err, -EINVAL, "--workload makes the requests: no --%s beside it",
                           http_only[i].name);
    if (strcmp(job->url.target, "/") != 0)
        return err_set(err, -EINVAL, "--workload makes the requests: no path in the URL, '%s'",
                       job->url.target);
    return 0;
}

/* What the workload is, before anything depends on it. */
static int parse_workload(struct load_job *job, struct err *err)
{
    int rc;

    if (!job->opt->workload)
        return 0;
    rc = check_db_options(job, err);
    if (rc == 0)
        rc = spec_parse(&workload_family, job->opt->workload, &job->workload, err);
    return rc < 0 ? rc : workload_db_mix(&job->workload, &job->mix, err);
}

static int check_ids(const struct load_job *job, struct err *err)
{
    const struct result_settings *settings = &job->config.settings;
    const struct workload_db_mix *mix = &job->mix;
    const uint64_t n = settings->measured.n_requests + settings->warmup.n_requests;

    if (mix->percent[DB_INSERT] < 100 || n <= (mix->ids + mix->rows - 1) / mix->rows)
        return 0;
    return err_set(err, -EINVAL,
                   "%" PRIu64 " requests of %" PRIu64 " rows are more than the %" PRIu64
                   " ids there are, each to be added once: ids=%" PRIu64,
                   n, mix->rows, mix->ids, n * mix->rows);
}

static int set_up_db(struct load_job *job, struct err *err)
{
    const struct load_options *opt = job->opt;
    struct result_settings *settings = &job->config.settings;
    struct keys_place place = {.seed = settings->seed, .n_threads = settings->n_threads};
    const struct schedule_limit *measured = &settings->measured, *warmup = &settings->warmup;
    int rc = check_ids(job, err);

    for (uint32_t i = 0; i < settings->n_threads && rc == 0; i++) {
        place.thread = i;
        rc = workload_db_new(&job->workload, opt->keys, &place, &job->workloads[i], err);
    }
    if (rc < 0)
        return rc;
    settings->keys = opt->keys;
    settings->workload = job->workload.text;
    settings->operations = job->workloads[0]->ops->operations;
    settings->verify = verification_mode_name((enum verification_mode)opt->verify);
    job->verify = (struct verification_config){
        .mode = (enum verification_mode)opt->verify,
        .client = &job->client,
        .addr = job->url.addr,
        .timeout_ns = opt->timeout_ns,
        .patience_ns = opt->verify_timeout_ns,
        .mix = job->mix,
        .workloads = job->workloads,
        .n_threads = settings->n_threads,
        .n_requests = measured->n_requests && !warmup->duration_ns
                          ? measured->n_requests + warmup->n_requests
                          : 0,
    };
    return 0;
}

static int set_up_http(struct load_job *job, struct err *err)
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

/* When the number of requests is known, it is known too whether they can be kept. */
static int set_up_latencies(const struct load_job *job, struct err *err)
{
    const struct result_settings *settings = &job->config.settings;

    if (settings->n_latencies && settings->measured.n_requests > settings->n_latencies)
        return err_set(err, -EINVAL, "--latencies keeps at most %" PRIu64 " of them, not %" PRIu64,
                       settings->n_latencies, settings->measured.n_requests);
    return 0;
}

static int set_up_threads(struct load_job *job, struct err *err)
{
    struct result_settings *settings = &job->config.settings;

    if (settings->n_threads > settings->n_in_flight)
        return err_set(err, -EINVAL, "%" PRIu32 " threads share %" PRIu32 " in flight (-c)",
                       settings->n_threads, settings->n_in_flight);
    if (settings->measured.n_requests && settings->n_threads > settings->measured.n_requests)
        settings->n_threads = (uint32_t)settings->measured.n_requests;
    return 0;
}

int load_job_init(struct load_job *job, const struct load_options *opt, const char *url,
                  struct err *err)
{
    int rc = 0;

    memset(job, 0, sizeof(*job));
    job->opt = opt;
    buf_init(&job->headers, 0);
    buf_init(&job->body, MAX_BODY_BYTES);
    job->config = (struct load_config){
        .client = &job->client,
        .workloads = job->workloads,
        .progress = opt->quiet ? NULL : stderr,
        .ready_fd = (int)opt->ready_fd,
        .settings = {.url = url,
                     .client = opt->client,
                     .expect = opt->expect,
                     .n_in_flight = (uint32_t)opt->n_in_flight,
                     .n_threads = (uint32_t)opt->n_threads,
                     .measured = {opt->n_requests, opt->duration_ns},
                     .timeout_ns = opt->timeout_ns,
                     .timeline_ns = opt->timeline ? opt->timeline_ns : 0,
                     .n_latencies = opt->latencies ? LATENCIES_MAX : 0,
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
        rc = parse_workload(job, err);
    if (rc == 0)
        rc = set_up_schedule(job, err);
    if (rc == 0)
        rc = set_up_trace(job, err);
    job->config.addr = job->url.addr;
    if (rc == 0)
        rc = set_up_latencies(job, err);
    if (rc == 0)
        rc = set_up_threads(job, err);
    if (rc < 0)
        return rc;
    return opt->workload ? set_up_db(job, err) : set_up_http(job, err);
}

void load_job_done(struct load_job *job)
{
    for (size_t i = 0; i < RESULT_MAX_THREADS; i++)
        workload_free(job->workloads[i]);
    verification_done(&job->verification);
    trace_close(&job->trace);
    buf_done(&job->headers);
    buf_done(&job->body);
    spec_done(&job->keys);
    spec_done(&job->workload);
    spec_done(&job->client);
    url_done(&job->url);
}
