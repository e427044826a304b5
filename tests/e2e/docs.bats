#!/usr/bin/env bats
# The generated pages of docs/ are those of this program.

@test "docs/ holds what make docs writes" {
    "$BATS_TEST_DIRNAME"/../../tools/make-docs "$QUOIT" "$BATS_TEST_TMPDIR/docs"
    for page in "$BATS_TEST_TMPDIR"/docs/*.md; do
        diff -u "$BATS_TEST_DIRNAME/../../docs/${page##*/}" "$page"
    done
}

@test "metrics --help names no option but itself" {
    run "$QUOIT" metrics --help
    [ "$status" -eq 0 ]
    [[ $output == *"print every metric"* ]]
}

@test "metrics takes no words" {
    run "$QUOIT" metrics more
    [ "$status" -eq 2 ]
}

@test "version says the commit it was built from" {
    run "$QUOIT" --version
    [ "$status" -eq 0 ]
    [[ $output =~ ^quoit\ [0-9]+\.[0-9]+\.[0-9]+ ]]
}

@test "output that cannot be written is a failure" {
    [ -e /dev/full ] || skip "no /dev/full"
    run sh -c '"$QUOIT" metrics >/dev/full'
    [ "$status" -eq 1 ]
}
