#!/bin/sh
# Installs what a fresh Debian lacks: a C compiler (for the linker and for ring) and make.
set -eu
# A program that runs as root can put a file in its place. Compilers then read what others wrote to it.
if [ ! -c /dev/null ]; then
  { rm -f /dev/null && mknod -m 666 /dev/null c 1 3; } || { echo "/dev/null is no device" >&2; exit 1; }
fi
missing=""
command -v cc >/dev/null 2>&1 || missing="$missing gcc libc6-dev"
command -v make >/dev/null 2>&1 || missing="$missing make"
# shellcheck disable=SC2086 # a list of words
[ -z "$missing" ] || sh "$(dirname "$0")/apt.sh" $missing
