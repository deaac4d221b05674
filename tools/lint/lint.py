#!/usr/bin/env python3
"""The house rules that a machine can check. usage: lint.py [ROOT]

Sizes of files, functions and lines; which folder may include which; banned functions; ck only in
engine/concurrent; no unfinished work; formatting. Exit 1 when a rule is broken, one line a fault.
"""
import os
import re
import subprocess
import sys

FOLDERS = ("engine", "state", "connectors", "bench", "tests", "tools")
SOURCE = (".c", ".h", ".cc")
SCRIPT = (".py", ".sh", ".cmake")
FILE_LINES, HEADER_LINES, FUNCTION_LINES, LINE_COLUMNS = 500, 400, 70, 100

# What a folder may include besides itself and <strid/...>; the nearest parent's entry counts. An
# entry means one folder, one that ends in '/' the whole tree.
BASE, CONCURRENT = "engine/base", "engine/concurrent"
MAY_INCLUDE = {
    "engine/include": [],
    BASE: [],
    CONCURRENT: [BASE],
    "engine/pipeline": [BASE, CONCURRENT, "state"],
    "engine/handlers": [BASE, CONCURRENT, "engine/pipeline"],
    "engine/runtime": [BASE, CONCURRENT, "engine/pipeline", "engine/handlers", "state"],
    "engine/api": ["engine/", "state"],
    "state": [BASE, CONCURRENT],
    "state/rocksdb": [BASE, CONCURRENT, "state"],
    "state/memory": [BASE, CONCURRENT, "state"],
    "connectors": [BASE],
    "connectors/registry": [BASE, "engine/pipeline", "connectors/"],
    "bench": [BASE, "bench/"],
    # the engine's own library options
    "bench/raw": [BASE, "bench/", "state/rocksdb", "connectors/kafka"],
    "tools": [BASE],
    "tools/config_doc": [BASE, "engine/pipeline", "connectors/"],
    "tests": ["engine/", "state/", "connectors/", "tests/", "bench/", "tools/"],
}

# Files that measure what lies behind an interface.
FILE_MAY_INCLUDE = {"bench/spike_store.c": ["state/"],
                    "bench/share.c": ["engine/runtime"]}  # to give the raw loops as much memory

BANNED = re.compile(r"(?<![\w.>])(strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atol|atof|alloca"
                    r"|rand|srand|signal)\s*\(")
SLEEP = re.compile(r"(?<![\w.>])(sleep|usleep)\s*\(")
ALLOCATION = re.compile(r"(?<![\w.>])(malloc|calloc|realloc|strdup|strndup)\s*\(")
GENERATED = ("commit.h",)  # made by the build
UNFINISHED = re.compile(r"\b(" + "TO" + "DO|FIX" + r"ME)\b")
CK = re.compile(r"#include\s*<ck_|(?<!\w)ck_(?:pr|ring|ec|queue|stack)_\w+\s*\(")
INCLUDE = re.compile(r'#include\s+"([^"]+)"')
STRING_OR_COMMENT = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"\((?:.|\n)*?\)"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def blank(match):
    """The same text as spaces, so that lines and columns stay."""
    return re.sub(r"[^\n]", " ", match.group())


def code_of(text):
    return STRING_OR_COMMENT.sub(blank, text)


def rule_of(folder):
    """The folder's own entry in MAY_INCLUDE, or its nearest parent's."""
    while folder and folder not in MAY_INCLUDE:
        folder = os.path.dirname(folder)
    return folder


class Lint:
    def __init__(self, root):
        self.root = root
        self.faults = []

    def fault(self, path, line, text):
        self.faults.append(f"{path}:{line}: {text}")

    def files(self):
        for folder in FOLDERS:
            for at, folders, names in os.walk(os.path.join(self.root, folder)):
                folders[:] = sorted(f for f in folders if f != "__pycache__")
                for name in sorted(names):
                    yield os.path.relpath(os.path.join(at, name), self.root)

    def run(self):
        sources = []
        for path in self.files():
            is_source = path.endswith(SOURCE)
            is_script = path.endswith(SCRIPT) or path in ("tools/test", "tools/demo")
            if not (is_source or is_script or path.endswith("CMakeLists.txt")):
                continue
            with open(os.path.join(self.root, path), encoding="utf-8") as file:
                text = file.read()
            self.check_text(path, text, is_source)
            if is_source:
                sources.append(path)
                code = code_of(text)
                self.check_includes(path, text)
                self.check_calls(path, code)
                self.check_functions(path, code)
        self.check_format(sources)
        return self.faults

    def check_text(self, path, text, is_source):
        lines = text.split("\n")
        public = path.startswith("engine/include/")
        limit = HEADER_LINES if public else FILE_LINES
        if len(lines) - 1 > limit:
            self.fault(path, len(lines) - 1, f"{len(lines) - 1} lines; at most {limit}: split it")
        for number, line in enumerate(lines, 1):
            if len(line) > LINE_COLUMNS and (is_source or path.endswith(".py")):
                self.fault(path, number, f"{len(line)} columns; at most {LINE_COLUMNS}")
            if UNFINISHED.search(line):
                self.fault(path, number, "unfinished work: do it or open an issue")
        if text and not text.endswith("\n"):
            self.fault(path, len(lines), "no newline at the end")

    def resolve(self, path, name):
        """The file that an include names, from the root, or None."""
        here = os.path.dirname(path)
        for base in (here, "engine/include", "engine", "", here.split("/")[0]):
            candidate = os.path.normpath(os.path.join(base, name))
            if os.path.isfile(os.path.join(self.root, candidate)):
                return candidate
        return None

    def check_includes(self, path, text):
        folder = os.path.dirname(path)
        rule = rule_of(folder)
        for number, line in enumerate(text.split("\n"), 1):
            match = INCLUDE.search(line)
            target = self.resolve(path, match.group(1)) if match else None
            if target is None:
                if match and match.group(1) not in GENERATED:
                    self.fault(path, number, f'include "{match.group(1)}" is no file of ours')
                continue
            other = os.path.dirname(target)
            if path.startswith("engine/include/"):
                self.fault(path, number, "public headers include only <strid/...>")
            elif other == folder or other.startswith("engine/include"):
                continue
            elif not any((other + "/").startswith(may) if may.endswith("/") else other == may
                         for may in MAY_INCLUDE.get(rule, []) + FILE_MAY_INCLUDE.get(path, [])):
                self.fault(path, number, f"{folder} may not include {other} "
                                         f"(allowed: {', '.join(MAY_INCLUDE.get(rule, []))})")

    def check_calls(self, path, code):
        for number, line in enumerate(code.split("\n"), 1):
            for match in BANNED.finditer(line):
                self.fault(path, number, f"banned function {match.group(1)}")
            if path.startswith("tests/") and SLEEP.search(line):
                self.fault(path, number, "no sleeps in tests: wait on a condition")
            if not path.startswith((BASE, "tests/", "bench/")) and not path.endswith(".cc"):
                for match in ALLOCATION.finditer(line):
                    self.fault(path, number, f"naked {match.group(1)}: use base/memory.h")
            if not path.startswith((CONCURRENT, "bench/raw")) and CK.search(line):
                self.fault(path, number, "ck belongs into engine/concurrent")
            if path.startswith("engine/include/") and "volatile" in line:
                self.fault(path, number, "no volatile")

    def check_functions(self, path, code):
        """A body is what stands between a '{' in column 0 behind ')' and the '}' in column 0."""
        lines = code.split("\n")
        start = None
        for number, line in enumerate(lines, 1):
            if line.startswith("{") and number > 1 and lines[number - 2].rstrip().endswith(")"):
                start = number
            elif line.startswith("}") and start is not None:
                length = number - start + 2
                if length > FUNCTION_LINES:
                    self.fault(path, start - 1,
                               f"function of {length} lines; at most {FUNCTION_LINES}: split it")
                start = None

    def check_format(self, sources):
        if not sources:
            return
        done = subprocess.run(["clang-format", "--dry-run", "--ferror-limit=0", *sources],
                              cwd=self.root, capture_output=True, text=True, check=False)
        seen = set()
        for line in done.stderr.split("\n"):
            match = re.match(r"(\S+?):(\d+):\d+: .*\[-Wclang-format", line)
            if match and match.group(1) not in seen:
                seen.add(match.group(1))
                self.fault(match.group(1), match.group(2), "not formatted: clang-format -i " +
                           match.group(1))
        if done.returncode != 0 and not seen:
            self.fault("clang-format", 0, done.stderr.strip() or "failed")


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "../..")
    faults = Lint(os.path.abspath(root)).run()
    for fault in faults:
        print(fault)
    print(f"lint: {len(faults)} faults" if faults else "lint: fine")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
