#!/usr/bin/env python3
"""Times `lastmile repair --jsonl` on an engine that is up, measures its memory and counts the right answers.

usage: repair.py [--program COMMAND] [ROWS.jsonl ...]

A row is {"id", "lang", "broken", "fixed"}, and `fixed` may be left out. Without files, the rows are the cases in
tests/cases. An answer is right when it equals `fixed` but for layout. For Python, CPython says besides which first
answers parse. Memory is the sum of what each program held at most, lastmile and the engine.
"""

import argparse
import ast
import json
import shlex
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

from common import ROOT, hold, lastmile, median, p95

P50_MS, P95_MS, PEAK_MB = 400, 2000, 700
# Answered first and not counted: it starts the engine.
WARM_UP = {"id": "warm-up", "lang": "python", "broken": "print((1)\n"}


def main():
    parser = argparse.ArgumentParser(description="Time repairs and count the right ones.")
    parser.add_argument("--program", metavar="COMMAND", help="ask this program, not lastmile")
    parser.add_argument("files", nargs="*", type=Path)
    args = parser.parse_args()
    program = shlex.split(args.program) if args.program else [lastmile(), "repair", "--jsonl"]
    warnings.simplefilter("ignore")  # SyntaxWarnings of the code that is judged

    sets = [(path.stem, read_rows(path)) for path in args.files] or [("cases", cases())]
    print(f"{'set':24} {'rows':>5} {'answered':>8} {'parses':>7} {'right@1':>7} {'right@5':>7}", end="")
    print(f" {'p50 ms':>7} {'p95 ms':>7} {'wall s':>7} {'peak MB':>7}")
    times, peaks = [], []
    for name, rows in sets:
        if not rows:
            sys.exit(f"error: no rows in {name}")
        started = time.monotonic()
        answers, peak = repair(program, [WARM_UP, *rows])
        times += print_line(name, rows, answers, time.monotonic() - started, peak)
        peaks.append(peak)
    hold("median of all rows", median(times), P50_MS, "ms")
    hold("p95 of all rows", p95(times), P95_MS, "ms")
    if any(peaks):
        hold("peak memory of lastmile and engine", max(peaks), PEAK_MB, "MB")


def read_rows(path):
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def cases():
    rows = []
    for broken in sorted((ROOT / "tests/cases").glob("*/*/broken.*")):
        language = broken.parent.parent.name
        try:
            text = broken.read_text(encoding="utf-8")
        except UnicodeDecodeError:  # rows are JSON, so they are UTF-8
            continue
        rows.append({"id": broken.parent.name, "lang": language, "broken": text})
    return rows


def repair(program, rows):
    """Asks about all rows; gives the answers by their ids and the megabytes held at most."""
    asked = "".join(json.dumps({"id": row["id"], "lang": row["lang"], "text": row["broken"]}) + "\n" for row in rows)
    process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")
    peaks = {}
    watch = threading.Thread(target=watch_memory, args=(process, peaks), daemon=True)
    watch.start()
    answered, _ = process.communicate(asked)
    if process.returncode > 1:
        sys.exit(f"error: `{shlex.join(program)}` failed with exit code {process.returncode}")
    watch.join()
    return {answer["id"]: answer for answer in map(json.loads, answered.splitlines())}, sum(peaks.values()) / 1000


def watch_memory(process, peaks):
    """Keeps, for the process and all it started, what the kernel says of their peaks in kB; nothing without /proc."""
    while process.returncode is None:
        family = {process.pid}
        for status in sorted(Path("/proc").glob("[0-9]*/status"), key=lambda path: int(path.parent.name)):
            try:
                about = dict(line.split(":", 1) for line in status.read_text().splitlines())
            except OSError:  # it ended just now
                continue
            pid = int(about["Pid"])
            if pid in family or int(about["PPid"]) in family:
                family.add(pid)
                peaks[pid] = max(peaks.get(pid, 0), int(about.get("VmHWM", "0 kB").split()[0]))
        time.sleep(0.2)


def print_line(name, rows, answers, wall, peak):
    """Prints what came of one set and gives the milliseconds of each row."""
    n_answered = n_parsing = n_first = n_fifth = 0
    times = []
    for row in rows:
        answer = answers.get(row["id"], {"candidates": []})
        times.append(answer.get("ms", 0.0))
        texts = [candidate["text"] for candidate in answer["candidates"][:5]]
        if not texts:
            continue
        n_answered += 1
        n_parsing += row["lang"] == "python" and parses(texts[0])
        wanted = layout_free(row["lang"], row["fixed"]) if "fixed" in row else None
        right = [wanted is not None and layout_free(row["lang"], text) == wanted for text in texts]
        n_first += right[0]
        n_fifth += any(right)
    print(f"{name:24} {len(rows):5} {n_answered:8} {n_parsing:7} {n_first:7} {n_fifth:7}", end="")
    print(f" {median(times):7.0f} {p95(times):7.0f} {wall:7.1f} {peak:7.0f}")
    return times


def parses(text):
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def layout_free(language, text):
    if language == "python" and parses(text):
        return ast.dump(ast.parse(text))
    return "".join(text.split())


if __name__ == "__main__":
    main()
