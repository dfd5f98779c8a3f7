#!/usr/bin/env python3
"""Counts the rows that `lastmile repair --jsonl` repairs when their examples decide, and shows how.

usage: examples.py [--program COMMAND] [--without] [--verbose] [ROWS.jsonl ...]

A row is {"id", "lang", "broken", "fixed", "tests", "call"}; rows without `tests` are left out. Without files, the
rows are those in tests/bench/examples.jsonl. With --without, the examples only judge the first candidate and do not
choose it. The examples run in lastmile's sandbox each time: to a text that passes them it says so.
"""

import argparse
import ast
import difflib
import json
import shlex
import subprocess
import sys
import time
import warnings
from pathlib import Path

from common import ROOT, lastmile


def main():
    parser = argparse.ArgumentParser(description="Count the rows that are repaired when examples decide.")
    parser.add_argument("--program", metavar="COMMAND", help="ask this program, not lastmile")
    parser.add_argument("--without", action="store_true", help="let the examples judge, not choose")
    parser.add_argument("--verbose", action="store_true", help="show each repair as a diff")
    parser.add_argument("files", nargs="*", type=Path)
    args = parser.parse_args()
    program = shlex.split(args.program) if args.program else [lastmile(), "repair", "--jsonl"]
    warnings.simplefilter("ignore")  # SyntaxWarnings of the code that is judged

    for path in args.files or [ROOT / "tests/bench/examples.jsonl"]:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        rows = [row for row in rows if row.get("tests")]
        count(path.stem, rows, Lastmile(program), args)


class Lastmile:
    def __init__(self, program):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(program, stdin=pipe, stdout=pipe, encoding="utf-8")

    def ask(self, row, text, has_tests):
        asked = {"id": row["id"], "lang": row["lang"], "text": text}
        if has_tests:
            asked |= {key: row[key] for key in ("tests", "call") if row.get(key)}
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        return json.loads(answer) if answer else sys.exit("error: lastmile ended without an answer")

    def passes(self, row, text):
        return self.ask(row, text, has_tests=True).get("reason") == "all examples pass"


def count(name, rows, program, args):
    passing, same, milliseconds, started = [], [], [], time.monotonic()
    for number, row in enumerate(rows, 1):
        if sys.stderr.isatty():
            print(f"\r{name}: row {number} of {len(rows)}", end="\r", file=sys.stderr)
        answer = program.ask(row, row["broken"], has_tests=not args.without)
        milliseconds.append(answer["ms"])
        best = answer["candidates"][0]["text"] if answer["candidates"] else None
        if best is None or not program.passes(row, best):
            continue
        passing.append(row)
        if is_same(best, row["fixed"]):
            same.append(row)
        if args.verbose:
            show(row, best)
    others = [row["id"] for row in passing if row not in same]
    print(f"{name}: of {len(rows)} rows with examples")
    print(f"  the first candidate passes all of them    {len(passing)}")
    print(f"  and is the human's fix, but for comments  {len(same)}")
    print(f"  passes and is another, to be looked at    {len(others)} {' '.join(others)}")
    print(f"  milliseconds a row, median                {sorted(milliseconds)[len(milliseconds) // 2]:.0f}")
    print(f"  seconds in all                            {time.monotonic() - started:.0f}")


class WithoutStrings(ast.NodeTransformer):
    """Drops strings that stand alone: documentation."""

    def visit_Expr(self, node):
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else node


def is_same(text, other):
    try:
        texts = [ast.dump(WithoutStrings().visit(ast.parse(one))) for one in (text, other)]
        return texts[0] == texts[1]
    except (SyntaxError, ValueError, RecursionError):
        return text == other


def show(row, best):
    print(f"{row['id']}: {'as the human did' if is_same(best, row['fixed']) else 'NOT as the human did'}")
    lines = difflib.unified_diff(row["broken"].splitlines(), best.splitlines(), lineterm="", n=0)
    print("\n".join(f"  {line}" for line in lines if line[:3] not in ("---", "+++") and line[:1] in "+-"))


if __name__ == "__main__":
    main()
