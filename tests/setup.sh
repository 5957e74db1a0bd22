#!/bin/sh
# Installs what a fresh Debian lacks: a C compiler (for the linker and for ring) and make.
set -eu
missing=""
command -v cc >/dev/null 2>&1 || missing="$missing gcc libc6-dev"
command -v make >/dev/null 2>&1 || missing="$missing make"
# shellcheck disable=SC2086 # a list of words
[ -z "$missing" ] || sh "$(dirname "$0")/apt.sh" $missing
