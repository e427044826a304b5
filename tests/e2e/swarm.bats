#!/usr/bin/env bats
# The cluster on a Docker Swarm: of one machine, and of three engines that are as good as three
# machines, one of which dies.

SHARDS='[{"Stud_id_low":0,"Shard_id":"sh1","Shard_size":4096},{"Stud_id_low":4096,"Shard_id":"sh2","Shard_size":4096},
    {"Stud_id_low":8192,"Shard_id":"sh3","Shard_size":4096},{"Stud_id_low":12288,"Shard_id":"sh4","Shard_size":4096}]'
SERVERS='{"Server0":["sh1","sh2"],"Server1":["sh3","sh4"],"Server3":["sh1","sh3"],
    "Server4":["sh4","sh2"],"Server5":["sh1","sh4"],"Server6":["sh3","sh2"]}'
SCHEMA='{"columns":["Stud_id","Stud_name","Stud_marks"],"dtypes":["Number","String","Number"]}'

setup_file() {
    load swarm_helper
    swarm_engines
}

teardown_file() {
    load swarm_helper
    swarm_engines_end
}

setup() {
    load swarm_helper
    swarm_begin
}

teardown() {
    swarm_end
}

# Load balancer and spawner as processes of the first machine, servers in its network or none.
start_spawner() { # OPTION…
    QUOIT_E2E_MARK=$mark nsenter "--net=/run/netns/${tag}1" "$QUOIT" spawner --swarm --socket "$dir/spawner" --engine "$base/1/socket" \
        --cluster "$QUOIT_CLUSTER" --prefix "$QUOIT_PREFIX" --image "$QUOIT_IMAGE" "$@" \
        </dev/null >"$dir/spawner.log" 2>&1 3>&- &
    SPAWNER_PID=$!
    disown "$SPAWNER_PID"
    within 15 [ -S "$dir/spawner" ]
}

start_host_lb() { # OPTION…
    : >"$dir/lb.ready"
    QUOIT_E2E_MARK=$mark nsenter "--net=/run/netns/${tag}1" "$QUOIT" lb --listen 127.0.0.1:0 --orphan-after 20s --ready-fd 9 \
        --spawner "swarm:socket=$dir/spawner,wait=30s" "$@" 9>"$dir/lb.ready" \
        </dev/null >"$dir/lb.log" 2>&1 3>&- &
    LB_PID=$!
    disown "$LB_PID"
    within 60 said_or_ended lb "$LB_PID"
    LB=$(<"$dir/lb.ready")
    [ -n "$LB" ] || {
        cat "$dir/lb.log"
        return 1
    }
}

# The default configuration, a row each 83 keys.
fill() {
    local key rows=""
    for ((key = 0; key < 16384; key += 83)); do
        rows+=,"{\"Stud_id\":$key,\"Stud_name\":\"n$key\",\"Stud_marks\":$((key % 101))}"
    done
    ask POST /init --data-binary "{\"N\":6,\"schema\":$SCHEMA,\"shards\":$SHARDS,\"servers\":$SERVERS}" --max-time 60
    answered 200 '{"message":"Configured Database","status":"success"}'
    ask POST /write --data-binary "{\"data\":[${rows:1}]}"
    answered 200 '{"message":"198 Data entries added","status":"success"}'
}

whole() {
    get /cluster 2>/dev/null | jq -e '.N == 6 and all(.MapT[]; .state == "ready") and (.MapT | length) == 12' >/dev/null
}

rows_are_there() {
    ask POST /read --data-binary '{"Stud_id":{"low":0,"high":16383}}' && [ "$code" = 200 ] &&
        jq -e '[.data[].Stud_id] == [range(0; 16384; 83)] and all(.data[]; .Stud_name == "n\(.Stud_id)")' <<<"$body" >/dev/null
}

end_all() {
    kill -TERM "$LB_PID"
    within 30 gone "$LB_PID"
    within 30 eval '[ -z "$(running)" ]'
    kill -TERM "$SPAWNER_PID"
    within 15 gone "$SPAWNER_PID"
    rm -f "$dir/spawner"
}

@test "no swarm: said, and nothing is started" {
    start_spawner
    run start_host_lb --spawner "swarm:socket=$dir/spawner,wait=10s"
    [ "$status" -ne 0 ]
    [[ $output == *'the swarm cannot be managed: This node is not a swarm manager'* ]]
    kill -TERM "$SPAWNER_PID"
    within 15 gone "$SPAWNER_PID"
}

@test "one machine, from nothing to /home, /add, /rm, a killed container under load, down to nothing" {
    needs_overlay
    swarm_up
    agree
    ask GET /home
    [ "$code" = 200 ] && [[ $body == '{"message":"Hello from Server: '[123]'","status":"successful"}' ]]
    ask POST /add --data-binary '{"n":2,"hostnames":["S5"]}' --max-time 30
    [ "$code" = 200 ]
    agree
    [ "$(docker exec "$(container_of S5)" hostname)" = S5 ]
    docker exec "$(container_of S5)" grep -q '^CapBnd:[[:space:]]*0*$' /proc/1/status
    ask DELETE /rm --data-binary '{"n":2,"hostnames":["S5"]}'
    [ "$code" = 200 ]
    within 30 agree
    local victim since
    victim=$(names | head -n 1)
    start_stream 5s
    since=$(now_ns)
    docker kill "$(container_of "$victim")" >/dev/null
    within 15 eval '! names 2>/dev/null | grep -qx '"$victim"
    within 30 serving_quietly 3
    stream_is_whole
    within 30 agree
    say_healing "# one machine, docker kill" "$since"
    tools/swarm ps | grep -q Server
    tools/swarm logs | grep -q 'listens on'
    swarm_down
    within 30 nothing_is_left 1 || {
        swarm_leftovers 1
        return 1
    }
    [ "$(docker info --format '{{.Swarm.LocalNodeState}}')" = inactive ]
}

@test "what is in the way is said, and nothing half made is left: image, network, name" {
    join_all
    start_spawner --network "no$QUOIT_NETWORK"
    start_host_lb --servers 0
    ask POST /add --data-binary '{"n":1,"hostnames":["S1"]}' --max-time 30
    [ "$code" != 200 ] && [[ $body == *"network no$QUOIT_NETWORK not found"* ]]
    end_all
    start_spawner --network host --image quoit-that-nobody-built
    start_host_lb --servers 0
    ask POST /add --data-binary '{"n":1,"hostnames":["S1"]}' --max-time 60
    [ "$code" != 200 ] && [[ $body == *'it has no image quoit-that-nobody-built'* ]]
    end_all
    start_spawner --network host
    start_host_lb --servers 0
    docker service create --detach --name "${QUOIT_PREFIX}S1" --network host --entrypoint sleep \
        --no-resolve-image "$QUOIT_IMAGE" 1000 >/dev/null
    ask POST /add --data-binary '{"n":1,"hostnames":["S1"]}' --max-time 30
    [ "$code" != 200 ] && [[ $body == *"a service named ${QUOIT_PREFIX}S1 is there"*"which is not of cluster"* ]]
    [ "$(docker service ls --quiet | wc -l)" = 1 ]
    docker service rm "${QUOIT_PREFIX}S1" >/dev/null
    end_all
}

@test "three machines without an overlay network: the nodes' own addresses, a killed load balancer comes back" {
    join_all
    start_spawner --network host
    start_host_lb --servers 3 --state "$dir/state"
    [ "$(for name in $(names); do machine_of "$name"; done | sort | paste -sd ' ')" = "1 2 3" ]
    local before
    before=$(docker service ls --quiet | sort)
    kill -KILL "$LB_PID"
    within 15 gone "$LB_PID"
    start_host_lb --servers 3 --state "$dir/state"
    within 30 serving_quietly 3
    [ "$(docker service ls --quiet | sort)" = "$before" ]
    # of one on another machine no event tells
    local victim since
    victim=Server2
    start_stream 4s
    since=$(now_ns)
    on "$(machine_of $victim)" kill "$(container_of $victim)" >/dev/null
    within 15 eval '! names 2>/dev/null | grep -qx Server2'
    within 30 serving_quietly 3
    stream_is_whole
    say_healing "# three machines, docker kill on another" "$since"
    end_all
}

@test "QUOIT_NETWORK=host, deployed: on three machines, no overlay made, a killed container replaced, nothing left" {
    join_all
    export QUOIT_NETWORK=host
    swarm_up
    within 15 agree
    [ "$(docker network ls --quiet --filter driver=overlay --filter "label=quoit.cluster=$QUOIT_CLUSTER" | wc -l)" = 0 ]
    [ "$(docker stack services --format '{{.Name}}' "$QUOIT_CLUSTER" | sort | paste -sd ' ')" = "${QUOIT_CLUSTER}_lb ${QUOIT_CLUSTER}_spawner" ]
    # every server at its own node's address
    local name victim
    for name in $(names); do
        [[ $(get /cluster | jq -r --arg name "$name" '.servers[] | select(.name == $name) | .address') == "$(address "$(machine_of "$name")"):"* ]]
    done
    ask GET /home
    [ "$code" = 200 ] && [[ $body == '{"message":"Hello from Server: '[123]'","status":"successful"}' ]]
    victim=$(names | head -n 1)
    start_stream 4s
    on "$(machine_of "$victim")" kill "$(container_of "$victim")" >/dev/null
    within 15 eval '! names 2>/dev/null | grep -qx '"$victim"
    within 30 serving_quietly 3
    stream_is_whole
    within 30 agree
    swarm_down
    within 60 nothing_is_left 1 2 3 || {
        swarm_leftovers 1 2 3
        return 1
    }
}

@test "two servers on three machines: one dies, and the third, which had none, is in the network already" {
    needs_overlay
    join_all
    swarm_up 2
    local name i used='' victim since
    for name in $(names); do used+=" $(machine_of "$name")"; done
    for i in 2 3; do
        [[ $used != *" $i"* ]] || victim=$i
    done
    for i in 1 2 3; do
        within 30 eval '[ -n "$(on '$i' ps --quiet --filter "label=com.docker.swarm.service.name=${QUOIT_CLUSTER}_anchor")" ]'
        on $i network inspect "$QUOIT_NETWORK" >/dev/null
    done
    start_stream 5s
    since=$(now_ns)
    silence_machine "$victim"
    within 15 eval '[ "$(n_servers 2>/dev/null)" -lt 2 ]'
    within 60 serving_quietly 2
    say_healing "# three machines, two servers, one machine falls silent" "$since"
    stream_is_whole
    for name in $(names); do [ "$(machine_of "$name")" != "$victim" ]; done
    wake_machine "$victim"
    swarm_down
    within 60 nothing_is_left 1 2 3 || {
        swarm_leftovers 1 2 3
        return 1
    }
}

@test "rows in files: a killed server comes again where they are; of a machine that falls silent they are copied elsewhere" {
    needs_overlay
    join_all
    export QUOIT_STORE=file
    swarm_up
    fill
    local victim before node i
    within 15 agree
    victim=Server3 node=$(machine_of Server3)
    within 15 eval '[ "$(docker config ls --quiet | wc -l)" = 6 ]' # a server's data each
    before=$(docker config ls --quiet | sort)
    on "$node" kill "$(container_of $victim)" >/dev/null
    within 60 whole
    rows_are_there
    [ "$(docker config ls --quiet | sort)" = "$before" ] # the same data, hence the same node
    within 15 eval '[ "$(on '"$node"' ps --quiet --filter "label=quoit.cluster=$QUOIT_CLUSTER" --filter label=quoit.name | wc -l)" = 2 ]'
    # a machine that is not the manager's falls silent, and comes back
    for i in 2 3; do
        [ -z "$(on $i ps --quiet --filter "label=quoit.name=Server5")" ] || break
    done
    silence_machine $i
    within 15 eval '[ "$(n_servers 2>/dev/null)" -lt 6 ]'
    within 60 whole
    rows_are_there
    wake_machine $i
    within 60 eval '[ -z "$(on '"$i"' ps --quiet --filter "label=quoit.cluster=$QUOIT_CLUSTER")" ]'
    swarm_down
    for i in 2 3; do within 60 no_volumes $i; done
    within 60 nothing_is_left 1 2 3 || {
        swarm_leftovers 1 2 3
        return 1
    }
}

@test "three machines, replicas on different ones; one dies under load: every row there, replacements on the other two" {
    needs_overlay
    join_all
    swarm_up
    local name i since
    fill
    within 15 agree # those of before /init have gone
    # each pair of servers without a common shard has a machine of its own: there is no other way
    [ "$(machine_of Server0)" = "$(machine_of Server1)" ]
    [ "$(machine_of Server3)" = "$(machine_of Server4)" ]
    [ "$(machine_of Server5)" = "$(machine_of Server6)" ]
    # of those, one that is not the manager's
    for i in 2 3; do
        [ "$(machine_of Server3)" != $i ] || break
    done
    start_stream 8s
    since=$(now_ns)
    kill_machine $i
    within 15 eval '[ "$(n_servers 2>/dev/null)" -lt 6 ]'
    within 60 whole
    say_healing "# three machines, one dies" "$since"
    stream_is_whole
    rows_are_there
    get /cluster/digest --max-time 30 | jq -e . >/dev/null
    for name in $(names); do
        [ "$(machine_of "$name")" = 1 ] || [ "$(machine_of "$name")" = $((5 - i)) ]
    done
    within 40 eval '[ "$(running | wc -l)" = 6 ]'
    swarm_down
    within 30 nothing_is_left 1 $((5 - i)) || {
        swarm_leftovers 1 $((5 - i))
        return 1
    }
}
