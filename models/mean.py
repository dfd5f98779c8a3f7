#!/usr/bin/env python3
"""Makes the mean of the weights of two runs that started from the same weights.

usage: mean.py RUN OTHER OUT

OUT becomes a copy of RUN with the mean in place of its weights. Networks that were trained on from the same weights lie close
enough for their mean to be one, and a better one (Wortsman et al. 2022, "Model soups", arXiv 2203.05482). Needs only the
standard library.
"""

import argparse
import json
import shutil
import struct
import sys
from pathlib import Path

WEIGHTS = "weights.safetensors"


def parts(path):
    """The header of a safetensors file as it stands, what it says of the tensors, and their bytes."""
    data = path.read_bytes()
    (size,) = struct.unpack_from("<Q", data)
    tensors = json.loads(data[8 : 8 + size])
    tensors.pop("__metadata__", None)
    return data[: 8 + size], tensors, data[8 + size :]


def mean(path, other):
    header, tensors, numbers = parts(path)
    _, others, other_numbers = parts(other)
    if tensors != others:
        sys.exit(f"error: {path} and {other} are not of the same network")
    if {tensor["dtype"] for tensor in tensors.values()} != {"F16"}:
        sys.exit(f"error: {path} does not hold f16 weights")
    layout = f"<{len(numbers) // 2}e"
    pairs = zip(struct.unpack(layout, numbers), struct.unpack(layout, other_numbers))
    return header + struct.pack(layout, *((x + y) / 2 for x, y in pairs))


def main():
    parser = argparse.ArgumentParser(description="Make the mean of the weights of two runs.")
    for name in ("run", "other", "out"):
        parser.add_argument(name, type=Path)
    args = parser.parse_args()
    weights = mean(args.run / WEIGHTS, args.other / WEIGHTS)
    shutil.copytree(args.run, args.out)
    (args.out / WEIGHTS).write_bytes(weights)


if __name__ == "__main__":
    main()
