#!/usr/bin/env bats
# Experiments whose servers are containers: quoit run under tools/with-spawner.

setup() {
    load docker_helper
    docker_begin
    before=$(things_of_runs)
    cp -r experiments "$dir/ini"
}

teardown() {
    docker_end
}

with_spawner() { # NAME [OPTION…]: sets status, output and r, the folder of its result
    run env QUOIT_E2E_MARK="$mark" QUOIT="$QUOIT" timeout --kill-after=10 200 tools/with-spawner \
        "$QUOIT" run "$@" --results "$dir/results" --experiments "$dir/ini" --seed 7
    r=$(echo "$dir/results/$1"/*)
    [ "$status" -eq 0 ] || echo "$output"
}

# with-spawner calls its things run, and its process id and a number. Others may run beside this test.
things_of_runs() {
    docker ps --all --filter 'name=^run[0-9]+-' --format '{{.Names}}' | sed 's/-[^-]*$//'
    docker network ls --filter 'name=^run[0-9]+-' --format '{{.Name}}'
    docker volume ls --filter 'name=^run[0-9]+-' --format '{{.Name}}'
}

nothing_of_runs() {
    local thing
    for thing in $(things_of_runs | sort -u); do
        grep -qxF "$thing" <<<"$before" || is_miscounted "$thing" || {
            echo "left: $thing"
            return 1
        }
    done
}

@test "an experiment in containers is VALID, and says where its servers ran" {
    with_spawner LB-A1 --set cluster.spawner=docker --set load.requests=2000 \
        --set experiment.repeats=3 --set axis.values=xxh64 --set axis.labels=xxh64
    [ "$status" -eq 0 ]
    jq -e '.verdict.valid and .spawner == "docker" and .points[0].fit.p > 1e-6 and
        .points[0].metrics.cluster_cpu.median > 0' "$r/result.json"
    [[ $output == *', servers in containers'* ]]
    grep -q 'Requests handled by each server, in containers' "$r/shares-light.svg"
    jq -e '.containers | test("^Docker .*, image '"$QUOIT_IMAGE"' sha256:")' "$r/manifest.json"
    nothing_of_runs
}

@test "processes and containers are values of an axis: killed, added, removed, drawn side by side" {
    sed -i 's/times 4/times 1/' "$dir/ini/C1-start.ini"
    with_spawner C1-start --set experiment.repeats=3 --set load.duration=8s
    [ "$status" -eq 0 ]
    jq -e '.verdict.valid and .spawner == null and (.points | length) == 2 and
        ([.points[].pooled[] | select(.action == "kill") | .steps.serving.n] == [3, 3])' "$r/result.json"
    grep -q 'killed until another serves' "$r/spawners-light.svg"
    nothing_of_runs
}

@test "a database in containers: what was written is read back, from every replica" {
    with_spawner DB-A1 --set cluster.spawner=docker --set experiment.repeats=3 \
        --set experiment.measures=counts --set load.requests=2000 --set axis.values='memory file' \
        --set axis.labels='memory | file'
    [ "$status" -eq 0 ]
    jq -e '.verdict.valid and .spawner == "docker" and (.points | length) == 2' "$r/result.json"
    nothing_of_runs
}

@test "a run that is interrupted leaves no container" {
    env QUOIT_E2E_MARK="$mark" QUOIT="$QUOIT" tools/with-spawner "$QUOIT" run LB-A2-rate \
        --results "$dir/results" --set cluster.spawner=docker >"$dir/run.log" 2>&1 3>&- &
    local runner=$!
    within 60 eval '[ -n "$(docker ps --quiet --filter "name=^run$runner-")" ]'
    kill -TERM "$runner"
    local status=0
    wait "$runner" || status=$?
    [ "$status" -eq 143 ]
    nothing_of_runs
}
