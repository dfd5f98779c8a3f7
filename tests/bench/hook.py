#!/usr/bin/env python3
"""What the hook costs a commit of 20 files that parse, above a hook that only starts a shell.

usage: hook.py [--rounds N]

Also looks into the hook while it runs: libtorch is neither linked nor mapped, for no engine is started.
"""

import argparse
import os
import subprocess
import tempfile
from pathlib import Path

from common import Run, hold, in_turns, lastmile, median, print_runs

TARGET_MS = 10
N_FILES = 20
# 40 of these make a file of 200 lines.
FUNCTION = '''def function_{line}(first, second={line}):
    """Adds."""
    values = [first, second, {idx}]
    return sum(v for v in values if v)

'''


def main():
    parser = argparse.ArgumentParser(description="Time the hook on a clean commit.")
    parser.add_argument("--rounds", type=int, default=100)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lastmile-bench.") as folder:
        os.chdir(folder)
        make_repository(Path(folder))
        cases = {
            "git commit, empty hook": lambda: commit("hooks-empty"),
            "git commit, lastmile": lambda: commit("hooks-lastmile"),
            "true": lambda: Run(["true"]),
            "lastmile hook pre-commit": lambda: Run([lastmile(), "hook", "pre-commit"]),
        }
        runs = in_turns(cases, args.rounds, warm_up=3)
        print_runs(runs)
        # By pairs: what slows the machine for a while slows both of a pair.
        pairs = zip(runs["git commit, lastmile"], runs["git commit, empty hook"])
        hold("above an empty hook", median([ours.wall - empty.wall for ours, empty in pairs]), TARGET_MS, "ms")
        hold("libraries of torch in the hook", len(libraries_of_torch()), 0)


def make_repository(folder):
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        del os.environ[name]
    os.environ.update(GIT_CONFIG_GLOBAL=str(folder / "gitconfig"), GIT_CONFIG_NOSYSTEM="1")
    (folder / "gitconfig").write_text("[user]\nname = A\nemail = a@example.org\n[gc]\nauto = 0\n")
    for name, body in [("empty", "exec true"), ("lastmile", f"exec '{lastmile()}' hook pre-commit")]:
        hook = folder / f"hooks-{name}" / "pre-commit"
        hook.parent.mkdir()
        hook.write_text(f"#!/bin/sh\n{body}\n")
        hook.chmod(0o755)
    (folder / "src").mkdir()
    git("init", "--quiet")
    git("commit", "--quiet", "--allow-empty", "-m", "start")
    for idx in range(N_FILES):
        text = "".join(FUNCTION.format(line=line, idx=idx) for line in range(40))
        (folder / f"src/file_{idx}.py").write_text(text)
    git("add", "src")


def git(*args):
    subprocess.run(["git", *args], check=True)


def commit(hooks):
    run = Run(["git", "-c", f"core.hooksPath={hooks}", "commit", "--quiet", "-m", "change"])
    git("reset", "--quiet", "--soft", "HEAD~")
    return run


def libraries_of_torch():
    """What is linked, and what the kernel says was mapped, looked at as often as the hook's time allows."""
    linked = subprocess.run(["ldd", lastmile()], stdout=subprocess.PIPE, encoding="utf-8", check=False).stdout
    files = set(linked.split())
    for _ in range(5):
        hook = subprocess.Popen([lastmile(), "hook", "pre-commit"])
        while hook.poll() is None:
            try:
                maps = Path(f"/proc/{hook.pid}/maps").read_text()
            except OSError:  # it ended just now, or the system has no such file
                continue
            files.update(line.split()[-1] for line in maps.splitlines())
    return {file for file in files if "torch" in Path(file).name or "libc10" in file}


if __name__ == "__main__":
    main()
