#include "experiments/preload.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "core/clock.h"
#include "experiments/child.h"

#define PRELOAD_TIMEOUT_NS (UINT64_C(120) * NS_PER_S)
#define MOST_ROWS_WRITTEN UINT64_C(100) /* a request */
#define MOST_ROWS_READ UINT64_C(10000)

/* What the load found becomes the sample's doubt, unless there is one already. */
static int load_judge(const struct child *load, const char *path, const char *what,
                      struct sample *sample, struct err *err)
{
    struct sample found = {0};
    int status = sample_read(load, path, 0, &found, err);
    if (status < 0)
        return status;
    /* Those that lose rows say so themselves; whoever verifies nothing is caught by what follows.
     */
    if (*found.doubt && !*sample->doubt)
        snprintf(sample->doubt, sizeof(sample->doubt), "%s: %.250s", what, found.doubt);
    if (found.n_errors && !*sample->doubt)
        snprintf(sample->doubt, sizeof(sample->doubt), "%s: %" PRIu64 " requests failed: %.150s",
                 what, found.n_errors, found.error);
    return 0;
}

/* Runs the workload to its end, by n requests; keys may be NULL; what: of the rows, for people. */
static int load_run(const struct sample_config *config, const char *address, const char *workload,
                    const char *keys, uint64_t n, const char *what, struct sample *sample,
                    struct err *err)
{
    char url[128], requests[24], json[4096], said[4096];
    struct child load;
    snprintf(url, sizeof(url), "http://%s", address);
    snprintf(requests, sizeof(requests), "%" PRIu64, n);
    snprintf(json, sizeof(json), "%s/preload.json", config->dir);
    snprintf(said, sizeof(said), "%s/preload.stderr", config->dir);
    const char *const argv[] = {config->program,
                                "load",
                                url,
                                "-n",
                                requests,
                                "-c",
                                "16",
                                "--client",
                                "raw",
                                "--json",
                                json,
                                "--quiet",
                                "--verify", /* the check reads each row, the load all replicas */
                                "none",
                                "--workload",
                                workload,
                                keys ? "--keys" : NULL,
                                keys,
                                NULL};
    int status = child_run(&load, "quoit load", argv, said, PRELOAD_TIMEOUT_NS, err);
    if (status < 0)
        return status;
    status = load_judge(&load, json, what, sample, err);
    child_done(&load);
    unlink(json);
    unlink(said);
    return status;
}

int preload_write(const struct sample_config *config, const char *address, struct sample *sample,
                  struct err *err)
{
    char workload[128];
    uint64_t n = config->settings->load.preload, rows = MOST_ROWS_WRITTEN;
    if (!n)
        return 0;
    while (n % rows)
        rows--;
    snprintf(workload, sizeof(workload),
             "db-write:ids=%" PRIu64 ",rows=%" PRIu64 ",order=ascending", n, rows);
    return load_run(config, address, workload, NULL, n / rows, "rows that were to be there first",
                    sample, err);
}

int preload_check(const struct sample_config *config, const char *address, struct sample *sample,
                  struct err *err)
{
    uint64_t n = config->settings->load.preload;
    int status = 0;
    if (experiment_store_forgets(&config->settings->cluster))
        return 0;
    for (uint64_t low = 0; low < n && status >= 0; low += MOST_ROWS_READ) {
        /* One request, from the lowest key on. */
        char workload[128], keys[128];
        uint64_t width = n - low < MOST_ROWS_READ ? n - low : MOST_ROWS_READ;
        snprintf(workload, sizeof(workload),
                 "db-read:low=%" PRIu64 ",ids=%" PRIu64 ",width=%" PRIu64, low, width, width);
        snprintf(keys, sizeof(keys), "sequential:low=%" PRIu64 ",high=%" PRIu64, low, low);
        status =
            load_run(config, address, workload, keys, 1, "rows that were there first", sample, err);
    }
    return status;
}
