#!/usr/bin/env bats
# quoit load, the real program against real servers. QUOIT names the program.
bats_require_minimum_version 1.5.0

setup_file() {
    export QUOIT=${QUOIT:-$BATS_TEST_DIRNAME/../../build/release/quoit}
    export READY=$BATS_FILE_TMPDIR/ready
    start_server
    export ADDRESS
    export SERVER_PID
    export URL=http://$ADDRESS/home
}

teardown_file() {
    kill "$SERVER_PID"
}

# Starts `quoit server` on a free port: ADDRESS and SERVER_PID.
start_server() {
    "$QUOIT" server --listen 127.0.0.1:0 --name Server1 --log-level error \
        --ready-fd 5 5>"$READY" >/dev/null 2>&1 3>&- 4>&- &
    SERVER_PID=$!
    for _ in $(seq 600); do
        [ -s "$READY" ] && break
        sleep 0.05
    done
    ADDRESS=$(head -n1 "$READY")
    [ -n "$ADDRESS" ]
}

# An address where nothing listens: port 1 of a loopback address that is nobody's.
nowhere=127.0.0.2:1

@test "every request of a good server is counted, the exit code is 0" {
    run --separate-stderr "$QUOIT" load "$URL" -n 2000 -c 16 --json "$BATS_TEST_TMPDIR/out.json"
    [ "$status" -eq 0 ]
    [[ $output == *"ok          2000"* ]]
    [[ $output == *"Server1"*"2000"*"100.00 %"* ]]
    jq -e '.kind == "load" and .schema_version == 3' "$BATS_TEST_TMPDIR/out.json"
    jq -e '.requests == 2000 and .ok == 2000 and .failed == 0' "$BATS_TEST_TMPDIR/out.json"
    jq -e '.servers == {"Server1": 2000} and .errors == {}' "$BATS_TEST_TMPDIR/out.json"
    jq -e '.connections.opened <= 16 and .interrupted == false' "$BATS_TEST_TMPDIR/out.json"
    jq -e '.latency_ms | .count == 2000 and .min <= .p50 and .p50 <= .p90 and .p90 <= .p99
           and .p99 <= .p99_9 and .p99_9 <= .max' "$BATS_TEST_TMPDIR/out.json"
    jq -e '.generator | .cpu_us_per_request > 0 and .cpu_share > 0' "$BATS_TEST_TMPDIR/out.json"
    jq -e '.rate > 0 and .settings.requests == 2000 and .settings.in_flight == 16' \
        "$BATS_TEST_TMPDIR/out.json"
}

@test "the JSON says where and with what it was measured, and compare notes what differs" {
    run --separate-stderr "$QUOIT" load "$URL" -n 100 --quiet --json "$BATS_TEST_TMPDIR/a.json"
    [ "$status" -eq 0 ]
    jq -e '.environment | .quoit.version != null and .host.cores > 0 and .host.kernel != null
        and .libraries.libcurl != null' "$BATS_TEST_TMPDIR/a.json"
    jq '.environment.host.kernel = "Linux 1.0" | .environment.quoit.commit = "abc"' \
        "$BATS_TEST_TMPDIR/a.json" >"$BATS_TEST_TMPDIR/b.json"
    run "$QUOIT" compare "$BATS_TEST_TMPDIR/a.json" "$BATS_TEST_TMPDIR/b.json"
    [ "$status" -eq 0 ]
    [[ $output == *"host.kernel differs"*"Linux 1.0"* ]]
    [[ $output == *"commit abc"* ]]
}

@test "--json - puts the JSON and nothing else on stdout" {
    run --separate-stderr "$QUOIT" load "$URL" -n 100 --quiet --json -
    [ "$status" -eq 0 ]
    jq -e '.ok == 100' <<<"$output"
    [ -z "$stderr" ]
}

@test "--warmup is not counted" {
    run --separate-stderr "$QUOIT" load "$URL" -n 100 --warmup 50 --json -
    [ "$status" -eq 0 ]
    jq -e '.ok == 100 and .warmup == 50 and .servers.Server1 == 100' <<<"$output"
    run --separate-stderr "$QUOIT" load "$URL" -n 100 --warmup 100ms --json -
    [ "$status" -eq 0 ]
    jq -e '.ok == 100 and .warmup > 0 and .settings.warmup_s == 0.1' <<<"$output"
}

@test "-d sends for so long" {
    run --separate-stderr "$QUOIT" load "$URL" -d 0.5s -c 4 --json -
    [ "$status" -eq 0 ]
    jq -e '.duration_s >= 0.45 and .duration_s < 5 and .ok > 0' <<<"$output"
}

@test "--hgrm writes HdrHistogram's format" {
    run "$QUOIT" load "$URL" -n 500 --quiet --hgrm "$BATS_TEST_TMPDIR/out.hgrm"
    [ "$status" -eq 0 ]
    grep -q 'Value *Percentile *TotalCount' "$BATS_TEST_TMPDIR/out.hgrm"
    grep -q 'Total count *= *500' "$BATS_TEST_TMPDIR/out.hgrm"
}

@test "progress goes to stderr in plain lines, and --quiet silences it" {
    run --separate-stderr "$QUOIT" load "$URL" -d 1.5s
    [ "$status" -eq 0 ]
    [[ $stderr == *"requests/s, ETA "* ]]
    [[ $stderr != *$'\033'* ]]
    [ "${#stderr_lines[@]}" -le 2 ]
    run --separate-stderr "$QUOIT" load "$URL" -d 1.5s --quiet
    [ -z "$stderr" ]
}

@test "a terminal gets a bar, coloured unless NO_COLOR" {
    command -v script >/dev/null || skip "no script(1)"
    export TERM=xterm
    run script -qec "$QUOIT load $URL -d 0.6s" /dev/null
    [[ $output == *"=>"*"]"*"ETA"* ]]
    [[ $output == *$'[\033[32m='* ]]
    run env NO_COLOR=1 script -qec "$QUOIT load $URL -d 0.6s" /dev/null
    [[ $output == *"[="*"]"*"ETA"* ]]
    [[ $output != *$'\033[32m'* ]]
}

@test "--expect checks the bodies" {
    run "$QUOIT" load "$URL" -n 50 --quiet --expect "Hello from Server: 1"
    [ "$status" -eq 0 ]
    run --separate-stderr "$QUOIT" load "$URL" -n 50 --quiet --expect "Hello from Server: 2" --json -
    [ "$status" -eq 1 ]
    jq -e '.ok == 0 and .errors.wrong_body.count == 50' <<<"$output"
}

@test "a status that is not 2xx is a failed request and exit code 1" {
    run --separate-stderr "$QUOIT" load "http://$ADDRESS/no-such-path" -n 50 --quiet --json -
    [ "$status" -eq 1 ]
    jq -e '.ok == 0 and .failed == 50 and .errors.status_4xx.count == 50' <<<"$output"
    jq -e '.latency_ms == null and .rate == 0' <<<"$output"
    [[ $stderr == *"not one of 50 requests"* ]]
}

@test "nothing listening: exit code 1, with a hint" {
    run --separate-stderr "$QUOIT" load "http://$nowhere/home" -n 20 --quiet
    [ "$status" -eq 1 ]
    [[ $output == *"refused"*"20"* ]]
    [[ $output == *"nothing listens at $nowhere; is the load balancer running?"* ]]
    [[ $stderr == *"not one of 20 requests"* ]]
}

@test "SIGINT ends it with a partial result and exit code 130" {
    "$QUOIT" load "$URL" -d 60 -c 4 --quiet --json "$BATS_TEST_TMPDIR/cut.json" --ready-fd 5 \
        5>"$BATS_TEST_TMPDIR/begun" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" 3>&- &
    local pid=$! status=0
    for _ in $(seq 600); do
        [ ! -s "$BATS_TEST_TMPDIR/begun" ] || break
        sleep 0.05
    done
    sleep 0.2
    kill -TERM "$pid"
    wait "$pid" || status=$?
    [ "$status" -eq 130 ]
    jq -e '.interrupted and .ok > 0 and .failed == 0' "$BATS_TEST_TMPDIR/cut.json"
    grep -q 'interrupted, partial result' "$BATS_TEST_TMPDIR/out"
    grep -q 'interrupted' "$BATS_TEST_TMPDIR/err"
}

@test "a file that cannot be written is an error" {
    run --separate-stderr "$QUOIT" load "$URL" -n 10 --quiet --json /no/such/folder/out.json
    [ "$status" -eq 1 ]
    [[ $stderr == *"/no/such/folder"* ]]
    [[ $output == *"ok          10"* ]]
}

@test "a window beyond the hard limit of descriptors is refused with the reason" {
    run bash -c "ulimit -n 200; '$QUOIT' load '$URL' -n 10 -c 1000"
    [ "$status" -eq 1 ]
    [[ $output == *"file descriptors"*"-c"* ]]
    run bash -c "ulimit -Sn 200; '$QUOIT' load '$URL' -n 2000 -c 500 --quiet"
    [ "$status" -eq 0 ]
}

@test "wrong usage exits with 2 and says why" {
    refuses() {
        local reason=$1
        shift
        run "$QUOIT" load "$@"
        [ "$status" -eq 2 ] || { echo "status $status, wanted: $reason"; false; }
        [[ $output == *"$reason"* ]] || { echo "no '$reason' in: $output"; false; }
    }
    refuses "too few arguments"
    refuses "http://" https://127.0.0.1/
    refuses "http://" 127.0.0.1:5000/home
    refuses "example.com" http://example.com/
    refuses "requests" "$URL" -n 0
    refuses "in-flight" "$URL" -c 0
    refuses "duration" "$URL" -d never
    refuses "2 apples" "$URL" --warmup "2 apples"
    refuses "carl" "$URL" --client carl
    refuses "handles" "$URL" --client curl:handles=65537
    refuses "at most 33554432" "$URL" -n 40000000 --latencies "$BATS_TEST_TMPDIR/latencies"
    refuses "--wrong" "$URL" --wrong
    refuses "unexpected argument" "$URL" "$URL"
}

@test "the percentiles are those of the sorted latencies of the same run, within 0.1 %" {
    run "$BATS_TEST_DIRNAME/../bench/hist_bench.sh" "$QUOIT" 20000
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$(grep -c 'off by' <<<"$output")" -eq 20 ]
    [[ $output == *"every percentile within 0.1 % of its exact value"* ]]
}

@test "--latencies writes one line for every good answer of every thread" {
    file=$BATS_TEST_TMPDIR/latencies
    run --separate-stderr "$QUOIT" load "$URL" -n 1001 -c 7 --threads 3 --warmup 100 --latencies "$file"
    [ "$status" -eq 0 ]
    [ "$(wc -l <"$file")" -eq 1001 ]
    [ "$(grep -cE '^[1-9][0-9]*$' "$file")" -eq 1001 ]
    run --separate-stderr "$QUOIT" load "http://$nowhere/" -n 5 --latencies "$file"
    [ "$status" -eq 1 ]
    [ ! -s "$file" ]
}

@test "--latencies says which file it cannot write" {
    run --separate-stderr "$QUOIT" load "$URL" -n 10 --quiet --latencies /nonexistent/latencies
    [ "$status" -eq 1 ]
    [[ $stderr == *"/nonexistent/latencies"* ]]
}
