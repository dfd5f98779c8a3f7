#!/usr/bin/env python3
"""Writes the workflows of a manual as files, so that they are linted like our own.

usage: manual.py MANUAL.md FOLDER

A block that starts with the path of a workflow is one; `as above, but for the job` takes the rest from the block before;
a block of steps goes behind those of the first workflow.
"""

import pathlib
import re
import sys

manual, folder = map(pathlib.Path, sys.argv[1:])
folder.mkdir(parents=True, exist_ok=True)
workflows = {}
for block in re.findall(r"^```yaml\n(.*?)^```", manual.read_text(encoding="utf-8"), re.M | re.S):
    named = re.match(r"# \.github/workflows/([\w-]+)\.yml(: as above, but for the job)?\n", block)
    first = next(iter(workflows), None)
    if named and named[2]:
        workflows[f"{named[1]}-{len(workflows)}"] = workflows[named[1]].split("jobs:\n")[0] + block
    elif named:
        workflows[named[1]] = block
    elif first and block.lstrip().startswith("- "):
        workflows[f"{first}-{len(workflows)}"] = workflows[first].rstrip("\n") + "\n" + block
    else:
        sys.exit(f"error: a block of `{manual}` is no workflow:\n{block}")
for name, text in workflows.items():
    (folder / f"{name}.yml").write_text(text, encoding="utf-8")
