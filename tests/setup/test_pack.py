"""What models/pack.py makes of the folder of a run."""

import hashlib
import importlib.util
import sys
import tempfile
import unittest
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from unittest import mock

SPEC = importlib.util.spec_from_file_location("pack", Path(__file__).parents[2] / "models/pack.py")
pack = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(pack)

BEFORE = '[network]\nd_model = 1\n\n[files]\n"tokenizer.json" = "00"\n\n[confidence]\nthreshold = 0.9\nweights = { bias = 1.0 }\n'


class Pack(unittest.TestCase):
    def test_a_run_becomes_a_pack_and_keeps_its_confidence(self):
        with tempfile.TemporaryDirectory() as folder:
            run, made = Path(folder, "run"), Path(folder, "models")
            run.mkdir()
            made.mkdir()
            for name in pack.FILES + pack.RECORDS:
                (run / name).write_text(name)
            (run / "model.toml").write_text("[network]\nd_model = 2\n")
            (made / "model.toml").write_text(BEFORE)
            for source in (run, made):  # the second time only the hashes are written
                with mock.patch.object(sys, "argv", ["pack.py", str(source), str(made)]), redirect_stdout(StringIO()):
                    pack.main()
                lines = [f'"{name}" = "{hashlib.sha256(name.encode()).hexdigest()}"\n' for name in pack.FILES]
                expected = BEFORE.replace("d_model = 1", "d_model = 2").replace('"tokenizer.json" = "00"\n', "".join(lines))
                self.assertEqual((made / "model.toml").read_text(), expected)
            self.assertEqual((made / "run/curve.csv").read_text(), "curve.csv")


if __name__ == "__main__":
    unittest.main()
