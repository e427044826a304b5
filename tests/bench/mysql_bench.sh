#!/usr/bin/env bash
# The whole database on mysql, through the load balancer, beside a C client that inserts directly
# into the same mariadbd: equal rows per request, equal requests outstanding, equal durability.
#
# usage: tests/bench/mysql_bench.sh PROGRAM DIRECT [ROUNDS [SECONDS]]
#
# MYSQL_BENCH_RUNS="1 16 100 random,3 64 1 random" picks cases: REPLICAS IN_FLIGHT ROWS ORDER.
#
# DIRECT is tests/bench/mysql_bench, whose direct client it runs: a connection and a thread for each
# request outstanding. The mariadbd is the one that `quoit lb --store mysql` starts for its cluster,
# so that both find the same settings. The cluster has 4 shards; with 1 replica of each (4 servers)
# as many rows reach mariadbd as the client sends, with 3 (CONTRACT.md's default, 6 servers) three
# times as many, which is what is counted and compared. Keys ascend, so that a request's rows are of
# one shard, or come in no order, so that they are of all, which the load balancer then makes a change
# of all shards or none.
#
# The direct client does twice what can be compared. "same": the INSERTs that the database's writes
# come to, into four tables with the store's columns, a request's rows in one transaction. "plain":
# what one would do without a database of shards, an INSERT into one table of the three columns.
#
# In a network namespace of its own, on two cores, in turns. Each run begins with an empty cluster;
# after it the replicas are compared and counted.
set -euo pipefail

program=$(realpath "$1")
direct=$(realpath "$2")
rounds=${3:-3}
seconds=${4:-1.5}
[[ $rounds =~ ^[0-9]+$ && $seconds =~ ^[0-9]+(\.[0-9]+)?$ ]] || {
    echo "ROUNDS is a whole number, SECONDS a number" >&2
    exit 2
}
for tool in curl jq unshare ip taskset; do
    command -v "$tool" >/dev/null || {
        echo "mysql_bench: $tool is missing (apt-get install curl jq iproute2 util-linux)" >&2
        exit 1
    }
done
[ -x /usr/sbin/mariadbd ] || command -v mariadbd >/dev/null || {
    echo "mysql_bench: mariadbd is missing (apt-get install mariadb-server): nothing measured"
    exit 0
}
if [ "${MYSQL_BENCH_INSIDE:-}" != 1 ]; then
    MYSQL_BENCH_INSIDE=1 exec unshare -n taskset -c 0,1 "$0" "$program" "$direct" "$rounds" "$seconds"
fi
ip link set lo up

dir=$(mktemp -d)
lb_pid=
end_cluster() {
    [ -z "$lb_pid" ] && return
    kill -TERM "$lb_pid" 2>/dev/null || true
    wait "$lb_pid" || true
    lb_pid=
    rm -rf "$dir/state"
}
trap 'end_cluster; rm -rf "$dir"' EXIT
die() {
    echo "mysql_bench: $*" >&2
    exit 1
}
median() { sort -n | awk '{a[NR] = $1} END {print NR % 2 ? a[(NR + 1) / 2] : (a[NR / 2] + a[NR / 2 + 1]) / 2}'; }

mkfifo "$dir/ready"
size=4000000
# begin_cluster REPLICAS
begin_cluster() {
    local shards='' i servers='"Server1":["sh1"],"Server2":["sh2"],"Server3":["sh3"],"Server4":["sh4"]' n=4
    if [ "$1" = 3 ]; then
        n=6
        servers='"Server0":["sh1","sh2"],"Server1":["sh3","sh4"],"Server3":["sh1","sh3"],
            "Server4":["sh4","sh2"],"Server5":["sh1","sh4"],"Server6":["sh3","sh2"]'
    fi
    exec 8<>"$dir/ready"
    "$program" lb --listen 127.0.0.1:0 --ready-fd 8 --servers 0 --store mysql --state "$dir/state" \
        --log-level error &
    lb_pid=$!
    read -r -u 8 -t 60 address || die "the load balancer does not start"
    exec 8>&-
    for i in 1 2 3 4; do
        shards+=${shards:+,}'{"Stud_id_low":'$(((i - 1) * size))',"Shard_id":"sh'$i'","Shard_size":'$size'}'
    done
    curl -sf -m 60 -o /dev/null -X POST "http://$address/init" -d '{"N":'$n',
        "schema":{"columns":["Stud_id","Stud_name","Stud_marks"],"dtypes":["Number","String","Number"]},
        "shards":['"$shards"'],"servers":{'"$servers"'}}' || die "/init failed"
    socket=$(find "$dir/state" -name sock)
}

# measure REPLICAS IN_FLIGHT ROWS ORDER
measure() {
    local plain same through what="$1.$2.$3.$4"
    begin_cluster "$1"
    plain=$("$direct" direct "$socket" "$2" "$3" "$seconds" "$4" plain)
    same=$("$direct" direct "$socket" "$2" "$3" "$seconds" "$4" same)
    "$program" load -q --client raw --verify none -c "$2" -d "$seconds" --json "$dir/run.json" \
        --workload "db-write:ids=$((4 * size)),rows=$3,order=$4" "http://$address" >"$dir/out" 2>&1 || {
        cat "$dir/out" >&2
        die "the load failed"
    }
    curl -sf "http://$address/cluster/digest" |
        jq -e --argjson wanted $(($(jq .ok "$dir/run.json") * $3)) \
            '.equal and ([.shards[].replicas[0].rows] | add) == $wanted' >/dev/null ||
        die "the replicas differ, or are not the rows that were acknowledged"
    through=$(jq ".rate * $3 * $1" "$dir/run.json")
    end_cluster
    echo "$plain" >>"$dir/$what.plain"
    echo "$same" >>"$dir/$what.same"
    echo "$through" >>"$dir/$what.through"
    awk -v r="$1" -v c="$2" -v n="$3" -v o="$4" -v a="$plain" -v s="$same" -v t="$through" -v p="$(jq .latency_ms.p50 "$dir/run.json")" \
        'BEGIN {printf "  %d replicas, %2d in flight, %4d rows %-9s: plain %7.0f, same %7.0f, through us %7.0f rows/s at mariadbd (p50 %.1f ms)\n", r, c, n, o, a, s, t, p}'
}

runs=("1 16 1 random" "1 64 1 random" "3 64 1 random" "1 16 100 random" "1 16 100 ascending" "3 16 100 random"
    "1 16 1000 random" "1 16 1000 ascending" "3 16 1000 random")
if [ -n "${MYSQL_BENCH_RUNS:-}" ]; then IFS=, read -ra runs <<<"$MYSQL_BENCH_RUNS"; fi
echo "mysql_bench: $rounds rounds of $seconds s, two of $(nproc --all) cores, $("$program" --version | head -1), $(mariadbd --version 2>/dev/null || /usr/sbin/mariadbd --version)"
for ((round = 0; round < rounds; round++)); do
    for ((i = 0; i < ${#runs[@]}; i++)); do
        # shellcheck disable=SC2086 # four words
        measure ${runs[(i + round) % ${#runs[@]}]}
    done
done
echo "medians (rows/s that reach mariadbd: rows x replicas)"
for run in "${runs[@]}"; do
    what=${run// /.}
    awk -v what="$run" -v a="$(median <"$dir/$what.plain")" -v s="$(median <"$dir/$what.same")" -v t="$(median <"$dir/$what.through")" '
        BEGIN {
            split(what, w, " ")
            printf "  %d replicas, %2d in flight, %4d rows a request, %-9s: through us %7.0f: %.2f of the same %7.0f, %.2f of the plain %7.0f\n",
                w[1], w[2], w[3], w[4], t, t / s, s, t / a, a
        }'
done
