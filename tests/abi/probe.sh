#!/bin/sh
# Writes tests/abi/fixtures/RELEASE.txt from the headers of a Fluent Bit source tree.
#
# usage: tests/abi/probe.sh SOURCE_TREE [BUILD_TREE]
#
# BUILD_TREE is where cmake configured that source tree with CMAKE_EXPORT_COMPILE_COMMANDS=On; it
# holds the generated headers and says how a plugin is compiled. By default it is SOURCE_TREE/build.
set -eu

source_tree=${1:?usage: $0 SOURCE_TREE [BUILD_TREE]}
build_tree=${2:-$source_tree/build}
here=$(dirname "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

grep -m1 '"command".*plugins/out_null/CMakeFiles' "$build_tree/compile_commands.json" \
    | tr ' ' '\n' | grep -E '^-[DI]' > "$work/flags"

# shellcheck disable=SC2046 # one flag a word is what is wanted
${CC:-cc} -w $(grep -v '\\' "$work/flags") -o "$work/probe" "$here/probe.c"
"$work/probe" > "$work/fixture"
release=$(sed -n 's/^release //p' "$work/fixture")
mkdir -p "$here/fixtures"
cp "$work/fixture" "$here/fixtures/$release.txt"
echo "$here/fixtures/$release.txt: $(wc -l < "$work/fixture") lines"
