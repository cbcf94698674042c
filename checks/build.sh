# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the checks run. Sourced, not run.

# What is shipped is built as it is shipped. Everything else needs no minutes of linking, and is built in one go: cargo
# builds dependencies once for each set of packages, since their features differ.
build_exporter() { cargo build --release --locked --quiet --bin conferencing_exporter; }
build_demo() { cargo build --profile demo --locked --quiet --package demo --package simulator; }
