"""Keeps the last few copies of a folder."""

import shutil
import time
from pathlib import Path

KEEP = 5


def backup(folder, target)
    target.mkdir(parents=True, exist_ok=True)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    shutil.copytree(folder, target / stamp)
    old = sorted(target.iterdir())[:-KEEP]
    for copy in old:
        shutil.rmtree(copy)


if __name__ == "__main__":
    backup(Path.home() / "notes", Path("/var/backups/notes"))
