"""Tests of models/corpus/mine.py and pairs.py, on a repository of two commits."""

import json
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

CORPUS = Path(__file__).resolve().parents[2] / "models" / "corpus"

# Stands for `lastmile check --format json FOLDER`.
JUDGE = """#!{python}
import json, pathlib, sys
for path in pathlib.Path(sys.argv[-1]).iterdir():
    try:
        compile(path.read_text(encoding="utf-8"), str(path), "exec")
    except SyntaxError:
        print(json.dumps({{"kind": "broken", "path": str(path)}}))
"""

TOTAL = "total_of_all_that_is_in_the_basket_of_a_person"
BROKEN = f"def {TOTAL}(prices:\n    return sum(prices)\n\n\nname = 1\nprint({TOTAL}([1, 2]))\n"
FIXED = f"def {TOTAL}(prices):\n    return sum(prices)\n\n\nnames = 1\nprint({TOTAL}([1, 2]))\n"
NOTES = "# Notes\n\n```python\nprint({})\n```\n\n```sh\necho\n```\n"


def run(*command, **options):
    return subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True, **options).stdout


def commit(repo, files):
    for name, text in files.items():
        (repo / name).write_text(text, encoding="utf-8")
    run("git", "add", ".", cwd=repo)
    who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    run("git", *who, "commit", "-qm", "a change", cwd=repo)


class Mine(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        (self.root / "bench").mkdir()
        self.judge = self.root / "judge"
        self.judge.write_text(JUDGE.format(python=sys.executable), encoding="utf-8")
        self.judge.chmod(0o755)
        self.repo = self.root / "mirror" / "owner+name"
        self.repo.mkdir(parents=True)
        run("git", "init", "-q", ".", cwd=self.repo)
        commit(self.repo, {"total.py": BROKEN, "notes.md": NOTES.format("'a"), "fine.py": "a = 1\n"})
        commit(self.repo, {"total.py": FIXED, "notes.md": NOTES.format("'a'"), "fine.py": "a = 2\n"})

    def mine(self, *more):
        out = self.root / "out.jsonl"
        run(
            sys.executable, CORPUS / "mine.py", "python", "--mirror", self.root / "mirror", "--bench", self.root / "bench",
            "--out", out, "--program", self.judge, *more,
        )  # fmt: skip
        return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]

    def test_what_a_commit_mended_is_a_pair(self):
        pairs = {row["source"]["path"]: row for row in self.mine()}
        self.assertEqual(set(pairs), {"total.py", "notes.md"})
        self.assertIn("print('a)", pairs["notes.md"]["broken"])
        self.assertIn("print('a')", pairs["notes.md"]["fixed"])
        # Only what the fault needed, however much is around it.
        self.assertIn(f"def {TOTAL}(prices:", pairs["total.py"]["broken"])
        self.assertIn(f"def {TOTAL}(prices):", pairs["total.py"]["fixed"])
        self.assertNotIn("names", pairs["total.py"]["fixed"])

    def paths(self, *more, bench=None):
        if bench:
            row = {"lang": "python", "broken": "a b", "fixed": "a", "source": "nowhere", **bench}
            (self.root / "bench" / "rows.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
        return sorted(row["source"]["path"] for row in self.mine(*more))

    def test_what_a_benchmark_holds_is_left_out(self):
        self.assertEqual(self.paths(bench={"fixed": "print('a')\n"}), ["total.py"])
        self.assertEqual(self.paths(bench={"fixed_min": f"{TOTAL}(prices"}), ["notes.md"])
        self.assertEqual(self.paths(bench={"fixed": f"{BROKEN}{FIXED}", "broken": NOTES}), ["notes.md"])
        blob = run("git", "rev-parse", "HEAD:total.py", cwd=self.repo).strip()
        self.assertEqual(self.paths(bench={"source": {"repo": "a/b", "new_blob": blob}}), ["notes.md"])
        self.assertEqual(self.paths(bench={"source": {"repo": "Owner/Name"}}), [])

    def test_of_some_only_markdown_is_read(self):
        self.assertEqual(self.paths("--documents", "Owner/Name"), ["notes.md"])

    def test_what_only_got_out_of_the_way_is_no_fix(self):
        # "x = basket" parses, and so does nothing at all.
        commit(self.repo, {"ärger.py": "x = price of basket\n", "gone.py": "x = 1\ndef f(:\n"})
        commit(self.repo, {"ärger.py": "x = basket.price\n", "gone.py": "x = 1\n"})
        pairs = {row["source"]["path"]: row["fixed"].strip() for row in self.mine()}
        self.assertEqual(pairs["ärger.py"], "x = basket.price")
        self.assertNotIn("gone.py", pairs)

    def test_what_was_only_typed_on_is_no_fix(self):
        commit(self.repo, {"typed.py": "price = basket.\n", "slip.py": "price = 1 1\n"})
        commit(self.repo, {"typed.py": "price = basket.price\n", "slip.py": "price = 11\n"})
        pairs = {row["source"]["path"]: row["fixed"] for row in self.mine()}
        self.assertEqual(pairs["slip.py"].strip(), "price = 11")
        self.assertNotIn("typed.py", pairs)

    def test_calibration_rows_are_never_trained_on(self):
        published = [{"id": f"row-{n}", "broken": f"f({n}", "fixed": f"f({n})"} for n in range(50)]
        (self.root / "published.jsonl").write_text("".join(json.dumps(row) + "\n" for row in published), encoding="utf-8")
        mined = self.root / "mined.jsonl"
        mined.write_text("".join(json.dumps(row) + "\n" for row in self.mine()), encoding="utf-8")
        run(
            sys.executable, CORPUS / "pairs.py", "python", "--published", self.root / "published.jsonl", "--mined", mined, mined,
            "--out", self.root,
        )  # fmt: skip
        read = lambda part: [
            json.loads(line)["id"]
            for line in (self.root / f"python.{part}.jsonl").read_text(encoding="utf-8").splitlines()
        ]
        held, trained = read("calibration"), read("pairs")
        self.assertEqual(len(held) + len(trained), 50 + 2)
        self.assertTrue(5 <= len(held) <= 15, held)
        self.assertFalse(set(held) & set(trained))

    def test_pairs_of_repositories_held_back_are_calibration_rows(self):
        listed = re.findall(r'use = "(\w+)"\nkind = "github"\nname = "(.*)"', (CORPUS / "powershell.toml").read_text("utf-8"))
        held, trained = (next(name for use, name in listed if use == wanted) for wanted in ("held", "both"))
        # One fault in many files, and another.
        faults = [f"f {n}" for n in range(9)] + ["f [x]"]
        rows = [
            {"broken": f"({repo} {text}", "fixed": f"({repo} {text})" if n < 9 else f"{repo} {text}", "source": {"repo": repo}}
            for repo in (held, trained) for n, text in enumerate(faults)
        ]  # fmt: skip
        mined = self.root / "mined.jsonl"
        mined.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        run(sys.executable, CORPUS / "pairs.py", "powershell", "--mined", mined, "--out", self.root)
        for part, repo in (("calibration", held), ("pairs", trained)):
            lines = (self.root / f"powershell.{part}.jsonl").read_text(encoding="utf-8").splitlines()
            found = [json.loads(line) for line in lines]
            self.assertEqual({row["source"]["repo"] for row in found}, {repo})
            self.assertEqual(sorted(row["fixed"].startswith("(") for row in found), [False] + [True] * 4)


if __name__ == "__main__":
    unittest.main()
