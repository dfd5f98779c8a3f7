#!/bin/sh
# Shows lastmile at work on a copy of tests/demo, so that the checkout stays as it is. Called by `make demo`.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
lastmile=$root/target/release/lastmile
copy=$(mktemp -d "${TMPDIR:-/tmp}/lastmile-demo.XXXXXX")
trap 'rm -rf "$copy"' EXIT
cp -R "$root/tests/demo/." "$copy"
cd "$copy"

# Exit code 1 says that faults remain, which is the point of a demo; 2 and more are failures of lastmile itself.
show() {
    printf '\n$ lastmile %s\n' "$*"
    code=0
    "$lastmile" "$@" || code=$?
    if [ "$code" -gt 1 ]; then
        echo "error: \`lastmile $*\` failed with exit code $code" >&2
        exit "$code"
    fi
}

echo "In a copy of tests/demo:"
show fix .
echo
echo "\$ lastmile fix --write --unsafe ."
show fix --write --unsafe . >/dev/null
show check .
printf '\nTo repair files of your own: %s fix --diff PATH\n' "$lastmile"
