#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs an arm64 binary in an emulator against the simulator. Part of checks/deploy/arm64.sh, in a network of its own:
#
#     unshare --net checks/deploy/run_arm64.sh BINARY SIMULATOR
set -euo pipefail
binary=$1 simulator=$2
. "$(dirname "$0")/../lib.sh"
need curl ip qemu-aarch64-static

ip link set lo up
emulated() { qemu-aarch64-static "$binary" "$@"; }
emulated --version
# The example's secrets are in it: only its owner may read it.
install -m 0600 exporter.yaml "$work/exporter.yaml"
"$simulator" >"$work/simulator" &
pids+=("$!")
wait_for "the simulator" "grep -q ^control $work/simulator"
emulated check --config.file="$work/exporter.yaml" --live >"$work/check" 2>&1 || { cat "$work/check"; fail "check --live"; }
qemu-aarch64-static "$binary" --config.file="$work/exporter.yaml" 2>"$work/log" &
running=$!
pids+=("$running")
wait_for "the exporter" "curl -fsS $exporter/-/ready" "$work/log"
emulated healthcheck || fail "it is not healthy"
curl -fsS "$exporter/metrics" >"$work/metrics"
[ "$(grep -c '^conferencing_up{.*} 1$' "$work/metrics")" = "$(watched)" ] || { grep '^conferencing_up' "$work/metrics"; cat "$work/log"; fail "not all sources are up"; }
echo "$(grep -vc '^#' "$work/metrics") samples"
kill -TERM "$running"
wait "$running" || { cat "$work/log"; fail "it did not stop cleanly"; }
