#!/usr/bin/env python3
"""Draw from damaged code what looks most like the mistakes of people.

    resample.py --real PAIRS.jsonl [...] --noise DAMAGED.jsonl --n N --out FILE.jsonl

A logistic model learns to tell the edits of real pairs from those of noise, by what was deleted, written or changed, between
which neighbours, in code, text or comment, how many at once and how far apart. Its odds are the ratio of the two densities
(Sugiyama et al. 2012), so N damaged texts drawn by them, each once, are spread over kinds of mistakes as people's are, as far
as the noise holds them at all. --noise is written by `lastmile-engine preview --pairs`. Prints how well the two can be told
apart on pairs that were held out (area under the curve; 0.5 is not at all), and how often the commonest edits occur before and
after. A fifth of the draw is by chance alone (Hesterberg 1995, "defensive mixture"), so that a mistake which no pair happens to
hold is not lost. A real file may be named twice to count double. Needs numpy, scipy and scikit-learn.
"""

import argparse
import difflib
import json
import keyword
import re
from collections import Counter
from pathlib import Path

import numpy as np
from scipy.sparse import vstack
from sklearn.feature_extraction import FeatureHasher
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

LEXEME = re.compile(r"\n[ \t]*|\w+|\"\"\"|'''|[-+*/<>=!%&|^]=|\*\*|//|->|[^\w\s]")
WORDS = {*keyword.kwlist, "print", "self", "range", "len", "input", "int", "str"}
MOST_CHANGED = 400  # lexemes between the first change and the last
MOST_EDITS = 24
DESCRIBED = 6  # edits of a pair that become features
STRENGTH = 0.003  # inverse of the ridge
ODDS = (-4.0, 2.5)  # logarithms beyond which odds are not believed
BY_CHANCE = 0.2  # share of the draw that odds have no part in
SHOWN = 30


def kind(lexeme):
    if lexeme is None:
        return "END"
    if lexeme.startswith("\n"):
        return "NEWLINE"
    if lexeme in WORDS:
        return lexeme
    if lexeme[0].isdigit():
        return "NUMBER" if lexeme.isdigit() else "NUMBER?"
    return "NAME" if lexeme[0].isalpha() or lexeme[0] == "_" else lexeme


def zone(lexemes, at):
    """Code, text or comment."""
    inside = None
    for lexeme in lexemes[:at]:
        if lexeme.startswith("\n") and inside and len(inside) == 1:
            inside = None
        elif inside is None and lexeme in ('"', "'", '"""', "'''", "#"):
            inside = lexeme
        elif inside == lexeme:
            inside = None
    return "code" if inside is None else "comment" if inside == "#" else "text"


def is_slip(a, b):
    """Whether one is the other with one letter dropped, added or changed, or two swapped."""
    if len(a) < 3 or abs(len(a) - len(b)) > 1 or a == b:
        return False
    front = next((at for at, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    left, right = a[front:], b[front:]
    while left and right and left[-1] == right[-1]:
        left, right = left[:-1], right[:-1]
    return max(len(left), len(right)) <= 1 or len(left) == 2 and left == right[::-1]


def name(old, new):
    """What kind of edit makes the one of the other."""
    if old is None or new is None:
        return f"-{kind(old)}" if new is None else f"+{kind(new)}"
    if old.startswith("\n") and new.startswith("\n"):
        return "tabs" if "\t" in old + new else f"indent{max(-9, min(9, len(new) - len(old))):+d}"
    if kind(new) == "NAME" and (kind(old) == "NAME" or old in WORDS):
        return f"{kind(old)}~{'slip' if is_slip(old, new) else 'NAME'}"
    return f"{kind(old)}>{kind(new)}"


def edits(fixed, broken):
    """What a person did to good code: (place, old lexeme, new lexeme)."""
    blocks = difflib.SequenceMatcher(None, fixed, broken, autojunk=False).get_opcodes()
    for tag, i, j, k, m in blocks:
        for nth in range(max(j - i, m - k) if tag != "equal" else 0):
            old = fixed[i + nth] if i + nth < j else None
            new = broken[k + nth] if k + nth < m else None
            yield min(i + nth, j), old, new


def features(row):
    """What the model sees of a pair; None where too much changed."""
    fixed, broken = (LEXEME.findall("\n" + row[part]) for part in ("fixed", "broken"))
    if row.get("fixed_min"):
        fixed = LEXEME.findall("\n" + row["fixed_min"])
    start, end = 0, 0
    while start < min(len(fixed), len(broken)) and fixed[start] == broken[start]:
        start += 1
    while end < min(len(fixed), len(broken)) - start and fixed[-1 - end] == broken[-1 - end]:
        end += 1
    inner = [lexemes[start : len(lexemes) - end] for lexemes in (fixed, broken)]
    if max(map(len, inner)) > MOST_CHANGED:
        return None
    found = [(start + at, old, new) for at, old, new in edits(*inner)]
    if not 0 < len(found) <= MOST_EDITS:
        return None
    counts, names = Counter(), []
    for at, old, new in found[:DESCRIBED]:
        edit = name(old, new)
        before = kind(fixed[at - 1] if at > 0 else None)
        next_at = at + (old is not None)
        after = kind(fixed[next_at] if next_at < len(fixed) else None)
        names.append(edit)
        where = zone(fixed, at)
        told = [edit, f"{edit} in {where}", f"{edit} after {before}", f"{edit} before {after}", f"{before} {edit} {after}"]
        counts.update([*told, f"{where} {edit[0]}"])
    first, last = found[0][0], found[-1][0]
    n_lines = sum(lexeme.startswith("\n") for lexeme in fixed[first : last + 1])
    counts.update([f"n {min(len(found), 12)}", f"span {min((last - first).bit_length(), 7)}", f"lines {min(n_lines, 5)}"])
    counts[together(names)] = 1
    if len(names) > 1 and len(set(names)) == 1:
        counts["again"] = 1
    return {key: min(count, 3) for key, count in counts.items()}


def together(names):
    return "all: " + " ".join(sorted(set(names)))


def fit(real, counts, noise):
    """The model, with as much weight on either side."""
    weights = np.r_[counts * (noise.shape[0] / counts.sum()), np.ones(noise.shape[0])]
    labels = np.r_[np.ones(real.shape[0]), np.zeros(noise.shape[0])]
    return LogisticRegression(C=STRENGTH, max_iter=200).fit(vstack([real, noise]), labels, sample_weight=weights)


def area(model, real, noise):
    odds = np.r_[model.decision_function(real), model.decision_function(noise)]
    return roc_auc_score(np.r_[np.ones(real.shape[0]), np.zeros(noise.shape[0])], odds)


def shares(rows):
    counts = Counter(key for row in rows for key in row if key.startswith("all: "))
    return Counter({key: count / len(rows) for key, count in counts.items()})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, nargs="+", required=True)
    parser.add_argument("--noise", type=Path, required=True)
    parser.add_argument("--n", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    rng = np.random.RandomState(0)
    named = Counter(line for path in args.real for line in path.open(encoding="utf-8"))
    told = [(features(json.loads(line)), count) for line, count in named.items()]
    described, counts = zip(*((row, count) for row, count in told if row))
    lines, drawn = [], []
    for line in args.noise.open(encoding="utf-8"):
        if row := features(json.loads(line)):
            lines.append(line)
            drawn.append(row)
    hasher = FeatureHasher(2**18, input_type="dict", alternate_sign=False)
    real, noise, counts = hasher.transform(described), hasher.transform(drawn), np.array(counts)
    some = rng.permutation(len(drawn))[: 40 * len(described)]
    order = rng.permutation(len(described))
    cut, noise_cut = len(order) // 5, len(some) // 5
    held_out = fit(real[order[cut:]], counts[order[cut:]], noise[some[noise_cut:]])
    under = area(held_out, real[order[:cut]], noise[some[:noise_cut]])
    print(f"{len(described)} real, {len(drawn)} damaged; area under the curve {under:.3f}")
    odds = np.exp(np.clip(fit(real, counts, noise[some]).decision_function(noise), *ODDS))
    weights = (1 - BY_CHANCE) * odds / odds.mean() + BY_CHANCE
    taken = np.argsort(rng.exponential(size=len(weights)) / weights)[: args.n]
    with args.out.open("w", encoding="utf-8") as out:
        out.writelines(lines[idx] for idx in taken)
    print(f"{len(taken)} taken; worth {weights.sum() ** 2 / (weights**2).sum():.0f} of equal weight")
    columns = [shares(described), shares(drawn), shares([drawn[idx] for idx in taken])]
    print("| edits | real | noise | taken |\n| --- | --- | --- | --- |")
    for key, _ in columns[0].most_common(SHOWN):
        print(f"| `{key[5:]}` | " + " | ".join(f"{100 * column[key]:.2f} %" for column in columns) + " |")


if __name__ == "__main__":
    main()
