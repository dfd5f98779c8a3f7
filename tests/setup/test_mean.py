"""What models/mean.py makes of two runs."""

import importlib.util
import json
import struct
import tempfile
import unittest
from pathlib import Path

SPEC = importlib.util.spec_from_file_location("mean", Path(__file__).parents[2] / "models/mean.py")
mean = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(mean)


def write(path, numbers, dtype="F16"):
    data = struct.pack(f"<{len(numbers)}e", *numbers)
    about = {"dtype": dtype, "shape": [len(numbers)], "data_offsets": [0, len(data)]}
    header = json.dumps({"__metadata__": {"of": path.name}, "w": about}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)


class Mean(unittest.TestCase):
    def test_weights_are_averaged_and_the_header_stays(self):
        with tempfile.TemporaryDirectory() as folder:
            x, y = Path(folder, "x"), Path(folder, "y")
            write(x, [1.0, -2.0, 0.5])
            write(y, [3.0, 2.0, 0.25])
            made = mean.mean(x, y)
            self.assertEqual(struct.unpack("<3e", made[-6:]), (2.0, 0.0, 0.375))
            self.assertEqual(made[:-6], x.read_bytes()[:-6])

    def test_other_networks_and_other_numbers_are_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            x, y = Path(folder, "x"), Path(folder, "y")
            write(x, [1.0, -2.0, 0.5])
            write(y, [3.0, 2.0])
            self.assertRaises(SystemExit, mean.mean, x, y)
            write(y, [3.0, 2.0, 1.0], dtype="BF16")
            self.assertRaises(SystemExit, mean.mean, y, y)


if __name__ == "__main__":
    unittest.main()
