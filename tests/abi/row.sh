#!/bin/sh
# Prints a row for hosts.toml from a fixture that tests/abi/probe.sh wrote.
#
# usage: tests/abi/row.sh FIXTURE MACHINE
set -eu

awk -v machine="${2:?usage: $0 FIXTURE MACHINE}" '
    $1 == "release" {
        print "[[row]]"
        print "machine = \"" machine "\""
        print "first = \"" $2 "\""
        print "last = \"" $2 "\""
        next
    }
    {
        split($1, name, ".")
        if (name[1] != structure) {
            structure = name[1]
            print "\n[row." structure "]"
        }
        print name[2] " = " $2
    }
' "$1"
