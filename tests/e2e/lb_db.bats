#!/usr/bin/env bats
# The LB's database: CONTRACT.md, Part 2, byte for byte; what it refuses; what it does about servers
# that die under writes, about its own death, and about a stop of everything.

SCHEMA='{"columns":["Stud_id","Stud_name","Stud_marks"],"dtypes":["Number","String","String"]}'

setup() {
    load helper
    e2e_begin
}

teardown() {
    e2e_end
}

say() { # METHOD /PATH BODY
    ask "$1" "$2" --data-binary "$3"
}

init() { # [SERVERS [N [MORE]]]
    say POST /init "{\"N\":${2:-3},\"schema\":$SCHEMA,\"shards\":$THREE_SHARDS${1:+,\"servers\":$1}${3:-}}"
}

configured() { # OPTION…
    start_lb --servers 0 "$@"
    init "$ON_THREE_SERVERS"
    answered 200 '{"message":"Configured Database","status":"success"}'
}

row() { # KEY [NAME [MARKS]]
    printf '{"Stud_id":%s,"Stud_name":"%s","Stud_marks":%s}' "$1" "${2:-GHI}" "${3:-27}"
}

rows() { # FIRST LAST: joined by commas
    local key text=
    for ((key = $1; key <= $2; key++)); do
        text+=,$(row "$key")
    done
    echo "${text:1}"
}

# The rows with these keys, one a line.
stored() { # LOW HIGH
    say POST /read "{\"Stud_id\":{\"low\":$1,\"high\":$2}}" && [ "$code" = 200 ] &&
        jq -c '.data[]' <<<"$body"
}

# Every replica is ready, every server serves, and every shard's replicas are equal.
replicas_are_equal() {
    local cluster shard server address digest
    cluster=$(get /cluster)
    jq -e '.N == .target and all(.MapT[]; .state == "ready")' <<<"$cluster" >/dev/null || return 1
    : >"$dir/digests"
    while read -r shard server; do
        address=$(jq -er --arg name "$server" \
            '.servers[] | select(.name == $name) | .address' <<<"$cluster")
        digest=$(curl -sf --noproxy '*' --max-time 60 "http://$address/digest?shard=$shard") || return 1
        jq -r '"\(.shard) \(.rows) \(.checksum)"' <<<"$digest" >>"$dir/digests"
    done < <(jq -r '.MapT[] | "\(.Shard_id) \(.server)"' <<<"$cluster")
    [ "$(sort -u "$dir/digests" | wc -l)" = "$(jq '.ShardT | length' <<<"$cluster")" ] &&
        [ "$(sort -u "$dir/digests" | awk '{ print $1, $2 }')" = \
            "$(jq -r '.ShardT[] | "\(.Shard_id) \(.valid_idx)"' <<<"$cluster" | sort)" ]
}

copies() { # SHARD
    get /cluster | jq "[.MapT[] | select(.Shard_id == \"$1\" and .state == \"ready\")] | length"
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

# ---- the contract --------------------------------------------------------------------------------

# A cluster over each kind of store, and what is to hold on it.
on_each_store() { # COMMAND
    local store
    for store in memory file mysql; do
        [ "$store" != mysql ] || command -v mariadbd >/dev/null || continue
        configured --store "$store" --state "$dir/state-$store"
        "$1" || {
            echo "on store $store"
            return 1
        }
        end_lb
    done
}

contracts_calls() {
    local method
    get /status
    answered 200 "{\"N\":3,\"schema\":$SCHEMA,\"shards\":$THREE_SHARDS,\"servers\":$ON_THREE_SERVERS}"
    say POST /write "{\"data\":[$(row 2255),$(row 1000),$(row 8889),$(row 5000)]}"
    answered 200 '{"message":"4 Data entries added","status":"success"}'
    for method in GET POST; do
        say $method /read '{"Stud_id":{"low":1000,"high":8889}}'
        answered 200 "{\"shards_queried\":[\"sh1\",\"sh2\",\"sh3\"],\"data\":[$(row 1000),$(row 2255),$(row 5000),$(row 8889)],\"status\":\"success\"}"
    done
    say PUT /update "{\"Stud_id\":\"2255\",\"data\":$(row 2255 GHI 30)}"
    answered 200 '{"message":"Data entry for Stud_id: 2255 updated","status":"success"}'
    say DELETE /del '{"Stud_id":1000}'
    answered 200 '{"message":"Data entry with Stud_id:1000 removed from all replicas","status":"success"}'
    say POST /read '{"Stud_id":{"low":0,"high":4095}}'
    answered 200 "{\"shards_queried\":[\"sh1\"],\"data\":[$(row 2255 GHI 30)],\"status\":\"success\"}"
    replicas_are_equal
}

@test "the contract's calls are answered to the letter, whatever the store" {
    on_each_store contracts_calls
}

changes_refused() {
    say POST /write "{\"data\":[$(row 7),$(row 5000)]}"
    [ "$code" = 200 ]
    local before call
    before=$(get /cluster/digest)
    while read -r status call; do
        # shellcheck disable=SC2086 # METHOD /PATH BODY, no blanks in any
        say $call
        [ "$code" = "$status" ] && jq -e '.status == "failure"' <<<"$body" >/dev/null || {
            echo "$call: wanted $status, got $code $body"
            return 1
        }
        [ "$(get /cluster/digest)" = "$before" ] || {
            echo "$call changed something"
            return 1
        }
    done <<EOF
400 POST /write {"data":[$(row 8),$(row 12288)]}
400 POST /write {"data":[$(row 8),$(row -1)]}
400 POST /write {"data":[$(row 8),$(row 5001),$(row 8)]}
400 POST /write {"data":[]}
400 POST /write {"data":[{"Stud_id":8,"Stud_name":"A"}]}
400 POST /write {"data":[$(row 8),{"Stud_id":9,"Stud_name":"A","Stud_marks":"1","Stud_age":1}]}
400 POST /write {"data":[$(row 8),{"Stud_id":"x9","Stud_name":"A","Stud_marks":"1"}]}
400 POST /write {"data":[$(row 8),{"Stud_id":9,"Stud_name":["A"],"Stud_marks":"1"}]}
400 POST /write {"data":[$(row 8),{"Stud_id":9.5,"Stud_name":"A","Stud_marks":"1"}]}
400 POST /write {"data":[$(row 8),{"Stud_id":null,"Stud_name":"A","Stud_marks":"1"}]}
400 POST /write {"data":[$(row 8)
400 POST /write {"rows":[$(row 8)]}
409 POST /write {"data":[$(row 7)]}
409 POST /write {"data":[$(row 8),$(row 7),$(row 9)]}
409 POST /write {"data":[$(row 8),$(row 4096),$(row 5000)]}
404 PUT /update {"Stud_id":8,"data":$(row 8)}
400 PUT /update {"Stud_id":7,"data":$(row 8)}
400 PUT /update {"Stud_id":7,"data":{"Stud_id":7}}
400 PUT /update {"Stud_id":12288,"data":$(row 12288)}
400 PUT /update {"data":$(row 7)}
404 DELETE /del {"Stud_id":8}
400 DELETE /del {"Stud_id":12288}
400 DELETE /del {"Stud_id":"seven"}
400 DELETE /del {}
400 POST /read {"Stud_id":{"low":9,"high":1}}
400 POST /read {"Stud_id":{"low":9}}
400 POST /read {"Stud_name":{"low":1,"high":9}}
EOF
    [ "$(stored 0 12287)" = "$(row 7; echo; row 5000)" ]
}

@test "a change that cannot be is refused and changes nothing, whatever the store" {
    on_each_store changes_refused
}

@test "the servers of a database are the cluster of Part 1 as well" {
    start_lb --servers 3
    init "$ON_THREE_SERVERS"
    [ "$code" = 200 ]
    within 5 eval '[ "$(n_marked server)" -eq 3 ]'
    get /rep
    answered 200 '{"message":{"N":3,"replicas":["Server0","Server1","Server2"]},"status":"successful"}'
    say GET /home ''
    [ "$code" = 200 ]
    say POST /add '{"n":1,"hostnames":["S7"]}'
    answered 200 '{"message":{"N":4,"replicas":["Server0","Server1","Server2","S7"]},"status":"successful"}'
    get /status | jq -e '.N == 4 and .servers.S7 == []'
    say DELETE /rm '{"n":1,"hostnames":["S7"]}'
    answered 200 '{"message":{"N":3,"replicas":["Server0","Server1","Server2"]},"status":"successful"}'
}

@test "quoit ctl status shows the shards: their keys, their rows, and who holds them" {
    configured
    say POST /write "{\"data\":[$(row 5),$(row 4095),$(row 9000)]}"
    run "$QUOIT" ctl --lb "$LB" status
    [ "$status" -eq 0 ]
    [[ $output =~ SHARD\ +FROM\ +TO\ +ROWS\ +REPLICAS ]]
    [[ $output =~ sh1\ +0\ +4095\ +2\ +Server0,\ Server2 ]]
    [[ $output =~ sh2\ +4096\ +8191\ +0\ +Server0,\ Server1 ]]
    [[ $output =~ sh3\ +8192\ +12287\ +1\ +Server1,\ Server2 ]]
}

@test "init takes names of servers that it retires" {
    start_lb --servers 2
    init '{"Server1":["sh1","sh2","sh3"],"Server2":["sh1","sh2","sh3"]}' 2
    answered 200 '{"message":"Configured Database","status":"success"}'
    within 5 eval '[ "$(n_marked server)" -eq 2 ]'
    [ "$(cluster id | xargs)" = "1 2" ]
}

@test "shards of servers that nobody named are placed at random, so many copies each" {
    start_lb --servers 0
    init '' 5
    [ "$code" = 200 ]
    [ "$(names | xargs)" = "Server0 Server1 Server2 Server3 Server4" ]
    get /status | jq -e '[.servers[][]] | group_by(.) | map(length) == [3, 3, 3]'
    kill_lb
    signal_all KILL
    start_lb --servers 0
    init '' 4 ',"replicas":4'
    get /status | jq -e '[.servers[] | length] == [3, 3, 3, 3]'
    kill_lb
    signal_all KILL
    start_lb --servers 0
    init '{"S9":["sh2"]}' 3 ',"replicas":2'
    [ "$code" = 200 ]
    [ "$(names | xargs)" = "S9 Server0 Server1" ]
    get /status | jq -e '.servers.S9 == ["sh2"] and
        ([.servers[][]] | group_by(.) | map(length) == [2, 2, 2])'
}

@test "add starts servers with new shards and with copies of those that are there" {
    configured
    say POST /write "{\"data\":[$(rows 8192 8691)]}"
    [ "$code" = 200 ]
    say POST /add '{"n":2,"new_shards":[{"Stud_id_low":12288,"Shard_id":"sh5","Shard_size":4096}],"servers":{"Server4":["sh3","sh5"],"Server[5]":["sh2","sh5"]}}'
    [ "$code" = 200 ]
    local name
    name=$(names | grep -E '^Server[0-9]{6}$')
    answered 200 "{\"N\":5,\"message\":\"Add Server:4 and Server:${name#Server}\",\"status\":\"successful\"}"
    get /status | jq -e --arg name "$name" '.N == 5 and (.shards | length) == 4 and
        .servers.Server4 == ["sh3", "sh5"] and .servers[$name] == ["sh2", "sh5"]'
    replicas_are_equal
    [ "$(copies sh3)" = 3 ]
    say POST /write "{\"data\":[$(row 12288),$(row 8900)]}"
    [ "$code" = 200 ]
    replicas_are_equal
    say POST /add '{"n":1,"servers":{"Server11":[]}}'
    answered 200 '{"N":6,"message":"Add Server:11","status":"successful"}'
    say POST /add '{"n":3,"servers":{"Server12":["sh1"],"Server13":["sh1"],"Server14":["sh1"]}}'
    answered 200 '{"N":9,"message":"Add Server:12, Server:13 and Server:14","status":"successful"}'
}

@test "rm takes servers out, named and others, and never a last copy" {
    start_lb --servers 0
    init '{"Server0":["sh1","sh2"],"Server1":["sh2","sh3"],"Server2":["sh1","sh3"],"Server3":["sh1"]}' 4
    say POST /write "{\"data\":[$(rows 4000 4200)]}"
    say DELETE /rm '{"n":1,"servers":["Server3"]}'
    answered 200 '{"message":{"N":3,"servers":["Server3"]},"status":"successful"}'
    say DELETE /rm '{"n":2,"servers":["Server0"]}'
    refused_with 400 "last copy of shard 'sh"
    say DELETE /rm '{"n":1,"servers":["Server0"]}'
    answered 200 '{"message":{"N":2,"servers":["Server0"]},"status":"successful"}'
    say DELETE /rm '{"n":1,"servers":["Server1"]}'
    refused 400 "the last copy of shard 'sh2' would go with Server1"
    say DELETE /rm '{"n":1,"hostnames":["Server1"]}'
    refused_with 400 "last copy of shard 'sh2'"
    say DELETE /rm '{"n":1}'
    refused_with 400 "last copy"
    get /status | jq -e '.servers == {"Server1":["sh2","sh3"],"Server2":["sh1","sh3"]}'
    [ "$(stored 0 9999 | wc -l)" = 201 ]
}

@test "rm chooses at random those that hold no last copy" {
    start_lb --servers 0
    init '{"Server0":["sh1","sh2","sh3"],"Server1":["sh2"],"Server2":["sh1"],"Server3":["sh3"]}' 4
    say DELETE /rm '{"n":3,"servers":[]}'
    answered 200 "$(jq -c --argjson n 1 '.' <<<"{\"message\":{\"N\":1,\"servers\":$(jq -c .message.servers <<<"$body")},\"status\":\"successful\"}")"
    jq -e '.message.servers | sort == ["Server1", "Server2", "Server3"]' <<<"$body"
}

@test "what init cannot mean is refused and changes nothing" {
    start_lb --servers 2
    local before
    before=$(names)
    ask GET /status
    refused 409 "there is no database yet: POST /init first"
    say POST /read '{"Stud_id":{"low":0,"high":1}}'
    refused_with 409 "no database"
    say POST /add '{"n":1,"servers":{"Server7":["sh1"]}}'
    refused_with 409 "no database"
    say DELETE /rm '{"n":1,"servers":["Server1"]}'
    refused_with 409 "no database"
    say POST /init 'x'
    refused_with 400 "JSON"
    say POST /init '[]'
    refused_with 400 "object"
    say POST /init "{\"N\":3,\"schema\":$SCHEMA,\"shards\":$THREE_SHARDS,\"server\":{}}"
    refused_with 400 "'server' is not known"
    say POST /init "{\"schema\":$SCHEMA,\"shards\":$THREE_SHARDS}"
    refused_with 400 '\"N\" is missing'
    say POST /init "{\"N\":0,\"schema\":$SCHEMA,\"shards\":$THREE_SHARDS}"
    refused_with 400 '\"N\" is 0'
    say POST /init "{\"N\":1,\"shards\":$THREE_SHARDS}"
    refused_with 400 '\"schema\" is missing'
    say POST /init "{\"N\":1,\"schema\":{\"columns\":[\"a\"],\"dtypes\":[\"Blob\"]},\"shards\":$THREE_SHARDS}"
    refused_with 400 "type of column 'a'"
    say POST /init "{\"N\":1,\"schema\":$SCHEMA,\"shards\":[]}"
    refused_with 400 '\"shards\" is empty'
    say POST /init "{\"N\":1,\"schema\":$SCHEMA,\"shards\":[{\"Stud_id_low\":0,\"Shard_id\":\"a\",\"Shard_size\":10},{\"Stud_id_low\":9,\"Shard_id\":\"b\",\"Shard_size\":10}]}"
    refused_with 400 "'b' overlaps"
    init '{"Server0":["sh1","sh2","sh3"],"Server1":["sh9"]}' 2
    refused_with 400 "shard 'sh9', which is not defined"
    init '{"Server0":["sh1","sh2"]}' 1
    refused 400 "shard 'sh3' has no server"
    init "$ON_THREE_SERVERS" 2
    refused_with 400 "3 servers are named"
    init '' 2 ',"replicas":3'
    refused_with 400 "3 replicas"
    init '{"Server[5]":["sh1","sh2","sh3"]}' 1
    refused_with 400 "no server name"
    init '{"../x":["sh1","sh2","sh3"]}' 1
    refused_with 400 "no server name"
    init '{"S1":["sh1","sh1"]}' 1
    refused_with 400 "twice"
    ask GET /init
    [ "$code" = 405 ]
    [ "$(names)" = "$before" ]
    init "$ON_THREE_SERVERS"
    [ "$code" = 200 ]
    init "$ON_THREE_SERVERS"
    refused 409 "the database is configured already"
}

@test "what add and rm cannot mean is refused and changes nothing" {
    configured
    local before
    before=$(get /status)
    say POST /add '{"n":3,"servers":{"Server4":["sh1"]}}'
    refused 400 "Number of new servers (n) is greater than newly added instances"
    say POST /add '{"n":1}'
    refused 400 "Number of new servers (n) is greater than newly added instances"
    say POST /add '{"n":1,"servers":{"Server4":["sh1"],"Server5":["sh1"]}}'
    refused_with 400 "2 servers are named"
    say POST /add '{"n":1,"servers":{"Server4":["sh9"]}}'
    refused_with 400 "'sh9', which is not defined"
    say POST /add '{"n":1,"servers":{"Server1":["sh1"]}}'
    refused_with 400 "'Server1' is there already"
    say POST /add '{"n":1,"new_shards":[{"Stud_id_low":12000,"Shard_id":"sh5","Shard_size":4096}],"servers":{"Server4":["sh5"]}}'
    refused_with 400 "'sh5' overlaps shard 'sh3'"
    say POST /add '{"n":1,"new_shards":[{"Stud_id_low":20000,"Shard_id":"sh3","Shard_size":4096}],"servers":{"Server4":["sh3"]}}'
    refused_with 400 "'sh3' is there already"
    say POST /add '{"n":1,"new_shards":[{"Stud_id_low":20000,"Shard_id":"sh5","Shard_size":4096}],"servers":{"Server4":["sh3"]}}'
    refused 400 "shard 'sh5' has no server"
    say POST /add '{"n":1,"servers":{"Server[x":["sh1"]}}'
    refused_with 400 "no server name"
    say POST /add '{"n":1,"servers":{"S":["sh1"]},"hostnames":["S"]}'
    refused_with 400 "'hostnames' is not known"
    say DELETE /rm '{"n":1,"servers":["Server1","Server2"]}'
    refused 400 "Length of server list is more than removable instances"
    say DELETE /rm '{"n":1,"servers":["Server9"]}'
    refused_with 400 "Server9"
    say DELETE /rm '{"n":4,"servers":[]}'
    refused_with 400 "only 3 servers"
    say DELETE /rm '{"n":0,"servers":[]}'
    refused_with 400 '\"n\" is 0'
    [ "$(get /status)" = "$before" ]
}

@test "an init whose servers cannot all start leaves nothing behind" {
    local before
    cp "$QUOIT" "$dir/quoit"
    PROGRAM=$dir/quoit start_lb --servers 1
    before=$(names)
    mv "$dir/quoit" "$dir/away" # no server can be started any more
    init "$ON_THREE_SERVERS"
    refused_with 503 "nothing was changed"
    [ "$(names)" = "$before" ]
    ask GET /status
    [ "$code" = 409 ]
    mv "$dir/away" "$dir/quoit"
    init "$ON_THREE_SERVERS"
    [ "$code" = 200 ]
}

# ---- failures ------------------------------------------------------------------------------------

# Writes keys BASE, BASE + 4099, … of all shards one after the other; those that were acknowledged go
# to NAME.acked. Ends when NAME.end exists.
write_on() { # NAME BASE
    local key=$2
    while [ ! -e "$dir/$1.end" ] && [ "$key" -lt 12288 ]; do
        if [ "$(curl -s --noproxy '*' --max-time 60 -o /dev/null -w '%{http_code}' \
            --data-binary "{\"data\":[$(row "$key")]}" "http://$LB/write")" = 200 ]; then
            echo "$key" >>"$dir/$1.acked"
        fi
        key=$(((key + 4096 + 3) % 12288))
    done
    touch "$dir/$1.done"
}

start_writers() {
    local i
    for i in 0 1 2; do
        rm -f "$dir/$i.end" "$dir/$i.done"
        write_on $i $i 3>&- &
        disown
    done
}

end_writers() {
    local i
    for i in 0 1 2; do
        touch "$dir/$i.end"
        within 12 test -e "$dir/$i.done"
    done
}

# Every acknowledged key is there, and every replica has the same.
nothing_is_lost() {
    within 15 replicas_are_equal || return 1
    stored 0 12287 | jq .Stud_id | sort >"$dir/found"
    sort "$dir"/?.acked >"$dir/wanted"
    [ -z "$(comm -13 "$dir/found" "$dir/wanted")" ] || {
        echo "lost: $(comm -13 "$dir/found" "$dir/wanted" | head -n 5 | xargs)"
        return 1
    }
}

@test "a server killed under writes is replaced, with every acknowledged row on all replicas" {
    configured
    start_writers
    local i victim
    for i in 1 2 3; do
        sleep 0.3
        victim=$(names | shuf -n 1)
        kill -KILL "$(pid_of "$victim")"
        within 10 eval '! names | grep -qx "$victim" && serving 3'
    done
    end_writers
    nothing_is_lost
    get /cluster | jq -e '[.events[] | select(.step == "copied")] | length >= 3'
    # each of the three has two shards, and the last line of a story counts what the two came to
    get /cluster | jq -e '[.events[] | select(.step == "copied" and .copied_rows > 0)][-1] as $last |
        [.events[] | select(.step == "filled" and .uid == $last.uid)] |
        length == 2 and (map(.rows) | add) == $last.rows and
        (map(.copied_bytes) | add) == $last.copied_bytes and $last.copied_bytes > $last.rows'
    get /metrics | grep -qx 'quoit_lb_lost_shards_total 0'
}

@test "a server that hangs under writes is replaced, and no acknowledged row is lost" {
    configured --heartbeat-ms 100 --fall 8 # who is only slow, on a busy machine, is no hung one
    start_writers
    sleep 0.3
    kill -STOP "$(pid_of Server1)"
    within 10 eval '! names | grep -qx Server1 && serving 3'
    end_writers
    nothing_is_lost
}

@test "an LB killed under writes finds its database again" {
    configured --state "$dir/state" --listen "127.0.0.1:$(free_port)"
    local address=$LB i
    start_writers
    for i in 1 2; do
        sleep 0.4
        kill_lb
        start_lb --servers 0 --state "$dir/state" --listen "$address"
    done
    end_writers
    nothing_is_lost
    [ "$(names | xargs)" = "Server0 Server1 Server2" ]
}

@test "a server that died while no LB looked is replaced and filled" {
    configured --state "$dir/state"
    say POST /write "{\"data\":[$(rows 4000 4300)]}"
    local victim
    victim=$(pid_of Server1)
    kill_lb
    kill -KILL "$victim"
    start_lb --servers 0 --state "$dir/state"
    within 10 serving 3
    within 5 replicas_are_equal
    [ "$(stored 0 12287 | wc -l)" = 301 ]
}

@test "a shard whose last copy was in memory begins empty, and that is said" {
    start_lb --servers 0
    init '{"Server0":["sh1"],"Server1":["sh2","sh3"]}' 2
    say POST /write "{\"data\":[$(row 1),$(row 5000)]}"
    kill -KILL "$(pid_of Server0)"
    within 10 eval '! names | grep -qx Server0 && serving 2'
    within 5 replicas_are_equal
    [ "$(stored 0 12287)" = "$(row 5000)" ]
    get /metrics | grep -qx 'quoit_lb_lost_shards_total 1'
    grep -q 'last copy of 1 shards' "$dir/lb.log"
    say POST /write "{\"data\":[$(row 1)]}"
    [ "$code" = 200 ]
}

# ---- a durable store -----------------------------------------------------------------------------

@test "file: a replacement takes over the dead server's directory, also of a last copy" {
    start_lb --servers 0 --store file --state "$dir/state"
    init '{"Server0":["sh1"],"Server1":["sh2","sh3"]}' 2
    say POST /write "{\"data\":[$(row 1),$(row 5000)]}"
    [ "$code" = 200 ]
    kill -KILL "$(pid_of Server0)"
    within 10 eval '! names | grep -qx Server0 && serving 2'
    within 5 replicas_are_equal
    [ "$(stored 0 12287)" = "$(row 1; echo; row 5000)" ]
    get /metrics | grep -qx 'quoit_lb_lost_shards_total 0'
    [ "$(ls "$dir/state/servers" | wc -l)" = 2 ]
}

@test "file: every server killed at once under writes, and no acknowledged row is lost" {
    configured --store file --state "$dir/state"
    start_writers
    sleep 0.5
    signal_all KILL server
    within 15 serving 3
    end_writers
    nothing_is_lost
}

@test "file: LB and servers killed together under writes, and no acknowledged row is lost" {
    configured --store file --state "$dir/state" --listen "127.0.0.1:$(free_port)"
    local address=$LB
    start_writers
    sleep 0.5
    signal_all KILL
    within 2 eval '[ "$(n_marked)" -eq 0 ]'
    start_lb --servers 0 --store file --state "$dir/state" --listen "$address"
    end_writers
    nothing_is_lost
    [ "$(names | sort | xargs)" = "Server0 Server1 Server2" ]
}

@test "file: a stop of everything keeps all rows, and the next start serves them" {
    configured --store file --state "$dir/state"
    say POST /write "{\"data\":[$(rows 4000 4300)]}"
    say DELETE /del '{"Stud_id":4000}'
    local status rows
    status=$(get /status)
    rows=$(stored 0 12287)
    end_lb
    [ -e "$dir/state/cluster.json" ]
    start_lb --store file --state "$dir/state"
    [ "$(get /status)" = "$status" ]
    [ "$(stored 0 12287)" = "$rows" ]
    replicas_are_equal
}

@test "file: a removed server's directory goes with it" {
    configured --store file --state "$dir/state"
    [ "$(ls "$dir/state/servers" | wc -l)" = 3 ]
    say DELETE /rm '{"n":1,"servers":["Server2"]}'
    [ "$code" = 200 ]
    within 5 eval '[ "$(ls "$dir/state/servers" | wc -l)" = 2 ]'
}

@test "a durable store without a state directory is refused" {
    run_quoit lb --listen 127.0.0.1:0 --servers 0 --store file
    [ "$status" -eq 2 ]
    [[ $output == *"--state"* ]]
    run_quoit lb --listen 127.0.0.1:0 --servers 0 --store nonsense
    [ "$status" -eq 2 ]
}

@test "a database's directory is not taken over with another store" {
    configured --store file --state "$dir/state"
    say POST /write "{\"data\":[$(row 1)]}"
    end_lb
    run_quoit lb --listen 127.0.0.1:0 --servers 0 --store memory --state "$dir/state"
    [ "$status" -eq 1 ]
    [[ $output == *"$dir/state knows a database in store file, not memory: start with --store file"* ]]
    start_lb --servers 0 --store delay:write=1ms+file:sync=none --state "$dir/state"
    [ "$(stored 0 10)" = "$(row 1)" ]
}

@test "endpoints that only servers have are not reached through the load balancer" {
    configured
    local path
    for path in /config /copy /batch /page /digest /shards; do
        say POST "$path" '{"shards":["sh1"]}'
        answered 400 "{\"message\":\"<Error> '$path' endpoint does not exist in server replicas\",\"status\":\"failure\"}"
        ask GET "$path"
        [ "$code" = 400 ]
    done
}

# ---- the cluster's own MariaDB -------------------------------------------------------------------

@test "mysql: a replacement takes over the dead server's rows, also of a last copy" {
    command -v mariadbd >/dev/null || skip "mariadb-server is not installed"
    start_lb --servers 0 --store mysql --state "$dir/state"
    init '{"Server0":["sh1"],"Server1":["sh2","sh3"]}' 2
    [ "$code" = 200 ]
    say POST /write "{\"data\":[$(row 1),$(row 5000)]}"
    [ "$code" = 200 ]
    kill -KILL "$(pid_of Server0)"
    within 10 eval '! names | grep -qx Server0 && serving 2'
    within 5 replicas_are_equal
    [ "$(stored 0 12287)" = "$(row 1; echo; row 5000)" ]
    get /metrics | grep -qx 'quoit_lb_lost_shards_total 0'
}

@test "mysql: behind a shim it is the cluster's own too" {
    command -v mariadbd >/dev/null || skip "mariadb-server is not installed"
    start_lb --servers 0 --store delay:write=1ms+mysql --state "$dir/state"
    init '{"Server0":["sh1","sh2","sh3"]}' 1
    [ "$code" = 200 ]
    say POST /write "{\"data\":[$(row 1)]}"
    [ "$(stored 0 10)" = "$(row 1)" ]
}
