#!/usr/bin/env bash
# quoit lb beside HAProxy: the same three servers behind each, the same load, one thread each, in turns.
#
# usage: tests/bench/lb_bench.sh PROGRAM [ROUNDS [SECONDS]]
#
# Both route by a header's hash over a consistent placement and keep their connections to the servers.
# Runs in a network namespace of its own (NAT rules of the host tax loopback). Prints a line a round
# and the medians: requests per second, and CPU microseconds (user + system) per request of the proxy.
set -euo pipefail
NAME=lb_bench
# shellcheck source=tests/bench/bench.bash
source "$(dirname "$0")/bench.bash"

program=$(realpath "$1")
rounds=${2:-5}
seconds=${3:-5}
case "$rounds$seconds" in *[!0-9]*) echo "ROUNDS and SECONDS are whole numbers" >&2; exit 2 ;; esac
need "wrk haproxy iproute2" wrk haproxy unshare ip
in_own_namespace "$program" "$rounds" "$seconds"
begin

for i in 1 2 3; do
    "$program" server --listen "127.0.0.1:610$i" --name "Server$i" --log-level error &
    pids+=($!)
done
cat >"$dir/haproxy.cfg" <<CFG
global
  nbthread 1
  maxconn 4000
defaults
  mode http
  timeout connect 2s
  timeout client 30s
  timeout server 30s
  http-reuse always
frontend f
  bind 127.0.0.1:6200
  default_backend b
backend b
  balance hdr(X-Key)
  hash-type consistent
  server s1 127.0.0.1:6101
  server s2 127.0.0.1:6102
  server s3 127.0.0.1:6103
CFG
haproxy -q -f "$dir/haproxy.cfg" &
haproxy_pid=$!
# Its own three servers are the spawner's, of the same program.
"$program" lb --listen 127.0.0.1:6300 --placement ring --hash xxh64 --key-from header:X-Key --log-level error &
quoit_pid=$!
pids+=("$haproxy_pid" "$quoit_pid")
cat >"$dir/key.lua" <<'LUA'
local n = 100000
request = function()
  n = n + 7919
  if n > 999999 then n = n - 900000 end
  wrk.headers["X-Key"] = tostring(n)
  return wrk.format("GET", "/home")
end
LUA
sleep 1

ticks=$(getconf CLK_TCK)
cpu_us() { awk -v ticks="$ticks" '{print ($14 + $15) * 1000000 / ticks}' "/proc/$1/stat"; }
median() { sort -n | awk '{a[NR] = $1} END {print NR % 2 ? a[(NR + 1) / 2] : (a[NR / 2] + a[NR / 2 + 1]) / 2}'; }

# measure NAME PID PORT: one line, its figures appended to files.
measure() {
    local before after out n rate us bad
    before=$(cpu_us "$2")
    out=$(wrk -t1 -c256 -d"$seconds" -s "$dir/key.lua" "http://127.0.0.1:$3/home")
    after=$(cpu_us "$2")
    n=$(awk '/requests in/ {print $1}' <<<"$out")
    rate=$(awk '/Requests\/sec/ {print $2}' <<<"$out")
    bad=$(grep -E 'Non-2xx|Socket errors' <<<"$out" || true)
    us=$(awk -v a="$before" -v b="$after" -v n="$n" 'BEGIN {printf "%.2f", (b - a) / n}')
    printf '  %-8s %9.0f requests/s  %6s us CPU a request  %s\n' "$1" "$rate" "$us" "$bad"
    echo "$rate" >>"$dir/$1.rate"
    echo "$us" >>"$dir/$1.us"
}

echo "lb_bench: wrk -t1 -c256, $rounds rounds of $seconds s, $(nproc) cores, $(haproxy -v | head -1 | cut -d' ' -f1-3)"
for ((round = 1; round <= rounds; round++)); do
    if ((round % 2)); then order="haproxy quoit"; else order="quoit haproxy"; fi
    for name in $order; do
        case $name in
        haproxy) measure haproxy "$haproxy_pid" 6200 ;;
        quoit) measure quoit "$quoit_pid" 6300 ;;
        esac
    done
done
for what in rate us; do
    haproxy=$(median <"$dir/haproxy.$what")
    quoit=$(median <"$dir/quoit.$what")
    unit=$([ "$what" = rate ] && echo "requests/s" || echo "us CPU a request")
    awk -v h="$haproxy" -v q="$quoit" -v u="$unit" \
        'BEGIN {printf "median   haproxy %.2f, quoit %.2f %s: quoit is %.2f of haproxy\n", h, q, u, q / h}'
done
