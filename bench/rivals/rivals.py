#!/usr/bin/env python3
"""Other systems that do the same with the same topic, brought through Maven by name and version.

    rivals.py       builds what lies in the folders beside it, prints where

The jars and classes lie in $XDG_CACHE_HOME/strid/rivals (else ~/.cache), by what they were made of.
Then: strid-bench --rivals "$(bench/rivals/rivals.py)" kafka_count kafka_sweep
"""
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
RIVALS = ("streams", "parallel")
PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
BUILD_S = 900


class RivalError(Exception):
    """What went wrong, where, and what to do."""


def run(words, what):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=BUILD_S, check=False)
    if done.returncode != 0:
        raise RivalError(f"{what} failed (exit {done.returncode}); its last words:\n"
                         f"{done.stdout[-2000:]}")


def build(name, folder):
    """Jars and classes of one rival into a folder."""
    source = HERE / name
    run(["mvn", "-B", "-q", "-f", str(source / "pom.xml"), PLUGIN, "-DincludeScope=runtime",
         f"-DoutputDirectory={folder}/jars"], f"bringing the jars of {name} through Maven")
    run(["javac", "-d", f"{folder}/classes", "-cp", f"{folder}/jars/*",
         *map(str, sorted(source.glob("*.java")))], f"compiling {name}")


def folder_of(cache):
    """Named by what is built, so that a change builds anew."""
    digest = hashlib.sha256()
    for path in sorted(p for name in RIVALS for p in (HERE / name).iterdir()):
        digest.update(path.read_bytes())
    return cache / "strid" / "rivals" / digest.hexdigest()[:16]


def main():
    for command, package in (("mvn", "maven"), ("javac", "openjdk-17-jdk-headless")):
        if shutil.which(command) is None:
            raise RivalError(f"{command} is missing: apt-get install {package}")
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    folder = folder_of(cache)
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            for name in RIVALS:
                build(name, pathlib.Path(scratch) / "made" / name)
            os.rename(f"{scratch}/made", folder)  # one that is there is complete
    print(folder)


if __name__ == "__main__":
    try:
        main()
    except RivalError as error:
        sys.exit(f"rivals.py: {error}")
