#!/usr/bin/env python3
"""Cuts GitHub's description of its API down to what lastmile asks for, so that the proxy starts in seconds.

Beside it, examples of the answers for the fake, and events of webhooks for the tests. What is left over of the
packages, 400 MB, goes away. Run by `make tools` in this folder, after npm.
"""

import json
import os
import pathlib

MODULES = pathlib.Path(__file__).parent / "node_modules"
GENERATED = MODULES / "@octokit/openapi/generated"
PULL = "/repos/{owner}/{repo}/pulls/{pull_number}"
# What is asked for, and under which name the fake knows the example of the answer.
PATHS = {
    "/user": {"get": "public-user"},
    "/app": {"get": "app"},
    "/app/installations/{installation_id}/access_tokens": {"post": "token"},
    "/repos/{owner}/{repo}/installation": {"get": "installation"},
    "/repos/{owner}/{repo}/git/blobs/{file_sha}": {"get": "blob"},
    "/repos/{owner}/{repo}/git/trees/{tree_sha}": {"get": "tree"},
    "/repos/{owner}/{repo}/pulls": {"get": "pull-simple"},
    PULL: {"get": "pull"},
    f"{PULL}/files": {"get": "file"},
    f"{PULL}/comments": {"get": "comment"},
    f"{PULL}/reviews": {"get": "review", "post": "review"},
    f"{PULL}/reviews/{{review_id}}": {"delete": "review"},
    "/repos/{owner}/{repo}/actions/runs/{run_id}/artifacts": {"get": "artifacts"},
}
EVENTS = ["pull_request", "workflow_run", "issue_comment"]

api = json.loads((GENERATED / "api.github.com.json").read_text())


def found(node):
    """What a reference stands for."""
    while "$ref" in node:
        target = api
        for key in node["$ref"].split("/")[1:]:
            target = target[key.replace("~1", "/")]
        node = target
    return node


def collect(node, needed):
    if isinstance(node, dict):
        reference = node.get("$ref")
        if isinstance(reference, str) and reference.startswith("#/components/"):
            _, _, section, name = reference.split("/", 3)
            name = name.replace("~1", "/")
            if (section, name) not in needed:
                needed[section, name] = api["components"][section][name]
                collect(needed[section, name], needed)
        for value in node.values():
            collect(value, needed)
    elif isinstance(node, list):
        for value in node:
            collect(value, needed)


def example(operation):
    answer = next(found(operation["responses"][code]) for code in ("200", "201") if code in operation["responses"])
    examples = answer["content"]["application/json"]["examples"]
    value = found(next(iter(examples.values())))["value"]
    return value[0] if isinstance(value, list) else value


subset = {key: value for key, value in api.items() if key not in ("paths", "components", "x-webhooks")}
subset["paths"] = {}
examples = {}
for path, operations in PATHS.items():
    kept = {key: value for key, value in api["paths"][path].items() if key in operations or key == "parameters"}
    subset["paths"][path] = kept
    examples |= {name: example(kept[method]) for method, name in operations.items()}
examples["user"] = examples["review"]["user"]
examples["artifact"] = examples.pop("artifacts")["artifacts"][0]
needed = {}
collect(subset["paths"], needed)
subset["components"] = {}
for (section, name), value in needed.items():
    subset["components"].setdefault(section, {})[name] = value

webhooks = json.loads((MODULES / "@octokit/webhooks-examples/api.github.com/index.json").read_text())
events = {hook["name"]: hook["examples"] for hook in webhooks if hook["name"] in EVENTS}

for name, value in {"api.json": subset, "examples.json": examples, "events.json": events}.items():
    (MODULES / name).write_text(json.dumps(value))
for left_over in [*GENERATED.glob("*.json"), *MODULES.glob("@octokit/webhooks-examples/*/index.json")]:
    os.truncate(left_over, 0)
