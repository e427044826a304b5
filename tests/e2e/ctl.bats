#!/usr/bin/env bats
# quoit ctl against a running load balancer, as a person and as a script would use it.
bats_require_minimum_version 1.5.0

load helper

setup_file() {
    e2e_begin
    export dir mark
    start_lb --seed 7
    export LB LB_PID QUOIT_LB=$LB
}

teardown_file() {
    e2e_end
}

# Three servers, whatever their names: those of the first test are Server1 to Server3.
setup() {
    unset NO_COLOR
    export TZ=UTC LC_ALL=C TERM=xterm
    three_servers
    within 5 serving 3
}

ctl() {
    run --separate-stderr timeout --kill-after=1 60 "$QUOIT" ctl "$@"
}

three_servers() {
    local n
    n=$(n_servers)
    if [ "$n" -gt 3 ]; then
        "$QUOIT" ctl rm $((n - 3)) >/dev/null
    elif [ "$n" -lt 3 ]; then
        "$QUOIT" ctl add $((3 - n)) >/dev/null
    fi
}

@test "status shows every server, where it is, and its share" {
    ctl status
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    [[ ${lines[0]} == "$LB: 3 of 3 servers serve, slots over quadratic" ]]
    [[ ${lines[1]} =~ ^SERVER\ +ID\ +STATE\ +ADDRESS\ +PID\ +REQUESTS\ +SHARE\ +UP$ ]]
    for i in 1 2 3; do
        [[ ${lines[i + 1]} =~ ^Server$i\ +$i\ +serving\ +127\.0\.0\.1:[0-9]+\ +[0-9]+\ +[0-9]+\ +[0-9.]+\ %\ +[0-9]+s$ ]]
    done
    [[ $output == *"Server1 started, serves after "*" ms"* ]]
    [[ $output != *$'\e'* ]]
}

@test "status --json is the cluster as the LB has it, with shares" {
    for _ in 1 2 3 4 5 6 7 8 9 10; do ask GET /home; done
    ctl status --json
    [ "$status" -eq 0 ]
    jq -e --arg lb "$LB" '.lb == $lb and .N == 3 and .placement == "slots"' <<<"$output"
    jq -e '[.servers[].requests] | add == 10' <<<"$output"
    jq -e '([.servers[].share] | add - 1 | fabs < 1e-9) and
        all(.servers[]; .share == .requests / 10)' <<<"$output"
    jq -e --argjson pid "$(pid_of Server1)" '.servers[0].pid == $pid' <<<"$output"
}

@test "an address is taken from --lb, else from QUOIT_LB, else it is 127.0.0.1:5000" {
    QUOIT_LB=127.0.0.2:1 ctl health --lb "$LB"
    [ "$status" -eq 0 ]
    QUOIT_LB=127.0.0.2:1 ctl health
    [ "$status" -eq 1 ]
    [[ $stderr == *"nothing listens at 127.0.0.2:1"* ]]
    QUOIT_LB=nonsense ctl health
    [ "$status" -eq 2 ]
    [[ $stderr == *'$QUOIT_LB'* ]]
    run env -u QUOIT_LB "$QUOIT" ctl --help
    [[ $output == *"127.0.0.1:5000"* ]]
}

@test "add starts as many as asked, with the names given first" {
    ctl add 2 S77
    [ "$status" -eq 0 ]
    [[ ${lines[0]} =~ ^added:\ \ \ S77\ Server[0-9]{6}$ ]]
    [[ ${lines[1]} == "serving: Server1 Server2 Server3 S77 Server"* ]]
    [[ ${lines[2]} =~ ^5\ servers\ after\ [0-9.]+\ ms$ ]]
    [ "$(n_servers)" -eq 5 ]
    ctl rm 2 S77
    [ "$status" -eq 0 ]
    [ "$(n_servers)" -eq 3 ]
    [[ ${lines[0]} == "removed: "*S77* ]]
}

@test "add without words adds one" {
    ctl add --json
    [ "$status" -eq 0 ]
    jq -e '.N == 4 and (.servers | length) == 4 and (.added | length) == 1 and .removed == []
        and .took_ms > 0' <<<"$output"
    name=$(jq -r '.added[0]' <<<"$output")
    ctl rm "$name" --json
    jq -e --arg name "$name" '.N == 3 and .added == [] and .removed == [$name]' <<<"$output"
}

@test "drain waits until the process has ended" {
    "$QUOIT" ctl add 1 S88 >/dev/null
    local pid
    pid=$(pid_of S88)
    ctl drain S88
    [ "$status" -eq 0 ]
    [[ ${lines[0]} == "removed: S88" ]]
    gone "$pid"
    [ -z "$(get /cluster | jq -r '.servers[] | select(.name == "S88")')" ]
}

@test "a refusal of the load balancer is told in its own words" {
    local taken
    taken=$(names | head -n 1)
    ctl add 1 "$taken"
    [ "$status" -eq 1 ]
    [ -z "$output" ]
    [[ $stderr == *"refuses: a server named '$taken' is there already"* ]]
    ctl rm Nobody
    [ "$status" -eq 1 ]
    [[ $stderr == *"Nobody"* ]]
    ctl drain Nobody
    [ "$status" -eq 1 ]
    ctl add 5000
    [ "$status" -eq 1 ]
    [[ $stderr == *"5000"* ]]
    [ "$(n_servers)" -eq 3 ]
}

@test "kill shows each step of the healing with its time, in order" {
    local pid
    "$QUOIT" ctl add 1 S99 >/dev/null
    pid=$(pid_of S99)
    ctl kill S99
    [ "$status" -eq 0 ]
    gone "$pid"
    [[ ${lines[0]} == "S99 killed" ]]
    [[ $output == *"noticed: "* ]] # its exit or its broken connection, whichever is told first
    [[ $output == *"out of the placement: no worker routes to it"* ]]
    [[ $output =~ Server[0-9]{6}\ started ]]
    [[ $output =~ Server[0-9]{6}\ serves:\ 4\ of\ 4\ servers ]]
    # in ms, ascending
    printf '%s\n' "${lines[@]:1}" | awk '$2 != "ms" || $1 < last { exit 1 } { last = $1 }'
    ctl status
    [[ $output == *"S99 lost: "*"noticed "*" after it was killed"* ]]
    [[ $output == *" serves instead after "* ]]
}

@test "kill --json has the times as numbers" {
    "$QUOIT" ctl add 1 S99 >/dev/null
    ctl kill S99 --json
    [ "$status" -eq 0 ]
    jq -e 'length == 1 and .[0].killed == "S99" and (.[0].cause | length) > 0' <<<"$output"
    jq -e '.[0] | .detected_ms >= 0 and .out_ms >= .detected_ms and .spawned_ms >= .detected_ms
        and .serving_ms > .spawned_ms and .N == 4 and (.replacement | test("^Server[0-9]{6}$"))' \
        <<<"$output"
}

@test "kill of nobody fails, and what was killed before it is still told" {
    ctl kill Nobody
    [ "$status" -eq 1 ]
    [[ $stderr == *"no server is named 'Nobody'"* ]]
    "$QUOIT" ctl add 1 S99 >/dev/null
    ctl kill S99 Nobody --json
    [ "$status" -eq 1 ]
    jq -e 'length == 1' <<<"$output"
}

@test "ring's shares are those of quoit ring, for the servers that serve" {
    ctl ring --json
    [ "$status" -eq 0 ]
    local ids
    ids=$(jq -r '[.shares[].id] | join(",")' <<<"$output")
    [ "$(jq -c '[.shares[].count]' <<<"$output")" = \
        "$("$QUOIT" ring shares --ids "$ids" --json | jq -c '[.shares[].count]')" ]
    [ "$(jq -c '[.shares[].of_hash_space]' <<<"$output")" = \
        "$("$QUOIT" ring shares --ids "$ids" --keys space --json | jq -c '[.shares[].share]')" ]
    [ "$(jq -r '[.shares[].name] | join(" ")' <<<"$output")" = "$(names | paste -sd ' ')" ]
}

@test "ring draws a circle that fits 80 columns and 24 lines" {
    ctl ring
    [ "$status" -eq 0 ]
    [ "$(wc -l <<<"$output")" -le 23 ]
    [ "$(wc -L <<<"$output")" -le 80 ]
    [[ $output == *AAAA*BBBB* || $output == *BBBB*AAAA* ]]
    [[ $output == *"3 servers"* ]]
    [[ $output == *"SERVER"*"REQUESTS"*"CIRCLE"* ]]
    [[ $output =~ A\ \ Server ]]
    [[ $output != *$'\e'* ]]
    local n
    n=$(ctl ring && printf '%s\n' "$output" | grep -c ' $' || true)
    [ "$n" -eq 0 ]
}

@test "a terminal gets colours and blocks, unless NO_COLOR" {
    command -v script >/dev/null || skip "no script(1)"
    run env LC_ALL=C.UTF-8 script -qec "$QUOIT ctl ring" /dev/null
    [[ $output == *█* ]]
    [[ $output == *$'\e[38;5;'* ]]
    run env LC_ALL=C.UTF-8 NO_COLOR=1 script -qec "$QUOIT ctl ring" /dev/null
    [[ $output != *$'\e'* && $output != *█* ]]
    [[ $output == *AAAA* ]]
}

# A load in the background, which the LB has begun to feel: sets `load_pid`. It is to be ended.
begin_load() {
    local before
    before=$(routed)
    "$QUOIT" load "http://$LB/home" -d 60s -c 4 --quiet >/dev/null 2>&1 3>&- &
    load_pid=$!
    within 5 eval '[ "$(routed)" -gt '"$before"' ]'
}

routed() {
    get /metrics | sed -n 's/^quoit_lb_routed_requests_total //p'
}

@test "watch prints a block an interval and ends after --count" {
    local load_pid
    begin_load
    ctl watch --count 2 --interval 500ms
    kill "$load_pid" 2>/dev/null || true
    wait "$load_pid" || true
    [ "$status" -eq 0 ]
    [ "$(grep -c '^SERVER' <<<"$output")" -eq 2 ]
    [[ $output == *"3 of 3 servers serve"* ]]
    [[ $output =~ all\ +[1-9][0-9]+\ +[0-9.]+\ ms\ +[0-9.]+\ ms\ +0 ]]
    [[ $output == *"retries 0/s"* ]]
    [[ $output != *$'\e'* ]]
}

@test "watch --json prints an object a line with rates, shares and latencies" {
    local load_pid
    begin_load
    ctl watch --count 2 -i 0.5 --json
    kill "$load_pid" 2>/dev/null || true
    wait "$load_pid" || true
    [ "$status" -eq 0 ]
    [ "${#lines[@]}" -eq 2 ]
    jq -es 'length == 2 and all(.[]; .interval_s > 0.4 and .interval_s < 30
        and .requests_per_s > 20 and .answers_5xx_per_s == 0
        and (.servers | length) == 3 and ([.servers[].share] | add - 1 | fabs < 1e-9)
        and .p50_ms > 0 and .p99_ms >= .p50_ms)' <<<"$output"
}

# What the LB counted per server is what it routed in all, but for what is under way, and for what came
# between one look (GET /cluster) and the other (GET /metrics).
@test "watch's rates of the servers add up to the whole" {
    local load_pid
    begin_load
    once_in_five rates_add_up
    kill "$load_pid" 2>/dev/null || true
    wait "$load_pid" || true
}

rates_add_up() {
    ctl watch --count 1 -i 1 --json
    jq -es 'length == 1 and all(.[]; ([.servers[].requests_per_s] | add) as $sum
        | ($sum - .requests_per_s | fabs) <= 0.1 * $sum + 8 / .interval_s)' <<<"$output"
}

@test "an idle cluster has no latency and no NaN" {
    ctl watch --count 1 -i 0.1 --json
    [ "$status" -eq 0 ]
    jq -e '.requests_per_s == 0 and .p99_ms == null and all(.servers[]; .p50_ms == null)' \
        <<<"$output"
}

@test "watch on a terminal is drawn in place and q ends it" {
    command -v script >/dev/null || skip "no script(1)"
    : >"$dir/watched"
    # q once two blocks have been drawn: the second is in place of the first
    run bash -c "{
        for i in {1..300}; do
            [ \"\$(grep -c '(q ends)' '$dir/watched')\" -lt 2 ] || break
            sleep 0.1
        done
        printf q
        sleep 1
    } | timeout 60 script -qfec '$QUOIT ctl watch -i 0.2' /dev/null >'$dir/watched'"
    [ "$status" -eq 0 ]
    output=$(<"$dir/watched")
    [[ $output == *"(q ends)"* ]]
    [[ $output == *$'\e['[0-9]*A* ]]
    # the cursor and the wrapping of lines come back
    [[ $output == *$'\e[?7h\e[?25h'* ]]
}

@test "a signal ends watch with 130, its terminal restored" {
    "$QUOIT" ctl watch -i 0.1 >"$dir/watch.out" 2>"$dir/watch.err" 3>&- &
    local watch_pid=$! code=0
    within 5 [ -s "$dir/watch.out" ]
    kill -TERM "$watch_pid"
    wait "$watch_pid" || code=$?
    [ "$code" -eq 130 ]
    grep -q interrupted "$dir/watch.err"
    grep -q SERVER "$dir/watch.out"
}

@test "health is silent and 0, or says why and 1" {
    ctl health
    [ "$status" -eq 0 ]
    [ -z "$output$stderr" ]
    ctl health --verbose
    [[ $output == "$LB is healthy: 3 of 3 servers serve" ]]
    ctl health --json
    jq -e '.healthy and .status == 200' <<<"$output"
    ctl health --lb 127.0.0.2:1 --json
    [ "$status" -eq 1 ]
    jq -e '(.healthy | not) and .status == null and (.message | test("nothing listens"))' \
        <<<"$output"
}

@test "what is no load balancer is told from one that is not there" {
    start_server --name S1
    ctl status --lb "$SERVER"
    [ "$status" -eq 1 ]
    [[ $stderr == *"$SERVER answers, but it is no quoit load balancer (GET /cluster: status 404)"* ]]
    ctl status --lb 127.0.0.2:1
    [ "$status" -eq 1 ]
    [[ $stderr == *"nothing listens at 127.0.0.2:1; is \`quoit lb\` running?"* ]]
}

@test "what does not answer in time, or not in HTTP, is told as such" {
    # Takes connections and says nothing: a shell on the other end of a port.
    coproc SILENT { exec "$NC" -lk 127.0.0.1 0 -v 2>&1 3>&-; }
    local line port pid=$SILENT_PID
    read -r -t 30 line <&"${SILENT[0]}"
    port=$(grep -oE '[0-9]+$' <<<"$line")
    ctl status --lb "127.0.0.1:$port" --timeout 300ms
    kill "$pid"
    [ "$status" -eq 1 ]
    [[ $stderr == *"did not answer within 0.3 s"* ]]
}

@test "usage errors say what is wrong and exit 2" {
    refuses() {
        local reason=$1
        shift
        ctl "$@"
        [ "$status" -eq 2 ] || { echo "status $status, wanted: $reason"; false; }
        [[ $stderr == *"$reason"* ]] || { echo "no '$reason' in: $stderr"; false; }
    }
    refuses "too few arguments"
    refuses "did you mean 'status'" stats
    refuses "status takes no further words, got 'x'" status x
    refuses "rm wants to know which, or how many" rm
    refuses "kill wants to know which: NAME..." kill
    refuses "drain wants to know which: NAME..." drain
    refuses "'0' is no number of servers" add 0
    refuses "'99999999999999999999' is no number of servers" add 99999999999999999999
    refuses "1 server, but 2 names" add 1 S1 S2
    refuses "'S/1' is no server name" rm S/1
    refuses "--count is for watch, not for status" status --count 3
    refuses "--interval is for watch, not for ring" ring --interval 1s
    refuses "--verbose is for health, not for kill" kill S1 --verbose
    refuses "--lb" status --lb example.com:80
    refuses "interval" watch --interval 1ms
    refuses "count" watch --count 0
    refuses "timeout" status --timeout 0
}
