#!/usr/bin/env bats
# quoit run: from an INI file to results, on real clusters and on a stand-in that lies on order.
# QUOIT names the program.

load helper

setup() {
    e2e_begin
    export TMPDIR=$dir
    # The mark is quoit's alone: what the test itself starts is not to be found by it.
    quoit=(env "QUOIT_E2E_MARK=$mark" "$QUOIT")
    ROOT=$BATS_TEST_DIRNAME/../..
    FAKE=$BATS_TEST_DIRNAME/support/fake-quoit
    mkdir "$dir/ini"
    cat >"$dir/ini/T.ini" <<'END'
[experiment]
name = T
title = A tiny one
question = Who answers?
repeats = 3
measures = counts
[load]
requests = 10000
END
}

teardown() {
    e2e_end
}

run_tiny() { # ARGUMENT…
    run --separate-stderr "${quoit[@]}" run T --experiments "$dir/ini" --plots "$ROOT/plots" \
        --results "$dir/results" "$@"
}

run_fake() { # ARGUMENT…
    run_tiny --program "$FAKE" --no-figures "$@"
}

# The only result folder of T.
result_dir() {
    local found=("$dir"/results/T/*)
    [ ${#found[@]} -eq 1 ] && [ -d "${found[0]}" ] || return 1
    echo "${found[0]}"
}

expect_status() {
    [ "$status" -eq "$1" ] || {
        echo "status $status, wanted $1"
        echo "$output"
        echo "$stderr"
        return 1
    }
}

expect_stderr() {
    [[ $stderr == *"$1"* ]] || {
        echo "no '$1' in: $stderr"
        return 1
    }
}

# Nothing stands in the results, nothing runs, nothing is left in TMPDIR.
nothing_is_left() {
    [ ! -e "$dir/results/T" ]
    no_process_is_left
}

no_process_is_left() {
    [ "$(n_marked)" -eq 0 ] || { marked; return 1; }
    ! compgen -G "$dir/quoit-run-*"
}

# ---- with real processes -------------------------------------------------------------------------

@test "a tiny experiment on a real cluster is valid and its files are whole" {
    run_tiny --seed 5 --set load.requests=600 --set cluster.hash=xxh64 --set cluster.servers=4
    expect_status 0
    r=$(result_dir)
    [ "$(cd "$r" && echo *)" = \
        "latency.hgrm manifest.json result.json samples.tsv shares-dark.svg shares-light.svg" ]
    jq -e '.verdict.valid and .n_samples == 3 and .interrupted == false' "$r/result.json"
    jq -e '.points[0].servers | length == 4' "$r/result.json"
    jq -e '[range(3) as $i | [.points[0].servers[].counts[$i]] | add] == [600, 600, 600]' \
        "$r/result.json"
    jq -e '.points[0].fit.p > 1e-6 and .points[0].fit.df == 9' "$r/result.json"
    jq -e '.points[0].metrics.rate.median > 0 and .points[0].metrics.p99.median > 0 and
        .points[0].metrics.cluster_cpu.median > 0 and .spawner == null' "$r/result.json"
    jq -e '.seed == 5 and .set[0] == "load.requests=600" and
        .experiment.load.requests == "600" and .host.cores >= 1 and
        (.quoit.commit | length) > 0 and .libraries.libcurl != null and
        (.files | length) == 5' "$r/manifest.json"
    [ "$(grep -vc '^#' "$r/samples.tsv")" -eq 4 ]
    grep -q '1/(1-Percentile)' "$r/latency.hgrm"
    [[ $output == *"$r/shares-light.svg"* && $output == *Server4* && $output == *VALID* ]]
    no_process_is_left
}

@test "exact shares of a run are those of quoit ring" {
    run_tiny --no-figures -q --set load.requests=100 --set cluster.hash=splitmix64 \
        --set cluster.servers=5
    expect_status 0
    [ -z "$stderr" ]
    "$QUOIT" ring shares --placement slots --hash splitmix64 --servers 5 --json >"$dir/ring.json"
    jq -e --slurpfile ring "$dir/ring.json" \
        '[.points[0].servers[].share] == [$ring[0].shares[].share]' "$(result_dir)/result.json"
}

@test "a load balancer that cannot start is told in its own words" {
    run_tiny --no-figures --set cluster.servers=60
    expect_status 1
    expect_stderr "quoit lb"
    nothing_is_left
}

@test "an interrupt keeps what was measured, marks it, leaves no process and exits 130" {
    "${quoit[@]}" run T --experiments "$dir/ini" --no-figures --results "$dir/results" \
        --set experiment.repeats=500 >"$dir/out" 2>"$dir/err.log" &
    pid=$!
    within 10 grep -q '^T \[2/' "$dir/err.log"
    kill -INT "$pid"
    status=0
    wait "$pid" || status=$?
    [ "$status" -eq 130 ]
    r=$(result_dir)
    jq -e '.interrupted and .n_samples >= 2 and .n_samples < 500 and (.verdict.valid | not)' \
        "$r/result.json"
    jq -e '.interrupted' "$r/manifest.json"
    grep -q '^INVALID' "$dir/out"
    grep -q 'interrupted after' "$dir/out"
    no_process_is_left
}

@test "an interrupt before the first sample leaves nothing" {
    FAKE_LB=mute "${quoit[@]}" run T --experiments "$dir/ini" --no-figures --results "$dir/results" \
        --program "$FAKE" >"$dir/out" 2>"$dir/err.log" &
    pid=$!
    within 5 pgrep -f "$FAKE lb" -P "$pid"
    kill -TERM "$pid"
    status=0
    wait "$pid" || status=$?
    [ "$status" -eq 130 ]
    nothing_is_left
}

# ---- the experiments of the tree, small ----------------------------------------------------------

# Few in flight: with 64 a load of so few requests may keep its core busy all the time, which makes
# rates INVALID.
run_small() { # NAME ARGUMENT…
    local name=$1
    shift
    cd "$ROOT" # experiments/ and plots/ of the tree
    run --separate-stderr "${quoit[@]}" run "$name" --results "$dir/results" -q \
        --set load.requests=200 --set load.warmup=20 --set load.in_flight=4 "$@"
}

small_result() { # NAME FILE
    echo "$dir/results/$1"/*/"$2"
}

@test "A2: every N: mean, least and most loaded server, the throughput; replicas" {
    run_small A2 --set experiment.repeats=3
    expect_status 0
    r=$(small_result LB-A2-balance result.json)
    jq -e '[.points[].n_servers] == [2, 3, 4, 5, 6]' "$r"
    jq -e 'all(.points[]; .n_samples == 3 and .least.median <= .requests / .n_servers and
        .most.median >= .requests / .n_servers and .peak_to_mean.exact > 1.9)' "$r"
    r=$(small_result LB-A2-rate result.json)
    jq -e '[.points[].metrics.rate.median > 1] | all and length == 5' "$r"
    jq -e 'any(.lint[]; .about == "closed loop") and any(.lint[]; .about == "duration")' "$r"
    [ -s "$(small_result LB-A2-balance balance-dark.svg)" ]
    [ -s "$(small_result LB-A2-rate rate-light.svg)" ]
    r=$(small_result DB-A2 result.json)
    jq -e '[.points[].database.shape] == ["6/4/3", "6/4/6", "7/4/7"]' "$r"
    jq -e '[.points[].ratios.write_rate.ratio] | .[0] == null and .[1] > 0 and .[2] > 0' "$r"
    [ -s "$(small_result DB-A2 ratios-light.svg)" ]
    # the warm-up was watched, and the order of the samples is on record
    awk -F '\t' '!/^#/ && $4 != "windows" && $4 + 0 < 3 { exit 1 }' \
        "$(small_result LB-A2-rate samples.tsv)"
    grep -v '^#' "$(small_result LB-A2-rate samples.tsv)" | tail -n +2 | cut -f 3 | sort -gc
    jq -e '.doctor.findings | length > 3' "$(small_result LB-A2-rate manifest.json)"
    no_process_is_left
}

@test "A4: shares by hash, by hash and N, and the blame" {
    run_small LB-A4 --set experiment.repeats=1
    expect_status 4 # one repeat shows no spread
    jq -e '.points | length == 6 and ([.[].values[0]] | index("md5")) == 5' \
        "$(small_result LB-A4-shares result.json)"
    jq -e '[.points[] | select(.values[0] == "md5") | .n_servers] == [2, 3, 4, 5, 6]' \
        "$(small_result LB-A4-servers result.json)"
    # the exact shares tell that it is the server hash
    jq -e '[.points[].peak_to_mean.exact] | .[0] > 2.5 and .[2] > 2.5 and .[1] < 1.3 and .[3] < 1.2' \
        "$(small_result LB-A4-blame result.json)"
    jq -e '.verdict.reasons == ["too few repeats: 1, at least 3 are needed to see a spread"]' \
        "$(small_result LB-A4-servers result.json)"
    jq -e 'any(.lint[]; .about == "repeats")' "$(small_result LB-A4-shares result.json)"
    [ -s "$(small_result LB-A4-servers peaks-light.svg)" ]
    no_process_is_left
}

@test "a part's name, a suite's and an experiment's all run it" {
    for name in LB-A2 LB-A2-balance; do
        rm -rf "$dir/results"
        run_small "$name" --no-figures --set experiment.repeats=3
        expect_status 0
        [ -s "$(small_result LB-A2-balance result.json)" ]
    done
}

@test "how a load is sent is the experiment's to say, and an axis may vary it" {
    FAKE_LOG=$dir/calls run_fake --set load.rate=2500 --set load.arrivals=poisson \
        --set load.client=raw --set load.threads=2
    expect_status 0
    [[ $output == *"open loop of 2500 requests/s (poisson arrivals), client raw, 2 generator"* ]]
    [ "$(grep -c '^load .*--client raw --threads 2 .*--rate 2500 --arrivals poisson' "$dir/calls")" -eq \
        "$(grep -c '^load ' "$dir/calls")" ]
    rm "$dir/calls"
    FAKE_LOG=$dir/calls run_fake --set axis.vary=load.rate --set axis.values="0 300"
    expect_status 0
    grep -q -- '--rate 300 --arrivals constant' "$dir/calls"
    grep '^load ' "$dir/calls" | grep -qv -- --rate
    run_fake --set load.client=crul
    expect_status 2
    expect_stderr "did you mean 'curl'?"
}

@test "a load that quoit load calls INVALID makes the experiment INVALID where rates are measured" {
    export FAKE_REASON="the generator was saturated and missed its rate"
    run_fake --set load.rate=2500 --set experiment.measures=rates
    expect_status 4
    [[ $output == *"INVALID"*"missed its rate"* ]]
    run_fake --set load.rate=2500
    expect_status 0
    [[ $output == *"note: in "*"missed its rate"* ]]
}

@test "--lint says what to object to and runs nothing" {
    FAKE_LOG=$dir/calls run_fake --lint --set experiment.repeats=1 --set experiment.measures=rates \
        --set load.warmup=0
    expect_status 0
    [[ $output == *"repeats: one repeat"* && $output == *"baseline: nothing varies"* ]]
    [[ $output == *"warm-up: none"* && $output == *"closed loop: 64 in flight"* ]]
    [ ! -e "$dir/calls" ] && [ ! -e "$dir/results" ]
    run_fake --lint --set axis.vary=load.in_flight --set axis.values="1 2" \
        --set experiment.repeats=6
    [[ $output == *"nothing to object to"* ]]
    run_fake --lint --set cluster.serverz=3
    expect_status 2
}

# ---- verdicts, provoked --------------------------------------------------------------------------

@test "counts that fit are VALID, and the same seed makes the same order" {
    run_fake --seed 3 --set axis.vary=load.in_flight --set axis.values="1 2 4"
    expect_status 0
    first=$(grep -v '^T ' <<<"$output" | head -n 3)
    order=$(grep '^T ' <<<"$stderr")
    [[ $output == *VALID* ]]
    rm -rf "$dir/results"
    run_fake --seed 3 --set axis.vary=load.in_flight --set axis.values="1 2 4"
    [ "$(grep '^T ' <<<"$stderr")" = "$order" ]
    [ "$(grep -v '^T ' <<<"$output" | head -n 3)" = "$first" ]
    rm -rf "$dir/results"
    run_fake --seed 4 --set axis.vary=load.in_flight --set axis.values="1 2 4"
    [ "$(grep '^T ' <<<"$stderr")" != "$order" ]
}

invalid() { # REASON
    expect_status 4
    [[ $output == *"INVALID"*"$1"* ]] || { echo "no '$1' in: $output"; return 1; }
    jq -e '.verdict.valid | not' "$(result_dir)/result.json"
}

@test "failed requests make a run INVALID" {
    FAKE_FAILED=3 FAKE_COUNTS='8434 469 1094' run_fake
    invalid "9 requests failed: status_5xx, e.g. HTTP 503 from Server2"
}

@test "lost requests make a run INVALID" {
    FAKE_COUNTS='8436 469 1094' run_fake
    invalid "requests were lost: 10000 were to be sent, 9999 were answered"
}

@test "a replaced server makes a run INVALID" {
    FAKE_COUNTS='8400 469 1094' FAKE_OTHER=37 run_fake
    invalid "111 answers came from servers that the cluster was not started with"
}

@test "a saturated generator makes a run of rates INVALID, and is noted on a run of counts" {
    FAKE_CPU=0.97 run_fake --set experiment.measures=rates
    invalid "the load generator was saturated: it used up to 97 % of a core"
    rm -rf "$dir/results"
    FAKE_CPU=0.97 run_fake
    expect_status 0
    [[ $output == *"note: the load generator used up to 97 % of a core"* ]]
}

@test "counts of another distribution make a run INVALID" {
    FAKE_COUNTS='3334 3333 3333' run_fake
    invalid "the counts do not fit the exact shares"
}

@test "two repeats are too few" {
    run_fake --set experiment.repeats=2
    invalid "too few repeats: 2"
}

# ---- events --------------------------------------------------------------------------------------

# A tiny A3: three servers, one killed, one hanging, one removed, one added, 2.6 s.
write_events() {
    cat >"$dir/ini/E.ini" <<'END'
[experiment]
name = E
title = A tiny failure
question = What happens?
repeats = 3
measures = counts
endpoints = checked
[cluster]
hash = xxh64
[load]
duration = 2600ms
in_flight = 8
[events]
at 200ms = kill Server1
at 500ms = stop random
at 2s = rm 1
at 2300ms = add S77
[figure]
kind = timeline
table = events
END
}

@test "failures under load: each step on one clock, endpoints checked, nothing failed" {
    write_events
    run --separate-stderr "${quoit[@]}" run E --experiments "$dir/ini" --plots "$ROOT/plots" \
        --results "$dir/results" --seed 7
    expect_status 0
    r=$(echo "$dir"/results/E/*)
    jq -e '.endpoints | length >= 13 and all(.good)' "$r/result.json"
    jq -e '[.points[0].events[].label] ==
        ["SIGKILL Server1", "SIGSTOP", "/rm 1", "/add S77"]' "$r/result.json"
    # In order, and each as long after its event as can be.
    jq -e '.points[0].events[0] | .at_s.min > 0.1 and .at_s.min < 0.5 and .failed.max == 0
        and (.steps | .detected.min > 0 and .detected.median <= .out.median
            and .out.median < .serving.median and .serving.min < 1500)' "$r/result.json"
    jq -e '.points[0].events[1].steps.detected | .min > 500 and .min < 1900' "$r/result.json"
    jq -e '.points[0].events[2] | .failed.max == 0 and .steps.drained.min > 0
        and (.steps | has("serving") | not)' "$r/result.json"
    jq -e '.points[0].events[3].steps | .serving.min > 0 and .answered.min > 0' "$r/result.json"
    # Every answer is in a bucket, those of the hanging server's second too.
    jq -e '.points[0].timeline | .bucket_ms == 50 and (.repeats | length) == 3
        and all(.repeats[]; (.ok | length) >= 51)' "$r/result.json"
    [ "$(jq '[.points[0].timeline.repeats[].ok | add] | add' "$r/result.json")" -eq \
        "$(awk -F '\t' '/^#/ {next} !ok {while ($++ok != "ok"); next} {n += $ok} END {print n}' \
            "$r/samples.tsv")" ]
    jq -e '.experiment.events["at 2s"] == "rm 1"' "$r/manifest.json"
    [[ $output == *"SIGKILL Server1"*"Every endpoint, asked once"*"GET /rep"*VALID* ]]
    [ -s "$r/timeline-light.svg" ] && [ -s "$r/timeline-dark.svg" ]
    no_process_is_left
}

@test "kills that are repeated are one distribution, with a figure; an open loop shows who waits" {
    write_events
    sed -i -e '/^at /d' -e 's/^kind = .*/kind = healing timeline/' -e 's/^table = .*/table = steps/' \
        -e '/^endpoints/d' -e 's/^\[events\]/&\nat 200ms every 500ms times 4 = kill random/' \
        "$dir/ini/E.ini"
    run --separate-stderr "${quoit[@]}" run E --experiments "$dir/ini" --plots "$ROOT/plots" \
        --results "$dir/results" --seed 7 --set load.rate=400 --set load.client=raw
    expect_status 0
    r=$(echo "$dir"/results/E/*)
    jq -e '.points[0].pooled | length == 1 and .[0].action == "kill" and .[0].n == 12
        and .[0].failed.sum == 0' "$r/result.json"
    jq -e '.points[0].pooled[0].steps | .detected.n == 12 and .serving.n == 12
        and .detected.min > 0 and .detected.median <= .out.median and .out.median < .serving.median
        and .serving.median <= .serving.p90 and .serving.p90 <= .serving.max
        and ([.[] | select(.n > 0 and (.low > .median or .high < .median))] == [])' "$r/result.json"
    # The pool is the events' own values.
    jq -e '[.points[0].events[].steps.serving.values[]] as $all | .points[0].pooled[0].steps.serving
        | .max == ($all | max) and .min == ($all | min)' "$r/result.json"
    jq -e '.load == {client: "raw", threads: 1, in_flight: 8, rate: 400, arrivals: "constant"}' \
        "$r/result.json"
    jq -e '.points[0].timeline.repeats[0] | (.max_ms | length) == (.ok | length)
        and ([.max_ms[] | numbers] | max) > 0' "$r/result.json"
    [[ $output == *"open loop of 400 requests/s"*"kill  detected"*"requests that failed: 0"*VALID* ]]
    for figure in healing timeline; do
        grep -q '</svg>' "$r/$figure-light.svg" && [ -s "$r/$figure-dark.svg" ]
    done
    grep -q 'SIGKILL in 3 runs' "$r/healing-light.svg"
    no_process_is_left
}

@test "an interrupt between events keeps the samples before, and not even a stopped server is left" {
    write_events
    sed -i -e 's/endpoints = checked//' -e 's/repeats = 3/repeats = 9/' "$dir/ini/E.ini"
    "${quoit[@]}" run E --experiments "$dir/ini" --no-figures --results "$dir/results" \
        >"$dir/out" 2>"$dir/err.log" &
    pid=$!
    within 20 grep -q '^E \[1/' "$dir/err.log"
    within 5 some_process_is_stopped
    kill -INT "$pid"
    status=0
    wait "$pid" || status=$?
    [ "$status" -eq 130 ]
    r=$(echo "$dir"/results/E/*)
    jq -e '.interrupted and .n_samples >= 1 and .n_samples < 9 and (.verdict.valid | not)
        and (.points[0].events | length) == 4' "$r/result.json"
    grep -q 'interrupted after' "$dir/out"
    no_process_is_left
}

some_process_is_stopped() {
    local process
    for process in $(marked server); do
        ! grep -qs '^State:[[:space:]]*T' "/proc/$process/status" || return 0
    done
    return 1
}

@test "events that cannot be are refused with file and line" {
    write_events
    sed -i 's/at 2s = rm 1/at 2s = rn 1/' "$dir/ini/E.ini"
    run --separate-stderr "${quoit[@]}" run E --experiments "$dir/ini" --no-figures
    expect_status 2
    expect_stderr "$dir/ini/E.ini:16: unknown event 'rn': did you mean 'rm'?"
    write_events
    run --separate-stderr "${quoit[@]}" run E --experiments "$dir/ini" --no-figures \
        --set load.duration=2s
    expect_status 2
    expect_stderr "the load must go on after the last event, at 2.3 s"
}

# ---- failures ------------------------------------------------------------------------------------

@test "a load balancer that fails ends the run and leaves nothing" {
    FAKE_LB=fails run_fake
    expect_status 1
    expect_stderr "cannot start Server2: no such luck"
    nothing_is_left
}

@test "a load generator that crashes ends the run and leaves nothing" {
    FAKE_LOAD=crashes run_fake
    expect_status 1
    expect_stderr "quoit load: it hurts"
    nothing_is_left
}

@test "a load generator that writes no JSON ends the run and leaves nothing" {
    FAKE_LOAD=garbage run_fake
    expect_status 1
    expect_stderr "the result of quoit load"
    nothing_is_left
}

@test "a load balancer that leaves a process behind is told, and the process is gone" {
    FAKE_LB=litters run_fake
    expect_status 1
    expect_stderr "left 1 processes behind"
    nothing_is_left
}

@test "an unwritable results folder is refused before anything runs" {
    touch "$dir/results"
    FAKE_LOG=$dir/calls run_fake
    expect_status 1
    expect_stderr "$dir/results"
    [ ! -e "$dir/calls" ]
}

@test "a full disk ends the run and leaves nothing half done" {
    mkdir "$dir/results"
    mount -t tmpfs -o size=64k,mode=755 none "$dir/results" 2>/dev/null || skip "cannot mount"
    FAKE_LOAD=fills run_fake
    left=$(find "$dir/results" -mindepth 1)
    umount "$dir/results"
    expect_status 1
    expect_stderr "No space left on device"
    [ -z "$left" ]
}

@test "a broken script keeps the numbers, says so and exits 1" {
    mkdir "$dir/plots"
    echo 'no such command' >"$dir/plots/shares.gp"
    touch "$dir/plots/theme.gp"
    run --separate-stderr "${quoit[@]}" run T --experiments "$dir/ini" --plots "$dir/plots" \
        --results "$dir/results" --program "$FAKE"
    expect_status 1
    expect_stderr "the numbers are kept, but a figure is missing"
    jq -e '.verdict.valid' "$(result_dir)/result.json"
}

# ---- usage ---------------------------------------------------------------------------------------

@test "wrong usage exits 2 and names what was meant" {
    run_fake --set cluster.serverz=3
    expect_status 2
    expect_stderr "did you mean 'servers'?"
    run_fake --set cluster.hash=xxh46
    expect_status 2
    expect_stderr "did you mean 'xxh64'?"
    run --separate-stderr "${quoit[@]}" run Nothing --experiments "$dir/ini" --no-figures
    expect_status 2
    expect_stderr "no experiment 'Nothing'"
    expect_stderr "there is T"
    run --separate-stderr "${quoit[@]}" run ../T --experiments "$dir/ini" --no-figures
    expect_status 2
    run --separate-stderr "${quoit[@]}" run
    expect_status 2
    expect_stderr "--list"
    run --separate-stderr "${quoit[@]}" run T --frobnicate
    expect_status 2
    sed -i 's/name = T/name = U/' "$dir/ini/T.ini"
    run_fake
    expect_status 2
    expect_stderr "called 'U', unlike its file"
}

@test "an error in the file names file and line" {
    echo 'in_flght = 4' >>"$dir/ini/T.ini"
    run_fake
    expect_status 2
    expect_stderr "$dir/ini/T.ini:9: unknown key 'in_flght' in [load]: did you mean 'in_flight'?"
}

@test "--set works in both spellings and several times" {
    run_fake --set=experiment.repeats=4 --set experiment.title="Another title"
    expect_status 0
    [[ $output == "T: Another title"* ]]
    jq -e '.repeats == 4 and .n_samples == 4' "$(result_dir)/result.json"
    jq -e '.set == ["experiment.repeats=4", "experiment.title=Another title"]' \
        "$(result_dir)/manifest.json"
}

@test "--list prints every experiment of the tree" {
    cd "$ROOT"
    run "$QUOIT" run --list
    expect_status 0
    [[ $output == *"LB-A1 "* && $output == *"A4 "* ]]
    [ "$(wc -l <<<"$output")" -eq "$(find experiments -name "*.ini" | wc -l)" ]
}
