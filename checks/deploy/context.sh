#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The Dockerfile without building it: images pinned, the context complete, and the emptied sources of the dependency layer
# a workspace that cargo accepts. Building and running it: checks/deploy/image.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."
. checks/lib.sh
need cargo git python3

grep -q '^USER 65532:65532$' Dockerfile || fail "the image runs as root"
grep '^FROM' Dockerfile | awk '{ print $2 }' | grep -Ev '^(rust|skeleton|dependencies|build|build-simulator|scratch)$' \
    | while read -r image; do
        [[ "$image" =~ :[0-9]+\.[0-9]+ ]] || fail "the image $image is not pinned"
    done
# The compiler of the image is at least the one the code asks for.
wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
used=$(sed -n 's|^FROM docker.io/library/rust:\([0-9.]*\)-.*|\1|p' Dockerfile)
[ "$(printf '%s\n' "$wanted" "$used" | sort -V | head -n 1)" = "$wanted" ] || fail "the image's Rust $used is older than $wanted"

# What the .dockerignore lets through: its exceptions, less what it excludes again.
mkdir "$work/build"
sed -n 's/^!//p' .dockerignore | while read -r path; do
    if [ -e "$path" ]; then cp -r --parents "$path" "$work/build"; fi
done
find "$work/build" -name '*.md' -delete
find "$work/build" -depth -type d -name tests -exec rm -r {} +
cd "$work/build"
cargo metadata --locked --offline --no-deps --format-version 1 >/dev/null || fail "the image's context lacks a target"

# The skeleton stage's own commands.
skeleton=$(sed -n '/^FROM rust AS skeleton/,/^FROM rust AS dependencies/p' "$OLDPWD/Dockerfile" | sed -n '/^RUN /,/^$/p' | sed 's/^RUN //')
sh -ec "$skeleton"
cargo metadata --locked --offline --no-deps --format-version 1 >/dev/null || fail "the emptied sources lack a target"
if grep -rLx 'fn main() {}' --include='*.rs' . | grep -q .; then fail "a source is not emptied"; fi
