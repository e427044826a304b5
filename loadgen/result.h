/* What a load found out. Only good answers count in rate and latency (goodput); every failed one is
 * counted in exactly one class, with the first of each class kept as an example. Constant memory
 * whatever the number of requests.
 *
 * The JSON (result_json) is what other programs read; its keys are fixed by "schema_version":
 *
 *   {"kind":"load","schema_version":1,
 *    "settings":{"url","workload","loop","client","in_flight","requests","duration_s",
 *                "warmup_requests","warmup_s","timeout_ms","expect","seed"},
 *    "started":"2026-11-21T09:30:12.345Z","ended":…,"duration_s":1.25,"interrupted":false,
 *    "requests":10000,"ok":9990,"failed":10,"abandoned":0,"warmup":1000,
 *    "rate":7992.0,                                     ok answers a second
 *    "body_bytes":…,
 *    "latency_ms":{"count","min","mean","p50","p90","p99","p99_9","max"},   null without answers
 *    "servers":{"Server1":3333,…},                      ok answers by X-Quoit-Server, by name
 *    "servers_failed":{"Server2":10},                   failed ones that named a server
 *    "unnamed":0,"other_servers":0,                     ok, without a name; past the limit of names
 *    "statuses":{"200":9990,"503":10},
 *    "errors":{"status_5xx":{"count":10,"example":"HTTP 503 from Server2","hint":…}},
 *    "connections":{"opened":64,"resent":0},
 *    "generator":{"cpu_us_per_request":15.1,"cpu_share":0.97}} cpu_share: of one core
 *
 * requests = ok + failed: those that ended, warm-up aside. abandoned: sent and given up when the
 * run was interrupted; in no other count. No number is ever NaN or infinite. */
#ifndef QUOIT_LOADGEN_RESULT_H
#define QUOIT_LOADGEN_RESULT_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "backends/client.h"
#include "core/hist.h"
#include "loadgen/schedule.h"
#include "loadgen/server_counts.h"
#include "loadgen/verify.h"

#define RESULT_SCHEMA_VERSION 1
#define RESULT_N_STATUSES 1000
#define RESULT_EXAMPLE_BYTES 256

/* What was asked for; strings are borrowed and must outlive the result. */
struct result_settings {
    const char *url;
    const char *workload;
    const char *client;
    const char *expect; /* NULL: none */
    uint32_t n_in_flight;
    struct schedule_limit measured;
    struct schedule_limit warmup;
    uint64_t timeout_ns;
    uint64_t seed;
};

struct result {
    struct result_settings settings;
    char address[ADDR_TEXT_BYTES];
    uint64_t started_wall_ns; /* first measured request sent; 0: none was */
    uint64_t started_ns;
    uint64_t ended_ns; /* last measured request ended */
    uint64_t cpu_ns;   /* of this process in between */
    uint64_t n_ok;
    uint64_t n_failed;
    uint64_t n_warmup;    /* ended requests of the warm-up, good or bad */
    uint64_t n_abandoned; /* in flight when the run was cut off */
    uint64_t n_body_bytes;
    uint64_t n_by_verdict[VERDICT_N];
    uint64_t n_by_status[RESULT_N_STATUSES];
    char examples[VERDICT_N][RESULT_EXAMPLE_BYTES];
    struct hist *latency; /* ns, of good answers */
    struct server_counts servers;
    struct client_counts connections;
    bool interrupted;
};

struct result *result_new(const struct result_settings *settings, const struct addr *addr);
/* Takes NULL. */
void result_free(struct result *result);
/* Counts one ended request of the measured phase. */
void result_record(struct result *result, enum verdict verdict, const struct client_answer *answer);
/* After the last record: sorts what is to be sorted. */
void result_finish(struct result *result);

static inline uint64_t result_requests(const struct result *result)
{
    return result->n_ok + result->n_failed;
}

/* All of these are finite; 0 where there is nothing to divide by. */
double result_duration_s(const struct result *result);
double result_rate(const struct result *result);
double result_cpu_us_per_request(const struct result *result);
double result_cpu_share(const struct result *result);

/* The table for a person. */
void result_print(const struct result *result, FILE *out);
/* A new tree, for cJSON_Delete(). */
cJSON *result_json(const struct result *result);

#endif
