#!/usr/bin/env bash
# Why latency is measured from the intended start: the same server, stopped for half a second in the
# middle of the run, under a closed loop and under an open one.
#
# usage: tests/bench/stall_demo.sh PROGRAM [RATE] [SECONDS] [STALL_MS]
#
# A `quoit server` is sent SIGSTOP and, STALL_MS later, SIGCONT. Prints both loops' percentiles side
# by side, and the open loop's service time, from the actual send: at most four requests are in
# flight in both, so that four feel the stall and the others wait for their turn, which only the
# intended start knows of. Nothing else should run.
set -euo pipefail
NAME=stall_demo
# shellcheck source=tests/bench/bench.bash
source "$(dirname "$0")/bench.bash"

program=$(realpath "$1")
rate=${2:-1000}
seconds=${3:-10}
stall_ms=${4:-500}
for number in "$rate" "$seconds" "$stall_ms"; do
    case "$number" in '' | *[!0-9]*) echo "stall_demo: '$number' is no whole number" >&2; exit 2 ;; esac
done
need jq jq
begin
start_server "$program"

# Runs one load, the server being stopped in its middle.
stalled() { # NAME OPTION…
    local name=$1 load_pid
    shift
    "$program" load "http://$address/home" -d "$seconds" --warmup 500ms --lag-bound 10ms --quiet \
        --json "$dir/$name.json" "$@" >/dev/null 2>"$dir/$name.log" &
    load_pid=$!
    sleep "$((seconds / 2)).5"
    kill -STOP "$server_pid"
    sleep "$(printf '%d.%03d' $((stall_ms / 1000)) $((stall_ms % 1000)))"
    kill -CONT "$server_pid"
    wait "$load_pid" || { cat "$dir/$name.log" >&2; [ -s "$dir/$name.json" ]; }
}

stalled closed -c 4
stalled open --rate "$rate" -c 4

echo "stall_demo: quoit server stopped for $stall_ms ms in a run of $seconds s, $(nproc) cores"
row() { # TITLE FILE FIELD
    jq -r --arg title "$1" "[\$title, .$3.count, .$3.p50, .$3.p99, .$3.p99_9, .$3.max] | @tsv" \
        "$dir/$2.json" |
        awk -F'\t' '{printf "%-42s %9d %9.2f %9.2f %9.2f %9.2f\n", $1, $2, $3, $4, $5, $6}'
}
printf '%-42s %9s %9s %9s %9s %9s\n' 'latency in ms' answers p50 p99 p99.9 max
row "closed loop, 4 in flight" closed latency_ms
row "open loop, $rate/s, from the actual send" open service_ms
row "open loop, $rate/s, from the intended start" open latency_ms
jq -r '.open | "the open loop: \(.scheduled) requests due, \(.late) late for want of a slot, \(.dropped) dropped; "
    + "schedule lag p99 \(.lag_ms.p99 * 1000 | round / 1000) ms"' "$dir/open.json"
jq -r '.verdict.reasons[] | "INVALID: " + .' "$dir/open.json"
