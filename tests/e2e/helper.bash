# What the end-to-end tests share: starting the real program on ephemeral ports in a folder of its
# own, asking it with curl and raw bytes, and leaving nothing behind.
#
# Every process that a test starts, and every server which that one starts, carries the test's own
# word QUOIT_E2E_MARK in its environment: so they are found, and ended, by their ids on every path.
# shellcheck disable=SC2034 # code, body, head and type are for the tests
bats_require_minimum_version 1.5.0

QUOIT=${QUOIT:-$BATS_TEST_DIRNAME/../../build/release/quoit}
NC=$(type -P nc.openbsd || echo nc)

# How many times longer than on an idle machine a busy one may take for what is to come about. A claim
# about time itself is made of times that the program tells, or by once_in_five.
PATIENCE=6

# ---- a database ----------------------------------------------------------------------------------

# The smallest in which shards and servers differ: three of each, two replicas a shard.
THREE_SHARDS='[{"Stud_id_low":0,"Shard_id":"sh1","Shard_size":4096},{"Stud_id_low":4096,"Shard_id":"sh2","Shard_size":4096},{"Stud_id_low":8192,"Shard_id":"sh3","Shard_size":4096}]'
ON_THREE_SERVERS='{"Server0":["sh1","sh2"],"Server1":["sh2","sh3"],"Server2":["sh1","sh3"]}'

# ---- life ----------------------------------------------------------------------------------------

# Makes `dir`, private to the test or, called in setup_file, to the file's tests.
e2e_begin() {
    dir=$(mktemp -d "${BATS_TMPDIR:-/tmp}/quoit-e2e.XXXXXXXX")
    mark=${dir##*/}
}

# Ends every process that carries the mark, and removes the folder.
e2e_end() {
    local pid
    [ -n "${mark:-}" ] || return 0
    if [ -z "${BATS_TEST_COMPLETED:-}" ]; then
        tail -n 30 "$dir"/*.log 2>/dev/null | sed 's/^/# /'
    fi
    # Until none is left: one may be starting another this very moment.
    while pid=$(marked | head -n 1) && [ -n "$pid" ]; do
        kill -KILL "$pid" 2>/dev/null || true
        sleep 0.01
    done
    rm -rf "$dir"
}

# The ids of the processes that carry the mark; "marked server" those of servers, "marked lb".
marked() {
    local file pid
    grep -lsazx "QUOIT_E2E_MARK=$mark" /proc/[0-9]*/environ 2>/dev/null | while read -r file; do
        pid=${file#/proc/} pid=${pid%/environ}
        [ -z "${1:-}" ] || { tr '\0' '\n' <"/proc/$pid/cmdline" | sed -n 2p | grep -qx "$1"; } ||
            continue
        # One that has ended and whom nobody has waited for yet is no process any more.
        grep -qs '^State:[[:space:]]*Z' "/proc/$pid/status" || echo "$pid"
    done 2>/dev/null
}

n_marked() {
    marked "$@" | wc -l
}

signal_all() { # SIGNAL [VERB]
    marked "${2:-}" | xargs -r kill -s "$1"
}

# Tries a command every 10 ms until it succeeds, for so long or, on a busy machine, PATIENCE times as
# long.
within() { # SECONDS COMMAND…
    local until=$((${EPOCHREALTIME/[.,]/} + PATIENCE * $1 * 1000000)) what=${*:2}
    shift
    until "$@"; do
        if [ "${EPOCHREALTIME/[.,]/}" -gt "$until" ]; then
            echo "not in time: $what"
            return 1
        fi
        sleep 0.01
    done
}

# For a claim about speed: a busy machine may hold it up now and then, what is slow by itself is slow
# each time. The command is to return its failure: here set -e ends nothing.
once_in_five() { # COMMAND…
    local i
    for i in 1 2 3 4 5; do
        "$@" && return
        echo "not that quick: $*"
    done
    return 1
}

# True when the process has gone (or is a zombie: ended, and its parent has yet to hear of it).
gone() { # PID
    [ ! -e "/proc/$1" ] || grep -qs '^State:[[:space:]]*[ZX]' "/proc/$1/status"
}

# Runs the program, in the background, with its ready pipe on 9; its output goes to NAME.log. Sets
# `pid`.
quoit_in_background() { # NAME VERB OPTION…
    local name=$1
    shift
    : >"$dir/$name.ready"
    QUOIT_E2E_MARK=$mark "${PROGRAM:-$QUOIT}" "$@" --ready-fd 9 9>"$dir/$name.ready" \
        </dev/null >"$dir/$name.log" 2>&1 3>&- &
    pid=$!
    disown "$pid"
}

# A port that no connection is given for its own end, so that an LB that was killed finds it free
# again.
free_port() {
    local port=$((10000 + SRANDOM % 20000))
    while (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
        port=$((10000 + SRANDOM % 20000))
    done
    echo "$port"
}

said_or_ended() {
    [ -s "$dir/$1.ready" ] || gone "$2"
}

# An LB that serves: sets LB (HOST:PORT) and LB_PID. Its own options come first and can be given
# again.
start_lb() { # OPTION…
    spawn_lb "$@"
    within 10 said_or_ended lb "$LB_PID"
    LB=$(<"$dir/lb.ready")
    if [ -z "$LB" ]; then
        echo "the LB ended:"
        cat "$dir/lb.log"
        return 1
    fi
}

# The same without waiting for it.
spawn_lb() {
    quoit_in_background lb lb --listen 127.0.0.1:0 --orphan-after 20s "$@"
    LB_PID=$pid
}

start_server() { # OPTION…
    quoit_in_background server server --listen 127.0.0.1:0 "$@"
    SERVER_PID=$pid
    within 10 said_or_ended server "$SERVER_PID"
    SERVER=$(<"$dir/server.ready")
    [ -n "$SERVER" ] || {
        echo "the server ended:"
        cat "$dir/server.log"
        return 1
    }
}

# Runs the program to its end, which must come within a minute: sets `status` and `output` as run does.
run_quoit() { # WORD…
    run env "QUOIT_E2E_MARK=$mark" timeout --kill-after=1 60 "${PROGRAM:-$QUOIT}" "$@"
}

# ---- asking --------------------------------------------------------------------------------------

# Asks with curl: sets code, type (Content-Type), head (all headers, no CR) and body.
ask() { # METHOD URL-OR-/PATH [CURL OPTION…]
    local method=$1 url=$2 said
    shift 2
    [[ $url == /* ]] && url=http://$LB$url
    said=$(curl -sS --noproxy '*' --path-as-is --max-time 60 -X "$method" -o "$dir/body" \
        -D "$dir/head" -w '%{http_code} %{content_type}' "$@" "$url") || {
        echo "curl $method $url: $said"
        return 1
    }
    code=${said%% *} type=${said#* }
    body=$(<"$dir/body")
    head=$(<"$dir/head") head=${head//$'\r'/}
}

# Asks and prints the body alone.
get() {
    ask GET "$@" && echo "$body"
}

# The last answer, whole: code, type and JSON, byte for byte.
answered() { # CODE JSON
    [ "$code" = "$1" ] && [ "$type" = application/json ] && [ "$body" = "$2" ] && return 0
    printf 'wanted %s application/json %s\ngot    %s %s %s\n' "$1" "$2" "$code" "$type" "$body"
    return 1
}

# The last answer is a refusal with this message.
refused() { # CODE MESSAGE-WITHOUT-<Error>
    answered "$1" "{\"message\":\"<Error> $2\",\"status\":\"failure\"}"
}

# The last answer is a refusal whose message holds these words; exactly its two keys, in JSON.
refused_with() { # CODE WORDS
    if [ "$code" = "$1" ] && [ "$type" = application/json ] && [[ $body == *"$2"* ]] &&
        jq -e 'keys == ["message", "status"] and .status == "failure"
            and (.message | startswith("<Error> "))' <<<"$body" >/dev/null; then
        return 0
    fi
    printf 'wanted a refusal %s with %s\ngot    %s %s %s\n' "$1" "$2" "$code" "$type" "$body"
    return 1
}

# The header's value in the last answer.
header() { # NAME
    sed -n "s/^$1: //Ip" <<<"$head"
}

# The names in /rep, one a line; N is checked against them on the way.
names() {
    get /rep | jq -er 'select(.status == "successful" and (keys == ["message", "status"]) and
        (.message | keys == ["N", "replicas"] and .N == (.replicas | length)))
        | .message.replicas[]'
}

n_servers() {
    get /rep | jq -e .message.N
}

# A field of each server in /cluster, one a line: name id uid state address pid requests.
cluster() { # FIELD [JQ FILTER ON THE SERVER]
    get /cluster | jq -er ".servers[] | select(.state == \"serving\") | ${2:-.} | .$1"
}

pid_of() { # NAME
    get /cluster | jq -er --arg name "$1" '.servers[] | select(.name == $name) | .pid'
}

# Who answers for a request id, when the LB takes it from the header X-Key.
server_of() { # KEY
    ask GET /home -H "X-Key: $1" && [ "$code" = 200 ] && header X-Quoit-Server
}

serving() { # N: so many serve, and so many are wanted
    get /cluster | jq -e ".N == $1 and .target == $1" >/dev/null
}

# Asks /home once for each key, each over a connection of its own, the key in the header X-Key and in
# the query's id: prints "KEY SERVER" a line.
# shellcheck disable=SC2046,SC2183 # the format goes round once for each three words
servers_of() { # KEY…
    printf "url = \"http://$LB/home?id=%s\"\nheader = \"X-Key: %s\"\nheader = \"Connection: close\"
max-time = 60\nnoproxy = \"*\"\noutput = \"$dir/servers_of\"\nsilent\nshow-error
write-out = \"%s %%header{x-quoit-server}\\\\n\"\nnext\n" \
        $(printf '%s %s %s\n' $(printf '%s\n' "$@" | sed 's/.*/& & &/')) | sed '$d' >"$dir/asked"
    curl -K "$dir/asked"
}

# ---- raw bytes -----------------------------------------------------------------------------------

# Sends bytes (printf's format) to ADDRESS and prints what comes until the other side closes, at
# most 20 s (an idle connection is closed after 75): then it fails, so that success says that the
# connection was closed. Our own side stays open.
raw() { # ADDRESS FORMAT
    # shellcheck disable=SC2059 # a format on purpose
    raw_file "$1" <(printf "$2")
}

raw_file() { # ADDRESS FILE
    timeout 20 "$NC" "${1%:*}" "${1##*:}" <"$2" >"$dir/raw" 2>/dev/null
    local status=$?
    tr -d '\r' <"$dir/raw"
    [ $status -ne 124 ] || echo "(still open)"
    [ $status -ne 124 ]
}

# The same, but our side is shut when all is sent.
raw_half_closed() { # ADDRESS FORMAT
    # shellcheck disable=SC2059
    printf "$2" | timeout 20 "$NC" -N "${1%:*}" "${1##*:}" | tr -d '\r'
}

# The status codes of all answers in a text, in a line.
codes() {
    grep -ao 'HTTP/1\.[01] [0-9][0-9][0-9] ' <<<"$1" | cut -d ' ' -f 2 | paste -sd ' '
}
