#!/bin/sh
# Installs the build into a temporary prefix and builds an outside project against it.
# usage: package.sh CMAKE GENERATOR BUILD_FOLDER CONSUMER_FOLDER CC VERSION
set -eu
cmake=$1 build=$3 consumer=$4 cc=$5 version=$6
export CMAKE_GENERATOR="$2" # the default, make, need not be installed
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix

"$cmake" --install "$build" --prefix "$prefix" >"$work/install.log" || {
    cat "$work/install.log" >&2
    exit 1
}

echo "== find_package, shared and static"
"$cmake" -S "$consumer" -B "$work/consumer" -DCMAKE_PREFIX_PATH="$prefix" \
    -DCMAKE_C_COMPILER="$cc" -DSTRID_EXPECTED_VERSION="$version"
"$cmake" --build "$work/consumer"
"$work/consumer/consumer_shared" "$version"
"$work/consumer/consumer_static" "$version"

echo "== another major version is refused"
other=$((${version%%.*} + 1)).0
if "$cmake" -S "$consumer" -B "$work/other" -DCMAKE_PREFIX_PATH="$prefix" \
    -DCMAKE_C_COMPILER="$cc" -DSTRID_EXPECTED_VERSION="$other" >"$work/other.log" 2>&1; then
    echo "find_package(strid $other) found version $version" >&2
    exit 1
fi
grep -q "version: $version" "$work/other.log"

echo "== pkg-config"
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name strid.pc)")
export PKG_CONFIG_PATH
[ "$(pkg-config --modversion strid)" = "$version" ]
# shellcheck disable=SC2046 # flags are words
"$cc" -std=c17 -Wall -Wextra -Werror "$consumer/consumer.c" -o "$work/by_pkg_config" \
    $(pkg-config --cflags --libs strid)
LD_LIBRARY_PATH=$(pkg-config --variable=libdir strid) "$work/by_pkg_config" "$version"

echo "== the installed command"
[ "$("$prefix/bin/strid" version)" = "strid $version" ]
find "$prefix" -name strid.1 | grep -q .
