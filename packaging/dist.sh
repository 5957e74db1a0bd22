#!/bin/sh
# Makes every artefact below OUT: see docs/ARTEFACTS.md.
#
# usage: packaging/dist.sh OUT [ARCHITECTURE...]      (x86_64 aarch64)
set -eu
out="${1:?usage: $0 OUT [ARCHITECTURE...]}"
shift
[ $# -gt 0 ] || set -- x86_64 aarch64
here="$(dirname "$0")"
largest=$((14 * 1024 * 1024))

cd "$here/.."
here=packaging
mkdir -p "$out"
out="$(realpath "$out")"
version="$(sed -n '/^\[workspace.package\]/,/^\[package\]/s/^version = "\(.*\)"/\1/p' Cargo.toml)"
grep -q "^## \[$version\]" CHANGELOG.md || { echo "CHANGELOG.md has no section for $version" >&2; exit 1; }
sh "$here/tools.sh" "$out/tools"
OUT="$out"
# shellcheck source=packaging/flags.sh
. "$here/flags.sh"
CARGO_TARGET_DIR="$out/build"
export CARGO_TARGET_DIR

tar_gz() { # FOLDER FILE [TAR_OPTION...]
  folder="$1"; file="$2"; shift 2
  sh "$here/archive.sh" "$folder" "$@" | gzip -9 -n >"$out/$file"
}

build() { # ARCHITECTURE TARGET BINUTILS_PREFIX
  RUSTC=rustc
  [ "$1" = x86_64 ] || RUSTC="$(sh "$here/rust-aarch64.sh" "$out/rust")"
  export RUSTC
  linker="CARGO_TARGET_$(echo "$2" | tr 'a-z-' 'A-Z_')_LINKER"
  # By which code is hot, where that was recorded (profile.sh). By its checksum cargo sees that it is another one.
  flags="$RUSTFLAGS_OBJECT" wrapper=""
  profile="$PWD/$here/$1.profdata"
  if [ -e "$profile" ]; then
    flags="$flags --cfg profile=\"$(cksum <"$profile" | tr -d ' ')\""
    wrapper="$PWD/$here/rustc.sh"
  fi
  # One by one, so that the program adds no features to what the shared object is made of.
  for what in "fluent-bit-ai --lib" "fluent-bit-ai-cli --bin fluent-bit-ai"; do
    # shellcheck disable=SC2086 # words
    env "$linker=$PWD/$here/zig-cc.sh" ZIG_TARGET="$1-linux-gnu.$GLIBC" RUSTFLAGS="$flags" \
      RUSTC_WRAPPER="$wrapper" PROFILE_FLAG="-Cprofile-use=$profile" \
      cargo zigbuild --locked --profile dist -p $what --target "$2.$GLIBC"
  done
  env "$linker=${3}gcc" RUSTFLAGS="$RUSTFLAGS_SHARED -C target-feature=+crt-static" \
    cargo build --locked --profile small -p install --target "$2"
}

# Splits what was built into code and debug information, found by its build id.
split() { # BUILT BINUTILS_PREFIX FOLDER
  id="$(readelf -n "$1" | sed -n 's/.*Build ID: //p')"
  debug="$3/debug/usr/lib/debug/.build-id/$(echo "$id" | cut -c1-2)"
  mkdir -p "$debug"
  "${2}objcopy" --only-keep-debug --compress-debug-sections=zlib "$1" "$debug/$(echo "$id" | cut -c3-).debug"
  "${2}strip" --strip-unneeded -o "$3/fluent-bit-ai.so" "$1"
  sh "$here/symbols.sh" "$3/fluent-bit-ai.so" "$GLIBC"
  size="$(stat -c %s "$3/fluent-bit-ai.so")"
  [ "$size" -le "$largest" ] || { echo "fluent-bit-ai.so has $size bytes, more than $largest" >&2; exit 1; }
}

pack() { # ARCHITECTURE TARGET NAME BINUTILS_PREFIX
  work="$out/$1"
  rm -rf "$work"
  mkdir -p "$work"
  split "$CARGO_TARGET_DIR/$2/dist/libfluent_bit_ai.so" "$4" "$work"
  "${4}strip" -o "$work/fluent-bit-ai" "$CARGO_TARGET_DIR/$2/dist/fluent-bit-ai"
  sh "$here/symbols.sh" "$work/fluent-bit-ai" "$GLIBC"
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
