/* A Docker engine that is not one: the calls of the Engine API that spawnerd makes, on a unix
 * socket on the caller's loop, over containers that are records. Everything on the loop's thread.
 *
 * How a container behaves is said by its server's name up to the first dot ("mute.7"):
 *   fails     ends with status 3 when it is started, after a line on standard error
 *   mute      never says that it listens
 *   garbles   says something that is no address
 *   halves    says its address in two pieces, in one frame after the other
 *   stubborn  ignores SIGTERM
 *   nowhere   gets no address
 * Any other says where it listens as soon as it is started, and ends at SIGTERM with status 0. */
#ifndef QUOIT_TESTS_SUPPORT_FAKE_ENGINE_H
#define QUOIT_TESTS_SUPPORT_FAKE_ENGINE_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

struct fake_engine;

/* Listens on that path. */
struct fake_engine *fake_engine_new(struct ev_loop *loop, const char *socket);
void fake_engine_free(struct fake_engine *engine);

/* The next n requests that begin with this ("POST containers/create", without the version) are
 * answered so and do nothing; status 0: the connection is closed instead. */
void fake_engine_refuse(struct fake_engine *engine, const char *request, int status,
                        const char *message, unsigned n);
/* The next start of a container is answered so. */
void fake_engine_refuse_start(struct fake_engine *engine, int status, const char *message);
/* The next n such requests are done, and the connection closed without an answer. */
void fake_engine_swallow(struct fake_engine *engine, const char *request, unsigned n);
/* Such requests are done at once, and answered only when this is called again with NULL. */
void fake_engine_hold(struct fake_engine *engine, const char *request);
/* What GET /version says. */
void fake_engine_set_version(struct fake_engine *engine, const char *newest, const char *oldest);

/* A running container of that name and cluster (NULL: without labels), with the id given. */
void fake_engine_add(struct fake_engine *engine, const char *name, const char *cluster,
                     const char *id, const char *state);
/* The events tell, late, that it was made. */
void fake_engine_tell_made(struct fake_engine *engine, const char *name);
/* It ends with that exit code; it stays, as exited. out_of_memory: told before. */
void fake_engine_end(struct fake_engine *engine, const char *name, int status, bool out_of_memory);
/* docker rm -f. */
void fake_engine_remove(struct fake_engine *engine, const char *name);
/* Every stream of events brings n bytes that are no line's end. */
void fake_engine_babble(struct fake_engine *engine, size_t n);
/* Every stream of events ends. */
void fake_engine_cut_events(struct fake_engine *engine);
/* It goes away: its connections and its socket; kills: and its containers end, untold. */
void fake_engine_stop(struct fake_engine *engine, bool kills);
/* It is back. */
void fake_engine_start(struct fake_engine *engine);

/* Containers there are, of any state. */
size_t fake_engine_n_containers(const struct fake_engine *engine);
bool fake_engine_has(const struct fake_engine *engine, const char *name);
/* Requests so far that begin with this. */
size_t fake_engine_n_requests(const struct fake_engine *engine, const char *request);
/* The body of the last containers/create. */
const char *fake_engine_last_spec(const struct fake_engine *engine);

/* ---- as a manager of a swarm of three nodes, the first of which it is itself: fake_swarm.c ----
 */

#define FAKE_NODES 3

/* A node's machine ends: silent at once; down when the swarm has found out. Its tasks stay what
 * they were. */
void fake_swarm_silence(struct fake_engine *engine, size_t node, bool is_down);
/* The node is back, with none of its containers. */
void fake_swarm_wake(struct fake_engine *engine, size_t node);
void fake_swarm_drain(struct fake_engine *engine, size_t node);
/* "KEY" of the label, with the value "yes". */
void fake_swarm_label(struct fake_engine *engine, size_t node, const char *key);
/* Which node has the server of that name. */
size_t fake_swarm_node_of(const struct fake_engine *engine, const char *name);
/* It is a worker now: every call of a swarm is refused. */
void fake_swarm_demote(struct fake_engine *engine, bool is_demoted);
/* docker service rm: the service is gone, its task runs on. */
void fake_swarm_remove_service(struct fake_engine *engine, const char *name);
size_t fake_swarm_n_configs(const struct fake_engine *engine);

#endif
