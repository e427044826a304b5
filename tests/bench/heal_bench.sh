#!/usr/bin/env bash
# How fast a killed server is out of the placement and replaced, under load.
#
# usage: tests/bench/heal_bench.sh PROGRAM [KILLS]
#
# Kills servers one after another while `quoit load` runs, reads the LB's timeline (GET /cluster, one
# monotonic clock), and prints median and worst of: detected, out of the placement, a replacement
# serves; and how many requests failed.
set -euo pipefail
NAME=heal_bench
# shellcheck source=tests/bench/bench.bash
source "$(dirname "$0")/bench.bash"

program=$(realpath "$1")
kills=${2:-50}
case "$kills" in '' | *[!0-9]*) echo "KILLS is a whole number" >&2; exit 2 ;; esac
need "jq curl" jq curl
in_own_namespace "$program" "$kills"
begin
start_lb "$program" --placement ring --hash xxh64

seconds=$((kills / 5 + 2))
"$program" load "$lb/home" -d "$seconds" -c 64 --quiet --json "$dir/load.json" >/dev/null &
load_pid=$!
sleep 0.5
for ((i = 0; i < kills; i++)); do
    name=$(curl -sf "$lb/rep" | jq -r '.message.replicas[0]')
    # A request of a kill waits for nothing; the next one comes when the cluster is whole again.
    curl -sf -X POST -d "{\"server\":\"$name\"}" "$lb/cluster/kill" >/dev/null
    for ((tries = 0; tries < 100; tries++)); do
        sleep 0.02
        curl -sf "$lb/cluster" >"$dir/cluster.json"
        [ "$(jq '.N == .target and ([.servers[] | select(.state == "serving") | .name] | index("'"$name"'") == null)' "$dir/cluster.json")" = true ] && break
    done
    # The steps of this kill: of the killed server, and the first replacement that served after it.
    jq -r --arg name "$name" '.events as $all
        | ([$all[] | select(.step == "killed" and .server == $name)] | last) as $kill
        | [$all[] | select(.monotonic_ns >= $kill.monotonic_ns)] as $after
        | [ ([$after[] | select(.step == "detected" and .uid == $kill.uid)] | first),
            ([$after[] | select(.step == "out" and .uid == $kill.uid)] | first),
            ([$after[] | select(.step == "serving")] | first) ]
        | map((.monotonic_ns - $kill.monotonic_ns) / 1e6) | @tsv' "$dir/cluster.json" >>"$dir/steps"
done
wait "$load_pid" || true

echo "heal_bench: $kills kills under load, $(nproc) cores"
column() { cut -f"$1" "$dir/steps" | sort -n; }
for step in "1 detected" "2 out of the placement" "3 replacement serves"; do
    column "${step%% *}" | awk -v name="${step#* }" \
        '{a[NR] = $1} END {printf "  %-22s median %7.2f ms   worst %7.2f ms\n", name, a[int((NR + 1) / 2)], a[NR]}'
done
jq -r '"  requests: \(.ok) answered, \(.requests - .ok) failed"' "$dir/load.json"
