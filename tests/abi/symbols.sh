#!/bin/sh
# The shared library exports exactly what symbols.txt lists, all of it strid_*; the archive defines
# the same and no other strong global symbol.
# usage: symbols.sh NM LIBSTRID_SO LIBSTRID_STATIC_A SYMBOLS_TXT
set -eu
nm=$1 shared=$2 archive=$3 list=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

LC_ALL=C sort "$list" >"$work/listed"
"$nm" -D --defined-only "$shared" | awk '{print $NF}' | LC_ALL=C sort >"$work/exported"
"$nm" -g --defined-only "$archive" | awk 'NF == 3 && $2 !~ /[VWu]/ {print $3}' |
    LC_ALL=C sort >"$work/archived"

failed=0
if grep -v '^strid_' "$work/exported" "$work/archived"; then
    echo "these symbols are not strid_*: they collide with the embedding program's" >&2
    failed=1
fi
for set in exported archived; do
    if ! diff "$work/listed" "$work/$set" >"$work/diff"; then
        echo "$set symbols differ from $list ('<' listed, '>' found):" >&2
        cat "$work/diff" >&2
        failed=1
    fi
done
exit $failed
