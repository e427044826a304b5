# shellcheck shell=bash disable=SC2034 # lb, address are for the scripts
# What the benchmarks share; to be sourced after `set -euo pipefail`. NAME is the
# script's, for what it has to say.

die() {
    echo "$NAME: $*" >&2
    exit 1
}

need() { # PACKAGES TOOL…
    local packages=$1 tool
    shift
    for tool; do
        command -v "$tool" >/dev/null || die "$tool is missing (apt-get install $packages)"
    done
}

# Runs the script again in a network namespace of its own, where it may: NAT rules of the host tax
# loopback.
in_own_namespace() { # ARGUMENT…: the script's
    if [ "${BENCH_INSIDE:-}" = "$NAME" ]; then
        ip link set lo up
    elif unshare -n true 2>/dev/null; then
        BENCH_INSIDE=$NAME exec unshare -n "$0" "$@"
    fi
}

# A folder, $dir, and the processes whose ids are put into $pids; both gone at the end.
begin() {
    dir=$(mktemp -d)
    pids=()
    trap end EXIT
}

end() {
    local pid
    for pid in "${pids[@]}"; do
        kill -TERM "$pid" 2>/dev/null || true
        kill -CONT "$pid" 2>/dev/null || true # one that a benchmark had stopped
    done
    wait
    rm -rf "$dir"
}

start_lb() { # PROGRAM OPTION…: sets $lb
    local program=$1 address
    shift
    mkfifo "$dir/ready"
    "$program" lb --listen 127.0.0.1:0 --ready-fd 9 --log-level error "$@" 9>"$dir/ready" &
    pids+=($!)
    read -r address <"$dir/ready"
    lb=http://$address
}

start_server() { # PROGRAM OPTION…: a server alone; sets $server_pid and $address
    local program=$1
    shift
    mkfifo "$dir/ready"
    "$program" server --listen 127.0.0.1:0 --ready-fd 9 --log-level error "$@" 9>"$dir/ready" &
    server_pid=$!
    pids+=("$server_pid")
    read -r address <"$dir/ready"
}
