/* As much of the Prometheus text format as GET /metrics of a quoit uses: values by name and by the
 * labels `server` and `le`. */
#ifndef QUOIT_CTL_PROM_H
#define QUOIT_CTL_PROM_H

#include <stddef.h>

#include "core/err.h"

struct prom_value {
    const char *name, *server; /* server: "" without that label */
    double upper;              /* label le; infinite for +Inf; NaN without that label */
    double value;
    size_t order; /* line */
};

struct prom {
    char *text;
    struct prom_value *values; /* by name, then server, then as they came */
    size_t n;
};

/* Reads a copy of the n bytes. 0, or -EPROTO naming the line that is none. Pair with prom_done(),
 * which takes a zeroed one. */
int prom_read(const char *text, size_t n, struct prom *ret_prom, struct err *err);
void prom_done(struct prom *prom);
/* 0 where there is no such value. server: "" without the label. */
double prom_get(const struct prom *prom, const char *name, const char *server);
/* The values of that name and server, one behind the other, e.g. a histogram's buckets. NULL where
 * there are none. */
const struct prom_value *prom_find(const struct prom *prom, const char *name, const char *server,
                                   size_t *ret_n);

#endif
