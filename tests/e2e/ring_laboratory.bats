#!/usr/bin/env bats
# shellcheck disable=SC2016,SC2154 # jq's variables; run sets stderr
# quoit ring lookup, show, plan, compare, lint. QUOIT names the program.
bats_require_minimum_version 1.5.0

setup() {
    QUOIT=${QUOIT:-$BATS_TEST_DIRNAME/../../build/release/quoit}
    dir=$BATS_TEST_TMPDIR
}

ring() { # ARGUMENT…: it works
    run --separate-stderr "$QUOIT" ring "$@"
    [ "$status" -eq 0 ] || { echo "status $status: $output $stderr"; false; }
}

refuses() { # WORDS-OF-REASON ARGUMENT…
    local reason=$1
    shift
    run "$QUOIT" ring "$@"
    [ "$status" -eq 2 ] || { echo "status $status, wanted: $reason"; false; }
    [[ $output == *"$reason"* ]] || { echo "no '$reason' in: $output"; false; }
}

holds() { # JQ FILTER, on the last output
    jq -e "$1" <<<"$output" >/dev/null || { echo "not so: $1"; echo "$output" | head -60; false; }
}

# ---- lookup --------------------------------------------------------------------------------------

@test "lookup says who has a key, and agrees with the shares" {
    ring lookup 100000 999999 --placement modulo --hash splitmix64 --servers 1
    [ "$output" = $'100000 Server1\n999999 Server1' ]
    ring lookup 123456 cookie --servers 6 --hash xxh3 --replicas 6 --json
    holds '.lookups | length == 2 and .[0].number == 123456 and .[1].key == "cookie"'
    holds '[.lookups[].servers | sort] == [[range(1; 7) | "Server\(.)"], [range(1; 7) | "Server\(.)"]]'
}

@test "a text is hashed as a session's is, and digits past 64 bits are text" {
    ring lookup --servers 9 --json -- 18446744073709551615 18446744073709551616 -5 ""
    holds '.lookups[0].number == 18446744073709551615 and (.lookups[1].number != 0)'
    holds '[.lookups[].key] == ["18446744073709551615", "18446744073709551616", "-5", ""]'
}

# ---- show ----------------------------------------------------------------------------------------

@test "show draws the circle in letters with both shares of every server" {
    ring show
    [ "${#lines[@]}" -eq 17 ]
    [[ ${lines[1]} == *"A Server1"*"84.375%"*"89.258%"* ]]
    [[ $output == *"slots"* && $output == *"3 servers"* && $output != *$'\e'* ]]
}

@test "show's JSON has every arc once around" {
    ring show --placement slots:slots=64,virtual=3 --hash xxh3 --json
    holds '.arcs[0].from == 0 and .arcs[-1].to == 1'
    holds '[.arcs[:-1][].to] == [.arcs[1:][].from]'
    holds '([.arcs[] | select(.name == "Server2") | .to - .from] | add) as $sum
        | .servers[] | select(.name == "Server2") | .of_circle - $sum | fabs < 1e-12'
}

@test "show writes a picture that is well-formed and says what it shows" {
    ring show --placement ring --hash xxh3 --servers 5 --svg "$dir/circle.svg"
    [ -z "$output" ]
    python3 -c "import sys, xml.dom.minidom as m; m.parse(sys.argv[1])" "$dir/circle.svg"
    grep -q 'Server5' "$dir/circle.svg" && grep -q 'prefers-color-scheme:dark' "$dir/circle.svg"
    ring show --servers 40 --svg -
    [[ $output == "<svg "*"and 20 more"*"</svg>" ]]
    run "$QUOIT" ring show --svg "$dir/no/such/folder.svg"
    [ "$status" -eq 1 ]
    [[ $output == *"$dir/no/such"* ]]
}

# ---- plan ----------------------------------------------------------------------------------------

@test "plan tells from whom to whom, exactly" {
    ring plan --placement modulo --hash splitmix64 --servers 2 --add 3 --json
    holds '.exact and .servers_before == 2 and .servers_after == 3'
    holds '.moved_to_optimum > 1.9 and .moved_to_optimum < 2.1'
    holds '(.moved - ([.flows[].share] | add)) | fabs < 1e-12'
    holds '(.moved - .optimum - .between_survivors) | fabs < 1e-12'
    holds '[.flows[] | .from != .to] | all'
}

@test "a ring's plan moves only what it must, over ids and over the whole space" {
    for keys in ids space; do
        ring plan --placement ring --hash xxh3 --servers 5 --remove 2 --keys $keys --json
        holds '.exact and .moved_to_optimum == 1 and .between_survivors == 0'
        holds '[.flows[].from] | unique == ["Server2"]'
    done
}

@test "removed and added again is where it was, but for those that remember" {
    ring plan --placement ring --hash xxh3 --servers 5 --remove 2 --add 2 --json
    holds '.moved == 0 and .flows == [] and .history == 0'
    ring plan --placement anchor --hash xxh3 --servers 5 --remove 2 --add 9 --json
    holds '.moved_to_optimum == 1 and .history > 0.1'
    ring plan --placement anchor --hash xxh3 --servers 5 --remove 2 --add 9
    [[ $output == *"built anew of the same servers, "*" % of the keys would be elsewhere"* ]]
}

@test "a sampled plan says so, with an interval around the truth" {
    ring plan --placement jump --hash xxh3 --servers 4 --add 5 --sample 20000 --json
    holds '(.exact | not) and .moved_interval_99[0] < 0.2 and .moved_interval_99[1] > 0.2'
    ring plan --placement jump --hash xxh3 --servers 4 --add 5 --sample 20000
    [[ $output == *"20000 random request ids"*"99 % interval"* ]]
}

@test "plan's table counts request ids" {
    ring plan --servers 3 --add 4
    [[ ${lines[0]} == "slots over quadratic, 3 to 4 servers, all 900000 request ids" ]]
    [[ $output == *"Server1  Server4  2.344 %        21092"* ]]
    [[ $output == *"Server3  Server4  0.781 %         7032"* ]]
    [[ $output == *"3.125 % of the keys move, 1.000 times what must"* ]]
}

# ---- compare -------------------------------------------------------------------------------------

@test "compare puts placements, hashes and numbers of servers beside each other" {
    ring compare --placement slots:probe=quadratic,virtual=5,jump,ring:virtual=10 \
        --hash quadratic,splitmix64/quadratic --servers 3,4 --draws 2 --changes 1 --json
    holds '.rows | length == 12'
    holds '[.rows[].placement] | unique == ["jump", "ring:virtual=10", "slots:probe=quadratic,virtual=5"]'
    holds '[.rows[].hash] | unique == ["quadratic", "splitmix64/quadratic"]'
    holds '[.rows[] | .exact and .balance.peak_to_mean >= 1 and .balance.min_to_mean <= 1
        and (.balance.jain - 1 / (1 + .balance.cov * .balance.cov) | fabs < 1e-12)] | all'
    holds '[.rows[] | .change.join.moved_to_optimum.mean | . == 1 or . == null] | all'
}

@test "compare agrees with shares to the last digit" {
    ring compare --placement slots --servers 3 --changes 0 --draws 0 --zipf 0 --json
    holds '.rows[0] | .balance.peak_to_mean == 3 * 759374 / 900000 and (has("change") | not)
        and (has("names") | not) and (has("zipf") | not) and (has("cost") | not)'
}

@test "compare over the hash space leaves out the request hash" {
    ring compare --placement slots --hash quadratic,xxh3/quadratic --keys space --draws 0 --changes 2 --json
    holds '.rows[0].balance == .rows[1].balance and .rows[0].balance.p == null'
    holds '.rows[0].balance.peak_to_mean == 3 * 457 / 512 and .rows[0].change.leave.exact'
}

@test "compare measures replicas and costs when asked to" {
    ring compare --placement ring,maglev --hash xxh3 --servers 5 --replicas 2 --cost --draws 0 \
        --changes 0 --zipf 0 --json
    holds '[.rows[].replicas | .replicas == 2 and .copysets == 10 and .loss == 1
        and .all.peak_to_mean <= .primary.peak_to_mean * 1.2] | all'
    holds '[.rows[].cost | .hot_ns >= 0 and .batch_ns >= 0 and .cold_ns > 0 and .bytes > 100 and .build_us > 0] | all'
    ring compare --placement ring --hash xxh3 --replicas 2 --cost --draws 0 --changes 1
    for word in Balance Change Replicas Cost peak/mean copysets "hot, ns"; do
        [[ $output == *"$word"* ]]
    done
}

@test "what cannot have these servers is told, beside those that can" {
    ring compare --placement slots,modulo --servers 57 --draws 0 --changes 0 --json
    holds '.rows[0].error | contains("513, more than the 512 slots")'
    holds '.rows[1].balance.peak_to_mean > 1'
    [[ $stderr == *"more than the 512 slots"* ]]
}

@test "weights are followed where there are weights" {
    ring compare --placement ring,weighted-rendezvous,jump --hash xxh3 --servers 3 --weights 1,2,5 \
        --keys space --changes 0 --json
    holds '.rows[1].balance.peak_to_mean == 1 and .rows[0].balance.peak_to_mean < 1.5'
    holds '.rows[2].error | contains("jump takes no weights")'
}

@test "all compares every placement over one hash" {
    ring compare --placement all --hash splitmix64 --servers 4 --draws 0 --changes 1 --sample 2000 --zipf 0 --json
    holds '.rows | length >= 15 and (map(select(.error)) | length == 0)'
    holds '[.rows[] | .change.join.moved_interval_99 | length == 2] | all'
}

# ---- lint ----------------------------------------------------------------------------------------

@test "lint objects to the assignment's map and says why" {
    run "$QUOIT" ring lint --json
    [ "$status" -eq 1 ]
    holds '[.findings[].about] | index("hot slots") and index("balance") and index("too few points")'
    holds '.findings[] | select(.about == "hot slots").says | contains("87 of 512 slots")'
}

@test "lint has nothing against a ring with many points over a hash that mixes" {
    ring lint --placement ring:virtual=400 --hash xxh3 --servers 6
    [[ ${lines[1]} == "nothing to object to" ]]
}

@test "lint names what a ring over the quadratic hash suffers from" {
    run "$QUOIT" ring lint --placement ring --json
    [ "$status" -eq 1 ]
    holds '[.findings[].about] | index("heap") and index("collisions")'
    holds '[.findings[].says | select(contains("get no request at all"))] | length == 1'
}

@test "lint tells an impossible number of servers, and how many there may be" {
    run "$QUOIT" ring lint --servers 60
    [ "$status" -eq 1 ]
    [[ $output == *"error: impossible: "*"(at most 56 servers with these options)"* ]]
    run "$QUOIT" ring lint --servers 2 --weights 1,2
    [ "$status" -eq 1 ]
    [[ $output == *"slots takes no weights"* && $output != *"at most"* ]]
}

@test "notes alone do not fail: history dependence is a property" {
    ring lint --placement anchor --hash xxh3 --servers 8
    [[ $output == *"note: history: "* && $output != *"warning"* ]]
}

# ---- usage ---------------------------------------------------------------------------------------

@test "usage errors say what is wrong and exit 2" {
    refuses "lookup wants to know which" lookup
    refuses "plan wants to know what changes" plan
    refuses "--add is not for shares" shares --add 4
    refuses "--svg is not for plan" plan --svg x --add 4
    refuses "--cost is not for lint" lint --cost
    refuses "--replicas is not for show" show --replicas 2
    refuses "--sample is not for shares" shares --sample 5000
    refuses "--keys is not for show" show --keys space
    refuses "there is no server 9" plan --remove 9
    refuses "server 3 is there already" plan --add 3
    refuses "would leave no server" plan --remove 1,2,3
    refuses "'x' is no id" plan --add x
    refuses "jump has no circle to show" show --placement jump
    refuses "several numbers are for compare" shares --servers 3,4
    refuses "unknown placement 'rng'" compare --placement slots,rng
    refuses "unknown hash" compare --hash xxh3,md6
    refuses "'0' is out of range" compare --servers 3,0
    refuses "2 for 3 servers" shares --weights 1,2
    refuses "0 is out of range" shares --weights 1,0,1 --placement ring
    refuses "not both" compare --servers 3 --ids 1,2
}
