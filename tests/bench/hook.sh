#!/bin/sh
# usage: hook.sh [LASTMILE]        (default: target/release/lastmile)
#
# Prints what the hook costs a commit of 20 files that parse: `git commit` with the hook, against one with a hook that
# only starts a shell and `true`, and `lastmile hook pre-commit` alone. Each is run ROUNDS times (default 200), in turns,
# so that a busy machine slows all alike. The engine is never started here.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
lastmile=$(realpath "${1:-$root/target/release/lastmile}")
[ -x "$lastmile" ] || { echo "error: \`$lastmile\` is not built: cargo build --release" >&2; exit 2; }
folder=$(mktemp -d "${TMPDIR:-/tmp}/lastmile-bench.XXXXXX")
trap 'rm -rf "$folder"' EXIT
cd "$folder"

unset GIT_DIR GIT_INDEX_FILE GIT_WORK_TREE
export GIT_CONFIG_GLOBAL="$folder/gitconfig" GIT_CONFIG_NOSYSTEM=1
PATH="$(dirname "$lastmile"):$PATH"
printf '[user]\nname = A\nemail = a@example.org\n[gc]\nauto = 0\n' >"$GIT_CONFIG_GLOBAL"
git init --quiet repo
cd repo
mkdir hooks-empty hooks-lastmile src
printf '#!/bin/sh\nexec true\n' >hooks-empty/pre-commit
printf '#!/bin/sh\nexec lastmile hook pre-commit\n' >hooks-lastmile/pre-commit
chmod +x hooks-*/pre-commit
git add --all && git commit --quiet -m start

# 20 files of 200 lines each: about what a larger change touches.
python3 - <<'PY'
for idx in range(20):
    with open(f"src/file_{idx}.py", "w") as out:
        for line in range(40):
            out.write(f"def function_{line}(first, second={line}):\n    \"\"\"Adds.\"\"\"\n    values = [first, second, {idx}]\n    return sum(v for v in values if v)\n\n")
PY
git add --all
export HOOK="$lastmile hook pre-commit"

ROUNDS=${ROUNDS:-200} python3 - <<'PY'
import os, statistics, subprocess, time

def timed(command):
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return 1000 * (time.perf_counter() - start)

def commit(hooks):
    took = timed(["git", "-c", f"core.hooksPath={hooks}", "commit", "--quiet", "-m", "change"])
    subprocess.run(["git", "reset", "--quiet", "--soft", "HEAD~"], check=True)
    return took

cases = {
    "git commit, empty hook": lambda: commit("hooks-empty"),
    "git commit, lastmile": lambda: commit("hooks-lastmile"),
    "true": lambda: timed(["true"]),
    "lastmile hook pre-commit": lambda: timed(os.environ["HOOK"].split()),
}
times = {name: [] for name in cases}
for round_idx in range(int(os.environ["ROUNDS"]) + 3):
    for name, run in cases.items():
        took = run()
        if round_idx >= 3:
            times[name].append(took)
print(f"{'':26} {'median':>8} {'p95':>8}  ms")
for name, taken in times.items():
    taken.sort()
    print(f"{name:26} {statistics.median(taken):8.2f} {taken[int(0.95 * len(taken))]:8.2f}")
median = {name: statistics.median(taken) for name, taken in times.items()}
print(f"above an empty hook        {median['git commit, lastmile'] - median['git commit, empty hook']:8.2f}")
PY
