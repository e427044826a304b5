#!/usr/bin/env bats
# Every refusal of the LB's Part 1 endpoints: its status, its words, and that it changes nothing.
# One LB serves the file's tests; each test ends by looking whether the cluster is as it was.

setup_file() {
    load helper
    e2e_begin
    start_lb --servers 3 --log-level warn
    cluster_before=$(members)
    export dir mark LB LB_PID cluster_before
}

teardown_file() {
    load helper
    e2e_end
}

setup() {
    load helper
    : >"$dir/refusals"
}

teardown() {
    unchanged
    all_are_json
}

# What a refusal must not change, and how many servers were ever asked for.
members() {
    get /rep
    get /cluster | jq -c '[.version, .N, .target, (.servers | map([.name, .id, .uid, .state, .pid]))]'
    get /metrics | grep '^quoit_lb_server_starts_total '
    marked | sort
}

unchanged() {
    diff <(echo "$cluster_before") <(members)
}

# As refused_with 400, for many: whether all are JSON is looked at once a test.
refuses() { # METHOD PATH BODY WORDS
    ask "$1" "$2" --data-binary "$3"
    echo "$body" >>"$dir/refusals"
    if [[ $code != 400 || $type != application/json ||
        $body != '{"message":"<Error> '*"$4"*'","status":"failure"}' ]]; then
        printf 'for %s\nwanted 400 with %s\ngot    %s %s %s\n' "${3:0:300}" "$4" "$code" "$type" "$body"
        return 1
    fi
}

all_are_json() {
    jq -se 'all(.[]; keys == ["message", "status"] and .status == "failure")' <"$dir/refusals"
    [ "$(jq -s length <"$dir/refusals")" -eq "$(wc -l <"$dir/refusals")" ]
}

add() { # BODY WORDS
    refuses POST /add "$1" "$2"
}

rm_() { # BODY WORDS
    refuses DELETE /rm "$1" "$2"
}

both() {
    add "$@"
    rm_ "$@"
}

# The same for a body in printf's format, which may hold any byte.
both_bytes() { # FORMAT WORDS
    # shellcheck disable=SC2059
    printf "$1" >"$dir/bytes"
    both "@$dir/bytes" "$2"
}

@test "add: a list longer than n, in the contract's words" {
    ask POST /add -d '{"n":1,"hostnames":["a","b"]}'
    refused 400 "Length of hostname list is more than newly added instances"
    unchanged
    ask POST /add -d '{"n":2,"hostnames":["a","b","c"]}'
    refused 400 "Length of hostname list is more than newly added instances"
    # so too when its names are no names
    ask POST /add -d '{"n":1,"hostnames":["a","a",7]}'
    refused 400 "Length of hostname list is more than newly added instances"
}

@test "rm: a list longer than n, in the contract's words" {
    ask DELETE /rm -d '{"n":1,"hostnames":["Server1","Server2"]}'
    refused 400 "Length of hostname list is more than removable instances"
    unchanged
    ask DELETE /rm -d '{"n":2,"hostnames":["Server1","Server2","Server3"]}'
    refused 400 "Length of hostname list is more than removable instances"
}

@test "n below 1" {
    both '{"n":0}' '\"n\" is 0'
    both '{"n":-1}' '\"n\" is -1'
    both '{"n":-0}' '\"n\" is 0'
    both '{"n":-9223372036854775808}' '\"n\" is -9223372036854775808'
    both '{"n":0,"hostnames":[]}' '\"n\" is 0'
    both '{"n":0,"hostnames":["Server1"]}' '\"n\" is 0'
}

@test "n that is no whole number, or missing" {
    local n
    for n in 1.5 0.1 1e-1 '"3"' null true '[1]' '{"n":1}' '""'; do
        both "{\"n\":$n}" '\"n\" is not a whole number'
    done
    both '{}' '\"n\" is missing'
    both '{"hostnames":["a"]}' '\"n\" is missing'
    both '{"N":1}' "'N' is not known"
}

@test "n far too large" {
    add '{"n":1000000000000000000}' '\"n\" is 1000000000000000000'
    add '{"n":1e18}' '\"n\" is 1000000000000000000'
    add '{"n":9223372036854775807}' '\"n\" is 9223372036854775807'
    both '{"n":9223372036854775808}' '\"n\" is'
    both '{"n":18446744073709551617}' '\"n\" is'
    both '{"n":1000000000000000000000000000000}' '\"n\" is'
    both '{"n":1e30}' '\"n\" is'
    both '{"n":1e999999}' 'a number too large'
    both '{"n":4294967297}' '\"n\" is 4294967297'
}

@test "rm: more than there are" {
    rm_ '{"n":4}' 'only 3 servers'
    rm_ '{"n":1000}' 'only 3 servers'
    rm_ '{"n":4,"hostnames":["Server1"]}' 'only 3 servers'
    rm_ '{"n":1000000}' '\"n\" is 1000000'
}

@test "add: more than the map's slots hold, and nothing is started" {
    # (512 / 9) servers fit: 56
    add '{"n":54}' '57 servers with 9 virtual nodes each are 513, more than the 512 slots'
    add '{"n":1000}' '1003 servers with 9 virtual nodes each'
    add '{"n":54,"hostnames":["a"]}' '57 servers'
}

@test "a name that is taken, or twice in the list" {
    add '{"n":1,"hostnames":["Server1"]}' "'Server1' is there already"
    add '{"n":3,"hostnames":["new1","Server3","new2"]}' "'Server3' is there already"
    add '{"n":2,"hostnames":["new","new"]}' "'new' twice"
    add '{"n":9,"hostnames":["a","b","c","d","a"]}' "'a' twice"
    add '{"n":2,"hostnames":["new","\u006eew"]}' "'new' twice"
    rm_ '{"n":2,"hostnames":["Server1","Server1"]}' "'Server1' twice"
    rm_ '{"n":3,"hostnames":["Server1","Server2","Server1"]}' "'Server1' twice"
}

@test "rm: a name that no server has" {
    rm_ '{"n":1,"hostnames":["Server4"]}' "no server is named 'Server4'"
    rm_ '{"n":2,"hostnames":["Server1","server2"]}' "no server is named 'server2'"
    rm_ '{"n":3,"hostnames":["Server1","Server2","Server"]}' "no server is named 'Server'"
}

@test "names that are no names" {
    local name long
    long=$(printf 'a%.0s' {1..64})
    for name in '' ' ' 'a b' '-a' '_a' '.a' '..' 'a/b' '../../etc/passwd' 'a;reboot' '$(reboot)' 'a\\b' \
        'a\nb' 'a\tb' "a'b" 'a\"b' 'é' '\u00e9' 'a:1' 'a,b' 'a%00' 'Server[5]' "$long" 'a\u007f'; do
        both "{\"n\":1,\"hostnames\":[\"$name\"]}" 'which is no server name'
        # beside good ones as well
        add "{\"n\":3,\"hostnames\":[\"good\",\"$name\"]}" 'which is no server name'
    done
    # a megabyte of it is refused as well, and not sent back
    { printf '{"n":1,"hostnames":["'; head -c 1000000 /dev/zero | tr '\0' x; printf '"]}'; } >"$dir/bytes"
    both "@$dir/bytes" "xxx...', which is no server name"
    [ ${#body} -lt 2000 ]
}

@test "hostnames that is no list of strings" {
    local names
    for names in '"a"' 1 null true '{"0":"a"}' '{}'; do
        both "{\"n\":1,\"hostnames\":$names}" '\"hostnames\" is not an array'
    done
    for names in 1 null true '["a"]' '{}' 1.5; do
        both "{\"n\":1,\"hostnames\":[$names]}" 'no string'
        add "{\"n\":2,\"hostnames\":[\"good\",$names]}" 'no string'
    done
}

@test "keys that are not known" {
    both '{"n":1,"hostname":["a"]}' "'hostname' is not known here"
    both '{"n":1,"Hostnames":["a"]}' "'Hostnames' is not known here"
    both '{"n":1,"":1}' "'' is not known here"
    both '{"x":1}' "'x' is not known here"
    both '{"n":1,"a\"b\u0001é":1}' 'is not known here'
}

@test "a key twice" {
    both '{"n":1,"n":1}' 'second key'
    both '{"n":1,"hostnames":["a"],"hostnames":["b"]}' 'second key'
    both '{"n":1,"\u006e":2}' 'second key'
    both '{"n":1,"x":{"y":1,"y":2}}' 'second key'
}

@test "a body that is JSON and no object" {
    local text
    for text in '[]' '[{"n":1}]' '"n"' 1 null true; do
        both "$text" 'the body is no JSON object'
    done
}

@test "a body that is not JSON" {
    local text
    for text in 'n=1' '{' '{"n":1' '{"n":' '{"n"' '{"n":1,' '{"n":1,}' '{n:1}' "{'n':1}" '{"n":01}' \
        '{"n":+1}' '{"n":1.}' '{"n":.5}' '{"n":0x1}' '{"n":NaN}' '{"n":Infinity}' '{"n":1}}' \
        '{"n":1} x' '{"n":1}{"n":1}' '{"n":1}//' '/**/{"n":1}' '{"n" 1}' '{"n":1 "hostnames":[]}' \
        '{"n":1,"hostnames":["a",]}' '{"n":1,"hostnames":["a"' '{"n":1,"hostnames":["a' \
        '{"n":1,"hostnames":["\x"]}' '{"n":1,"hostnames":["\u12"]}' '{"n":1,"hostnames":["\ud800"]}' \
        '{"n":1,"hostnames":["\udc00"]}' '{"n":tru}' '%7B%22n%22:1%7D'; do
        both "$text" 'the body is bad JSON: '
    done
}

@test "no body, an empty one, and white space" {
    ask POST /add
    refused_with 400 'the body is empty'
    ask DELETE /rm
    refused_with 400 'the body is empty'
    both '' 'the body is empty: it must be a JSON object'
    both ' ' 'bad JSON: '
    both_bytes '\r\n\t' 'bad JSON: '
    ask POST /add -H 'Transfer-Encoding: chunked' -d ''
    refused_with 400 'the body is empty'
}

@test "NUL, control characters and bytes that are no UTF-8" {
    both_bytes '{"n":1}\0' 'bad JSON: '
    both_bytes '\0{"n":1}' 'bad JSON: '
    both_bytes '{"n":1\0,"hostnames":["a"]}' 'bad JSON: '
    both_bytes '{"n":1,"hostnames":["a\0b"]}' 'bad JSON: '
    both_bytes '{"n":1,"hostnames":["a\nb"]}' 'bad JSON: '
    both_bytes '{"n":1,"hostnames":["\xff"]}' 'bad JSON: '
    both_bytes '{"n":1,"hostnames":["\xc3"]}' 'bad JSON: '
    both_bytes '{"n":1,"hostnames":["\xc0\xaf"]}' 'bad JSON: '      # overlong
    both_bytes '{"n":1,"hostnames":["\xed\xa0\x80"]}' 'bad JSON: '  # a surrogate
    both_bytes '{"n":1,"hostnames":["\xf4\x90\x80\x80"]}' 'bad JSON: '
    both_bytes '\xef\xbb\xbf{"n":1}' 'bad JSON: '                   # a byte order mark
    both_bytes '\xff\xfe{\0"\0n\0"\0:\0001\0}\0' 'bad JSON: '       # UTF-16
    both '{"n":1,"hostnames":["a\u0000b"]}' 'JSON'
}

@test "nesting without end" {
    { printf '{"n":1,"hostnames":'; printf '[%.0s' {1..40}; printf ']%.0s' {1..40}; printf '}'; } >"$dir/bytes"
    both "@$dir/bytes" 'bad JSON: '
    head -c 1000000 /dev/zero | tr '\0' '[' >"$dir/bytes"
    both "@$dir/bytes" 'bad JSON: '
    { printf '{"n":'; head -c 5000000 /dev/zero | tr '\0' 1; printf '}'; } >"$dir/bytes"
    both "@$dir/bytes" ''
}

@test "a list of 100000 names" {
    { printf '{"n":1000,"hostnames":["a0"'; seq -f ',"a%.0f"' 100000; printf ']}'; } >"$dir/bytes"
    add "@$dir/bytes" 'Length of hostname list is more than newly added instances'
    rm_ "@$dir/bytes" 'Length of hostname list is more than removable instances'
}

@test "57 servers at the start: said clearly, and nothing was started" {
    mark=$mark-57 run_quoit lb --listen 127.0.0.1:0 --servers 57
    [ "$status" -eq 1 ]
    [[ $output == *"57 servers with 9 virtual nodes each are 513, more than the 512 slots"* ]]
    [[ $output != *listens* ]]
    [ "$(mark=$mark-57 n_marked)" -eq 0 ]
    mark=$mark-57 run_quoit lb --listen 127.0.0.1:0 --servers 1025
    [ "$status" -eq 2 ]
}

@test "the refused of a pipeline stand between the answered, in order" {
    run raw "$LB" 'POST /add HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n{"n":0}GET /rep HTTP/1.1\r\nHost: x\r\n\r\nDELETE /rm HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n{"n":9}GET /home HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
    [ "$status" -eq 0 ]
    [ "$(grep -aoE 'HTTP/1.1 [0-9]+|only 3|is 0|"N":3|Hello' <<<"$output" | tr '\n' '|')" = \
        'HTTP/1.1 400|is 0|HTTP/1.1 200|"N":3|HTTP/1.1 400|only 3|HTTP/1.1 200|Hello|' ]
}
