#!/bin/sh
# Runs the whole pipeline on the bundled host under valgrind's memcheck, with load on it, and fails
# if memcheck finds an error. Stacks that we switch to are announced to nobody, so the limit for
# what counts as a switch of stacks is set low enough for stacks that lie close together.
set -eu
command -v valgrind >/dev/null 2>&1 || { echo "valgrind is not installed" >&2; exit 1; }
target="${CARGO_TARGET_DIR:-target}"
folder="$(mktemp -d)"
trap 'kill "$sink" 2>/dev/null || true; rm -rf "$folder"' EXIT
sed "s#/opt/fluent-bit-ai#$folder#" fluent-bit-conf/plugins.conf >"$folder/plugins.conf"
sed -n 's#^ *Path /opt/fluent-bit-ai/##p' fluent-bit-conf/plugins.conf | while read -r plugin; do
  ln -s "$(realpath "$target/release/libfluent_bit_ai.so")" "$folder/$plugin"
done
tool="$target/release/otlp-tool"
http="${MEMCHECK_PORT:-28318}"
sink_port=$((http + 1))
"$tool" sink --port "$sink_port" --seconds 600 >"$folder/sink" &
sink=$!
sed -e "s#/opt/fluent-bit-ai#$folder#; s#4318#$http#; s#grpc_port: 4317#grpc_port: 0#" \
    -e "s#decision_wait: 10s#decision_wait: 1s#" \
    -e "s#127.0.0.1:1$http#127.0.0.1:$sink_port#; s#127.0.0.1:24317#127.0.0.1:$sink_port#" \
    fluent-bit-conf/pipeline.yaml >"$folder/pipeline.yaml"
valgrind --tool=memcheck --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite \
  --max-stackframe=262144 --log-file="$folder/valgrind" \
  "$target/release/flb-host" -c "$folder/pipeline.yaml" >"$folder/host" 2>&1 &
host=$!
tries=0
# The tool ends well too where nobody listened.
until "$tool" load --port "$http" --items 128 2>&1 | grep -q '"accepted":128,'; do
  tries=$((tries + 1))
  [ "$tries" -lt 60 ] && kill -0 "$host" 2>/dev/null || { cat "$folder/host" "$folder/valgrind"; exit 1; }
  sleep 1
done
"$tool" load --port "$http" --items 2560
"$tool" load --port "$http" --shape logs --items 2560
"$tool" load --port "$http" --shape metrics --items 2560
sleep 3
kill -TERM "$host"
code=0
wait "$host" || code=$?
tail -n 15 "$folder/valgrind"
tail -n 1 "$folder/sink"
[ "$code" = 0 ] || { cat "$folder/valgrind"; tail -n 20 "$folder/host"; echo "memcheck: exit $code" >&2; exit 1; }
echo "memcheck: no errors"
