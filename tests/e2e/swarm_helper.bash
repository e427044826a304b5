# What the tests over a Docker Swarm share: three container engines on this machine, each in a
# network namespace of its own as if it were a machine of its own, joined by a bridge in a fourth.
# Own data, own sockets, own control groups; nothing of them in the machine's own network.
#
# Whatever happens, all of it goes: processes by their control group and by the mark in their
# environment, mounts by their folder, namespaces by their name.
# shellcheck disable=SC2034 # for the tests
load docker_helper

ENGINES=3

# The engine of that number; its address.
on() { # NUMBER WORD…
    docker --host "unix://$base/$1/socket" "${@:2}"
}

address() { # NUMBER
    echo "10.213.77.$1"
}

# A command in that machine's network.
in_net() { # NUMBER WORD…
    nsenter "--net=/run/netns/$tag$1" "${@:2}"
}

# Everything that asks the LB asks it from the first machine.
curl() {
    in_net 1 curl "$@"
}

why_not() { # sets `why`
    why=
    [ "$(id -u)" -eq 0 ] || why="network namespaces take root"
    type -P ip nsenter dockerd >/dev/null || why="ip, nsenter or dockerd is missing"
    [ -z "$why" ] || return 0
    if ! ip netns add "${tag}t" 2>/dev/null; then
        why="no network namespaces here"
        return 0
    fi
    ip -n "${tag}t" link add hub type bridge 2>/dev/null || why="no bridges in this kernel"
    ip -n "${tag}t" link add one type veth peer name two 2>/dev/null || why="no veth in this kernel"
    ip -n "${tag}t" link add over type vxlan id 7 dstport 4789 local 127.0.0.1 2>/dev/null || vxlan=
    ip netns delete "${tag}t"
}

make_net() {
    local i
    ip netns add "${tag}0"
    ip -n "${tag}0" link add hub type bridge
    ip -n "${tag}0" link set hub up
    for ((i = 1; i <= ENGINES; i++)); do
        ip netns add "$tag$i"
        ip -n "${tag}0" link add "to$i" type veth peer name eth0 netns "$tag$i"
        ip -n "${tag}0" link set "to$i" master hub up
        ip -n "$tag$i" address add "$(address "$i")/24" dev eth0
        ip -n "$tag$i" link set eth0 up
        ip -n "$tag$i" link set lo up
    done
}

start_engine() { # NUMBER
    mkdir -p "$base/$1"
    echo '{}' >"$base/$1/daemon.json" # not the machine's own
    QUOIT_E2E_MARK=$mark setsid nsenter "--net=/run/netns/$tag$1" dockerd \
        --host "unix://$base/$1/socket" --data-root "$base/$1/data" --exec-root "$base/$1/exec" \
        --config-file "$base/$1/daemon.json" --exec-opt native.cgroupdriver=cgroupfs \
        --containerd-namespace "$tag$1" --containerd-plugins-namespace "$tag$1-plugins" \
        --pidfile "$base/$1/pid" --cgroup-parent "/$tag$1" </dev/null >"$base/$1/log" 2>&1 3>&- 8>&- 9>&- &
    disown $!
}

# As if the machine lost its power: nothing comes from it any more, and nothing runs on it.
kill_machine() { # NUMBER
    ip -n "${tag}0" link set "to$1" down
    kill -KILL "$(<"$base/$1/pid")" 2>/dev/null
    end_processes "$1"
}

# As if its cable were pulled: what runs on it runs on, and nobody hears of it; and back in.
silence_machine() { # NUMBER
    ip -n "${tag}0" link set "to$1" down
}

wake_machine() { # NUMBER
    ip -n "${tag}0" link set "to$1" up
    within 60 all_ready
}

all_ready() {
    [ "$(docker node ls --format "{{.Status}}" | grep -c Ready)" = "$ENGINES" ]
}

# Engine, shims, and what they started.
end_processes() { # NUMBER
    local pid tries
    for ((tries = 0; tries < 50; tries++)); do
        pid=$(find /sys/fs/cgroup -path "*/$tag$1/*" -name cgroup.procs -exec cat {} + 2>/dev/null |
            sort -u
            # the word to look for from a file: else grep finds itself
            grep -lsaF -f <(echo "$base/$1/exec") /proc/[0-9]*/cmdline 2>/dev/null |
            sed -n 's|/proc/\([0-9]*\)/.*|\1|p')
        [ -n "$pid" ] || return 0
        # shellcheck disable=SC2086 # a word each
        kill -KILL $pid 2>/dev/null || true
        sleep 0.1
    done
}

# For setup_file: the engines, with the image, in no swarm yet. Sets `why` where that cannot be.
swarm_engines() {
    local i
    BATS_TMPDIR=/var/tmp e2e_begin # /tmp may allow neither devices nor programs
    tag=$(printf 'q%05d' "$RANDOM") base=$dir vxlan=yes
    export tag base dir mark vxlan why
    why_not
    [ -z "$why" ] || return 0
    make_net
    for ((i = 1; i <= ENGINES; i++)); do start_engine "$i"; done
    for ((i = 1; i <= ENGINES; i++)); do
        within 60 eval "timeout 5 docker --host unix://$base/$i/socket version >/dev/null 2>&1" || {
            why="dockerd does not run in a network namespace: $(tail -n 1 "$base/$i/log")"
            return 0
        }
    done
    # QUOIT_IMAGE_FILE: what `docker save` wrote, where no engine is that has the image
    [ -n "${QUOIT_IMAGE_FILE:-}" ] || docker save "$QUOIT_IMAGE" >"$base/image"
    for ((i = 1; i <= ENGINES; i++)); do
        {
            on "$i" load --quiet --input "${QUOIT_IMAGE_FILE:-$base/image}" &&
                timeout 60 docker --host "unix://$base/$i/socket" run --rm --network none --read-only \
                    --entrypoint true "$QUOIT_IMAGE"
        } >/dev/null 2>"$base/why" || {
            why="an engine in a network namespace runs nothing: $(tail -n 1 "$base/why")"
            return 0
        }
    done
    rm -f "$base/image"
}

# For teardown_file.
swarm_engines_end() {
    local i path
    set +e # whatever fails, the rest goes too
    # Without its names, which a set-up that failed early did not make, it would take everybody's.
    if [ -z "${tag:-}" ] || [ -z "${base:-}" ]; then
        e2e_end
        return 0
    fi
    for ((i = 1; i <= ENGINES; i++)); do
        [ ! -s "$base/$i/pid" ] || kill -TERM "$(<"$base/$i/pid")" 2>/dev/null || true
    done
    for ((i = 1; i <= ENGINES; i++)); do
        within 15 eval "[ ! -e $base/$i/pid ] || gone \"\$(cat $base/$i/pid)\"" >/dev/null || true
        end_processes "$i"
    done
    # What an engine that was killed left mounted, and its control groups.
    awk -v base="$base/" 'index($2, base) == 1 {print $2}' /proc/mounts | sort -r | while read -r path; do
        umount -l "$path" 2>/dev/null || true
    done
    find /sys/fs/cgroup -depth -type d -path "*/${tag}[0-9]*" -exec rmdir {} + 2>/dev/null || true
    for i in 0 1 2 3 t; do
        ip netns list 2>/dev/null | grep -q "^$tag$i\b" && ip netns delete "$tag$i"
    done
    e2e_end
}

# Names for this test, and where `docker` and tools/swarm find the first engine.
swarm_begin() {
    [ -z "$why" ] || skip "$why"
    export DOCKER_HOST=unix://$base/1/socket DOCKER_SOCKET=$base/1/socket
    export QUOIT_CLUSTER=c$RANDOM QUOIT_PORT=5000 PURGE=1
    QUOIT_ADVERTISE=$(address 1)
    export QUOIT_ADVERTISE QUOIT_NETWORK=$QUOIT_CLUSTER QUOIT_PREFIX=$QUOIT_CLUSTER-
    LB=$(address 1):5000
    left_before=$(swarm_leftovers 1 2 3 2>/dev/null || true) # of a test that failed
    cd "$BATS_TEST_DIRNAME/../.." || return 1
}

swarm_end() {
    [ -z "$why" ] || return 0
    if [ -z "${BATS_TEST_COMPLETED:-}" ]; then
        tools/swarm ps 2>&1 | sed 's/^/# /'
        tools/swarm logs 2>&1 | tail -n 40 | sed 's/^/# /'
        tail -n 40 "$dir"/*.log 2>/dev/null | sed 's/^/# /'
    fi
    signal_all KILL lb
    signal_all KILL spawner
    docker service ls --quiet 2>/dev/null | xargs -r docker service rm >/dev/null 2>&1 || true
}

needs_overlay() {
    [ -n "$vxlan" ] || skip "no vxlan in this kernel: no overlay network"
}

# A swarm of all three machines, the first its manager.
join_all() {
    local i token
    [ "$(docker info --format '{{.Swarm.LocalNodeState}}')" = active ] ||
        docker swarm init --advertise-addr "$(address 1)" >/dev/null
    token=$(docker swarm join-token --quiet worker)
    for ((i = 2; i <= ENGINES; i++)); do
        [ "$(on "$i" info --format '{{.Swarm.LocalNodeState}}')" = active ] ||
            on "$i" swarm join --token "$token" --advertise-addr "$(address "$i")" "$(address 1):2377" >/dev/null ||
            true # one that takes long goes on in the background
    done
    within 60 all_ready
}

swarm_up() { # [SERVERS]
    export QUOIT_SERVERS=${1:-3}
    tools/swarm up >"$dir/up.log" 2>&1 || {
        cat "$dir/up.log"
        return 1
    }
    within 60 serving_quietly "$QUOIT_SERVERS"
}

swarm_down() {
    tools/swarm down >"$dir/down.log" 2>&1 || {
        cat "$dir/down.log"
        return 1
    }
}

# Removes the volumes of a machine that no container has any more.
no_volumes() { # NUMBER
    on "$1" volume ls --quiet | xargs -r docker --host "unix://$base/$1/socket" volume rm >/dev/null 2>&1 || true
    [ -z "$(on "$1" volume ls --quiet)" ]
}

# What is left of the cluster on a machine, and in the swarm.
swarm_leftovers() { # NUMBER…
    local i
    for i in "$@"; do
        on "$i" ps --all --format "machine $i: container {{.Names}}"
        on "$i" network ls --filter driver=overlay --format "machine $i: network {{.Name}}" | grep -v ' ingress$'
        on "$i" volume ls --format "machine $i: volume {{.Name}}"
    done
    docker service ls --format 'service {{.Name}}' 2>/dev/null
    docker config ls --format 'config {{.Name}}' 2>/dev/null
}

nothing_is_left() { # NUMBER…
    [ -z "$(swarm_leftovers "$@" | grep -vxF -f <(echo "$left_before"))" ]
}

# The servers' services, by name, sorted; on which machine the server of a name runs.
running() {
    docker service ls --quiet --filter "label=quoit.cluster=$QUOIT_CLUSTER" |
        xargs -r docker service inspect --format '{{index .Spec.Labels "quoit.name"}}' | sort
}

container_on() { # NUMBER NAME
    on "$1" ps --quiet --filter "label=quoit.cluster=$QUOIT_CLUSTER" --filter "label=quoit.name=$2" 2>/dev/null
}

machine_of() { # NAME
    local i
    for ((i = 1; i <= ENGINES; i++)); do
        [ -z "$(container_on "$i" "$1")" ] || echo "$i"
    done
}

container_of() { # NAME
    container_on "$(machine_of "$1")" "$1"
}

agree() {
    [ "$(names 2>/dev/null | sort)" = "$(running)" ]
}

start_stream() { # SECONDS
    nsenter "--net=/run/netns/${tag}1" "$QUOIT" load --quiet --duration "$1" --in-flight 4 --fail-if 'errors>0' \
        --json "$dir/stream" "http://$LB/home" >"$dir/stream.log" 2>&1 3>&- &
    stream=$!
    sleep 0.5
}

stream_is_whole() {
    wait "$stream" || {
        cat "$dir/stream.log" "$dir/stream"
        return 1
    }
    [ "$(jq .requests "$dir/stream")" -gt 100 ]
}

now_ns() {
    perl -MTime::HiRes=clock_gettime,CLOCK_MONOTONIC -e 'printf "%.0f", clock_gettime(CLOCK_MONOTONIC) * 1e9'
}

# Milliseconds from a moment to the first "out" and to the last "serving" after it.
say_healing() { # TITLE SINCE-NS
    get /cluster | jq -r --arg title "$1" --argjson since "$2" '
        [.events[] | select(.monotonic_ns >= $since)] as $after
        | "\($title): out of the placement \(([$after[] | select(.step == "out")] | last | .monotonic_ns - $since) / 1e6 | floor) ms, "
        + "replacements serve \(([$after[] | select(.step == "serving")] | last | .monotonic_ns - $since) / 1e6 | floor) ms"' |
        tee -a "${SWARM_FIGURES:-/dev/null}" >&3
}
