#!/usr/bin/env bats
# quoit run on a database: every call of CONTRACT.md's Part 2 asked; a server that dies under load,
# and what becomes of its rows; stores side by side.

load helper

setup() {
    e2e_begin
    export TMPDIR=$dir
    quoit=(env "QUOIT_E2E_MARK=$mark" "$QUOIT")
    ROOT=$BATS_TEST_DIRNAME/../..
}

teardown() {
    e2e_end
}

# An experiment of the tree, made small.
run_small() { # NAME ARGUMENT…
    local name=$1
    shift
    cd "$ROOT"
    run --separate-stderr "${quoit[@]}" run "$name" --results "$dir/results" -q "$@"
}

expect_status() {
    [ "$status" -eq "$1" ] || {
        echo "status $status, wanted $1"
        echo "$output"
        echo "$stderr"
        return 1
    }
}

result_of() { # NAME: sets r, the only result folder of it
    r=$(echo "$dir/results/$1"/*)
    [ -d "$r" ]
}

nothing_is_left() {
    [ "$(n_marked)" -eq 0 ] || { marked; return 1; }
    ! compgen -G "$dir/quoit-run-*"
}

# Both events of DB-A4 on four shards of 500 rows, within 2.6 s.
small_events() { # NAME ARGUMENT…
    mkdir -p "$dir/ini"
    sed -e 's/^at 1s /at 300ms /' -e 's/^at 2500ms /at 700ms /' "$ROOT/experiments/$1.ini" \
        >"$dir/ini/$1.ini"
    run_small "$1" --experiments "$dir/ini" --set experiment.repeats=3 --set cluster.shard_size=500 --set load.preload=2000 \
        --set load.rate=500 --set load.duration=2600ms --set load.keys=zipfian:low=0,high=1999 \
        --set load.workload=db-mix:ids=2000,read=60,scan=10,width=20,update=30 "${@:2}"
}

@test "DB-A4: every call answered as it must be, a server killed, one hangs, no row lost" {
    small_events DB-A4-memory
    expect_status 0
    result_of DB-A4-memory
    jq -e '.endpoints | length > 50 and all(.good)' "$r/result.json"
    jq -e '[.points[0].events[].label] == ["SIGKILL Server1", "SIGSTOP Server3"]' "$r/result.json"
    # Each had two shards of 500 rows; those that changed meanwhile are sent again.
    jq -e 'all(.points[0].events[]; .rows.min == 1000 and .copied_rows.min >= 1000
        and .copied_bytes.min > 1000 * 20 and .failed_reads.max == 0)' "$r/result.json"
    jq -e 'all(.points[0].events[].steps; .detected.median <= .out.median
        and .out.median < .listens.median and .listens.median < .copied.median
        and .copied.median <= .serving.median)' "$r/result.json"
    # Reads and writes add up to what was asked.
    jq -e '[.points[0].timeline.repeats[] | (.writes_ok | add) / (.ok | add)]
        | length == 3 and all(. > 0.2 and . < 0.4)' "$r/result.json"
    [[ $output == *"POST /init"*"failed reads"* || $output == *"failed reads"*"POST /init"* ]]
    [[ $output == *"1000, 10"*" sent"*VALID* ]]
    grep -q 'rows there again' "$r/timeline-light.svg" && [ -s "$r/timeline-dark.svg" ]
    nothing_is_left
}

@test "DB-A4: of a durable store the directory is reused, and only what changed is sent" {
    small_events DB-A4-file --no-figures \
        --set load.workload=db-mix:ids=2000,read=99,update=1
    expect_status 0
    result_of DB-A4-file
    jq -e '.points[0].events[0].copied_rows.min < 1000' "$r/result.json"
    jq -e 'all(.points[0].events[]; .rows.min == 1000 and .failed_reads.max == 0)' "$r/result.json"
    nothing_is_left
}

@test "S1: stores side by side; one that keeps nothing is not looked into" {
    run_small S1-rates --set experiment.repeats=3 --set experiment.measures=counts --set load.duration=200ms \
        --set load.preload=1000 --set 'axis.values=null memory file' \
        --set 'axis2.values=db-write:low=1000,ids=1000000,rows=10 db-read:ids=1000,width=10,found=any'
    expect_status 0
    result_of S1-rates
    jq -e '.points | length == 6 and all(.[]; .metrics.rate.median > 0 and .n_samples == 3)' \
        "$r/result.json"
    jq -e '.verdict.warnings | any(. == "store null keeps no rows: what it was given was not looked for")' \
        "$r/result.json"
    grep -q 'of null' "$r/stores-light.svg" && [ -s "$r/stores-dark.svg" ]
    nothing_is_left
}

@test "S1: a store's directory is taken over by the replacement, with all rows, of the only replica" {
    run_small S1-recovery --set load.duration=1200ms --set axis.values=file \
        --set 'axis2.values=1000 2000' --set load.workload=db-read:ids=1000 --set load.preload=1000
    expect_status 0
    result_of S1-recovery
    jq -e '[.points[].events[0] | .rows.min, .rows.max] == [1000, 1000, 2000, 2000]' "$r/result.json"
    jq -e 'all(.points[].events[0]; .copied_rows.max == 0 and .steps.serving.max < 10000)' \
        "$r/result.json"
    grep -q 'until the rows are served' "$r/recovery-light.svg" && [ -s "$r/recovery-dark.svg" ]
    nothing_is_left
}
