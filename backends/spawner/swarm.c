/* swarm: a server is a service of one replica in a Docker Swarm, made by a `quoit spawner --swarm`
 * process beside a manager. How, says spawnerd/swarm.h. */
#include "backends/spawner/remote.h"

REMOTE_SPAWNER(
    swarm, "swarm",
    "Docker Swarm services over many machines, made by a `quoit spawner --swarm` process",
    "services");
