#!/usr/bin/env python3
"""Divide real pairs into those that are trained on and those that the confidence is fitted on.

    pairs.py LANGUAGE --mined FILE.jsonl [...] [--published so_python_train.jsonl] --out DIR

Writes OUT/LANGUAGE.pairs.jsonl, which the network is trained on, and OUT/LANGUAGE.calibration.jsonl, which its confidence is
fitted on: of published rows those whose id has a SHA-256 divisible by five, of mined pairs (mine.py) those of repositories that
LANGUAGE.toml holds back. Of the mined pairs at most 40 a repository are taken. In Python at most 90 only put brackets around
what Python 2 printed, of which there are more than of all else; in PowerShell at most 4 of a repository lose and gain the same
lexemes, because some had one fault in many files.
"""

import argparse
import hashlib
import json
import random
import re
from collections import Counter
from pathlib import Path

from mine import LEXEME, SUFFIXES

MOST_OF_REPOSITORY = 40
MOST_PRINTS = 90
MOST_ALIKE = {"python": MOST_OF_REPOSITORY, "powershell": 4}  # of a repository
SEED = 3


def is_held_back(row):
    return int(hashlib.sha256(row["id"].encode()).hexdigest(), 16) % 5 == 0


def repositories_held_back(sources):
    """Of a list of sources, in TOML; read line by line, which Python 3.9 can, too."""
    found = re.findall(r'^use = "held"\n(?:\w+ = .*\n)*?name = "(.*)"', sources.read_text("utf-8"), re.MULTILINE)
    return set(found)


def is_print(row):
    before, after = (re.sub(r"[\s()]", "", row[part]) for part in ("broken", "fixed"))
    return before == after and "print" in before and row["fixed"].count("(") > row["broken"].count("(")


def read(path):
    return [json.loads(line) for line in path.open(encoding="utf-8")]


def edit(row):
    """The lexemes that the fix takes away, and those that it adds."""
    before, after = (Counter(LEXEME.findall(row[part])) for part in ("broken", "fixed"))
    return tuple(tuple(sorted(change.elements())) for change in (before - after, after - before))


def chosen(mined, most_alike):
    """Each pair once, and not too many of a kind."""
    bare = lambda row: tuple(re.sub(r"\s+", "", row[part]) for part in ("broken", "fixed"))
    rows = list({bare(row): row for row in reversed(mined)}.values())[::-1]
    random.Random(SEED).shuffle(rows)
    repositories, alike, n_prints = Counter(), Counter(), 0
    for row in rows:
        repository = row["source"]["repo"]
        if repositories[repository] >= MOST_OF_REPOSITORY or alike[repository, edit(row)] >= most_alike:
            continue
        if is_print(row):
            n_prints += 1
            if n_prints > MOST_PRINTS:
                continue
        repositories[repository] += 1
        alike[repository, edit(row)] += 1
        yield row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("language", choices=SUFFIXES)
    parser.add_argument("--published", type=Path)
    parser.add_argument("--mined", type=Path, nargs="*", default=[])
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    published = read(args.published) if args.published else []
    mined = list(chosen([row for path in args.mined for row in read(path)], MOST_ALIKE[args.language]))
    held = repositories_held_back(Path(__file__).with_name(f"{args.language}.toml"))
    parts = {
        "pairs": [row for row in published if not is_held_back(row)]
        + [row for row in mined if row["source"]["repo"] not in held],
        "calibration": [row for row in published if is_held_back(row)]
        + [row for row in mined if row["source"]["repo"] in held],
    }
    args.out.mkdir(parents=True, exist_ok=True)
    for part, rows in parts.items():
        path = args.out / f"{args.language}.{part}.jsonl"
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        print(f"{len(rows)} rows in {path}")


if __name__ == "__main__":
    main()
