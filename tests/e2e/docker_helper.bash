# What the tests in containers share: a deployment by tools/compose under names of its own, beside
# which any other may run, and nothing left of it afterwards, whatever happened. tools/check-docker
# has seen to an engine and to the images.
# shellcheck disable=SC2034 # for the tests
load helper
export QUOIT_IMAGE=${QUOIT_IMAGE:-quoit} QUOIT_MYSQL_IMAGE=${QUOIT_MYSQL_IMAGE:-quoit-mysql}

# Containers take their time, on a busy machine seconds each.
eval "asks_$(declare -f ask)"
ask() { # METHOD URL-OR-/PATH [CURL OPTION…]
    asks_ask "$@" --max-time 90
}

# Names for this test; a port that is free now.
docker_begin() {
    unset QUOIT_CLUSTER # whoever set it has a deployment of that name
    e2e_begin
    cd "$BATS_TEST_DIRNAME/../.." || return 1
    export QUOIT_CLUSTER=e2e$RANDOM$$
    export QUOIT_NETWORK=$QUOIT_CLUSTER QUOIT_PREFIX=$QUOIT_CLUSTER- COMPOSE_PROJECT_NAME=$QUOIT_CLUSTER
    QUOIT_PORT=$((20000 + RANDOM % 12000)) # below the ports that the kernel gives to clients
    while nc -z 127.0.0.1 "$QUOIT_PORT" 2>/dev/null; do QUOIT_PORT=$((QUOIT_PORT + 1)); done
    export QUOIT_PORT
    LB=127.0.0.1:$QUOIT_PORT
}

# Every container of the deployment, of the engine's own count: services and servers.
containers() { # [MORE OPTIONS OF docker ps]
    docker ps --filter "name=^/?${QUOIT_CLUSTER}[-_.]" "$@"
}

# A network that an engine before 28 keeps by its own miscounting, though nobody is on it (moby issue
# 42119; tools/compose).
is_miscounted() { # NETWORK
    [ "$(docker network inspect --format '{{len .Containers}}' "$1" 2>/dev/null)" = 0 ] &&
        docker network rm "$1" 2>&1 | grep -q 'has active endpoints'
}

networks() { # FILTER
    local network
    docker network ls --filter "name=$1" --format '{{.Name}}' | while read -r network; do
        is_miscounted "$network" || echo "network $network"
    done
}

leftovers() {
    containers --all --format 'container {{.Names}} {{.Status}}'
    networks "$QUOIT_CLUSTER"
    docker volume ls --quiet --filter "name=$QUOIT_CLUSTER"
}

docker_end() {
    # Without its names, which a set-up that failed early did not make, it would take everybody's.
    if [[ ! ${QUOIT_CLUSTER:-} =~ ^e2e[0-9]+$ ]]; then
        e2e_end
        return 0
    fi
    if [ -z "${BATS_TEST_COMPLETED:-}" ]; then
        tools/compose logs 2>&1 | tail -n 40 | sed 's/^/# /'
    fi
    e2e_end # whoever would start more
    local ids tries
    for ((tries = 0; tries < 50; tries++)); do
        ids=$(containers --all --quiet)
        [ -n "$ids" ] || break
        # shellcheck disable=SC2086 # one that is being removed already is an error to docker
        docker rm --force --volumes $ids >/dev/null 2>&1 || sleep 0.2
    done
    docker network rm "$QUOIT_NETWORK" >/dev/null 2>&1 || true
    ids=$(docker volume ls --quiet --filter "name=$QUOIT_CLUSTER")
    # shellcheck disable=SC2086
    [ -z "$ids" ] || docker volume rm $ids >/dev/null 2>&1 || true
}

up() { # STORE [SERVERS]
    export STORE=$1 QUOIT_SERVERS=${2:-3}
    tools/compose up >"$dir/up.log" 2>&1 || {
        cat "$dir/up.log"
        return 1
    }
    within 120 serving_quietly "$QUOIT_SERVERS"
}

serving_quietly() {
    serving "$1" 2>/dev/null
}

down() {
    tools/compose down >"$dir/down.log" 2>&1 || {
        cat "$dir/down.log"
        return 1
    }
}

# The container of a server, of a service.
of() { # NAME
    echo "$QUOIT_PREFIX$1"
}

service() { # NAME
    docker ps --all --quiet --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" \
        --filter "label=com.docker.compose.service=$1"
}

# The servers that the engine has, by name, sorted. A line without a name is no container: engine
# 20.10 may go on listing one that it has removed, which nothing else in it knows any more.
servers_of_engine() { # [MORE OPTIONS OF docker ps]
    docker ps "$@" --filter "label=quoit.cluster=$QUOIT_CLUSTER-$STORE" --format '{{.Names}}' |
        sed -e '/^$/d' -e "s/^$QUOIT_PREFIX//" | sort
}

# Those that it runs.
running() {
    servers_of_engine
}

# What the LB says, what the engine runs and what it has are the same.
agree() {
    [ "$(names 2>/dev/null | sort)" = "$(running)" ] && [ "$(running)" = "$(servers_of_engine --all)" ]
}

# SIGKILL to a container's first process from outside, which the engine takes for a crash. The number
# that the engine tells is this machine's only if the engine runs here and sees its processes: the
# process of that number must say that it is in this very container, or it is somebody else's.
crash() { # CONTAINER
    local id pid
    read -r id pid <<<"$(docker inspect --format '{{.Id}} {{.State.Pid}}' "$1")"
    grep -qsF "$id" "/proc/$pid/cgroup" || skip "the engine numbers its processes otherwise than this machine"
    kill -KILL "$pid"
}
