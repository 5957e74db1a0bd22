#!/bin/sh
# Installs the types of Grafana's dashboards, and a compiler for them, into the folder $1 (npm). What the machine has
# no package manager for, or what cannot be fetched, ends it with a line.
set -u
folder=$1
mkdir -p "$folder"
cp "$(dirname "$0")/package.json" "$folder/package.json"
if command -v node >/dev/null && command -v npm >/dev/null &&
    (cd "$folder" && npm install --silent --no-audit --no-fund --no-package-lock --ignore-scripts); then
    echo "@grafana/schema $(sed -n 's/.*"@grafana\/schema": "\(.*\)".*/\1/p' "$folder/package.json")"
else
    echo "the types of Grafana's dashboards cannot be installed: that needs node and npm, and their packages" >&2
    exit 1
fi
