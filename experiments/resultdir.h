/* The folder of a run's results, which is there whole or not at all: files are written to a hidden
 * one beside it, which gets its name, UTC-COMMIT, at the end. */
#ifndef QUOIT_EXPERIMENTS_RESULTDIR_H
#define QUOIT_EXPERIMENTS_RESULTDIR_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

struct resultdir {
    char *parent; /* RESULTS/NAME */
    char *work;   /* the hidden folder */
    char *final;  /* what it will be called */
};

/* Makes the hidden folder: fails before anything was run when that cannot be written to. 0 or a
 * negative errno. Pair with resultdir_done(). */
int resultdir_open(struct resultdir *dir, const char *results, const char *name,
                   uint64_t started_ns, struct err *err);
/* One file of it. 0 or a negative errno naming the file. */
int resultdir_write(struct resultdir *dir, const char *name, const void *bytes, size_t n,
                    struct err *err);
/* Gives it its name. 0 or a negative errno. */
int resultdir_finish(struct resultdir *dir, struct err *err);
/* Removes what was not finished, and RESULTS/NAME when that leaves it empty. Takes a zeroed one. */
void resultdir_done(struct resultdir *dir);

/* rm -r of a folder that we made; errors are not told. */
void resultdir_remove_tree(const char *path);

#endif
