/* The calls that endpoints.c asks and what they must be answered: a list for each part of
 * CONTRACT.md. Calls of a list come in its order, and each finds the cluster as those before left
 * it. */
#ifndef QUOIT_EXPERIMENTS_ENDPOINTS_CALLS_H
#define QUOIT_EXPERIMENTS_ENDPOINTS_CALLS_H

#include <stddef.h>

/* In an answer that must be, stands for anything; # stands for a number. */
#define ENDPOINT_ANYTHING "…"
#define ENDPOINT_ANY_SERVER ""

#define ENDPOINT_REFUSAL(text) "{\"message\":\"<Error> " text "\",\"status\":\"failure\"}"

struct endpoint_call {
    const char *server; /* whom it asks: NULL the load balancer, else the server so named */
    const char *method, *path, *body;
    long status;
    const char *answer;
};

struct endpoint_list {
    const struct endpoint_call *calls;
    size_t n_calls;
};

/* Part 1, and what goes beyond the assignment; of three servers. */
extern const struct endpoint_list endpoints_web;
/* Part 2, from before /init on; of two servers, which it retires. */
extern const struct endpoint_list endpoints_db;

#endif
