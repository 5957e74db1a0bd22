#!/bin/sh
# Installs backends that speak OTLP into the folder $1, from Python's packages: rotel and MLflow, and
# Phoenix, which is large, if $2 is not empty. What cannot be had on this machine is skipped and said.
set -u
folder=$1
here=$(dirname "$0")
mkdir -p "$folder"

if command -v python3 >/dev/null && python3 -m venv "$folder/venv" &&
    "$folder/venv/bin/pip" install --quiet --requirement "$here/requirements.txt"; then
    "$folder/venv/bin/pip" freeze | grep -E '^(rotel|mlflow-skinny)=' | tr '\n' ' '
    echo
else
    rm -rf "$folder/venv"
    echo "skipped: rotel and MLflow (needs python3 with venv, and their packages)"
fi

if [ -n "${2:-}" ] && [ -d "$folder/venv" ]; then
    if "$folder/venv/bin/pip" install --quiet --requirement "$here/requirements.txt" \
        --requirement "$here/requirements-phoenix.txt"; then
        "$folder/venv/bin/pip" freeze | grep '^arize-phoenix='
    else
        echo "skipped: Phoenix (its packages cannot be fetched)"
    fi
fi
