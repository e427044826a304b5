#!/usr/bin/env bats
# quoit ring: exact shares, from the command line to the last digit. QUOIT names the program.

setup() {
    QUOIT=${QUOIT:-$BATS_TEST_DIRNAME/../../build/release/quoit}
}

refuses() { # WORDS-OF-REASON ARGUMENT…
    local reason=$1
    shift
    run "$QUOIT" ring "$@"
    [ "$status" -eq 2 ] || { echo "status $status, wanted: $reason"; false; }
    [[ $output == *"$reason"* ]] || { echo "no '$reason' in: $output"; false; }
}

@test "shares of the assignment's map are exact over all request ids" {
    run "$QUOIT" ring shares --placement slots --hash quadratic --servers 3 --json
    [ "$status" -eq 0 ]
    jq -e '.keys == 900000 and .placement == "slots" and .hash == "quadratic"' <<<"$output"
    jq -e '[.shares[].count] == [759374, 42187, 98439]' <<<"$output"
    jq -e '[.shares[].name] == ["Server1", "Server2", "Server3"]' <<<"$output"
    jq -e '.shares[0].id == 1 and .shares[0].share == 759374 / 900000' <<<"$output"
}

@test "peak to mean and the population's CoV follow from the shares" {
    run "$QUOIT" ring shares --placement ring --hash xxh64 --servers 7 --json
    [ "$status" -eq 0 ]
    jq -e '[.shares[].share] as $s | ($s | add / length) as $mean
        | (.peak_to_mean - ($s | max) / $mean | fabs < 1e-12) and
          (.cov - ($s | map((. - $mean) * (. - $mean)) | add / length | sqrt) / $mean
              | fabs < 1e-12)' <<<"$output"
}

@test "probing is an option of slots and changes six servers' shares" {
    run "$QUOIT" ring shares --placement slots:probe=quadratic --servers 6 --json
    [ "$status" -eq 0 ]
    jq -e '[.shares[].count] == [710155, 42187, 21094, 28124, 35158, 63282]' <<<"$output"
    run "$QUOIT" ring shares --placement slots:probe=linear --servers 6 --json
    jq -e '[.shares[].count] == [710155, 28125, 84376, 28124, 42188, 7032]' <<<"$output"
}

@test "request and server hash are chosen separately" {
    run "$QUOIT" ring shares --hash splitmix64/quadratic --json
    [ "$status" -eq 0 ]
    # the request hash spreads; what is left is the share of slots, 457 of 512
    jq -e '.hash == "splitmix64/quadratic" and (.shares[0].share - 457 / 512 | fabs < 0.002)' \
        <<<"$output"
}

@test "the hash space has shares but no counts" {
    run "$QUOIT" ring shares --keys space --json
    [ "$status" -eq 0 ]
    jq -e '[.shares[].share] == [457 / 512, 22 / 512, 33 / 512]' <<<"$output"
    jq -e '(has("keys") | not) and (.shares[0] | has("count") | not)' <<<"$output"
}

@test "ids replace 1 to N and are kept in the order given" {
    run "$QUOIT" ring shares --ids 58127,2,18446744073709551615 --json
    [ "$status" -eq 0 ]
    [[ $output == *'"id": 18446744073709551615'* ]]
    jq -e '[.shares[].name] == ["Server58127", "Server2", "Server18446744073709551615"]' \
        <<<"$output"
    jq -e '[.shares[].count] | add == 900000' <<<"$output"
}

@test "the table has a row a server and no control characters" {
    run "$QUOIT" ring shares
    [ "$status" -eq 0 ]
    [[ ${lines[0]} == "slots over quadratic, 3 servers, all 900000 request ids" ]]
    [[ ${lines[2]} == "Server1    759374   84.3749%  ########################################" ]]
    [[ $output == *"peak to mean 2.531, coefficient of variation 1.085"* ]]
    [[ $output != *$'\e'* ]]
}

@test "one server has it all" {
    run "$QUOIT" ring shares --servers 1 --json
    [ "$status" -eq 0 ]
    jq -e '.shares[0].share == 1 and .cov == 0 and .peak_to_mean == 1' <<<"$output"
}

@test "list names every placement and hash with its options" {
    run "$QUOIT" ring list
    [ "$status" -eq 0 ]
    for word in slots: ring: modulo: quadratic: splitmix64: xxh64: probe=linear; do
        [[ $output == *"$word"* ]]
    done
}

@test "list says what each placement can do" {
    run "$QUOIT" ring list --capabilities
    [ "$status" -eq 0 ]
    grep -qE '^ +ring +always +yes, least moves +no +no$' <<<"$output"
    grep -qE '^ +jump +at the end +no +no +no$' <<<"$output"
    grep -qE '^ +memento +step by step +no +yes +no$' <<<"$output"
    "$QUOIT" ring list --json |
        jq -e '[.placements[] | select(.name == "bounded").capabilities[]] | index("load-aware")'
    refuses "--capabilities is not for shares" shares --capabilities
}

@test "usage errors say what is wrong and exit 2" {
    refuses "too few arguments"
    refuses "did you mean 'shares'" share
    refuses "there is list, shares, lookup, show, plan, compare, lint" draw
    refuses "unexpected argument 'x'" shares x
    refuses "did you mean 'slots'" shares --placement slot
    refuses "unknown hash 'md6'" shares --hash md6
    refuses "out of range" shares --servers 0
    refuses "57 servers with 9 virtual nodes each are 513, more than the 512 slots" \
        shares --servers 57
    refuses "id 4 is taken twice" shares --ids 4,1,4
    refuses "'' is no id" shares --ids 1,,2
    refuses "'' is no id" shares --ids ""
    refuses "'-2' is no id" shares --ids 1,-2
    refuses "'+2' is no id" shares --ids 1,+2
    refuses "' 2' is no id" shares --ids "1, 2"
    refuses "'18446744073709551616' is no id" shares --ids 18446744073709551616
    refuses "--servers 4, but --ids lists 2" shares --servers 4 --ids 1,2
    refuses "65537 servers; at most 65536" shares --ids "$(printf ',%.0s' {1..65536})"
}

@test "help explains and exits 0" {
    run "$QUOIT" ring --help
    [ "$status" -eq 0 ]
    [[ $output == *"--placement"* && $output == *"compare"* && $output == *"moved/optimum"* ]]
}
