#!/usr/bin/env python3
"""Stands in for lastmile-engine: closes brackets, brackets `print`, turns signs round where tests are the aim, or
misbehaves as FAKE_ENGINE says."""
import json, os, re, sys, time

how = os.environ.get("FAKE_ENGINE", "")
here = os.path.dirname(os.path.abspath(__file__))


def send(message):
    print(json.dumps(message), flush=True)


with open(os.path.join(here, "starts"), "a") as starts:
    starts.write("x")
n_starts = os.path.getsize(os.path.join(here, "starts"))

if how == "dies at once":
    sys.exit("cannot load libtorch")
if how == "is slow to start":
    time.sleep(60)
if how == "is no engine":
    print("usage: lastmile-engine", flush=True)
if how == "floods":
    sys.stdout.write("x" * (70 << 20))
    sys.stdout.flush()
    time.sleep(60)
languages = [] if how == "has no weights" else ["python", "python/tests", "excel"]
send({"lastmile": 99 if how == "is from the future" else 3, "engine": "0.0.0", "device": "cpu", "languages": languages})
if how == "is deaf":
    time.sleep(60)


def close(line):
    text = re.sub(r"\bprint ([^(].*)", r"print(\1)", line)
    return text + ")" * max(0, text.count("(") - text.count(")"))


def slips(text):
    """The text with one sign turned round, for each sign."""
    turned = {"-": "+", "+": "-", "<": "<=", ">": ">="}
    for sign in re.finditer(r"(?<= )[-+<>](?= )", text):
        yield text[:sign.start()] + turned[sign.group()] + text[sign.end():]


for line in sys.stdin:
    request = json.loads(line)
    if how == "dies" or (how == "dies once" and n_starts == 1):
        sys.exit("out of memory\nthe tensor was too large")
    if how == "takes its time":
        time.sleep(0.05)
    if how == "is late":
        time.sleep(60)
    if how == "is unfit":
        send({"id": request["id"], "candidates": [], "failed": "the network failed", "ms": 1.0})
        continue
    if how == "talks nonsense":
        print("I think you forgot a bracket\x07", flush=True)
        continue
    window = request["text"].encode()[request["start"]:request["end"]].decode()
    steps, lines = [], re.split(r"(\r?\n)", window)
    for idx in range(0, len(lines), 2):
        fixed = close(lines[idx])
        if fixed != lines[idx]:
            lines[idx] = fixed
            text = "".join(lines)
            steps.append({"edit": f"close line {idx // 2 + 1}", "rate": 2.5, "noise": 1.0, "text": text})
    # What does not parse and what changes nothing must never come out.
    candidates = [{"text": "def (:\n", "score": 9.0}, {"text": window, "score": 8.0}]
    candidates.append({"text": "".join(lines), "score": 2.5, "votes": 1, "steps": steps if request["trace"] else []})
    if how == "offers more":
        candidates.append({"text": "".join("# " + line for line in window.splitlines(True)), "score": -1.0})
    if how == "writes euros":
        candidates = [{"text": "f('€')\n", "score": 1.0}]
    if request["aim"] == "tests":
        candidates = [{"text": text, "score": -float(rank)} for rank, text in enumerate(slips(window))]
    send({"id": request["id"], "candidates": candidates, "ms": 1.0})
