#!/usr/bin/env python3
"""`lastmile fix FILE` on one broken file after the other, with an engine that is started each time.

usage: fix.py [--rounds N] [FILE ...]       (default: the files of tests/demo)
"""

import argparse
import subprocess
import sys
from functools import partial
from pathlib import Path

from common import ROOT, Run, hold, in_turns, lastmile, median, p95, print_runs

TARGET_MS = 1500


def main():
    parser = argparse.ArgumentParser(description="Time the repair of one file from a cold start.")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("files", nargs="*", type=Path)
    args = parser.parse_args()
    files = args.files or sorted((ROOT / "tests/demo").glob("*.py"))
    runs = in_turns({f"lastmile fix {file.name}": partial(repaired, file) for file in files}, args.rounds)
    print_runs(runs)
    wall = [run.wall for taken in runs.values() for run in taken]
    hold("median of all", median(wall), TARGET_MS, "ms")
    hold("p95 of all", p95(wall), TARGET_MS, "ms")


def repaired(file):
    run = Run([lastmile(), "fix", str(file)], stderr=subprocess.DEVNULL)
    if run.code != 1:
        sys.exit(f"error: `lastmile fix {file}` answered {run.code}, not 1 for a file with a fault")
    return run


if __name__ == "__main__":
    main()
