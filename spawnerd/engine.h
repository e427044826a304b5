/* The Docker Engine API (v1.41 and later) over its unix socket: libcurl's multi_socket interface on
 * libev. Knows of calls, answers and streams, and of no container.
 *
 *   engine_send ─▶ queue ─(before the loop sleeps)─▶ curl_multi_add_handle ─▶ … ─▶ on_done
 *
 * A call is never begun nor taken back within libcurl's callbacks, which must not be re-entered:
 * both are left to the loop's prepare step, so that everything here may be called from anywhere on
 * the loop's thread. */
#ifndef QUOIT_SPAWNERD_ENGINE_H
#define QUOIT_SPAWNERD_ENGINE_H

#include <ev.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

/* A larger answer counts as a failure. */
#define ENGINE_MAX_ANSWER_BYTES ((size_t)8 << 20)

struct engine;
struct engine_call;

/* What came of a call. Borrowed during the callback. */
struct engine_answer {
    int code;         /* 0: an answer came; else a negative errno, and `why` */
    unsigned status;  /* HTTP's */
    const char *body; /* not of a stream */
    size_t n;
    const char *why; /* code != 0 or status ≥ 400: what the engine says, or why it said nothing */
};

struct engine_handler {
    /* Once, unless the call is cancelled. A stream's end too. */
    void (*on_done)(void *context, const struct engine_answer *answer);
    /* Streams: the engine has taken the call (a status below 300), and its data as they come. */
    void (*on_open)(void *context);
    void (*on_data)(void *context, const char *data, size_t n);
};

struct engine *engine_new(struct ev_loop *loop, const char *socket);
/* Cancels what is under way. Takes NULL. */
void engine_free(struct engine *engine);

/* Calls METHOD /v1.NN/PATH (path: without the leading slash, whoever gives it escapes it), with a
 * JSON body (copied) or NULL. timeout_ns 0: none. The handler is kept (ref). Before the first
 * answer the version is asked for: the call waits for that. */
struct engine_call *engine_send(struct engine *engine, const char *method, const char *path,
                                const char *body, uint64_t timeout_ns,
                                const struct engine_handler *handler, void *context);
/* The same for an answer that goes on: it is handed out as it comes and not kept. */
struct engine_call *engine_stream(struct engine *engine, const char *method, const char *path,
                                  const struct engine_handler *handler, void *context);
/* No callback comes any more; whether the engine does it is unknown. Takes NULL. */
void engine_cancel(struct engine_call *call);
/* The version has to be asked for anew: it may be another engine by now. */
void engine_forget_version(struct engine *engine);
/* Escaped for a path or a query. To be freed. */
char *engine_escape(const char *text);

#endif
