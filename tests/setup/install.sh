#!/bin/sh
# Copies what `make build` made below $PREFIX: bin/, share/lastmile/models/ and lib/lastmile/, where the engine looks
# for libtorch. A libtorch that is only linked to stays where it is; the engine knows that place too.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
prefix=${DESTDIR:-}${PREFIX:?}

install -d "$prefix/bin" "$prefix/share/lastmile/models"
install -m 755 "$root/target/release/lastmile" "$root/target/release/lastmile-engine" "$prefix/bin"

for model in "$root"/models/*/model.toml "$root"/models/*/*/model.toml; do
    [ -e "$model" ] || continue
    folder=$(dirname "$model")
    name=${folder#"$root/models/"}
    install -d "$prefix/share/lastmile/models/$name"
    for file in model.toml tokenizer.json weights.safetensors noise.toml CARD.md; do
        [ ! -e "$folder/$file" ] || install -m 644 "$folder/$file" "$prefix/share/lastmile/models/$name"
    done
done

if [ -L "$root/.libtorch/lib" ] || [ -n "${LIBTORCH:-}" ]; then
    echo "libtorch stays in ${LIBTORCH:-$(cd -P "$root/.libtorch/lib/.." && pwd)}"
else
    install -d "$prefix/lib/lastmile"
    for library in "$root"/.libtorch/lib/*.so.*  "$root"/.libtorch/lib/libc10.so "$root"/.libtorch/lib/libtorch_cpu.so; do
        install -m 644 "$library" "$prefix/lib/lastmile"
    done
fi
echo "installed in $prefix"
