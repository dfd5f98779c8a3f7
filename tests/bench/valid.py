#!/usr/bin/env python3
"""False alarms of `lastmile check`: files that it calls broken and that CPython compiles.

usage: valid.py [FOLDER ...]

For each folder: how many files were judged and skipped, how many lastmile calls broken, how many it lets pass that
CPython refuses, and how many of the broken ones CPython compiles. Without folders, the standard library of this Python
and three large packages, downloaded once into target/bench. Any false alarm is named and makes the exit code 1.
"""

import argparse
import json
import multiprocessing
import subprocess
import sys
import sysconfig
import warnings
import zipfile
from pathlib import Path

from common import CACHE, hold, lastmile

PACKAGES = ["django==5.2.8", "sympy==1.14.0", "pandas==2.3.3"]


def main():
    parser = argparse.ArgumentParser(description="Count false alarms on files that CPython compiles.")
    parser.add_argument("folders", nargs="*", type=Path)
    args = parser.parse_args()
    folders = args.folders or [Path(sysconfig.get_path("stdlib")), *map(package, PACKAGES)]
    false_alarms = []
    print(f"{'folder':56} {'files':>6} {'skipped':>7} {'broken':>6} {'passed':>6} {'false':>5}")
    for folder in folders:
        false_alarms += print_line(folder)
    for path in false_alarms:
        print(f"false alarm: {path}")
    hold("false alarms", len(false_alarms), 0)
    sys.exit(1 if false_alarms else 0)


def package(name):
    """The folder of a package, without what it depends on."""
    folder = CACHE / name
    if not folder.is_dir():
        wheels = CACHE / f"{name}.wheel"
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "download", "--no-deps"]
        # Pure Python or not, no file of it is run; any wheel will do.
        subprocess.run([*pip, "--only-binary", ":all:", "--dest", str(wheels), name], check=True)
        partial = CACHE / f"{name}.partial"
        zipfile.ZipFile(next(wheels.glob("*.whl"))).extractall(partial)
        partial.rename(folder)
    return folder


def print_line(folder):
    """Judges a folder and gives the paths of its false alarms."""
    command = [lastmile(), "check", "--format", "json", str(folder)]
    run = subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8", check=False)
    reports = [json.loads(line) for line in run.stdout.splitlines()]
    if run.returncode > 1:
        sys.exit(f"error: `{' '.join(command)}` failed: {[r for r in reports if r['kind'] == 'failed']}")
    broken = {report["path"] for report in reports if report["kind"] == "broken"}
    skipped = {report["path"] for report in reports if report["kind"] == "skipped"}
    files = sorted({str(path) for path in folder.rglob("*.py") if path.is_file()} - skipped)
    with multiprocessing.Pool() as pool:
        compiles = dict(zip(files, pool.map(is_compiled, files, chunksize=32)))
    wrong = sorted(path for path in broken if compiles.get(path))
    # Broken for CPython only: it also compiles, and refuses then a `return` outside of a function.
    n_passed = sum(not fine and path not in broken for path, fine in compiles.items())
    print(f"{str(folder)[-56:]:56} {len(files):6} {len(skipped):7} {len(broken):6} {n_passed:6} {len(wrong):5}")
    return wrong


def is_compiled(path):
    warnings.simplefilter("ignore")  # of the code that is judged
    try:
        compile(Path(path).read_bytes(), path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


if __name__ == "__main__":
    main()
