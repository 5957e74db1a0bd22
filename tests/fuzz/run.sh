#!/bin/sh
# Fuzzes each decoder for SECONDS (default 600): sh tests/fuzz/run.sh [SECONDS]
# Needs cargo-fuzz; on a stable toolchain the sanitizer's flags are let through.
set -eu
cd "$(dirname "$0")/../.."
command -v cargo-fuzz >/dev/null 2>&1 || { echo "cargo-fuzz is missing: cargo install cargo-fuzz" >&2; exit 1; }
export RUSTC_BOOTSTRAP=1
for target in otlp_requests json_requests records native_chunks pages; do
  mkdir -p "tests/fuzz/corpus/$target"
  cargo fuzz run --fuzz-dir tests/fuzz "$target" -- -max_total_time="${1:-600}" -max_len=65536 -timeout=25 -rss_limit_mb=4096
done
