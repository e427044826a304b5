/* What an answer is worth. Only a whole 2xx answer with the expected body is a success; everything
 * else falls into exactly one class, with a hint for a person. */
#ifndef QUOIT_LOADGEN_VERIFY_H
#define QUOIT_LOADGEN_VERIFY_H

#include <stddef.h>

#include "backends/client.h"

/* The client's classes, then those of whole answers. The ints are the same: (enum verdict)error. */
enum verdict {
    VERDICT_OK = CLIENT_OK,
    VERDICT_STATUS_3XX = CLIENT_N_ERRORS,
    VERDICT_STATUS_4XX,
    VERDICT_STATUS_5XX,
    VERDICT_STATUS_OTHER, /* not 2xx to 5xx */
    VERDICT_WRONG_BODY,
    VERDICT_N,
};

/* What a body must hold. */
struct verify {
    const char *expect; /* text that must stand in the body; NULL: any body will do */
};

/* How much of a body the client must keep for that: 0 for none. */
size_t verify_keep_bytes(const struct verify *verify);
enum verdict verify_answer(const struct verify *verify, const struct client_answer *answer);

/* "refused", "status_5xx" …: the key in results. */
const char *verdict_name(enum verdict verdict);
/* What to do about it, as a sentence part; status: of a whole answer of that class, 0 for none;
 * address: where the requests went. text must hold `bytes` and is returned. */
const char *verdict_hint(enum verdict verdict, unsigned status, const char *address, char *text,
                         size_t bytes);
/* One failed answer for a person: "HTTP 503 from Server2", "no answer within 500 ms". */
const char *verdict_describe(enum verdict verdict, const struct client_answer *answer, char *text,
                             size_t bytes);

#endif
