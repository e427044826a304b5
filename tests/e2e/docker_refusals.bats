#!/usr/bin/env bats
# The docker spawner with a real engine that cannot do what is asked: each a clear error, and nothing
# half made left. Load balancer and spawner are processes of this machine here.

setup() {
    load docker_helper
    docker_begin
    docker network create "$QUOIT_NETWORK" >/dev/null
    STORE=host
}

teardown() {
    docker_end
}

# Sets SPAWNER_PID.
start_spawner() { # OPTION…
    QUOIT_E2E_MARK=$mark "$QUOIT" spawner --socket "$dir/spawner" --network "$QUOIT_NETWORK" \
        --cluster "$QUOIT_CLUSTER-host" --prefix "$QUOIT_PREFIX" --image "$QUOIT_IMAGE" "$@" \
        </dev/null >"$dir/spawner.log" 2>&1 3>&- &
    SPAWNER_PID=$!
    disown "$SPAWNER_PID"
    within 30 grep -q 'engine answers' "$dir/spawner.log"
}

start_host_lb() { # OPTION…
    spawn_lb --spawner "docker:socket=$dir/spawner,wait=30s" "$@"
    within 60 said_or_ended lb "$LB_PID"
    LB=$(<"$dir/lb.ready")
    [ -n "$LB" ] || {
        cat "$dir/lb.log"
        return 1
    }
}

nothing_is_left() {
    [ -z "$(containers --all --quiet)" ] && return 0
    containers --all
    return 1
}

@test "a missing image" {
    start_spawner --image quoit-that-nobody-built
    run start_host_lb
    [ "$status" -ne 0 ]
    [[ $output == *'without the image quoit-that-nobody-built (make image builds it)'* ]]
    nothing_is_left
}

@test "a network that was removed" {
    start_spawner
    start_host_lb --servers 0
    docker network rm "$QUOIT_NETWORK" >/dev/null
    ask POST /add --data-binary '{"n":1,"hostnames":["S1"]}'
    [ "$code" != 200 ] && [[ $body == *"network $QUOIT_NETWORK not found"* ]]
    within 60 nothing_is_left
    docker network create "$QUOIT_NETWORK" >/dev/null
    ask POST /add --data-binary '{"n":1,"hostnames":["S1"]}'
    [ "$code" = 200 ]
}

@test "a name that a stranger has, and more servers than there may be" {
    start_spawner --max-servers 1
    start_host_lb --servers 0
    docker create --name "$(of S1)" "$QUOIT_IMAGE" >/dev/null
    ask POST /add --data-binary '{"n":1,"hostnames":["S1"]}'
    [ "$code" != 200 ] && [[ $body == *"a container named $(of S1) is there"*"which is not of cluster"* ]]
    [ "$(containers --all --quiet | wc -l)" = 1 ]
    docker rm "$(of S1)" >/dev/null
    ask POST /add --data-binary '{"n":1,"hostnames":["S1"]}'
    [ "$code" = 200 ]
    ask POST /add --data-binary '{"n":1,"hostnames":["S2"]}'
    [ "$code" != 200 ] && [[ $body == *"server S2 cannot be made: there are 1 already"*'(--max-servers)'* ]]
    [ "$(containers --all --quiet | wc -l)" = 1 ]
}

@test "no engine, no spawner" {
    run timeout 20 "$QUOIT" lb --listen 127.0.0.1:0 --spawner "docker:socket=$dir/spawner,wait=300ms"
    [ "$status" -eq 1 ]
    [[ $output == *'no spawner process that works'* ]]
    QUOIT_E2E_MARK=$mark "$QUOIT" spawner --socket "$dir/spawner" --engine "$dir/engine" \
        </dev/null >"$dir/spawner.log" 2>&1 3>&- &
    disown $!
    within 30 [ -S "$dir/spawner" ]
    run timeout 20 "$QUOIT" lb --listen 127.0.0.1:0 --spawner "docker:socket=$dir/spawner,wait=1s"
    [ "$status" -eq 1 ]
    [[ $output == *"the container engine does not answer: cannot connect to $dir/engine"* ]]
}

@test "a hundred servers added and removed leave nothing" {
    start_spawner
    start_host_lb --servers 1
    local i
    for ((i = 1; i <= 20; i++)); do
        ask POST /add --data-binary '{"n":5}'
        [ "$code" = 200 ]
        ask DELETE /rm --data-binary '{"n":5}'
        [ "$code" = 200 ]
    done
    kill -TERM "$LB_PID"
    within 60 gone "$LB_PID"
    within 60 nothing_is_left
    [ -z "$(docker volume ls --quiet --filter "label=quoit.cluster=$QUOIT_CLUSTER-host")" ]
}

@test "a second spawner of the same socket" {
    start_spawner
    run timeout 10 "$QUOIT" spawner --socket "$dir/spawner"
    [ "$status" -eq 1 ]
    [[ $output == *'another spawner process listens there'* ]]
}
