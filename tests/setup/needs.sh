#!/bin/sh
# Names what is missing before a build starts, instead of failing in the middle of it.
set -eu

missing=
for tool in cc c++ git; do
    command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"
done
if [ -n "$missing" ]; then
    echo "error: not found:$missing" >&2
    case $(uname -s) in
    Darwin) echo "hint: \`xcode-select --install\`" >&2 ;;
    *) echo "hint: on Debian or Ubuntu, \`apt-get install build-essential git\`" >&2 ;;
    esac
    exit 1
fi

if ! command -v "$PYTHON" >/dev/null 2>&1; then
    echo "error: \`$PYTHON\` not found; it puts libtorch in place" >&2
    echo "hint: on Debian or Ubuntu, \`apt-get install python3 python3-pip python3-venv\`" >&2
    exit 1
fi

# Also makes rustup install the pinned toolchain, with its own progress shown.
if ! command -v "$CARGO" >/dev/null 2>&1 || ! "$CARGO" --version >/dev/null; then
    echo "error: \`$CARGO\` does not run" >&2
    echo "hint: install Rust from https://rustup.rs, then open a new shell" >&2
    exit 1
fi
