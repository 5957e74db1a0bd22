#!/bin/sh
# Writes an OCI image layout (image-spec 1.1) from scratch: one image for each architecture, each of
# one layer, and an index of them under the tag VERSION.
#
# usage: packaging/image.sh LAYOUT VERSION ARCHITECTURE=ROOT...      (amd64, arm64)
set -eu
layout="${1:?usage: $0 LAYOUT VERSION ARCHITECTURE=ROOT...}"
version="${2:?usage: $0 LAYOUT VERSION ARCHITECTURE=ROOT...}"
shift 2
here="$(dirname "$0")"
epoch="${SOURCE_DATE_EPOCH:-0}"
created="$(date -u -d "@$epoch" +%Y-%m-%dT%H:%M:%SZ)"
blobs="$layout/blobs/sha256"
rm -rf "$layout"
mkdir -p "$blobs"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

digest_of() { sha256sum "$1" | cut -d' ' -f1; }

# Moves FILE among the blobs and prints its descriptor: store FILE MEDIA_TYPE [MORE]
store() {
  digest="$(digest_of "$1")"
  printf '{"mediaType":"application/vnd.oci.image.%s","digest":"sha256:%s","size":%s%s}' \
    "$2" "$digest" "$(stat -c %s "$1")" "${3:-}"
  mv "$1" "$blobs/$digest"
}

manifests=""
for pair in "$@"; do
  architecture="${pair%%=*}"
  sh "$here/archive.sh" "${pair#*=}" >"$work/layer"
  diff="$(digest_of "$work/layer")"
  gzip -9 -n -c "$work/layer" >"$work/layer.gz"
  layer="$(store "$work/layer.gz" layer.v1.tar+gzip)"
  printf '{"created":"%s","architecture":"%s","os":"linux","config":{"Entrypoint":["/install"],"Labels":{"org.opencontainers.image.title":"fluent-bit-ai","org.opencontainers.image.version":"%s","org.opencontainers.image.licenses":"Apache-2.0"}},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]},"history":[{"created":"%s","created_by":"make dist"}]}' \
    "$created" "$architecture" "$version" "$diff" "$created" >"$work/config"
  config="$(store "$work/config" config.v1+json)"
  printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":%s,"layers":[%s]}' \
    "$config" "$layer" >"$work/manifest"
  manifests="$manifests${manifests:+,}$(store "$work/manifest" manifest.v1+json \
    ",\"platform\":{\"architecture\":\"$architecture\",\"os\":\"linux\"}")"
done
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[%s]}' \
  "$manifests" >"$work/index"
index="$(store "$work/index" index.v1+json ",\"annotations\":{\"org.opencontainers.image.ref.name\":\"$version\"}")"
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[%s]}\n' \
  "$index" >"$layout/index.json"
printf '{"imageLayoutVersion":"1.0.0"}\n' >"$layout/oci-layout"
