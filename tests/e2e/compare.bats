#!/usr/bin/env bats
# quoit compare: results of quoit load against a real server, and of quoit run with a stand-in.

load helper

setup() {
    e2e_begin
    export TMPDIR=$dir
    cd "$dir" || return
}

teardown() {
    e2e_end
}

# Samples of both clients in turns: old/N.json by curl, new/N.json by raw.
load_in_turns() { # SAMPLES
    start_server --name Server1 --log-level error
    mkdir -p old new
    for i in $(seq "$1"); do
        "$QUOIT" load -q -n 3000 -c 16 --client curl --json "old/$i.json" "http://$SERVER/home" >/dev/null
        "$QUOIT" load -q -n 3000 -c 16 --client raw --json "new/$i.json" "http://$SERVER/home" >/dev/null
    done
}

# A result of the stand-in, its path in $result.
measure() { # ARGUMENT…
    mkdir -p ini
    cat >ini/T.ini <<'END'
[experiment]
name = T
title = A tiny one
question = Who answers?
repeats = 5
measures = counts
[load]
warmup = 500
[axis]
vary = load.in_flight
values = 32 64
END
    rm -rf tmp
    "$QUOIT" run T -q --no-figures --experiments ini --results tmp \
        --program "$BATS_TEST_DIRNAME/support/fake-quoit" "$@" >out || [ $? -eq 4 ]
    result=$dir/result$((++n_results))
    mv tmp/T/* "$result"
}

@test "the raw client costs less CPU a request than libcurl, and compare says so" {
    load_in_turns 6
    run --separate-stderr "$QUOIT" compare old new
    [ "$status" -eq 0 ]
    [[ $output == *"OLD  old: 6 samples"* ]]
    grep -qE '^ *cpu .* better$' <<<"$output"
    grep -q 'load.client differs: curl, then raw' <<<"$output"
    [[ $output != *"not interleaved"* ]]
    "$QUOIT" compare --json old new >compared.json
    jq -e '.points[0].metrics[] | select(.name == "cpu") | .verdict == "better" and
           .ratio.high < 1 and .old.n == 6 and .ratio.low <= .ratio.value' compared.json
    jq -e '.points[0].metrics[] | select(.name == "share:Server1") |
           .old.median == 100 and .verdict == "no difference shown"' compared.json
    # The same seed gives the same bytes.
    "$QUOIT" compare --json old new | cmp - compared.json
}

@test "single files are compared, and called too few" {
    load_in_turns 1
    run --separate-stderr "$QUOIT" compare old/1.json new/1.json
    [ "$status" -eq 0 ]
    [[ $output == *"too few samples"* ]]
    [ "$(grep -cE '  (better|worse)$' <<<"$output")" -eq 0 ]
    [[ $output == *"1 and 1 samples: with fewer than 5"* ]]
    [[ $output == *"not interleaved"* ]]
}

@test "--fail-if exits 3 when a change passes it, 0 when none does" {
    load_in_turns 5
    for file in new/*.json; do # so that the change is known
        jq '.rate = 90 + .settings.seed' "$file" >edited && mv edited "$file"
    done
    for file in old/*.json; do
        jq '.rate = 100 + .settings.seed' "$file" >edited && mv edited "$file"
    done
    run --separate-stderr "$QUOIT" compare --fail-if 'rate<-5%' old new
    [ "$status" -eq 3 ]
    [ "$stderr" = "quoit compare: rate<-5%: rate changed by -9.9 %" ]
    run --separate-stderr "$QUOIT" compare --fail-if 'rate<-10%' --fail-if 'rate>+1%' old new
    [ "$status" -eq 0 ]
    run --separate-stderr "$QUOIT" compare --json --fail-if 'rate<-10%' --fail-if 'rate<=-5%' old new
    [ "$status" -eq 3 ]
    jq -e '.kind == "compare"' <<<"$output"
    run --separate-stderr "$QUOIT" compare --fail-if 'share:Server7>1%' old new
    [ "$status" -eq 3 ]
    [[ $stderr == *"share:Server7 is not on both sides"* ]]
}

@test "experiments are compared at every value of their axis" {
    FAKE_CPU=0.5 measure
    old=$result
    FAKE_CPU=0.6 FAKE_COUNTS='8437 469 1094' measure --set load.warmup=100
    run --separate-stderr "$QUOIT" compare "$old" "$result"
    [ "$status" -eq 0 ]
    [ "$(grep -c ' worse$' <<<"$output")" -eq 2 ]
    [ "$(grep -c '^  cpu .* +20.0 % .* worse$' <<<"$output")" -eq 2 ]
    grep -qx 32 <<<"$output"
    grep -qx 64 <<<"$output"
    grep -q 'not interleaved' <<<"$output"
    grep -q 'load.warmup differs: 500, then 100' <<<"$output"
    run --separate-stderr "$QUOIT" compare --fail-if 'cpu>10%' "$old" "$result"
    [ "$status" -eq 3 ]
    [[ $stderr == *"cpu>10% (32): cpu changed by +20.0 %"* ]]
    [[ $stderr == *"cpu>10% (64): "* ]]
    run --separate-stderr "$QUOIT" compare "$old" "$old"
    [ "$status" -eq 0 ]
    grep -q 'both are the same run' <<<"$output"
}

@test "other axes, other experiments and other kinds are refused" {
    measure
    old=$result
    measure --set 'axis.values=32 128'
    run --separate-stderr "$QUOIT" compare "$old" "$result"
    [ "$status" -eq 1 ]
    [[ $stderr == *"not the same axis: load.in_flight = 32 64 in $old"* ]]
    load_in_turns 1
    run --separate-stderr "$QUOIT" compare "$old" old
    [ "$status" -eq 1 ]
    [[ $stderr == *"is a result of quoit run, and old one of quoit load"* ]]
    "$QUOIT" load -q -n 10 --json other.json "http://$SERVER/heartbeat" >/dev/null
    run --separate-stderr "$QUOIT" compare old other.json
    [ "$status" -eq 1 ]
    [[ $stderr == *"not the same target: /home in old, /heartbeat in other.json"* ]]
}

@test "an INVALID result exits 4, a broken or missing one 1" {
    measure
    good=$result
    FAKE_FAILED=3 measure
    run --separate-stderr "$QUOIT" compare "$good" "$result"
    [ "$status" -eq 4 ]
    [[ $stderr == *"$result is INVALID: "* ]]
    echo >>"$good/samples.tsv"
    run -1 "$QUOIT" compare "$good" "$good"
    [[ $output == *"samples.tsv is not what the manifest says"* ]]
    echo '{"kind":"load"}' >half.json
    run -1 "$QUOIT" compare half.json half.json
    run -1 "$QUOIT" compare nowhere half.json
    [[ $output == *"nowhere: No such file or directory"* ]]
    mkdir empty
    run -1 "$QUOIT" compare empty half.json
}

@test "wrong usage exits 2" {
    run -2 "$QUOIT" compare one
    run -2 "$QUOIT" compare one two three
    run -2 "$QUOIT" compare --fail-if 'rate<5' one two
    [[ $output == *"no % after the number"* ]]
    run -2 "$QUOIT" compare --fail-if 'speed<5%' one two
}
