#!/usr/bin/env python3
"""`lastmile check` against `ruff check --select E9` over the standard library.

usage: check.py [--rounds N] [--exclude PATTERN]... [FOLDER]

Both read the same copy, without files that are broken on purpose or not in UTF-8, which only lastmile can read.
"""

import argparse
import fnmatch
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from common import Run, hold, in_turns, lastmile, median, print_runs, tool

BROKEN_ON_PURPOSE = ["*/lib2to3/tests/data/*", "*/test/bad*", "*/test/*/bad*", "*/site-packages/*"]


def main():
    parser = argparse.ArgumentParser(description="Time checks against ruff's.")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--exclude", action="append", default=[], metavar="PATTERN")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(sysconfig.get_path("stdlib")))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lastmile-bench.") as copy:
        n_files, n_bytes = copy_sources(args.folder, Path(copy), BROKEN_ON_PURPOSE + args.exclude)
        print(f"{n_files} files of {args.folder}, {n_bytes / 1e6:.1f} MB")
        ours = [lastmile(), "check", copy]
        theirs = [tool("ruff"), "check", "--isolated", "--no-cache", "--quiet", "--select", "E9"]
        theirs += ["--config", "exclude = []", copy]
        runs = in_turns({"lastmile check": lambda: healthy(ours), "ruff check": lambda: healthy(theirs)}, args.rounds)
    print_runs(runs)
    pairs = list(zip(*runs.values()))
    hold("lastmile / ruff by the clock", median([ours.wall / theirs.wall for ours, theirs in pairs]), 1)
    hold("lastmile / ruff in processor time", median([ours.cpu / theirs.cpu for ours, theirs in pairs]), 1)


def copy_sources(folder, copy, excludes):
    """Copies what both programs read, and says how much that is."""
    for path in folder.rglob("*.py"):
        is_wanted = not any(fnmatch.fnmatch(path, pattern) for pattern in excludes)
        if is_wanted and path.is_file() and is_utf8(path):
            target = copy / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    command = [lastmile(), "check", "--format", "json", str(copy)]
    told = subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8", check=False).stdout
    for report in map(json.loads, told.splitlines()):
        os.remove(report["path"])
    sizes = [path.stat().st_size for path in copy.rglob("*.py")]
    return len(sizes), sum(sizes)


def is_utf8(path):
    try:
        path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return False
    return True


def healthy(command):
    run = Run(command, stderr=subprocess.DEVNULL)
    if run.code != 0:
        sys.exit(f"error: `{' '.join(command)}` answered {run.code} where all files are fine")
    return run


if __name__ == "__main__":
    main()
