#!/usr/bin/env python3
"""Build a training corpus of correct code for lastmile's edit-diffusion model.

    build.py python --out DIR --cache DIR --mirror DIR --bench DIR

reads the source list `python.toml` that lies beside this script and writes, into --out,

    python.files.jsonl.zst      whole files
    python.snippets.jsonl.zst   short top-level code: fenced and indented blocks of documentation,
                                doctests without their prompts, code cells of notebooks
    python.tabbed.jsonl.zst     some of the files, indented by tabs; half of them are to be damaged by
                                mixing in blanks
    python.manifest.json        rows, bytes and sha256 of the three, and what each source gave

A row is {"text": ..., "source": "name:path"}, and where it matters "damage". Every text parses with
the Python that runs this script, so run it with the newest one (3.13 for the published corpus; 3.11
works and keeps a bit less). Needs `pip install zstandard`.

Where sources come from (`kind` in the source list):

    pypi    the wheel, downloaded with pip into CACHE/pypi
    sdist   the source archive, likewise: it holds the documentation that a wheel lacks
    github  a local clone: MIRROR/owner+name, .../repo or .../.git below it, bare or not. The
            script never goes to GitHub; make the clones yourself, one a source:
                git clone --bare https://github.com/OWNER/NAME MIRROR/OWNER+NAME
            `version` is the commit that is read; a clone without it is read at HEAD, and said.
            A partial clone is fine, absent blobs are skipped.
    local   the standard library of --stdlib (default: of the running Python)

`use` says what a source gives: files, snippets, both, or exclude. An `exclude` source gives
nothing: its files are known only so that copies of them in other sources are left out too. The
repositories that a benchmark was mined from belong there.

What is left out: text that is not UTF-8, files over 60 kB, generated and minified files (a line
over 400 characters), files that are mostly literals, text with somebody's access keys, exact
duplicates (whitespace apart), files whose set of stripped lines is 0.8-similar to that of an
earlier file (MinHash finds them, the true Jaccard index decides), every repository that a benchmark
row names as its source, and rows that equal or contain the broken or fixed text of a benchmark row
in BENCH/*.jsonl. Containment counts from 60 characters on in files and 30 in snippets.

Sources are read in the order of the list, and the first of two duplicates is kept. What one source
gives is kept in CACHE/rows, so a second run after a change of the list only reads what changed.
"""

import argparse
import ast
import collections
import hashlib
import json
import pathlib
import random
import re
import subprocess
import sys
import sysconfig
import tarfile
import textwrap
import tomllib
import warnings
import zipfile

from repository import Blobs, git_dir

try:
    import zstandard
except ImportError:  # the tests write no corpus
    zstandard = None

EXTRACT_VERSION = 5  # raise when extraction changes: it is part of the names in CACHE/rows
MAX_FILE_BYTES = 60_000
MAX_LINE = 400
MAX_SNIPPET_LINES = 60
MAX_SNIPPET_BYTES = 4_000
NEAR_DUPLICATE = 0.8
SEED = 20260
TABBED = 8

# Copies of other projects, and code that a tool wrote.
NEVER = [
    "**/site-packages/**", "**/venv/**", "**/.venv/**", "**/env/lib/**", "**/env/Lib/**",
    "**/node_modules/**", "**/migrations/**", "**/vendor/**", "**/_vendor/**", "**/vendored/**",
    "**/_vendored/**", "**/*_pb2.py", "**/*_pb2_grpc.py", "**/dist-info/**", "**/.ipynb_checkpoints/**",
]  # fmt: skip


def say(*words):
    print(*words, file=sys.stderr, flush=True)


# ---------------------------------------------------------------- reading sources


def glob_regex(patterns):
    """One regular expression for glob patterns in which `**/` is any number of folders."""
    parts = []
    for pattern in patterns:
        out = ""
        for piece in re.split(r"(\*\*/|\*\*|\*|\?)", pattern):
            out += {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(piece) or re.escape(piece)
        parts.append(out)
    return re.compile(r"(?:%s)\Z" % "|".join(parts)) if parts else re.compile(r"(?!)")


def package(source, args, suffix, options):
    """The path of a package's archive in CACHE/pypi, after a download if need be."""
    folder = pathlib.Path(args.cache, "pypi")
    folder.mkdir(parents=True, exist_ok=True)
    wanted = re.sub(r"[-_.]+", "-", f"{source['name']}-{source['version']}-").lower()

    def have():
        for path in folder.glob("*" + suffix):
            if re.sub(r"[-_.]+", "-", path.name).lower().startswith(wanted):
                return path

    if not have():
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", *options]
        command += ["-d", str(folder), f"{source['name']}=={source['version']}"]
        subprocess.run(command, check=True)
    return have()


def wheel_files(source, args):
    options = ["--only-binary", ":all:", "--python-version", "3.12"]
    with zipfile.ZipFile(package(source, args, ".whl", options)) as wheel:
        for name in sorted(wheel.namelist()):
            yield name, lambda name=name: wheel.read(name)


def sdist_files(source, args):
    with tarfile.open(package(source, args, ".tar.gz", ["--no-binary", ":all:"])) as archive:
        for member in archive:
            if member.isfile():
                yield member.name.partition("/")[2], archive.extractfile(member).read


def github_files(source, args):
    git = git_dir(args.mirror, source["name"])
    if not git:
        raise FileNotFoundError(f"no clone of {source['name']} in {args.mirror}")
    commit = source["version"]
    if subprocess.run(["git", "--git-dir", git, "cat-file", "-e", commit], capture_output=True).returncode:
        say(f"  {source['name']}: commit {commit} is not in the clone, reading HEAD")
        commit = "HEAD"
    listing = subprocess.run(
        ["git", "--git-dir", git, "ls-tree", "-r", "-z", commit], capture_output=True, check=True
    ).stdout
    blobs = Blobs(git)
    for entry in listing.split(b"\0"):
        if entry:
            meta, path = entry.split(b"\t", 1)
            mode, kind, blob = meta.decode().split()
            if kind == "blob" and mode != "120000":
                yield path.decode("utf-8", "replace"), lambda blob=blob: blobs.read(blob)
    blobs.close()


def local_files(source, args):
    root = pathlib.Path(args.stdlib or sysconfig.get_paths()["stdlib"]).expanduser()
    for path in sorted(root.rglob("*.py")):
        yield path.relative_to(root).as_posix(), path.read_bytes


READERS = {"pypi": wheel_files, "sdist": sdist_files, "github": github_files, "local": local_files}


def decode(data):
    if data is None or b"\0" in data:
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    return text.replace("\r\n", "\n").replace("\r", "\n")


# ---------------------------------------------------------------- judging code


def parse(text):
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


LITERALS = (ast.Constant, ast.List, ast.Tuple, ast.Dict, ast.Set)


def mostly_literals(tree, text):
    """True if over 80 % of the lines belong to top-level literals (data tables, docstrings)."""
    data = 0
    for statement in tree.body:
        if isinstance(statement, (ast.Assign, ast.AnnAssign, ast.Expr)) and isinstance(statement.value, LITERALS):
            data += statement.end_lineno - statement.lineno + 1
    return data > 0.8 * sum(1 for line in text.splitlines() if line.strip())


GENERATED = re.compile(r"(?i)generated by|auto-?generated|automatically generated|@generated|do not edit")

# Keys and tokens that people left in their scripts: AWS, GitHub, Slack, OpenAI, Google, Discord, Telegram.
SECRET = re.compile(
    r"AKIA[0-9A-Z]{16}|gh[pousr]_\w{30}|xox[abp]-\w{8}|\bsk-[\w-]{32}|AIza[\w-]{35}|-----BEGIN [A-Z ]*PRIVATE"
    r"|\b[MNO][\w-]{23,25}\.[\w-]{6}\.[\w-]{27}|\b\d{8,10}:AA[\w-]{33}"
)


def good_file(text):
    if not 30 <= len(text.encode()) <= MAX_FILE_BYTES or GENERATED.search(text[:1500]):
        return False
    if max(map(len, text.split("\n"))) > MAX_LINE or SECRET.search(text):
        return False
    tree = parse(text)
    return tree is not None and bool(tree.body) and not mostly_literals(tree, text)


def says_something(tree):
    """False for a bare name, number or string: in documentation that is output more often than code."""
    plain = (ast.Constant, ast.Name, ast.Attribute, ast.UnaryOp)
    return any(not (isinstance(s, ast.Expr) and isinstance(s.value, plain)) for s in tree.body)


def surely_python(tree):
    """For blocks of no named language, which may be a shell's, or output, or JSON."""
    for statement in tree.body:
        if isinstance(statement, ast.AnnAssign) and statement.value is None:
            continue  # `Name: value`, as in YAML
        if not isinstance(statement, ast.Expr):
            return True
        if isinstance(statement.value, (ast.Await, ast.Call)):
            return True
    return False


def tidy(text):
    text = textwrap.dedent(text.expandtabs(4) if re.search(r"^ +\t|^\t+ ", text, re.M) else text)
    lines = [line.rstrip() for line in text.split("\n")]
    return "\n".join(lines).strip("\n")


def pieces(text, tree):
    """Cuts long code between top-level statements, into pieces of about 40 lines at most."""
    lines = text.split("\n")
    start, end = 0, 0
    for statement in tree.body:
        if end > start and statement.end_lineno - start > 40:
            yield "\n".join(lines[start:end])
            start = end
        end = statement.end_lineno
    yield "\n".join(lines[start:end])


def snippets_of(block, sure):
    """The snippets that one block of documentation gives. `sure`: it is marked as Python."""
    if re.search(r"^\s*>>> ", block, re.M):
        for example in doctests(block):
            yield from snippets_of(example, True)
        return
    if re.search(r"^\s*In ?\[\d*\]: ", block, re.M):
        block = "\n".join(re.findall(r"^\s*(?:In ?\[\d*\]|\s+\.\.\.+): ?(.*)", block, re.M))
    text = tidy(block)
    if "--8<--" in text:  # a file to include, which happens to parse
        return
    if not 4 <= len(text) <= 100_000:
        return
    tree = parse(text)
    if tree is None or not tree.body:
        return
    for part in [text] if text.count("\n") < MAX_SNIPPET_LINES else pieces(text, tree):
        part = tidy(part)
        if part.count("\n") >= MAX_SNIPPET_LINES or not 4 <= len(part.encode("utf-8", "replace")) <= MAX_SNIPPET_BYTES:
            continue
        if max(map(len, part.split("\n"))) > MAX_LINE or SECRET.search(part):
            continue
        inner = tree if part == text else parse(part)
        if inner and inner.body and says_something(inner) and (sure or surely_python(inner)):
            yield part


# ---------------------------------------------------------------- finding snippets

PROMPT = re.compile(r"[ \t]*(>>>|\.\.\.)(?: (.*)|)$")


def doctests(text):
    """Doctest examples as plain code, one for each run of lines without an empty line."""
    code, inside = [], False
    for line in text.split("\n"):
        found = PROMPT.match(line) if ">>>" in line or (inside and "..." in line) else None
        if found and (found[1] == ">>>" or inside):
            code.append(re.sub(r"\s*# doctest:.*", "", found[2] or ""))
            inside = True
        else:
            inside = False
            if not line.strip() and code:
                yield "\n".join(code)
                code = []
    if code:
        yield "\n".join(code)


FENCE = re.compile(r"^([ \t>]*)(`{3,}|~{3,})[ \t]*([^\n`]*)$")
PYTHON_FENCE = re.compile(
    r"(?i)^\W*(?:code-block\W+|code-cell\W+|code\W+|\.)?(?:python3?|py3?|pycon|ipython3?)\b|^\{code-cell\}$"
)


def markdown_blocks(text):
    """(code, marked as Python) for every fenced block."""
    close, info, body = None, "", []
    for line in text.split("\n"):
        found = FENCE.match(line) if "```" in line or "~~~" in line else None
        if close is None:
            if found:
                close, info, quote, body = found[2], found[3].strip(), found[1], []
        elif found and found[2].startswith(close) and not found[3].strip():
            if PYTHON_FENCE.match(info) and "console" not in info:
                yield "\n".join(body), True
            elif not info:
                yield "\n".join(body), False
            close = None
        else:
            body.append(line.removeprefix(quote.rstrip(" \t")) if ">" in quote else line)


DIRECTIVE = re.compile(
    r"^([ \t]*)\.\. (?:code-block|code|sourcecode|ipython|testcode|testsetup|doctest|pyplot|plot|jupyter-execute)"
    r"::[ \t]*(\S*)"
)
PYTHON_WORD = re.compile(r"(?i)(?:python3?|py3?|pycon|ipython3?|pytb)$")
MARKED = re.compile(r"\.\. (?:ipython|testcode|testsetup|doctest|plot|jupyter-execute)::")


def rst_blocks(text):
    """(code, marked as Python) for code directives and `::` literal blocks."""
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if "::" not in line:
            continue
        found = DIRECTIVE.match(line)
        if found:
            marked = bool(MARKED.search(line)) or bool(PYTHON_WORD.match(found[2]))
            if found[2] and not marked:
                continue
        elif line.rstrip().endswith("::") and not line.lstrip().startswith(".. "):
            marked = False
        else:
            continue
        indent = len(line) - len(line.lstrip())
        body, options = [], True
        while at < len(lines):
            next_line = lines[at]
            if next_line.strip() and len(next_line) - len(next_line.lstrip()) <= indent:
                break
            at += 1
            if options and (not next_line.strip() or re.match(r"\s*:[\w-]+:", next_line)):
                continue
            options = False
            body.append(next_line)
        if body:
            yield "\n".join(body), marked


def notebook_blocks(text):
    try:
        book = json.loads(text)
        language = json.dumps(book.get("metadata", {}).get("kernelspec", {})).lower()
        cells = book.get("cells") or [c for sheet in book.get("worksheets", []) for c in sheet.get("cells", [])]
    except (ValueError, AttributeError, RecursionError):
        return
    if "name" in language and "python" not in language:
        return
    for cell in cells:
        code = cell.get("source", cell.get("input", ""))
        code = code if isinstance(code, str) else "".join(code)
        if cell.get("cell_type") == "code":
            if not re.search(r"^\s*[%!?]|\?$|^\s*\w+ *= *[%!]", code, re.M):
                yield code, True
        elif cell.get("cell_type") == "markdown":
            yield from markdown_blocks(code)


MARKDOWN = (".md", ".mdx", ".markdown", ".qmd")


def snippets(path, text):
    if path.endswith(".ipynb"):
        for block, sure in notebook_blocks(text):
            yield from snippets_of(block, sure)
    elif path.endswith(MARKDOWN):
        for block, sure in markdown_blocks(text):
            yield from snippets_of(block, sure)
    else:  # reStructuredText, and docstrings
        for block, sure in rst_blocks(text) if "::" in text else ():
            if ">>> " not in block:
                yield from snippets_of(block, sure)
        for block in doctests(text) if ">>> " in text else ():
            yield from snippets_of(block, True)


SNIPPET_PATHS = MARKDOWN + (".rst", ".txt", ".doctest", ".ipynb", ".py")


def extract(source, args):
    """What one source gives, from CACHE/rows if it is there: [kind, path, text] rows."""
    spec = json.dumps([EXTRACT_VERSION, sys.version_info[:2], source], sort_keys=True)
    name = source["name"].replace("/", "+") + "-" + hashlib.sha256(spec.encode()).hexdigest()[:12]
    kept = pathlib.Path(args.cache, "rows", name + ".jsonl.zst")
    if kept.exists():
        with zstandard.open(kept, "rt", encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]
    include = glob_regex(source.get("include", ["**"]))
    exclude = glob_regex(NEVER + source.get("exclude", []))
    use, rows, seen = source["use"], [], set()
    for path, read in READERS[source["kind"]](source, args):
        low = path.lower()
        if not low.endswith(SNIPPET_PATHS) or not include.match(path) or exclude.match(path):
            continue
        text = decode(read())
        if text is None or len(text) > 8_000_000:
            continue
        if low.endswith(".py") and use != "snippets" and good_file(text):
            rows.append(["file", path, text])
        if use in ("snippets", "both") or (use == "exclude" and low.endswith(".py")):
            for snippet in snippets(low, text):
                if snippet not in seen:
                    seen.add(snippet)
                    rows.append(["snippet", path, snippet])
    limit = source.get("max_mb", 0) * 1e6
    if limit:  # a sample that does not depend on the order of the paths
        rows.sort(key=lambda row: hashlib.sha256(row[1].encode()).digest())
        total, sample = 0, []
        for row in rows:
            total += len(row[2]) if row[0] == "file" else 0
            if row[0] == "snippet" or total <= limit:
                sample.append(row)
        rows = sample
    kept.parent.mkdir(parents=True, exist_ok=True)
    with zstandard.open(kept.with_suffix(".part"), "wt", encoding="utf-8") as out:
        for row in rows:
            out.write(json.dumps(row) + "\n")
    kept.with_suffix(".part").rename(kept)
    return rows


# ---------------------------------------------------------------- duplicates and benchmarks


def normal(text):
    return " ".join(text.split())


def digest(text):
    return hashlib.blake2b(text.encode(), digest_size=8).digest()


class NearDuplicates:
    """Finds files that share 0.8 of their distinct stripped lines with one that was added before.

    One-permutation MinHash: a line's hash names one of 64 bins and competes there for the minimum;
    empty bins borrow from the next one. 16 bands of 4 bins find candidates (all but 1 in 5,000 pairs
    at 0.8), and the Jaccard index of the true sets decides."""

    BINS, ROWS = 64, 4

    def __init__(self):
        self.buckets, self.sets = collections.defaultdict(list), []

    def seen(self, text):
        hashes = {int.from_bytes(digest(line.strip()), "big") for line in text.split("\n") if line.strip()}
        mins = [None] * self.BINS
        for value in hashes:
            place = value % self.BINS
            if mins[place] is None or value < mins[place]:
                mins[place] = value
        filled = [i for i in range(self.BINS) if mins[i] is not None]
        for i in range(self.BINS):
            if mins[i] is None:
                mins[i] = mins[next((j for j in filled if j > i), filled[0])]
        keys = [(i, *mins[i : i + self.ROWS]) for i in range(0, self.BINS, self.ROWS)]
        keys = [hash(key) for key in keys]  # hashes of integers: the same in every run
        candidates = {other for key in keys for other in self.buckets.get(key, ())[-50:]}
        for other in candidates:
            theirs = self.sets[other]
            both = len(hashes & theirs)
            if both >= NEAR_DUPLICATE * (len(hashes) + len(theirs) - both):
                return True
        for key in keys:
            self.buckets[key].append(len(self.sets))
        self.sets.append(frozenset(hashes))
        return False


class Benchmarks:
    """Knows the repositories and texts of benchmark rows.

    A text counts as contained from `MIN_CONTAINED` normalised characters on: shorter ones
    (`import os`) are in half of all programs, and are only looked for as a whole row."""

    MIN_CONTAINED = {"file": 60, "snippet": 30}

    def __init__(self, folder, language):
        self.repos, self.equal = set(), set()
        self.by_pair, self.short = collections.defaultdict(set), set()
        rows = 0
        for path in sorted(pathlib.Path(folder).glob("*.jsonl")):
            for line in path.read_text("utf-8").splitlines():
                row = json.loads(line)
                if row.get("lang") != language:
                    continue
                rows += 1
                source = row.get("source")
                if isinstance(source, dict) and "/" in source.get("repo", ""):
                    self.repos.add(source["repo"].lower())
                for key in ("broken", "fixed"):
                    text = normal(row[key]).lower()
                    self.equal.add(text)
                    words = text.split(" ")[1:-1]
                    pairs = list(zip(words, words[1:]))
                    if pairs:
                        self.by_pair[max(pairs, key=lambda p: (len(p[0]) + len(p[1]), p))].add(text)
                    else:
                        self.short.add(text)
        self.rows = rows
        self.short = {text for text in self.short if len(text) >= min(self.MIN_CONTAINED.values())}

    def has(self, kind, normalised):
        text = normalised.lower()
        if text in self.equal:
            return True
        least = self.MIN_CONTAINED[kind]
        words = text.split(" ")
        for pair in self.by_pair.keys() & set(zip(words, words[1:])):
            if any(len(known) >= least and known in text for known in self.by_pair[pair]):
                return True
        return any(len(known) >= least and known in text for known in self.short)


# ---------------------------------------------------------------- writing


def tabbed(files):
    """One file in TABBED, where blanks in fours indent it, with tabs instead; every other one names a damage."""
    rows = []
    for name, text in files[::TABBED]:
        indents = re.findall(r"^[ \t]+(?=\S)", text, re.MULTILINE)
        if not indents or any("\t" in indent or len(indent) % 4 for indent in indents):
            continue
        text = re.sub(r"^ +(?=\S)", lambda match: "\t" * (len(match[0]) // 4), text, flags=re.MULTILINE)
        if parse(text) is not None:
            rows.append((name, text, *(["mix_tabs"] if len(rows) % 2 else [])))
    return rows


def write(path, rows):
    """Writes rows as JSON lines, atomically; returns facts for the manifest."""
    raw, part = 0, path.with_name(path.name + ".part")
    with open(part, "wb") as out:
        # Level 19 without long-distance matching: an 8 MiB window, which every decoder allows.
        with zstandard.ZstdCompressor(level=19).stream_writer(out, closefd=False) as stream:
            for name, text, *damage in rows:
                row = {"text": text, "source": name} | ({"damage": damage[0]} if damage else {})
                line = json.dumps(row, ensure_ascii=False).encode() + b"\n"
                raw += len(text.encode())
                stream.write(line)
    data = part.read_bytes()
    part.rename(path)
    return {"rows": len(rows), "text_bytes": raw, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def build(args):
    warnings.simplefilter("ignore")
    sys.setrecursionlimit(5000)
    listed = pathlib.Path(args.sources or pathlib.Path(__file__).with_name(args.language + ".toml"))
    sources = tomllib.loads(listed.read_text("utf-8"))["source"]
    sources.sort(key=lambda s: s["use"] != "exclude")  # known before anything else is judged
    benchmarks = Benchmarks(args.bench, args.language) if args.bench else None
    if benchmarks:
        say(f"{benchmarks.rows} benchmark rows of {len(benchmarks.repos)} repositories")
    elif not args.no_bench:
        sys.exit("build.py: name the benchmarks with --bench, or say --no-bench")
    near, exact = NearDuplicates(), {"file": set(), "snippet": set()}
    kept, counts, absent = {"file": [], "snippet": []}, {}, []
    for number, source in enumerate(sources, 1):
        name, hidden = source["name"], source["use"] == "exclude"
        if benchmarks and name.lower() in benchmarks.repos and not hidden:
            say(f"  {name}: left out, a benchmark was mined from it")
            continue
        try:
            rows = extract(source, args)
        except (FileNotFoundError, subprocess.CalledProcessError) as error:
            say(f"  {name}: {error}")
            absent.append(name)
            continue
        count = collections.Counter()
        for kind, path, text in rows:
            flat = normal(text)
            key = digest(flat)
            count["found " + kind + "s"] += 1
            if key in exact[kind]:
                count["exact duplicates"] += 1
                continue
            exact[kind].add(key)
            if kind == "file" and near.seen(text):
                count["near duplicates"] += 1
            elif benchmarks and not hidden and benchmarks.has(kind, flat):
                count["benchmark " + kind + "s"] += 1
            elif not hidden:
                kept[kind].append((f"{name}:{path}", text))
                count[kind + "s"] += 1
                count[kind + "_bytes"] += len(text.encode())
        counts[f"{source['kind']}:{name}"] = dict(sorted(count.items()))
        say(f"[{number}/{len(sources)}] {name} {dict(count)}")
    out = pathlib.Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    manifest = {"language": args.language, "parser": "CPython " + sys.version.split()[0], "seed": SEED, "outputs": {}}
    for rows in kept.values():
        random.Random(SEED).shuffle(rows)
    outputs = {"files": kept["file"], "snippets": kept["snippet"], "tabbed": tabbed(kept["file"])}
    for kind, rows in outputs.items():
        path = out / f"{args.language}.{kind}.jsonl.zst"
        say(f"writing {path}: {len(rows)} rows")
        manifest["outputs"][path.name] = write(path, rows)
    manifest["absent_sources"], manifest["sources"] = absent, counts
    text = json.dumps(manifest, indent=1) + "\n"
    part = out / f"{args.language}.manifest.json.part"
    part.write_text(text)
    part.rename(part.with_suffix(""))
    print(json.dumps(manifest["outputs"], indent=1))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("language", choices=["python"], help="which corpus to build")
    parser.add_argument("--out", required=True, metavar="DIR", help="where the outputs go")
    parser.add_argument("--cache", required=True, metavar="DIR", help="wheels, and what each source gave")
    parser.add_argument("--mirror", required=True, metavar="DIR", help="holds the clones, owner+name each")
    parser.add_argument("--bench", metavar="DIR", help="folder of benchmark .jsonl files, to leave out")
    parser.add_argument("--no-bench", action="store_true", help="leave no benchmark out")
    parser.add_argument("--stdlib", metavar="DIR", help="standard library of the `local` source")
    parser.add_argument("--sources", metavar="FILE", help="source list (default: beside this script)")
    build(parser.parse_args())


if __name__ == "__main__":
    main()
