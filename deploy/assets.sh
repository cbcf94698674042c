#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Writes what the packages ship beside the binary and only the binary knows: the manual page and the completions, to
# target/package. Run it after `cargo build --release`, and before `cargo deb` and `cargo generate-rpm`.
set -euo pipefail
cd "$(dirname "$0")/.."
exporter=target/release/conferencing_exporter
[ -x "$exporter" ] || { echo "$exporter is missing: cargo build --release" >&2; exit 1; }
into=target/package
rm -rf "$into"
mkdir -p "$into"
"$exporter" man >"$into/conferencing_exporter.1"
"$exporter" completions bash >"$into/conferencing_exporter.bash"
"$exporter" completions fish >"$into/conferencing_exporter.fish"
"$exporter" completions zsh >"$into/_conferencing_exporter"
for file in "$into"/*; do
    [ -s "$file" ] || { echo "$file was not written" >&2; exit 1; }
done
