#!/bin/sh
# Runs each libFuzzer target for a while, one after the other, and ends with 1 where one found
# something. usage: tests/fuzz/fuzz.sh [SECONDS [BUILD [NAME...]]]; 1800 is the count by hand.
# New inputs are kept in BUILD/tests/fuzz/found_NAME; what is found is left there as crash-*.
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:-60}
build=${2:-build-fuzz}
[ $# -lt 2 ] || shift
[ $# -lt 1 ] || shift
# shellcheck disable=SC2046 # one word for each target
[ $# -gt 0 ] || set -- $(sed -n 's/^set(fuzz_names \(.*\))$/\1/p' tests/fuzz/CMakeLists.txt)
cmake --preset fuzz -B "$build" >/dev/null
for name in "$@"; do
    cmake --build "$build" --target "fuzz_$name" >/dev/null
done
status=0
for name in "$@"; do
    found=$build/tests/fuzz/found_$name
    mkdir -p "$found"
    # ASLR off: AddressSanitizer of clang 14 does not start where the kernel randomises more bits.
    if setarch -R "$build/tests/fuzz/fuzz_$name" -max_total_time="$seconds" -rss_limit_mb=512 \
        -timeout=5 -artifact_prefix="$found/" "$found" "tests/fuzz/corpus/$name" \
        2>"$build/fuzz_$name.log"; then
        grep '^Done' "$build/fuzz_$name.log" | sed "s/^/$name: /"
    else
        echo "$name: found something: see $build/fuzz_$name.log" >&2
        status=1
    fi
done
exit $status
