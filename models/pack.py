#!/usr/bin/env python3
"""Makes a finished run the pack of a language.

usage: pack.py RUN models/python

Copies the weights, the vocabulary and the description of the network out of the folder of a run, its configuration and
its curve beside them into run/, and writes the hashes of weights and vocabulary into model.toml, as [files]: the engine
refuses others. A [confidence] that the pack had stays, to be fitted anew with calibrate.py; [results] go. Needs only
the standard library.
"""

import argparse
import hashlib
import re
import shutil
from pathlib import Path

FILES = ["weights.safetensors", "tokenizer.json"]
RECORDS = ["config.toml", "curve.csv"]


def section(text, name):
    """The lines of one table, or nothing."""
    found = re.search(rf"^\[{name}\]\n(?:(?!\[).*\n?)*", text, re.MULTILINE)
    return found.group().strip() if found else None


def describe(network, pack, before, kept):
    """The text of model.toml for the files in `pack`; `before` is what it held, `kept` which of its sections stay."""
    hashes = {name: hashlib.sha256((pack / name).read_bytes()).hexdigest() for name in FILES}
    files = "\n".join(["[files]"] + [f'"{name}" = "{value}"' for name, value in hashes.items()])
    parts = [section(network, "network"), files] + [section(before, name) for name in kept]
    return "\n\n".join(part for part in parts if part) + "\n"


def main():
    parser = argparse.ArgumentParser(description="Make a finished run the pack of a language.")
    parser.add_argument("run", type=Path, help="folder of the run; the pack itself only writes its hashes anew")
    parser.add_argument("pack", type=Path, help="folder of the pack, such as models/python")
    args = parser.parse_args()
    path = args.pack / "model.toml"
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    network = (args.run / "model.toml").read_text(encoding="utf-8")
    is_new = args.run.resolve() != args.pack.resolve()
    if is_new:
        (args.pack / "run").mkdir(parents=True, exist_ok=True)
        for name in FILES:
            shutil.copyfile(args.run / name, args.pack / name)
        for name in RECORDS:
            shutil.copyfile(args.run / name, args.pack / "run" / name)
    # What was measured with other weights says nothing about these.
    kept = ["confidence"] if is_new else ["results", "confidence"]
    path.write_text(describe(network, args.pack, before, kept), encoding="utf-8")
    print(f"wrote {path}")
    if section(before, "confidence") and is_new:
        print(f"hint: [confidence] was fitted to the weights before; models/calibrate.py --pack {args.pack} --write fits it")


if __name__ == "__main__":
    main()
