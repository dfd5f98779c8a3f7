"""Runs a program on examples and prints what came of each, as JSON: true, false, or null when it took too long.

Started in a folder that holds program.py and examples.json: {"tests": [{"input", "output"}], "call", "seconds", "stop"}.
Without `call` an example is what goes in and what comes out, words compared. With it, `input` is a list of arguments for that
function and `output` what it returns, both as JSON. With `stop`, nothing is run after the first that fails.
"""

import json
import subprocess
import sys
from pathlib import Path

CALL = """
import json as _json
_answer = {call}(*_json.loads({arguments!r}))
if hasattr(_answer, "__next__"):
    _answer = list(_answer)
print()
print(_json.dumps(_answer))
"""


def is_same(said, wanted):
    try:
        return json.loads(said) == json.loads(wanted)
    except ValueError:
        return said == wanted


def passes(program, test, call, seconds):
    text = program + CALL.format(call=call, arguments=test["input"]) if call else program
    Path("p.py").write_text(text, encoding="utf-8")
    given = "" if call else test["input"]
    try:
        run = subprocess.run(
            [sys.executable, "-s", "p.py"], input=given.encode(), capture_output=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return None
    said = run.stdout.decode("utf-8", "replace")
    if call:
        lines = said.strip().split("\n")
        return run.returncode == 0 and is_same(lines[-1].strip(), test["output"].strip())
    return said.split() == test["output"].split()


def main():
    task = json.loads(Path("examples.json").read_text(encoding="utf-8"))
    program = Path("program.py").read_text(encoding="utf-8")
    results = []
    for test in task["tests"]:
        results.append(passes(program, test, task["call"], task["seconds"]))
        if task["stop"] and results[-1] is not True:
            break
    print(json.dumps(results))


main()
