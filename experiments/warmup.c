#include "experiments/warmup.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "core/clock.h"
#include "experiments/child.h"

#define WINDOW_TIMEOUT_NS (UINT64_C(60) * NS_PER_S)

bool warmup_is_steady(const double *rates, size_t n, double percent)
{
    if (n < WARMUP_IN_A_ROW)
        return false;
    double least = INFINITY, most = 0, sum = 0;
    for (size_t i = n - WARMUP_IN_A_ROW; i < n; i++) {
        least = fmin(least, rates[i]);
        most = fmax(most, rates[i]);
        sum += rates[i];
    }
    return sum > 0 && (most - least) * WARMUP_IN_A_ROW <= sum * percent / 100;
}

/* What one window found. A window whose requests failed has a rate too; the load that counts will
 * tell of them. */
static int window_read(const struct child *load, const char *path, double *ret_rate,
                       struct err *err)
{
    struct sample window = {0};
    int status = sample_read(load, path, 0, &window, err);
    if (status >= 0)
        *ret_rate = window.rate;
    return status;
}

static int window_run(const struct sample_config *config, const char *address, uint64_t number,
                      double *ret_rate, struct err *err)
{
    const struct experiment_load *settings = &config->settings->load;
    char url[4096], requests[24], in_flight[24], threads[24], seed[24], json[4096], said[4096];
    struct child load;
    snprintf(url, sizeof(url), "http://%s%s", address, settings->path);
    snprintf(requests, sizeof(requests), "%" PRIu64, settings->warmup);
    snprintf(in_flight, sizeof(in_flight), "%" PRIu64, settings->in_flight);
    snprintf(threads, sizeof(threads), "%" PRIu64, settings->threads);
    snprintf(seed, sizeof(seed), "%" PRIu64, config->seed + 1 + number);
    snprintf(json, sizeof(json), "%s/window.json", config->dir);
    snprintf(said, sizeof(said), "%s/window.stderr", config->dir);
    const char *const argv[] = {config->program,
                                "load",
                                url,
                                "-n",
                                requests,
                                "-c",
                                in_flight,
                                "--client",
                                settings->client,
                                "--threads",
                                threads,
                                "--json",
                                json,
                                "--seed",
                                seed,
                                "--quiet",
                                NULL};
    int status = child_run(&load, "quoit load", argv, said, WINDOW_TIMEOUT_NS, err);
    if (status < 0) {
        err_prefix(err, "a window of the warm-up");
        return status;
    }
    status = window_read(&load, json, ret_rate, err);
    child_done(&load);
    unlink(json);
    unlink(said);
    return status;
}

int warmup_run(const struct sample_config *config, const char *address, struct sample *sample,
               struct err *err)
{
    const struct experiment_load *settings = &config->settings->load;
    double rates[EXPERIMENT_MAX_WINDOWS];
    size_t n = 0;
    int status = 0;
    if (!settings->steady_percent)
        return 0;
    do {
        status = window_run(config, address, n, &rates[n], err);
        n += status >= 0;
        sample->unsteady = !warmup_is_steady(rates, n, (double)settings->steady_percent);
    } while (status >= 0 && sample->unsteady && n < settings->steady_windows);
    sample->n_windows = n;
    return status < 0 ? status : 0;
}
