# Prints a Makefile's targets: `##@ Group` heads a group, `target: … ## text` is a line of it.
BEGIN { print "usage: make TARGET [MODE=release|debug|asan|tsan|coverage] [V=1]" }
/^##@ / { printf "\n%s\n", substr($0, 5); next }
/^[A-Za-z0-9_.%-]+:.*## / {
    target = $0
    sub(/:.*/, "", target)
    sub(/%/, "NAME", target)
    text = $0
    sub(/^.*## /, "", text)
    printf "  %-22s %s\n", target, text
}
