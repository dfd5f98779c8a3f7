#!/bin/sh
# usage: clean-room.sh ROOM [TARGET ...]     (default targets: demo test)
#
# Proves that `make TARGET` does its own set-up: builds a bare Debian 12 in the folder ROOM with debootstrap, adds what
# the README asks for (a C++ compiler, git, Python with pip, rustup's Rust), and runs the targets there as an ordinary
# user on a fresh clone. Needs root. Afterwards ROOM can be removed; nothing is left mounted.
#
# RUST_FROM=DIR   copy that toolchain (`rustc --print sysroot`) instead of downloading one with rustup
# KEEP=1          reuse a ROOM that is there already
set -eu

room=$1
shift
[ $# -gt 0 ] || set -- demo test
root=$(cd "$(dirname "$0")/../.." && pwd)
user=newcomer

if [ "$(id -u)" != 0 ]; then
    echo "error: a room is made with debootstrap and chroot, which need root" >&2
    exit 2
fi

if [ ! -e "$room/etc/debian_version" ] || [ -z "${KEEP:-}" ]; then
    echo "==> Debian 12 into $room"
    debootstrap --variant=minbase \
        --include=build-essential,git,python3,python3-pip,python3-venv,ca-certificates,curl \
        bookworm "$room" "${DEBIAN_MIRROR:-http://deb.debian.org/debian}" >"${TMPDIR:-/tmp}/debootstrap.log" ||
        { tail -n 20 "${TMPDIR:-/tmp}/debootstrap.log"; exit 1; }
fi

mounted=
leave() {
    for folder in $mounted; do umount --recursive "$room/$folder"; done
}
trap leave EXIT
# With what is mounted below: terminals and shared memory. As slaves, so that leaving takes nothing away outside.
for folder in proc dev; do
    mountpoint -q "$room/$folder" || {
        mount --rbind "/$folder" "$room/$folder" && mount --make-rslave "$room/$folder" && mounted="$folder $mounted"
    }
done
cp -L /etc/resolv.conf "$room/etc/resolv.conf"
# debootstrap leaves this one to the installer.
[ -e "$room/etc/hosts" ] || echo '127.0.0.1 localhost' >"$room/etc/hosts"
# The certificates too: some networks sign the registries' pages themselves.
[ ! -e /etc/ssl/certs/ca-certificates.crt ] || cp -L /etc/ssl/certs/ca-certificates.crt "$room/etc/ssl/certs/"

path=/usr/local/bin:/usr/bin:/bin
inside() {
    # An empty environment, as a new login has, but for a proxy that the network may need.
    chroot "$room" /usr/bin/env -i HOME=/home/$user USER=$user PATH="$path" \
        ${https_proxy:+https_proxy="$https_proxy"} ${http_proxy:+http_proxy="$http_proxy"} \
        setpriv --reuid=$user --regid=$user --init-groups sh -c "cd && $1"
}

chroot "$room" id $user >/dev/null 2>&1 || chroot "$room" useradd --create-home --shell /bin/sh $user
if [ -n "${RUST_FROM:-}" ]; then
    path=/opt/rust/bin:$path
    [ -d "$room/opt/rust" ] || { mkdir -p "$room/opt/rust" && cp -a "$RUST_FROM/." "$room/opt/rust"; }
elif [ ! -x "$room/home/$user/.cargo/bin/cargo" ]; then
    inside 'curl --proto =https --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal --no-modify-path'
fi

echo "==> a fresh clone of $(git -C "$root" rev-parse --short HEAD)"
rm -rf "$room/home/$user/lastmile"
git clone --quiet --no-local "$root" "$room/home/$user/lastmile"
chroot "$room" chown -R $user: "/home/$user/lastmile"

for target in "$@"; do
    echo "==> make $target"
    start=$(date +%s)
    inside "cd lastmile && make $target"
    echo "==> make $target took $(($(date +%s) - start)) s"
done
