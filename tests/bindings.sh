#!/bin/sh
# Compares src/host/abi/bindings.rs with what bindgen makes of include/, or writes it.
#
# usage: tests/bindings.sh [--write | --lint]
#
# --lint compares in the course of clippy for the workspace, so that nothing is compiled twice.
#
# Needs libclang, by LIBCLANG_PATH or where Debian has it. Without it nothing is compared, and one line
# says so; the file is committed, and a build does not need it.
set -eu
cd "$(dirname "$0")/.."
cargo="${CARGO:-cargo}"
do="${1:-}"

has_libclang() {
  [ -n "${LIBCLANG_PATH:-}" ] && return
  for file in /usr/lib/llvm-*/lib/libclang.so* /usr/lib/llvm-*/lib/libclang-[0-9]*.so* \
    /usr/lib/*/libclang.so* /usr/lib/*/libclang-[0-9]*.so* /usr/lib64/libclang.so*; do
    [ -e "$file" ] && return
  done
  return 1
}
lint() { # FEATURES...
  $cargo clippy --workspace --all-targets "$@" -- -D warnings
}

if ! has_libclang && ! timeout 300 sh tests/apt.sh --no-install-recommends libclang1; then
  [ "$do" != --write ] || exit 1
  echo "src/host/abi/bindings.rs was not compared with include/: no libclang found"
  [ "$do" != --lint ] || lint
  exit 0
fi
# The headers that a compiler brings itself, which libclang alone does not have.
BINDGEN_EXTRA_CLANG_ARGS="-isystem $(cc -print-file-name=include)"
export BINDGEN_EXTRA_CLANG_ARGS
if [ "$do" = --lint ]; then
  lint --features fluent-bit-ai/bindgen
  exit
fi
[ "$do" != --write ] || export WRITE_BINDINGS=1
$cargo check -p fluent-bit-ai --lib --features bindgen
