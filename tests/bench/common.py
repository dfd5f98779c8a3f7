"""What the benchmarks share: the program, runs in turns, tables with their targets.

LASTMILE names another program than target/release/lastmile. Engine and models are found as lastmile finds them.
"""

import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
# What was downloaded and unpacked; `make clean` removes it.
CACHE = ROOT / "target/bench"


def lastmile():
    program = Path(os.environ.get("LASTMILE") or ROOT / "target/release/lastmile").resolve()
    if not program.is_file():
        sys.exit(f"error: `{program}` is not built: make build")
    return str(program)


def tool(name):
    """A program of `make tools`, or of the PATH."""
    found = shutil.which(name, path=f"{ROOT / '.venv/bin'}{os.pathsep}{os.environ['PATH']}")
    return found or sys.exit(f"error: `{name}` is not installed: make tools")


class Run:
    """One run of a program: its exit code, and milliseconds by the clock and of the processors."""

    def __init__(self, command, **how):
        started = time.perf_counter()
        process = subprocess.Popen(command, **{"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, **how})
        _, status, used = os.wait4(process.pid, 0)
        self.wall = 1000 * (time.perf_counter() - started)
        self.cpu = 1000 * (used.ru_utime + used.ru_stime)
        self.code = process.returncode = os.waitstatus_to_exitcode(status)


def in_turns(cases, rounds, warm_up=1):
    """Calls each of `cases` by turns, so that a busy machine slows all alike; gives the runs of each."""
    runs = {name: [] for name in cases}
    for round_idx in range(rounds + warm_up):
        for name, case in cases.items():
            run = case()
            if round_idx >= warm_up:
                runs[name].append(run)
    return runs


def median(values):
    return statistics.median(values)


def p95(values):
    return sorted(values)[min(len(values) - 1, int(0.95 * len(values)))]


def print_runs(runs):
    """A line for each case."""
    print(f"{'ms':30} {'median':>8} {'p95':>8} {'least':>8} {'cpu':>8}")
    for name, taken in runs.items():
        wall = [run.wall for run in taken]
        cpu = median([run.cpu for run in taken])
        print(f"{name:30} {median(wall):8.1f} {p95(wall):8.1f} {min(wall):8.1f} {cpu:8.1f}")


def hold(what, figure, limit, unit=""):
    """A figure against what it is held to."""
    verdict = "met" if figure <= limit else "missed"
    print(f"{what:48} {figure:8.2f} {unit:3} at most {limit:g}: {verdict}")
