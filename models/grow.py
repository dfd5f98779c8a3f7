#!/usr/bin/env python3
"""Makes a deeper network of a pack, for a run to start from.

usage: grow.py models/python OUT 2 5

Behind each of the named blocks, counted from 0, comes a copy of it whose two projections back into the residual stream are
zero: OUT answers as the pack does until it is trained (Wu et al. 2024, "LLaMA Pro", arXiv 2401.02415). Needs only the standard
library.
"""

import argparse
import json
import re
import shutil
import struct
from pathlib import Path

from mean import WEIGHTS, parts

WRITES = {"out", "down"}  # the parts of a block whose sum with the stream goes on


def grown(path, behind):
    """The bytes of the deeper network's weights, and how many blocks it has."""
    _, tensors, numbers = parts(path)
    taken = {name: (tensor, numbers[slice(*tensor["data_offsets"])]) for name, tensor in tensors.items()}
    blocks = {}
    for name in [name for name in taken if name.startswith("blocks.")]:
        _, number, part = name.split(".")
        blocks.setdefault(int(number), {})[part] = taken.pop(name)
    order = []
    for number, block in sorted(blocks.items()):
        order.append(block)
        if number in behind:
            order.append({part: (t, bytes(len(d)) if part in WRITES else d) for part, (t, d) in block.items()})
    for number, block in enumerate(order):
        taken |= {f"blocks.{number}.{part}": value for part, value in block.items()}
    header, data = {}, b""
    for name, (tensor, piece) in sorted(taken.items()):
        header[name] = {**tensor, "data_offsets": [len(data), len(data) + len(piece)]}
        data += piece
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data, len(order)


def main():
    parser = argparse.ArgumentParser(description="Make a deeper network of a pack.")
    parser.add_argument("pack", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("behind", type=int, nargs="+", help="blocks to copy")
    args = parser.parse_args()
    weights, n_layers = grown(args.pack / WEIGHTS, set(args.behind))
    args.out.mkdir(parents=True)
    (args.out / WEIGHTS).write_bytes(weights)
    shutil.copyfile(args.pack / "tokenizer.json", args.out / "tokenizer.json")
    network = re.search(r"\[network\]\n(?:\w.*\n)*", (args.pack / "model.toml").read_text(encoding="utf-8"))[0]
    (args.out / "model.toml").write_text(re.sub(r"(n_layers = )\d+", rf"\g<1>{n_layers}", network), encoding="utf-8")


if __name__ == "__main__":
    main()
