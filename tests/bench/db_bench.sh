#!/usr/bin/env bash
# The database under load, in memory and with every write synced, beside three etcd members.
#
# usage: tests/bench/db_bench.sh PROGRAM [ROUNDS [SECONDS]]
#
# CONTRACT.md's default cluster: 6 servers, 4 shards, 3 replicas of each, one load balancer. Load,
# load balancer and servers share two cores (more are left alone); etcd the same, its three members
# asked through their JSON gateway, all at the leader, which is its best case. What is compared
# promises the same: a write is on every replica (etcd: on two of three) before it is answered, with
# `file` and etcd on their disks, and a read that starts after sees it (etcd: a linearizable range).
#
# Every write run begins with an empty cluster; after it, outside the figures, the replicas are
# compared and counted: all equal, exactly the rows that were acknowledged. Every read run proves each
# row. One request that fails ends the bench.
#
# DB_BENCH_RUNS="memory.write.64.1 etcd.write.64.100" (SYSTEM.KIND.IN_FLIGHT.ROWS) restricts it to
# these. Of etcd with 100 rows a request nothing is measured unasked: what it leaves behind, a large
# database, would slow etcd's other runs.
#
# Runs in a network namespace of its own (NAT rules of the host tax loopback). In turns, ROUNDS of
# SECONDS each; a different one begins each round. Prints a line a run, then the medians and what
# they are of each other. CPU: user + system time of load balancer and servers, or of the members,
# over the requests answered; the load generator's beside it.
set -euo pipefail

program=$(realpath "$1")
rounds=${2:-5}
seconds=${3:-1.2}
[[ $rounds =~ ^[0-9]+$ && $seconds =~ ^[0-9]+(\.[0-9]+)?$ ]] || {
    echo "ROUNDS is a whole number, SECONDS a number" >&2
    exit 2
}
for tool in curl jq unshare ip taskset; do
    command -v "$tool" >/dev/null || {
        echo "db_bench: $tool is missing (apt-get install curl jq iproute2 util-linux)" >&2
        exit 1
    }
done
if [ "${DB_BENCH_INSIDE:-}" != 1 ]; then
    DB_BENCH_INSIDE=1 exec unshare -n taskset -c 0,1 "$0" "$program" "$rounds" "$seconds"
fi
ip link set lo up

dir=$(mktemp -d)
lb_pid=
etcd_pids=()
end_cluster() {
    [ -z "$lb_pid" ] && return
    kill -TERM "$lb_pid" 2>/dev/null || true
    wait "$lb_pid" || true
    lb_pid=
}
clean_up() {
    end_cluster
    for pid in "${etcd_pids[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
    wait
    rm -rf "$dir"
}
trap clean_up EXIT
die() {
    echo "db_bench: $*" >&2
    exit 1
}

ticks=$(getconf CLK_TCK)
# User and system time of the processes so far, in microseconds.
cpu_us() {
    local pid sum=0
    for pid in "$@"; do
        sum=$((sum + $(sed 's/.*) //' "/proc/$pid/stat" | awk '{print $12 + $13}')))
    done
    echo $((sum * 1000000 / ticks))
}
median() { sort -n | awk '{a[NR] = $1} END {print NR % 2 ? a[(NR + 1) / 2] : (a[NR / 2] + a[NR / 2 + 1]) / 2}'; }

# ---- the cluster ------------------------------------------------------------------------------

mkfifo "$dir/ready"
n_clusters=0
# begin_cluster STORE SHARD_SIZE
begin_cluster() {
    local state=$dir/state$((++n_clusters)) shards='' i
    [ "$1" = memory ] && state=
    exec 8<>"$dir/ready"
    "$program" lb --listen 127.0.0.1:0 --ready-fd 8 --servers 0 --store "$1" ${state:+--state "$state"} \
        --log-level error &
    lb_pid=$!
    read -r -u 8 -t 10 address || die "the load balancer does not start"
    exec 8>&-
    for i in 1 2 3 4; do
        shards+=${shards:+,}'{"Stud_id_low":'$(((i - 1) * $2))',"Shard_id":"sh'$i'","Shard_size":'$2'}'
    done
    curl -sf -m 20 -o /dev/null -X POST "http://$address/init" -d '{"N":6,
        "schema":{"columns":["Stud_id","Stud_name","Stud_marks"],"dtypes":["Number","String","Number"]},
        "shards":['"$shards"'],
        "servers":{"Server0":["sh1","sh2"],"Server1":["sh3","sh4"],"Server3":["sh1","sh3"],
            "Server4":["sh4","sh2"],"Server5":["sh1","sh4"],"Server6":["sh3","sh2"]}}' ||
        die "/init of a cluster on $1 failed"
    mapfile -t pids < <(curl -sf "http://$address/cluster" | jq '.servers[].pid')
    pids+=("$lb_pid")
}
# load JSON ARGUMENT…: one load, every request of which must succeed.
load() {
    local json=$1
    shift
    "$program" load -q --client raw --verify none --json "$json" "$@" >"$dir/out" 2>&1 || {
        cat "$dir/out" >&2
        die "the load failed: $*"
    }
}
# fill_cluster SHARD_SIZE: every row of every shard.
fill_cluster() {
    load "$dir/fill.json" -c 4 -n $(($1 * 4 / 64)) --workload "db-write:ids=$(($1 * 4)),rows=64,order=ascending" \
        "http://$address"
}
check_rows() {
    curl -sf "http://$address/cluster/digest" |
        jq -e --argjson wanted "$1" '.equal and ([.shards[].replicas[0].rows] | add) == $wanted' >/dev/null ||
        die "the replicas differ, or are not the $1 rows that were acknowledged"
}

# ---- etcd -------------------------------------------------------------------------------------

# The keys are eight digits, which are six bytes of Base64; the value is as long as a row.
etcd_value=$(printf '%-72s' '{"Stud_id":1234567,"Stud_name":"0-0123456789ab","Stud_marks":42}' | base64 -w0)
etcd_keys=16384
begin_etcd() {
    local i cluster='' port
    for i in 1 2 3; do cluster+=${cluster:+,}m$i=http://127.0.0.1:238$i; done
    for i in 1 2 3; do
        etcd --name "m$i" --data-dir "$dir/etcd$i" --initial-cluster "$cluster" --log-level error \
            --listen-client-urls "http://127.0.0.1:237$i" --advertise-client-urls "http://127.0.0.1:237$i" \
            --listen-peer-urls "http://127.0.0.1:238$i" --initial-advertise-peer-urls "http://127.0.0.1:238$i" \
            >"$dir/etcd$i.log" 2>&1 &
        etcd_pids+=($!)
    done
    for ((i = 0; i < 100; i++)); do
        sleep 0.1
        for port in 2371 2372 2373; do
            curl -sf -m 2 "http://127.0.0.1:$port/v3/maintenance/status" -d '{}' 2>/dev/null |
                jq -e '.leader != null and .leader == .header.member_id' >/dev/null || continue
            etcd_url=http://127.0.0.1:$port
            load "$dir/fill.json" -c 256 -n "$etcd_keys" --body "$(etcd_put)" --expect revision \
                --keys sequential:low=10000000,high=$((10000000 + etcd_keys - 1)) "$etcd_url/v3/kv/put"
            return
        done
    done
    cat "$dir"/etcd*.log >&2
    die "etcd has no leader"
}
etcd_put() { echo '{"key":"{key}","value":"'"$etcd_value"'"}'; }
# 100 puts in one transaction: four digits in front of the key tell them apart.
etcd_txn() {
    local i puts=''
    for ((i = 1000; i < 1100; i++)); do
        puts+=${puts:+,}'{"requestPut":{"key":"'$i'{key}","value":"'$etcd_value'"}}'
    done
    echo '{"success":['"$puts"']}'
}

# ---- a run ------------------------------------------------------------------------------------

n_puts=0
# measure SYSTEM write|read IN_FLIGHT ROWS: one line, its figures appended to files.
measure() {
    local what="$1.$2.$3.$4" before after arguments=()
    case $1-$2 in
    etcd-write)
        # Keys that no run had before.
        arguments=(--keys "sequential:low=$((20000000 + n_puts)),high=99999999" --expect revision)
        n_puts=$((n_puts + 1000000))
        if [ "$4" = 1 ]; then
            arguments+=(--body "$(etcd_put)" "$etcd_url/v3/kv/put")
        else
            etcd_txn >"$dir/txn"
            arguments+=(--body "@$dir/txn" "$etcd_url/v3/kv/txn")
        fi
        ;;
    etcd-read)
        arguments=(--keys "uniform:low=10000000,high=$((10000000 + etcd_keys - 1))" --expect '"kvs"'
            --body '{"key":"{key}"}' "$etcd_url/v3/kv/range")
        ;;
    *-write)
        begin_cluster "$1" 4000000
        arguments=(--workload "db-write:ids=16000000,rows=$4" "http://$address")
        ;;
    *-read)
        begin_cluster "$1" 4096
        fill_cluster 4096
        arguments=(--workload db-read:ids=16384 "http://$address")
        ;;
    esac
    [ "$1" = etcd ] && pids=("${etcd_pids[@]}")
    before=$(cpu_us "${pids[@]}")
    load "$dir/run.json" -c "$3" -d "$seconds" "${arguments[@]}"
    after=$(cpu_us "${pids[@]}")
    [ "$1-$2" = etcd-write ] || [ "$2" = read ] || check_rows $(($(jq .ok "$dir/run.json") * $4))
    end_cluster
    jq -r --arg system "$1" --arg kind "$2" --arg flight "$3" --argjson rows "$4" --argjson cpu $((after - before)) \
        '[$system, $kind, $flight, $rows, .rate * $rows, $cpu / .ok, .generator.cpu_us_per_request,
          .latency_ms.p50, .latency_ms.p99] | @tsv' "$dir/run.json" | tee -a "$dir/all" |
        awk -v out="$dir/$what" '{
            printf "  %-7s %-5s %3d in flight, %3d rows: %8.0f rows/s  %7.1f us CPU a request (load %.1f)  p50 %.2f p99 %.2f ms\n",
                $1, $2, $3, $4, $5, $6, $7, $8, $9
            print $5 >>(out ".rate"); print $6 >>(out ".us")
        }'
}

runs=(memory.write.64.1 file.write.64.1 memory.read.64.1 memory.write.256.1 file.write.256.1 memory.read.256.1
    memory.write.64.100 file.write.64.100)
if command -v etcd >/dev/null; then
    runs+=(etcd.write.64.1 etcd.read.64.1 etcd.write.256.1 etcd.read.256.1)
else
    echo "db_bench: etcd is missing (apt-get install etcd-server): it is left out"
fi
if [ -n "${DB_BENCH_RUNS:-}" ]; then read -ra runs <<<"$DB_BENCH_RUNS"; fi

echo "db_bench: $rounds rounds of $seconds s, two of $(nproc --all) cores, $(awk -F': ' '/model name/ {print $2; exit}' /proc/cpuinfo), $("$program" --version | head -1)"
[[ " ${runs[*]} " == *" etcd."* ]] && begin_etcd
for ((round = 0; round < rounds; round++)); do
    for ((i = 0; i < ${#runs[@]}; i++)); do
        IFS=. read -r system kind flight rows <<<"${runs[(i + round * 3) % ${#runs[@]}]}"
        measure "$system" "$kind" "$flight" "$rows"
    done
done

# ---- medians ----------------------------------------------------------------------------------

echo "medians (rows/s; CPU of load balancer and servers, or of the members, a request)"
for run in "${runs[@]}"; do
    IFS=. read -r system kind flight rows <<<"$run"
    rate=$(median <"$dir/$run.rate")
    awk -v s="$system" -v k="$kind" -v f="$flight" -v r="$rows" -v rate="$rate" -v us="$(median <"$dir/$run.us")" \
        'BEGIN {printf "  %-7s %-5s %3d in flight, %3d rows a request: %8.0f rows/s  %7.1f us CPU\n", s, k, f, r, rate, us}'
done
# ratio A B WORDS
ratio() {
    [ -s "$dir/$1.rate" ] && [ -s "$dir/$2.rate" ] || return 0
    awk -v a="$(median <"$dir/$1.rate")" -v b="$(median <"$dir/$2.rate")" -v ua="$(median <"$dir/$1.us")" \
        -v ub="$(median <"$dir/$2.us")" -v words="$3" \
        'BEGIN {printf "  %-52s %6.2f of its rate, %5.2f of its CPU\n", words, a / b, ua / ub}'
}
echo "ratios"
for shape in write.64.1 write.256.1 write.64.100; do
    ratio "file.$shape" "memory.$shape" "file to memory, $shape"
done
for shape in write.64.1 write.256.1 write.64.100; do
    ratio "file.$shape" "etcd.$shape" "file to etcd, $shape"
done
for shape in read.64.1 read.256.1; do
    ratio "memory.$shape" "etcd.$shape" "memory to etcd, $shape"
done
