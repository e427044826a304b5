#!/usr/bin/env bash
# How fast servers in containers come and are replaced.
#
# usage: tests/bench/docker_bench.sh PROGRAM [N]
#
# Needs an engine that answers and the image (make image). N times: /add of one server, from the
# asking of the spawner to its serving; then N times: a kill of a container through the Engine API,
# from the call to out of the placement, and to a serving replacement. Times are the LB's timeline's
# (GET /cluster, CLOCK_MONOTONIC) and this script's, of the same clock. Prints median and worst.
set -euo pipefail

program=$(realpath "$1")
n=${2:-20}
case "$n" in '' | *[!0-9]*) echo "N is a whole number" >&2; exit 2 ;; esac
for tool in jq curl perl docker; do
    command -v "$tool" >/dev/null || { echo "docker_bench: $tool is missing" >&2; exit 1; }
done
docker version >/dev/null 2>&1 || { echo "docker_bench: no container engine answers" >&2; exit 1; }

dir=$(mktemp -d)
name=bench$$
lb_pid='' spawner_pid=''
clean_up() {
    for pid in $lb_pid $spawner_pid; do
        kill -TERM "$pid" 2>/dev/null || true
        wait "$pid" || true
    done
    docker ps --all --quiet --filter "label=quoit.cluster=$name" | xargs -r docker rm --force >/dev/null
    docker network rm "$name" >/dev/null 2>&1 || true
    rm -rf "$dir"
}
trap clean_up EXIT

docker network create "$name" >/dev/null
"$program" spawner --socket "$dir/spawner" --network "$name" --cluster "$name" --prefix "$name-" \
    --image "${QUOIT_IMAGE:-quoit}" --log-level error &
spawner_pid=$!
mkfifo "$dir/ready"
"$program" lb --listen 127.0.0.1:0 --ready-fd 9 --servers 3 --spawner "docker:socket=$dir/spawner" \
    --log-level error 9>"$dir/ready" &
lb_pid=$!
read -r address <"$dir/ready"
lb=http://$address

now_ns() {
    perl -MTime::HiRes=clock_gettime,CLOCK_MONOTONIC -e 'printf "%.0f", clock_gettime(CLOCK_MONOTONIC) * 1e9'
}

for ((i = 0; i < n; i++)); do
    curl -sf -X POST -d "{\"n\":1,\"hostnames\":[\"S$i\"]}" "$lb/add" >/dev/null
    curl -sf "$lb/cluster" | jq -r --arg name "S$i" '[.events[] | select(.server == $name)] as $of
        | ([$of[] | select(.step == "spawned")] | last | .monotonic_ns) as $spawned
        | ([$of[] | select(.step == "serving")] | last | .monotonic_ns) as $serving
        | ($serving - $spawned) / 1e6' >>"$dir/start"
    curl -sf -X DELETE -d "{\"n\":1,\"hostnames\":[\"S$i\"]}" "$lb/rm" >/dev/null
done

for ((i = 0; i < n; i++)); do
    victim=$(curl -sf "$lb/rep" | jq -r '.message.replicas[0]')
    uid=$(curl -sf "$lb/cluster" | jq --arg name "$victim" '.servers[] | select(.name == $name) | .uid')
    begun=$(now_ns)
    curl -sf --unix-socket /var/run/docker.sock -X POST "http://engine/containers/$name-$victim/kill" >/dev/null
    for ((tries = 0; tries < 1000; tries++)); do
        sleep 0.02
        curl -sf "$lb/cluster" >"$dir/cluster.json"
        [ "$(jq --arg name "$victim" '.N == .target and ([.servers[] | select(.state == "serving") | .name]
            | index($name) == null)' "$dir/cluster.json")" = true ] && break
    done
    jq -r --argjson uid "$uid" --argjson begun "$begun" '[.events[] | select(.monotonic_ns >= $begun)] as $after
        | [ ([$after[] | select(.step == "detected" and .uid == $uid)] | first),
            ([$after[] | select(.step == "out" and .uid == $uid)] | first),
            ([$after[] | select(.step == "serving")] | first) ]
        | map((.monotonic_ns - $begun) / 1e6) | @tsv' "$dir/cluster.json" >>"$dir/kills"
done

summary() { # TITLE
    sort -n | awk -v name="$1" \
        '{a[NR] = $1} END {printf "  %-34s median %8.1f ms   worst %8.1f ms\n", name, a[int((NR + 1) / 2)], a[NR]}'
}
echo "docker_bench: $n each, $(nproc) cores, load $(cut -d ' ' -f 1 /proc/loadavg), engine $(docker version --format '{{.Server.Version}}')"
summary "create to serving" <"$dir/start"
cut -f1 "$dir/kills" | summary "docker kill to detected"
cut -f2 "$dir/kills" | summary "docker kill to out of the placement"
cut -f3 "$dir/kills" | summary "docker kill to a serving replacement"
