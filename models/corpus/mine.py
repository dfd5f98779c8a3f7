#!/usr/bin/env python3
"""Mine real pairs of broken and fixed code from the history of git repositories.

    mine.py LANGUAGE --mirror DIR --bench DIR --out FILE.jsonl [--program lastmile] [--documents OWNER/NAME ...]

LANGUAGE is python or powershell. DIR of --mirror holds bare clones: owner+name, .../repo or .../.git below it. A pair is a
file that a commit changed, which the judge refuses before and accepts after; in Markdown, a fenced block of the language.
Of what the commit changed, the fewest runs of lines that make it parse are kept, and of the file a few lines around them,
as many as a draw says, as long as the judge still refuses the one and accepts the other. Of the lexemes that changed in
there, the fewest that make it parse are kept, too, where only one choice of so few does. --program is asked what parses
(`lastmile check`).

Left out: repositories that a benchmark row names; of those of --documents all but Markdown; merge conflicts; changes of more than 12 lexemes; texts
over 200 kB or not UTF-8; pairs seen before, blanks and case apart; and every pair that holds, equals or is held by a row of
BENCH/*.jsonl. Needs only the standard library.
"""

import argparse
import difflib
import hashlib
import itertools
import json
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

SUFFIXES = {"python": [".py"], "powershell": [".ps1", ".psm1"]}
FENCES = {"python": r"python3?|py|pycon", "powershell": r"powershell|powershell-interactive|azurepowershell|azurepowershell-interactive|ps1|posh|pwsh"}
MOST_BYTES = 200_000
MOST_LEXEMES = 12
MOST_RUNS = 6
MOST_LINES = 14  # of context, on each side
TRIES = 8
PIECE = re.compile(r"\n[ \t]*|[ \t]+|\w+|\"\"\"|'''|[^\w\s]|\s")
LEXEME = re.compile(r"\n[ \t]*(?=\S)|\w+|\"\"\"|'''|[^\w\s]")
SEED = 5


def key(text):
    return re.sub(r"\s+", "", text).lower()


def git(repo, *args, text_in=None):
    return subprocess.run(["git", "--git-dir", repo, *args], input=text_in, capture_output=True, check=False).stdout


def changes(repo, suffixes):
    """Blobs before and after each change of a file, and its path."""
    globs = [f"*{suffix}" for suffix in suffixes]
    log = git(repo, "log", "--no-merges", "--diff-filter=M", "--raw", "--no-abbrev", "--no-renames", "--format=", "HEAD", "--", *globs)
    seen = set()
    for line in log.decode("utf-8", "replace").splitlines():
        fields, _, path = line.partition("\t")
        _, _, before, after, _ = fields.split()
        if (before, after) not in seen:
            seen.add((before, after))
            yield before, after, path


def blobs(repo, names):
    """Texts by the names of their blobs; what is large or no UTF-8 is missing."""
    texts = {}
    data = git(repo, "cat-file", "--batch", text_in="".join(f"{name}\n" for name in names).encode())
    at = 0
    while at < len(data):
        end = data.index(b"\n", at)
        head = data[at:end].split()
        at = end + 1
        if len(head) < 3:  # missing
            continue
        size = int(head[2])
        if size <= MOST_BYTES:
            try:
                texts[head[0].decode()] = data[at : at + size].decode("utf-8-sig").replace("\r\n", "\n")
            except UnicodeDecodeError:
                pass
        at += size + 1
    return texts


def fenced(text, language):
    """The fenced blocks of the language in Markdown."""
    pattern = rf"^([ \t]*)```[ \t]*(?:{FENCES[language]})\b[^\n]*\n(.*?)^[ \t]*```"
    found = re.finditer(pattern, text, re.MULTILINE | re.DOTALL | re.IGNORECASE)
    strip = lambda indent, block: re.sub(rf"^{re.escape(indent)}", "", block, flags=re.MULTILINE)
    return [strip(match[1], match[2]) for match in found]


class Judge:
    def __init__(self, program, language):
        self.program, self.suffix = program, SUFFIXES[language][0]

    def accepts(self, texts):
        """Which of the texts parse."""
        texts = list(texts)
        with tempfile.TemporaryDirectory() as folder:
            for idx, text in enumerate(texts):
                Path(folder, f"{idx}{self.suffix}").write_text(text, encoding="utf-8", newline="")
            done = subprocess.run(
                [self.program, "check", "--format", "json", folder], capture_output=True, text=True, check=False, cwd=folder
            )
            if done.returncode not in (0, 1):
                sys.exit(f"error: `{self.program} check` ended with {done.returncode}: {done.stderr.strip()[-300:]}")
            refused = set()
            for line in done.stdout.splitlines():
                row = json.loads(line)
                if path := row.get("path"):
                    refused.add(int(Path(path).stem))
        return [idx not in refused for idx in range(len(texts))]


def runs(before, after):
    """The runs of lines that differ, as (start, end, replacement) of the lines before."""
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


def smaller(before, after):
    """States on the way from one text to the other, as (number of changes, text); the last has all but changes of blanks."""
    old, new = (PIECE.findall(text) for text in (before, after))
    blocks = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    blank = lambda i, j, k, m: not "".join(old[i:j] + new[k:m]).strip(" \t")
    steps = [(i, j, k, m) for tag, i, j, k, m in blocks if tag != "equal" and not blank(i, j, k, m)]
    if not 1 < len(steps) <= MOST_LEXEMES:
        return
    for n in range(1, min(3, len(steps) - 1) + 1):
        for chosen in itertools.combinations(steps, n):
            out, at = [], 0
            for i, j, k, m in chosen:
                out += old[at:i] + new[k:m]
                at = j
            yield n, "".join(out + old[at:])


def least_change(pairs, judge):
    """The pairs with the smallest part of the change that parses, where there is one such part."""
    tries = [(idx, n, text) for idx, (before, after) in enumerate(pairs) for n, text in smaller(before, after)]
    fine = {}
    for (idx, n, text), accepted in zip(tries, judge.accepts(text for *_, text in tries)):
        if accepted and n == fine.setdefault(idx, (n, []))[0]:
            fine[idx][1].append(text)
    only = {idx: texts[0] for idx, (_, texts) in fine.items() if len(texts) == 1}
    return [(before, only.get(idx, after)) for idx, (before, after) in enumerate(pairs)]


def mine(repo, name, language, suffixes, judge):
    found = []
    rng = random.Random(f"{SEED} {name}")
    todo = list(changes(repo, suffixes))
    for start in range(0, len(todo), 4000):
        part = todo[start : start + 4000]
        texts = blobs(repo, {name for before, after, _ in part for name in (before, after)})
        pairs = []
        for before, after, path in part:
            if before not in texts or after not in texts:
                continue
            if path.endswith(".md"):
                old, new = fenced(texts[before], language), fenced(texts[after], language)
                if len(old) == len(new):
                    pairs += [(x, y, path) for x, y in zip(old, new) if x != y]
            else:
                pairs.append((texts[before], texts[after], path))
        pairs = [pair for pair in pairs if not re.search(r"^(<<<<<<<|>>>>>>>)", pair[0], re.MULTILINE)]
        pairs = [pair for pair, fine in zip(pairs, judge.accepts(pair[0] for pair in pairs)) if not fine]
        found += [pair for pair, fine in zip(pairs, judge.accepts(pair[1] for pair in pairs)) if fine]
    # The fewest runs of lines that make it parse.
    tries = []
    for idx, (before, after, _) in enumerate(found):
        lines, all_runs = runs(before, after)
        if len(all_runs) > 40:
            continue
        for n in range(1, min(3, len(all_runs)) + 1):
            tries += [(idx, lines, chosen) for chosen in itertools.islice(itertools.combinations(all_runs, n), 60)]
        if 3 < len(all_runs) <= MOST_RUNS:
            tries.append((idx, lines, tuple(all_runs)))
    least = {}
    for one, fine in zip(tries, judge.accepts(patched(lines, chosen) for _, lines, chosen in tries)):
        if fine:
            least.setdefault(one[0], one)
    rows, drawn = [], []
    for idx, lines, chosen in least.values():
        if 0 < n_lexemes(lines, chosen) <= MOST_LEXEMES:
            drawn += [(idx, *window(lines, chosen, rng)) for _ in range(TRIES)]
    fine = zip(judge.accepts(x for _, x, _ in drawn), judge.accepts(y for _, _, y in drawn))
    cut = {}
    for (idx, before, after), (before_fine, after_fine) in zip(drawn, fine):
        # What was indented as a whole was so by the Markdown around it.
        if after_fine and not before_fine and not before[:1].isspace():
            cut.setdefault(idx, (before, after))
    for idx, (before, after) in zip(cut, least_change(cut.values(), judge)):
        rows.append({"broken": before, "fixed": after, "source": {"repo": name, "path": found[idx][2]}})
    return rows, {"changes": len(todo), "mended": len(found), "small": len(least), "pairs": len(rows)}


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
    barred, rows = set(), []
    for path in sorted(args.bench.glob("*.jsonl")):
        for line in path.open(encoding="utf-8"):
            row = json.loads(line)
            source = row.get("source")
            barred.add((source.get("repo") if isinstance(source, dict) else source or "").lower())
            if row["lang"] == args.language:
                rows += [key(row[part]) for part in ("broken", "fixed") if row.get(part)]
    held = {text for text in rows if len(text) >= 40}
    exact = set(rows)
    judge = Judge(args.program, args.language)
    seen, counts, n = set(), {}, 0
    with args.out.open("w", encoding="utf-8") as out:
        for folder in sorted(args.mirror.iterdir()):
            name = folder.name.replace("+", "/")
            repo = next((path for path in (folder / "repo", folder / ".git", folder) if (path / "objects").is_dir()), None)
            if repo is None or name.lower() in barred or args.only and name not in args.only:
                continue
            suffixes = [".md"] if name in args.documents else [*SUFFIXES[args.language], ".md"]
            pairs, count = mine(repo, name, args.language, suffixes, judge)
            for pair in pairs:
                before, after = key(pair["broken"]), key(pair["fixed"])
                if (before, after) in seen or before in exact or after in exact:
                    continue
                if any(text in before or text in after or len(before) >= 40 and before in text for text in held):
                    continue
                seen.add((before, after))
                digest = hashlib.sha256(f"{before}\n{after}".encode()).hexdigest()[:16]
                out.write(json.dumps({"id": f"mined-{digest}", "lang": args.language, **pair}, ensure_ascii=False) + "\n")
                n += 1
            out.flush()
            counts[name] = count
            print(f"{name}: {count}; {n} in all", file=sys.stderr, flush=True)
    total = Counter()
    for count in counts.values():
        total.update(count)
    print(json.dumps({"repositories": len(counts), **total, "kept": n}))


if __name__ == "__main__":
    main()
