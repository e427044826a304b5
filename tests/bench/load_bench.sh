#!/usr/bin/env bash
# quoit load beside wrk, h2load and hey: the same server, the same requests in flight, in turns.
#
# usage: tests/bench/load_bench.sh PROGRAM [ROUNDS [SECONDS [IN_FLIGHT]]]
#
# What is compared is the CPU time a request costs the generator (user + system of the whole process,
# start and end included, over the requests it says it made): rates depend on who else is running.
# First against `quoit server`, then, where nginx is installed, against nginx as a cross-check. Runs
# in a network namespace of its own (NAT rules of the host tax loopback). Prints a line a run and
# the medians: CPU microseconds a request, what that makes in requests per second of one core, the
# rate seen, and the CPU beside wrk's.
#
# Then, with nginx, whether they count the same: nginx lets PACE requests a second through and makes
# the others wait, so that no generator is the bottleneck and the rate is known. Per round the
# difference from wrk; of six rounds the least and the most of the differences hold their median
# with 97 %.
set -euo pipefail
NAME=load_bench
# shellcheck source=tests/bench/bench.bash
source "$(dirname "$0")/bench.bash"

program=$(realpath "$1")
rounds=${2:-5}
seconds=${3:-2}
in_flight=${4:-64}
case "$rounds$seconds$in_flight" in *[!0-9]*) echo "ROUNDS, SECONDS and IN_FLIGHT are whole numbers" >&2; exit 2 ;; esac
pace=2000
need "wrk nghttp2-client hey iproute2" wrk h2load hey unshare ip
in_own_namespace "$program" "$rounds" "$seconds" "$in_flight"
begin

"$program" server --listen 127.0.0.1:6101 --name Server1 --log-level error &
pids+=($!)
targets="quoit:6101"
nginx=$(type -P nginx || { [ -x /usr/sbin/nginx ] && echo /usr/sbin/nginx; } || true)
if [ -n "$nginx" ]; then
    cat >"$dir/nginx.conf" <<CFG
daemon off;
worker_processes 1;
pid $dir/nginx.pid;
error_log /dev/null crit;
events { worker_connections 4096; }
http {
  access_log off;
  limit_req_zone \$server_port zone=paced:1m rate=${pace}r/s;
  keepalive_requests 1000000000;
  default_type application/json;
  server {
    listen 127.0.0.1:6102;
    location = /home {
      add_header X-Quoit-Server Server1;
      return 200 '{"message":"Hello from Server: 1","status":"successful"}';
    }
    # \`return\` comes before the limit, so the answer stands elsewhere.
    location = /paced {
      root /;
      limit_req zone=paced burst=65536;
      try_files /no-such-file /home;
    }
  }
}
CFG
    "$nginx" -p "$dir" -c "$dir/nginx.conf" &
    pids+=($!)
    targets="$targets nginx:6102"
fi
sleep 1

tools="wrk h2load hey curl raw pipelined"
# command TOOL URL: prints what to run.
command_of() {
    case $1 in
    wrk) echo "wrk -t1 -c$in_flight -d${seconds}s $2" ;;
    h2load) echo "h2load --h1 -t1 -c$in_flight -D$seconds $2" ;;
    hey) echo "hey -cpus 1 -c $in_flight -z ${seconds}s $2" ;;
    curl) echo "$program load -q --client curl -c $in_flight -d $seconds $2" ;;
    raw) echo "$program load -q --client raw -c $in_flight -d $seconds $2" ;;
    pipelined) echo "$program load -q --client raw:connections=8 -c $in_flight -d $seconds $2" ;;
    esac
}
# Good answers, as the tool counts them.
count_of() {
    case $1 in
    wrk) awk '/requests in/ {n = $1} /Non-2xx/ {n -= $NF} END {print n + 0}' ;;
    h2load) awk '/^status codes:/ {print $3 + 0}' ;;
    hey) awk '/\[200\]/ {n = $2} END {print n + 0}' ;;
    *) awk '$1 == "ok" {print $2 + 0}' ;;
    esac
}
median() { sort -n | awk '{a[NR] = $1} END {print NR % 2 ? a[(NR + 1) / 2] : (a[NR / 2] + a[NR / 2 + 1]) / 2}'; }

# measure TARGET TOOL URL: one line, its figures appended to files.
measure() {
    local user system real n
    local TIMEFORMAT='%U %S %R'
    # shellcheck disable=SC2046,SC2091 # a word each, and run it
    { time $(command_of "$2" "$3") >"$dir/out" 2>"$dir/err"; } 2>"$dir/time" || {
        echo "load_bench: $2 failed:" >&2
        cat "$dir/out" "$dir/err" >&2
        exit 1
    }
    read -r user system real <"$dir/time"
    n=$(count_of "$2" <"$dir/out")
    [ "${n:-0}" -gt 0 ] || { echo "load_bench: $2 made no request" >&2; cat "$dir/out" >&2; exit 1; }
    awk -v t="$1" -v tool="$2" -v u="$user" -v s="$system" -v r="$real" -v n="$n" -v out="$dir/$1.$2" 'BEGIN {
        us = (u + s) * 1e6 / n
        printf "  %-6s %-10s %6.2f us CPU a request (user %.2f)  %8.0f requests/s\n", t, tool, us, u * 1e6 / n, n / r
        printf "%.4f\n", us >>(out ".us")
        printf "%.0f\n", n / r >>(out ".rate")
    }'
}

echo "load_bench: $in_flight in flight, $rounds rounds of $seconds s, $(nproc) cores, $(awk -F': ' '/model name/ {print $2; exit}' /proc/cpuinfo)"
echo "  $(wrk -v 2>&1 | head -1 | cut -d' ' -f1-2), $(h2load --version), hey $(dpkg-query -f '${Version}' -W hey 2>/dev/null || true), $("$program" --version | head -1)"
for target in $targets; do
    for ((round = 1; round <= rounds; round++)); do
        # A different one begins each round.
        for tool in $(tr ' ' '\n' <<<"$tools" | awk -v k="$round" '{a[NR] = $0} END {for (i = 0; i < NR; i++) print a[(i + k) % NR + 1]}'); do
            measure "${target%:*}" "$tool" "http://127.0.0.1:${target#*:}/home"
        done
    done
done
for target in $targets; do
    target=${target%:*}
    wrk=$(median <"$dir/$target.wrk.us")
    echo "medians against $target (pipelined: raw:connections=8)"
    for tool in $tools; do
        awk -v tool="$tool" -v us="$(median <"$dir/$target.$tool.us")" -v rate="$(median <"$dir/$target.$tool.rate")" -v wrk="$wrk" \
            'BEGIN {printf "  %-10s %6.2f us CPU a request = %7.0f requests/s of a core; %.2f of wrk; seen %.0f requests/s\n", tool, us, 1e6 / us, us / wrk, rate}'
    done
done

[ -n "$nginx" ] || exit 0

# ---- the same rate ----------------------------------------------------------------------------

paced_rounds=$((rounds > 6 ? rounds : 6))
url=http://127.0.0.1:6102/paced
echo "against nginx that lets $pace requests a second through, $paced_rounds rounds of $seconds s"
for ((round = 1; round <= paced_rounds; round++)); do
    for tool in $(tr ' ' '\n' <<<"wrk curl raw" | awk -v k="$round" '{a[NR] = $0} END {for (i = 0; i < NR; i++) print a[(i + k) % NR + 1]}'); do
        # shellcheck disable=SC2046,SC2091 # a word each, and run it
        $(command_of "$tool" "$url") >"$dir/out" 2>"$dir/err" || { cat "$dir/out" "$dir/err" >&2; exit 1; }
        case $tool in
        wrk) awk '/^Requests\/sec:/ {rate = $2} /Non-2xx/ {exit 1} END {print rate}' "$dir/out" ;;
        *) awk '$1 == "rate" {print $2}' "$dir/out" ;;
        esac >>"$dir/paced.$tool"
    done
done
paste "$dir/paced.wrk" "$dir/paced.curl" "$dir/paced.raw" | awk '
    function sorted(values, n,    i, j, held) {
        for (i = 2; i <= n; i++)
            for (j = i; j > 1 && values[j - 1] > values[j]; j--) {
                held = values[j]; values[j] = values[j - 1]; values[j - 1] = held
            }
    }
    function middle(values, n) {
        return n % 2 ? values[(n + 1) / 2] : (values[n / 2] + values[n / 2 + 1]) / 2
    }
    {for (t = 1; t <= 3; t++) rate[t, NR] = $t}
    END {
        split("wrk curl raw", names, " ")
        for (t = 1; t <= 3; t++) {
            for (i = 1; i <= NR; i++) values[i] = rate[t, i]
            sorted(values, NR)
            printf "  %-4s median %7.0f requests/s (%.0f – %.0f)", names[t], middle(values, NR), values[1], values[NR]
            if (t > 1) {
                for (i = 1; i <= NR; i++) values[i] = 100 * (rate[t, i] / rate[1, i] - 1)
                sorted(values, NR)
                printf "   from wrk %+.2f %% (%+.2f … %+.2f %%): %s", middle(values, NR), values[1], values[NR],
                    values[1] <= 0 && values[NR] >= 0 ? "within the noise" : "a difference"
            }
            printf "\n"
        }
    }'
