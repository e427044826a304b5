#!/usr/bin/env bats
# quoit report: from a result folder to the README, and back by --check. QUOIT names the program.

load helper

setup() {
    e2e_begin
    export TMPDIR=$dir
    ROOT=$BATS_TEST_DIRNAME/../..
    mkdir "$dir/ini"
    cat >"$dir/ini/T.ini" <<'END'
[experiment]
name = T
title = A tiny one
question = Who answers?
repeats = 3
measures = counts
END
    printf 'before\n<!-- quoit:report T -->\n<!-- /quoit:report -->\nafter\n' >"$dir/README.md"
    cd "$dir" || return
}

teardown() {
    e2e_end
}

measure() { # ARGUMENT…: a result of a stand-in, its path in $result
    "$QUOIT" run T -q --experiments ini --plots "$ROOT/plots" --results results \
        --program "$BATS_TEST_DIRNAME/support/fake-quoit" "$@" >out
    result=$(echo results/T/*)
}

publish() {
    measure
    "$QUOIT" report --adopt "$result" --allow-dirty
    "$QUOIT" report
}

@test "an adopted result stands in the README and passes the check" {
    publish
    grep -q 'srcset="report/T/shares-dark.svg"' README.md
    grep -q 'src="report/T/shares-light.svg"' README.md
    grep -q '^\*\*Who answers?\*\*$' README.md
    grep -q '| Server1 | 8437 |' README.md
    [ "$(head -n 1 README.md)" = before ]
    [ "$(tail -n 1 README.md)" = after ]
    diff -r "$result" report/T
    "$QUOIT" report --check
    cp README.md again
    "$QUOIT" report
    cmp README.md again
}

@test "--check shows a changed line of the README and changes nothing" {
    publish
    sed -i 's/| Server1 | 8437 |/| Server1 | 3333 |/' README.md
    cp README.md changed
    run --separate-stderr "$QUOIT" report --check
    [ "$status" -eq 1 ]
    [[ $output == "README.md:"*": differs"* ]]
    [[ $output == *"-| Server1 | 3333 |"* ]]
    [[ $output == *"+| Server1 | 8437 |"* ]]
    cmp README.md changed
}

@test "--check names a published file that was changed, is missing or too many" {
    publish
    cp -r report whole
    echo >>report/T/samples.tsv
    run -1 "$QUOIT" report --check
    [[ $output == *"report/T/samples.tsv is not what the manifest says"* ]]
    rm -r report && cp -r whole report
    rm report/T/shares-dark.svg
    run -1 "$QUOIT" report --check
    [[ $output == *"report/T/shares-dark.svg is missing"* ]]
    rm -r report && cp -r whole report
    touch report/T/more
    run -1 "$QUOIT" report --check
    [[ $output == *"report/T/more is not named by the manifest"* ]]
    rm -r report && cp -r whole report
    "$QUOIT" report --check
}

@test "--check wants every published result in the README" {
    publish
    echo 'nothing here' >README.md
    run -1 "$QUOIT" report --check
    [[ $output == *"report/T is shown nowhere"* ]]
}

@test "an INVALID result is not adopted" {
    measure --set experiment.repeats=2 || [ $? -eq 4 ]
    run -4 "$QUOIT" report --adopt "$result" --allow-dirty
    [[ $output == *"is INVALID: too few repeats"* ]]
    [ ! -e report/T ]
}

@test "a dirty build's result is adopted only when asked for" {
    measure
    jq '.quoit.dirty = true' "$result/manifest.json" >new && mv new "$result/manifest.json"
    run -1 "$QUOIT" report --adopt "$result"
    [[ $output == *"--allow-dirty"* ]]
    [ ! -e report/T ]
    "$QUOIT" report --adopt "$result" --allow-dirty
    [ -e report/T/manifest.json ]
}

@test "drawing again from the same result gives the same bytes" {
    measure --seed 9
    first=$result
    mv results/T kept
    sleep 1.1
    measure --seed 9
    for theme in light dark; do
        cmp "kept/${first##*/}/shares-$theme.svg" "$result/shares-$theme.svg"
    done
}

# Every id is there once, and every reference within the page leads to one.
page_is_whole() { # PAGE
    grep -oE " id=[\"'][^\"']+" "$1" | cut -c 6- | sort >ids
    [ -z "$(uniq -d ids)" ]
    { grep -oE "href=[\"']#[^\"']+" "$1" | sed 's/.*#//'
        grep -oE 'url\(#[^)]+' "$1" | sed 's/.*#//'
        grep -oE 'aria-labelledby="[^"]+' "$1" | sed 's/.*"//'; } | sort -u >references
    [ -s references ]
    [ -z "$(comm -13 ids references)" ]
}

@test "the page opens offline: no reference leads out, every one within is whole" {
    publish
    page_is_whole report/index.html
    run ! grep -niE 'https?:|src=|srcset=|@import|<script|<link|<iframe|url\([^#]' \
        report/index.html
    run ! grep -oE "href=[\"'][^#]" report/index.html
    # One figure in each theme, with words for those who do not see it; headings; the manifest.
    [ "$(grep -c '<svg role="img" aria-label="Figure: A tiny one\. Who answers?' \
        report/index.html)" -eq 2 ]
    grep -q '<h1>' report/index.html
    grep -q '<li><a href="#T">T: A tiny one</a></li>' report/index.html
    grep -q '<h2 id="T-title">T: A tiny one</h2>' report/index.html
    grep -q '<details>' report/index.html
    grep -q '&quot;sha256&quot;' report/index.html
    grep -q '<meta name="viewport"' report/index.html
    grep -q 'prefers-color-scheme:dark' report/index.html
    [ "$(grep -c '<html lang="en">' report/index.html)" -eq 1 ]
}

@test "--check compares the page byte for byte, and wants it to be there" {
    publish
    "$QUOIT" report --check
    sed -i 's/>8437</>3333</' report/index.html
    run -1 "$QUOIT" report --check
    [[ $output == *"report/index.html:"*": differs"* ]]
    rm report/index.html
    run -1 "$QUOIT" report --check
    [[ $output == *"report/index.html is not what report says"* ]]
    "$QUOIT" report
    "$QUOIT" report --check
}

@test "wrong usage exits 2" {
    run -2 "$QUOIT" report --check --adopt x
    run -2 "$QUOIT" report --allow-dirty
    run -2 "$QUOIT" report words
}
