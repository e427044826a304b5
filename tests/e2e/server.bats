#!/usr/bin/env bats
# One server by itself: CONTRACT.md, Part 1's server; and what every client may expect of HTTP, from
# a server and from the LB alike: order, keep-alive, HTTP/1.0, slow and half-closed clients.

setup_file() {
    load helper
    e2e_begin
    start_server --name Server7 --log-level warn
    start_lb --servers 3 --log-level warn --key-from header:X-Key
    export dir mark LB LB_PID SERVER SERVER_PID
}

teardown_file() {
    load helper
    e2e_end
}

setup() {
    load helper
    own=
}

teardown() {
    # a server of the test's own
    [ -z "$own" ] || kill -KILL "$own" 2>/dev/null || true
}

@test "home greets with the id of --id, of SERVER_ID, of the name, or with the name" {
    local row
    greets() { # WANTED [OPTION…]
        local wanted=$1
        shift
        start_server "$@"
        own=$SERVER_PID
        ask GET "http://$SERVER/home"
        kill "$SERVER_PID"
        answered 200 "{\"message\":\"Hello from Server: $wanted\",\"status\":\"successful\"}"
        [ "$(header X-Quoit-Server)" = "$name" ]
    }
    name=Server1 greets 1
    name=Server42 greets 42 --name Server42
    name=alpha greets alpha --name alpha
    name=S9 greets 17 --name S9 --id 17
    name=S9 SERVER_ID=23 greets 23 --name S9
    name=S9 SERVER_ID=23 greets 17 --name S9 --id 17
    name=S9 SERVER_ID='' greets 9 --name S9
    name=S9 greets 'a\"b\\c\u0001' --name S9 --id $'a"b\\c\x01'
}

@test "with --service-time /home is answered one at a time, and the rest at once" {
    local began
    start_server --name Server3 --log-level warn --service-time 2s
    own=$SERVER_PID
    began=$(date +%s%N)
    curl -sf --noproxy '*' -m 60 -o /dev/null "http://$SERVER/home" 3>&- &
    sleep 0.1
    curl -sf --noproxy '*' -m 1.8 -o /dev/null "http://$SERVER/heartbeat" # who waits does not hold it up
    ask GET "http://$SERVER/home"
    answered 200 '{"message":"Hello from Server: 3","status":"successful"}'
    [ $(($(date +%s%N) - began)) -ge 4000000000 ]
}

@test "the load balancer's servers get its --service-time" {
    start_lb --servers 1 --log-level warn --service-time 300ms
    own=$LB_PID
    [[ $(curl -sf --noproxy '*' -m 60 -o /dev/null -w '%{time_total}' "http://$LB/home") =~ ^(0\.[3-9]|[1-9]) ]]
}

@test "heartbeat is 200 with an empty body, and metrics are Prometheus text" {
    ask GET "http://$SERVER/heartbeat"
    [ "$code" = 200 ] && [ -z "$body" ] && [ "$(header Content-Length)" = 0 ]
    ask GET "http://$SERVER/metrics"
    [ "$code" = 200 ] && [[ $type == "text/plain; version=0.0.4"* ]]
    grep -q '^quoit_http_requests_total [1-9]' <<<"$body"
    grep -q '^quoit_server_cpu_seconds_total [0-9.e-]*$' <<<"$body"
    # every sample has its help and its type before it
    awk '/^# HELP/ { help[$3] = 1 } /^# TYPE/ { type[$3] = 1 }
        /^[^#]/ { split($1, name, "{"); if (!help[name[1]] || !type[name[1]]) exit 1 }' <<<"$body"
}

@test "a path that a server does not have is 404, a method 405" {
    ask GET "http://$SERVER/other?x"
    refused 404 "'/other' endpoint does not exist on this server"
    local path method
    for path in /home /heartbeat /metrics; do
        for method in POST PUT DELETE PATCH OPTIONS; do
            ask $method "http://$SERVER$path" -d x
            refused_with 405 "$path"
            [ "$(header Allow)" = "GET, HEAD" ]
        done
    done
    ask GET "http://$SERVER/home" -d '{"a":1}'
    [ "$code" = 200 ]
}

@test "answers carry a date, a length and the server's name" {
    local said before=$EPOCHSECONDS after
    ask GET "http://$SERVER/home"
    after=$EPOCHSECONDS
    [ "$(header X-Quoit-Server)" = Server7 ]
    [ "$(header Content-Length)" = ${#body} ]
    said=$(date -d "$(header Date)" +%s)
    [ "$said" -ge $((before - 1)) ] && [ "$said" -le $((after + 1)) ]
    [[ $(header Date) == *" GMT" ]]
}

@test "SIGTERM ends a server at once when nothing is under way; SIGINT too" {
    local signal
    for signal in TERM INT; do
        once_in_five ends_at_once $signal
        run raw "$SERVER" 'GET /home HTTP/1.1\r\nHost: x\r\n\r\n'
        [ -z "$output" ]
    done
}

# Grace for what is under way would be 2 s.
ends_at_once() { # SIGNAL
    local begun
    start_server || return
    own=$SERVER_PID
    begun=${EPOCHREALTIME/[.,]/}
    kill "-$1" "$SERVER_PID" && within 2 gone "$SERVER_PID" || return
    [ $((${EPOCHREALTIME/[.,]/} - begun)) -lt 1000000 ]
}

@test "a server without a heartbeat for --orphan-after ends by itself; a heartbeat keeps it" {
    start_server --orphan-after 1500ms
    own=$SERVER_PID
    local i
    for i in 1 2 3 4; do
        ask GET "http://$SERVER/heartbeat"
        sleep 0.5
    done
    run ! gone "$SERVER_PID"
    # other requests are no sign of an LB
    for i in {1..45}; do
        ask GET "http://$SERVER/home" || break
        sleep 0.1
    done
    [ "$i" -lt 45 ]
    within 1 gone "$SERVER_PID"
    grep -q "no load balancer was heard" "$dir/server.log"
}

@test "pipelined requests are answered in their order" {
    local requests='' wanted='' i
    # kinds that take different ways through the LB: routed, its own, refused
    for i in 1 2 3 4 5 6 7 8; do
        requests+='GET /home HTTP/1.1\r\nHost: x\r\nX-Key: 10000'$i'\r\n\r\n'
        requests+='GET /rep HTTP/1.1\r\nHost: x\r\n\r\nGET /nowhere'$i' HTTP/1.1\r\nHost: x\r\n\r\n'
        requests+='POST /rep HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}'
        wanted+="200 200 400 405 "
    done
    requests+='GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
    run raw "$LB" "$requests"
    [ "$status" -eq 0 ]
    [ "$(codes "$output")" = "${wanted}200" ]
    [ "$(grep -o "'/nowhere[0-9]'" <<<"$output" | tr -dc 0-9)" = 12345678 ]
}

@test "a thousand pipelined requests, far more than are taken at once, are answered in order" {
    local i
    for i in {0001..1000}; do
        printf 'GET /n%s HTTP/1.1\r\nHost: x\r\nX-Key: 5%s0\r\n\r\n' $i $i
    done >"$dir/many"
    printf 'GET /end HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' >>"$dir/many"
    local address
    for address in "$LB" "$SERVER"; do
        raw_file "$address" "$dir/many" >"$dir/answers"
        grep -o "'/n[0-9]*'" "$dir/answers" | tr -dc '0-9\n' >"$dir/order"
        diff <(seq -w 0001 1000) "$dir/order"
        grep -q "'/end'" "$dir/answers"
    done
}

@test "a thousand requests over one connection that is kept" {
    local address
    for address in "$LB" "$SERVER"; do
        # curl counts the connections that it had to make
        curl -sS --noproxy '*' --max-time 60 "http://$address/home?[1-1000]" -o "$dir/page" \
            -w '%{http_code} %{num_connects}\n' | sort | uniq -c | sort -n >"$dir/counts"
        diff -w <(printf '1 200 1\n999 200 0\n') "$dir/counts"
    done
}

@test "Connection: close closes after the answer, keep-alive does not" {
    local address
    for address in "$LB" "$SERVER"; do
        run raw "$address" 'GET /home HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\nGET /home HTTP/1.1\r\nHost: x\r\n\r\n'
        [ "$status" -eq 0 ]
        [ "$(codes "$output")" = 200 ]
        [[ $output == *"Connection: close"* ]]
        run raw "$address" 'GET /home HTTP/1.1\r\nHost: x\r\nConnection: x, CLOSE\r\n\r\nGET /home HTTP/1.1\r\nHost: x\r\n\r\n'
        [ "$(codes "$output")" = 200 ]
        run raw "$address" 'GET /home HTTP/1.1\r\nHost: x\r\n\r\nGET /home HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
        [ "$(codes "$output")" = "200 200" ]
        [ "$(grep -c "Connection: close" <<<"$output")" -eq 1 ]
    done
}

@test "HTTP/1.0 is closed after an answer, unless it asks for keep-alive" {
    local address
    for address in "$LB" "$SERVER"; do
        run raw "$address" 'GET /home HTTP/1.0\r\n\r\nGET /home HTTP/1.0\r\n\r\n'
        [ "$status" -eq 0 ]
        [ "$(codes "$output")" = 200 ]
        [[ $output == *"Hello from Server"* && $output == *"Connection: close"* ]]
        run raw "$address" 'GET /home HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /home HTTP/1.0\r\n\r\n'
        [ "$status" -eq 0 ]
        [ "$(codes "$output")" = "200 200" ]
        [ "$(grep -c "Connection: keep-alive" <<<"$output")" -eq 1 ]
        # a body and an answer in HTTP/1.0
        run raw "$address" 'GET /home HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc'
        [ "$(codes "$output")" = 200 ]
    done
    # never a chunk for one who does not know them
    [[ $output != *hunked* ]]
}

@test "Expect: 100-continue is answered before the body comes" {
    local address line
    for address in "$LB" "$SERVER"; do
        exec {fd}<>"/dev/tcp/${address%:*}/${address##*:}"
        printf 'GET /home HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n' >&"$fd"
        IFS= read -r -t 20 -u "$fd" line
        [ "$line" = $'HTTP/1.1 100 Continue\r' ]
        IFS= read -r -t 20 -u "$fd" line
        [ "$line" = $'\r' ]
        # and no answer yet
        run ! read -r -t 0.1 -u "$fd" line
        printf 'abcde' >&"$fd"
        IFS= read -r -t 20 -u "$fd" line
        [ "$line" = $'HTTP/1.1 200 OK\r' ]
        exec {fd}>&-
    done
    # behind a request whose answer is still under way
    run raw "$LB" 'GET /home HTTP/1.1\r\nHost: x\r\n\r\nGET /home HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n\r\nabcde'
    [[ $(codes "$output") == "200 200" || $(codes "$output") == "200 100 200" ]]
    # HTTP/1.0 knows no 100
    run raw "$LB" 'GET /home HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nabcde'
    [ "$(codes "$output")" = 200 ]
}

@test "a client that sends byte by byte is understood" {
    local address i text=$'GET /home HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n'
    for address in "$LB" "$SERVER"; do
        exec {fd}<>"/dev/tcp/${address%:*}/${address##*:}"
        for ((i = 0; i < ${#text}; i++)); do printf '%s' "${text:i:1}" >&"$fd"; done
        run timeout 20 cat <&"$fd"
        exec {fd}>&-
        [ "$status" -eq 0 ]
        [ "$(codes "$output")" = 200 ]
    done
}

@test "a client that dawdles holds up nobody" {
    exec {fd}<>"/dev/tcp/${LB%:*}/${LB##*:}"
    printf 'POST /add HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"n":' >&"$fd"
    local i
    for i in 1 2 3 4 5; do
        ask GET /home
        [ "$code" = 200 ]
    done
    ask GET /rep
    [ "$code" = 200 ]
    exec {fd}>&-
    # it never said what to add
    [ "$(n_servers)" -eq 3 ]
}

@test "a client that has closed its side gets all its answers" {
    local address requests='' i
    for i in {1..200}; do requests+='GET /home HTTP/1.1\r\nHost: x\r\n\r\n'; done
    for address in "$LB" "$SERVER"; do
        raw_half_closed "$address" "$requests" >"$dir/answers"
        [ "$(grep -ao 'Hello from Server' "$dir/answers" | wc -l)" -eq 200 ]
    done
    # and when they come only long after
    signal_all STOP server
    raw_half_closed "$LB" "$requests" >"$dir/answers" 3>&- &
    sleep 0.3
    signal_all CONT server
    wait $!
    [ "$(grep -ao 'Hello from Server' "$dir/answers" | wc -l)" -eq 200 ]
    # a request that was cut off gets none
    run raw_half_closed "$LB" 'GET /rep HTTP/1.1\r\nHost: x\r\n\r\nGET /rep HTTP/1.1\r\nHos'
    [ "$(codes "$output")" = 200 ]
}

@test "clients that leave before their answer harm nobody" {
    local i
    for i in {1..30}; do
        exec {fd}<>"/dev/tcp/${LB%:*}/${LB##*:}"
        printf 'GET /home HTTP/1.1\r\nHost: x\r\n\r\nGET /rep HTTP/1.1\r\nHost: x\r\n\r\nGET /home HT' >&"$fd"
        exec {fd}>&-
    done
    [ "$(n_servers)" -eq 3 ]
    ask GET /home
    [ "$code" = 200 ]
    kill -0 "$LB_PID"
}

resident_kb() { # PID
    awk '/^VmRSS/ { print $2 }' "/proc/$1/status"
}

@test "a client that does not read its answers is not read either, and costs no memory without end" {
    local before after
    before=$(resident_kb "$SERVER_PID")
    exec {fd}<>"/dev/tcp/${SERVER%:*}/${SERVER##*:}"
    # as much as it takes, each with 2 KB to answer; then sending gets stuck
    timeout 1 yes $'GET /metrics HTTP/1.1\r\nHost: x\r\n\r' >&"$fd" || [ $? -eq 124 ]
    after=$(resident_kb "$SERVER_PID")
    exec {fd}>&-
    [ $((after - before)) -lt 10000 ]
    ask GET "http://$SERVER/home"
    [ "$code" = 200 ]
}

@test "a target in absolute form is served, its authority set aside" {
    local address
    for address in "$LB" "$SERVER"; do
        run raw "$address" 'GET http://example.org/home?x=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
        [ "$(codes "$output")" = 200 ]
        [[ $output == *"Hello from Server"* ]]
    done
}

@test "hop-by-hop headers in a request break nothing, and an answer has each of its headers once" {
    run raw "$LB" 'GET /home HTTP/1.1\r\nHost: x\r\nConnection: X-Key, close\r\nX-Key: 100000\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\nUpgrade: h2c\r\nProxy-Connection: close\r\n\r\n'
    [ "$(codes "$output")" = 200 ]
    [[ $output == *"X-Quoit-Server: Server"* ]]
    [ "$(grep -c '^Content-Length:' <<<"$output")" -eq 1 ]
    [ "$(grep -c '^Date:' <<<"$output")" -eq 1 ]
}
