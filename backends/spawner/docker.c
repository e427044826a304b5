/* docker: a server is a container of the engine beside which a `quoit spawner` process runs. */
#include "backends/spawner/remote.h"

REMOTE_SPAWNER(docker, "docker",
               "containers, made by a `quoit spawner` process beside a Docker engine",
               "containers");
