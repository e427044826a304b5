#!/usr/bin/env bats
# quoit run: experiments on databases, on real clusters. QUOIT names the program.

load helper

setup() {
    e2e_begin
    export TMPDIR=$dir
    quoit=(env "QUOIT_E2E_MARK=$mark" "$QUOIT")
    ROOT=$BATS_TEST_DIRNAME/../..
    mkdir "$dir/ini"
    cat >"$dir/ini/T.ini" <<'END'
[experiment]
name = T
title = A tiny database
question = How fast?
repeats = 3
[cluster]
servers = 3
shards = 2
replicas = 2
[load]
client = raw
requests = 200
warmup = 20
in_flight = 8
write = db-write
read = db-read
[figure]
kind = phases ratios
table = points
END
}

teardown() {
    e2e_end
}

run_tiny() { # ARGUMENT…
    run --separate-stderr "${quoit[@]}" run T --experiments "$dir/ini" --plots "$ROOT/plots" \
        --results "$dir/results" -q "$@"
}

run_small() { # NAME ARGUMENT…
    local name=$1
    shift
    cd "$ROOT" # experiments/ and plots/ of the tree
    run --separate-stderr "${quoit[@]}" run "$name" --results "$dir/results" -q \
        --set load.requests=100 --set load.warmup=10 --set experiment.repeats=3 "$@"
}

result() { # NAME [FILE]
    echo "$dir/results/$1"/*/"${2:-result.json}"
}

expect_status() {
    [ "$status" -eq "$1" ] || {
        echo "status $status, wanted $1"
        echo "$output"
        echo "$stderr"
        return 1
    }
}

no_process_is_left() {
    [ "$(n_marked)" -eq 0 ] || { marked; return 1; }
    ! compgen -G "$dir/quoit-run-*"
}

@test "rows are written and read in two phases, and verified, in every store" {
    run_tiny --set axis.vary=cluster.store --set axis.values="memory file sqlite lmdb"
    expect_status 0
    [[ $output == *"3/2/2 (servers/shards/replicas), 200 writes and then as many reads, rows a write: 1, in flight: 8"* ]]
    [[ $output == *"× memory"* ]]
    jq -e '.verdict.valid and .n_samples == 12 and (.storage | length) > 0' "$(result T)"
    jq -e 'all(.points[]; .metrics.write_rate.median > 1 and .metrics.read_rate.median > 1 and
        .database.shape == "3/2/2" and .database.shard_size == 110 and .servers == [])' \
        "$(result T)"
    jq -e '[.points[].ratios.write_rate.ratio] | .[0] == null and .[1] > 0' "$(result T)"
    for figure in phases-light phases-dark ratios-light ratios-dark; do
        [ -s "$(result T $figure.svg)" ]
    done
    no_process_is_left
}

@test "a cluster grows before it is measured, and keeps the rows it had" {
    run_tiny --set axis.vary=cluster.grow --set axis.values="none 5/3/4" --set load.preload=90 \
        --set cluster.store=file
    expect_status 0
    jq -e '[.points[].database | .shape, .grown_from] ==
        ["3/2/2", null, "5/3/4", "3/2/2"] and ([.points[].n_servers] == [3, 5])' "$(result T)"
    no_process_is_left
}

@test "a run whose writes fail, or whose reads find nothing, is INVALID and says so" {
    run_tiny --no-figures --set cluster.store="fault:fail=writes,every=20+memory"
    expect_status 4
    [[ $output == *INVALID* && $output == *"requests failed: status_5xx"* ]]
    rm -rf "$dir/results"
    # A store that keeps nothing acknowledges, and has no row when it is asked.
    run_tiny --no-figures --set cluster.store=null
    expect_status 4
    [[ $output == *"600 requests failed: wrong_body"* ]]
    [[ $output == *"note: store null keeps no rows"* ]]
    jq -e '.verdict.valid | not' "$(result T)"
    no_process_is_left
}

@test "rows that could not be put there first make a run INVALID" {
    # The first requests make the shards; then no write succeeds.
    run_tiny --no-figures --set load.preload=2000 --set cluster.store="fault:fail=writes,after=4+memory"
    expect_status 4
    [[ $output == *"sample 1, write: rows that were to be there first: "*" requests failed: status_5xx"* ]]
    no_process_is_left
}

@test "DB-A1: every store of the tree's experiment, and one request at a time beside published" {
    run_small DB-A1-one --set load.requests=30
    expect_status 0
    [[ $output == *"published: 6/4/3 by Flask and MySQL"* ]]
    jq -e '[.points[].values[0]] == ["memory", "file", "sqlite", "lmdb"]' "$(result DB-A1-one)"
    jq -e '.published == [{"label":"6/4/3 by Flask and MySQL","write":29,"read":105}]' \
        "$(result DB-A1-one)"
    [ -s "$(result DB-A1-one phases-light.svg)" ]
}

@test "DB-A1-rows: rows and requests a second by rows in a request" {
    run_small DB-A1-rows --set load.duration=50ms --set axis.values=memory
    expect_status 0
    jq -e '[.points[].database.rows] == [1, 10, 100]' "$(result DB-A1-rows)"
    jq -e '.points[2].metrics | .write_rows.median == .write_rate.median * 100' \
        "$(result DB-A1-rows)"
    [ -s "$(result DB-A1-rows rows-dark.svg)" ]
}

@test "DB-A3: 10/6/8 by /add to a running 6/4/3, with ratios beside the published ones" {
    run_small DB-A3 --set load.preload=100
    expect_status 0
    jq -e '[.points[].database.shape] == ["6/4/3", "10/6/8"]' "$(result DB-A3)"
    jq -e '.points[1].ratios.to == ["6/4/3"] and .points[1].ratios.read_rate.low > 0' \
        "$(result DB-A3)"
    [[ $output == *"published: 10/6/8"*"0.59"*"1.38"* ]]
    no_process_is_left
}

@test "what no database can be is wrong usage" {
    run_tiny --set cluster.replicas=4
    expect_status 2
    [[ $stderr == *"4 replicas of a shard do not fit on 3 servers"* ]]
    run_tiny --set load.write=db-wriet
    expect_status 2
    [[ $stderr == *"did you mean 'db-write'?"* ]]
}
