#!/usr/bin/env bats
# quoit run H1 …: experiments that are computed. QUOIT names the program.
bats_require_minimum_version 1.5.0

setup() {
    QUOIT=${QUOIT:-$BATS_TEST_DIRNAME/../../build/release/quoit}
    cd "$BATS_TEST_DIRNAME/../.." || return
    dir=$BATS_TEST_TMPDIR
}

@test "an experiment is computed, drawn in both themes and kept with its manifest" {
    run "$QUOIT" run H7 -q --seed 1 --results "$dir" --set laboratory.servers=3 --set laboratory.draws=2
    [ "$status" -eq 0 ] || { echo "$output"; false; }
    [[ $output == *"H7: Which of the two hashes is to blame"* ]]
    cd "$dir"/H7/*
    jq -e '.rows | length == 4' result.json
    jq -e '.columns as $c | .rows[0][$c | index("peak")] | . == 3 * 759374 / 900000' result.json
    [ "$(wc -l <rows.tsv)" -eq 5 ]
    grep -q "Which of the two" hash-blame-light.svg && grep -q '#0d1117' hash-blame-dark.svg
    jq -e '[.files[].name] | sort == ["hash-blame-dark.svg", "hash-blame-light.svg", "result.json",
        "rows.tsv"]' manifest.json
    jq -e '.seed == 1 and .experiment.laboratory.servers == "3"' manifest.json
}

@test "the same seed gives the same numbers" {
    for i in 1 2; do
        "$QUOIT" run H6 -q --no-figures --seed 7 --results "$dir/$i" --set laboratory.draws=3 >/dev/null
    done
    cmp "$dir"/1/H6/*/result.json "$dir"/2/H6/*/result.json
}

@test "every computed experiment is listed, and lint has nothing against it" {
    run "$QUOIT" run --list
    [ "$status" -eq 0 ]
    for i in 1 2 3 4 5 6 7 8; do
        [[ $output == *"H$i "* ]]
    done
    run "$QUOIT" run --lint H1
    [[ $status -eq 0 && $output == *"computed, not measured"* ]]
}

@test "a mistake is told with its place, and nothing is left behind" {
    run "$QUOIT" run H1 --results "$dir/r" --set laboratory.placements=slots,ring
    [ "$status" -eq 2 ]
    run "$QUOIT" run H1 --results "$dir/r" --set load.rate=5
    [[ $status -eq 2 && $output == *"laboratory.KEY=VALUE"* ]]
    run "$QUOIT" run H8 -q --results "$dir/r" --set laboratory.servers=2
    [[ $status -ne 0 && $output == *"two failures want three servers"* ]]
    run "$QUOIT" run H8 -q --results "$dir/r" --set laboratory.columns=peaks
    [[ $status -ne 0 && $output == *"there is no 'peaks'"* ]]
    [ -z "$(find "$dir/r" -type f 2>/dev/null)" ]
}
