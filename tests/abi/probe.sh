#!/bin/sh
# Writes from the headers of a Fluent Bit source tree, for one machine,
# - tests/abi/fixtures/MACHINE/RELEASE.txt, which a test compares with the row of that release;
# - ROWS/MACHINE/hosts.toml, the same as a row for a file beside the plugins.
#
# usage: [CC=COMPILER] [RUNNER=EMULATOR] tests/abi/probe.sh SOURCE_TREE [BUILD_TREE [ROWS]]
#
# BUILD_TREE is where cmake configured that source tree with CMAKE_EXPORT_COMPILE_COMMANDS=On; it
# holds the generated headers and says how a plugin is compiled. By default it is SOURCE_TREE/build,
# and ROWS is target/abi. For another machine, CC is its compiler and RUNNER runs its programs, as
# CC=aarch64-linux-gnu-gcc RUNNER='qemu-aarch64-static -L /usr/aarch64-linux-gnu'.
set -eu

source_tree=${1:?usage: $0 SOURCE_TREE [BUILD_TREE [ROWS]]}
build_tree=${2:-$source_tree/build}
rows=${3:-target/abi}
here=$(dirname "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

grep -m1 '"command".*plugins/out_null/CMakeFiles' "$build_tree/compile_commands.json" \
    | tr ' ' '\n' | grep -E '^-[DI]' > "$work/flags"

machine=$(${CC:-cc} -dumpmachine | cut -d- -f1)
# shellcheck disable=SC2046 # one flag a word is what is wanted
${CC:-cc} -w $(grep -v '\\' "$work/flags") -o "$work/probe" "$here/probe.c"
# shellcheck disable=SC2086 # so is it of the emulator
${RUNNER:-} "$work/probe" > "$work/fixture"
release=$(sed -n 's/^release //p' "$work/fixture")
fixture=$here/fixtures/$machine/$release.txt
mkdir -p "$here/fixtures/$machine" "$rows/$machine"
cp "$work/fixture" "$fixture"
sh "$here/row.sh" "$fixture" "$machine" > "$rows/$machine/hosts.toml"
echo "$fixture: $(wc -l < "$work/fixture") lines, also as a row in $rows/$machine/hosts.toml"
