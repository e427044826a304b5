#!/usr/bin/env bash
# The percentiles that quoit load prints, beside those of every single latency of the same run, sorted.
#
# usage: tests/bench/hist_bench.sh PROGRAM [REQUESTS]
#
# Loads `quoit server` in several ways, each with REQUESTS requests: both clients, threads, an open
# loop, and a server that stops for 300 ms in the middle, for a tail worth the name. Of each run the
# JSON's percentiles (of the histogram) stand beside element ⌈p/100·n⌉ of the sorted latencies that
# --latencies wrote. Exit code 1 when any differs by more than 0.1 % of its value, or a count does.
set -euo pipefail
NAME=hist_bench
# shellcheck source=tests/bench/bench.bash
source "$(dirname "$0")/bench.bash"

program=$(realpath "$1")
requests=${2:-200000}
case "$requests" in '' | *[!0-9]*) echo "REQUESTS is a whole number" >&2; exit 2 ;; esac
need jq jq
begin
start_server "$program" --name Server1

# compare WHAT: $dir/load.json beside $dir/latencies.
compare() {
    local json=$dir/load.json
    # Exact nanoseconds of the histogram, in the order of the ranks below.
    jq -r '.latency_ms | "\(.count) \([.p50, .p90, .p99, .p99_9, .max] | map(. * 1e6 + 0.5 | floor) | join(" "))"' \
        "$json" >"$dir/told"
    LC_ALL=C sort -n "$dir/latencies" | awk -v what="$1" -v told="$(cat "$dir/told")" '
        {sorted[NR] = $1}
        END {
            split(told, hist, " ")
            split("p50 p90 p99 p99.9 max", names, " ")
            split("500 900 990 999 1000", thousandths, " ")
            if (NR != hist[1]) {
                printf "%s: %d latencies, but the histogram counts %d\n", what, NR, hist[1]
                exit 1
            }
            printf "%s: %d answers\n", what, NR
            for (i = 1; i <= 5; i++) {
                rank = int((thousandths[i] * NR + 999) / 1000)
                exact = sorted[rank]
                off = exact > 0 ? 100 * (hist[i + 1] - exact) / exact : 0
                wrong = (off > 0.1 || off < -0.1)
                bad += wrong
                printf "  %-6s exact %12d ns   histogram %12d ns   off by %+.4f %%%s\n", names[i], exact,
                    hist[i + 1], off, (wrong ? "   TOO MUCH" : "")
            }
            exit bad > 0
        }' || failed=1
}

# load WHAT OPTION…
load() {
    local what=$1
    shift
    "$program" load "http://$address/home" -q --lag-bound 10s --json "$dir/load.json" \
        --latencies "$dir/latencies" "$@" >/dev/null
    compare "$what"
}

failed=0
echo "hist_bench: percentiles of the histogram beside exact ones of the same run"
load "client curl, 64 in flight" -n "$requests" -c 64
load "client raw, 2 threads, 64 in flight" -n "$requests" -c 64 --client raw --threads 2
load "open loop, poisson" -n "$((requests / 10))" -r 20000 --arrivals poisson --client raw
# The stop comes some way into a run of a second.
{ sleep 0.4; kill -STOP "$server_pid"; sleep 0.3; kill -CONT "$server_pid"; } &
load "open loop, the server stops for 300 ms" -d 1 -r 5000
if [ "$failed" = 1 ]; then
    echo "hist_bench: FAILED: a percentile is off by more than 0.1 %"
    exit 1
fi
echo "hist_bench: every percentile within 0.1 % of its exact value"
