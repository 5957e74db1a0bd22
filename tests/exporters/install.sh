#!/bin/sh
# Installs the exporters of Python and JavaScript into the folder $1. What the machine has no
# package manager for, or what cannot be fetched, is skipped and said.
set -u
folder=$1
here=$(dirname "$0")
mkdir -p "$folder"

if command -v python3 >/dev/null && python3 -m venv "$folder/venv" &&
    "$folder/venv/bin/pip" install --quiet --requirement "$here/requirements.txt"; then
    "$folder/venv/bin/pip" freeze | grep '^opentelemetry-\(sdk\|exporter\)' | tr '\n' ' '
    echo
else
    rm -rf "$folder/venv"
    echo "skipped: the exporters of Python (needs python3 with venv, and its packages)"
fi

cp "$here/package.json" "$folder/package.json"
if command -v node >/dev/null && command -v npm >/dev/null &&
    (cd "$folder" && npm install --silent --no-audit --no-fund --no-package-lock --ignore-scripts); then
    echo "node $(node --version), $(grep -c otlp- "$here/package.json") exporters of JavaScript"
else
    rm -rf "$folder/node_modules"
    echo "skipped: the exporters of JavaScript (needs node and npm, and their packages)"
fi
