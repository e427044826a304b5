#!/usr/bin/env bats
# docs/hashing.md says what the program says. QUOIT names the program.
bats_require_minimum_version 1.5.0

setup() {
    QUOIT=${QUOIT:-$BATS_TEST_DIRNAME/../../build/release/quoit}
    cd "$BATS_TEST_DIRNAME/../.." || return
    doc=docs/hashing.md
}

# Writes every block that begins with "$ quoit …" to two files: N.command and N.wanted.
blocks() {
    awk -v dir="$BATS_TEST_TMPDIR" '
        /^```/ { inside = !inside; if (!inside) wanted = ""; first = inside; next }
        inside && first && /^\$ quoit / { n++; wanted = dir "/" n ".wanted"
            print substr($0, 3) >(dir "/" n ".command"); printf "" >wanted; first = 0; next }
        inside && wanted { print >wanted }
        { first = 0 }' "$doc"
}

@test "every command on the page prints what stands below it" {
    blocks
    files=("$BATS_TEST_TMPDIR"/*.command)
    [ "${#files[@]}" -ge 8 ]
    for file in "${files[@]}"; do
        read -ra words <"$file"
        "$QUOIT" "${words[@]:1}" >"${file%.command}.got" 2>&1 || true # lint exits 1
        diff -u "${file%.command}.wanted" "${file%.command}.got" || {
            echo "of: ${words[*]}"
            false
        }
    done
}

@test "every figure of the page is there, from a clean build, as its manifest says" {
    while read -r file; do
        [ -e "docs/$file" ] || { echo "docs/$file is missing"; false; }
    done < <(grep -ho 'hashing/[A-Za-z0-9_/.-]*' "$doc" README.md | sort -u)
    for manifest in docs/hashing/*/manifest.json; do
        jq -e '.quoit.dirty == false and .interrupted == false and .seed == 1' "$manifest" >/dev/null
        jq -r '.files[] | "\(.sha256)  \(.name)"' "$manifest" |
            (cd "${manifest%/*}" && sha256sum --quiet --check)
    done
}

@test "the table of times has the figures of the rows beside it" {
    wanted=$(awk -F'\t' '
        function shown(x) { return sprintf(x < 100 ? "%.1f" : "%.0f", x) }
        NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; next }
        { name = $column["placement"]; n = $column["servers"]
          if (!(name in seen)) { seen[name] = 1; order[++n_names] = name }
          hot[name, n] = $column["hot_ns"]; batch[name, n] = $column["batch_ns"]
          cold[name, n] = $column["cold_ns"] }
        END { for (i = 1; i <= n_names; i++) { p = order[i]
              printf "| %s | %s | %s | %s | %s | %s |\n", p, shown(hot[p, 10]), shown(hot[p, 1000]),
                  shown(batch[p, 10]), shown(batch[p, 1000]), shown(cold[p, 1000]) } }' \
        docs/hashing/H3/rows.tsv)
    [ -n "$wanted" ]
    diff -u <(echo "$wanted") <(sed -n '/^| ns a lookup/,/^$/p' "$doc" | sed '1,2d;/^$/d')
}
