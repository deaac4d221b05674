#!/bin/sh
# Makes the interpreter for the sides of strid-bench that are written in Python, in the user's
# cache, and prints how to use it. Needs Python 3.11 with venv, and PyPI; where both are there already, it
# does nothing. Run it again after a change of requirements.txt.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
folder=${XDG_CACHE_HOME:-$HOME/.cache}/strid/bench-python
if ! cmp -s "$here/requirements.txt" "$folder/requirements.txt"; then
    python3 -m venv --clear "$folder"
    "$folder/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt" >&2
    cp "$here/requirements.txt" "$folder/requirements.txt"
fi
echo "STRID_BENCH_PYTHON=$folder/bin/python"
