#!/bin/sh
# Records which code of the shared object is hot, for `make dist` to compile by: packaging/x86_64.profdata.
#
# usage: packaging/profile.sh PROGRAMS OUT      (needs a Fluent Bit; PROGRAMS is what `make build` fills)
#
# Functions are known by names that hold for one profile of cargo, one target and one set of features, and by
# their shape, so that this compiles as dist.sh does. What is of another name or shape since is compiled
# without, which costs its speed and nothing else.
set -eu
programs="$(realpath "${1:?usage: $0 PROGRAMS OUT}")"
mkdir -p "${2:?usage: $0 PROGRAMS OUT}"
OUT="$(realpath "$2")"
cd "$(dirname "$0")/.."
sh packaging/tools.sh --compilers "$OUT/tools"
# shellcheck source=packaging/flags.sh
. packaging/flags.sh

# Rows of `make bench` in which each plugin handles telemetry as it comes.
ROWS=P1,P2,P3,P4,P11,P12,P14,P15,P17

# Of the release of LLVM that is in rustc, whose format it is.
major="$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')"
profdata="$(rustc --print sysroot)/lib/rustlib/x86_64-unknown-linux-gnu/bin/llvm-profdata"
[ -x "$profdata" ] || profdata="/usr/lib/llvm-$major/bin/llvm-profdata"
[ -x "$profdata" ] || sh tests/apt.sh --no-install-recommends "llvm-$major"

# Linked as Debian links: zig's cc does not take the option that brings the counters' file in.
export CARGO_TARGET_DIR="$OUT/recording" PROFILE_FLAG="-Cprofile-generate=$OUT/profile"
CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER=cc RUSTC_WRAPPER="$PWD/packaging/rustc.sh" \
  RUSTFLAGS="$RUSTFLAGS_OBJECT -C link-arg=-Wl,-u,__llvm_profile_runtime" \
  cargo zigbuild --locked --profile dist -p fluent-bit-ai --lib --target "x86_64-unknown-linux-gnu.$GLIBC"

rm -rf "$OUT/profile"
sh packaging/stage.sh "$CARGO_TARGET_DIR/x86_64-unknown-linux-gnu/dist/libfluent_bit_ai.so" \
  "$programs/fluent-bit-ai" "$OUT/recorded"
LLVM_PROFILE_FILE="$OUT/profile/%p.profraw" \
  "$programs/otlp-tool" bench --plugins "$OUT/recorded/opt/fluent-bit-ai" --only "$ROWS" --rounds 1 --scale 0.1
# With what never ran, so that it is compiled small.
"$profdata" merge -o packaging/x86_64.profdata "$OUT"/profile/*.profraw
ls -l packaging/x86_64.profdata
