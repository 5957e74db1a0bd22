#!/bin/sh
# Makes every artefact below OUT: see docs/ARTEFACTS.md.
#
# usage: packaging/dist.sh OUT [ARCHITECTURE...]      (x86_64 aarch64)
set -eu
out="${1:?usage: $0 OUT [ARCHITECTURE...]}"
shift
[ $# -gt 0 ] || set -- x86_64 aarch64
here="$(dirname "$0")"
glibc=2.17
largest=$((14 * 1024 * 1024))

cd "$here/.."
here=packaging
mkdir -p "$out"
out="$(realpath "$out")"
version="$(sed -n '/^\[workspace.package\]/,/^\[package\]/s/^version = "\(.*\)"/\1/p' Cargo.toml)"
grep -q "^## \[$version\]" CHANGELOG.md || { echo "CHANGELOG.md has no section for $version" >&2; exit 1; }
SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)}"
export SOURCE_DATE_EPOCH

sh "$here/tools.sh" "$out/tools"
PATH="$out/tools/bin:$out/tools/zig/bin:$PATH"
CARGO_TARGET_DIR="$out/build"
export PATH CARGO_TARGET_DIR

# Nothing of the machine that builds is in what is built.
home="${CARGO_HOME:-$HOME/.cargo}"
# A call of what lies in the object itself needs no entry in its table of addresses, nor the relocation of
# one at each start. Told "partial", rustc calls that way; the linker still has the table read-only.
direct="-C relro-level=partial -C link-arg=-Wl,-z,now"
remap="" cflags=""
for map in "$home/registry/src=registry" "$PWD=fluent-bit-ai"; do
  remap="$remap --remap-path-prefix=$map"
  cflags="$cflags -ffile-prefix-map=$map"
done
# Strategies of zstd that its level 3 and those below never choose.
for strategy in GREEDY LAZY LAZY2 BTLAZY2 BTOPT BTULTRA; do
  cflags="$cflags -DZSTD_EXCLUDE_${strategy}_BLOCK_COMPRESSOR"
done
CFLAGS_x86_64_unknown_linux_gnu="$cflags"
CFLAGS_aarch64_unknown_linux_gnu="$cflags"
export CFLAGS_x86_64_unknown_linux_gnu CFLAGS_aarch64_unknown_linux_gnu

tar_gz() { # FOLDER FILE [TAR_OPTION...]
  folder="$1"; file="$2"; shift 2
  sh "$here/archive.sh" "$folder" "$@" | gzip -9 -n >"$out/$file"
}

build() { # ARCHITECTURE TARGET BINUTILS_PREFIX
  RUSTC=rustc
  [ "$1" = x86_64 ] || RUSTC="$(sh "$here/rust-aarch64.sh" "$out/rust")"
  export RUSTC
  linker="CARGO_TARGET_$(echo "$2" | tr 'a-z-' 'A-Z_')_LINKER"
  env "$linker=$PWD/$here/zig-cc.sh" ZIG_TARGET="$1-linux-gnu.$glibc" RUSTFLAGS="$remap $direct" \
    cargo zigbuild --locked --profile dist -p fluent-bit-ai --lib --target "$2.$glibc"
  # By itself, so that it adds no features to what the shared object is made of.
  env "$linker=$PWD/$here/zig-cc.sh" ZIG_TARGET="$1-linux-gnu.$glibc" RUSTFLAGS="$remap $direct" \
    cargo zigbuild --locked --profile dist -p fluent-bit-ai-cli --bin fluent-bit-ai --target "$2.$glibc"
  env "$linker=${3}gcc" RUSTFLAGS="$remap -C target-feature=+crt-static" \
    cargo build --locked --profile small -p install --target "$2"
}

# Splits what was built into code and debug information, found by its build id.
split() { # BUILT BINUTILS_PREFIX FOLDER
  id="$(readelf -n "$1" | sed -n 's/.*Build ID: //p')"
  debug="$3/debug/usr/lib/debug/.build-id/$(echo "$id" | cut -c1-2)"
  mkdir -p "$debug"
  "${2}objcopy" --only-keep-debug --compress-debug-sections=zlib "$1" "$debug/$(echo "$id" | cut -c3-).debug"
  "${2}strip" --strip-unneeded -o "$3/fluent-bit-ai.so" "$1"
  sh "$here/symbols.sh" "$3/fluent-bit-ai.so" "$glibc"
  size="$(stat -c %s "$3/fluent-bit-ai.so")"
  [ "$size" -le "$largest" ] || { echo "fluent-bit-ai.so has $size bytes, more than $largest" >&2; exit 1; }
}

pack() { # ARCHITECTURE TARGET NAME BINUTILS_PREFIX
  work="$out/$1"
  rm -rf "$work"
  mkdir -p "$work"
  split "$CARGO_TARGET_DIR/$2/dist/libfluent_bit_ai.so" "$4" "$work"
  "${4}strip" -o "$work/fluent-bit-ai" "$CARGO_TARGET_DIR/$2/dist/fluent-bit-ai"
  sh "$here/symbols.sh" "$work/fluent-bit-ai" "$glibc"
  sh "$here/stage.sh" "$work/fluent-bit-ai.so" "$work/fluent-bit-ai" "$work/root"
  into="$work/root/opt/fluent-bit-ai"
  install -m 644 "$out/THIRD-PARTY-LICENSES.md" "$into"
  cargo cyclonedx --quiet --format json --spec-version 1.5 --target "$2" --override-filename sbom.cdx
  sed "s#path+file://$PWD#path+file:///fluent-bit-ai#g" sbom.cdx.json >"$into/sbom.cdx.json"
  chmod 644 "$into/sbom.cdx.json"
  rm -f sbom.cdx.json src/sbom.cdx.json cli/sbom.cdx.json "$here/install/sbom.cdx.json" tools/*/sbom.cdx.json

  # The packager finds the files under a name without the architecture.
  mkdir -p target/dist
  ln -sfn "$work/root" target/dist/stage
  cargo deb --quiet --no-build --no-strip --target "$2" -o "$out/"
  rm -f target/dist/stage
  sh "$here/rpm.sh" "$work/root" "$version" "$1" "$out"
  tar_gz "$work/root/opt" "fluent-bit-ai-$version-linux-$3.tar.gz"
  tar_gz "$work/debug" "fluent-bit-ai-$version-linux-$3-debug.tar.gz"

  cp -a "$work/root" "$work/image"
  install -m 755 "$CARGO_TARGET_DIR/$2/small/install" "$work/image/install"
}

for architecture in "$@"; do
  case "$architecture" in
    x86_64) build x86_64 x86_64-unknown-linux-gnu "" ;;
    aarch64) build aarch64 aarch64-unknown-linux-gnu aarch64-linux-gnu- ;;
    *) echo "$architecture is not built: x86_64, aarch64" >&2; exit 1 ;;
  esac
done
cargo about generate --locked --config "$here/about.toml" --fail -o "$out/THIRD-PARTY-LICENSES.md" "$here/about.hbs"
rm -f "$out"/fluent-bit-ai[-_]* "$out/SHA256SUMS"
images=""
for architecture in "$@"; do
  case "$architecture" in
    x86_64) name=amd64 prefix="" ;;
    aarch64) name=arm64 prefix=aarch64-linux-gnu- ;;
  esac
  pack "$architecture" "$architecture-unknown-linux-gnu" "$name" "$prefix"
  images="$images $name=$out/$architecture/image"
done
# shellcheck disable=SC2086 # a list of words
sh "$here/image.sh" "$out/oci" "$version" $images
sh "$here/archive.sh" "$out/oci" >"$out/fluent-bit-ai-$version-oci.tar"
cd "$out"
sha256sum fluent-bit-ai[-_]* >SHA256SUMS
ls -l fluent-bit-ai[-_]* SHA256SUMS
