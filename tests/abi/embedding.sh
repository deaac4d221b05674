#!/bin/sh
# The example of docs/embedding.md compiles as it stands there, and does what its text says.
# usage: embedding.sh CC EMBEDDING_MD INCLUDE_FOLDER LIBSTRID_SO
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
awk '/^```c$/ {inside = 1; next} /^```$/ {inside = 0} inside' "$2" >"$work/example.c"
grep -q 'strid_defer' "$work/example.c"
"$1" -std=c17 -Wall -Wextra -Werror -I"$3" -DEXAMPLE="\"$work/example.c\"" "$(dirname "$0")/embedding_service.c" \
    -o "$work/embedding" "$4" -lpthread
LD_LIBRARY_PATH=$(dirname "$4") "$work/embedding"
