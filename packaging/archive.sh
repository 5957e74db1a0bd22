#!/bin/sh
# Writes a tar of FOLDER's entries to standard output: the same bytes for the same files, whoever
# makes it and when. SOURCE_DATE_EPOCH is the time of every entry.
#
# usage: packaging/archive.sh FOLDER [TAR_OPTION...]
set -eu
folder="${1:?usage: $0 FOLDER [TAR_OPTION...]}"
shift
cd "$folder"
find . -mindepth 1 -maxdepth 1 -printf '%P\0' | sort -z | tar --create --format=gnu --sort=name --mtime="@${SOURCE_DATE_EPOCH:-0}" \
  --owner=0 --group=0 --numeric-owner --mode=u+rw,go+r,go-w --null --files-from=- "$@"
