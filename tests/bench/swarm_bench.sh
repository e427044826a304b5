#!/usr/bin/env bash
# How fast servers on a Docker Swarm come and are replaced, and what the death of a machine costs.
#
# usage: tests/bench/swarm_bench.sh PROGRAM [N [DEATHS]]
#
# Needs root, an engine that answers, and the image on it (make image); makes three engines of its own
# in network namespaces (tests/e2e/swarm_helper.bash), which share this machine's cores: three real
# machines are faster. On a swarm of one of them, then of all three, with the stack of
# docker-stack.yml: N times /add of one server, from the asking of the spawner to its serving; N times
# a kill of a container through the Engine API (of three: on another machine than the load
# balancer's), from the call to out of the placement and to a serving replacement. Then DEATHS times a
# machine with one server falls silent. Times are the load balancer's timeline's and this script's, of
# the same clock. Prints median and worst.
# shellcheck disable=SC2154 # dir, base, tag: the helper sets them
set -euo pipefail

export QUOIT
QUOIT=$(realpath "$1")
n=${2:-10} deaths=${3:-1}
for number in "$n" "$deaths"; do
    case "$number" in '' | *[!0-9]*) echo "N and DEATHS are whole numbers" >&2; exit 2 ;; esac
done
BATS_TEST_DIRNAME=$(realpath "$(dirname "$0")/../e2e")
export BATS_TEST_COMPLETED=1
QUOIT_IMAGE=${QUOIT_IMAGE:-quoit}
export QUOIT_IMAGE

# The words of bats that the tests' helpers use.
load() {
    # shellcheck disable=SC1090
    . "$BATS_TEST_DIRNAME/$1.bash"
}
bats_require_minimum_version() {
    :
}
skip() {
    echo "swarm_bench: $*" >&2
    exit 1
}

load swarm_helper
trap swarm_engines_end EXIT
swarm_engines
swarm_begin

add_and_remove() { # FILE
    local i
    for ((i = 0; i < n; i++)); do
        curl -sf -X POST -d "{\"n\":1,\"hostnames\":[\"S$i\"]}" "http://$LB/add" >/dev/null
        curl -sf "http://$LB/cluster" | jq -r --arg name "S$i" '[.events[] | select(.server == $name)] as $of
            | ([$of[] | select(.step == "spawned")] | last | .monotonic_ns) as $spawned
            | ([$of[] | select(.step == "serving")] | last | .monotonic_ns) as $serving
            | ($serving - $spawned) / 1e6' >>"$1"
        curl -sf -X DELETE -d "{\"n\":1,\"hostnames\":[\"S$i\"]}" "http://$LB/rm" >/dev/null
    done
}

# Waits until three serve again and appends "detected out serving" of that uid, in milliseconds.
take_healing() { # FILE NAME UID SINCE-NS
    local tries
    for ((tries = 0; tries < 1000; tries++)); do
        sleep 0.02
        curl -sf "http://$LB/cluster" >"$dir/cluster.json"
        [ "$(jq --arg name "$2" '.N == .target and ([.servers[] | select(.state == "serving") | .name]
            | index($name) == null)' "$dir/cluster.json")" = true ] && break
    done
    jq -r --argjson uid "$3" --argjson begun "$4" '[.events[] | select(.monotonic_ns >= $begun)] as $after
        | [ ([$after[] | select(.step == "detected" and .uid == $uid)] | first),
            ([$after[] | select(.step == "out" and .uid == $uid)] | first),
            ([$after[] | select(.step == "serving")] | first) ]
        | map((.monotonic_ns - $begun) / 1e6) | @tsv' "$dir/cluster.json" >>"$1"
}

# A server that is on one of these machines: sets victim, machine, uid.
choose_victim() { # MACHINE…
    local name
    victim=''
    for name in $(curl -sf "http://$LB/rep" | jq -r '.message.replicas[]'); do
        machine=$(machine_of "$name")
        [[ " $* " == *" $machine "* ]] && victim=$name && break
    done
    [ -z "$victim" ] || uid=$(curl -sf "http://$LB/cluster" | jq --arg name "$victim" '.servers[] | select(.name == $name) | .uid')
}

kill_containers() { # FILE MACHINE…
    local i container begun file=$1
    shift
    for ((i = 0; i < n; i++)); do
        choose_victim "$@"
        [ -n "$victim" ] || continue # all are on the load balancer's by now
        container=$(container_of "$victim")
        begun=$(now_ns)
        command curl -sf --unix-socket "$base/$machine/socket" -X POST "http://engine/containers/$container/kill" >/dev/null
        take_healing "$file" "$victim" "$uid" "$begun"
    done
}

take_death() { # FILE MACHINE…
    local begun file=$1
    shift
    choose_victim "$@"
    [ -n "$victim" ] || return 0
    begun=$(now_ns)
    silence_machine "$machine"
    take_healing "$file" "$victim" "$uid" "$begun"
    wake_machine "$machine"
}

summary() { # TITLE
    sort -n | awk -v name="$1" \
        '{a[NR] = $1} END {printf "  %-40s median %8.1f ms   worst %8.1f ms   of %d\n", name, a[int((NR + 1) / 2)], a[NR], NR}'
}

say() { # FOLDER WHAT
    cut -f1 "$1" | summary "$2 to detected"
    cut -f2 "$1" | summary "$2 to out of the placement"
    cut -f3 "$1" | summary "$2 to a serving replacement"
}

needs_overlay
echo "swarm_bench: $n each, $(nproc) cores for all, load $(cut -d ' ' -f 1 /proc/loadavg), engine $(docker version --format '{{.Server.Version}}')"
swarm_up 3
add_and_remove "$dir/start1"
kill_containers "$dir/kill1" 1
swarm_down
echo "one machine"
summary "create to serving" <"$dir/start1"
say "$dir/kill1" "kill"

join_all
swarm_up 3
add_and_remove "$dir/start3"
kill_containers "$dir/kill3" 2 3
for ((i = 0; i < deaths; i++)); do take_death "$dir/death" 2 3; done
swarm_down
echo "three machines"
summary "create to serving" <"$dir/start3"
say "$dir/kill3" "kill on another machine"
[ ! -s "$dir/death" ] || say "$dir/death" "machine silent"
