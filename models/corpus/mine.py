#!/usr/bin/env python3
"""Mine real pairs of broken and fixed code from the history of git repositories.

    mine.py LANGUAGE --mirror DIR --bench DIR --out FILE.jsonl [--program lastmile] [--documents OWNER/NAME ...]

LANGUAGE is python or powershell. DIR of --mirror holds bare clones: owner+name, .../repo or .../.git below it. A pair is a
file that a commit changed, which the judge refuses before and accepts after; in Markdown, a fenced block of the language.
Of what the commit changed, the fewest runs of lines that make it parse are kept, and of the file a few lines around them,
as many as a draw says, as long as the judge still refuses the one and accepts the other. Of the lexemes that changed in
there, the fewest that make it parse are kept, too, where only one choice of so few does. No part of a change is taken that
loses words which the whole change keeps: whatever is in the way can be deleted, and nobody wanted that. Nor is a change
taken that writes words which no word before it became: who saves in the middle of a line goes on typing, which mends nothing
(two in five pairs of repositories whose editor commits by itself, one in twenty of others). --program is asked what parses
(`lastmile check`; with `pwsh` on the machine it has the last word there).

Left out: repositories that a benchmark row names; of those of --documents all but Markdown; merge conflicts; changes of more
than 12 lexemes, or of more than half of the text; texts over 200 kB or not UTF-8; pairs seen before, blanks and case apart;
blobs that a row of BENCH/*.jsonl was taken from; and every pair that equals a text of a row, or shares one of at least 40
characters with it, the one in the other. Needs only the standard library.
"""

import argparse
import difflib
import hashlib
import itertools
import json
import keyword
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from repository import Blobs, git_dir

SUFFIXES = {"python": [".py"], "powershell": [".ps1", ".psm1"]}
FENCES = {"python": r"python3?|py", "powershell": r"(?:powershell|azurepowershell)(?:-interactive)?|ps1|posh|pwsh"}
MOST_BYTES = 200_000
MOST_LEXEMES = 12
MOST_RUNS = 6
MOST_TRIES = 60  # of parts of a change with as many runs
MOST_LINES = 14  # of context, on each side
WINDOWS = 8  # drawn for each pair
HELD = 40  # characters from which on one text must not hold another
AT_ONCE = 2000  # texts that the judge reads, and changes that are looked at
PIECE = re.compile(r"\n[ \t]*|[ \t]+|\w+|\"\"\"|'''|[^\w\s]|\s")
LEXEME = re.compile(r"\n[ \t]*(?=\S)|\w+|\"\"\"|'''|[^\w\s]")
# Words that a repair may have to write.
SYNTAX = {*keyword.kwlist, *"print self __init__ f r b function param foreach switch catch begin process end".split()}
CONFLICT = re.compile(r"^(<<<<<<<|>>>>>>>)", re.MULTILINE)
SEED = 5


def key(text):
    return re.sub(r"\s+", "", text).lower()


def n_words(text):
    return len(re.findall(r"\w+", text))


def keeps_words(before, part, after):
    """Whether a part of the change loses no more words than all of it."""
    return n_words(part) >= min(n_words(before), n_words(after))


def completes(before, after):
    """Whether the change writes words, those of the syntax apart, that no word of the text became."""
    old, new = (Counter(re.findall(r"\w+", text)) for text in (before, after))
    come = sum(count for word, count in (new - old).items() if word not in SYNTAX)
    return come > (old - new).total()


def changes(repo, suffixes):
    """Blobs before and after each change of a file, and its path."""
    globs = [f"*{suffix}" for suffix in suffixes]
    log = ["log", "--no-merges", "--diff-filter=M", "--raw", "--no-abbrev", "--no-renames", "-z", "--format=", "HEAD"]
    done = subprocess.run(["git", "--git-dir", repo, *log, "--", *globs], capture_output=True, check=True)
    fields = (field.lstrip("\n") for field in done.stdout.decode("utf-8", "replace").split("\0"))
    seen = set()
    for field in fields:
        if not field.startswith(":"):
            continue
        path = next(fields)
        _, _, before, after, _ = field.split()
        if (before, after) not in seen:
            seen.add((before, after))
            yield before, after, path


def read(blobs, blob):
    """The text of a blob; None when it is absent, large or no UTF-8."""
    data = blobs.read(blob)
    try:
        return None if data is None or len(data) > MOST_BYTES else data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        return None


def fenced(text, names):
    """The fenced blocks of Markdown whose language is one of those that the pattern names."""
    pattern = rf"^([ \t]*)```[ \t]*(?:{names})\b[^\n]*\n(.*?)^[ \t]*```"
    found = re.finditer(pattern, text, re.MULTILINE | re.DOTALL | re.IGNORECASE)
    strip = lambda indent, block: re.sub(rf"^{re.escape(indent)}", "", block, flags=re.MULTILINE)
    return [strip(match[1], match[2]) for match in found]


class Judge:
    def __init__(self, program, language):
        self.program, self.suffix = program, SUFFIXES[language][0]

    def verdicts(self, texts):
        """Of each text, whether it parses; None when the judge did not read it."""
        texts, verdicts = iter(texts), []
        while part := list(itertools.islice(texts, AT_ONCE)):
            verdicts += self.verdicts_of(part)
        return verdicts

    def verdicts_of(self, texts):
        verdicts = [True] * len(texts)
        with tempfile.TemporaryDirectory() as folder:
            for idx, text in enumerate(texts):
                Path(folder, f"{idx}{self.suffix}").write_bytes(text.encode())
            command = [self.program, "check", "--format", "json", folder]
            done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False, cwd=folder)
        if done.returncode not in (0, 1):
            sys.exit(f"error: `{self.program} check` ended with {done.returncode}: {done.stderr.strip()[-300:]}")
        # Not `splitlines`: messages hold what it takes for the end of a line.
        for row in map(json.loads, filter(None, done.stdout.split("\n"))):
            verdicts[int(Path(row["path"]).stem)] = False if row["kind"] == "broken" else None
        return verdicts

    def mended(self, pairs):
        """The pairs of which the judge refuses the first text and accepts the second."""
        refused = [pair for pair, verdict in zip(pairs, self.verdicts(pair[0] for pair in pairs)) if verdict is False]
        return [pair for pair, verdict in zip(refused, self.verdicts(pair[1] for pair in refused)) if verdict]


def runs(before, after):
    """The lines before, and the runs of them that differ, as (start, end, replacement)."""
    old, new = before.split("\n"), after.split("\n")
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    return old, [(i, j, new[k:m]) for tag, i, j, k, m in matcher.get_opcodes() if tag != "equal"]


def patched(lines, chosen):
    out, at = [], 0
    for start, end, replacement in chosen:
        out += lines[at:start] + replacement
        at = end
    return "\n".join(out + lines[at:])


def n_lexemes(lines, chosen):
    """How many lexemes a change replaces, at most."""
    total = 0
    for start, end, replacement in chosen:
        old = LEXEME.findall("\n" + "\n".join(lines[start:end]))
        new = LEXEME.findall("\n" + "\n".join(replacement))
        blocks = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
        total += sum(max(j - i, m - k) for tag, i, j, k, m in blocks if tag != "equal")
    return total


def window(lines, chosen, rng):
    """A few lines around the change, before and after it, without their common indentation."""
    most = rng.choice([0, 1, 2, 4, 8, MOST_LINES])
    low = max(0, chosen[0][0] - rng.randrange(most + 1))
    high = min(len(lines), chosen[-1][1] + rng.randrange(most + 1))
    part = lines[low:high]
    moved = [(start - low, end - low, replacement) for start, end, replacement in chosen]
    before, after = "\n".join(part), patched(part, moved)
    indents = [len(line) - len(line.lstrip()) for line in after.split("\n") if line.strip()]
    least = min(indents, default=0)
    cut = lambda text: "\n".join(line[min(least, len(line) - len(line.lstrip())) :] for line in text.split("\n"))
    return cut(before), cut(after)


def parts_of_runs(before, after):
    """The lines before, and parts of the change by runs of lines, smallest first."""
    lines, every = runs(before, after)
    sizes = range(1, min(3, len(every)) + 1) if len(every) <= 40 else []
    parts = [part for n in sizes for part in itertools.islice(itertools.combinations(every, n), MOST_TRIES)]
    if 3 < len(every) <= MOST_RUNS:
        parts.append(tuple(every))
    return lines, [part for part in parts if keeps_words(before, patched(lines, part), after)]


def least_runs(pairs, judge):
    """Each pair's lines before, and the fewest runs of the change that make it parse."""
    for before, after, path in pairs:
        lines, parts = parts_of_runs(before, after)
        verdicts = judge.verdicts(patched(lines, part) for part in parts)
        chosen = next(itertools.compress(parts, verdicts), None)
        if chosen and 0 < n_lexemes(lines, chosen) <= MOST_LEXEMES:
            yield lines, chosen, path


def smaller(before, after):
    """States on the way from one text to the other, changes of blanks apart, with how many changes lead there."""
    old, new = (PIECE.findall(text) for text in (before, after))
    blocks = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    blank = lambda i, j, k, m: not "".join(old[i:j] + new[k:m]).strip(" \t")
    steps = [(i, j, k, m) for tag, i, j, k, m in blocks if tag != "equal" and not blank(i, j, k, m)]
    if len(steps) > MOST_LEXEMES:
        return
    for n in range(1, min(4, len(steps))):
        for chosen in itertools.combinations(steps, n):
            out, at = [], 0
            for i, j, k, m in chosen:
                out += old[at:i] + new[k:m]
                at = j
            text = "".join(out + old[at:])
            if keeps_words(before, text, after):
                yield n, text


def least_change(before, after, judge):
    """The smallest part of the change that parses, where there is one such part; else all of it."""
    tries = list(smaller(before, after))
    fine = [one for one, verdict in zip(tries, judge.verdicts(text for _, text in tries)) if verdict]
    least = [text for n, text in fine if n == fine[0][0]]
    return least[0] if len(least) == 1 else after


def mine(repo, name, language, suffixes, barred, judge):
    """Pairs of a repository, with the path of each, and what was counted on the way."""
    rng = random.Random(f"{SEED} {name}")
    todo = [change for change in changes(repo, suffixes) if barred.isdisjoint(change[:2])]
    blobs, found = Blobs(repo), []
    for start in range(0, len(todo), AT_ONCE):
        pairs = []
        for before, after, path in todo[start : start + AT_ONCE]:
            texts = read(blobs, before), read(blobs, after)
            if None in texts:
                continue
            if path.endswith(".md"):
                old, new = (fenced(text, FENCES[language]) for text in texts)
                pairs += [(x, y, path) for x, y in zip(old, new) if x != y and len(old) == len(new)]
            else:
                pairs.append((*texts, path))
        found += judge.mended([pair for pair in pairs if not CONFLICT.search(pair[0])])
    blobs.close()
    rows, n_small = [], 0
    for lines, chosen, path in least_runs(found, judge):
        n_small += 1
        drawn = [window(lines, chosen, rng) for _ in range(WINDOWS)]
        # What was indented as a whole was so by the Markdown around it.
        drawn = [pair for pair in drawn if not pair[0][:1].isspace() and 2 * len(key(pair[1])) >= len(key(pair[0]))]
        for before, after in judge.mended(drawn)[:1]:
            after = least_change(before, after, judge)
            if not completes(before, after):
                rows.append((before, after, path))
    return rows, {"changes": len(todo), "mended": len(found), "small": n_small, "pairs": len(rows)}


class Bench:
    """What must not be trained on."""

    def __init__(self, folder, language):
        self.repositories, self.blobs, self.texts = set(), set(), set()
        for path in sorted(folder.glob("*.jsonl")):
            for row in map(json.loads, path.open(encoding="utf-8")):
                source = row.get("source") or {}
                source = source if isinstance(source, dict) else {"repo": source}
                self.repositories.add(source.get("repo", "").lower())
                self.blobs |= {source.get(blob) for blob in ("old_blob", "new_blob")} - {None}
                if row["lang"] == language:
                    self.texts |= {key(row[part]) for part in ("broken", "fixed", "fixed_min") if row.get(part)}
        self.long = [text for text in self.texts if len(text) >= HELD]

    def holds(self, text):
        shares = lambda other: other in text or len(text) >= HELD and text in other
        return text in self.texts or any(map(shares, self.long))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("language", choices=SUFFIXES)
    parser.add_argument("--mirror", type=Path, required=True)
    parser.add_argument("--bench", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--program", default="lastmile")
    parser.add_argument("--documents", nargs="*", default=[], help="repositories of which only Markdown is read")
    parser.add_argument("--only", nargs="*", default=[], help="read no other repositories")
    args = parser.parse_args()
    documents, only = ({name.lower() for name in names} for names in (args.documents, args.only))
    bench, judge = Bench(args.bench, args.language), Judge(args.program, args.language)
    seen, total = set(), Counter()
    with args.out.open("w", encoding="utf-8") as out:
        for folder in sorted(args.mirror.iterdir()):
            name = folder.name.replace("+", "/")
            repo = git_dir(args.mirror, name)
            if repo is None or name.lower() in bench.repositories or only and name.lower() not in only:
                continue
            suffixes = [".md"] if name.lower() in documents else [*SUFFIXES[args.language], ".md"]
            pairs, count = mine(repo, name, args.language, suffixes, bench.blobs, judge)
            total.update(count, repositories=1)
            for before, after, path in pairs:
                keys = key(before), key(after)
                if keys in seen or any(map(bench.holds, keys)):
                    continue
                seen.add(keys)
                digest = hashlib.sha256("\n".join(keys).encode()).hexdigest()[:16]
                row = {"id": f"mined-{digest}", "lang": args.language, "broken": before, "fixed": after}
                out.write(json.dumps({**row, "source": {"repo": name, "path": path}}, ensure_ascii=False) + "\n")
            out.flush()
            print(f"{name}: {count}; {len(seen)} in all", file=sys.stderr, flush=True)
    print(json.dumps({**total, "kept": len(seen)}))


if __name__ == "__main__":
    main()
