#!/bin/sh
# Lays out below ROOT what is installed: plugin files, plugins.conf, the program, configurations,
# documents, what is for Kubernetes, Grafana and Prometheus.
#
# usage: packaging/stage.sh SHARED_OBJECT PROGRAM ROOT
set -eu
object="${1:?usage: $0 SHARED_OBJECT PROGRAM ROOT}"
program="${2:?usage: $0 SHARED_OBJECT PROGRAM ROOT}"
root="${3:?usage: $0 SHARED_OBJECT PROGRAM ROOT}"
source="$(dirname "$0")/.."
into="$root/opt/fluent-bit-ai"

rm -rf "$root"
mkdir -p "$into/fluent-bit-conf"
install -m 644 "$object" "$into/fluent-bit-ai.so"
install -m 755 "$program" "$into/fluent-bit-ai"
sed -n 's#^ *Path */opt/fluent-bit-ai/##p' "$source/fluent-bit-conf/plugins.conf" | while read -r plugin; do
  ln -s fluent-bit-ai.so "$into/$plugin"
done
grep -v '^#' "$source/fluent-bit-conf/plugins.conf" >"$into/plugins.conf"
chmod 644 "$into/plugins.conf"
install -m 644 "$source"/fluent-bit-conf/* "$into/fluent-bit-conf"
(cd "$source" && find docs -name '*.md' && find deploy -type f) | while read -r page; do
  install -D -m 644 "$source/$page" "$into/$page"
done
install -m 644 "$source/README.md" "$source/ARCHITECTURE.md" "$source/CHANGELOG.md" \
  "$source/CONTRIBUTING.md" "$source/LICENSE" "$into"
