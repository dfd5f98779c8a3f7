#!/usr/bin/env python3
"""Build the training corpus of correct PowerShell.

    powershell.py --files DIR --snippets FILE.jsonl --out DIR [--bench DIR]

DIR of --files holds one folder for each repository of `powershell.toml`, named owner+name, at the commit named
there; --snippets holds documentation examples ({"text", "source", "native"} a line; native are command lines of
other programs). Writes OUT/powershell.{files,snippets,native}.jsonl.zst and OUT/powershell.manifest.json.

Left out: files over 60 kB, with a line over 600 characters, that are no UTF-8 or UTF-16; texts seen before, blanks and
case apart; files that a benchmark row comes from, under any path with the same repository and name, and every text
that holds or equals the broken or fixed text of a row (BENCH/*.jsonl). Texts that do not parse are left out later, by the
judge of the language pack. Needs `pip install zstandard`.
"""

import argparse
import hashlib
import json
import re
from pathlib import Path

import zstandard


def read(path):
    data = path.read_bytes()
    for mark, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"", "utf-8-sig")):
        if data.startswith(mark):
            try:
                return data.decode(encoding).replace("\r\n", "\n")
            except UnicodeDecodeError:
                return None
    return None


def key(text):
    return re.sub(r"\s+", "", text).lower()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=Path, required=True)
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
    rows = {"files": [], "snippets": [], "native": []}

    def add(part, text, source):
        short = key(text)
        digest = hashlib.sha256(short.encode()).digest()
        if len(short) < 8 or digest in seen or digest in exact:
            return
        if part != "files" and any(text in short for text in held if len(text) <= len(short)):
            return
        seen.add(digest)
        rows[part].append(json.dumps({"text": text, "source": source}, ensure_ascii=False))

    for repo in sorted(args.files.iterdir()):
        name = repo.name.replace("+", "/")
        for path in sorted(repo.rglob("*.ps*1")):
            if (name.lower(), path.name.lower()) in named or not path.is_file() or path.stat().st_size > 60_000:
                continue
            text = read(path)
            if text and max(map(len, text.split("\n"))) <= 600:
                add("files", text, f"{name}:{path.relative_to(repo)}")
    for line in args.snippets.open(encoding="utf-8"):
        row = json.loads(line)
        add("native" if row.get("native") else "snippets", row["text"], row["source"])
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
