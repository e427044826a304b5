/* quoit load: the load generator. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/verbs.h"
#include "core/file.h"
#include "core/json.h"
#include "loadgen/load.h"
#include "loadgen/url.h"

#define DEFAULT_REQUESTS 10000

struct load_options {
    uint64_t n_requests;
    uint64_t duration_ns;
    uint64_t n_in_flight;
    const char *warmup;
    const char *json;
    const char *hgrm;
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
     .help = "requests in flight at any time"},
    {.name = "warmup",
     .type = OPTION_STRING,
     .offset = FIELD(warmup),
     .metavar = "N|TIME",
     .help = "send so many requests (1000) or for so long (2s) first, not counted"},
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
     .help = "of the random choices a workload makes (a plain URL makes none)"},
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
        "Closed loop: each of the requests in flight is followed by the next when it ends. HOST\n"
        "is a numeric address or localhost. Only good answers (whole, 2xx, with the expected\n"
        "text) count in rate and latency; failed ones are counted by class, with a hint. After\n"
        "--duration nothing more is sent, and the answers still out are waited for.\n"
        "\n"
        "The result goes to stdout, progress to stderr. Exit code: 0 when every request\n"
        "succeeded, 1 when any failed or none was answered, 2 on wrong usage, 130 when\n"
        "interrupted, the partial result then being printed.",
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

/* Prints and writes everything; returns the exit code. */
static int report(const struct load_options *opt, const struct result *result)
{
    const bool json_on_stdout = opt->json && strcmp(opt->json, "-") == 0;
    struct err err;
    int code = EXIT_OK;

    if (!json_on_stdout)
        result_print(result, stdout);
    if ((opt->json && write_json(result, opt->json, &err) < 0) ||
        (opt->hgrm && write_hgrm(result, opt->hgrm, &err) < 0)) {
        fprintf(stderr, "quoit load: %s\n", err.message);
        code = EXIT_FAILED;
    }
    if (fflush(stdout) != 0) {
        fprintf(stderr, "quoit load: stdout: %s\n", err_errno_text(errno));
        code = EXIT_FAILED;
    }
    if (result->interrupted) {
        fprintf(stderr, "quoit load: interrupted; the result is partial\n");
        return EXIT_INTERRUPTED;
    }
    if (result->n_ok == 0) {
        fprintf(stderr, "quoit load: not one of %" PRIu64 " requests to %s succeeded\n",
                result_requests(result), result->settings.url);
        return EXIT_FAILED;
    }
    if (result->n_failed) {
        fprintf(stderr, "quoit load: %" PRIu64 " of %" PRIu64 " requests failed\n",
                result->n_failed, result_requests(result));
        return EXIT_FAILED;
    }
    return code;
}

static int run_verb(int argc, char **argv)
{
    struct load_options opt;
    struct url url = {.target = NULL};
    struct spec client = {.part = NULL};
    struct result *result = NULL;
    struct workload *workload = NULL;
    struct err err;
    char **words;
    int code;

    cli_parse(&load_verb, argc, argv, &opt, 1, 1, &words);
    struct load_config config = {
        .client = &client,
        .progress = opt.quiet ? NULL : stderr,
        .settings = {.url = words[0],
                     .client = opt.client,
                     .expect = opt.expect,
                     .n_in_flight = (uint32_t)opt.n_in_flight,
                     .measured = {opt.n_requests, opt.duration_ns},
                     .timeout_ns = opt.timeout_ns,
                     .seed = opt.seed},
    };
    if (!opt.n_requests && !opt.duration_ns)
        config.settings.measured.n_requests = DEFAULT_REQUESTS;
    if (url_parse(words[0], &url, &err) < 0 ||
        spec_parse(&client_family, opt.client, &client, &err) < 0 ||
        (opt.warmup && schedule_limit_parse(opt.warmup, &config.settings.warmup, &err) < 0)) {
        code = cli_usage_error(&load_verb, "%s", err.message);
        goto out;
    }
    config.addr = url.addr;
    workload = workload_home_new(url.target);
    config.workload = workload;
    config.settings.workload = workload->ops->name;
    if (load_run(&config, &result, &err) < 0) {
        fprintf(stderr, "quoit load: %s\n", err.message);
        code = EXIT_FAILED;
        goto out;
    }
    code = report(&opt, result);
out:
    result_free(result);
    workload_free(workload);
    spec_done(&client);
    url_done(&url);
    return code;
}
