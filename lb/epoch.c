#include "lb/epoch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/clock.h"
#include "core/file.h"

/* In an int64, which is what a server takes: a life of 2^30 connections. Lives are counted from the
 * second in which the first one began, which keeps those apart that lost their file. */
#define COUNT_BITS 30
#define MAX_LIFE (UINT64_C(1) << (62 - COUNT_BITS))

static atomic_uint_fast64_t last;

static int read_life(const char *path, uint64_t *ret_life, struct err *err)
{
    struct buf text;
    char *end;
    buf_init(&text, 64);
    *ret_life = 0;
    int rc = file_read(path, &text, err);
    if (rc == 0) {
        *ret_life = strtoull(buf_str(&text), &end, 10);
        if (end == buf_str(&text) || *end != '\n' || *ret_life >= MAX_LIFE)
            rc = err_set(err, -EBADMSG, "%s is no count of lives", path);
    } else if (rc == -ENOENT) {
        rc = 0;
    }
    buf_done(&text);
    return rc;
}

int epoch_begin(const char *path, struct err *err)
{
    uint64_t before, life = clock_wall_ns() / NS_PER_S;
    char text[32];
    int rc = read_life(path, &before, err);
    if (rc != 0)
        return rc;
    if (life <= before)
        life = before + 1;
    int n = snprintf(text, sizeof(text), "%" PRIu64 "\n", life);
    rc = file_write_atomic(path, text, (size_t)n, err);
    if (rc == 0)
        atomic_store(&last, life << COUNT_BITS);
    return rc;
}

uint64_t epoch_next(void)
{
    return atomic_fetch_add(&last, 1) + 1;
}
