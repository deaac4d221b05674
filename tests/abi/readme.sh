#!/bin/sh
# The README's C program compiles and links as it stands there.
# usage: readme.sh CC README INCLUDE_FOLDER LIBSTRID_SO
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
awk '/^```c$/ {inside = 1; next} /^```$/ {inside = 0} inside' "$2" >"$work/visits.c"
grep -q 'int main' "$work/visits.c"
"$1" -std=c17 -Wall -Wextra -Werror -I"$3" "$work/visits.c" -o "$work/visits" "$4"
cd "$work"
for user in a b a; do
    echo "{\"user\": \"$user\"}"
done >visits.jsonl
LD_LIBRARY_PATH=$(dirname "$4") ./visits
