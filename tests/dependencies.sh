#!/bin/sh
# Checks what we depend on, by deny.toml (cargo-deny), and that each dependency is used (cargo-machete).
# Where the two tools are missing they are built below FOLDER, not optimised.
#
# usage: tests/dependencies.sh FOLDER [CHECK...]      (bans licenses sources)
#
# The check `advisories` needs the database of RustSec, which is a repository on GitHub.
set -eu
folder="${1:?usage: $0 FOLDER [CHECK...]}"
shift
[ $# -gt 0 ] || set -- bans licenses sources
cd "$(dirname "$0")/.."
cargo="${CARGO:-cargo}"
mkdir -p "$folder"
folder="$(realpath "$folder")"
PATH="$PATH:$folder/bin"

need() { # NAME VERSION
  command -v "$1" >/dev/null 2>&1 && return
  CARGO_TARGET_DIR="$folder/build" $cargo install --quiet --locked --debug --root "$folder" "$1@$2"
}
need cargo-deny 0.20.2
need cargo-machete 0.9.2
rm -rf "$folder/build"
cargo-deny --locked check --hide-inclusion-graph "$@"
cargo-machete --skip-target-dir .
