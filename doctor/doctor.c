#include "doctor/doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "doctor/check.h"

#define DEFAULT_CONNECTIONS 1024

static const struct check *const tables[] = {limit_checks, machine_checks, program_checks,
                                             build_checks};

void check_add(struct doctor_report *report, const struct check *check, enum doctor_level level,
               const char *advice, const char *format, ...)
{
    va_list args;
    if (report->n == report->n_allocated) {
        report->n_allocated = report->n_allocated ? 2 * report->n_allocated : 32;
        report->findings =
            mem_realloc(report->findings, report->n_allocated, sizeof(*report->findings));
    }
    struct doctor_finding *finding = &report->findings[report->n++];
    *finding = (struct doctor_finding){.level = level,
                                       .group = check->group,
                                       .name = check->name,
                                       .why = check->why,
                                       .advice = advice};
    va_start(args, format);
    vsnprintf(finding->found, sizeof(finding->found), format, args);
    va_end(args);
    report->n_of[level]++;
}

void doctor_run(const struct doctor_wants *wants, enum doctor_depth depth,
                struct doctor_report *ret_report)
{
    struct doctor_wants own = {0};
    *ret_report = (struct doctor_report){0};
    if (wants)
        own = *wants;
    if (!own.results_dir)
        own.results_dir = "results";
    if (own.n_connections == 0)
        own.n_connections = DEFAULT_CONNECTIONS;
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
        for (const struct check *check = tables[i]; check->name; check++)
            if (depth == DOCTOR_FULL || check->quick)
                check->run(check, &own, ret_report);
}

void doctor_report_done(struct doctor_report *report)
{
    free(report->findings);
    *report = (struct doctor_report){0};
}
