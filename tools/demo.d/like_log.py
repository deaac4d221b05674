#!/usr/bin/env python3
"""Writes a log like dpkg's, for machines that have none. usage: like_log.py FILE"""
import random
import sys

LINES = 20000
PACKAGES = [f"{stem}-{part}:amd64" for stem in ("libstream", "river", "weir", "ford", "brook")
            for part in ("bin", "common", "dev", "doc", "data", "tools")]


def main():
    generator = random.Random(5)
    with open(sys.argv[1], "w", encoding="utf-8") as log:
        for number in range(LINES):
            day, hour, minute = 1 + number // 1000, number // 60 % 24, number % 60
            moment = f"2026-01-{day:02d} {hour:02d}:{minute:02d}:00"
            package = PACKAGES[min(int(generator.expovariate(0.15)), len(PACKAGES) - 1)]
            draw = generator.random()
            if draw < 0.02:
                log.write(f"{moment} startup archives unpack\n")
            elif draw < 0.60:
                log.write(f"{moment} status installed {package} 1.0-{number % 7}\n")
            else:
                action = generator.choices(("install", "upgrade", "remove", "configure"),
                                           (2, 4, 1, 6))[0]
                log.write(f"{moment} {action} {package} <none> 1.0-{number % 7}\n")


if __name__ == "__main__":
    main()
