#!/bin/sh
# cargo's wrapper of rustc: crates that the profile is of get PROFILE_FLAG, all others are compiled as they
# were, at the sizes that Cargo.toml asks for.
#
# usage: PROFILE_FLAG=-Cprofile-... RUSTC_WRAPPER=packaging/rustc.sh cargo build
case " $* " in
  *" --crate-name fluent_bit_ai_telemetry "* | *" --crate-name serde_json "* | *" --crate-name serde_core "* | \
    *" --crate-name memchr "* | *" --crate-name foldhash "*)
    exec "$@" "$PROFILE_FLAG"
    ;;
esac
exec "$@"
