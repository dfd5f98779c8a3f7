#!/bin/sh
# Runs the linters that are not part of Rust. Each is skipped, with a word about it, where it is not installed;
# `make tools` installs them all.
set -eu

lint() {
    if command -v "$1" >/dev/null 2>&1; then
        echo "$*"
        "$@"
    else
        echo "skipped: $1 is not installed (\`make tools\`)"
    fi
}

# Advisories come from a database on the network; CI asks for them in a job of its own.
lint cargo-deny --locked check bans licenses sources
lint typos
lint zizmor --offline --quiet --no-progress .
# What zizmor cannot read it passes over; the schemas do not.
lint check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
lint check-jsonschema --quiet --builtin-schema vendor.github-actions action/action.yml
lint check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
# Those that users copy are no worse than ours.
manual=$(mktemp -d)
trap 'rm -rf "$manual"' EXIT
"${PYTHON:-python3}" tests/setup/manual.py action/README.md "$manual/.github/workflows"
lint zizmor --offline --quiet --no-progress --config tests/setup/zizmor-manual.yml "$manual"
lint check-jsonschema --quiet --builtin-schema vendor.github-workflows "$manual"/.github/workflows/*.yml
# shellcheck disable=SC2046 # no name of a script holds a space
lint shellcheck $(git grep -lE '^#!(/bin/sh|/usr/bin/env bash)')
