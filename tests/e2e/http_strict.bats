#!/usr/bin/env bats
# Bytes that two programs could read differently (RFC 9112), and bytes without end: refused with 400,
# 413, 414 or 431, the connection closed, and nothing behind them is ever answered. All of it holds for the
# LB and for a server alone. (Deadlines: the unit tests, since they take seconds.)

setup_file() {
    load helper
    e2e_begin
    start_server --name Server9 --log-level warn
    start_lb --servers 2 --log-level warn --key-from header:X-Key
    export dir mark LB LB_PID SERVER SERVER_PID
}

teardown_file() {
    load helper
    e2e_end
}

setup() {
    load helper
}

# Requests that the LB has routed so far.
routed() {
    get /metrics | sed -n 's/^quoit_lb_routed_requests_total //p'
}

# Sends what is to be refused, and behind it whole good requests, to whatever may have taken the
# first for shorter or longer than it is: one answer must come, then the end, and the LB must have
# handed on none of it.
refused_and_closed() { # STATUS-PATTERN WORDS FORMAT
    local address answers n_routed
    local behind='GET /home HTTP/1.1\r\nHost: smuggled\r\n\r\nGET /rep HTTP/1.1\r\nHost: x\r\n\r\n'
    n_routed=$(routed)
    for address in "$LB" "$SERVER"; do
        answers=$(raw "$address" "$3$behind") || {
            echo "not closed after ${3:0:200}"
            return 1
        }
        # shellcheck disable=SC2053 # a pattern
        if [[ $(codes "$answers") != $1 || $answers != *"Connection: close"* ||
            $answers != *$'\n\n{"message":"<Error> '*"$2"*'","status":"failure"}' ]]; then
            printf 'for %s\nwanted one %s with %s and the end, got\n%s\n' "${3:0:200}" "$1" "$2" "$answers"
            return 1
        fi
    done
    [ "$(routed)" -eq "$n_routed" ] || {
        echo "a server got something of: ${3:0:200}"
        return 1
    }
}

repeat() { # N WORD
    local blanks
    printf -v blanks '%*s' "$1" ''
    echo "${blanks// /$2}"
}

@test "the harness itself: what is well formed is answered twice over" {
    local address answers
    for address in "$LB" "$SERVER"; do
        answers=$(raw "$address" 'GET /home HTTP/1.1\r\nHost: x\r\n\r\nGET /home HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
        [ "$(codes "$answers")" = "200 200" ]
    done
}

@test "both Content-Length and Transfer-Encoding" {
    refused_and_closed 400 "Transfer-Encoding" \
        'POST /home HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'
    refused_and_closed 400 "" \
        'POST /home HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n'
    refused_and_closed 400 "" \
        'GET /home HTTP/1.1\r\nHost: x\r\ntransfer-encoding: Chunked\r\ncontent-length: 0\r\n\r\n0\r\n\r\n'
}

@test "two lengths, the same or different, in two headers or in one" {
    refused_and_closed 400 "" \
        'POST /home HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 40\r\n\r\n'
    refused_and_closed 400 "" \
        'POST /home HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\ncontent-length: 0\r\n\r\n'
    refused_and_closed 400 "" 'POST /home HTTP/1.1\r\nHost: x\r\nContent-Length: 0, 40\r\n\r\n'
    refused_and_closed 400 "" 'POST /home HTTP/1.1\r\nHost: x\r\nContent-Length: 0, 0\r\n\r\n'
}

@test "a length that is no number" {
    local length
    for length in +0 -1 0x0 '' '0 0' 0. 0a 1e1 18446744073709551616 99999999999999999999999999; do
        refused_and_closed 400 "" "POST /home HTTP/1.1\r\nHost: x\r\nContent-Length: $length\r\n\r\n"
    done
}

@test "a Transfer-Encoding that is not chunked, or twice" {
    local coding
    for coding in gzip identity 'gzip, chunked' 'chunked, gzip' 'chunked, chunked' xchunked 'chunked;q=1' \
        '"chunked"'; do
        refused_and_closed "[45]0[01]" "Transfer-Encoding" \
            "POST /home HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: $coding\r\n\r\n0\r\n\r\n"
    done
    refused_and_closed 400 "" \
        'POST /home HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'
    refused_and_closed 400 "" \
        'POST /home HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'
    refused_and_closed 400 "" \
        'POST /home HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n'
    refused_and_closed 400 "" \
        'POST /home HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\vchunked\r\n\r\n0\r\n\r\n'
}

@test "a chunk that is not one" {
    local chunk
    # \r\n wanting after the size, after the data; a size that is none, negative, too large
    for chunk in '1\na\r\n0\r\n\r\n' '1\ra\r\n0\r\n\r\n' '1\r\na0\r\n\r\n' '1\r\nab\r\n0\r\n\r\n' \
        'g\r\na\r\n0\r\n\r\n' '\r\n\r\n' '-1\r\n\r\n' '+1\r\na\r\n0\r\n\r\n' '0x1\r\na\r\n0\r\n\r\n' \
        '10000000000000000\r\n' '1 \n\ra\r\n0\r\n\r\n' '0\n\n' '0\r\n\n' '0\n\r\n' '1;x=\n\r\na\r\n0\r\n\r\n'; do
        refused_and_closed 400 "" \
            "POST /home HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n$chunk"
    done
}

@test "a header folded over two lines" {
    # In whose words depends on llhttp: version 8 lets it pass, and core/http.c refuses it.
    refused_and_closed 400 "" 'GET /home HTTP/1.1\r\nHost: x\r\nX-A: b\r\n c\r\n\r\n'
    refused_and_closed 400 "" 'GET /home HTTP/1.1\r\nHost: x\r\nX-A: b\r\n\tc: d\r\n\r\n'
    refused_and_closed 400 "" 'GET /home HTTP/1.1\r\n Host: x\r\nHost: x\r\n\r\n'
    refused_and_closed 400 "" \
        'GET /home HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n 5\r\n\r\nabcde'
}

@test "a bare LF or a bare CR anywhere in the head" {
    local lines
    for lines in 'GET /home HTTP/1.1\nHost: x\r\n\r\n' 'GET /home HTTP/1.1\r\nHost: x\n\r\n' \
        'GET /home HTTP/1.1\r\nHost: x\r\n\n' 'GET /home HTTP/1.1\nHost: x\n\n' \
        'GET /home HTTP/1.1\r\nHost: x\r\nA: b\nC: d\r\n\r\n' \
        'GET /home HTTP/1.1\rHost: x\r\n\r\n' 'GET /home HTTP/1.1\r\nHost: x\rA: b\r\n\r\n' \
        'GET /home HTTP/1.1\r\nHost: x\r\nA: b\rC\r\n\r\n' 'GET /home HTTP/1.1\r\nHost: x\r\n\r\r\n' \
        'GET /home HTTP/1.1\r\nHost: x\r\r\n\r\n' '\nGET /home HTTP/1.1\r\nHost: x\r\n\r\n' \
        'GET /ho\rme HTTP/1.1\r\nHost: x\r\n\r\n'; do
        refused_and_closed 400 "" "$lines"
    done
}

@test "white space before the colon, and names that are no tokens" {
    local line
    for line in 'X-A : b' 'X-A\t: b' 'Content-Length : 5' ': b' 'X A: b' 'X-A' 'X(A): b' 'X\0A: b' \
        'X-A\x7f: b' 'X-\xc3\xa9: b'; do
        refused_and_closed 400 "" "GET /home HTTP/1.1\r\nHost: x\r\n$line\r\n\r\n"
    done
    refused_and_closed 400 "" 'GET /home HTTP/1.1\r\nHost : x\r\n\r\n'
}

@test "NUL and control characters in a header's value" {
    local value
    for value in 'a\0b' '\0' 'a\x01b' 'a\x08' 'a\x1fb' 'a\x7fb'; do
        refused_and_closed 400 "" "GET /home HTTP/1.1\r\nHost: x\r\nX-A: $value\r\n\r\n"
    done
}

@test "two Hosts, or none in HTTP/1.1" {
    refused_and_closed 400 "two Host" 'GET /home HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n'
    refused_and_closed 400 "two Host" 'GET /home HTTP/1.1\r\nHost: x\r\nhOST: x\r\n\r\n'
    refused_and_closed 400 "no Host" 'GET /home HTTP/1.1\r\n\r\n'
    refused_and_closed 400 "no Host" 'GET /home HTTP/1.1\r\nX-Host: x\r\n\r\n'
}

@test "a path that climbs, plainly or by escapes" {
    local path
    for path in /.. /../home /a/../home /home/.. /%2e%2e /%2E%2e/home /.%2e/ /%2e./home '/..%2fhome' \
        '/a%2f..%2fhome' '/a/..%2Fhome' '/%2e%2e%2fhome' '/a/..?x=1'; do
        refused_and_closed 400 "'..' segment" "GET ${path//%/%%} HTTP/1.1\r\nHost: x\r\n\r\n"
    done
    # names that only look like it are paths like any other
    for path in /... /..a /a.. /%%2e%%2ea '/home?x=/../y'; do
        [[ $(raw "$LB" "GET $path HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") != *"segment"* ]]
    done
}

@test "a path with an escape of NUL or of a control character, or with a broken escape" {
    local path
    for path in /%00 /home%00 '/home%00?x' /a%0ab /a%0d%0aX:y /%1f /%7f; do
        refused_and_closed 400 "" "GET ${path//%/%%} HTTP/1.1\r\nHost: x\r\n\r\n"
    done
    for path in /% /%2 /%zz /%2g /home% '/a%%41' '/%?x'; do
        refused_and_closed 400 "two hexadecimal digits" "GET ${path//%/%%} HTTP/1.1\r\nHost: x\r\n\r\n"
    done
}

@test "a start line that is not one" {
    local line
    for line in 'GET  /home HTTP/1.1' 'GET /home  HTTP/1.1 x' 'GET home HTTP/1.1' \
        'GET /ho me HTTP/1.1' ' GET /home HTTP/1.1' 'GET /home HTTP/1.1 x' 'GET /home HTTTP/1.1' \
        'GET\t/home HTTP/1.1' 'GET /\0 HTTP/1.1' 'GET /a\x01b HTTP/1.1' \
        'GET http://x HTTP/1.1' 'GET ftp://x/home HTTP/1.1' 'G\xffT /home HTTP/1.1' '\x16\x03\x01\x02'; do
        refused_and_closed 400 "" "$line\r\nHost: x\r\n\r\n"
    done
    refused_and_closed 501 "" 'BREW /home HTTP/1.1\r\nHost: x\r\n\r\n'
    refused_and_closed 501 "" 'get /home HTTP/1.1\r\nHost: x\r\n\r\n'
    refused_and_closed 501 "CONNECT" 'CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n'
    refused_and_closed 505 "" 'GET /home\r\n\r\n'
    refused_and_closed 505 "" 'GET /home HTTP/2.0\r\nHost: x\r\n\r\n'
    refused_and_closed 505 "" 'GET /home HTTP/0.9\r\nHost: x\r\n\r\n'
    refused_and_closed 505 "" 'GET /home HTTP/x.1\r\nHost: x\r\n\r\n'
    refused_and_closed 505 "" 'GET /home HTTP/3.1\r\nHost: x\r\n\r\n'
    # HTTP/2 without asking (RFC 9113 section 3.4)
    refused_and_closed '[45]0[05]' "" 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
}

@test "a head longer than 16 KiB, by one header or by many; the one just below passes" {
    local long
    long=$(repeat 16400 a)
    refused_and_closed 431 "" "GET /home HTTP/1.1\r\nHost: x\r\nX-A: $long\r\n\r\n"
    # one that never ends
    refused_and_closed 431 "" "GET /home HTTP/1.1\r\nHost: x\r\nX-A: $long$long$long"
    long=$(repeat 90 "X-Some: $(repeat 190 b)\r\n")
    refused_and_closed 431 "" "GET /home HTTP/1.1\r\nHost: x\r\n$long\r\n"
    # 16384 bytes all in all
    long=$(repeat $((16384 - 59)) a)
    for address in "$LB" "$SERVER"; do
        run raw "$address" "GET /home HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-A:   $long\r\n\r\n"
        [ "${lines[0]}" = "HTTP/1.1 200 OK" ]
    done
    refused_and_closed 431 "" "GET /home HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-A:    $long\r\n\r\n"
}

@test "more than 100 headers; 100 pass" {
    local many
    many=$(repeat 100 'X-A: b\r\n')
    refused_and_closed 431 "100 headers" "GET /home HTTP/1.1\r\nHost: x\r\n$many\r\n"
    many=$(repeat 98 'X-A: b\r\n')
    for address in "$LB" "$SERVER"; do
        run raw "$address" "GET /home HTTP/1.1\r\nHost: x\r\n${many}Connection: close\r\n\r\n"
        [ "${lines[0]}" = "HTTP/1.1 200 OK" ]
    done
}

@test "a target longer than 8 KiB; one of 8 KiB passes" {
    local long
    long=$(repeat 8187 a)
    refused_and_closed 414 "8 KiB" "GET /home?$long HTTP/1.1\r\nHost: x\r\n\r\n"
    refused_and_closed 414 "" "GET /$long$long HTTP/1.1\r\nHost: x\r\n\r\n"
    # one that never ends
    refused_and_closed 414 "" "GET /$long$long$long"
    for address in "$LB" "$SERVER"; do # /home?… of 8192 bytes
        run raw "$address" "GET /home?$long HTTP/1.1\r\nHost: x\r\n\r\n"
        [ "${lines[0]}" = "HTTP/1.1 414 URI Too Long" ]
        run raw "$address" "GET /home?${long:1} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        [ "${lines[0]}" = "HTTP/1.1 200 OK" ]
    done
}

@test "a body of 17 MiB: refused as soon as it is declared, or when so much of it has come" {
    refused_and_closed 413 "" 'POST /home HTTP/1.1\r\nHost: x\r\nContent-Length: 17825792\r\n\r\n'
    refused_and_closed 413 "" \
        'POST /add HTTP/1.1\r\nHost: x\r\nContent-Length: 17825792\r\nExpect: 100-continue\r\n\r\n'
    # in chunks, none of which says how many will come
    {
        printf 'POST /add HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n'
        for i in {1..17}; do
            printf '100000\r\n'
            head -c 1048576 /dev/zero
            printf '\r\n'
        done
        printf '0\r\n\r\nGET /rep HTTP/1.1\r\nHost: x\r\n\r\n'
    } >"$dir/chunks"
    local address
    for address in "$LB" "$SERVER"; do
        run raw_file "$address" "$dir/chunks"
        [ "$status" -eq 0 ]
        [ "$(codes "$output")" = 413 ]
    done
}

@test "an Expect other than 100-continue" {
    refused_and_closed 417 "Expect" 'GET /home HTTP/1.1\r\nHost: x\r\nExpect: 200-ok\r\n\r\n'
}

@test "what comes before a refused request on the same connection is answered first" {
    local address
    for address in "$LB" "$SERVER"; do
        run raw "$address" 'GET /home HTTP/1.1\r\nHost: x\r\n\r\nGET /home HTTP/1.1\r\nHost: x\r\n\r\nGET /home HTTP/1.1\r\n\r\nGET /home HTTP/1.1\r\nHost: x\r\n\r\n'
        [ "$status" -eq 0 ]
        [ "$(codes "$output")" = "200 200 400" ]
    done
}

# The LB's connection to a server carries everybody's requests: a header that Connection names is
# taken off on the way, but these three are not the client's to take off.
@test "Connection cannot take off the length, the host or the framing of a request" {
    local named line
    for named in Content-Length content-length Host 'Host, Content-Length' 'close, Content-Length, Host' \
        Transfer-Encoding; do
        run raw "$LB" "POST /home HTTP/1.1\r\nHost: x\r\nX-Key: 100000\r\nConnection: $named\r\nContent-Length: 35\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"'GET /home HTTP/1.1\r\nHost: x\r\nX-Key: 100000\r\nConnection: close\r\n\r\n'
        [ "$status" -eq 0 ]
        [[ $output != *smuggled* ]]
        [[ $named == close* && $(codes "$output") == 405 || $(codes "$output") == "405 200" ]]
        # those behind it on the LB's connection get their own answers
        ask GET /home -H 'X-Key: 100000'
        [ "$code" = 200 ]
        ask GET /home -H 'X-Key: 100000' -H "Connection: $named"
        [ "$code" = 200 ]
    done
    run raw "$LB" 'POST /home HTTP/1.1\r\nHost: x\r\nX-Key: 100000\r\nConnection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n23\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n\r\n0\r\n\r\nGET /home HTTP/1.1\r\nHost: x\r\nX-Key: 100000\r\nConnection: close\r\n\r\n'
    [ "$(codes "$output")" = "405 200" ]
    [[ $output != *smuggled* ]]
}

@test "a body that looks like requests is a body" {
    local address
    for address in "$LB" "$SERVER"; do
        run raw "$address" 'GET /home HTTP/1.1\r\nHost: x\r\nContent-Length: 35\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\nGET /home HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
        [ "$(codes "$output")" = "200 200" ]
        run raw "$address" 'GET /home HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n23\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n\r\n0\r\n\r\nGET /home HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
        [ "$(codes "$output")" = "200 200" ]
    done
}

@test "after all that the LB and its servers are as they were" {
    serving 2
    get /cluster | jq -e '.version == 1'
    kill -0 "$LB_PID" "$SERVER_PID"
}
