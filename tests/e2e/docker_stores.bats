#!/usr/bin/env bats
# A sharded database in containers, over each store: a server is killed, and every row is there.

SCHEMA='{"columns":["Stud_id","Stud_name","Stud_marks"],"dtypes":["Number","String","Number"]}'
SHARDS='[{"Stud_id_low":0,"Shard_id":"sh1","Shard_size":4096},{"Stud_id_low":4096,"Shard_id":"sh2","Shard_size":4096}]'
SERVERS='{"Server0":["sh1","sh2"],"Server1":["sh2"],"Server2":["sh1"]}'

setup() {
    load docker_helper
    docker_begin
}

teardown() {
    docker_end
}

fill() {
    local key rows=
    for ((key = 0; key < 8192; key += 41)); do
        rows+=,"{\"Stud_id\":$key,\"Stud_name\":\"n$key\",\"Stud_marks\":$((key % 101))}"
    done
    ask POST /init --data-binary "{\"N\":3,\"schema\":$SCHEMA,\"shards\":$SHARDS,\"servers\":$SERVERS}"
    answered 200 '{"message":"Configured Database","status":"success"}'
    ask POST /write --data-binary "{\"data\":[${rows:1}]}"
    answered 200 '{"message":"200 Data entries added","status":"success"}'
}

rows_are_there() {
    ask POST /read --data-binary '{"Stud_id":{"low":0,"high":8191}}' && [ "$code" = 200 ] &&
        jq -e '[.data[].Stud_id] == [range(0; 8192; 41)] and
            all(.data[]; .Stud_name == "n\(.Stud_id)" and .Stud_marks == .Stud_id % 101)' <<<"$body" >/dev/null
}

whole() {
    get /cluster 2>/dev/null | jq -e '.N == 3 and all(.MapT[]; .state == "ready") and (.MapT | length) == 4' >/dev/null
}

# Kills each of the three in turn, which leaves no first copy of anything.
survives_kills() {
    local name
    fill
    rows_are_there
    within 30 agree # those of before /init have gone
    for name in $(running); do
        docker kill "$(of "$name")" >/dev/null
        rows_are_there
        within 120 whole
        within 30 agree
        rows_are_there
    done
}

# Down and up again: durable stores have every row.
survives_down() {
    down
    grep -q 'kept: the volumes' "$dir/down.log"
    [ -z "$(containers --all --quiet)" ]
    tools/compose up >"$dir/up.log" 2>&1
    within 120 whole
    rows_are_there
}

purges() {
    PURGE=1 down
    [ -z "$(leftovers)" ] || {
        leftovers
        return 1
    }
}

@test "memory: rows outlive the server that is killed" {
    up memory
    survives_kills
    purges
}

@test "file: rows outlive killed servers, and down" {
    up file
    survives_kills
    survives_down
    # a server that is removed takes its volume with it
    ask POST /add --data-binary '{"n":1,"servers":{"Server7":["sh1"]}}'
    [ "$code" = 200 ]
    local n
    n=$(docker volume ls --quiet --filter "label=quoit.cluster=$QUOIT_CLUSTER-file" | wc -l)
    ask DELETE /rm --data-binary '{"n":1,"servers":["Server7"]}'
    [ "$code" = 200 ]
    within 60 eval '[ "$(docker volume ls --quiet --filter "label=quoit.cluster=$QUOIT_CLUSTER-file" | wc -l)" = '$((n - 1))' ]'
    purges
}

@test "mysql: a database in each server's container; rows outlive killed servers, and down" {
    up mysql
    docker exec "$(of Server1)" sh -c 'cat /proc/[0-9]*/comm' | grep -qx mariadbd
    survives_kills
    survives_down
    purges
}

@test "shared: one database for all; rows outlive killed servers, and down" {
    up shared 0
    survives_kills
    survives_down
    purges
}
