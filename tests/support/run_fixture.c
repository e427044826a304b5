#include "tests/support/run_fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "experiments/shares.h"

const char run_fixture_ini[] = "[experiment]\n"
                               "name = T1\n"
                               "title = Made by hand\n"
                               "question = Who answers?\n"
                               "[cluster]\n"
                               "servers = 3\n"
                               "[load]\n"
                               "requests = 10000\n"
                               "[axis]\n"
                               "vary = cluster.hash\n"
                               "values = quadratic xxh64\n"
                               "labels = bad | good\n";

/* Shares × requests in whole requests: the last server takes what rounding leaves. */
static void fill_counts(struct sample *sample, const struct experiment_settings *settings)
{
    double shares[EXPERIMENT_MAX_SERVERS];
    uint64_t left = settings->load.requests;
    if (shares_exact(&settings->cluster, shares, NULL) < 0)
        abort();
    for (size_t s = 0; s < settings->cluster.servers; s++) {
        uint64_t count = (uint64_t)round(shares[s] * (double)settings->load.requests);
        if (count > left || s + 1 == settings->cluster.servers)
            count = left;
        sample->counts[s] = count;
        left -= count;
    }
}

/* A write phase and a read phase in place of the one load. */
static void fill_phases(struct sample *sample, const struct experiment_settings *settings)
{
    sample->phase = PHASE_WRITE;
    sample->verified = true;
    sample->rate *= sample->point ? 0.5 : 1;
    sample->row_rate = sample->rate * (double)experiment_rows_a_request(settings->load.write);
    sample->then = mem_zalloc(1, sizeof(*sample->then));
    *sample->then = *sample;
    sample->then->then = NULL;
    sample->then->phase = PHASE_READ;
    sample->then->rate = sample->rate * (sample->point ? 40 : 10);
    sample->then->hgrm = mem_printf("reads: %s", sample->hgrm);
}

void run_fixture_open(struct run_fixture *fixture, unsigned repeats, const char *const *overrides)
{
    const char *all[16];
    char text[40];
    struct err err;
    size_t n = 0;
    snprintf(text, sizeof(text), "experiment.repeats=%u", repeats);
    all[n++] = text;
    while (overrides && *overrides && n < 16)
        all[n++] = *overrides++;
    *fixture = (struct run_fixture){0};
    if (experiment_parse(run_fixture_ini, strlen(run_fixture_ini), "fixture.ini", all, n,
                         &fixture->experiment, &err) < 0) {
        fprintf(stderr, "%s\n", err.message);
        abort();
    }
    struct run *run = &fixture->run;
    size_t n_points = experiment_n_points(&fixture->experiment);
    run->experiment = &fixture->experiment;
    run->seed = 42;
    run->started_ns = UINT64_C(1795253412345000000);
    run->duration_ns = UINT64_C(2500000000);
    run->n_planned = run->n_samples = n_points * repeats;
    run->samples = mem_zalloc(run->n_samples, sizeof(*run->samples));
    for (size_t i = 0; i < run->n_samples; i++) {
        struct experiment_settings settings;
        struct sample *sample = &run->samples[i];
        sample->point = i % n_points;
        sample->repeat = i / n_points;
        sample->seed = 100 + i;
        experiment_point(&fixture->experiment, sample->point, &settings);
        sample->n_ok = settings.load.requests;
        sample->seconds = 0.5;
        sample->rate = 1000.0 * (double)(sample->repeat + 1);
        sample->p50_ms = 0.5;
        sample->p99_ms = 1.0 + (double)((sample->repeat * 3) % repeats);
        sample->generator_cpu = 0.5;
        /* Of servers that other machines run it is not known. */
        sample->cluster_cpu_us = settings.cluster.threads > 8 ? NAN : 12.5;
        sample->hgrm =
            mem_printf("hgrm of point %zu repeat %d\n", sample->point, (int)sample->repeat + 1);
        if (settings.load.write)
            fill_phases(sample, &settings);
        else
            fill_counts(sample, &settings);
    }
}

void run_fixture_close(struct run_fixture *fixture)
{
    for (size_t i = 0; i < fixture->run.n_samples; i++)
        sample_done(&fixture->run.samples[i]);
    free(fixture->run.samples);
    experiment_done(&fixture->experiment);
}
