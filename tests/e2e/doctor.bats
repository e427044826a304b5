#!/usr/bin/env bats
# quoit doctor as its user sees it.
bats_require_minimum_version 1.5.0

setup() {
    QUOIT=${QUOIT:-$BATS_TEST_DIRNAME/../../build/release/quoit}
    export LC_ALL=C
}

@test "every line has a level, and the summary counts them" {
    cd "$BATS_TEST_TMPDIR"
    run --separate-stderr "$QUOIT" doctor
    [ "$status" -le 1 ]
    [ -z "$stderr" ]
    for name in "file descriptors" "ephemeral ports" "port 5000" memory disk cores load kernel \
        "clock source" loopback gnuplot docker mariadbd wrk haproxy version libraries; do
        grep -qE "^(ok|note|warn|fail) +$name  " <<<"$output" || { echo "nothing on $name"; false; }
    done
    for level in ok:ok note:notes? warn:warnings? fail:failures?; do
        local n
        n=$(grep -cE "^${level%:*} " <<<"$output" || true)
        grep -qE "(^|, )$n ${level#*:}(,|$)" <<<"${lines[-1]}"
    done
    [[ $output != *$'\e'* ]]
}

@test "--json has the same findings, each with its reason" {
    cd "$BATS_TEST_TMPDIR"
    run --separate-stderr "$QUOIT" doctor --json
    jq -e '(.findings | length) == .ok + .notes + .warnings + .failures' <<<"$output"
    jq -e 'all(.findings[]; (.why | length) > 5 and (.found | length) > 0 and
        (.level == "ok" or .level == "note" or (.advice | length) > 5))' <<<"$output"
    jq -e '.findings[] | select(.name == "libraries") | .found | test("libcurl [0-9]")' <<<"$output"
}

@test "something required that fails makes it exit 1, with what to do" {
    cd "$BATS_TEST_TMPDIR"
    run "$QUOIT" doctor --quick --connections 1000000
    [ "$status" -eq 1 ]
    [[ $output == *"fail  ephemeral ports"*"why: "*"do:  sysctl "* ]]
    run "$QUOIT" doctor --quick --results /proc/none
    [ "$status" -eq 1 ]
    [[ $output == *"fail  disk "*"do:  "* ]] # no room there, or no leave to write
    run bash -c "ulimit -n 500; '$QUOIT' doctor --quick --json"
    [ "$status" -eq 1 ]
    jq -e '.findings[] | select(.name == "file descriptors") | .level == "fail" and
        (.found | test("hard 500"))' <<<"$output"
}

@test "missing optional programs are notes and say what they are for" {
    cd "$BATS_TEST_TMPDIR"
    mkdir bin
    ln -s "$(type -P gnuplot || type -P true)" bin/gnuplot
    run env PATH="$PWD/bin" "$QUOIT" doctor
    [[ $output =~ note\ \ wrk\ +not\ installed\;\ optional: ]]
    [[ $output == *"0 failures"* || $output == *"fail "* ]]
    run env PATH="$PWD/bin" "$QUOIT" doctor --json
    jq -e '.findings[] | select(.name == "wrk") | .level == "note"' <<<"$output"
}

@test "a docker client without its engine is told" {
    cd "$BATS_TEST_TMPDIR"
    mkdir -p bin
    printf '#!/bin/sh\ncase $1 in --version) echo "Docker version 99.1";; *) echo "Cannot connect to the Docker daemon" >&2; exit 1;; esac\n' >bin/docker
    chmod +x bin/docker
    run env PATH="$PWD/bin:$PATH" "$QUOIT" doctor --json
    jq -e '.findings[] | select(.name == "docker") | .found == "Docker version 99.1"' <<<"$output"
    jq -e '.findings[] | select(.name == "docker engine") | .level == "note" and
        (.found | startswith("Cannot connect to the Docker daemon"))' <<<"$output"
}

@test "port 5000 in use is a warning" {
    cd "$BATS_TEST_TMPDIR"
    ! "$QUOIT" doctor --json | jq -e '.findings[] | select(.name == "port 5000") | .level == "warn"' ||
        skip "it is in use already"
    "$QUOIT" server --listen 127.0.0.1:5000 --name S1 --log-level error --ready-fd 5 \
        5>ready >/dev/null 2>&1 3>&- &
    local pid=$!
    for _ in $(seq 600); do
        [ ! -s ready ] || break
        sleep 0.05
    done
    run "$QUOIT" doctor
    kill "$pid" || true # another test has the port, which is as good
    [[ $output == *"warn  port 5000         taken: something listens on 127.0.0.1:5000"* ]]
}

@test "--quick starts no other program and is done in a moment" {
    cd "$BATS_TEST_TMPDIR"
    mkdir -p bin
    for name in gnuplot docker wrk; do
        printf '#!/bin/sh\ntouch "%s/started"\n' "$PWD" >bin/$name
        chmod +x bin/$name
    done
    for _ in 1 2 3 4 5; do # a busy machine may hold it up now and then
        run env PATH="$PWD/bin:$PATH" timeout 2 "$QUOIT" doctor --quick
        [ "$status" -gt 1 ] || break
    done
    [ "$status" -le 1 ]
    [ ! -e started ]
    [[ $output != *"docker"* ]]
}

@test "--verbose says why also where all is well" {
    cd "$BATS_TEST_TMPDIR"
    run "$QUOIT" doctor --quick --verbose
    [ "$(grep -c 'why: ' <<<"$output")" -eq "$(grep -cE '^(ok|note|warn|fail) ' <<<"$output")" ]
}

@test "wrong usage exits 2" {
    run "$QUOIT" doctor now
    [ "$status" -eq 2 ]
    run "$QUOIT" doctor --connections 0
    [ "$status" -eq 2 ]
}
