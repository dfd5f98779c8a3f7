#!/usr/bin/env python3
"""Times `lastmile repair --jsonl` and counts the right answers.

usage: bench.py [--program COMMAND] [ROWS.jsonl ...]

A row is {"id", "lang", "broken", "fixed"}, and `fixed` may be left out. Without files, the rows are the cases in
tests/cases. An answer is right when it equals `fixed` but for layout. For Python, CPython says besides which first
answers parse.
"""

import argparse
import ast
import json
import shlex
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def main():
    parser = argparse.ArgumentParser(description="Time repairs and count the right ones.")
    parser.add_argument("--program", default=f"{shlex.quote(str(ROOT / 'target/release/lastmile'))} repair --jsonl")
    parser.add_argument("files", nargs="*", type=Path)
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # SyntaxWarnings of the code that is judged

    sets = [(path.stem, read_rows(path)) for path in args.files] or [("cases", cases())]
    print(f"{'set':24} {'rows':>5} {'answered':>8} {'parses':>7} {'right@1':>7} {'right@5':>7} {'p50 ms':>7} {'p95 ms':>7}", end="")
    print(f" {'wall s':>7}")
    for name, rows in sets:
        if not rows:
            sys.exit(f"error: no rows in {name}")
        started = time.monotonic()
        answers = repair(shlex.split(args.program), rows)
        print_line(name, rows, answers, time.monotonic() - started)


def read_rows(path):
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def cases():
    rows = []
    for broken in sorted((ROOT / "tests/cases").glob("*/*/broken.*")):
        language = broken.parent.parent.name
        rows.append({"id": broken.parent.name, "lang": language, "broken": broken.read_text(encoding="utf-8")})
    return rows


def repair(program, rows):
    asked = "".join(json.dumps({"id": row["id"], "lang": row["lang"], "text": row["broken"]}) + "\n" for row in rows)
    run = subprocess.run(program, input=asked, stdout=subprocess.PIPE, encoding="utf-8", check=False)
    if run.returncode > 1:
        sys.exit(f"error: `{shlex.join(program)}` failed with exit code {run.returncode}")
    return {answer["id"]: answer for answer in map(json.loads, run.stdout.splitlines())}


def print_line(name, rows, answers, wall):
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
    times.sort()
    p50, p95 = statistics.median(times), times[min(len(times) - 1, int(0.95 * len(times)))]
    print(f"{name:24} {len(rows):5} {n_answered:8} {n_parsing:7} {n_first:7} {n_fifth:7} {p50:7.0f} {p95:7.0f} {wall:7.1f}")


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
