#!/usr/bin/env bats
# The LB's database under writers of the same keys while the LB, servers and mariadbd are killed or
# stopped at random moments: tests/e2e/support/hammer writes, reads, and checks what it saw. Besides:
# who wins a key, keys at the ends of shards, and what is too much. The random choices are of
# QUOIT_SEED, which is printed.

SCHEMA='{"columns":["Stud_id","Stud_name","Stud_marks"],"dtypes":["Number","String","String"]}'
SHARDS='[{"Stud_id_low":0,"Shard_id":"sh1","Shard_size":4096},{"Stud_id_low":4096,"Shard_id":"sh2","Shard_size":4096},{"Stud_id_low":8192,"Shard_id":"sh3","Shard_size":4096}]'
EVERYWHERE='{"Server0":["sh1","sh2","sh3"],"Server1":["sh1","sh2","sh3"],"Server2":["sh1","sh2","sh3"]}'
HAMMER=$BATS_TEST_DIRNAME/support/hammer

setup() {
    load helper
    e2e_begin
    SEED=${QUOIT_SEED:-$((EPOCHSECONDS % 100000))}
    RANDOM=$SEED
    echo "# QUOIT_SEED=$SEED"
}

teardown() {
    [ -z "${MOUNTED:-}" ] || umount -l "$MOUNTED"
    e2e_end
}

say() { # METHOD /PATH BODY
    ask "$1" "$2" --data-binary "$3"
}

configured() { # OPTION…
    start_lb --servers 0 --listen "127.0.0.1:$(free_port)" "$@"
    say POST /init "{\"N\":3,\"schema\":$SCHEMA,\"shards\":$SHARDS,\"servers\":$EVERYWHERE}"
    [ "$code" = 200 ]
}

row() { # KEY
    printf '{"Stud_id":%s,"Stud_name":"x","Stud_marks":"7"}' "$1"
}

begin_hammer() { # WRITERS READERS
    mkdir -p "$dir/hammer"
    QUOIT_E2E_MARK=$mark "$HAMMER" run "$LB" "$dir/hammer" "$SEED" "$@" >"$dir/hammer.log" 2>&1 3>&- &
    disown
}

# The writers stop; what they saw is possible, and the replicas are equal.
end_hammer() { # [strict]
    touch "$dir/hammer/end"
    within 35 test -e "$dir/hammer/done"
    within 15 healed
    "$HAMMER" check "$LB" "$dir/hammer" "$@"
    get /cluster/digest | jq -e .equal
}

# A /write of n rows from a key on, each with a name of so many bytes, to a file.
big_write() { # FIRST N BYTES FILE
    awk -v first="$1" -v n="$2" -v bytes="$3" 'BEGIN {
        name = sprintf("%" bytes "s", ""); gsub(/ /, "x", name); printf "{\"data\":["
        for (i = 0; i < n; i++)
            printf "%s{\"Stud_id\":%d,\"Stud_name\":\"%s\",\"Stud_marks\":\"7\"}", i ? "," : "",
                first + i, name
        print "]}" }' >"$4"
}

healed() {
    curl -sf --noproxy '*' --max-time 30 "http://$LB/cluster" |
        jq -e '.N == 3 and .target == 3 and all(.MapT[]; .state == "ready")' >/dev/null
}

servers() { # the ids of those that serve
    curl -sf --noproxy '*' --max-time 30 "http://$LB/cluster" |
        jq -r '.servers[] | select(.state == "serving") | .pid'
}

kill_lb() {
    kill -KILL "$LB_PID"
    within 5 gone "$LB_PID"
}

pause() { # up to 0.8 s
    sleep "0.$((RANDOM % 8 + 1))"
}

# Those that are there: at a random moment one may have gone by itself, or not have come yet.
kill_those() { # PID…
    [ $# -eq 0 ] || kill -KILL "$@" || true
}

# Does one of these to the cluster, after a moment, and waits until it is whole again.
strike() { # WHAT… -- LB OPTION…
    local blows=() blow victim
    while [ "$1" != -- ]; do
        blows+=("$1")
        shift
    done
    shift
    blow=${blows[RANDOM % ${#blows[@]}]}
    pause
    echo "$blow"
    # shellcheck disable=SC2046 # several ids
    case $blow in
    lb) kill_lb && start_lb --servers 0 "$@" ;;
    server) kill_those $(servers | shuf -n 1 --random-source=<(yes "$RANDOM")) ;;
    servers) kill_those $(servers) ;;
    all)
        kill_those $(servers)
        kill_lb
        start_lb --servers 0 "$@"
        ;;
    stop)
        victim=$(servers | shuf -n 1 --random-source=<(yes "$RANDOM"))
        [ -z "$victim" ] || kill -STOP "$victim" || true
        pause
        [ -z "$victim" ] || kill -CONT "$victim" || true # killed meanwhile, and replaced
        ;;
    stop-lb)
        kill -STOP "$LB_PID"
        pause
        kill -CONT "$LB_PID"
        ;;
    mariadbd) kill_those $(head -n 1 "$dir/state/mariadb/mariadbd" | grep -o '^[0-9]*') ;;
    esac
    within 20 healed
}

# ---- the comparison ------------------------------------------------------------------------------

@test "/cluster/digest compares every shard's replicas" {
    start_lb --servers 0
    get /cluster/digest
    refused 409 'there is no database yet: POST /init first'
    say POST /init "{\"N\":3,\"schema\":$SCHEMA,\"shards\":$SHARDS,\"servers\":$EVERYWHERE}"
    say POST /write "{\"data\":[$(row 1),$(row 5000)]}"
    get /cluster/digest | jq -e '.equal and .status == "successful" and
        ([.shards[] | "\(.shard) \(.equal) \(.replicas | length)"]
            == ["sh1 true 3", "sh2 true 3", "sh3 true 3"]) and
        ([.shards[].replicas[].rows] == [1, 1, 1, 1, 1, 1, 0, 0, 0]) and
        ([.shards[0].replicas[].checksum] | unique | length == 1) and
        (.shards[0].replicas[0] | keys == ["checksum", "rows", "server"]
            and (.checksum | test("^[0-9a-f]{16}$")))'
    run_quoit ctl --lb "$LB" digest
    [ "$status" = 0 ]
    [[ ${lines[1]} =~ ^sh1\ +Server0\ +1\ +[0-9a-f]{16}\ +equal$ ]]
    # A row that one replica alone has.
    curl -sf --noproxy '*' "http://$(cluster address '
        select(.name == "Server1")')/write" -d "{\"shard\":\"sh2\",\"data\":[$(row 6000)]}"
    get /cluster/digest | jq -e '(.equal | not) and
        ([.shards[] | .equal] == [true, false, true]) and
        ([.shards[1].replicas[] | "\(.server) \(.rows)"]
            == ["Server0 1", "Server1 2", "Server2 1"])'
    run_quoit ctl --lb "$LB" digest --json
    [ "$status" = 1 ]
    [[ $output == *'"equal": false'* && $output == *'the replicas of 1 shard are not equal'* ]]
    # The changes that it held go on.
    say POST /write "{\"data\":[$(row 5001)]}"
    [ "$code" = 200 ]
}

@test "/cluster/digest is right under writes, and names a server that does not answer" {
    configured --heartbeat-ms 1000 --fall 30
    begin_hammer 6 0
    local i
    for i in 1 2 3 4; do
        get /cluster/digest | jq -e .equal
    done
    end_hammer
    kill_lb
    signal_all KILL
    start_lb --servers 0 --heartbeat-ms 1000 --fall 30
    say POST /init "{\"N\":2,\"schema\":$SCHEMA,\"shards\":[
        {\"Stud_id_low\":0,\"Shard_id\":\"sh1\",\"Shard_size\":4096}],\"replicas\":2,
        \"servers\":{\"Server0\":[\"sh1\"],\"Server1\":[\"sh1\"]}}"
    local victim
    victim=$(pid_of Server1)
    kill -STOP "$victim"
    ask GET /cluster/digest --max-time 60
    kill -CONT "$victim"
    jq -e '(.equal | not) and ([.shards[].replicas[] | select(.server == "Server1") | .error]
        == ["no answer in time"]) and
        ([.shards[].replicas[] | select(.server == "Server0") | has("checksum")] | all)' <<<"$body"
}

# ---- kills ---------------------------------------------------------------------------------------

@test "memory: servers and the LB killed and stopped at random: no acknowledged change is lost" {
    configured --state "$dir/state"
    begin_hammer 8 2
    local i
    for i in 1 2 3 4; do
        strike server stop lb stop-lb -- --state "$dir/state" --listen "$LB"
    done
    end_hammer strict
}

@test "file: any and all killed at random: no acknowledged change is lost, nothing is half" {
    configured --store file --state "$dir/state"
    begin_hammer 8 2
    local i
    for i in 1 2 3 4 5; do
        strike server servers all lb -- --store file --state "$dir/state" --listen "$LB"
    done
    end_hammer
}

@test "an LB killed within changes of several shards leaves none of them half made" {
    configured --state "$dir/state"
    HAMMER_TRIPLES=0.9 begin_hammer 8 0
    local i
    for i in 1 2 3; do
        strike lb -- --state "$dir/state" --listen "$LB"
    done
    end_hammer
}

@test "mysql: the LB, servers and the cluster's mariadbd killed at random" {
    command -v mariadbd >/dev/null || skip "no mariadbd here"
    configured --store mysql --state "$dir/state"
    HAMMER_TRIPLES=0.3 begin_hammer 6 2
    local i
    for i in 1 2 3 4; do
        strike mariadbd server lb all -- --store mysql --state "$dir/state" --listen "$LB"
    done
    end_hammer
}

# A mariadbd of the test's own, in $dir/maria; called again it goes on with what is there.
start_mariadb() {
    local home=$dir/maria
    if [ ! -d "$home/data" ]; then
        mkdir -p "$home"
        printf '[mariadbd]\nuser=%s\ndatadir=%s\nsocket=%s\npid-file=%s\nskip-networking\n' \
            "$(id -un)" "$home/data" "$home/sock" "$home/pid" >"$home/my.cnf"
        printf '%s\n' skip-name-resolve performance-schema=OFF innodb-log-file-size=32M \
            innodb-buffer-pool-size=64M max-connections=200 >>"$home/my.cnf"
        mariadb-install-db --defaults-file="$home/my.cnf" "--auth-root-socket-user=$(id -un)" \
            --auth-root-authentication-method=socket --skip-test-db --skip-name-resolve --force \
            >"$dir/install.log" 2>&1 3>&-
    fi
    QUOIT_E2E_MARK=$mark mariadbd --defaults-file="$home/my.cnf" >>"$dir/install.log" 2>&1 3>&- &
    MARIADB_PID=$!
    disown
    within 20 mariadb --no-defaults -S "$home/sock" -e 'CREATE DATABASE IF NOT EXISTS quoit'
}

@test "mysql: somebody else's mariadbd killed and started again at random, servers besides" {
    command -v mariadbd >/dev/null || skip "no mariadbd here"
    start_mariadb
    local store
    store="mysql:socket=$dir/maria/sock,user=$(id -un),database=quoit"
    configured --store "$store" --state "$dir/state"
    HAMMER_TRIPLES=0.3 begin_hammer 6 2
    pause
    kill -KILL "$MARIADB_PID"
    within 2 gone "$MARIADB_PID"
    pause
    start_mariadb
    within 20 healed
    strike server lb -- --store "$store" --state "$dir/state" --listen "$LB"
    end_hammer
}

@test "a stop of every server at once loses nothing that was in memory" {
    configured --heartbeat-ms 100 --fall 5
    begin_hammer 8 2
    sleep 0.3
    # shellcheck disable=SC2046
    kill -STOP $(servers)
    sleep 1.5 # long enough to be given up, but for the last replicas
    signal_all CONT server || true
    within 10 healed
    end_hammer
    get /metrics | grep -qx 'quoit_lb_lost_shards_total 0'
}

# ---- silence --------------------------------------------------------------------------------------

# Both tests: silent servers that nobody declares dead, for longer than a change is waited for.

@test "a replica that missed a change is taken out alone where its server has a last replica" {
    start_lb --servers 0 --heartbeat-ms 1000 --fall 60
    say POST /init "{\"N\":2,\"schema\":$SCHEMA,\"shards\":$SHARDS,
        \"servers\":{\"Server0\":[\"sh1\",\"sh2\",\"sh3\"],\"Server1\":[\"sh1\"]}}"
    say POST /write "{\"data\":[$(row 1),$(row 5000)]}"
    local victim
    victim=$(pid_of Server0)
    kill -STOP "$victim"
    say POST /write "{\"data\":[$(row 2)]}"
    answered 200 '{"message":"1 Data entries added","status":"success"}'
    get /cluster | jq -e '[.MapT[] | select(.Shard_id == "sh1") | "\(.server) \(.state)"]
        == ["Server0 filling", "Server1 ready"]'
    say POST /write "{\"data\":[$(row 3)]}"
    [ "$code" = 200 ]
    say POST /read '{"Stud_id":{"low":0,"high":9}}'
    [ "$(jq -c '[.data[].Stud_id]' <<<"$body")" = '[1,2,3]' ]
    kill -CONT "$victim"
    within 10 eval 'get /cluster | jq -e "all(.MapT[]; .state == \"ready\")"'
    get /cluster/digest | jq -e '.equal and .shards[0].replicas[0].rows == 3'
    say POST /read '{"Stud_id":{"low":5000,"high":5000}}'
    [ "$(jq '.data | length' <<<"$body")" = 1 ]
    gone "$victim" && return 1
    get /metrics | grep -qx 'quoit_lb_demoted_replicas_total 1'
}

# A change is being sent a second time. (Not by `ask`: the test itself waits for an answer meanwhile.)
redone() {
    curl -sf --noproxy '*' "http://$LB/metrics" | grep -qx 'quoit_lb_changes_redone_total 1'
}

@test "a change that no replica answered is on all of them or on none, and no server goes" {
    configured --heartbeat-ms 1000 --fall 60
    say POST /write "{\"data\":[$(row 1)]}"
    # shellcheck disable=SC2046
    kill -STOP $(servers)
    (
        within 10 redone
        signal_all CONT server
    ) 3>&- &
    local waker=$! # bats has a child here too, which ends with the test's time
    say POST /write "{\"data\":[$(row 2)]}"
    echo "$code $body"
    [ "$code" = 200 ] || refused 503 \
        'outcome unknown: Stud_id 2 is there now, by this request or by an earlier one'
    wait "$waker"
    get /cluster/digest | jq -e '.equal and .shards[0].replicas[0].rows == 2'
    redone
    [ "$(names | xargs)" = "Server0 Server1 Server2" ]
}

# ---- a full disk ---------------------------------------------------------------------------------

@test "file: a full disk refuses changes with 507, and loses none that it acknowledged" {
    mkdir "$dir/disk"
    mount -t tmpfs -o size=10m none "$dir/disk" 2>/dev/null || skip "may not mount a tmpfs"
    MOUNTED=$dir/disk
    configured --store file:segment=1M,snapshot=100M --state "$dir/disk/state"
    local acked
    for ((acked = 0; acked < 4000; acked += 100)); do
        big_write "$acked" 100 2000 "$dir/rows"
        ask POST /write --data-binary "@$dir/rows"
        [ "$code" = 200 ] || break
    done
    echo "$acked rows were acknowledged; then $code $body"
    [ "$acked" -gt 0 ]
    refused_with 507 'No space left on device'
    say POST /read '{"Stud_id":{"low":0,"high":4095}}'
    [ "$(jq '.data | length' <<<"$body")" = "$acked" ]
    get /cluster/digest | jq -e .equal
    umount -l "$dir/disk"
    MOUNTED=
}

# ---- the same keys -------------------------------------------------------------------------------

@test "of many writers of a key exactly one wins" {
    configured --threads 2
    "$HAMMER" race "$LB" 24 60 100 | tee "$dir/race"
    [ "$(head -n 1 "$dir/race")" = "200:60 409:1380" ]
    get /cluster/digest | jq -e .equal
}

# ---- the ends ------------------------------------------------------------------------------------

@test "the first and the last key of a shard, and those of int64" {
    start_lb --servers 0
    local low=-9223372036854775808 last=9223372036854775807
    say POST /init "{\"N\":2,\"schema\":$SCHEMA,\"shards\":[
        {\"Stud_id_low\":$low,\"Shard_id\":\"lowest\",\"Shard_size\":9223372036854775807},
        {\"Stud_id_low\":0,\"Shard_id\":\"middle\",\"Shard_size\":4096},
        {\"Stud_id_low\":9223372036854771712,\"Shard_id\":\"highest\",\"Shard_size\":4096}],
        \"replicas\":2}"
    [ "$code" = 200 ]
    local key
    for key in $low -2 0 4095 9223372036854771712 $last; do
        say POST /write "{\"data\":[$(row "$key")]}"
        [ "$code" = 200 ]
        say POST /write "{\"data\":[$(row "$key")]}"
        refused 409 "Stud_id $key exists already"
        say POST /read "{\"Stud_id\":{\"low\":$key,\"high\":$key}}"
        [ "$(jq -c '.data | length' <<<"$body")" = 1 ]
        [[ $body == *"\"Stud_id\":$key,"* ]] # to the last digit
    done
    for key in -1 4096 9223372036854771711; do
        say POST /write "{\"data\":[$(row "$key")]}"
        refused 400 "no shard holds Stud_id $key"
    done
    say POST /write "{\"data\":[$(row 9223372036854775808)]}"
    [ "$code" = 400 ]
    say POST /read "{\"Stud_id\":{\"low\":$low,\"high\":$last}}"
    [[ $body == '{"shards_queried":["lowest","middle","highest"]'* ]]
    [ "$(grep -o '"Stud_id":-\?[0-9]*' <<<"$body" | cut -d : -f 2 | xargs)" = \
        "$low -2 0 4095 9223372036854771712 $last" ]
    for key in $low 4095 $last; do
        say PUT /update "{\"Stud_id\":$key,\"data\":$(row "$key")}"
        [ "$code" = 200 ]
        say DELETE /del "{\"Stud_id\":$key}"
        answered 200 "{\"message\":\"Data entry with Stud_id:$key removed from all replicas\",\"status\":\"success\"}"
        say DELETE /del "{\"Stud_id\":$key}"
        refused 404 "Stud_id $key does not exist"
    done
    get /cluster/digest | jq -e '.equal and ([.shards[].replicas[0].rows] == [1, 1, 1])'
}

# ---- too much ------------------------------------------------------------------------------------

@test "bodies at and over the limit: all of the rows or a refusal, and no more" {
    configured
    # 4000 rows of 2000 bytes are just below 8 MiB as a batch; 4090 of 2080 are above.
    big_write 0 4000 2000 "$dir/fits"
    ask POST /write --data-binary "@$dir/fits"
    answered 200 '{"message":"4000 Data entries added","status":"success"}'
    get /cluster/digest | jq -e '.equal and .shards[0].replicas[0].rows == 4000'
    big_write 0 4090 2080 "$dir/over"
    ask POST /write --data-binary "@$dir/over"
    refused_with 413 'more than 8 MiB'
    get /cluster/digest | jq -e '.equal and .shards[0].replicas[0].rows == 4000'
    # Many at once, more than wait at a time: each is answered, and counted.
    local i pids=()
    for i in 1 2 3 4 5 6; do
        curl -s --noproxy '*' --max-time 60 -o /dev/null -w '%{http_code}\n' -X POST \
            --data-binary "@$dir/fits" "http://$LB/write" >"$dir/big.$i" 3>&- &
        pids+=($!)
    done
    wait "${pids[@]}"
    [ "$(sort -u "$dir"/big.* | xargs)" = 409 ]
    get /cluster/digest | jq -e '.equal and .shards[0].replicas[0].rows == 4000'
}

@test "a server takes no batch of an earlier epoch" {
    start_server --store memory
    LB=$SERVER
    say POST /config "{\"schema\":$SCHEMA,\"shards\":[\"sh1\"]}"
    [ "$code" = 200 ]
    local text='{"Stud_id":1,"Stud_name":"x","Stud_marks":"7"}'
    printf 'insert sh1 1\n1 %d\n%s\n' ${#text} "$text" >"$dir/batch"
    ask POST '/batch?epoch=50' --data-binary $'absent sh1 1\n1\n'
    [ "$code $body" = '200 ok 0' ]
    ask POST '/batch?epoch=49' --data-binary "@$dir/batch"
    refused_with 409 'earlier connection'
    ask POST '/batch?epoch=x' --data-binary "@$dir/batch"
    [ "$code" = 400 ]
    ask POST '/batch?epoch=50' --data-binary "@$dir/batch"
    [ "$code $body" = '200 ok 1' ]
    ask POST /batch --data-binary $'delete sh1 1\n'
    [ "$code $body" = '200 ok 0' ]
}

# As much of a dead LB's copy as can be in a server's socket: a page whose last byte is read late. Its
# epoch is later than any that this LB has used, and earlier than the next one's.
@test "a page of a killed LB's copy that is read after the next LB compared is refused" {
    configured --state "$dir/state"
    say POST /write "{\"data\":[$(row 1),$(row 2)]}"
    [ "$code" = 200 ]
    local life victim page late said
    life=$(<"$dir/state/life")
    victim=$(cluster address 'select(.name == "Server1")')
    page='replace sh1 0 4095 0'
    exec {late}<>"/dev/tcp/${victim%:*}/${victim##*:}"
    printf 'POST /batch?copy=%d HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s' \
        $(((life << 30) + (1 << 29))) $((${#page} + 1)) "$page" >&"$late"
    kill_lb
    start_lb --servers 0 --state "$dir/state" --listen "$LB"
    within 20 healed
    printf '\n' >&"$late"
    said=$(timeout 10 cat <&"$late")
    exec {late}>&-
    echo "$said"
    [[ $said == *"refused a later copy of the shard was begun" ]]
    get /cluster/digest | jq -e '.equal and .shards[0].replicas[0].rows == 2'
    [ "$victim" = "$(cluster address 'select(.name == "Server1")')" ]
}
