#!/usr/bin/env python3
"""Build the training corpus of correct PowerShell.

    powershell.py --mirror DIR --snippets FILE.jsonl --out DIR [--bench DIR]

DIR of --mirror holds bare clones of the repositories of `powershell.toml`, owner+name each, which are read at the commit
named there: scripts, and of those with `use = "both"` the fenced blocks of their Markdown. --snippets holds more examples
of documentation ({"text", "source", "native"} a line; native are command lines of other programs). Writes
OUT/powershell.{files,snippets,native,derived}.jsonl.zst and OUT/powershell.manifest.json.

OUT/powershell.derived.jsonl.zst holds what people break often and documentation writes rarely, made of the other two: programs
called by a quoted path, `--%`, `cmd /c`, several statements in one line, quotes inside quotes, tables in tables, names in
quotes. Its rows name the `damage` that people do to them.

Left out: files over 60 kB, with a line over 600 characters, that are no UTF-8 or UTF-16; texts seen before, blanks and
case apart; files named like one that a benchmark row comes from, in its repository under any path, and in the repositories
with `use = "both"` anywhere, for copies; and every text that holds or equals the broken or fixed text of a row
(BENCH/*.jsonl). Of a block with prompts only what stands behind them is kept, of one without all of it. Texts that do not
parse are left out later, by the judge of the language pack. Needs `pip install zstandard`.
"""

import argparse
import hashlib
import json
import random
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from mine import FENCES, fenced, key
from repository import Blobs, git_dir

try:
    import zstandard
except ImportError:  # the tests write no corpus
    zstandard = None

NATIVE = r"azurecli(?:-interactive)?|cmd|dotnetcli"
PROMPT = re.compile(r"^[ \t]*PS(?: [A-Za-z]+:[^>\n]*)?> ?", re.MULTILINE)
GOES_ON = re.compile(r"[`|{(,]\s*$")
SYNTAX = re.compile(r"\[\[?-[A-Za-z]|<CommonParameters>|<SwitchParameter>")  # of a cmdlet, not a call


def decoded(data):
    for mark, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"", "utf-8-sig")):
        if data.startswith(mark):
            try:
                return data.decode(encoding).replace("\r\n", "\n")
            except UnicodeDecodeError:
                return None
    return None


def listed(git, commit):
    """Paths and blobs of a commit, of files that a person may have written."""
    done = subprocess.run(["git", "--git-dir", git, "ls-tree", "-r", "-z", "-l", commit], capture_output=True, check=True)
    for line in sorted(done.stdout.decode("utf-8", "replace").split("\0")):
        about, _, path = line.partition("\t")
        if path and about.split()[3].isdecimal() and int(about.split()[3]) <= 200_000:
            yield path, about.split()[2]


def examples(markdown):
    """The scripts and command lines in the blocks of a document; whether they are of other programs."""
    for block in fenced(markdown, FENCES["powershell"]):
        if SYNTAX.search(block):
            continue
        if not PROMPT.search(block):
            yield block.strip(), False
            continue
        for part in re.split(r"\n(?=[ \t]*PS[ >])", block):
            line = PROMPT.sub("", part, count=1).split("\n")[0].strip()
            if PROMPT.match(part) and line and not GOES_ON.search(line):
                yield line, False
    for block in fenced(markdown, NATIVE):
        for line in re.sub(r"\s*\\\n\s*", " ", block).split("\n"):
            if re.match(r"[A-Za-z][\w.-]+ \S", line.strip()):
                yield line.strip(), True


FOLDERS = [r"C:\Program Files", r"C:\Program Files (x86)", r"C:\Program Files", r"C:\Tools", r"D:\My Apps", "$env:ProgramFiles",
           "${env:ProgramFiles(x86)}", "$PSScriptRoot", "$env:SystemRoot\\system32", "$root", ".", r"C:\Users\me\App Data"]
BREAKS = re.compile(r"[|,{(`+=]\s*$")


def arguments(rng):
    """Arguments as programs of Windows take them."""
    value = lambda: rng.choice([r"C:\data\in.txt", r"C:\temp\out.log", "$file", r"D:\work\app.sln", "script.py", "$path", r"..\lib\main.dll",
                                "Release", "test.xml", r"\\server\share\a.csv", "true", "$env:TEMP"])
    one = lambda: rng.choice([value(), value(), f"/{rng.choice('qsifp')}", f"/{rng.choice(['out', 'log', 'target', 'Tests', 'collection'])}:{value()}",
                              f"-{rng.choice('fopcvi')} {value()}", f"--{rng.choice(['config', 'output', 'input'])}={value()}", "install", "build"])
    said = [one() for _ in range(rng.randrange(1, 5))]
    share = rng.choice([0, 0, 0.5, 1])
    return " ".join(f'"{word}"' if rng.random() < share and " " not in word else word for word in said)


def called(line, rng):
    """The command line of a program, called by its path."""
    name, _, rest = line.partition(" ")
    if not re.fullmatch(r"[A-Za-z][\w.-]*", name):
        return None
    if rng.random() < 0.4:
        rest = arguments(rng)
    folders = [rng.choice(FOLDERS)] + rng.sample([name.title(), "bin", name.title() + " Suite", "v2.1", "x64"], rng.randrange(3))
    program = "\\".join(folders + [name + rng.choice([".exe", ".exe", ".exe", ".bat", ".ps1", ""])])
    quote = rng.choice(['"', '"', '"', "'"]) if "$" not in program else '"'
    call = rng.choice(["& ", "& ", "& ", "& ", "& ", "&", ". "])
    rest = re.sub(r"\b(?:path/to|/path/to)/([\w.]+)", lambda m: f'"C:\\My Files\\{m.group(1)}"', rest)
    text = f"{call}{quote}{program}{quote} {rest}".rstrip()
    if rng.random() < 0.15:
        folder = rng.choice(["$dir", "$root", "$env:ProgramFiles", "$PSScriptRoot", "$path"])
        tail = "\\".join(program.split("\\")[1:])
        made = rng.choice([f'({folder} + "\\{tail}")', f"(Join-Path {folder} '{tail}')", f'"{folder}\\{tail}"', f"({folder} + '\\{tail}')"])
        text = f"& {made} {rest}".rstrip()
    elif " " not in program and rng.random() < 0.3:
        text = f"{call}{program} {rest}".rstrip()
    front = rng.choice(["", "", "", "", "", "$result = ", "$out = ", "Get-Content list.txt | ", f"{name} | "])
    return front + text


def blanked(line, rng):
    """The same with some values left to the reader, as documentation does."""
    def blank(found):
        name = found.group(2).replace("-", " ")
        forms = [name, name, name.replace(" ", "-"), f"your {name}", f"the {name}", found.group(3), "value", name.upper()]
        return f"{found.group(1)}<{rng.choice(forms)}>" if rng.random() < 0.6 else found.group(0)

    return re.sub(r"(?<!\S)(--?([a-z][a-z-]+)[ =])(\w[\w./-]*)(?!\S)", blank, line)


def verbatim(line, rng):
    """The same with its arguments left alone by PowerShell."""
    if rng.random() < 0.4:
        line = blanked(line, rng)
    name, _, rest = line.partition(" ")
    if rng.random() < 0.15 and rest.count("'") + rest.count('"') == 2:
        # Nothing behind the mark has to be closed.
        rest = re.sub(r"""['"](?=[^'"]*$)""", "", rest)
    elif not rest or not re.search(r"[<>;(){}|&@,]", rest):
        return None
    option = re.search(r"(?:^|\s)(?=-)", rest)
    if option and option.end() and rng.random() < 0.5:
        return f"{name} {rest[: option.end()]}--% {rest[option.end() :]}"
    return f"{name} --% {rest}"


FILES = ["backup.sql", "input.txt", "dump.sql", r"C:\temp\in.txt", "data.csv", "script.sql", "answers.txt", "list.txt"]


def shelled(line, rng):
    """The same, run by the shell that reads it as it is meant."""
    name, _, rest = line.partition(" ")
    if not re.fullmatch(r"[A-Za-z][\w.-]*", name) or '"' in line or "\n" in line or re.search(r"[<>$]", line):
        return None
    tail = rng.choice([" < ", " < ", " < ", " > nul 2>&1 < ", " && type "]) + rng.choice(FILES)
    shell = rng.choice(["cmd /c", "cmd /c", "cmd.exe /c", "& cmd /c", "& cmd.exe /c", "cmd /C", "CMD /C", "& cmd.exe /C"])
    return f'{shell} "{line.rstrip()}{tail}"'


def in_one_line(text, rng):
    """Short statements that stand below each other, behind each other."""
    lines = [line.strip() for line in text.strip().split("\n") if line.strip() and not line.strip().startswith("#")]
    if not 2 <= len(lines) <= 5 or any(BREAKS.search(line) or "#" in line or "@'" in line or '@"' in line for line in lines):
        return None
    if any(line.startswith(("|", "-", "}", ")", ".", "else", "catch")) or line.count("{") != line.count("}") for line in lines):
        return None
    return rng.choice(["; ", "; ", ";", " ; "]).join(line.rstrip(";") for line in lines)


def flattened(text, rng):
    """Blocks in one line."""
    lines = [line.strip() for line in text.strip().split("\n") if line.strip() and not line.strip().startswith("#")]
    if not 4 <= len(lines) <= 14 or "{" not in text or any("#" in line or "@'" in line or '@"' in line or line.endswith("`") for line in lines):
        return None
    lines = [re.sub(r" {2,}", " ", line) for line in lines]
    text = lines[0]
    for line in lines[1:]:
        joins = text.endswith(("{", "(", "|", ",", "=")) or line.startswith(("}", ")", "|", "{")) or re.match(r"(?i)(else|elseif|catch|finally)\b", line)
        text += (" " if joins else "; ") + line
    return text


MEMBERS = ["{0}-{1}", "{0} {1}", "{0}.{1}", "@{0}", "{0}:{1}", "{0}/{1}", "1", "2", "0", "2024", "{0}->{1}", "{0}({1})", "# {0}", "%{0}"]


def membered(text, rng):
    """A value behind a name that only stands in quotes."""
    found = rng.choice(list(re.finditer(r"\$[\w:]+(?:\.[A-Za-z]\w*)*\.([A-Za-z]\w*)(?!\w*\()", text)) or [None])
    if not found:
        return None
    start = text.rfind("\n", 0, found.start()) + 1
    end = (text + "\n").find("\n", found.end())
    other = rng.choice(["id", "name", "data", "type", "count", "value"])
    quote = rng.choice(["'", "'", '"'])
    name = quote + rng.choice(MEMBERS).format(found.group(1), other) + quote
    tail = rng.choice(["", "", "." + other.title()])
    return text[start : found.start(1)].lstrip() + name + tail + text[found.end(1) : end].rstrip()


def about_quotes(names, rng):
    """What has a quote for a value."""
    name = f"${rng.choice(names)}"
    mark = rng.choice(["'\"'", "'\"'", '"\'"'])
    none = rng.choice(['""', "''"])
    made = [f"{name}.Replace({mark}, {none})", f"{name} -replace {mark}, {none}", f"{name} -replace {mark}", f"{name}.Trim({mark})",
            f"{name}.Split({mark})", f"{name} -split {mark}", f"{mark} + {name} + {mark}", f"{name}.Contains({mark})", f"{name}.IndexOf({mark})"]
    front = rng.choice(["", f"${rng.choice(names)} = ", f"{name} = ", "Write-Host "])
    return front + (f"({rng.choice(made)})" if front == "Write-Host " else rng.choice(made))


def table(names, rng, depth=0):
    """Tables in a table, as bodies of requests are."""
    value = lambda name: rng.choice([f'"{name}"', f"'{name}'", f"${name}", "1", "$true", f'"{name} {rng.randrange(9)}"', f"@('{name}')", f'"https://{name}.com"'])
    said = []
    quote = rng.choice(["", "", '"', "'"])
    for nth, name in enumerate(names):
        if nth and nth + 1 < len(names) and depth < 2 and rng.random() < 0.3:
            said.append(f"{quote}{name}{quote} = {table(names[nth + 1 :], rng, depth + 1)}")
            break
        said.append(f"{quote}{name}{quote} = {value(name)}")
    ends = rng.choice(["; ", "; ", ";"])
    blank = rng.choice([" ", " ", ""])
    return f"@{{{blank}{ends.join(said)}{blank}}}"


def body(names, rng):
    """A table in its place."""
    front, back = rng.choice([("$body = ", ""), ("$params = ", ""), ("$body = ", " | ConvertTo-Json"), ("Invoke-RestMethod $uri -Method Post -Body ", ""),
                              ("Invoke-RestMethod -Uri $uri -Method Post -Body (", " | ConvertTo-Json)"), ("$headers = ", ""), ("", ""), ("New-Object PSObject -Property ", "")])
    return front + table(names, rng) + back


def quoted(text, rng):
    """A string with quotes around some of its words."""
    strings = [m for m in re.finditer(r'"([^"`\n]{4,80})"', text) if len(m.group(1).split()) > 1]
    if not strings:
        return None
    found = rng.choice(strings)
    words = found.group(1).split(" ")
    first = rng.randrange(len(words))
    last = min(len(words) - 1, first + rng.randrange(3))
    words[first] = '`"' + words[first]
    words[last] += '`"'
    return text[: found.start(1)] + " ".join(words) + text[found.end(1) :]


STYLES = ["color", "class", "style", "id", "href", "border", "name", "width"]


def marked_up(names, rng):
    """A string of HTML, XML or JSON, with quotes inside and values out of variables."""
    quote = '`"' if rng.random() < 0.75 else '""'
    said = lambda text: f"{quote}{text}{quote}"
    keys = [rng.choice([name[:1].upper() + name[1:], name, name.lower()]) for name in names]
    value = lambda name: rng.choice([f"${name}", f"${name}", f"$({name})" if "-" in name else f"$($item.{name})", name, "1", "#FF0000"])
    if rng.random() < 0.45:
        pairs = [f"{said(key)}:{rng.choice(['', ' '])}" + (said(value(name)) if rng.random() < 0.7 else f"${name}") for key, name in zip(keys, names)]
        text = "{" + rng.choice([",", ", "]).join(pairs) + "}"
    else:
        tag = rng.choice(["p", "a", "td", "div", "add", "font", "span", "table", "option"])
        inside = " ".join(f"{rng.choice([rng.choice(STYLES), key])}={said(value(name))}" for key, name in zip(keys[:2], names))
        text = f"<{tag} {inside}>" + rng.choice(["", f"${names[-1]}", "Error at $(Get-Date)", f"${names[0]} of ${names[-1]}"]) + rng.choice([f"</{tag}>", "`r`n", f"</{tag}> `r`n", ""])
    front, back = rng.choice([("$body = ", ""), ("$text += ", ""), ("[void]$list.Add(", ")"), ("Write-Host ", ""), ("$json = (", ")"), ("$html += ", ""), ("Add-Content $file ", ""), ("$line -replace 'x', ", "")])
    return f'{front}"{text}"{back}'


CONSTANTS = {"true", "True", "TRUE", "false", "False", "FALSE", "null", "Null", "NULL"}


def derived(snippets, native):
    """Texts made of those rows, with what people do to them and where from, the same every time."""
    rng = random.Random(1)
    for row in native:
        text = row["text"].strip()
        if "\n" not in text and rng.random() < 0.12:
            yield called(text, rng), "uncall", row["source"]
        if "\n" not in text and rng.random() < 0.2:
            yield verbatim(text, rng), "uncall", row["source"]
        if "\n" not in text and rng.random() < 0.08:
            yield shelled(text, rng), "unshell", row["source"]
    for row in snippets:
        short = len(row["text"]) < 2000
        if short:
            yield in_one_line(row["text"], rng), "drop_marks", row["source"]
        if short:
            yield flattened(row["text"], rng), rng.choice(["drop_bracket", "drop_marks"]), row["source"]
        if short and rng.random() < 0.5:
            yield quoted(row["text"], rng), "nest_quote", row["source"]
        if short and rng.random() < 0.6:
            yield membered(row["text"], rng), "unquote", row["source"]
        names = sorted(set(re.findall(r"\$([a-zA-Z]{3,14})\b", row["text"])) - CONSTANTS)
        if len(names) > 1 and rng.random() < 0.4:
            yield marked_up(rng.sample(names, min(len(names), rng.randrange(2, 6))), rng), "nest_quote", row["source"]
        if len(names) > 1 and rng.random() < 0.5:
            yield body(rng.sample(names, min(len(names), rng.randrange(2, 7))), rng), "table_as_json", row["source"]
        if names and rng.random() < 0.4:
            yield about_quotes(names, rng), "nest_quote", row["source"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mirror", type=Path, required=True)
    parser.add_argument("--snippets", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--bench", type=Path)
    args = parser.parse_args()
    seen, named, held = set(), set(), set()
    for path in sorted(args.bench.glob("*.jsonl")) if args.bench else []:
        for line in path.open(encoding="utf-8"):
            row = json.loads(line)
            if row["lang"] == "powershell":
                source = row["source"]
                named.add((source.get("repo", "").lower(), Path(source.get("path", "")).name.lower()))
                held |= {key(row["broken"]), key(row["fixed"])}
    # Keys of short rows would forbid too much.
    held = {text for text in held if len(text) >= 60}
    exact = {hashlib.sha256(text.encode()).digest() for text in held}
    rows = {"files": [], "snippets": [], "native": [], "derived": []}

    def add(part, text, source, **more):
        short = key(text)
        digest = hashlib.sha256(short.encode()).digest()
        if len(short) < 8 or digest in seen or digest in exact:
            return
        if any(text in short for text in held if len(text) <= len(short)):
            return
        seen.add(digest)
        rows[part].append(json.dumps({"text": text, "source": source, **more}, ensure_ascii=False))

    names = {name for _, name in named}
    for source in tomllib.loads(Path(__file__).with_name("powershell.toml").read_text("utf-8"))["source"]:
        name, both = source["name"], source["use"] == "both"
        git = git_dir(args.mirror, name)
        if source["use"] not in ("files", "both") or git is None:
            continue
        blobs = Blobs(git)
        for path, blob in listed(git, source["version"]):
            base, suffix = Path(path).name.lower(), Path(path).suffix.lower()
            if suffix == ".md" and both:
                for text, native in examples(decoded(blobs.read(blob) or b"") or ""):
                    add("native" if native else "snippets", text, name)
            elif suffix not in (".ps1", ".psm1", ".psd1") or (base in names if both else (name.lower(), base) in named):
                continue
            else:
                text = decoded(blobs.read(blob) or b"")
                if text and len(text.encode()) <= 60_000 and max(map(len, text.split("\n"))) <= 600:
                    add("files", text, f"{name}:{path}")
        blobs.close()
        print(f"{name}: {', '.join(f'{len(lines)} {part}' for part, lines in rows.items())}", file=sys.stderr, flush=True)
    for line in args.snippets.open(encoding="utf-8"):
        row = json.loads(line)
        add("native" if row.get("native") else "snippets", row["text"], row["source"])
    for text, damage, source in derived(*([json.loads(line) for line in rows[part]] for part in ("snippets", "native"))):
        if text:
            add("derived", text, source, damage=damage)
    args.out.mkdir(parents=True, exist_ok=True)
    manifest = {}
    for part, lines in rows.items():
        data = "".join(line + "\n" for line in lines).encode()
        (args.out / f"powershell.{part}.jsonl.zst").write_bytes(zstandard.ZstdCompressor(level=10).compress(data))
        manifest[part] = {"rows": len(lines), "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (args.out / "powershell.manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(manifest))


if __name__ == "__main__":
    main()
