#!/usr/bin/env bats
# The LB's own end: in order, killed outright, and started again on what it left.

setup() {
    load helper
    e2e_begin
}

teardown() {
    e2e_end
}

kill_lb() {
    kill -KILL "$LB_PID"
    within 2 gone "$LB_PID"
}

end_lb() {
    kill -TERM "$LB_PID"
    within 6 gone "$LB_PID"
    within 2 eval '[ "$(n_marked)" -eq 0 ]'
}

# "NAME ID PID" of each server.
who() {
    get /cluster | jq -r '.servers[] | select(.state == "serving") | "\(.name) \(.id) \(.pid) \(.address)"'
}

# The LB ends with this code, saying these words.
lb_ends() { # CODE WORDS OPTION…
    local code=$1 words=$2
    shift 2
    run_quoit lb --listen 127.0.0.1:0 "$@"
    if [ "$status" -ne "$code" ] || [[ $output != *"$words"* ]]; then
        printf 'wanted exit %s and: %s\ngot exit %s and:\n%s\n' "$code" "$words" "$status" "$output"
        return 1
    fi
}

@test "SIGTERM stops every server and leaves no process and no port" {
    local signal addresses address
    for signal in TERM INT; do
        start_lb --servers 4
        addresses="$LB $(cluster address)"
        kill -$signal "$LB_PID"
        within 5 eval '[ "$(n_marked)" -eq 0 ]'
        for address in $addresses; do
            run ! curl -s --noproxy '*' --max-time 1 "http://$address/home"
        done
    done
}

@test "SIGTERM ends with exit code 0, also while a server hangs and a client says nothing" {
    start_lb --state "$dir/state"
    kill -STOP "$(pid_of Server2)"
    exec {idle}<>"/dev/tcp/${LB%:*}/${LB##*:}"
    kill -TERM "$LB_PID"
    # servers get 2 s
    within 4 eval '[ "$(n_marked)" -eq 0 ]'
    exec {idle}>&-
    # nothing is left to be adopted, but the names
    jq -e '.servers == [] and [.vacancies[].name] == ["Server1", "Server2", "Server3"]' \
        "$dir/state/cluster.json"
    # the exit code, of one started in the foreground
    : >"$dir/fore.ready"
    (within 10 [ -s "$dir/fore.ready" ] && kill -TERM "$(marked lb)") 3>&- &
    run_quoit lb --listen 127.0.0.1:0 --ready-fd 9 9>"$dir/fore.ready"
    [ "$status" -eq 0 ]
}

# Begins a request over a connection of its own, `fd`, whose body is still to come; the LB has read
# its head, since it asks for the body.
begin_request() {
    local line
    exec {fd}<>"/dev/tcp/${LB%:*}/${LB##*:}"
    printf 'GET /home HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n' >&"$fd"
    IFS= read -r -t 20 -u "$fd" line && [ "$line" = $'HTTP/1.1 100 Continue\r' ] &&
        IFS= read -r -t 20 -u "$fd" line && [ "$line" = $'\r' ]
}

@test "what is under way when SIGTERM comes is answered, and new clients are turned away" {
    start_lb
    begin_request
    printf 'ab' >&"$fd"
    kill -TERM "$LB_PID"
    within 2 eval '! curl -s --noproxy "*" --max-time 1 "http://$LB/home"'
    printf 'cde' >&"$fd"
    run timeout 20 cat <&"$fd"
    exec {fd}>&-
    [ "$status" -eq 0 ]
    [ "$(codes "$output")" = 200 ]
    [[ $output == *"Connection: close"* && $output == *"Hello from Server"* ]]
    within 5 eval '[ "$(n_marked)" -eq 0 ]'
}

@test "a second SIGTERM kills servers that do not end" {
    once_in_five ends_before_the_grace_is_over
}

ms_now() {
    echo $((${EPOCHREALTIME/[.,]/} / 1000))
}

ends_before_the_grace_is_over() {
    local begun
    signal_all KILL # what an attempt before this one left
    start_lb --heartbeat-ms 10s || return
    signal_all STOP server
    begun=$(ms_now)
    kill -TERM "$LB_PID" || return
    within 1 grep -q 'told to end' "$dir/lb.log" || return
    sleep 0.1
    [ "$(n_marked server)" -eq 3 ] || return
    kill -TERM "$LB_PID" || return
    within 1 eval '[ "$(n_marked)" -eq 0 ]' || return
    grep -q 'told again' "$dir/lb.log" || return
    # that is, of 2 s
    [ $(($(ms_now) - begun)) -lt 1800 ]
}

@test "a second SIGTERM waits for no client" {
    once_in_five ends_without_its_client
}

ends_without_its_client() {
    local begun
    signal_all KILL # what an attempt before this one left
    start_lb || return
    begin_request || return
    begun=$(ms_now)
    kill -TERM "$LB_PID" || return
    within 1 grep -q 'told to end' "$dir/lb.log" || return
    sleep 0.3
    [ "$(n_marked lb)" -eq 1 ] || return
    kill -TERM "$LB_PID" || return
    within 1 eval '[ "$(n_marked)" -eq 0 ]' || return
    exec {fd}>&-
    [ $(($(ms_now) - begun)) -lt 4500 ] # it would have waited for 5 s
}

@test "SIGTERM while the servers start leaves none" {
    local i
    for i in 0 0.002 0.005 0.01 0.02 0.03; do
        spawn_lb --servers 8
        sleep $i
        kill -TERM "$LB_PID"
        within 5 eval '[ "$(n_marked)" -eq 0 ]'
    done
}

@test "the servers of a killed LB go on serving" {
    start_lb
    local before address
    before=$(marked server | sort)
    addresses=$(cluster address)
    kill_lb
    sleep 0.2
    [ "$(marked server | sort)" = "$before" ]
    for address in $addresses; do
        ask GET "http://$address/home"
        [ "$code" = 200 ]
    done
}

@test "servers without an LB end by themselves after --orphan-after" {
    start_lb --orphan-after 2s --heartbeat-ms 100
    # as long as it is there they stay
    sleep 2.2
    [ "$(names | tr '\n' ' ')" = "Server1 Server2 Server3 " ]
    kill_lb
    [ "$(n_marked server)" -eq 3 ]
    within 3 eval '[ "$(n_marked)" -eq 0 ]'
}

@test "an LB started again on the same state adopts its servers: names, ids, processes, N" {
    start_lb --state "$dir/state" --key-from header:X-Key --listen "127.0.0.1:$(free_port)"
    ask POST /add -d '{"n":3,"hostnames":["S5","x"]}'
    ask DELETE /rm -d '{"n":1,"hostnames":["Server2"]}'
    local before answers_before processes
    before=$(who) answers_before=$(servers_of {200000..200039}) processes=$(cluster pid | sort)
    [ "$(wc -l <<<"$before")" -eq 5 ]
    within 3 eval '[ "$(n_marked server)" -eq 5 ]'
    kill_lb
    # on the same port, and whatever --servers says
    start_lb --state "$dir/state" --key-from header:X-Key --listen "$LB" --servers 2
    [ "$(who)" = "$before" ]
    serving 5
    [ "$(servers_of {200000..200039})" = "$answers_before" ]
    [ "$(marked server | sort)" = "$processes" ]
    # and it is their LB: they are watched, replaced, removed, ended
    kill -KILL "$(pid_of S5)"
    within 2 eval '! names | grep -qx S5'
    within 5 serving 5
    ask DELETE /rm -d '{"n":1,"hostnames":["x"]}'
    [ "$code" = 200 ]
    within 3 eval '[ "$(n_marked server)" -eq 4 ]'
    kill -TERM "$LB_PID"
    within 5 eval '[ "$(n_marked)" -eq 0 ]'
}

@test "names and uids go on where they were: nothing is given twice after a restart" {
    start_lb --state "$dir/state" --servers 1 --seed 1
    ask POST /add -d '{"n":2}'
    kill_lb
    start_lb --state "$dir/state" --seed 1
    ask POST /add -d '{"n":2}'
    [ "$code" = 200 ]
    serving 5
    [ "$(cluster uid | sort -u | wc -l)" -eq 5 ]
    [ "$(cluster id | sort -u | wc -l)" -eq 5 ]
    [ "$(names | sort -u | wc -l)" -eq 5 ]
}

@test "an LB killed again and again keeps its cluster" {
    start_lb --state "$dir/state"
    local before i
    before=$(who)
    for i in 1 2 3 4 5; do
        kill_lb
        start_lb --state "$dir/state"
        [ "$(who)" = "$before" ]
    done
}

@test "an LB killed the moment it says that it serves has all its servers in the state" {
    local i
    for i in 1 2 3 4 5; do
        start_lb --state "$dir/state$i"
        kill_lb
        [ "$(jq '.servers | length' "$dir/state$i/cluster.json")" -eq 3 ]
    done
}

@test "an acknowledged add or rm is in the state: killed the moment after, it is all there" {
    start_lb --state "$dir/state" --servers 1
    local i wanted
    for i in 1 2 3 4; do
        ask POST /add -d "{\"n\":1,\"hostnames\":[\"a$i\"]}"
        kill -KILL "$LB_PID"
        wanted=$(jq -c .message.replicas <<<"$body")
        start_lb --state "$dir/state"
        [ "$(get /rep | jq -c .message.replicas)" = "$wanted" ]
    done
    ask DELETE /rm -d '{"n":2,"hostnames":["a2"]}'
    kill -KILL "$LB_PID"
    wanted=$(jq -c .message.replicas <<<"$body")
    start_lb --state "$dir/state"
    [ "$(get /rep | jq -c .message.replicas)" = "$wanted" ]
    serving 3
}

@test "a server that was removed just before the LB was killed does not stay for ever" {
    start_lb --state "$dir/state" --servers 2 --orphan-after 10s
    ask DELETE /rm -d '{"n":1,"hostnames":["Server2"]}'
    kill -KILL "$LB_PID"
    start_lb --state "$dir/state" --orphan-after 10s
    [ "$(names)" = Server1 ]
    within 4 eval '[ "$(n_marked server)" -eq 1 ]'
}

@test "a server that died while there was no LB is replaced, the others are adopted" {
    start_lb --state "$dir/state"
    local dead kept
    dead=$(pid_of Server2)
    kept=$(who | grep -v Server2)
    kill_lb
    kill -KILL "$dead"
    within 2 gone "$dead"
    start_lb --state "$dir/state"
    within 5 serving 3
    [ "$(who | head -n 2)" = "$kept" ]
    [[ $(names | tail -n 1) =~ ^Server[1-9][0-9]{5}$ ]]
}

@test "servers that all died while there was no LB are all replaced" {
    start_lb --state "$dir/state" --servers 2
    local dead
    dead=$(marked server)
    kill_lb
    kill -KILL $dead
    within 2 eval '[ "$(n_marked)" -eq 0 ]'
    start_lb --state "$dir/state"
    within 5 serving 2
    ask GET /home
    [ "$code" = 200 ]
}

@test "a server that hung while there was no LB is replaced" {
    start_lb --state "$dir/state" --heartbeat-ms 50 --fall 3
    local hung
    hung=$(pid_of Server2)
    kill_lb
    kill -STOP "$hung"
    start_lb --state "$dir/state" --heartbeat-ms 50 --fall 3
    within 2 gone "$hung"
    within 5 serving 3
    run ! grep -qx Server2 <(names)
}

@test "a process that has a saved server's number but is another is neither adopted nor ended" {
    start_lb --state "$dir/state" --servers 2
    local victim
    victim=$(pid_of Server1)
    kill_lb
    kill -KILL "$victim"
    within 2 gone "$victim"
    # as if the number had gone to somebody else since: same pid, another time of its start
    QUOIT_E2E_MARK=$mark sleep 30 3>&- &
    local stranger=$!
    disown
    sed -i -E "s#\"$victim/([0-9]+)/#\"$stranger/\1/#; s#\"pid\": $victim\b#\"pid\": $stranger#" \
        "$dir/state/cluster.json"
    grep -q "\"$stranger/" "$dir/state/cluster.json"
    start_lb --state "$dir/state"
    within 5 serving 2
    run ! grep -qx Server1 <(names)
    local alive=0
    kill -0 "$stranger" && alive=1
    kill -KILL "$stranger"
    [ $alive -eq 1 ]
}

@test "a state of another boot is not adopted, and its processes are left alone" {
    start_lb --state "$dir/state" --servers 2
    local before
    before=$(marked server | sort)
    kill_lb
    sed -i -E 's#("reference": "[0-9]+/[0-9]+/)[0-9a-f]{8}#\100000000#' "$dir/state/cluster.json"
    start_lb --state "$dir/state"
    within 5 serving 2
    # the two of before are there, and two new ones
    [ "$(n_marked server)" -eq 4 ]
    [ -z "$(comm -23 <(echo "$before") <(marked server | sort))" ]
    [ "$(comm -12 <(echo "$before") <(cluster pid | sort) | wc -l)" -eq 0 ]
}

@test "somebody else at a saved server's address is not taken for it" {
    start_server --name Impostor
    start_lb --state "$dir/state" --servers 2
    kill_lb
    local address
    address=$(jq -r '.servers[0].address' "$dir/state/cluster.json")
    sed -i "s/$address/$SERVER/" "$dir/state/cluster.json"
    start_lb --state "$dir/state"
    within 5 serving 2
    run ! grep -qx Server1 <(names)
    kill -0 "$SERVER_PID"
    ask GET "http://$SERVER/home"
    [ "$code" = 200 ]
}

@test "a second LB on a state in use is refused, and the first goes on" {
    start_lb --state "$dir/state"
    local before
    before=$(who)
    lb_ends 1 "another load balancer uses the state directory $dir/state" --state "$dir/state"
    [ "$(who)" = "$before" ]
    [ "$(n_marked lb)" -eq 1 ]
    [ "$(n_marked server)" -eq 3 ]
    ask GET /home
    [ "$code" = 200 ]
}

@test "a start that fails leaves the servers of an earlier life and their state as they were" {
    start_lb --state "$dir/state"
    local before
    before=$(who)
    cp "$dir/state/cluster.json" "$dir/copy"
    kill_lb
    # the port is taken; and, when it has them all, nobody can be told where it serves
    start_server
    lb_ends 1 "Address already in use" --state "$dir/state" --listen "$SERVER"
    lb_ends 1 "descriptor 77" --state "$dir/state" --ready-fd 77
    cmp "$dir/copy" "$dir/state/cluster.json"
    kill -KILL "$SERVER_PID"
    start_lb --state "$dir/state"
    [ "$(who)" = "$before" ]
}

@test "a state file that cannot be understood is named, left as it is, and nothing is started" {
    start_lb --state "$dir/state"
    kill_lb
    signal_all KILL server
    within 2 eval '[ "$(n_marked)" -eq 0 ]'
    local file=$dir/state/cluster.json good text
    good=$(<"$file")
    jq -e . "$file" >/dev/null
    spoil() {
        printf '%s' "$1" >"$file"
        cp "$file" "$dir/copy"
        lb_ends 1 "$file" --state "$dir/state"
        [[ $output == *"move it away"* ]]
        cmp "$file" "$dir/copy"
        [ "$(n_marked)" -eq 0 ]
    }
    for text in '' '{' 'garbage' '[]' '{}' null "${good:0:100}" "${good%?}" "$good}" \
        "${good/\"format\": 1/\"format\": 2}" "${good/\"format\": 1/\"format\": \"1\"}" \
        "${good/\"target\": 3/\"target\": -3}" "${good/\"target\": 3/\"target\": 99999999}" \
        "${good/Server1/..}" "${good/127.0.0.1/127.0.0.256}" "${good/\"name\"/\"nam\"}" \
        "${good/\"servers\": [/\"servers\": [7,}" "${good/\"uid\"/\"uid\": 1, \"uid\"}"; do
        [ "$text" != "$good" ]
        spoil "$text"
    done
    printf '\0\0\0' >"$file"
    lb_ends 1 "$file" --state "$dir/state"
    # moved away, as it says
    rm "$file"
    start_lb --state "$dir/state"
    [ "$(names | tr '\n' ' ')" = "Server1 Server2 Server3 " ]
}

@test "a state folder that cannot be written is named, and nothing is started" {
    : >"$dir/file"
    lb_ends 1 "$dir/file" --state "$dir/file"
    lb_ends 1 "$dir/file: Not a directory" --state "$dir/file/below"
    lb_ends 1 "/proc/quoit" --state /proc/quoit
    [ "$(n_marked)" -eq 0 ]
}

@test "a state folder is made, with those above it" {
    start_lb --state "$dir/a/b/c"
    [ -s "$dir/a/b/c/cluster.json" ]
}

@test "without --state nothing is written" {
    (cd "$dir" && mkdir empty)
    cd "$dir/empty"
    start_lb
    ask POST /add -d '{"n":1}'
    kill -TERM "$LB_PID"
    within 5 eval '[ "$(n_marked)" -eq 0 ]'
    [ -z "$(ls -A "$dir/empty")" ]
}

@test "an LB that ended in order starts the same servers again: names, ids, N, what they own" {
    start_lb --state "$dir/state" --key-from header:X-Key
    # ids from names, and random ones: no number, one that is taken, one past int64
    ask POST /add -d '{"n":5,"hostnames":["S5","x","y5","Server9223372036854775808","z99999999999999999999"]}'
    ask DELETE /rm -d '{"n":1,"hostnames":["Server2"]}'
    local before answers_before
    [ "$(cluster id | sort -u | wc -l)" -eq 7 ]
    get /cluster | jq -e '[.servers[] | select(.name | test("^(x|y5|Server9.*|z9.*)$")).id] |
        length == 4 and all(. >= 100000 and . <= 999999)'
    before=$(who | cut -d " " -f 1,2) answers_before=$(servers_of {200000..200039})
    [ "$(wc -l <<<"$before")" -eq 7 ]
    end_lb
    [ "$(n_marked)" -eq 0 ]
    # whatever --servers says
    start_lb --state "$dir/state" --key-from header:X-Key --servers 2
    [ "$(who | cut -d " " -f 1,2)" = "$before" ]
    [ "$(servers_of {200000..200039})" = "$answers_before" ]
    # killed then, it is adopted as ever
    before=$(who)
    kill_lb
    start_lb --state "$dir/state" --key-from header:X-Key --listen "$LB"
    [ "$(who)" = "$before" ]
}

@test "an LB told to end within its start forgets nothing of an earlier life" {
    start_lb --state "$dir/state"
    ask POST /add -d '{"n":1,"hostnames":["S5"]}'
    end_lb
    local before i
    before=$(jq -c '[.vacancies[] | [.name, .id]]' "$dir/state/cluster.json")
    [[ $before == *S5* ]]
    for i in 0 0.005 0.01 0.02 0.05; do
        (within 5 eval '[ -n "$(marked lb)" ]' && sleep "$i" &&
            kill -TERM "$(marked lb)") 3>&- &
        run_quoit lb --listen 127.0.0.1:0 --state "$dir/state"
        within 5 eval '[ "$(n_marked)" -eq 0 ]'
        [ "$(jq -c '[.vacancies[] | [.name, .id]]' "$dir/state/cluster.json")" = "$before" ]
    done
}

@test "a start that fails before it has a server forgets nothing of an earlier life" {
    mkdir -p "$dir/state"
    echo '{"format":1,"next_uid":4,"target":2,"servers":[]}' >"$dir/state/cluster.json"
    touch "$dir/state/mariadb" # where a folder is to be
    run_quoit lb --listen 127.0.0.1:0 --store mysql --state "$dir/state"
    [ "$status" -ne 0 ] && [[ $output == *mariadb* ]]
    [ -e "$dir/state/cluster.json" ]
}
