/* Answers per server, by the name it gives itself. A peer chooses the names, so there is a limit to
 * how many are told apart (law 4); answers of further ones are counted together. */
#ifndef QUOIT_LOADGEN_SERVER_COUNTS_H
#define QUOIT_LOADGEN_SERVER_COUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/name.h"

#define SERVER_COUNTS_MAX 4096u
#define SERVER_COUNTS_BUCKETS 8192u /* a power of two, at least twice the maximum */

struct server_count {
    char name[NAME_MAX_BYTES + 1];
    uint8_t n_bytes;
    uint64_t n_ok;
    uint64_t n_failed;
};

struct server_counts {
    struct server_count *servers; /* in order of first appearance until sorted */
    size_t n_servers;
    size_t capacity;
    uint16_t buckets[SERVER_COUNTS_BUCKETS]; /* index into servers + 1; 0 = empty */
    struct server_count unnamed;             /* answers without a (valid) X-Quoit-Server */
    struct server_count others;              /* of names past the maximum */
};

void server_counts_init(struct server_counts *counts);
void server_counts_done(struct server_counts *counts);
/* n_bytes: 0 for an answer without a name, at most NAME_MAX_BYTES. */
void server_counts_add(struct server_counts *counts, const char *name, size_t n_bytes, bool ok);
/* Adds what `from` counted. */
void server_counts_merge(struct server_counts *into, const struct server_counts *from);
/* By name, numbers by value (Server2 before Server10). No add may follow. */
void server_counts_sort(struct server_counts *counts);

#endif
