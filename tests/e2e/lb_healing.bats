#!/usr/bin/env bats
# Servers that die, hang or cannot be started, while clients go on asking.

setup() {
    load helper
    e2e_begin
}

teardown() {
    e2e_end
}

# A stream of requests over 8 connections in the background, which stops at nothing and ends only when
# it is told to: sets `stream`.
start_stream() {
    stream_on 3>&- &
    stream=$!
    within 5 [ -s "$dir/stream" ]
}

stream_on() {
    while [ -d "$dir" ] && [ ! -e "$dir/stream.end" ]; do
        curl -sS --no-progress-meter --noproxy "*" --parallel --parallel-max 8 --max-time 60 \
            "http://$LB/home?[1-1000]" -o "$dir/page" -w '%{http_code} %header{x-quoit-server}\n' || true
        echo "1000 were asked"
    done >"$dir/stream" 2>"$dir/stream.err"
}

# So many more answers came than there were: what happened before, happened under the stream.
stream_goes_on() { # ANSWERS
    local wanted=$(($(wc -l <"$dir/stream") + $1))
    within 10 eval '[ "$(wc -l <"$dir/stream")" -ge '$wanted' ]'
}

# It ends, and none of its requests failed.
stream_is_whole() {
    stream_goes_on 500
    touch "$dir/stream.end"
    wait "$stream"
    local n
    n=$((1000 * $(grep -c '^1000 were asked$' "$dir/stream")))
    [ "$n" -ge 1000 ] && [ ! -s "$dir/stream.err" ] &&
        [ "$(grep -c '^200 S[A-Za-z]*[0-9]*$' "$dir/stream")" -eq "$n" ] && return 0
    cut -d ' ' -f 1 "$dir/stream" | sort | uniq -c
    head -n 3 "$dir/stream.err"
    return 1
}

# Milliseconds from the first event of one step of a server to the first of another's later one.
between() { # STEP SERVER STEP
    get /cluster | jq -e --arg from "$1" --arg server "$2" --arg to "$3" '.events
        | (first(.[] | select(.step == $from and .server == $server)) | .monotonic_ns) as $begun
        | (first(.[] | select(.step == $to and .monotonic_ns >= $begun)) | .monotonic_ns) as $done
        | ($done - $begun) / 1e6 | floor'
}

# All of the cluster's own requests go through what is under test: ask the LB until it is healed.
healed() { # N
    within 5 serving "$1"
}

@test "a killed server is replaced by one with a new name, and no request of a stream fails" {
    start_lb --placement ring --hash xxh64
    start_stream
    local pid
    pid=$(pid_of Server2)
    kill -KILL "$pid"
    within 2 eval '! names | grep -qx Server2'
    healed 3
    [ "$(names | head -n 2 | tr '\n' ' ')" = "Server1 Server3 " ]
    [[ $(names | tail -n 1) =~ ^Server[1-9][0-9]{5}$ ]]
    stream_is_whole
    # the one that came serves as well
    grep -qx "200 $(names | tail -n 1)" "$dir/stream"
    [ "$(n_marked server)" -eq 3 ]
}

@test "every server is killed once in turn under a stream, and no request fails" {
    start_lb --placement ring --hash xxh64 --threads 2
    start_stream
    local name
    for name in Server1 Server2 Server3; do
        kill -KILL "$(pid_of $name)"
        within 2 eval "! names | grep -qx $name"
        healed 3
    done
    stream_is_whole
    [ "$(names | grep -cE '^Server[1-9][0-9]{5}$')" -eq 3 ]
}

@test "a killed server is out of the placement at once and replaced soon after" {
    start_lb
    kill -KILL "$(pid_of Server1)"
    within 2 eval '! names | grep -qx Server1'
    healed 3
    get /cluster | jq -e '.events[] | select(.step == "detected") | .server == "Server1" and .detail == "killed by SIGKILL"'
    ask GET /metrics
    grep -qx 'quoit_lb_server_deaths_total 1' <<<"$body"
    once_in_five killed_and_replaced_quickly
}

# Far more than it takes.
killed_and_replaced_quickly() {
    local victim
    victim=$(names | tail -n 1) || return
    kill -KILL "$(pid_of "$victim")" || return
    within 2 eval "! names | grep -qx $victim" || return
    healed 3 || return
    [ "$(between detected "$victim" out)" -lt 100 ] && [ "$(between detected "$victim" serving)" -lt 1000 ]
}

@test "a server that is told to end by somebody else is replaced too" {
    start_lb
    kill -TERM "$(pid_of Server3)"
    within 2 eval '! names | grep -qx Server3'
    healed 3
}

@test "a hung server is found by its heartbeats, killed and replaced; its requests go elsewhere" {
    # long enough that one that is only slow, on a busy machine, is no hung one
    start_lb --placement ring --hash xxh64 --heartbeat-ms 100 --fall 8
    start_stream
    local pid
    pid=$(pid_of Server1)
    kill -STOP "$pid"
    within 2 gone "$pid"
    healed 3
    run ! grep -qx Server1 <(names)
    stream_is_whole
    get /cluster | jq -e 'first(.events[] | select(.step == "detected"))
        | .server == "Server1" and .detail == "8 heartbeats of 100 ms missed"'
}

heartbeats() {
    get /metrics | sed -n 's/^quoit_lb_heartbeats_total //p'
}

# So many more heartbeats were asked for, by all servers together.
heartbeats_go_on() { # N
    local wanted=$(($(heartbeats) + $1))
    within 5 eval '[ "$(heartbeats)" -ge '$wanted' ]'
}

@test "a server that hangs for less than fall heartbeats stays" {
    start_lb --heartbeat-ms 100 --fall 100
    local pid
    pid=$(pid_of Server1)
    kill -STOP "$pid"
    within 5 eval '[ "$(get /metrics | sed -n "s/^quoit_lb_heartbeats_missed_total //p")" -ge 1 ]'
    kill -CONT "$pid"
    heartbeats_go_on 9
    [ "$(pid_of Server1)" = "$pid" ]
    run ! gone "$pid"
    [ "$(names | tr '\n' ' ')" = "Server1 Server2 Server3 " ]
}

@test "an LB that was stopped itself does not take its servers for dead" {
    start_lb --heartbeat-ms 1500 --fall 1
    local before asked address
    before=$(cluster pid)
    # as when a machine sleeps: the LB has asked, all stop, all go on, the answers are there
    asked=$(heartbeats)
    signal_all STOP server
    within 3 eval '[ "$(heartbeats)" -gt '"$asked"' ]'
    local addresses
    addresses=$(cluster address)
    kill -STOP "$LB_PID"
    sleep 1.8
    signal_all CONT server
    # who answers this has answered what came before it
    for address in $addresses; do
        ask GET "http://$address/heartbeat"
        [ "$code" = 200 ]
    done
    kill -CONT "$LB_PID"
    heartbeats_go_on 6
    [ "$(cluster pid)" = "$before" ]
    [ "$(names | tr '\n' ' ')" = "Server1 Server2 Server3 " ]
}

@test "all servers killed at once: new ones, and requests are answered again" {
    start_lb --servers 4
    local before
    before=$(marked server)
    kill -KILL $before
    within 2 eval '! names | grep -qE "^Server[1-4]$"'
    healed 4
    ask GET /home
    [ "$code" = 200 ]
    ask GET /healthz
    [ "$code" = 200 ]
    [ "$(n_marked server)" -eq 4 ]
    [ "$(names | grep -cE '^Server[1-9][0-9]{5}$')" -eq 4 ]
}

@test "a replacement that dies is replaced as well" {
    start_lb --servers 2
    local i
    for i in 1 2 3 4; do
        kill -KILL "$(cluster pid | tail -n 1)"
        within 2 eval '[ "$(get /metrics | sed -n "s/^quoit_lb_server_deaths_total //p")" -eq '$i' ]'
        healed 2
    done
}

@test "N after an add is what is kept alive, and after an rm too" {
    start_lb --servers 1
    ask POST /add -d '{"n":2,"hostnames":["a","b"]}'
    kill -KILL "$(pid_of a)" "$(pid_of b)"
    within 2 eval '! names | grep -qxE "a|b"'
    healed 3
    ask DELETE /rm -d '{"n":2,"hostnames":["Server1"]}'
    serving 1
    kill -KILL "$(cluster pid)"
    within 2 eval '[ "$(get /metrics | sed -n "s/^quoit_lb_server_deaths_total //p")" -eq 3 ]'
    healed 1
    within 3 eval '[ "$(n_marked server)" -eq 1 ]'
}

@test "add and rm under a stream fail no request" {
    start_lb --placement ring --hash xxh64
    start_stream
    local i
    for i in 1 2 3; do
        ask POST /add -d "{\"n\":2,\"hostnames\":[\"S9$i\"]}"
        [ "$code" = 200 ]
        ask DELETE /rm -d "{\"n\":2,\"hostnames\":[\"S9$i\"]}"
        [ "$code" = 200 ]
    done
    stream_is_whole
}

@test "a hung server can be removed" {
    start_lb --heartbeat-ms 10s
    local pid
    pid=$(pid_of Server2)
    kill -STOP "$pid"
    ask DELETE /rm -d '{"n":1,"hostnames":["Server2"]}'
    answered 200 '{"message":{"N":2,"replicas":["Server1","Server3"]},"status":"successful"}'
    within 4 gone "$pid"
}

# The program run from a file of its own, which can be taken away.
start_removable_lb() { # OPTION…
    cp "$QUOIT" "$dir/quoit"
    PROGRAM=$dir/quoit start_lb "$@"
}

# Milliseconds between one failed start and the next, one a line.
pauses() {
    get /cluster | jq -r '[.events[] | select(.step == "failed") | .monotonic_ns]
        | range(1; length) as $i | (.[$i] - .[$i - 1]) / 1e6 | floor'
}

@test "without its program the LB goes on with who is left, tries less and less often, and heals at last" {
    start_removable_lb
    mv "$dir/quoit" "$dir/quoit.away"
    kill -KILL "$(pid_of Server2)"
    within 2 eval '[ "$(n_servers)" -eq 2 ]'
    # after 0, 100, 300, 700 ms
    within 5 eval '[ "$(pauses | wc -l)" -ge 3 ]'
    pauses | awk 'NR <= 3 && $1 < 99 * 2 ^ (NR - 1) { exit 1 }'
    ask GET /healthz
    answered 200 '{"message":"2 of 3 servers serve","status":"successful"}'
    ask GET /rep
    answered 200 '{"message":{"N":2,"replicas":["Server1","Server3"]},"status":"successful"}'
    local i
    for i in {1..10}; do
        ask GET /home
        [ "$code" = 200 ]
    done
    mv "$dir/quoit.away" "$dir/quoit"
    healed 3
}

@test "without its program an add is refused with 503 and changes nothing" {
    start_removable_lb
    local before
    before=$(get /rep; marked | sort)
    mv "$dir/quoit" "$dir/quoit.away"
    ask POST /add -d '{"n":2,"hostnames":["a"]}'
    refused_with 503 "No such file or directory"
    [[ $body == *"nothing was changed"* ]]
    chmod -x "$dir/quoit.away"
    mv "$dir/quoit.away" "$dir/quoit"
    ask POST /add -d '{"n":2,"hostnames":["a"]}'
    refused_with 503 "Permission denied"
    [ "$(get /rep; marked | sort)" = "$before" ]
    serving 3
    # the names are free again
    chmod +x "$dir/quoit"
    ask POST /add -d '{"n":2,"hostnames":["a","b"]}'
    answered 200 '{"message":{"N":5,"replicas":["Server1","Server2","Server3","a","b"]},"status":"successful"}'
}

@test "an add of which one server fails lets go of the others" {
    start_removable_lb --servers 1
    cp "$dir/quoit" "$dir/real"
    rm "$dir/quoit"
    printf '#!/bin/sh\ncase "$*" in *"--name bad"*) exit 3 ;; esac\nexec "%s" "$@"\n' "$dir/real" >"$dir/quoit"
    chmod +x "$dir/quoit"
    ask POST /add -d '{"n":4,"hostnames":["a","bad","c"]}'
    refused_with 503 "bad ended before it listened: exit status 3"
    [[ $body == *"nothing was changed"* ]]
    ask GET /rep
    answered 200 '{"message":{"N":1,"replicas":["Server1"]},"status":"successful"}'
    serving 1
    within 3 eval '[ "$(n_marked server)" -eq 1 ]'
    # the same without the bad one
    ask POST /add -d '{"n":2,"hostnames":["a","c"]}'
    answered 200 '{"message":{"N":3,"replicas":["Server1","a","c"]},"status":"successful"}'
}

@test "a shard without a replica that serves: healthz is 503 and names it, until it is back" {
    start_removable_lb --servers 0
    ask POST /init -d '{"N":2,"schema":{"columns":["id","name"],"dtypes":["Number","String"]},
        "shards":[{"id_low":0,"Shard_id":"sh1","Shard_size":10},
            {"id_low":10,"Shard_id":"sh2","Shard_size":10},
            {"id_low":20,"Shard_id":"sh3","Shard_size":10}],
        "servers":{"A1":["sh1"],"B2":["sh1","sh2","sh3"]}}'
    [ "$code" = 200 ]
    ask GET /healthz
    answered 200 '{"message":"2 of 2 servers serve","status":"successful"}'
    mv "$dir/quoit" "$dir/quoit.away"
    kill -KILL "$(pid_of B2)"
    within 2 eval '[ "$(n_servers)" -eq 1 ]'
    ask GET /healthz
    refused_with 503 "2 of 3 shards without a replica that serves: sh2, ..."
    # what is there is answered all the same
    ask POST /read -d '{"id":{"low":0,"high":9}}'
    [ "$code" = 200 ]
    "$QUOIT" ctl health --lb "$LB" || local rc=$?
    [ "${rc:-0}" -eq 1 ]
    mv "$dir/quoit.away" "$dir/quoit"
    healed 2
    ask GET /healthz
    answered 200 '{"message":"2 of 2 servers serve","status":"successful"}'
    ask POST /add -d '{"n":1,"new_shards":[{"id_low":30,"Shard_id":"status","Shard_size":1}],
        "servers":{"C3":["status"]}}'
    refused_with 400 "a shard cannot be called 'status'"
}

@test "with no server and none to be had: 503 for paths and healthz, 200 for rep" {
    start_removable_lb --servers 2
    mv "$dir/quoit" "$dir/quoit.away"
    signal_all KILL server
    within 2 eval '[ "$(n_servers)" -eq 0 ]'
    ask GET /home
    refused_with 503 "no server"
    ask GET /healthz
    refused_with 503 "none of 2 servers serves"
    ask GET /rep
    answered 200 '{"message":{"N":0,"replicas":[]},"status":"successful"}'
    mv "$dir/quoit.away" "$dir/quoit"
    healed 2
    ask GET /home
    [ "$code" = 200 ]
}

@test "an rm while a replacement cannot be had takes the missing one off N" {
    start_removable_lb --servers 3
    mv "$dir/quoit" "$dir/quoit.away"
    kill -KILL "$(pid_of Server3)"
    within 2 eval '[ "$(n_servers)" -eq 2 ]'
    ask DELETE /rm -d '{"n":1,"hostnames":["Server1"]}'
    answered 200 '{"message":{"N":1,"replicas":["Server2"]},"status":"successful"}'
    mv "$dir/quoit.away" "$dir/quoit"
    healed 2
    sleep 0.3
    serving 2
}
