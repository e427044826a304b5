#!/usr/bin/env bats
# A server as the keeper of shards: CONTRACT.md, Part 2's server, byte for byte; what it refuses; and
# the endpoints that the LB uses beside the contract.

SCHEMA='{"columns":["Stud_id","Stud_name","Stud_marks"],"dtypes":["Number","String","String"]}'

setup() {
    load helper
    e2e_begin
    start_server --name Server0 --log-level warn
}

teardown() {
    e2e_end
}

say() { # METHOD /PATH BODY
    ask "$1" "http://$SERVER$2" --data-binary "$3"
}

configure() {
    say POST /config "{\"schema\":$SCHEMA,\"shards\":[\"sh1\",\"sh2\"]}"
    [ "$code" = 200 ]
}

row() { # KEY [NAME [MARKS]]
    printf '{"Stud_id":%s,"Stud_name":"%s","Stud_marks":%s}' "$1" "${2:-GHI}" "${3:-27}"
}

@test "the contract's calls are answered to the letter" {
    configure
    answered 200 '{"message":"Server0:sh1, Server0:sh2 configured","status":"success"}'
    say POST /write "{\"shard\":\"sh2\",\"curr_idx\":507,\"data\":[$(row 2255),$(row 2244),$(row '"2230"')]}"
    answered 200 '{"message":"Data entries added","current_idx":510,"status":"success"}'
    say POST /write "{\"shard\":\"sh1\",\"data\":[$(row 1)]}"
    answered 200 '{"message":"Data entries added","current_idx":1,"status":"success"}'
    say POST /read '{"shard":"sh2","Stud_id":{"low":2230,"high":2244}}'
    answered 200 "{\"data\":[$(row 2230),$(row 2244)],\"status\":\"success\"}"
    say POST /read '{"shard":"sh2","Stud_id":{"low":0,"high":9}}'
    answered 200 '{"data":[],"status":"success"}'
    say PUT /update "{\"shard\":\"sh2\",\"Stud_id\":2255,\"data\":$(row 2255 GHI 30)}"
    answered 200 '{"message":"Data entry for Stud_id:2255 updated","status":"success"}'
    say DELETE /del '{"shard":"sh2","Stud_id":"2244"}'
    answered 200 '{"message":"Data entry with Stud_id:2244 removed","status":"success"}'
    local method
    for method in GET POST; do
        say $method /copy '{"shards":["sh2","sh1"]}'
        answered 200 "{\"sh2\":[$(row 2230),$(row 2255 GHI 30)],\"sh1\":[$(row 1)],\"status\":\"success\"}"
    done
}

@test "config again with the same schema keeps the rows; with another it is 409" {
    configure
    say POST /write "{\"shard\":\"sh1\",\"data\":[$(row 1)]}"
    configure
    say POST /config "{\"schema\":$SCHEMA,\"shards\":[\"sh3\"]}"
    answered 200 '{"message":"Server0:sh3 configured","status":"success"}'
    say POST /copy '{"shards":["sh1","sh3"]}'
    answered 200 "{\"sh1\":[$(row 1)],\"sh3\":[],\"status\":\"success\"}"
    say POST /config '{"schema":{"columns":["k"],"dtypes":["Number"]},"shards":["sh4"]}'
    refused_with 409 "another schema"
    ask GET "http://$SERVER/shards"
    [ "$(jq -r '[.shards[].shard] | join(" ")' <<<"$body")" = "sh1 sh2 sh3" ]
}

@test "before config every data call is 409" {
    local call
    for call in "POST /read" "POST /write" "PUT /update" "DELETE /del" "GET /copy" "GET /page" "GET /digest"; do
        # shellcheck disable=SC2086 # two words
        say $call '{}'
        refused_with 409 "POST /config"
    done
    ask GET "http://$SERVER/shards"
    answered 200 '{"schema":null,"shards":[],"status":"success"}'
}

@test "what cannot be meant is refused and changes nothing" {
    configure
    say POST /write "{\"shard\":\"sh1\",\"data\":[$(row 5)]}"
    refuse() { # CODE WORDS METHOD /PATH BODY
        say "$3" "$4" "$5"
        refused_with "$1" "$2"
    }
    refuse 400 "empty" POST /write ''
    refuse 400 "JSON" POST /write '{"shard":"sh1"'
    refuse 400 "JSON object" POST /write '[]'
    refuse 400 "shard" POST /write '{"data":[]}'
    refuse 400 "'sh9' is not on this server" POST /write "{\"shard\":\"sh9\",\"data\":[$(row 1)]}"
    refuse 400 "data" POST /write '{"shard":"sh1","data":[]}'
    refuse 400 "data" POST /write '{"shard":"sh1","data":{}}'
    refuse 400 "Stud_marks" POST /write '{"shard":"sh1","data":[{"Stud_id":1,"Stud_name":"x"}]}'
    refuse 400 "row 2" POST /write "{\"shard\":\"sh1\",\"data\":[$(row 1),7]}"
    refuse 400 "Stud_id 1 is twice" POST /write "{\"shard\":\"sh1\",\"data\":[$(row 1),$(row 2),$(row 1)]}"
    refuse 400 "Stud_id" POST /write "{\"shard\":\"sh1\",\"data\":[$(row 9223372036854775808)]}"
    refuse 400 "curr_idx" POST /write "{\"shard\":\"sh1\",\"curr_idx\":-1,\"data\":[$(row 1)]}"
    refuse 400 'is not known here' POST /write "{\"shard\":\"sh1\",\"x\":1,\"data\":[$(row 1)]}"
    refuse 409 "Stud_id 5 exists" POST /write "{\"shard\":\"sh1\",\"data\":[$(row 4),$(row 6),$(row 5)]}"
    refuse 400 "does not change the key" PUT /update "{\"shard\":\"sh1\",\"Stud_id\":5,\"data\":$(row 6)}"
    refuse 404 "Stud_id 7" PUT /update "{\"shard\":\"sh1\",\"Stud_id\":7,\"data\":$(row 7)}"
    refuse 404 "Stud_id 7" DELETE /del '{"shard":"sh1","Stud_id":7}'
    refuse 400 "Stud_id" DELETE /del '{"shard":"sh1"}'
    refuse 400 "above" POST /read '{"shard":"sh1","Stud_id":{"low":2,"high":1}}'
    refuse 400 "low" POST /read '{"shard":"sh1","Stud_id":{"high":1}}'
    refuse 400 "Stud_id" POST /read '{"shard":"sh1","Stud_id":5}'
    refuse 400 "twice" POST /copy '{"shards":["sh1","sh1"]}'
    refuse 400 "shards" POST /config "{\"schema\":$SCHEMA,\"shards\":[]}"
    refuse 400 "valid name" POST /config "{\"schema\":$SCHEMA,\"shards\":[\"../x\"]}"
    refuse 400 "twice" POST /config "{\"schema\":$SCHEMA,\"shards\":[\"a\",\"a\"]}"
    say POST /copy '{"shards":["sh1"]}'
    answered 200 "{\"sh1\":[$(row 5)],\"status\":\"success\"}"
}

@test "a wrong method is 405 and names the right ones" {
    ask GET "http://$SERVER/write"
    refused_with 405 /write
    [ "$(header Allow)" = POST ]
    ask POST "http://$SERVER/del" -d x
    [ "$code" = 405 ] && [ "$(header Allow)" = DELETE ]
}

@test "each operation of a batch is judged by itself, in order; what is no batch changes nothing" {
    configure
    put() { # KEY: its line and its row's
        local text
        text=$(row "$1")
        printf '%s %d\n%s\n' "$1" ${#text} "$text"
    }
    {
        printf 'insert sh1 2\n' && put 1 && put 2
        printf 'insert sh1 1\n' && put 2
        printf 'delete sh1 1\ndelete sh1 1\n'
        printf 'absent sh1 2\n1\n2\nabsent sh1 1\n1\n'
        printf 'update sh1\n' && put 9
        printf 'insert sh9 1\n' && put 1
        printf 'insert sh1 1\n3 2\n{}\n'
        printf 'replace sh1 0 9 1\n' && put 4
        printf 'drop sh1\ndelete sh1 4\n'
    } >"$dir/batch"
    ask POST "http://$SERVER/batch" --data-binary "@$dir/batch"
    [ "$code" = 200 ] && [ "$type" = text/x-quoit-batch ]
    diff - <(sed 's/\(refused the row of key 3\).*/\1/' <<<"$body") <<'END'
ok 2
exists 2
ok 1
missing 1
exists 2
ok 0
missing 9
refused shard 'sh9' is not on this server
refused the row of key 3
ok 1
ok 0
refused shard 'sh1' is not on this server
END
    say POST /batch $'delete sh2 1\nnonsense\n'
    refused_with 400 "operation"
    say POST /batch ''
    refused_with 400 "empty"
}

@test "pages, posted as they stand, make a copy that digests the same" {
    configure
    jq -nc '{shard: "sh1", data: [range(0; 5000) | {Stud_id: (. * 3), Stud_name: "n\(.)\n", Stud_marks: .}]}' >"$dir/rows"
    ask POST "http://$SERVER/write" --data-binary "@$dir/rows"
    [ "$code" = 200 ]
    local low=0 pages=0
    while :; do
        ask GET "http://$SERVER/page?shard=sh1&low=$low&last=20000&rows=999"
        [ "$code" = 200 ]
        sed '1s/sh1/sh2/' "$dir/body" >"$dir/page"
        low=$(($(awk 'NR == 1 { print $4 }' "$dir/page") + 1))
        more=$(header X-Quoit-More)
        ask POST "http://$SERVER/batch" --data-binary "@$dir/page"
        [[ $body == "ok "* ]]
        pages=$((pages + 1))
        [ "$more" = 1 ] || break
    done
    [ "$pages" -eq 6 ] && [ "$low" -eq 20001 ]
    [ "$(get "http://$SERVER/digest?shard=sh1" | jq -c '[.rows, .checksum]')" = \
        "$(get "http://$SERVER/digest?shard=sh2" | jq -c '[.rows, .checksum]')" ]
    get "http://$SERVER/digest?shard=sh1&rows=10" | jq -e '.rows == 10 and .last == 27 and .more'
    get "http://$SERVER/shards" | jq -e '.shards | length == 2 and .[0].rows == 5000 and .[0].checksum == .[1].checksum'
}

@test "an answer past 48 MiB is refused, and a page of the same rows ends earlier" {
    configure
    local i big
    big=$(head -c 60000 /dev/zero | tr '\0' x)
    for i in 0 1 2 3; do
        jq -nc --arg s "$big" --argjson i "$i" \
            '{shard: "sh1", data: [range(0; 230) | {Stud_id: ($i * 230 + .), Stud_name: $s, Stud_marks: 1}]}' >"$dir/rows"
        ask POST "http://$SERVER/write" --data-binary "@$dir/rows"
        [ "$code" = 200 ]
    done
    say POST /read '{"shard":"sh1","Stud_id":{"low":0,"high":999}}'
    refused_with 413 "ask for less"
    say POST /copy '{"shards":["sh1"]}'
    refused_with 413 "ask for less"
    ask GET "http://$SERVER/page?shard=sh1"
    [ "$code" = 200 ] && [ "$(header X-Quoit-More)" = 1 ]
    [ "$(header Content-Length)" -le $((4 << 20)) ]
}

@test "a store that is not there, or an option that it has not, is wrong usage" {
    run_quoit server --store nosuch
    [ "$status" -eq 2 ] && [[ $output == *nosuch* ]]
    run_quoit server --store memory:nosuch=1
    [ "$status" -eq 2 ] && [[ $output == *nosuch* ]]
}

@test "metrics tell requests by endpoint, rows, and the store" {
    configure
    say POST /write "{\"shard\":\"sh1\",\"data\":[$(row 1),$(row 2)]}"
    say POST /read '{"shard":"sh1","Stud_id":{"low":0,"high":9}}'
    ask GET "http://$SERVER/metrics"
    grep -qx 'quoit_server_rows_written_total 2' <<<"$body"
    grep -qx 'quoit_server_rows_read_total 2' <<<"$body"
    grep -qx 'quoit_server_requests_total{endpoint="/write"} 1' <<<"$body"
    grep -qx 'quoit_server_pending_requests 0' <<<"$body"
    grep -q 'quoit_server_store_info{store="memory",durable="0",forgets="0"} 1' <<<"$body"
}

@test "a store that syncs its own files tells how often, how long, and what it wrote" {
    # one in memory has nothing to tell
    ask GET "http://$SERVER/metrics"
    [[ $body != *quoit_server_store_sync* ]]
    start_server --name Server1 --log-level warn --store file --data "$dir/data"
    configure
    say POST /write "{\"shard\":\"sh1\",\"data\":[$(row 1)]}"
    ask GET "http://$SERVER/metrics"
    local metric
    for metric in 'sync_seconds_count{part="log"}' 'sync_seconds_sum{part="log"}' \
        'written_bytes_total{part="log"}'; do
        grep -F "quoit_server_store_$metric " <<<"$body" | grep -q ' [0-9.e-]*[1-9]' || {
            echo "$metric: $body"
            return 1
        }
    done
    grep -qFx 'quoit_server_store_written_bytes_total{part="snapshot"} 0' <<<"$body"
}
