/* What the docker spawner needs to be tried without an engine: a child process that runs
 * spawnerd over a fake engine (fake_engine.h), in a folder of its own. It ends with the test. */
#ifndef QUOIT_TESTS_SUPPORT_DOCKER_BED_H
#define QUOIT_TESTS_SUPPORT_DOCKER_BED_H

#include <stdbool.h>
#include <stddef.h>

struct docker_bed;

struct docker_bed *docker_bed_new(bool swarm);
void docker_bed_free(struct docker_bed *bed);
/* Where spawnerd listens. */
const char *docker_bed_socket(const struct docker_bed *bed);

/* Each waits until it is done. */
/* As SIGKILL would end spawnerd, or start it again. */
void docker_bed_kill_spawnerd(struct docker_bed *bed);
void docker_bed_start_spawnerd(struct docker_bed *bed);
void docker_bed_stop_engine(struct docker_bed *bed);
void docker_bed_start_engine(struct docker_bed *bed);
/* That container ends with that status. */
void docker_bed_end(struct docker_bed *bed, const char *name, int status);
size_t docker_bed_n_containers(struct docker_bed *bed);

#endif
