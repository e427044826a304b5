#!/usr/bin/env bats
# What `make install` puts where, and that it works there.
bats_require_minimum_version 1.5.0

setup() {
    QUOIT=$(realpath "${QUOIT:-$BATS_TEST_DIRNAME/../../build/release/quoit}")
    TREE=$BATS_TEST_DIRNAME/../..
    DESTDIR="$BATS_TEST_TMPDIR/a root"
}

install_files() {
    "$TREE/tools/install-files" install "$DESTDIR" /usr "$QUOIT"
}

# The completions of a command line whose last word is being typed, one a line.
complete_line() { # WORD…
    bash --norc --noprofile -c '
        source "$1"
        shift
        [ "$(complete -p quoit)" = "complete -F _quoit quoit" ] || exit 1
        COMP_WORDS=("$@")
        COMP_CWORD=$(($# - 1))
        _quoit
        [ ${#COMPREPLY[@]} -eq 0 ] || printf "%s\n" "${COMPREPLY[@]}"' \
        _ "$BATS_TEST_TMPDIR/quoit.bash" "$@"
}

make_completion() {
    "$QUOIT" docs --bash "$BATS_TEST_TMPDIR/quoit.bash"
}

@test "install puts program, pages, completion and data under DESTDIR and PREFIX" {
    install_files
    cd "$DESTDIR/usr"
    [ "$(bin/quoit --version)" = "$("$QUOIT" --version)" ]
    for verb in lb server load run ring ctl doctor report; do
        [ -s "share/man/man1/quoit-$verb.1" ]
    done
    [ -s share/man/man1/quoit.1 ]
    [ ! -e share/man/man1/quoit-docs.1 ]
    [ -s share/bash-completion/completions/quoit ]
    for file in "$TREE"/experiments/*.ini; do
        cmp "$file" "share/quoit/experiments/${file##*/}"
    done
    for file in "$TREE"/plots/*.gp; do
        cmp "$file" "share/quoit/plots/${file##*/}"
    done
    # Nothing else, and nothing outside of PREFIX.
    [ "$(find "$DESTDIR" -type f | wc -l)" -eq $(($(wc -l <share/quoit/installed) + 1)) ]
    [ "$(stat -c %a bin/quoit)" = 755 ]
    [ "$(stat -c %a share/man/man1/quoit.1)" = 644 ]
}

@test "uninstall removes exactly what install put there" {
    mkdir -p "$DESTDIR/usr/share/quoit/experiments" "$DESTDIR/usr/bin"
    echo mine >"$DESTDIR/usr/share/quoit/experiments/mine.ini"
    echo other >"$DESTDIR/usr/bin/other"
    install_files
    "$TREE/tools/install-files" uninstall "$DESTDIR" /usr
    [ "$(cd "$DESTDIR" && find . -type f | sort | paste -sd ' ')" = \
        "./usr/bin/other ./usr/share/quoit/experiments/mine.ini" ]
    run "$TREE/tools/install-files" uninstall "$DESTDIR" /usr
    [ "$status" -eq 0 ]
    [[ $output == "nothing of quoit is installed under "* ]]
}

@test "installing anew takes away what an earlier version had" {
    install_files
    echo "share/quoit/experiments/old.ini" >>"$DESTDIR/usr/share/quoit/installed"
    touch "$DESTDIR/usr/share/quoit/experiments/old.ini"
    install_files
    [ ! -e "$DESTDIR/usr/share/quoit/experiments/old.ini" ]
    [ -s "$DESTDIR/usr/share/quoit/LICENSE" ]
}

@test "uninstall removes nothing that lies elsewhere, whatever the list says" {
    install_files
    touch "$BATS_TEST_TMPDIR/precious"
    echo "../../precious" >>"$DESTDIR/usr/share/quoit/installed"
    run "$TREE/tools/install-files" uninstall "$DESTDIR" /usr
    [ "$status" -ne 0 ]
    [ -e "$BATS_TEST_TMPDIR/precious" ]
}

@test "make install and uninstall hand DESTDIR and PREFIX on" {
    run env -u MAKEFLAGS -u MAKELEVEL make -C "$TREE" -n install NO_DEPS=1 \
        BUILD="$BATS_TEST_TMPDIR/none" DESTDIR=/dest PREFIX=/opt/q
    [ "$status" -eq 0 ]
    [[ $output == *"tools/install-files install '/dest' '/opt/q' $BATS_TEST_TMPDIR/none/quoit"* ]]
    run env -u MAKEFLAGS -u MAKELEVEL make -C "$TREE" -n uninstall NO_DEPS=1 DESTDIR=/dest
    [[ $output == *"tools/install-files uninstall '/dest' '/usr/local'"* ]]
}

@test "man pages have no warnings" {
    "$QUOIT" docs --man "$BATS_TEST_TMPDIR/man"
    local checked=0
    for page in "$BATS_TEST_TMPDIR"/man/*.1; do
        if command -v man >/dev/null; then
            run --separate-stderr env MANWIDTH=80 LC_ALL=C.UTF-8 man --warnings -l "$page"
            [ "$status" -eq 0 ]
            [ -z "$stderr" ] || { echo "$page: $stderr"; false; }
            checked=1
        fi
        if command -v mandoc >/dev/null; then
            # No date: the pages of one commit are the same whenever they are made.
            run bash -c 'mandoc -T lint -W warning "$1" | grep -v "missing date"' _ "$page"
            [ -z "$output" ] || { echo "$output"; false; }
            checked=1
        fi
    done
    [ $checked -eq 1 ] || skip "neither man nor mandoc"
}

@test "every option of a verb is on its page" {
    "$QUOIT" docs --man "$BATS_TEST_TMPDIR/man"
    for verb in lb server load run ring ctl doctor report; do
        for option in $("$QUOIT" "$verb" --help | grep -oE '^ +(-., )?--[a-z-]+' |
            grep -oE -- '--[a-z-]+'); do
            grep -qF -- "${option//-/\\-}" "$BATS_TEST_TMPDIR/man/quoit-$verb.1" ||
                { echo "quoit-$verb.1 lacks $option"; false; }
        done
    done
}

@test "completion is bash that bash and shellcheck take" {
    make_completion
    bash -n "$BATS_TEST_TMPDIR/quoit.bash"
    ! command -v shellcheck >/dev/null || shellcheck "$BATS_TEST_TMPDIR/quoit.bash"
}

@test "completion knows verbs, their words and their options" {
    make_completion
    [[ $(complete_line quoit "" | paste -sd ' ') == *"ctl doctor lb load"*"--version"* ]]
    [ "$(complete_line quoit doc)" = doctor ]
    [ "$(complete_line quoit help ct)" = ctl ]
    [ "$(complete_line quoit ctl "" | paste -sd ' ')" = \
        "status add rm drain kill digest ring watch health" ]
    [ "$(complete_line quoit ctl --json ki)" = kill ]
    [ -z "$(complete_line quoit ctl add "")" ]
    [ "$(complete_line quoit ring "" | paste -sd " ")" = \
        "list shares lookup show plan compare lint" ]
    [ "$(complete_line quoit ctl status --ti)" = --timeout ]
    [ "$(complete_line quoit lb --place)" = --placement ]
    [ -z "$(complete_line quoit nonsense --x)" ]
    [ -z "$(complete_line quoit docs --m)" ]
}

@test "completion knows the members of the families and the words of a choice" {
    make_completion
    for member in modulo ring slots; do
        complete_line quoit lb --placement "" | grep -qx $member
    done
    [ "$(complete_line quoit lb --placement = sl)" = slots ]
    [ "$(complete_line quoit ring shares --hash quad)" = quadratic ]
    [ "$(complete_line quoit ring shares --hash xxh64/quad)" = xxh64/quadratic ]
    [ "$(complete_line quoit lb --spawner pro)" = process ]
    [ "$(complete_line quoit load --client cu)" = curl ]
    complete_line quoit lb --log-level "" | grep -qx debug
    [ "$(complete_line quoit ring shares --keys = "" | paste -sd ' ')" = "ids space" ]
}

@test "completion gives files and folders where an option takes them, and nothing for an address" {
    make_completion
    mkdir -p "$BATS_TEST_TMPDIR/t/folder"
    touch "$BATS_TEST_TMPDIR/t/file"
    cd "$BATS_TEST_TMPDIR/t"
    [ "$(complete_line quoit lb --state "")" = folder ]
    [ "$(complete_line quoit load --json "" | sort | paste -sd ' ')" = "file folder" ]
    [ -z "$(complete_line quoit lb --listen "")" ]
}

@test "docs without something to write is wrong usage, and a folder that cannot be made a failure" {
    run "$QUOIT" docs
    [ "$status" -eq 2 ]
    run "$QUOIT" docs --man /proc/none
    [ "$status" -eq 1 ]
    [[ $output == *"/proc/none"* ]]
    run "$QUOIT" --help
    [[ $output != *" docs "* ]]
}
