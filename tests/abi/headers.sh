#!/bin/sh
# Every public header compiles alone, without a warning, as C11, C17 and C++17.
# usage: headers.sh CC CXX INCLUDE_FOLDER
set -eu
cc=$1 cxx=$2 include=$3
failed=0
count=0
compile() { # compiler, language, standard
    if ! printf '#include <strid/%s>\nextern int alone;\n' "$name" | "$1" -x "$2" -std="$3" -Wall -Wextra -Wpedantic \
        -Wshadow -Wconversion -Werror -I"$include" -fsyntax-only -; then
        echo "strid/$name does not compile alone as $3" >&2
        failed=1
    fi
}
for header in "$include"/strid/*.h; do
    name=$(basename "$header")
    compile "$cc" c c11
    compile "$cc" c c17
    compile "$cxx" c++ c++17
    count=$((count + 1))
done
[ "$count" -gt 10 ] || { echo "only $count headers found in $include/strid" >&2; exit 1; }
exit $failed
