"""What models/grow.py makes of a pack."""

import json
import struct
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "models"))
import grow
from mean import parts


def write(path, tensors):
    header, data = {}, b""
    for name, numbers in tensors.items():
        piece = struct.pack(f"<{len(numbers)}e", *numbers)
        header[name] = {"dtype": "F16", "shape": [len(numbers)], "data_offsets": [len(data), len(data) + len(piece)]}
        data += piece
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


class Grow(unittest.TestCase):
    def test_a_copy_that_adds_nothing_comes_behind_a_block(self):
        block = lambda x: {"down": [x, 1.0], "norm1": [x], "out": [x], "up": [x, 2.0]}
        tensors = {f"blocks.{n}.{part}": numbers for n in (0, 1) for part, numbers in block(n + 3.0).items()}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "weights")
            write(path, {**tensors, "embed": [7.0, 8.0]})
            made, n_layers = grow.grown(path, {0})
            path.write_bytes(made)
            _, described, numbers = parts(path)
        self.assertEqual(n_layers, 3)
        value = lambda name: struct.unpack(
            f"<{described[name]['shape'][0]}e", numbers[slice(*described[name]["data_offsets"])]
        )
        self.assertEqual(value("embed"), (7.0, 8.0))
        whole = lambda n: [value(f"blocks.{n}.{part}") for part in ("down", "norm1", "out", "up")]
        self.assertEqual(whole(0), [(3.0, 1.0), (3.0,), (3.0,), (3.0, 2.0)])
        self.assertEqual(whole(1), [(0.0, 0.0), (3.0,), (0.0,), (3.0, 2.0)])
        self.assertEqual(whole(2), [(4.0, 1.0), (4.0,), (4.0,), (4.0, 2.0)])


if __name__ == "__main__":
    unittest.main()
