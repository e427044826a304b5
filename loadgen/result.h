/* What a load found out. Only good answers count in rate and latency (goodput); every failed one is
 * counted in exactly one class, with the first of each class kept as an example. Constant memory
 * whatever the number of requests.
 *
 * The JSON (result_json) is what other programs read; its keys are fixed by "schema_version". 2 has
 * every key of 1, with the same meaning, and those of the open loop, of threads and verdicts; 3 has
 * every key of 2, and those of the database workloads:
 *
 *   {"kind":"load","schema_version":3,
 *    "settings":{"url","workload","loop":"closed"|"open","client","threads","in_flight","requests",
 *                "duration_s","warmup_requests","warmup_s","timeout_ms","expect","seed","method",
 *                "keys","key_header","trace",
 *                "rate","arrivals":"constant"|"poisson","ramp_s","stages","max_lag_ms",
 *                "lag_bound_ms",                          these six null in a closed loop
 *                "verify":"all"|"replicas"|"none"},       null without a database workload
 *    "started":"2026-11-21T09:30:12.345Z","ended":…,"duration_s":1.25,"interrupted":false,
 *    "started_monotonic_ns":…,                          the same on CLOCK_MONOTONIC
 *    "requests":10000,"ok":9990,"failed":10,"abandoned":0,"warmup":1000,
 *    "rate":7992.0,                                     ok answers a second
 *    "body_bytes":…,
 *    "rows":{"read":…,"written":…,                      of ok answers, and the same a second; null
 *            "read_rate":…,"write_rate":…},             without a database workload
 *    "operations":[{"name":"read"|"scan"|"update"|"insert"|"delete","ok","failed","rate",
 *                   "latency_ms":{…}}],                 those that there were; [] without
 *    "latency_ms":{"count","min","mean","p50","p90","p99","p99_9","max"},   null without answers;
 *                                                       open loop: from the intended start
 *    "service_ms":{…},                                  from the actual send; null in a closed loop
 *    "open":{"scheduled":…,"late":…,"late_share":…,     null in a closed loop
 *            "dropped":…,"rate_scheduled":…,"rate_sent":…,
 *            "lag_ms":{…},                              send after its time, of those not late
 *            "wait_ms":{…}},                            the same of the late: no slot was free
 *    "stages":[{"rate_from","rate_to","duration_s","scheduled","ok","failed","late","dropped",
 *               "rate","latency_ms","service_ms"}],     empty with one stage
 *    "servers":{"Server1":3333,…},                      ok answers by X-Quoit-Server, by name
 *    "servers_failed":{"Server2":10},                   failed ones that named a server
 *    "unnamed":0,"other_servers":0,                     ok, without a name; past the limit of names
 *    "statuses":{"200":9990,"503":10},
 *    "errors":{"status_5xx":{"count":10,"example":"HTTP 503 from Server2","hint":…}},
 *    "connections":{"opened":64,"resent":0},
 *    "generator":{"cpu_us_per_request":15.1,
 *                 "cpu_share":0.97,                     of one core, all threads
 *                 "threads":[{"requests","cpu_share","busy_share"}]},  busy: not waiting for events
 *    "thresholds":[{"fail_if":"p99>10ms","value":12.3,"unit":"ms","missed":true}],   value null:
 *                                                       nothing was measured, which is a miss
 *    "verification":{…},                                loadgen/verification.h; null without
 *    "verdict":{"valid":true,"reasons":[],"warnings":[]},     loadgen/trust.h
 *    "environment":{"quoit":{…},"host":{…},"libraries":{…}}}  of quoit load --json alone:
 *                                                       experiments/environment.h
 *
 * requests = ok + failed: those that ended, warm-up aside. abandoned: sent and given up when the
 * run was interrupted; in no other count. scheduled = requests + abandoned + dropped, when the run
 * was not interrupted. No number is ever NaN or infinite. */
#ifndef QUOIT_LOADGEN_RESULT_H
#define QUOIT_LOADGEN_RESULT_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "backends/client.h"
#include "core/hist.h"
#include "loadgen/arrivals.h"
#include "loadgen/latencies.h"
#include "loadgen/schedule.h"
#include "loadgen/server_counts.h"
#include "loadgen/timeline.h"
#include "loadgen/verify.h"
#include "loadgen/workload.h"

#define RESULT_SCHEMA_VERSION 3
#define RESULT_N_STATUSES 1000
#define RESULT_EXAMPLE_BYTES 256
#define RESULT_MAX_THREADS 64u

struct threshold_outcome;

/* What was asked for; strings are borrowed and must outlive the result. */
struct result_settings {
    const char *url;
    const char *workload;
    const char *client;
    const char *expect; /* NULL: none */
    uint32_t n_in_flight;
    uint32_t n_threads; /* 0 is 1 */
    struct schedule_limit measured;
    struct schedule_limit warmup;
    uint64_t timeout_ns;
    uint64_t seed;
    const char *method;     /* NULL: GET */
    const char *keys;       /* as --keys says; NULL: none */
    const char *key_header; /* NULL: none */
    const char *trace;      /* NULL: none */
    /* The open loop. */
    const struct arrivals_plan *plan; /* NULL: closed loop, and the rest is of no effect */
    enum arrivals_kind arrivals;
    double rate;           /* 0 with stages */
    const char *stages;    /* NULL: none */
    uint64_t ramp_ns;      /* 0: none */
    uint64_t max_lag_ns;   /* a request later than that is dropped; 0: the timeout */
    uint64_t lag_bound_ns; /* p99 of the schedule lag above it makes the run invalid; 0: 1 ms */
    uint64_t timeline_ns;  /* width of a bucket; 0: no timeline */
    uint64_t n_latencies;  /* single latencies to keep; 0: none are */
    /* A database workload's; NULL: none. */
    const char *const *operations; /* names, NULL-ended (ref) */
    const char *verify;
};

/* Of one kind of requests. */
struct result_operation {
    uint64_t n_ok, n_failed;
    struct hist *latency; /* ns, of good answers; NULL while it has nothing */
};

struct verification;

/* Of one segment of the plan. */
struct result_stage {
    uint64_t n_ok, n_failed, n_late, n_dropped, n_scheduled;
    struct hist *latency, *service; /* ns; NULL while it has nothing */
};

struct result_thread {
    uint64_t n_requests;
    uint64_t cpu_ns;
    uint64_t asleep_ns; /* waiting for events */
    uint64_t span_ns;   /* from its first measured request to its end */
};

struct result {
    struct result_settings settings;
    char address[ADDR_TEXT_BYTES];
    /* First measured request sent, open loop: intended to be; 0: none was. */
    uint64_t started_wall_ns;
    uint64_t started_ns;
    uint64_t ended_ns; /* last measured request ended */
    uint64_t cpu_ns;   /* of the generator's threads in between */
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
    bool ran_out; /* the workload had no more requests before the plan was over */
    struct result_operation operations[WORKLOAD_MAX_OPERATIONS]; /* as the settings' */
    uint64_t n_rows_read, n_rows_written;
    struct result_thread threads[RESULT_MAX_THREADS];
    uint32_t n_threads;
    struct timeline *timeline;   /* NULL: none */
    struct latencies *latencies; /* of good answers, as in the histogram; NULL: none are kept */
    /* The open loop; NULL and 0 in a closed one. */
    struct hist *service; /* ns, of good answers */
    struct hist *lag;     /* ns, of all that were sent at once */
    struct hist *wait;    /* ns, of all that were late: no slot was free at their time */
    uint64_t n_scheduled;
    uint64_t n_late;
    uint64_t n_dropped;
    uint64_t last_due_ns;  /* intended time of the last one sent or dropped */
    uint64_t last_sent_ns; /* when it was */
    struct result_stage stages[ARRIVALS_MAX_SEGMENTS]; /* as the plan's segments */
    /* Judged after the run; (ref), NULL: none */
    const struct threshold_outcome *thresholds;
    size_t n_thresholds;
    const struct verification *verification; /* (ref), NULL: none */
};

struct result *result_new(const struct result_settings *settings, const struct addr *addr);
/* Takes NULL. */
void result_free(struct result *result);
/* Counts one ended request of the measured phase of a closed loop. */
void result_record(struct result *result, enum verdict verdict, const struct client_answer *answer);
/* The same of an open loop; due_ns: its intended start. */
void result_record_due(struct result *result, enum verdict verdict,
                       const struct client_answer *answer, uint64_t due_ns, uint32_t stage);
/* Beside one of these two: what kind of request it was. latency_ns: as they count it. */
void result_record_operation(struct result *result, const struct workload_done *done,
                             enum verdict verdict, uint64_t latency_ns);
/* A measured request is sent at now_ns. late: it has waited for a free slot. */
void result_sent(struct result *result, uint64_t due_ns, uint64_t now_ns, uint32_t stage,
                 bool late);
/* A measured request is given up unsent. */
void result_dropped(struct result *result, uint64_t due_ns, uint64_t now_ns, uint32_t stage);
/* Adds what another thread, with the same settings, counted. Exact. Single latencies are not
 * merged: latencies_take() moves them. */
void result_merge(struct result *into, const struct result *from);
/* After the last record: sorts what is to be sorted. */
void result_finish(struct result *result);

static inline uint64_t result_requests(const struct result *result)
{
    return result->n_ok + result->n_failed;
}

/* What to do about the failures of that class, by the status most of them had. */
const char *result_hint(const struct result *result, enum verdict verdict, char *text,
                        size_t bytes);

/* All of these are finite; 0 where there is nothing to divide by. */
double result_duration_s(const struct result *result);
double result_rate(const struct result *result);
/* n a second. */
double result_rate_of(uint64_t n, double duration_s);
double result_cpu_us_per_request(const struct result *result);
/* In cores. */
double result_cpu_share(const struct result *result);
double result_thread_cpu_share(const struct result_thread *thread);
double result_thread_busy_share(const struct result_thread *thread);
/* Open loop: requests due a second, and those sent a second, up to the last. */
double result_rate_scheduled(const struct result *result);
double result_rate_sent(const struct result *result);
double result_late_share(const struct result *result);
/* Segments of the plan that are no warm-up; 0 in a closed loop. */
size_t result_n_stages(const struct result *result);
/* A segment's planned time; of an endless one what it took until its last request was due. */
double result_stage_duration_s(const struct result *result, size_t segment);

/* The table for a person. */
void result_print(const struct result *result, FILE *out);
/* A new tree, for cJSON_Delete(). */
cJSON *result_json(const struct result *result);

#endif
