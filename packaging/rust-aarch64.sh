#!/bin/sh
# Prints the rustc that can build for aarch64: the one that is there, if its standard library for
# aarch64 is there or rustup brings it; otherwise that of Debian's security suite (rustc-web), unpacked
# into FOLDER without a change of the system.
#
# usage: packaging/rust-aarch64.sh FOLDER
set -eu
folder="${1:?usage: $0 FOLDER}"
target=aarch64-unknown-linux-gnu
version="$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$(dirname "$0")/../Cargo.toml")"

has_std() {
  [ -d "$("$1" --print sysroot 2>/dev/null)/lib/rustlib/$target/lib" ]
}

if has_std rustc; then echo rustc; exit 0; fi
if command -v rustup >/dev/null 2>&1 && rustup target add "$target" >&2 && has_std rustc; then
  echo rustc
  exit 0
fi
if [ -x "$folder/rustc" ] && has_std "$folder/rustc"; then echo "$folder/rustc"; exit 0; fi

wanted="Rust $version or later with the standard library for $target"
missing() {
  echo "missing: $wanted." >&2
  echo "$1" >&2
  echo "Where rustup reaches its server: rustup target add $target." >&2
  exit 1
}
command -v apt-get >/dev/null 2>&1 || missing "rustup did not bring it, and there is no apt-get for Debian's."
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -r "$keyring" ] || missing "rustup did not bring it, and this is no Debian: $keyring is not here."

# Lists, cache and status of its own, so that the system's packages stay as they are.
apt="$folder/apt"
mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$apt/parts" "$folder/root"
apt="$(realpath "$apt")"
: >"$apt/status"
# The mirrors that the system has for Debian itself, for both architectures.
sources() {
  apt-get indextargets --format "deb [signed-by=$keyring] \$(REPO_URI) \$(RELEASE) \$(COMPONENT)" \
    'Created-By: Packages' 'Origin: Debian' | sort -u
}
[ -n "$(sources)" ] || apt-get update -qq >&2 || true
sources >"$apt/sources.list"
cat >"$apt/apt.conf" <<END
APT::Architecture "amd64";
APT::Architectures { "amd64"; "arm64"; };
APT::Sandbox::User "root";
Dir::State::Lists "$apt/lists";
Dir::State::status "$apt/status";
Dir::Cache "$apt";
Dir::Cache::archives "$apt/archives";
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "$apt/parts";
Dir::Etc::preferences "$apt/preferences";
Dir::Etc::preferencesparts "$apt/parts";
END
export APT_CONFIG="$apt/apt.conf"
apt-get update -qq >&2 || missing "Debian's package lists could not be had."
# Names carry versions: what rustc-web depends on is asked for.
needs() {
  apt-cache depends "$1" | sed -n "s/^ *Depends: \($2[^ ]*\).*/\1/p" | head -n 1
}
std="$(needs libstd-rust-web-dev:amd64 libstd-rust-web-)"
[ -n "$std" ] || missing "Debian's lists have no rustc-web."
llvm="$(needs "$std" libllvm)"
# What a small system may lack of the libraries that LLVM needs.
libraries="$(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks \
  --no-replaces --no-enhances "$llvm" | grep -E '^(lib|zlib)' | grep -vE ':|^lib(c6|crypt1|gcc-s1)$' | sort -u)"
# shellcheck disable=SC2086 # a list of words
(cd "$apt/archives" && rm -f ./*.deb && apt-get download -qq rustc-web:amd64 "$std" "$llvm" $libraries \
  libstd-rust-web-dev:amd64 libstd-rust-web-dev:arm64 >&2) || missing "Debian's rustc-web could not be had."
for package in "$apt"/archives/*.deb; do dpkg-deb -x "$package" "$folder/root"; done
rm -f "$apt"/archives/*.deb
root="$(realpath "$folder/root")"
cat >"$folder/rustc" <<END
#!/bin/sh
LD_LIBRARY_PATH="$root/usr/lib/x86_64-linux-gnu:$root/lib/x86_64-linux-gnu\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}" exec "$root/usr/bin/rustc" "\$@"
END
chmod +x "$folder/rustc"
has_std "$folder/rustc" || missing "Debian's rustc-web came without it."
found="$("$folder/rustc" --version | cut -d' ' -f2)"
[ "$(printf '%s\n' "$version" "$found" | sort -V | head -n 1)" = "$version" ] || missing "Debian's rustc-web is $found."
echo "$folder/rustc"
