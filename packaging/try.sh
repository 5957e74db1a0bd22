#!/bin/sh
# Tries the x86-64 artefacts below OUT where they are to run: the Debian package in a root of Debian 11
# (glibc 2.31), and what the image's program installs in a root without a shell. In each, OTLP goes
# through a pipeline of the plugins, on flb-host and on the real Fluent Bits that are given for it.
#
# usage: packaging/try.sh OUT      (as root; needs debootstrap and curl)
#   BULLSEYE_FLUENT_BIT   executables that run on Debian 11, with their libraries in ../lib, by colons
#   FLUENT_BIT            executables of this machine, for the root without a shell, by colons
set -eu
cd "$(dirname "$0")/.."
out="$(realpath "${1:?usage: $0 OUT}")"
version="$(sed -n '/^\[workspace.package\]/,/^\[package\]/s/^version = "\(.*\)"/\1/p' Cargo.toml)"
work="$out/try"
http="${TRY_PORT:-24318}"
for program in debootstrap curl; do
  command -v "$program" >/dev/null 2>&1 || { echo "$program is not installed" >&2; exit 1; }
done
(cd "$out" && sha256sum --check --quiet SHA256SUMS)
rm -rf "$work"
mkdir -p "$work"

# flb-host for the old glibc, not optimised.
PATH="$out/tools/zig/bin:$PATH" CARGO_TARGET_DIR="$out/build" RUSTFLAGS="" \
  CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER="$PWD/packaging/zig-cc.sh" ZIG_TARGET=x86_64-linux-gnu.2.17 \
  cargo zigbuild --locked -p flb-host --bin flb-host --target x86_64-unknown-linux-gnu.2.17
flb_host="$out/build/x86_64-unknown-linux-gnu/debug/flb-host"
sh packaging/symbols.sh "$flb_host" 2.17

configuration() { # PLUGINS_CONF
  cat <<END
service:
  flush: 1
  plugins_file: $1
pipeline:
  inputs:
    - {name: ai_otlp, tag: one, http_port: $http, grpc_port: 0}
    - {name: ai_otlp, tag: two, http_port: $((http + 1)), grpc_port: 0}
  filters:
    - {name: ai_context, match: one}
  outputs:
    - {name: multi_otlp, match: one, endpoint.two.url: 'http://127.0.0.1:$((http + 1))'}
    - {name: stdout, match: two}
END
}

# Sends a span through ROOT's pipeline: carry NAME ROOT PLUGINS_CONF PROGRAM...
carry() {
  name="$1" root="$2" log="$work/$1.log"
  configuration "$3" >"$root/try.yaml"
  shift 3
  chroot "$root" "$@" -c /try.yaml >"$log" 2>&1 &
  host=$!
  now="$(date +%s)"
  span="{\"resourceSpans\":[{\"resource\":{},\"scopeSpans\":[{\"spans\":[{\"traceId\":\"0123456789abcdef0123456789abcdef\",\"spanId\":\"0123456789abcdef\",\"name\":\"carried through\",\"startTimeUnixNano\":\"${now}000000000\",\"endTimeUnixNano\":\"${now}000000001\"}]}]}]}"
  tries=0
  until curl -sf -o "$work/answer" -H 'content-type: application/json' -d "$span" "http://127.0.0.1:$http/v1/traces"; do
    tries=$((tries + 1))
    [ "$tries" -lt 50 ] && kill -0 "$host" 2>/dev/null || { cat "$log"; echo "$name: does not answer" >&2; exit 1; }
    sleep 0.2
  done
  tries=0
  until grep -q 'carried through' "$log"; do
    tries=$((tries + 1))
    [ "$tries" -lt 50 ] || { cat "$log"; echo "$name: the span did not come through" >&2; exit 1; }
    sleep 0.2
  done
  kill -TERM "$host"
  wait "$host" || { cat "$log"; echo "$name: did not end cleanly" >&2; exit 1; }
  echo "$name: carried a span, and ended"
}

# Debian 11, with the Debian package.
root="$out/bullseye"
[ -x "$root/usr/bin/dpkg" ] || debootstrap --variant=minbase bullseye "$root" >"$work/debootstrap.log"
cp "$out/fluent-bit-ai_$version-1_amd64.deb" "$root/package.deb"
chroot "$root" dpkg --install /package.deb
chroot "$root" ldd --version | head -n 1
cp "$flb_host" "$root/flb-host"
carry debian-11-flb-host "$root" /opt/fluent-bit-ai/plugins.conf /flb-host
number=0
for host in $(echo "${BULLSEYE_FLUENT_BIT:-}" | tr : ' '); do
  number=$((number + 1))
  mkdir -p "$root/host-$number/bin"
  cp "$host" "$root/host-$number/bin/fluent-bit"
  [ ! -d "$(dirname "$host")/../lib" ] || cp -r "$(dirname "$host")/../lib" "$root/host-$number"
  chroot "$root" env LD_LIBRARY_PATH="/host-$number/lib" "/host-$number/bin/fluent-bit" --version
  carry "debian-11-host-$number" "$root" /opt/fluent-bit-ai/plugins.conf \
    env LD_LIBRARY_PATH="/host-$number/lib" "/host-$number/bin/fluent-bit"
done
chroot "$root" dpkg --remove fluent-bit-ai

# The layer of the image for amd64, as a root of its own: its program copies into a folder.
image="$work/image"
mkdir -p "$image/volume"
blob() { echo "$out/oci/blobs/sha256/$(grep -o 'sha256:[0-9a-f]*' "$1" | sed -n "$2s/sha256://p")"; }
manifest="$(blob "$(blob "$out/oci/index.json" 1)" 1)"
tar -xzf "$(blob "$manifest" 2)" -C "$image"
chroot "$image" /install /volume /plugins

# A root with a host, the libraries that it and the plugins need (a distroless image has all of glibc),
# and the volume: no shell, no other program.
number=0
for host in "$flb_host" $(echo "${FLUENT_BIT:-}" | tr : ' '); do
  number=$((number + 1))
  root="$work/host-$number"
  mkdir -p "$root/bin" "$root/tmp" "$root/etc"
  cp "$host" "$root/bin/host"
  for library in $(ldd "$host" "$image/volume/fluent-bit-ai.so" | sed -n 's#^[ \t]\(.* => \)\?\(/[^ ]*\) (.*#\2#p'); do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
  done
  cp -a "$image/volume" "$root/plugins"
  [ ! -e "$root/bin/sh" ] || { echo "there is a shell" >&2; exit 1; }
  carry "no-shell-$number-$(basename "$(dirname "$(dirname "$host")")")" "$root" /plugins/plugins.conf /bin/host
done
