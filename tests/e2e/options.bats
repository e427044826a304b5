#!/usr/bin/env bats
# The command line of the program and of its verbs lb and server: help, what is wrong with an option
# and where, exit codes (0 good, 1 failed, 2 wrong usage), and what the environment can do to them.

setup() {
    load helper
    e2e_begin
}

teardown() {
    e2e_end
}

# Exit 2, the words, and nothing started, within no time.
usage_error() { # WORDS VERB OPTION…
    local words=$1
    shift
    run_quoit "$@"
    if [ "$status" -ne 2 ] || [[ $output != *"$words"* ]]; then
        printf 'quoit %s\nwanted exit 2 and: %s\ngot exit %s and:\n%s\n' "$*" "$words" "$status" "$output"
        return 1
    fi
    [[ $output == *"Try 'quoit"*"--help'"* ]]
    [[ $output != *listens* ]]
}

fails() { # WORDS VERB OPTION…
    local words=$1
    shift
    run_quoit "$@"
    if [ "$status" -ne 1 ] || [[ $output != *"$words"* ]]; then
        printf 'quoit %s\nwanted exit 1 and: %s\ngot exit %s and:\n%s\n' "$*" "$words" "$status" "$output"
        return 1
    fi
    [ "$(n_marked)" -eq 0 ]
}

@test "every verb that the program names explains itself and exits 0" {
    run_quoit --help
    [ "$status" -eq 0 ]
    local verb verbs
    verbs=$(sed -n '/^Verbs:/,/^$/s/^  \([a-z]*\) .*/\1/p' <<<"$output")
    for verb in lb server load run ring; do grep -qx $verb <<<"$verbs"; done
    for verb in $verbs; do
        run_quoit "$verb" --help
        [ "$status" -eq 0 ]
        [[ $output == "Usage: quoit $verb"* && $output == *"--help"* ]]
        run_quoit "$verb" -h
        [ "$status" -eq 0 ]
        run_quoit help "$verb"
        [ "$status" -eq 0 ]
        # help goes to stdout, for a pager
        [ -z "$("$QUOIT" "$verb" --help 2>&1 >/dev/null)" ]
    done
}

@test "version is one line, on stdout" {
    run_quoit --version
    [ "$status" -eq 0 ]
    [ ${#lines[@]} -eq 1 ]
    [[ $output =~ ^quoit\ [0-9]+\.[0-9]+\.[0-9]+ ]]
}

@test "no verb and a wrong one are usage errors; a near one is suggested" {
    run_quoit
    [ "$status" -eq 2 ]
    usage_error "unknown verb 'lbb'; did you mean 'lb'?" lbb
    usage_error "unknown verb 'sever'; did you mean 'server'?" sever
    usage_error "unknown verb 'xyzzy'" xyzzy
    usage_error "unknown option '--frob'" --frob
}

@test "unknown options are named, and near ones suggested" {
    usage_error "unknown option '--lisen'; did you mean '--listen'?" lb --lisen 127.0.0.1:0
    usage_error "unknown option '--servrs'; did you mean '--servers'?" lb --servrs 3
    usage_error "unknown option '--xyzzy'" lb --xyzzy
    usage_error "'--listen' wants a value" lb --listen
    usage_error "unexpected argument 'extra'" lb extra
    usage_error "unknown option '--nane'; did you mean '--name'?" server --nane x
    usage_error "unexpected argument 'extra'" server extra
}

@test "addresses that are none" {
    local verb
    for verb in lb server; do
        usage_error "'foo' has no port" $verb --listen foo
        usage_error "'127.0.0.1' has no port" $verb --listen 127.0.0.1
        usage_error "'99999' is not a port" $verb --listen 127.0.0.1:99999
        usage_error "'-1' is not a port" $verb --listen 127.0.0.1:-1
        usage_error "'' is not a port" $verb --listen 127.0.0.1:
        usage_error "'80x' is not a port" $verb --listen 127.0.0.1:80x
        usage_error "'example.org' is not a numeric address" $verb --listen example.org:80
        usage_error "'256.0.0.1' is not a numeric address" $verb --listen 256.0.0.1:80
    done
}

@test "numbers and durations that are none, or out of range" {
    local value
    usage_error "an empty value is not valid" lb --servers ''
    for value in -1 x 1.5 3x 1e2 99999999999999999999; do
        usage_error "'$value' is" lb --servers "$value"
    done
    usage_error "'1025' is out of range" lb --servers 1025
    usage_error "'0' is out of range" lb --threads 0
    usage_error "'65' is out of range" lb --threads 65
    usage_error "'0' is out of range" lb --fall 0
    usage_error "'0' is out of range" lb --heartbeat-ms 0
    usage_error "'2h' is" lb --heartbeat-ms 2h
    usage_error "'soon' is not valid" lb --heartbeat-ms soon
    usage_error "'1x' is not valid" lb --orphan-after 1x
    usage_error "'-1s' is not valid" server --orphan-after -1s
    usage_error "'61s' is out of range" lb --service-time 61s
    usage_error "'x' is not valid" lb --seed x
    usage_error "'-1' is not valid" lb --ready-fd -1
}

@test "names of parts that do not exist: what there is, and the nearest" {
    usage_error "unknown placement 'slot': there is anchor, bounded, " lb --placement slot
    usage_error "; did you mean 'slots'?" lb --placement slot
    usage_error "unknown option 'prob'" lb --placement slots:prob=linear
    usage_error "'cubic' is not valid; it takes one of linear|quadratic" \
        lb --placement slots:probe=cubic
    usage_error "unknown hash 'md6'" lb --hash md6
    usage_error "unknown hash 'nope'" lb --hash quadratic/nope
    usage_error "unknown spawner 'proces': there is docker, fake, process, swarm; did you mean 'process'?" \
        lb --spawner proces
    usage_error "'foo' is no key source: random, header:NAME, query:NAME, path or client" \
        lb --key-from foo
    usage_error "the name after ':'" lb --key-from header:
    usage_error "'loud' is not valid; it takes one of error|warn|info|debug" lb --log-level loud
}

@test "server names that are none" {
    local name
    for name in '' -x a/b 'a b' "$(printf 'a%.0s' {1..64})" é; do
        usage_error "is no server name" server "--name=$name"
    done
}

@test "a port in use is said, and no server is left" {
    start_server
    local holder=$SERVER_PID
    mark=$mark-other
    fails "Address already in use" lb --listen "$SERVER"
    [[ $output == *"$SERVER"* ]]
    fails "Address already in use" lb --listen "$SERVER" --threads 4
    fails "Address already in use" server --listen "$SERVER"
    mark=${mark%-other}
    run ! gone "$holder"
}

@test "an LB's own port is not shared with a second LB, of one thread or of several" {
    local threads
    for threads in 1 4; do
        start_lb --threads $threads --servers 1
        local first=$LB
        mark=$mark-other
        fails "Address already in use" lb --listen "$first" --servers 1
        fails "Address already in use" lb --listen "$first" --servers 1 --threads 2
        mark=${mark%-other}
        kill -TERM "$LB_PID"
        within 5 gone "$LB_PID"
    done
}

@test "an address that is not this machine's is said" {
    fails "192.0.2.1" lb --listen 192.0.2.1:0
    fails "192.0.2.1" server --listen 192.0.2.1:0
}

@test "ready-fd gets one line with the address once all serve, and is closed then" {
    mkfifo "$dir/fifo"
    QUOIT_E2E_MARK=$mark "$QUOIT" lb --listen 127.0.0.1:0 --ready-fd 8 8>"$dir/fifo" \
        </dev/null >"$dir/lb.log" 2>&1 3>&- &
    LB_PID=$!
    # to its end, which neither the LB nor a server holds up
    run timeout 60 cat "$dir/fifo"
    [ "$status" -eq 0 ]
    [[ $output =~ ^127\.0\.0\.1:[0-9]+$ ]]
    LB=$output
    serving 3
    kill -0 "$LB_PID"
}

@test "a ready-fd that is not open is an error, and no server is left" {
    fails "descriptor 77" lb --listen 127.0.0.1:0 --ready-fd 77
    fails "descriptor 77" server --listen 127.0.0.1:0 --ready-fd 77
}

@test "log-json makes every line a JSON object; log-level keeps the lower ones away" {
    start_lb --log-json --servers 1
    ask POST /add -d '{"n":1}'
    # of the LB; its servers log for themselves
    grep -F '"lb"' "$dir/lb.log" | jq -se 'length >= 2 and all(.[]; type == "object")'
    kill -TERM "$LB_PID"
    within 5 gone "$LB_PID"
    start_lb --log-level error --servers 1
    run ! grep ' lb: ' "$dir/lb.log"
}

@test "the same seed invents the same names" {
    local first
    start_lb --servers 1 --seed 7
    ask POST /add -d '{"n":3}'
    first=$(names)
    start_lb --servers 1 --seed 7
    ask POST /add -d '{"n":3}'
    [ "$(names)" = "$first" ]
    start_lb --servers 1 --seed 8
    ask POST /add -d '{"n":3}'
    [ "$(names)" != "$first" ]
    # and none is given from the kernel: another each time
    start_lb --servers 1
    ask POST /add -d '{"n":3}'
    [ "$(names)" != "$first" ]
}

@test "options may stand behind an = and be given again, the last one counting" {
    start_lb --servers=5 --servers=2 --listen=127.0.0.1:0
    serving 2
}

@test "an LB on IPv6 serves" {
    [ -e /proc/net/if_inet6 ] && grep -q '^00000000000000000000000000000001 ' /proc/net/if_inet6 ||
        skip "no IPv6 loopback"
    start_lb --listen '[::1]:0' --key-from client
    [[ $LB == '[::1]:'* ]]
    ask GET /home -g
    [ "$code" = 200 ]
}

@test "an LB whose log nobody reads any more goes on" {
    mkfifo "$dir/log"
    : >"$dir/lb.ready"
    QUOIT_E2E_MARK=$mark "$QUOIT" lb --listen 127.0.0.1:0 --orphan-after 20s --ready-fd 9 \
        9>"$dir/lb.ready" </dev/null >/dev/null 2>"$dir/log" 3>&- &
    LB_PID=$!
    disown
    exec {reader}<"$dir/log"
    within 5 said_or_ended lb "$LB_PID"
    LB=$(<"$dir/lb.ready")
    exec {reader}<&-
    # each of these is logged
    ask POST /add -d '{"n":1}'
    [ "$code" = 200 ]
    kill -KILL "$(pid_of Server1)"
    within 2 eval '! names | grep -qx Server1'
    within 5 serving 4
    kill -TERM "$(pid_of Server2)"
    within 5 eval '! names | grep -qx Server2'
    within 5 serving 4
    kill -TERM "$LB_PID"
    within 5 eval '[ "$(n_marked)" -eq 0 ]'
}
