#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A short run of each fuzz target: the committed corpus and some seconds of inputs made from it.
# fuzz/README.md has the long run. FUZZ_SECONDS: how long each target runs.
set -euo pipefail
cd "$(dirname "$0")/../fuzz"

# What is built at the top anyway is built once.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/../target} RUSTC_WRAPPER=$PWD/rustc.sh
cargo build --locked --quiet --bins

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for target in fuzz_targets/*.rs; do
    target=$(basename "$target" .rs)
    mkdir -p "$work/$target" artifacts
    printf '%-18s' "$target"
    if ! "$CARGO_TARGET_DIR/debug/$target" -seed=1 -max_total_time="${FUZZ_SECONDS:-10}" \
        -timeout=10 -rss_limit_mb=1024 -malloc_limit_mb=256 -max_len=65536 -print_final_stats=1 \
        -artifact_prefix="artifacts/$target-" "$work/$target" "corpus/$target" >"$work/log" 2>&1
    then
        tail -n 40 "$work/log"
        echo "FAILED: $target; the input is in fuzz/artifacts" >&2
        exit 1
    fi
    awk '/^stat::number_of_executed_units:/ { print $2 " inputs" }' "$work/log"
done
echo "fuzz: ok"
