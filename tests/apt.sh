#!/bin/sh
# Installs Debian's packages, or says that they are missing where that cannot be done.
#
# usage: tests/apt.sh [--no-install-recommends] PACKAGE...
set -eu
recommends=""
[ "$1" != --no-install-recommends ] || { recommends="$1"; shift; }
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
  echo "missing on this machine: $*; install them and try again" >&2
  exit 1
fi
apt-get update -qq
# shellcheck disable=SC2086 # an option or nothing
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $recommends "$@"
