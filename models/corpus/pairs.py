#!/usr/bin/env python3
"""Split the published pairs of Python, and put mined ones beside those that are trained on.

    pairs.py --published so_python_train.jsonl [--mined FILE.jsonl ...] --out DIR

Writes OUT/python.pairs.jsonl, which the network is trained on, and OUT/python.calibration.jsonl, which its confidence is fitted
on: the published rows whose id has a SHA-256 divisible by five. Of the mined pairs (mine.py) at most 40 a repository are taken,
and 90 at most that only put brackets around what Python 2 printed: there are more of these than of all else.
"""

import argparse
import hashlib
import json
import random
import re
from collections import Counter
from pathlib import Path

MOST_OF_REPOSITORY = 40
MOST_PRINTS = 90
SEED = 3


def is_held_back(row):
    return int(hashlib.sha256(row["id"].encode()).hexdigest(), 16) % 5 == 0


def is_print(row):
    before, after = (re.sub(r"[\s()]", "", row[part]) for part in ("broken", "fixed"))
    return before == after and "print" in before and row["fixed"].count("(") > row["broken"].count("(")


def read(path):
    return [json.loads(line) for line in path.open(encoding="utf-8")]


def chosen(mined):
    """Each pair once, and not too many of a kind."""
    bare = lambda row: tuple(re.sub(r"\s+", "", row[part]) for part in ("broken", "fixed"))
    rows = list({bare(row): row for row in reversed(mined)}.values())[::-1]
    random.Random(SEED).shuffle(rows)
    repositories, n_prints = Counter(), 0
    for row in rows:
        repository = row["source"]["repo"]
        if repositories[repository] >= MOST_OF_REPOSITORY:
            continue
        if is_print(row):
            n_prints += 1
            if n_prints > MOST_PRINTS:
                continue
        repositories[repository] += 1
        yield row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--published", type=Path, required=True)
    parser.add_argument("--mined", type=Path, nargs="*", default=[])
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    published = read(args.published)
    parts = {
        "pairs": [row for row in published if not is_held_back(row)]
        + list(chosen([row for path in args.mined for row in read(path)])),
        "calibration": [row for row in published if is_held_back(row)],
    }
    args.out.mkdir(parents=True, exist_ok=True)
    for part, rows in parts.items():
        path = args.out / f"python.{part}.jsonl"
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        print(f"{len(rows)} rows in {path}")


if __name__ == "__main__":
    main()
