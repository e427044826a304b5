#!/usr/bin/env bats
# quoit load beyond the closed loop: rates, stages, threads, keys, traces, thresholds, timelines, its
# verdict on itself. QUOIT names the program.
#
# The machine that runs this may be busy: --lag-bound is generous where a run is to be valid.
# shellcheck disable=SC2153,SC2154 # SERVER, LB and dir are helper.bash's

setup() {
    load helper
    e2e_begin
    json=$dir/out.json
}

teardown() {
    e2e_end
}

load_json() { # OPTION… URL: the result in $json; the exit code in $status
    run_quoit load --quiet --lag-bound 60s --json "$json" "$@"
}

# The same in the background, once the first request is under way: sets `load_pid`.
begin_load() { # URL OPTION…
    : >"$dir/begun"
    "$QUOIT" load --quiet --lag-bound 60s --json "$json" --ready-fd 9 "$@" 9>"$dir/begun" \
        >"$dir/out" 2>"$dir/err" 3>&- &
    load_pid=$!
    within 5 [ -s "$dir/begun" ]
}

# An assertion about the result, shown when it does not hold.
holds() { # JQ FILTER
    jq -e "$1" "$json" >/dev/null && return 0
    echo "does not hold: $1"
    cat "$json"
    return 1
}

@test "--rate sends what it says and shows both distributions" {
    start_server
    run_quoit load "http://$SERVER/home" --rate 500 -d 1 --quiet --lag-bound 60s --json "$json"
    [ "$status" -eq 0 ]
    [[ $output == *"open loop, 500 requests/s constant"* ]]
    [[ $output == *"latency "*"from the intended start"* ]]
    [[ $output == *"service "*"from the actual send"* ]]
    [[ $output == *"lag "*"behind their time"* ]]
    holds '.schema_version == 3 and .settings.loop == "open" and .settings.rate == 500'
    holds '.requests == 500 and .ok == 500 and .open.scheduled == 500 and .open.dropped == 0'
    holds '.latency_ms.count == 500 and .service_ms.count == 500'
    holds '.open.rate_scheduled > 499.9 and .open.rate_scheduled < 500.1'
    holds '(.open.lag_ms.count + (.open.wait_ms.count // 0)) == 500 and .open.lag_ms.p99 >= 0'
    holds '.latency_ms.p50 >= .service_ms.p50 and .verdict == {valid: true, reasons: [],
           warnings: .verdict.warnings}'
    holds '.generator.threads | length == 1 and .[0].requests == 500'
}

@test "-n, poisson arrivals, warm-up, threads: the counts are exact" {
    start_server
    load_json "http://$SERVER/home" -r 2000 -n 1001 --arrivals poisson --warmup 100 --threads 3
    [ "$status" -eq 0 ]
    holds '.ok == 1001 and .open.scheduled == 1001 and .servers.Server1 == 1001'
    holds '.settings.arrivals == "poisson" and .settings.threads == 3'
    holds '[.generator.threads[].requests] | add == 1001 and length == 3'
    load_json "http://$SERVER/home" -n 1000 -c 7 --threads 2
    [ "$status" -eq 0 ]
    holds '.ok == 1000 and [.generator.threads[].requests] == [500, 500]'
    holds '.settings.loop == "closed" and .open == null and .service_ms == null'
}

@test "--stages and --ramp are reported apart and add up" {
    start_server
    load_json "http://$SERVER/home" --stages 200:0.5,0:200ms,1000:500ms --ramp 500ms
    [ "$status" -eq 0 ]
    holds '[.stages[].scheduled] == [50, 100, 0, 500]'
    holds '[.stages[].ok] | add == 650'
    holds '.ok == 650 and .stages[0].rate_from == 0 and .stages[0].rate_to == 200'
    holds '.stages[3].latency_ms.count == 500 and .stages[2].latency_ms == null'
    load_json "http://$SERVER/home" -r 400 --ramp 500ms -d 1
    holds '[.stages[].scheduled] == [100, 200] and .ok == 300'
}

@test "a server that stops for 500 ms shows in p99.9 of an open loop, not of a closed one" {
    start_server
    load_stopped -r 300 -c 4 -d 2
    holds '.ok == 600 and .latency_ms.p99_9 >= 350 and .latency_ms.p90 >= 50'
    holds '.open.late > 50 and .service_ms.p90 < .latency_ms.p90'
    # long enough that the one request is less than a thousandth, on a slow machine too
    local seconds
    for seconds in 3 12 48; do
        load_stopped -c 1 -d $seconds
        jq -e '.ok <= 1200' "$json" || break
    done
    holds '.ok > 1200 and .latency_ms.p99_9 < 300 and .latency_ms.max >= 350'
}

# A load whose server stops for half a second soon after its first request.
load_stopped() { # OPTION…
    begin_load "http://$SERVER/home" "$@"
    sleep 0.4
    kill -STOP "$SERVER_PID"
    sleep 0.5
    kill -CONT "$SERVER_PID"
    wait "$load_pid" || true
}

@test "--max-lag drops what is too late, and says so with exit code 1" {
    start_server
    kill -STOP "$SERVER_PID"
    load_json "http://$SERVER/home" -r 200 -d 0.5 -c 2 --max-lag 50ms --timeout 1s
    [ "$status" -eq 1 ]
    [[ $output == *"were dropped"* ]]
    holds '.open.scheduled == 100 and .ok == 0 and .failed == 2 and .open.dropped == 98'
    holds '.errors.timeout.count == 2'
}

@test "a rate it cannot send is INVALID, exit code 4, with the reason" {
    start_server
    run_quoit load "http://$SERVER/home" -r 10000000 -n 20000 -c 4000 --quiet --json "$json"
    [ "$status" -eq 4 ]
    [[ $output == *"INVALID: "*"schedule lag"* ]]
    holds '.verdict.valid == false and (.verdict.reasons | length > 0)'
    holds '.requests + .open.dropped == 20000'
}

@test "--fail-if: exit code 3 and a line for each one missed, in the JSON too" {
    start_server
    load_json "http://$SERVER/home" -n 500 --fail-if 'p99>1us' --fail-if 'errors>0' \
        --fail-if 'rate<1' --fail-if 'p99.9 >= 1ns'
    [ "$status" -eq 3 ]
    [[ $output == *"threshold missed: p99>1us (measured: "*" ms)"* ]]
    [[ $output == *"threshold missed: p99.9 >= 1ns"* ]]
    [[ $output != *"threshold missed: errors"* ]]
    holds '[.thresholds[] | .missed] == [true, false, false, true]'
    holds '.thresholds[0].fail_if == "p99>1us" and .thresholds[0].value > 0.001'
    load_json "http://$SERVER/home" -n 500 --fail-if 'errors>0' --fail-if 'p50>10s'
    [ "$status" -eq 0 ]
}

@test "failures are the errors threshold's to judge where there is one" {
    start_server
    load_json "http://$SERVER/nothing" -n 50 --fail-if 'errors>0'
    [ "$status" -eq 3 ]
    # Nothing succeeded: no threshold makes that good.
    load_json "http://$SERVER/nothing" -n 50 --fail-if 'errors>100%'
    [ "$status" -eq 1 ]
    printf '/home\n/home\n/home\n/nothing\n' >"$dir/trace"
    load_json "http://$SERVER" --trace "$dir/trace" -n 100 --fail-if 'errors>25%'
    [ "$status" -eq 0 ]
    holds '.ok == 75 and .failed == 25'
    load_json "http://$SERVER" --trace "$dir/trace" -n 100 --fail-if 'errors>=25%'
    [ "$status" -eq 3 ]
    load_json "http://$SERVER" --trace "$dir/trace" -n 100
    [ "$status" -eq 1 ]
}

@test "keys reach the cluster by path, query and header" {
    start_lb --servers 3 --key-from header:X-Key
    load_json "http://$LB/home" -n 300 --keys uniform:low=123456,high=123456 --key-header X-Key
    [ "$status" -eq 0 ]
    holds '.ok == 300 and (.servers | length == 1)'
    holds '.settings.keys == "uniform:low=123456,high=123456" and .settings.workload == "keys"'
    local server
    server=$(server_of 123456)
    holds ".servers[\"$server\"] == 300"
    load_json "http://$LB/home" -n 600 --key-header X-Key
    [ "$status" -eq 0 ]
    holds '.ok == 600 and (.servers | length == 3) and .settings.keys == "ids"'
    # The same seed, the same keys: the same counts.
    jq .servers "$json" >"$dir/first"
    load_json "http://$LB/home" -n 600 --key-header X-Key -c 3
    jq .servers "$json" | cmp - "$dir/first"
    load_json "http://$LB/home" -n 600 --key-header X-Key --seed 2
    jq .servers "$json" >"$dir/second"
    run ! cmp -s "$dir/second" "$dir/first"
}

@test "the key in the query" {
    start_lb --servers 3 --key-from query:id
    load_json "http://$LB/home?id={key}" -n 300 --keys sequential:low=500000,high=500000
    [ "$status" -eq 0 ]
    holds '.ok == 300 and (.servers | length == 1)'
}

@test "a trace is replayed, once or over and over, by one thread or more" {
    start_server
    printf '/home\n/heartbeat\n/home?x=1\n' >"$dir/trace"
    load_json "http://$SERVER" --trace "$dir/trace" --trace-once
    [ "$status" -eq 0 ]
    holds '.ok == 3 and .settings.workload == "trace"'
    load_json "http://$SERVER" --trace "$dir/trace" -n 300 --threads 2
    [ "$status" -eq 0 ]
    holds '.ok == 300'
    # Two of three have a body, of 54 bytes.
    [ "$(jq .body_bytes "$json")" -eq $((200 * $(curl -s --noproxy '*' "http://$SERVER/home" | wc -c))) ]
    printf '123456\n/home\n' >"$dir/trace"
    load_json "http://$SERVER" --trace "$dir/trace"
    [ "$status" -eq 2 ]
    [[ $output == *"line 1"*"{key}"* ]]
    printf '/home\nhome\n' >"$dir/trace"
    load_json "http://$SERVER" --trace "$dir/trace"
    [ "$status" -eq 2 ]
    [[ $output == *"$dir/trace: line 2"*"'home'"* ]]
}

@test "methods, headers and bodies" {
    start_lb --servers 1
    # /add wants a JSON body; a name twice is refused, so the second is a 400.
    run_quoit load "http://$LB/add" -n 1 --quiet --body '{"n":1,"hostnames":["S77"]}' --json "$json"
    [ "$status" -eq 0 ]
    holds '.settings.method == "POST"'
    [ "$(n_servers)" -eq 2 ]
    echo '{"n":1,"hostnames":["S77"]}' >"$dir/body"
    run_quoit load "http://$LB/rm" -n 1 --quiet --method DELETE --body "@$dir/body" -H 'X-Why: test'
    [ "$status" -eq 0 ]
    [ "$(n_servers)" -eq 1 ]
}

@test "the timeline's buckets add up to the totals and stand on the cluster's clock" {
    start_lb --servers 2
    local load_pid victim
    victim=$(names | head -n 1)
    begin_load "http://$LB/home" -r 500 -d 3 --threads 2 --timeline "$dir/timeline.tsv" \
        --timeline-bucket 50ms
    sleep 0.1
    ask POST /cluster/kill -d "{\"server\":\"$victim\"}"
    wait "$load_pid" || true
    column() { # NAME: the sum
        awk -F'\t' -v name="$1" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) c = i; next }
            { sum += $c } END { print sum + 0 }' "$dir/timeline.tsv"
    }
    [ "$(column ok)" -eq "$(jq .ok "$json")" ]
    [ "$(column failed)" -eq "$(jq .failed "$json")" ]
    [ "$(column dropped)" -eq "$(jq .open.dropped "$json")" ]
    for name in $(jq -r '.servers | keys[]' "$json"); do
        [ "$(column "server:$name")" -eq "$(jq ".servers.$name" "$json")" ]
    done
    # Evenly spaced, without a gap, from the start of the run.
    awk -F'\t' 'NR == 1 { next } NR > 2 && $2 - last != 50000000 { exit 1 } { last = $2 }' \
        "$dir/timeline.tsv"
    local first last killed
    first=$(sed -n 2p "$dir/timeline.tsv" | cut -f2) last=$(tail -n 1 "$dir/timeline.tsv" | cut -f2)
    [ "$first" -le "$(jq .started_monotonic_ns "$json")" ]
    [ $((first + 50000000)) -gt "$(jq .started_monotonic_ns "$json")" ]
    killed=$(get /cluster | jq '[.events[] | select(.step == "killed")][0].monotonic_ns')
    [ "$killed" -gt "$first" ] && [ "$killed" -lt "$last" ]
}

@test "a dead port is asked with pauses" {
    run_quoit load http://127.0.0.2:1/home -d 0.5 -c 4 --quiet --json "$json"
    [ "$status" -eq 1 ]
    holds '.errors.refused.count >= 4 and .errors.refused.count <= 60'
}

@test "SIGINT ends an open loop with a partial result and exit code 130" {
    start_server
    local load_pid status=0
    begin_load "http://$SERVER/home" -r 100 -d 60 --threads 2 --fail-if 'p99>1ns' \
        --timeline "$dir/timeline.tsv"
    sleep 0.3
    kill -INT "$load_pid"
    wait "$load_pid" || status=$?
    [ "$status" -eq 130 ]
    holds '.interrupted and .ok > 0 and .failed == 0 and .ok < 3000'
    [ -s "$dir/timeline.tsv" ]
    grep -q 'threshold missed' "$dir/err"
}

@test "wrong usage exits with 2 and says why" {
    local url=http://127.0.0.1:5000/home
    refuses() { # REASON OPTION…
        local reason=$1
        shift
        run_quoit load "$@"
        [ "$status" -eq 2 ] || { echo "status $status, wanted: $reason: $output"; return 1; }
        [[ $output == *"$reason"* ]] || { echo "no '$reason' in: $output"; return 1; }
    }
    refuses "open loop" "$url" --ramp 1s
    refuses "open loop" "$url" --max-lag 1s
    refuses "open loop" "$url" --arrivals poisson
    refuses "arrivals" "$url" -r 10 --arrivals sometimes
    refuses "stage 2" "$url" --stages 10:1s,x
    refuses "no --rate" "$url" --stages 10:1s -r 5
    refuses "shorter" "$url" -r 10 -d 1 --ramp 1s
    refuses "2 threads share 1" "$url" -c 1 --threads 2
    refuses "threads" "$url" --threads 65
    refuses "nowhere" "$url" --keys ids
    refuses "zipfian" "http://127.0.0.1:5000/{key}" --keys zipfien
    refuses "exponent" "http://127.0.0.1:5000/{key}" --keys zipfian:exponent=x
    refuses "at its end" "$url" --fail-if p99
    refuses "at its end" "$url" --fail-if 'p99>'
    refuses "Host" "$url" -H 'Host: x'
    refuses "NAME: VALUE" "$url" -H nonsense
    refuses "--method" "$url" --method get
    refuses "/no/such/body" "$url" --body @/no/such/body
    refuses "/no/such/trace" http://127.0.0.1:5000 --trace /no/such/trace
    refuses "--trace" "$url" --trace-once
}
