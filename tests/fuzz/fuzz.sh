#!/bin/sh
# Runs each libFuzzer target until it has had SECONDS of processor time, one after the other, and
# ends with 1 where one found something. usage: tests/fuzz/fuzz.sh [SECONDS [BUILD [NAME...]]];
# 1800 is the count by hand.
#
# New inputs are kept in KEEP/found_NAME, and what is found is left there as crash-*, timeout-* or
# oom-*. After each slice of at most FUZZ_SLICE (60) seconds a line is added to KEEP/sittings: target,
# processor seconds, inputs, commit. KEEP is BUILD/tests/fuzz, and every call begins at 0; or
# FUZZ_KEEP, a folder outside the tree: then what stands in its sittings counts, so that the count
# by hand can be spread over days and be interrupted at any time.
set -eu
cd "$(dirname "$0")/../.."
wanted=${1:-60}
build=${2:-build-fuzz}
slice=${FUZZ_SLICE:-60}
least=2 # seconds: a target begins by running all inputs that are there
[ $# -lt 2 ] || shift
[ $# -lt 1 ] || shift
# shellcheck disable=SC2046 # one word for each target
[ $# -gt 0 ] || set -- $(sed -n 's/^set(fuzz_names \(.*\))$/\1/p' tests/fuzz/CMakeLists.txt)
cmake --preset fuzz -B "$build" >/dev/null
for name in "$@"; do
    cmake --build "$build" --target "fuzz_$name" >/dev/null
done
keep=${FUZZ_KEEP:-$build/tests/fuzz}
mkdir -p "$keep"
[ -n "${FUZZ_KEEP:-}" ] || : >"$keep/sittings"
touch "$keep/sittings"
commit=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
scratch=$(mktemp)
trap 'rm -f "$scratch"' EXIT

# Sets `children`: processor seconds of all children so far. A subshell would tell of its own.
count_children() {
    times >"$scratch"
    children=$(awk 'NR == 2 { split($1, user, /[ms]/); split($2, sys, /[ms]/)
        printf "%.2f", user[1] * 60 + user[2] + sys[1] * 60 + sys[2] }' "$scratch")
}

# What a target has had: column 2 whole seconds, column 3 inputs.
sum() {
    awk -v name="$1" -v column="$2" '$1 == name { all += $column } END { printf "%d\n", all }' \
        "$keep/sittings"
}

# One slice of a target, no longer than it needs; not 0: it found something.
run_slice() {
    count_children
    before=$children
    seconds=$((wanted - $(sum "$1" 2)))
    [ $seconds -le "$slice" ] || seconds=$slice
    [ $seconds -ge $least ] || seconds=$least
    failed=0
    # ASLR off: AddressSanitizer of clang 14 does not start where the kernel randomises more bits.
    setarch -R "$build/tests/fuzz/fuzz_$1" -max_total_time=$seconds -rss_limit_mb=512 \
        -timeout=5 -artifact_prefix="$keep/found_$1/" "$keep/found_$1" "tests/fuzz/corpus/$1" \
        2>"$build/fuzz_$1.log" || failed=1
    count_children
    inputs=$(sed -n 's/^Done \([0-9]*\) runs.*/\1/p' "$build/fuzz_$1.log")
    echo "$1 $before $children ${inputs:-0} $commit" |
        awk '{ printf "%s %.2f %s %s\n", $1, $3 - $2, $4, $5 }' >>"$keep/sittings"
    [ "${inputs:-0}" -gt 0 ] && return $failed
    return 1
}

status=0
for name in "$@"; do
    mkdir -p "$keep/found_$name"
    while [ "$(sum "$name" 2)" -lt "$wanted" ]; do
        if ! run_slice "$name"; then
            echo "$name: found something: see $build/fuzz_$name.log" >&2
            status=1
            break
        fi
    done
    echo "$name: $(sum "$name" 3) inputs in $(sum "$name" 2) processor seconds"
done
exit $status
