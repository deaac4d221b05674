#!/usr/bin/env python3
"""Fails when a test was skipped that tests/skips.txt does not list with a reason.

usage: skips.py CTEST_JUNIT_XML SKIPS_TXT   (silent when all is well)
"""
import sys
import xml.etree.ElementTree as xml


def listed(path):
    """Names in the list: 'name  reason' a line, '#' begins a comment."""
    names = {}
    for number, line in enumerate(open(path, encoding="utf-8"), 1):
        line = line.split("#")[0].strip()
        if not line:
            continue
        name, _, reason = line.partition(" ")
        if not reason.strip():
            sys.exit(f"{path}:{number}: '{name}' has no reason: write 'NAME  REASON'")
        names[name] = reason.strip()
    return names


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    allowed = listed(sys.argv[2])
    skipped = [case.get("name") for case in xml.parse(sys.argv[1]).getroot().iter("testcase")
               if case.get("status") in ("notrun", "disabled") or case.find("skipped") is not None]
    bad = [name for name in skipped if name not in allowed]
    for name in bad:
        print(f"test '{name}' was skipped and is not listed in {sys.argv[2]}", file=sys.stderr)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
