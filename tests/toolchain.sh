#!/bin/sh
# Prints the name of rustup's default toolchain if it has the release that rust-toolchain.toml names;
# nothing where it has not, or where there is no rustup.
set -eu
cd "$(dirname "$0")/.."
wanted="$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)"
command -v rustup >/dev/null 2>&1 || exit 0
# Outside of this folder, which is what rust-toolchain.toml is for.
cd /
has="$(rustc --version 2>/dev/null | cut -d' ' -f2)" || exit 0
[ "$has" != "$wanted" ] || rustup show active-toolchain 2>/dev/null | cut -d' ' -f1
