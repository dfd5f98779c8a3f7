"""Tests of models/libtorch.py, with wheels of a few bytes and no network: python3 -m unittest tests/setup/test_libtorch.py"""

import contextlib
import hashlib
import importlib.util
import io
import os
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path
from unittest import mock

SCRIPT = Path(__file__).resolve().parents[2] / "models/libtorch.py"
spec = importlib.util.spec_from_file_location("libtorch", SCRIPT)
libtorch = importlib.util.module_from_spec(spec)
sys.dont_write_bytecode = True
spec.loader.exec_module(libtorch)


class Provide(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.into = self.root / ".libtorch"
        self.wheels = self.root / "wheels"
        self.wheels.mkdir()
        self.said = io.StringIO()
        self.downloads = []

        self.patch(libtorch, "WHEELS", [self.wheel("torch.whl"), self.wheel("cuda.whl", lib="libcudart.so.13")])
        self.patch(libtorch, "python_torch", lambda: None)
        self.patch(libtorch, "check_platform", lambda: None)
        self.patch(libtorch, "loads", lambda folder: True)
        self.patch(libtorch, "download", lambda wheel, cache: self.downloads.append(wheel["file"]))
        environment = {name: value for name, value in os.environ.items() if name not in ("LIBTORCH", "LASTMILE_CACHE")}
        self.patch(os, "environ", environment)

    def patch(self, target, name, value):
        patch = mock.patch.object(target, name, value)
        patch.start()
        self.addCleanup(patch.stop)

    def wheel(self, file, lib="libtorch_cpu.so"):
        path = self.wheels / file
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(f"a/lib/{lib}", "code")
            archive.writestr("a/lib/libtorch_cuda.so", "too large")
            archive.writestr("a/include/torch/torch.h", "text")
        keep = {f"a/lib/{lib}": f"lib/{lib}", "a/include/": "include/"}
        return {"file": file, "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "keep": keep}

    def provide(self):
        with contextlib.redirect_stderr(self.said):
            libtorch.provide(self.into, self.wheels)

    def other_libtorch(self, version):
        folder = self.root / "other"
        (folder / "include/torch").mkdir(parents=True)
        (folder / "lib").mkdir()
        (folder / "lib/libtorch_cpu.so").write_text("code")
        (folder / "build-version").write_text(version)
        return folder.resolve()

    def test_keeps_only_what_a_cpu_needs(self):
        self.provide()
        names = {path.name for path in (self.into / "lib").iterdir()}
        self.assertEqual(names, {"libtorch_cpu.so", "libcudart.so.13", "libtorch.so", "libgomp.so"})
        self.assertTrue((self.into / "include/torch/torch.h").exists())
        self.assertEqual((self.into / "lib/libtorch.so").read_text(), "code")
        self.assertEqual((self.into / "build-version").read_text().strip(), libtorch.VERSION)
        self.assertEqual(self.downloads, [])

    def test_does_nothing_the_second_time(self):
        self.provide()
        with mock.patch.object(libtorch, "assemble", side_effect=AssertionError("assembled again")):
            self.provide()

    def test_starts_again_after_a_killed_run(self):
        (self.root / ".libtorch.partial/lib").mkdir(parents=True)
        (self.into / "lib").mkdir(parents=True)
        self.provide()
        self.assertTrue(libtorch.is_ready(self.into))
        self.assertFalse((self.root / ".libtorch.partial").exists())

    def test_replaces_another_version(self):
        self.provide()
        (self.into / "build-version").write_text("2.11.0\n")
        self.provide()
        self.assertTrue(libtorch.is_ready(self.into))

    def test_downloads_a_damaged_wheel_and_refuses_a_wrong_one(self):
        (self.wheels / "cuda.whl").write_bytes(b"damaged")
        with self.assertRaisesRegex(libtorch.Refused, "did not bring"):
            self.provide()
        self.assertEqual(self.downloads, ["cuda.whl"])
        self.assertFalse(self.into.exists())

        def download_another(wheel, cache):
            (cache / wheel["file"]).write_bytes(b"another")

        self.patch(libtorch, "download", download_another)
        with self.assertRaisesRegex(libtorch.Refused, "not the file that was pinned"):
            self.provide()

    def test_links_to_the_named_folder(self):
        folder = self.other_libtorch(f"{libtorch.VERSION}+cpu\n")
        os.environ["LIBTORCH"] = str(folder)
        self.provide()
        self.assertEqual((self.into / "lib").resolve(), folder / "lib")

    def test_refuses_a_named_folder_of_another_version(self):
        os.environ["LIBTORCH"] = str(self.other_libtorch("2.11.0+cpu\n"))
        with self.assertRaisesRegex(libtorch.Refused, "2.11.0"):
            self.provide()

    def test_refuses_a_named_folder_without_libtorch(self):
        os.environ["LIBTORCH"] = str(self.root)
        with self.assertRaisesRegex(libtorch.Refused, "holds no libtorch"):
            self.provide()


class Platform(unittest.TestCase):
    def check(self, system, machine, libc, accepted):
        with mock.patch.multiple(
            libtorch.platform, system=lambda: system, machine=lambda: machine, libc_ver=lambda: libc
        ):
            if accepted:
                libtorch.check_platform()
            else:
                with self.assertRaisesRegex(libtorch.Refused, f"{system} {machine}"):
                    libtorch.check_platform()

    def test_names_the_platform_it_refuses(self):
        self.check("Linux", "x86_64", ("glibc", "2.36"), accepted=True)
        self.check("Linux", "x86_64", ("glibc", "2.27"), accepted=False)
        self.check("Linux", "x86_64", ("", ""), accepted=False)
        self.check("Linux", "aarch64", ("glibc", "2.36"), accepted=False)
        self.check("Darwin", "arm64", ("", ""), accepted=False)
        self.check("Windows", "AMD64", ("", ""), accepted=False)


if __name__ == "__main__":
    unittest.main()
