"""Bare clones of repositories: where they lie, and their blobs."""

import os
import pathlib
import subprocess


def git_dir(mirror, name):
    base = pathlib.Path(mirror, name.replace("/", "+"))
    for path in (base / "repo" / ".git", base / "repo", base / ".git", base):
        if (path / "objects").is_dir():
            return str(path)


class Blobs:
    """Reads blobs through one `git cat-file --batch`. Git stops at a blob that a partial clone
    lacks; then the blob counts as absent and a new process goes on."""

    def __init__(self, git):
        self.git, self.process = git, None

    def read(self, blob):
        if self.process is None:
            self.process = subprocess.Popen(
                ["git", "--git-dir", self.git, "cat-file", "--batch"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                env=dict(os.environ, GIT_NO_LAZY_FETCH="1", GIT_TERMINAL_PROMPT="0"),
            )  # fmt: skip
        try:
            self.process.stdin.write(blob.encode() + b"\n")
            self.process.stdin.flush()
            head = self.process.stdout.readline().split()
        except BrokenPipeError:
            head = []
        if not head:
            self.close()
            return None
        if len(head) != 3:  # "missing"
            return None
        data = self.process.stdout.read(int(head[2]))
        self.process.stdout.read(1)
        return data

    def close(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process.stdin = self.process.stdout = self.process = None
