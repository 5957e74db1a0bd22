#!/bin/sh
# Installs what `make dist` needs and a fresh Debian 12 lacks: Debian's cross compiler, and below
# FOLDER zig with cargo-zigbuild (pip) and, unless --compilers is given, the packagers (cargo).
#
# usage: packaging/tools.sh [--compilers] FOLDER
set -eu
only=""
[ "${1:-}" != --compilers ] || { only="$1"; shift; }
folder="${1:?usage: $0 [--compilers] FOLDER}"
here="$(dirname "$0")"

missing=""
need() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }
need cc "gcc libc6-dev"
need aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu
[ -e /usr/aarch64-linux-gnu/lib/libc.a ] || missing="$missing libc6-dev-arm64-cross"
need rpmbuild rpm
need python3 python3
python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
# shellcheck disable=SC2086 # a list of words
[ -z "$missing" ] || sh "$here/../tests/apt.sh" --no-install-recommends $missing
command -v cargo >/dev/null 2>&1 || { echo "missing on this machine: cargo (Rust)" >&2; exit 1; }

if [ ! -x "$folder/zig/bin/cargo-zigbuild" ]; then
  python3 -m venv "$folder/zig"
  "$folder/zig/bin/pip" install -q -r "$here/requirements.txt"
fi

[ -z "$only" ] || exit 0

# Not optimised, but for the one that would otherwise search licence texts for minutes.
install() { # NAME VERSION [OPTION...]
  name="$1" version="$2"; shift 2
  [ -x "$folder/bin/$name" ] || CARGO_TARGET_DIR="$folder/build" RUSTFLAGS="" \
    cargo install --quiet --locked --root "$folder" "$name@$version" "$@"
}
install cargo-deb 3.8.0 --debug
install cargo-about 0.9.3 --features cli
install cargo-cyclonedx 0.5.9 --debug
rm -rf "$folder/build"
