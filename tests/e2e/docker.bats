#!/usr/bin/env bats
# The cluster in containers, as docker-compose.yml deploys it: made, changed, broken, taken away.

setup() {
    load docker_helper
    docker_begin
}

teardown() {
    docker_end
}

# Requests in the background for a while; stream_is_whole: none of them failed.
start_stream() { # SECONDS
    "$QUOIT" load --quiet --duration "$1" --in-flight 4 --fail-if 'errors>0' --json "$dir/stream" \
        "http://$LB/home" >"$dir/stream.log" 2>&1 3>&- &
    stream=$!
    sleep 0.5
}

stream_is_whole() {
    wait "$stream" || {
        cat "$dir/stream.log" "$dir/stream"
        return 1
    }
}

lost() { # NAME
    ! names 2>/dev/null | grep -qx "$1"
}

@test "from nothing to /home in containers, and down to nothing" {
    up memory
    within 30 agree
    [ "$(running | paste -sd ' ')" = "Server1 Server2 Server3" ]
    ask GET /home
    [ "$code" = 200 ] && [[ $body == '{"message":"Hello from Server: '[123]'","status":"successful"}' ]]
    within 60 eval '[ "$(docker inspect --format "{{.State.Health.Status}}" "$(service lb-memory)")" = healthy ]'
    tools/compose ps | grep -q "$(of Server2)"
    tools/compose logs | grep -q 'Server2 | .*listens on'
    [ -n "$(leftovers)" ]
    down
    [ -z "$(leftovers)" ] || {
        leftovers
        return 1
    }
}

@test "/add and /rm make and remove containers, named as their servers" {
    up memory
    ask POST /add --data-binary '{"n":2,"hostnames":["S5"]}'
    [ "$code" = 200 ]
    within 30 agree
    running | grep -qx S5
    [ "$(docker exec "$(of S5)" hostname)" = S5 ]
    [ "$(docker inspect --format '{{index .Config.Labels "quoit.id"}}' "$(of S5)")" = 5 ]
    ask DELETE /rm --data-binary '{"n":3,"hostnames":["S5"]}'
    [ "$code" = 200 ]
    [ "$(n_servers)" = 2 ]
    within 30 agree
    # the name is free again
    ask POST /add --data-binary '{"n":1,"hostnames":["S5"]}'
    [ "$code" = 200 ]
    within 30 agree
}

@test "a container may do little: no capability, no new privilege, nothing to write, no engine" {
    up memory
    local container
    for container in "$(of Server1)" "$(service lb-memory)" "$(service spawner-memory)"; do
        docker exec "$container" grep -q '^CapEff:[[:space:]]*0*$' /proc/1/status
        docker exec "$container" grep -q '^CapBnd:[[:space:]]*0*$' /proc/1/status
        docker exec "$container" grep -q '^NoNewPrivs:[[:space:]]*1$' /proc/1/status
        run docker exec --user 0 "$container" sh -c 'echo x >/usr/bin/x'
        [ "$status" -ne 0 ] && [[ $output == *'Read-only file system'* ]]
    done
    for container in "$(of Server1)" "$(service lb-memory)"; do
        [ "$(docker exec "$container" id -u)" = 10001 ]
        docker exec "$container" sh -c '[ ! -e /var/run/docker.sock ]'
    done
    # an engine on a kernel without these limits leaves them out
    [ "$(docker info --format '{{.MemoryLimit}} {{.PidsLimit}}')" != "true true" ] ||
        [ "$(docker inspect --format '{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}}' "$(of Server1)")" = "268435456 64" ]
}

@test "docker kill of a server under load: replaced, and no request fails" {
    up memory
    start_stream 5s
    docker kill "$(of Server2)" >/dev/null
    within 15 lost Server2
    within 60 serving 3
    within 30 agree
    stream_is_whole
}

@test "docker rm -f of a server under load: replaced, and no request fails" {
    up memory
    start_stream 5s
    docker rm --force "$(of Server2)" >/dev/null
    within 15 lost Server2
    within 60 serving 3
    within 30 agree
    stream_is_whole
}

@test "docker pause of a server under load: found by its silence, replaced, never to come back" {
    up memory
    start_stream 6s
    docker pause "$(of Server2)" >/dev/null || skip "nothing can be paused here (no freezer)"
    within 20 lost Server2
    within 60 serving 3
    within 30 agree
    stream_is_whole # what waited for it went elsewhere
    run docker inspect "$(of Server2)"
    [ "$status" -ne 0 ]
}

@test "a crashed load balancer comes back and takes its containers over" {
    up memory
    local before
    before=$(docker ps --quiet --filter "label=quoit.cluster=$QUOIT_CLUSTER-memory" | sort)
    crash "$(service lb-memory)"
    within 60 serving_quietly 3
    [ "$(docker ps --quiet --filter "label=quoit.cluster=$QUOIT_CLUSTER-memory" | sort)" = "$before" ]
    within 30 agree
    docker kill "$(of Server1)" >/dev/null
    within 15 lost Server1
    within 60 serving 3
    within 30 agree
}

@test "a crashed spawner comes back: servers serve on meanwhile, and are watched again" {
    up memory
    start_stream 4s
    crash "$(service spawner-memory)"
    within 60 eval '[ "$(docker inspect --format "{{.RestartCount}} {{.State.Running}}" "$(service spawner-memory)")" = "1 true" ]'
    stream_is_whole
    within 30 agree
    docker kill "$(of Server1)" >/dev/null
    within 15 lost Server1
    within 60 serving 3
    within 30 agree
}

@test "nothing is left of servers whose load balancer and spawner were killed, after down" {
    up memory
    docker kill "$(service lb-memory)" "$(service spawner-memory)" >/dev/null
    [ "$(running | wc -l)" = 3 ]
    down
    [ -z "$(leftovers)" ] || {
        leftovers
        return 1
    }
}
