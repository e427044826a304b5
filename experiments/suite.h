/* A suite: one name for several experiments, run one after the other. NAME.ini holds it in place of
 * an experiment:
 *
 *     [suite]  name  title  runs (names of experiments or suites, blank-separated)
 *
 * So A1 is LB-A1 of Part 1 and, where there is one, DB-A1 of Part 2; A4 is its three parts. */
#ifndef QUOIT_EXPERIMENTS_SUITE_H
#define QUOIT_EXPERIMENTS_SUITE_H

#include <stddef.h>

#include "core/arena.h"
#include "core/err.h"

#define SUITE_MAX_RUNS 32
/* Suites may name suites; deeper than this, one names itself. */
#define SUITE_MAX_DEPTH 4

/* Texts live in the arena. */
struct suite {
    struct arena arena;
    const char *name, *title;
    const char *runs[SUITE_MAX_RUNS];
    size_t n_runs;
};

/* 1 and a suite; 0 when the file holds none (an experiment, then, or nothing that is understood:
 * its own reader will say); or a negative errno. Pair with suite_done(). */
int suite_read(const char *path, struct suite *ret_suite, struct err *err);
/* Takes a zeroed one. */
void suite_done(struct suite *suite);

/* The experiments that these names come to, each once, in order: new strings in a new array, for
 * suite_free_names(). A name without a file is handed on as it is. 0 or -EINVAL. */
int suite_expand(const char *dir, char *const *names, size_t n_names, char ***ret_names,
                 size_t *ret_n, struct err *err);
void suite_free_names(char **names, size_t n);

#endif
