#!/bin/sh
# Builds the tests for aarch64 and runs them under qemu's user-mode emulation: unit, golden, records,
# native and bundled-host tests, or what the arguments of cargo test say. As root on Debian it
# installs and registers what is missing.
#
# usage: tests/aarch64.sh [ARGUMENT...]
set -eu
cd "$(dirname "$0")/.."
target=aarch64-unknown-linux-gnu
out="${CARGO_TARGET_DIR:-target}/dist"

missing=""
command -v aarch64-linux-gnu-gcc >/dev/null 2>&1 || missing="gcc-aarch64-linux-gnu libc6-dev-arm64-cross"
command -v qemu-aarch64-static >/dev/null 2>&1 || missing="$missing qemu-user-static"
# shellcheck disable=SC2086 # a list of words
[ -z "$missing" ] || sh tests/apt.sh --no-install-recommends $missing

# Tests start other programs, so the kernel has to know who runs a program for aarch64.
formats=/proc/sys/fs/binfmt_misc
if ! [ -e "$formats/qemu-aarch64" ]; then
  [ -e "$formats/register" ] || mount -t binfmt_misc binfmt_misc "$formats" || true
  cat /usr/lib/binfmt.d/qemu-aarch64.conf >"$formats/register" || {
    echo "programs for aarch64 are not known to the kernel (binfmt_misc), and only root can register them" >&2
    exit 1
  }
fi
# Emulated code is slow: fewer cases of the property tests that do not say how many they want, and more
# time for what a test waits for.
export PROPTEST_CASES="${PROPTEST_CASES:-16}"
export FLUENT_BIT_AI_TEST_TIMEOUT_FACTOR="${FLUENT_BIT_AI_TEST_TIMEOUT_FACTOR:-10}"
export QEMU_LD_PREFIX=/usr/aarch64-linux-gnu
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
# The second is for what a test compiles itself.
export CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc HOST_CC="${CC:-cc}" CC=aarch64-linux-gnu-gcc
RUSTC="$(sh packaging/rust-aarch64.sh "$out/rust")"
export RUSTC

[ $# -gt 0 ] || set -- --no-fail-fast -p fluent-bit-ai -p flb-host --lib --bins --test golden --test records --test native \
  --test genai --test bundled_host
# Options of the tests themselves come after a "--", which the caller may have given already.
case " $* " in *" -- "*) ;; *) set -- "$@" -- ;; esac
skipped=host::proof::memory::tests::by_call
echo "left out: $skipped, because qemu does not pass process_vm_readv on to the kernel" >&2
# shellcheck disable=SC2086 # a command
exec ${CARGO:-cargo} test --target "$target" "$@" --skip "$skipped"
