#!/usr/bin/env bash
# Writes what the packages ship beside the binary and only the binary knows: the manual page and the completions, to
# target/package. Run it before `cargo deb` and `cargo generate-rpm`.
set -euo pipefail
cd "$(dirname "$0")/.."
into=target/package
rm -rf "$into"
mkdir -p "$into"
cargo run --locked --quiet --example manual -- "$into"
for file in conferencing_exporter.1 conferencing_exporter.bash _conferencing_exporter conferencing_exporter.fish; do
    [ -s "$into/$file" ] || { echo "$into/$file was not written" >&2; exit 1; }
done
