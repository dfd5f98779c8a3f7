#!/usr/bin/env python3
"""Fits how sure lastmile is of its first candidate, on rows that were neither trained on nor are reported on.

usage: calibrate.py --pack models/python [--program COMMAND] [--write] ROWS.jsonl
       calibrate.py --check [--program COMMAND] ROWS.jsonl ...

A row is {"id", "lang", "broken", "fixed"} and may hold "fixed_min", the smallest part of the fix that parses. A first
candidate is right when it equals either but for layout, or when it lies on a shortest way from the broken text to one of
them, lexeme by lexeme: it does nothing that the human did not do, and humans often do more than mend. A logistic model
of the features that `lastmile repair --jsonl --features` prints is fitted with a little ridge. Prints the reliability of
predictions made out of fold, and how many are right from --threshold on; --write puts both into the pack's model.toml as
[confidence]. --check fits nothing: it counts, for rows that were not fitted on, how many first candidates of the shipped
confidence are right from several thresholds on.
Needs only the standard library.
"""

import argparse
import ast
import json
import math
import re
import subprocess
import sys
import warnings
from pathlib import Path

# Of those that `repair --features` prints. How many siblings there are depends on how many were asked for; how long the text
# is says nothing of a repair, and files are far longer than any row that is fitted on.
USED = ["bias", "score", "rest", "gap", "events", "written", "dropped", "faults"]
# Noise puts in more that has to go again than people do: on damaged texts, repairs that drop much look surer than they are.
MORE_IS_LESS_SURE = {"events", "written", "dropped"}
FOLDS = 5
RIDGE = 1.0
THRESHOLDS = [0.5, 0.8, 0.85, 0.9, 0.92, 0.93, 0.95, 0.98]


def plain(text, lang):
    """The text without its layout."""
    if lang == "python":
        try:
            return ast.dump(ast.parse(text))
        except (SyntaxError, ValueError, RecursionError):
            return None
    return re.sub(r"\s+", "", text)


LEXEME = re.compile(r"\n[ \t]*(?=\S)|\w+|\"\"\"|'''|[^\w\s]")


def distance(a, b):
    """Levenshtein's distance."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (x != y))
    return row[-1]


def on_the_way(broken, candidate, fixed):
    """Whether the candidate is a state on a shortest way from the broken text to the fixed one."""
    texts = [LEXEME.findall("\n" + text.replace("\r", "")) for text in (broken, candidate, fixed)]
    # What all three share at the ends costs time and changes nothing.
    while all(texts) and texts[0][-1] == texts[1][-1] == texts[2][-1]:
        texts = [text[:-1] for text in texts]
    while all(texts) and texts[0][0] == texts[1][0] == texts[2][0]:
        texts = [text[1:] for text in texts]
    broken, candidate, fixed = texts
    return distance(broken, candidate) + distance(candidate, fixed) == distance(broken, fixed)


def answers(rows, program):
    """Each row's first candidate, whether it is right, and whether it is the whole fix."""
    request = "".join(
        json.dumps({"id": row["id"], "lang": row["lang"], "text": row["broken"]}) + "\n" for row in rows
    )
    done = subprocess.run(program, shell=True, input=request, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"error: `{program}` ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    by_id = {row["id"]: row for row in rows}
    found = []
    # Not `splitlines`: texts hold what it takes for the end of a line.
    for line in filter(None, done.stdout.split("\n")):
        answer = json.loads(line)
        row = by_id[answer["id"]]
        if not answer["candidates"]:
            continue
        first = answer["candidates"][0]
        fixes = [row[key] for key in ("fixed", "fixed_min") if row.get(key)]
        tidy = plain(first["text"], row["lang"])
        whole = tidy is not None and tidy in [plain(fix, row["lang"]) for fix in fixes]
        right = whole or any(on_the_way(row["broken"], first["text"], fix) for fix in fixes)
        found.append((first, right, whole))
    return found


def fit(samples):
    """Weights of a logistic model, by gradient descent on standardised features."""
    n = len(USED)
    means = [sum(xs[i] for xs, *_ in samples) / len(samples) for i in range(n)]
    spread = [
        math.sqrt(sum((xs[i] - means[i]) ** 2 for xs, *_ in samples) / len(samples)) or 1.0 for i in range(n)
    ]
    scaled = [([1.0] + [(xs[i] - means[i]) / spread[i] for i in range(1, n)], right) for xs, right, _ in samples]
    weights = [0.0] * n
    for _ in range(3000):
        slope = [0.0] + [RIDGE * weight for weight in weights[1:]]
        for xs, right in scaled:
            miss = sigmoid(sum(w * x for w, x in zip(weights, xs))) - right
            for i in range(n):
                slope[i] += miss * xs[i]
        weights = [w - 2.0 * g / len(scaled) for w, g in zip(weights, slope)]
        weights = [min(w, 0.0) if name in MORE_IS_LESS_SURE else w for w, name in zip(weights, USED)]
    raw = [weights[i] / spread[i] for i in range(1, n)]
    bias = weights[0] - sum(raw[i - 1] * means[i] for i in range(1, n))
    return [bias, *raw]


def sigmoid(x):
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, x))))


def out_of_fold(samples):
    """Predictions for samples that the model did not see."""
    predicted = []
    for fold in range(FOLDS):
        weights = fit([sample for i, sample in enumerate(samples) if i % FOLDS != fold])
        for xs, right, whole in samples[fold::FOLDS]:
            predicted.append((sigmoid(sum(w * x for w, x in zip(weights, xs))), right, whole))
    return sorted(predicted, reverse=True)


def read(path):
    return [json.loads(line) for line in path.open(encoding="utf-8")]


def check(paths, program):
    """Prints how many candidates are right from each threshold on."""
    print("| rows | n | from | safe | right | whole |\n| --- | --- | --- | --- | --- | --- |")
    for path in paths:
        rows = read(path)
        found = [(first["confidence"], right, whole) for first, right, whole in answers(rows, program)]
        if any(confidence is None for confidence, *_ in found):
            sys.exit(f"error: the pack says no confidence; fit it first: {sys.argv[0]} --pack FOLDER --write ROWS.jsonl")
        for threshold in THRESHOLDS:
            safe = [row for row in found if row[0] >= threshold]
            n_right, n_whole = (sum(row[i] for row in safe) for i in (1, 2))
            print(f"| {path.stem} | {len(rows)} | {threshold} | {len(safe)} | {n_right} | {n_whole} |")


def main():
    parser = argparse.ArgumentParser(description="Fit how sure lastmile is of its first candidate.")
    parser.add_argument("--pack", type=Path, help="folder of the pack, such as models/python")
    parser.add_argument("--program", default="target/release/lastmile repair --jsonl --features")
    parser.add_argument("--threshold", type=float, default=0.9, help="probability from which on a suggestion is safe")
    parser.add_argument("--write", action="store_true", help="put the result into model.toml")
    parser.add_argument("--check", action="store_true", help="count with the confidence that is shipped, fit nothing")
    parser.add_argument("rows", type=Path, nargs="+")
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # SyntaxWarnings of the code that is judged
    if args.check:
        return check(args.rows, args.program)
    if not args.pack:
        parser.error("--pack FOLDER is needed to fit")
    rows = [row for path in args.rows for row in read(path)]
    samples = [
        ([first["features"][name] for name in USED], right, whole)
        for first, right, whole in answers(rows, args.program)
    ]
    if len(samples) < 10 * FOLDS:
        sys.exit(f"error: {len(samples)} of {len(rows)} rows got a candidate, too few to fit; try `lastmile doctor`")
    predicted = out_of_fold(samples)
    n_right, n_whole = (sum(sample[i] for sample in samples) for i in (1, 2))
    print(f"{len(rows)} rows, {len(samples)} with a candidate, {n_right} right, {n_whole} of them the whole fix")
    print("| predicted | candidates | right | whole |\n| --- | --- | --- | --- |")
    for low in range(0, 10):
        here = [row for row in predicted if low / 10 <= row[0] < (low + 1) / 10 + (low == 9)]
        if here:
            shares = " | ".join(f"{100 * sum(row[i] for row in here) / len(here):.0f} %" for i in (1, 2))
            print(f"| {low / 10:.1f}-{(low + 1) / 10:.1f} | {len(here)} | {shares} |")
    safe = [row for row in predicted if row[0] >= args.threshold]
    print(f"from {args.threshold} on: {len(safe)} of {len(samples)} safe, {sum(row[1] for row in safe)} of them right (out of fold)")
    if args.write:
        weights = ", ".join(f"{name} = {weight:.5f}" for name, weight in zip(USED, fit(samples)))
        path = args.pack / "model.toml"
        kept = re.sub(r"\n*\[confidence\][^\[]*", "\n", path.read_text(encoding="utf-8"))
        text = f"{kept.rstrip()}\n\n[confidence]\nthreshold = {args.threshold}\nweights = {{ {weights} }}\n"
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
