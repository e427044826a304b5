#!/usr/bin/env bats
# quoit load --workload: the database's workloads against a real cluster, and what they prove of it.

SCHEMA='{"columns":["Stud_id","Stud_name","Stud_marks"],"dtypes":["Number","String","Number"]}'

setup() {
    load helper
    e2e_begin
}

teardown() {
    e2e_end
}

configured() { # OPTION…
    start_lb --servers 0 "$@"
    ask POST /init --data-binary "{\"N\":3,\"schema\":$SCHEMA,\"shards\":$THREE_SHARDS,\"servers\":$ON_THREE_SERVERS}"
    [ "$code" = 200 ]
}

# Runs quoit load with that workload; sets status, output (the table and stderr) and json.
drive() { # WORKLOAD OPTION…
    local workload=$1
    shift
    json=$dir/load.json
    rm -f "$json"
    run env "QUOIT_E2E_MARK=$mark" timeout --kill-after=1 100 "$QUOIT" load "http://$LB/" \
        --workload "$workload" --seed 3 -q --json "$json" "$@"
}

holds() { # JQ FILTER
    jq -e "$1" "$json" >/dev/null || {
        echo "not so: $1"
        jq -c '.verification, .verdict, .statuses, .rows, .operations' "$json"
        return 1
    }
}

valid() {
    [ "$status" -eq 0 ] || { echo "$output"; return 1; }
    holds '.verdict.valid and .failed == 0 and .verification.done and
        (.verification | .rows.missing == 0 and .rows.wrong == 0 and .rows.unexpected == 0 and
         .replicas == {"compared":true,"equal":true,"short":0} and
         ([.shards[] | .equal and .rows == .read and .replicas == 2] | all) and
         ([.shards[].read] | add) == .rows.read and .rows.read == .rows.expected)'
}

changes() {
    get /metrics | awk '$1 ~ /^quoit_lb_changes_total/ { n += $2 } END { print n + 0 }'
}

more_changes() { # THAN
    [ "$(changes)" -gt "$1" ]
}

address_of() { # SERVER
    cluster address "select(.name == \"$1\")"
}

# ---- what is in order ----------------------------------------------------------------------------

@test "a write, a read and mixes one after another are valid, and prove it" {
    configured
    drive db-write:ids=5000
    valid
    holds '.ok == 5000 and .rows.written == 5000 and .rows.read == 0 and
        .verification.rows.before == 0 and .verification.rows.read == 5000'
    holds '.operations | length == 1 and .[0].name == "insert" and .[0].ok == 5000 and
        .[0].latency_ms.count == 5000'
    [[ $output == *"rows back   5000 of 5000, 0 missing, 0 wrong, 0 unexpected, 0 unknown"* ]]
    [[ $output == *"replicas    6, those of 3 of 3 shards equal"* ]]
    [[ $output == *"rows written 5000"* ]]
    drive db-read:ids=5000,width=20 -n 500
    valid
    holds '.rows.read > 9000 and .rows.written == 0 and .operations[0].name == "scan" and
        .verification.rows.before == 5000 and .rows.read_rate > .rate'
    drive ycsb-a:ids=5000 -n 2000 --threads 2 --client raw
    valid
    holds '[.operations[].name] == ["read", "update"] and
        .rows.read == .operations[0].ok and .rows.written == .operations[1].ok'
    drive db-mix:read=40,insert=20,delete=20,rmw=20,rows=3,ids=5000 -n 2000
    valid
    holds '.verification.rows | .before == 5000 and .read != 5000'
    drive ycsb-f:ids=5000 -n 500 --verify none
    holds '.verification.mode == "none" and (.verification.done | not) and .verification.rows == null'
}

@test "db-write adds each id once, however many a request and with the last ones short" {
    configured
    drive db-write:ids=1050,rows=100,low=4000 --threads 2 -c 3
    valid
    holds '.ok == 11 and .rows.written == 1050 and .rows.write_rate > .rate and
        [.verification.shards[].read] == [96, 954, 0]'
}

@test "a server that is killed under a mix leaves a valid run" {
    configured --heartbeat-ms 100
    drive db-write:ids=4000
    valid
    local before
    before=$(changes)
    json=$dir/mix.json
    QUOIT_E2E_MARK=$mark "$QUOIT" load "http://$LB/" --workload db-mix:read=50,update=48,insert=2,ids=4000 \
        -d 3 -c 16 -q --json "$json" >"$dir/load.log" 2>&1 3>&- &
    local load=$!
    within 10 more_changes "$before" # so its look at what was there before is over
    kill -KILL "$(pid_of Server1)"
    status=0
    wait "$load" || status=$?
    output=$(<"$dir/load.log")
    valid
    holds '.duration_s > 2.5'
}

# ---- what is not ---------------------------------------------------------------------------------

# Runs an update mix over the ids 0 to 499 while a row beside them is tampered with by COMMAND….
tampered() { # COMMAND…
    local before
    drive db-write:ids=1000
    valid
    before=$(changes)
    json=$dir/mix.json
    QUOIT_E2E_MARK=$mark "$QUOIT" load "http://$LB/" --workload db-mix:read=50,update=50,ids=500 \
        -d 4 -c 8 -q --verify-timeout 1s --json "$json" >"$dir/load.log" 2>&1 3>&- &
    local load=$!
    within 10 more_changes "$before" # so its look at what was there before is over
    "$@"
    status=0
    wait "$load" || status=$?
    output=$(<"$dir/load.log")
    [ "$status" -eq 4 ]
    holds '.verdict.valid | not'
    holds '.failed == 0'
}

remove_row() { # KEY ADDRESS…
    local key=$1 address
    shift
    for address; do
        ask DELETE "http://$address/del" \
            --data-binary "{\"shard\":\"sh1\",\"Stud_id\":$key}"
        [ "$code" = 200 ]
    done
}

@test "a row deleted behind one server's back makes the run INVALID, and the shard is named" {
    configured
    tampered remove_row 900 "$(address_of Server0)"
    holds '.verification | (.replicas.equal | not) and
        [.shards[] | select(.equal | not) | .shard] == ["sh1"]'
    [[ $output == *"INVALID: the replicas of shard sh1 are not equal: "*" rows"*", and Server"* ]]
    [[ $output == *"Server2 has 1000 rows"* && $output == *"Server0 has 999 rows"* ]]
}

@test "a row lost on all replicas makes the run INVALID, and its key is named" {
    configured
    tampered remove_row 900 "$(address_of Server0)" "$(address_of Server2)"
    holds '.verification | .replicas.equal and .rows.missing == 1 and .rows.read == 999 and
        .examples == ["Stud_id 900 is missing: it must hold version 0"]'
    [[ $output == *"INVALID: of 1000 rows 1 are missing"*"Stud_id 900 is missing"* ]]
}

@test "a request that fails makes the run INVALID, unless that was allowed" {
    configured
    drive db-write:ids=100
    valid
    drive db-write:ids=100,low=50
    [ "$status" -eq 4 ]
    holds '.statuses."409" == 50 and .verification.rows.read == 150 and
        .verification.rows.unknown == 50 and .verification.rows.missing == 0'
    [[ $output == *"50 of 100 requests failed, and in a run on the database none may"* ]]
    drive db-write:ids=100,low=100 --fail-if 'errors>50'
    [ "$status" -eq 0 ]
    holds '.failed == 50 and .verdict.valid'
}

# ---- what cannot be ------------------------------------------------------------------------------

@test "what a workload cannot run on is said before it begins" {
    start_lb --servers 1
    drive db-write
    [ "$status" -eq 1 ]
    [[ $output == *"there is no database yet: POST /init first"* ]]
    ask POST /init --data-binary '{"N":1,"schema":{"columns":["id","name"],"dtypes":["Number","String"]},"shards":[{"id_low":0,"Shard_id":"sh1","Shard_size":10}]}'
    [ "$code" = 200 ]
    drive db-write
    [ "$status" -eq 1 ]
    [[ $output == *"its table is not the example's"* ]]
    kill -KILL "$LB_PID"
    signal_all KILL
    configured
    drive db-write:ids=12289
    [ "$status" -eq 1 ]
    [[ $output == *"no shard holds 12288; there are sh1 0 to 4095, sh2 4096 to 8191, sh3 8192 to 12287"* ]]
    [ ! -e "$json" ]
    drive ycsb-d:ids=12000 -n 10000
    [ "$status" -eq 1 ]
    [[ $output == *"no shard holds 12288"* ]]
    drive db-write:ids=100 -n 101
    [ "$status" -eq 2 ]
    [[ $output == *"101 requests of 1 rows are more than the 100 ids"* ]]
    drive db-write --verify twice
    [ "$status" -eq 2 ]
    run_quoit load http://127.0.0.2:1/ --workload db-write -q
    [ "$status" -eq 1 ]
    [[ $output == *"the database at 127.0.0.2:1: GET /status"* ]]
}

@test "where the ids run out the run ends, and says so" {
    configured
    drive db-write:ids=300 -d 20 -c 4
    [ "$status" -eq 0 ]
    holds '.ok == 300 and .duration_s < 15 and .verdict.valid and
        (.verdict.warnings | any(contains("no more ids to add")))'
    drive db-write:ids=300,low=300 --rate 2000 -d 20 -c 4 --lag-bound 10s
    [ "$status" -eq 0 ]
    holds '.ok == 300 and .open.scheduled == 300 and .verdict.valid'
}

# Every failing insert takes a replica out, and another is made from one that may be next.
@test "stores that fail again and again lose nothing that was acknowledged" {
    local every six
    six='[{"Stud_id_low":0,"Shard_id":"sh1","Shard_size":3000},{"Stud_id_low":3000,"Shard_id":"sh2","Shard_size":3000},{"Stud_id_low":6000,"Shard_id":"sh3","Shard_size":3000},{"Stud_id_low":9000,"Shard_id":"sh4","Shard_size":3000}]'
    for every in 22 33 59; do
        start_lb --servers 0 --store "fault:fail=insert,every=$every+memory" --log-level error
        ask POST /init --data-binary "{\"N\":6,\"replicas\":3,\"schema\":$SCHEMA,\"shards\":$six}"
        [ "$code" = 200 ]
        drive db-write:ids=10000 --client raw --fail-if 'errors>9000'
        echo "$output"
        holds '.verification | .done and .rows.missing == 0 and .rows.wrong == 0 and .replicas.equal'
        [ "$status" -eq 0 ]
        kill -TERM "$LB_PID"
        within 6 gone "$LB_PID"
    done
}
