#!/usr/bin/env bats
# CONTRACT.md, Part 1, as clients see it: the rows of its table, ids and names, routing. What is
# refused is in lb_refusals.bats. QUOIT names the program.

setup() {
    load helper
    e2e_begin
}

teardown() {
    e2e_end
}

# Where each request id goes by the assignment's map, worked out here and independently of the
# program: 512 slots, 9 virtual servers, linear probing, servers by ascending id, the first occupied
# slot at or after the request's. Prints "KEY ID-OF-SERVER" a line. (No number below passes 2^53.)
by_the_map() { # "ID…" KEY…
    local ids=$1
    shift
    printf '%s\n' "$@" | awk -v ids="$(tr ' ' '\n' <<<"$ids" | sort -n | tr '\n' ' ')" '
        BEGIN {
            n = split(ids, id, " ")
            for (s = 1; s <= n; s++)
                for (j = 0; j < 9; j++) {
                    slot = (id[s] * id[s] + j * j + 2 * j + 25) % 512
                    while (slot in owner) slot = (slot + 1) % 512
                    owner[slot] = id[s]
                }
        }
        {
            slot = ($1 * $1 + 2 * $1 + 17) % 512
            while (!(slot in owner)) slot = (slot + 1) % 512
            print $1, owner[slot]
        }'
}

# The LB routes these keys as the map of these ids says.
routes_by_the_map() { # "ID…" KEY…
    local ids=$1
    shift
    # "KEY Server5" to "KEY 5"
    diff <(by_the_map "$ids" "$@") <(servers_of "$@" | sed 's/ .*[^0-9]\([0-9]*\)$/ \1/')
}

@test "rep names Server1 to ServerN of a new cluster" {
    start_lb --servers 3
    ask GET /rep
    answered 200 '{"message":{"N":3,"replicas":["Server1","Server2","Server3"]},"status":"successful"}'
    [ "$(n_marked server)" -eq 3 ]
}

@test "home is answered by a server, which is named in the body and in X-Quoit-Server" {
    start_lb --key-from header:X-Key
    local key name
    for key in 100000 200001 999999 123456; do
        ask GET /home -H "X-Key: $key"
        name=$(header X-Quoit-Server)
        [[ $name == Server[123] ]]
        answered 200 "{\"message\":\"Hello from Server: ${name#Server}\",\"status\":\"successful\"}"
    done
    ask GET '/home?x=1&y=%20'
    [ "$code" = 200 ]
}

@test "HEAD has the headers of GET and no body" {
    start_lb
    local path length
    for path in /rep /home; do
        ask GET $path
        length=$(header Content-Length)
        [ "$length" -eq ${#body} ]
        run raw "$LB" "HEAD $path HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        [ "$status" -eq 0 ]
        [[ ${lines[0]} == "HTTP/1.1 200 OK" ]]
        [[ $output == *"Content-Length: $length"* ]]
        [[ $output != *successful* ]]
    done
    run raw "$LB" "HEAD /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    [[ ${lines[0]} == "HTTP/1.1 400 Bad Request" && $output != *message* ]]
}

@test "add starts the named servers first and names the rest itself" {
    start_lb
    ask POST /add -d '{"n":4,"hostnames":["S5","S4"]}'
    [ "$code" = 200 ] && [ "$type" = application/json ]
    jq -e '(keys == ["message", "status"]) and .status == "successful" and .message.N == 7
        and .message.replicas[:5] == ["Server1", "Server2", "Server3", "S5", "S4"]
        and (.message.replicas[5:] | length == 2
            and all(test("^Server[1-9][0-9]{5}$")))' <<<"$body"
    local after=$body
    [ "$(get /rep)" = "$after" ]
    serving 7
    [ "$(n_marked server)" -eq 7 ]
}

@test "add takes a list as long as n, none, or an empty one" {
    start_lb --servers 0
    ask POST /add -d '{"n":2,"hostnames":["S5","S4"]}'
    answered 200 '{"message":{"N":2,"replicas":["S5","S4"]},"status":"successful"}'
    ask POST /add -d '{"n":1}'
    jq -e '.message.N == 3 and (.message.replicas[2] | test("^Server[0-9]{6}$"))' <<<"$body"
    ask POST /add -d '{"hostnames":[],"n":1}'
    jq -e '.message.N == 4 and (.message.replicas[3] | test("^Server[0-9]{6}$"))' <<<"$body"
    # whole numbers, however they are written
    ask POST /add -d '{"n":1.0}'
    jq -e '.message.N == 5' <<<"$body"
    ask POST /add -d '{"n":10e-1}'
    jq -e '.message.N == 6' <<<"$body"
}

@test "a name of every allowed kind and of 63 bytes is taken" {
    start_lb --servers 1
    local long
    long=$(printf 'a%.0s' {1..63})
    ask POST /add -d "{\"n\":4,\"hostnames\":[\"$long\",\"0\",\"a.B-c_9\",\"server1\"]}"
    answered 200 "{\"message\":{\"N\":5,\"replicas\":[\"Server1\",\"$long\",\"0\",\"a.B-c_9\",\"server1\"]},\"status\":\"successful\"}"
}

@test "servers answer as soon as add has" {
    start_lb --servers 1 --key-from header:X-Key
    ask POST /add -d '{"n":2,"hostnames":["S2","S3"]}'
    routes_by_the_map "1 2 3" {100000..100039}
    [ "$(servers_of {100000..100039} | cut -d ' ' -f 2 | sort -u | tr '\n' ' ')" = "S2 S3 Server1 " ]
}

@test "rm stops the named servers and, beyond them, as many others as n says" {
    start_lb --servers 4
    ask POST /add -d '{"n":1,"hostnames":["S5"]}'
    local before
    before=$(names)
    ask DELETE /rm -d '{"n":3,"hostnames":["S5"]}'
    [ "$code" = 200 ] && [ "$type" = application/json ]
    jq -e '(keys == ["message", "status"]) and .status == "successful" and .message.N == 2
        and (.message.replicas | length == 2 and index("S5") == null)' <<<"$body"
    # nobody new
    [ -z "$(comm -13 <(sort <<<"$before") <(names | sort))" ]
    serving 2
    within 5 eval '[ "$(n_marked server)" -eq 2 ]'
}

@test "rm of a list as long as n takes these and no others" {
    start_lb --servers 4
    ask DELETE /rm -d '{"n":2,"hostnames":["Server3","Server1"]}'
    answered 200 '{"message":{"N":2,"replicas":["Server2","Server4"]},"status":"successful"}'
    ask DELETE /rm -d '{"n":1,"hostnames":["Server4"]}'
    answered 200 '{"message":{"N":1,"replicas":["Server2"]},"status":"successful"}'
    ask GET /home
    [ "$(header X-Quoit-Server)" = Server2 ]
}

@test "the rest of rm is chosen at random" {
    local left='' seed
    for seed in 1 2 3 4 5 6 7 8; do
        start_lb --servers 3 --seed $seed
        ask DELETE /rm -d '{"n":2}'
        left+="$(names)"$'\n'
    done
    [ "$(sort -u <<<"$left" | grep -c Server)" -gt 1 ]
}

@test "with no server left a path is answered 503, and add brings the cluster back" {
    start_lb --servers 2
    ask DELETE /rm -d '{"n":2}'
    answered 200 '{"message":{"N":0,"replicas":[]},"status":"successful"}'
    ask GET /home
    refused_with 503 "no server"
    ask GET /rep
    answered 200 '{"message":{"N":0,"replicas":[]},"status":"successful"}'
    within 5 eval '[ "$(n_marked server)" -eq 0 ]'
    ask POST /add -d '{"n":1,"hostnames":["Back"]}'
    answered 200 '{"message":{"N":1,"replicas":["Back"]},"status":"successful"}'
    ask GET /home
    [ "$(header X-Quoit-Server)" = Back ]
}

@test "an LB may begin with no server" {
    start_lb --servers 0
    ask GET /rep
    answered 200 '{"message":{"N":0,"replicas":[]},"status":"successful"}'
    ask GET /home
    refused_with 503 "no server"
    ask GET /healthz
    [ "$code" = 200 ]
}

@test "a name can be added again as soon as it has been removed" {
    start_lb --servers 1
    local i
    for i in 1 2 3 4 5; do
        ask POST /add -d '{"n":1,"hostnames":["S7"]}'
        answered 200 '{"message":{"N":2,"replicas":["Server1","S7"]},"status":"successful"}'
        [ "$(cluster id 'select(.name == "S7")')" = 7 ]
        ask DELETE /rm -d '{"n":1,"hostnames":["S7"]}'
        answered 200 '{"message":{"N":1,"replicas":["Server1"]},"status":"successful"}'
    done
}

@test "a server's id is the number at its name's end, else a random one of six digits" {
    start_lb --servers 2
    ask POST /add -d '{"n":8,"hostnames":["S5","Server58127","A9223372036854775807","x","T5","Server02","B9223372036854775808","7z"]}'
    [ "$code" = 200 ]
    [ "$(cluster id 'select(.name == "Server1")')" = 1 ]
    [ "$(cluster id 'select(.name == "S5")')" = 5 ]
    [ "$(cluster id 'select(.name == "Server58127")')" = 58127 ]
    ask GET /cluster # jq would round it
    [[ $body == *'"A9223372036854775807","id":9223372036854775807,'* ]]
    local name
    for name in x T5 Server02 B9223372036854775808 7z; do
        [[ $(cluster id "select(.name == \"$name\")") =~ ^[1-9][0-9]{5}$ ]]
    done
    [ "$(cluster id | sort -u | wc -l)" -eq 10 ]
    # and the greeting says the id
    ask GET "http://$(cluster address 'select(.name == "S5")')/home"
    answered 200 '{"message":"Hello from Server: 5","status":"successful"}'
}

@test "a request goes where the assignment's map says, 64 ids over 3 servers" {
    start_lb --key-from header:X-Key
    routes_by_the_map "1 2 3" $(seq 100000 14063 999999)
    [ "$(by_the_map "1 2 3" $(seq 100000 14063 999999) | cut -d ' ' -f 2 | sort -u | wc -l)" -eq 3 ]
}

@test "the map follows the servers' ids after add and rm" {
    start_lb --servers 2 --key-from query:id
    ask POST /add -d '{"n":2,"hostnames":["S5","S4"]}'
    routes_by_the_map "1 2 4 5" $(seq 100007 30011 999999)
    ask DELETE /rm -d '{"n":1,"hostnames":["Server1"]}'
    routes_by_the_map "2 4 5" $(seq 100007 30011 999999)
}

@test "the LB's counts over 512 consecutive ids are the shares of quoit ring" {
    # 512 consecutive request ids meet every slot as often as the hash space does
    start_lb --key-from query:id
    servers_of {100000..100511} | cut -d ' ' -f 2 | sort | uniq -c |
        awk '{ print $2, $1 }' >"$dir/counted"
    "$QUOIT" ring shares --servers 3 --json |
        jq -r '.shares[] | "\(.name) \(.share * 512)"' | sort >"$dir/shares"
    # 900000 is no multiple of 512: the shares agree but for its remainder
    [ "$(join "$dir/shares" "$dir/counted" | awk '($2 - $3) ^ 2 < 1' | wc -l)" -eq 3 ]
}

# 20 requests with the key in header, query and path, each over a connection of its own: one server's
# count rises by 20 and no other's. Nowhere but in the counts is seen who got a path that
# no server has.
sticks() { # KEY
    local before
    before=$(cluster requests)
    curl -sS --noproxy '*' --max-time 60 -H 'Connection: close' -H "X-Key: $1" \
        "http://$LB/$1?id=$1&n=[1-20]" >"$dir/answers"
    paste <(echo "$before") <(cluster requests) | awk '$2 > $1 { print $2 - $1 }' >"$dir/rises"
    [ "$(<"$dir/rises")" = 20 ]
}

@test "the same key finds the same server again, by header, query, path and client" {
    local source key
    for source in header:X-Key query:id path client; do
        start_lb --servers 8 --key-from $source --hash splitmix64 --log-level warn
        for key in alice bob%20b 123456 42 99999999999999999999999; do
            sticks $key
        done
    done
    # and it is the key that does it
    start_lb --servers 8 --key-from random --placement ring --hash splitmix64 --log-level warn
    run ! sticks alice
}

@test "keys that are no numbers spread over the servers" {
    start_lb --servers 4 --key-from header:X-Key --placement ring --hash xxh64
    servers_of user-{a..z} user-{A..Z} >"$dir/seen"
    [ "$(wc -l <"$dir/seen")" -eq 52 ]
    [ "$(cut -d ' ' -f 2 "$dir/seen" | sort -u | wc -l)" -eq 4 ]
}

@test "without a key a request's id is random: all servers get some" {
    start_lb --servers 4 --placement ring --hash xxh64
    [ "$(servers_of {1..80} | cut -d ' ' -f 2 | sort -u | wc -l)" -eq 4 ]
    start_lb --servers 4 --placement ring --hash xxh64 --key-from header:X-Other
    [ "$(servers_of {1..80} | cut -d ' ' -f 2 | sort -u | wc -l)" -eq 4 ]
}

@test "a path that no server has is refused in the contract's words" {
    start_lb
    ask GET /other
    answered 400 "{\"message\":\"<Error> '/other' endpoint does not exist in server replicas\",\"status\":\"failure\"}"
    ask GET '/other?x=%22&y=2'
    refused 400 "'/other' endpoint does not exist in server replicas"
    ask GET '/a%22b%5c/%0d%0a'
    [ "$code" = 400 ]
    ask GET '/o%22"\x/%C3%A9'
    jq -e '.message == "<Error> '\''/o%22\"\\x/%C3%A9'\'' endpoint does not exist in server replicas"
        and .status == "failure"' <<<"$body"
    ask GET /
    refused 400 "'/' endpoint does not exist in server replicas"
    ask GET /home/
    refused 400 "'/home/' endpoint does not exist in server replicas"
    ask POST /other -d 'x=1'
    refused 400 "'/other' endpoint does not exist in server replicas"
    ask GET /REP
    refused 400 "'/REP' endpoint does not exist in server replicas"
}

@test "a path of 6000 bytes is refused in the same words, and the answer is JSON" {
    start_lb
    local long
    long=/$(printf 'abcdefghi/%.0s' {1..600})
    ask GET "$long"
    refused_with 400 "'/abcdefghi/abcdefghi/"
    jq -e '.message | endswith(" endpoint does not exist in server replicas")' <<<"$body"
}

@test "methods an endpoint does not take are answered 405 and told which it takes" {
    start_lb
    local row
    for row in 'POST /rep GET, HEAD' 'DELETE /rep GET, HEAD' 'GET /add POST' 'PUT /add POST' \
        'POST /rm DELETE' 'GET /rm DELETE' 'POST /cluster GET, HEAD' 'PATCH /healthz GET, HEAD' \
        'OPTIONS /metrics GET, HEAD' 'POST /home GET, HEAD' 'DELETE /home GET, HEAD'; do
        read -r method path allow <<<"$row"
        ask "$method" "$path"
        refused_with 405 "$path"
        [ "$(header Allow)" = "$allow" ]
    done
    serving 3
}

@test "bodies on GET and DELETE are read, with a length and chunked" {
    start_lb --servers 3
    ask GET /rep -d '{"x":1}'
    [ "$code" = 200 ]
    ask GET /home -d '{"x":1}'
    [ "$code" = 200 ]
    ask GET /home -H 'Transfer-Encoding: chunked' -d '{"x":1}'
    [ "$code" = 200 ]
    ask DELETE /rm -H 'Transfer-Encoding: chunked' -d '{"n":1,"hostnames":["Server2"]}'
    answered 200 '{"message":{"N":2,"replicas":["Server1","Server3"]},"status":"successful"}'
    # in chunks of a byte or two, with an extension and a trailer
    run raw "$LB" 'DELETE /rm HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n1\r\n{\r\n2;ext=1\r\n"n\r\n5\r\n":1,"\r\n14\r\nhostnames":["Server1\r\n3\r\n"]}\r\n0\r\nX-Trailer: 1\r\n\r\n'
    [ "$status" -eq 0 ]
    [[ $output == *'{"message":{"N":1,"replicas":["Server3"]},"status":"successful"}' ]]
    ask POST /add -H 'Transfer-Encoding: chunked' -d '{"n":1,"hostnames":["Server1"]}'
    answered 200 '{"message":{"N":2,"replicas":["Server3","Server1"]},"status":"successful"}'
}

@test "the body's type is not asked for: a form's default and none do" {
    start_lb --servers 1
    ask POST /add -H 'Content-Type: text/plain' -d '{"n":1,"hostnames":["a"]}'
    [ "$code" = 200 ]
    ask POST /add -H 'Content-Type:' -d ' {"n" : 1 , "hostnames" : [ "b" ] } '
    [ "$code" = 200 ]
    [ "$(names | tail -n 2 | tr '\n' ' ')" = "a b " ]
}

@test "healthz, cluster and metrics tell of the cluster" {
    start_lb --servers 2
    ask GET /home
    ask GET /healthz
    [ "$code" = 200 ] && [ "$type" = application/json ]
    jq -e '.status == "successful"' <<<"$body"
    ask GET /cluster
    [ "$code" = 200 ] && [ "$type" = application/json ]
    jq -e '.N == 2 and .target == 2 and .placement == "slots" and .threads == 1
        and [.servers[].name] == ["Server1", "Server2"] and [.servers[].id] == [1, 2]
        and ([.servers[].requests] | add) == 1 and all(.servers[]; .state == "serving")' <<<"$body"
    [ "$(cluster pid | sort)" = "$(marked server | sort)" ]
    ask GET /metrics
    [ "$code" = 200 ] && [[ $type == "text/plain; version=0.0.4"* ]]
    grep -qx 'quoit_lb_servers_serving 2' <<<"$body"
    grep -qx 'quoit_lb_routed_requests_total 1' <<<"$body"
    [ "$(grep -c '^quoit_lb_server_requests_total{server="Server[12]"} ' <<<"$body")" -eq 2 ]
}

@test "changes sent at once are made one after another, and each is answered" {
    start_lb --servers 2
    local i pids=()
    for i in {1..8}; do
        curl -sS --noproxy '*' --max-time 60 -X POST "http://$LB/add" -d "{\"n\":1,\"hostnames\":[\"C$i\"]}" \
            -o "$dir/answer.$i" -w '%{http_code}\n' >"$dir/code.$i" 3>&- &
        pids+=($!)
    done
    wait "${pids[@]}"
    [ "$(cat "$dir"/code.* | sort -u)" = 200 ]
    # each saw one more than the one before it
    [ "$(jq .message.N "$dir"/answer.* | sort -n | tr '\n' ' ')" = "3 4 5 6 7 8 9 10 " ]
    serving 10
    # of two who take the same name one gets it
    for i in 1 2; do
        curl -sS --noproxy '*' --max-time 60 -X POST "http://$LB/add" -d '{"n":1,"hostnames":["D"]}' \
            -o /dev/null -w '%{http_code}\n' >"$dir/twice.$i" 3>&- &
        pids[i]=$!
    done
    wait "${pids[1]}" "${pids[2]}"
    [ "$(cat "$dir"/twice.* | sort | tr '\n' ' ')" = "200 400 " ]
    serving 11
}

@test "four threads serve as one does" {
    start_lb --servers 3 --threads 4 --key-from header:X-Key
    local keys
    keys=$(seq 100003 25013 999999)
    routes_by_the_map "1 2 3" $keys
    ask POST /add -d '{"n":2,"hostnames":["S5","S4"]}'
    routes_by_the_map "1 2 3 4 5" $keys
    ask DELETE /rm -d '{"n":2,"hostnames":["Server1","S4"]}'
    answered 200 '{"message":{"N":3,"replicas":["Server2","Server3","S5"]},"status":"successful"}'
    routes_by_the_map "2 3 5" $keys
}
