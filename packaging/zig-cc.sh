#!/bin/sh
# The linker of `make dist`: zig's cc, which links against an old glibc, and then the same link once more
# by zig's lld with flags that its cc does not take: lists of what is exported, and functions whose code is
# equal become one. rustc tells by the name that it is spoken to as to a compiler.
#
# usage: ZIG_TARGET=x86_64-linux-gnu.2.17 packaging/zig-cc.sh ARGUMENT...
set -eu
lists=
for argument; do
  shift
  case "$argument" in
    -Wl,--dynamic-list=*) lists="$lists ${argument#-Wl,}" ;;
    *) set -- "$@" "$argument" ;;
  esac
done
told="$(ZIG_VERBOSE_LINK=1 cargo-zigbuild zig cc -- -g -target "$ZIG_TARGET" "$@" 2>&1)" || { echo "$told" >&2; exit 1; }
arguments="$(echo "$told" | sed -n 's/^ld\.lld //p' | tail -n 1)"
[ -n "$arguments" ] || { echo "zig did not say how it links: $told" >&2; exit 1; }
# shellcheck disable=SC2086 # words, without spaces in them
exec python-zig ld.lld $arguments $lists --icf=all
