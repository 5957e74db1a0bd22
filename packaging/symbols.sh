#!/bin/sh
# Fails, and names the symbols, if a shared object or program needs a newer glibc than VERSION, or a
# library beside those of glibc.
#
# usage: packaging/symbols.sh FILE VERSION
set -eu
file="${1:?usage: $0 FILE VERSION}"
limit="${2:?usage: $0 FILE VERSION}"
table="$(objdump -T "$file")"
needed="$(echo "$table" | grep -o 'GLIBC_[0-9.]*.*' | tr -d '()' | sort -u)"
[ -n "$needed" ] || { echo "$file: no versioned symbol was found" >&2; exit 1; }
newest="$(echo "$needed" | sed 's/^GLIBC_//; s/ .*//' | sort -V | tail -n 1)"
wrong=0
if [ "$(printf '%s\n%s\n' "$newest" "$limit" | sort -V | tail -n 1)" != "$limit" ]; then
  echo "$file needs GLIBC_$newest, more than $limit:" >&2
  echo "$needed" | while read -r version symbol; do
    [ "$(printf '%s\n%s\n' "${version#GLIBC_}" "$limit" | sort -V | tail -n 1)" = "$limit" ] \
      || echo "  $symbol ($version)" >&2
  done
  wrong=1
fi
for library in $(objdump -p "$file" | sed -n 's/^ *NEEDED *//p'); do
  case "$library" in
    libc.so.6 | libm.so.6 | libdl.so.2 | libpthread.so.0 | librt.so.1 | libutil.so.1 | ld-linux-*.so.*) ;;
    *) echo "$file needs $library, which is not of glibc" >&2; wrong=1 ;;
  esac
done
[ "$wrong" = 0 ] && echo "$file: GLIBC_$newest"
exit "$wrong"
