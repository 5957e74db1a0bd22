# shellcheck shell=sh
# What each compilation of the shared object that is shipped has in common; to be sourced in the folder
# of the sources, with OUT set to the folder of artefacts, as a whole path, where tools.sh has put the tools.
#
# Sets PATH (of the tools), SOURCE_DATE_EPOCH, RUSTFLAGS_SHARED, RUSTFLAGS_OBJECT, CFLAGS of each target and
# GLIBC, the release of it that everything is linked against.
GLIBC=2.17
SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)}"
export SOURCE_DATE_EPOCH

PATH="$OUT/tools/bin:$OUT/tools/zig/bin:$PATH"
export PATH

# Nothing of the machine that builds is in what is built.
RUSTFLAGS_SHARED="" cflags=""
for map in "${CARGO_HOME:-$HOME/.cargo}/registry/src=registry" "$PWD=fluent-bit-ai"; do
  RUSTFLAGS_SHARED="$RUSTFLAGS_SHARED --remap-path-prefix=$map"
  cflags="$cflags -ffile-prefix-map=$map"
done
# A call of what lies in the object itself needs no entry in its table of addresses, nor the relocation of
# one at each start. Told "partial", rustc calls that way; the linker still has the table read-only.
RUSTFLAGS_OBJECT="$RUSTFLAGS_SHARED -C relro-level=partial -C link-arg=-Wl,-z,now"
# Strategies of zstd that its level 3 and those below never choose.
for strategy in GREEDY LAZY LAZY2 BTLAZY2 BTOPT BTULTRA; do
  cflags="$cflags -DZSTD_EXCLUDE_${strategy}_BLOCK_COMPRESSOR"
done
CFLAGS_x86_64_unknown_linux_gnu="$cflags"
CFLAGS_aarch64_unknown_linux_gnu="$cflags"
export CFLAGS_x86_64_unknown_linux_gnu CFLAGS_aarch64_unknown_linux_gnu
