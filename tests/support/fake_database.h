/* A load balancer with a database that lies, on a thread and an ephemeral loopback port: shards sh1
 * (keys 0 … 99) and sh2 (100 … 199), each with two replicas, of which there is but one array of
 * rows. It answers GET /status, POST /read and GET /cluster/digest. Rows are put there by hand. */
#ifndef QUOIT_TESTS_SUPPORT_FAKE_DATABASE_H
#define QUOIT_TESTS_SUPPORT_FAKE_DATABASE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"

#define FAKE_DATABASE_KEYS 200

enum fake_digest {
    FAKE_DIGEST_TRUE,
    FAKE_DIGEST_NONE,    /* 400, as a target that has no such call */
    FAKE_DIGEST_UNEQUAL, /* sh2's replicas have different checksums */
    FAKE_DIGEST_MORE,    /* sh1's replicas say one row more than there is */
    FAKE_DIGEST_SILENT,  /* one replica of sh1 does not tell */
    FAKE_DIGEST_SHORT,   /* sh2 has one replica */
};

struct fake_behaviour {
    unsigned status_code;    /* of GET /status; 0: 200 */
    const char *status_body; /* NULL: the truth */
    unsigned read_code;      /* of POST /read; 0: 200 */
    unsigned n_bad_reads;    /* only so many fail; 0: all */
    bool cut_reads;          /* the rows end in the middle of one */
    unsigned max_rows;       /* a read of more is answered 413; 0: no limit */
    enum fake_digest digest;
    unsigned n_bad_digests; /* only so many lie; 0: all */
};

struct fake_database;

/* Or ends the program. */
struct fake_database *fake_database_start(void);
void fake_database_stop(struct fake_database *database);
const struct addr *fake_database_addr(const struct fake_database *database);
void fake_database_behave(struct fake_database *database, struct fake_behaviour behaviour);
/* A row as the workloads write it (loadgen/student.h), or by its text; NULL: none. */
void fake_database_put(struct fake_database *database, int64_t key, uint64_t version);
void fake_database_put_text(struct fake_database *database, int64_t key, const char *row);
void fake_database_clear(struct fake_database *database);
unsigned fake_database_reads(struct fake_database *database);

#endif
