#!/usr/bin/env python3
"""The folders, files, presets and targets that everybody relies on.

usage: test_structure.py ROOT BUILD CMAKE LIBRARY"""
import json
import pathlib
import re
import subprocess
import sys
import unittest

ROOT = BUILD = CMAKE = LIBRARY = None
FOLDERS = {"engine", "state", "connectors", "bench", "tests", "tools", "docs"}
FILES = ("CMakeLists.txt", "CMakePresets.json", "README.md", "LICENSE", "CHANGELOG.md",
         "CONTRIBUTING.md", ".clang-format", ".clang-tidy", ".ci/run", "tools/demo", "tools/test",
         "docs/architecture.md", "docs/guarantees.md", "docs/configuration.md", "docs/cli.md",
         "docs/internals/state.md", "docs/benchmarks.md")
TARGETS = ("strid", "strid_static", "strid_command", "strid-bench", "strid_testing")


def output(*words):
    return subprocess.run(words, capture_output=True, text=True, check=True, cwd=ROOT).stdout


class StructureTest(unittest.TestCase):
    def text(self, name):
        return (pathlib.Path(ROOT) / name).read_text(encoding="utf-8")

    def test_folders(self):
        there = {path.name for path in pathlib.Path(ROOT).iterdir() if path.is_dir()}
        self.assertLessEqual(FOLDERS, there)
        if (pathlib.Path(ROOT) / ".git").exists():  # what is not ignored and no more
            listed = output("git", "-c", "safe.directory=*", "ls-files").splitlines()
            kept = {name.split("/")[0] for name in listed if "/" in name and name[0] != "."}
            self.assertEqual(kept, FOLDERS)

    def test_files(self):
        for name in FILES:
            self.assertTrue((pathlib.Path(ROOT) / name).is_file(), name)
        for name in (".ci/run", "tools/demo", "tools/test"):
            self.assertTrue((pathlib.Path(ROOT) / name).stat().st_mode & 0o111, name)
        self.assertIn("Apache License", self.text("LICENSE"))
        self.assertIn("Version 2.0, January 2004", self.text("LICENSE"))
        self.assertRegex(self.text(".ci/run"), r"(?m)^exec \./tools/test")

    def test_presets(self):
        presets = {preset["name"]: preset.get("cacheVariables", {})
                   for preset in json.loads(self.text("CMakePresets.json"))["configurePresets"]}
        self.assertEqual(presets["release"]["CMAKE_BUILD_TYPE"], "Release")
        self.assertEqual(presets["debug"]["CMAKE_BUILD_TYPE"], "Debug")
        for name, sanitizers in (("asan", "address,undefined"), ("tsan", "thread"),
                                 ("fuzz", "address,undefined")):
            self.assertEqual(presets[name]["STRID_SANITIZE"], sanitizers)
        listed = output(CMAKE, "--list-presets")  # refuses a file that it cannot read
        for name in presets:
            self.assertEqual(f'"{name}"' in listed, name != "base", name)

    def test_warnings_are_errors_where_everything_is_tested(self):
        self.assertIn("-DSTRID_WERROR=ON", self.text("tools/test"))

    def test_targets(self):
        listed = output(CMAKE, "--build", BUILD, "--target", "help")
        for name in TARGETS:
            self.assertRegex(listed, rf"(?m)^{re.escape(name)}: phony")

    def test_soname_is_the_major_version(self):
        major = re.search(r"STRID_VERSION_MAJOR (\d+)",
                          self.text("engine/include/strid/version.h")).group(1)
        self.assertIn(f"[libstrid.so.{major}]", output("readelf", "-d", LIBRARY))


if __name__ == "__main__":
    ROOT, BUILD, CMAKE, LIBRARY = sys.argv[1:5]
    unittest.main(argv=sys.argv[:1])
