#!/usr/bin/env bash
# How fast a killed server's shards are served in full again, under a mixed load.
#
# usage: tests/bench/db_heal_bench.sh PROGRAM [KILLS [ROWS [STORE]]]
#
# CONTRACT.md's default cluster (6 servers, 4 shards, 3 replicas) with ROWS rows a shard (100000) on
# STORE (memory). KILLS times (5) a server is killed while half of 64 requests in flight read and half
# update. Prints median and worst, from the kill on, of the LB's own timeline: known to be dead, out
# of the placement, a new server listens, it has the rows and serves; then what the clients noticed.
# After each kill all replicas are compared. A failed request or a row that differs ends the bench.
set -euo pipefail
NAME=db_heal_bench
# shellcheck source=tests/bench/bench.bash
source "$(dirname "$0")/bench.bash"

program=$(realpath "$1")
kills=${2:-5}
rows=${3:-100000}
store=${4:-memory}
[[ $kills =~ ^[1-9][0-9]*$ && $rows =~ ^[1-9][0-9]*$ ]] || {
    echo "KILLS and ROWS are whole numbers" >&2
    exit 2
}
need "jq curl util-linux iproute2" jq curl unshare ip
in_own_namespace "$program" "$kills" "$rows" "$store"
begin
load() {
    "$program" load -q --client raw --verify none "$@" "$lb" >"$dir/out" 2>&1 || {
        cat "$dir/out" >&2
        die "the load failed: $*"
    }
}

state=()
[ "$store" = memory ] || state=(--state "$dir/state")
start_lb "$program" --servers 0 --store "$store" "${state[@]}"
shards=
for i in 0 1 2 3; do
    shards+=${shards:+,}'{"Stud_id_low":'$((i * rows))',"Shard_id":"sh'$((i + 1))'","Shard_size":'$rows'}'
done
curl -sf -o /dev/null -X POST "$lb/init" -d '{"N":6,
    "schema":{"columns":["Stud_id","Stud_name","Stud_marks"],"dtypes":["Number","String","Number"]},
    "shards":['"$shards"'],
    "servers":{"Server0":["sh1","sh2"],"Server1":["sh3","sh4"],"Server3":["sh1","sh3"],
        "Server4":["sh4","sh2"],"Server5":["sh1","sh4"],"Server6":["sh3","sh2"]}}' || die "/init failed"
load -c 4 -n $((rows * 4 / 100)) --workload "db-write:ids=$((rows * 4)),rows=100,order=ascending"

for ((i = 0; i < kills; i++)); do
    load -c 64 -d 3 --workload "db-mix:ids=$((rows * 4)),read=50,update=50" --json "$dir/load.json" &
    load_pid=$!
    sleep 0.7
    name=$(curl -sf "$lb/cluster" | jq -r '.servers[0].name')
    curl -sf -o /dev/null -X POST -d "{\"server\":\"$name\"}" "$lb/cluster/kill"
    wait "$load_pid" || die "a request failed while $name was replaced"
    curl -sf "$lb/cluster/digest" | jq -e .equal >/dev/null || die "replicas differ after the death of $name"
    curl -sf "$lb/cluster" | jq -r '.events as $all
        | ([$all[] | select(.step == "killed")] | last) as $kill
        | [$all[] | select(.monotonic_ns >= $kill.monotonic_ns)] as $after
        | ["detected", "out", "listens", "serving"]
        | map(. as $step | [$after[] | select(.step == $step)] | first
            | (.monotonic_ns - $kill.monotonic_ns) / 1e6) | @tsv' >>"$dir/steps"
    jq -r '[.ok, .failed, .rate, .latency_ms.p99, .latency_ms.max] | @tsv' "$dir/load.json" >>"$dir/loads"
done

echo "db_heal_bench: $kills kills under load, store $store, $rows rows a shard, $(nproc) cores"
for step in "1 known to be dead" "2 out of the placement" "3 a new server listens" "4 it serves all shards"; do
    cut -f"${step%% *}" "$dir/steps" | sort -n | awk -v name="${step#* }" \
        '{a[NR] = $1} END {printf "  %-23s median %7.1f ms   worst %7.1f ms\n", name, a[int((NR + 1) / 2)], a[NR]}'
done
awk '{ok += $1; failed += $2; rate += $3; if ($5 > worst) worst = $5}
    END {printf "  requests: %d answered, %d failed, %.0f/s, the slowest took %.1f ms\n", ok, failed, rate / NR, worst}' "$dir/loads"
