#!/bin/sh
# Runs a test program with as many tests at a time as suit it: those of hosts wait most of their time, for
# each other too (tools/testkit/src/places.rs); all others compute.
#
# usage: tests/threads.sh PROGRAM [ARGUMENT...]      (what cargo calls a runner)
set -eu
case "${1##*/}" in
hosts-*) threads=32 ;;
*) threads=3 ;;
esac
RUST_TEST_THREADS="${RUST_TEST_THREADS:-$threads}" exec "$@"
