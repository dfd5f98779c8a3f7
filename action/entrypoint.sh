#!/usr/bin/env bash
# Fetches a release of lastmile, holds it against its checksum, and runs `lastmile pr`. Called by action.yml.
# LASTMILE_RELEASES names a mirror of the releases.
set -euo pipefail

fail() {
    echo "::error title=lastmile::$1"
    exit 2
}

[[ $INPUT_VERSION =~ ^[0-9]+\.[0-9]+\.[0-9]+[0-9A-Za-z.-]*$ ]] || fail "input \`version\` is none"
[[ $INPUT_SHA256 =~ ^([0-9a-fA-F]{64})?$ ]] || fail "input \`sha256\` is none"

arguments=(pr)
kind=lastmile
case $INPUT_MODE in
suggest) ;;
compute) arguments+=(--compute "$INPUT_REPORT") ;;
post)
    arguments+=(--post --workflow "$INPUT_WORKFLOW")
    kind='lastmile-light' # nothing is repaired there
    ;;
sarif) arguments+=(--format sarif) ;;
dry-run) arguments+=(--dry-run) ;;
*) fail "input \`mode\` is none of suggest, compute, post, sarif, dry-run" ;;
esac
[ "$INPUT_TESTS" != true ] || [ "$INPUT_MODE" = post ] || arguments+=(--tests)
[ "$INPUT_FAIL" = true ] || arguments+=(--exit-zero)

case $(uname -s)-$(uname -m) in
Linux-x86_64) target=x86_64-unknown-linux-gnu ;;
*) fail "there is no release for $(uname -s) on $(uname -m)" ;;
esac

releases=${LASTMILE_RELEASES:-https://github.com/lastmile-repair/lastmile/releases/download}
archive=$kind-$INPUT_VERSION-$target.tar.gz
folder=$RUNNER_TEMP/lastmile-archive
fetch() {
    curl --proto '=https,file' --fail --silent --show-error --location --retry 3 --output "$2" "$releases/v$INPUT_VERSION/$1"
}

mkdir -p "$folder"
wanted=$INPUT_SHA256
if [ -z "$wanted" ]; then
    fetch SHA256SUMS "$RUNNER_TEMP/SHA256SUMS" || fail "the checksums of lastmile $INPUT_VERSION cannot be fetched"
    wanted=$(awk -v name="$archive" '$2 == name || $2 == "*" name { print $1 }' "$RUNNER_TEMP/SHA256SUMS")
    [ -n "$wanted" ] || fail "the release has no checksum of $archive"
fi
is_right() {
    [ -f "$folder/$archive" ] && echo "${wanted,,}  $folder/$archive" | sha256sum --check --status
}
is_right || fetch "$archive" "$folder/$archive" || fail "$archive cannot be fetched"
is_right || { rm -f "$folder/$archive"; fail "$archive is not the file that its checksum was made of"; }

unpacked=$(mktemp -d "$RUNNER_TEMP/lastmile.XXXXXX")
tar --extract --gzip --no-same-owner --file "$folder/$archive" --directory "$unpacked"
lastmile=$unpacked/bin/lastmile
mkdir -p "$(dirname "$INPUT_REPORT")"
if [ "$INPUT_MODE" = sarif ]; then
    exec "$lastmile" "${arguments[@]}" >"$INPUT_REPORT"
fi
exec "$lastmile" "${arguments[@]}"
