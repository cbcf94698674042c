#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the exporter for arm64 on another machine, static as in the image, with the cross compilers of a throw-away
# Debian; runs it in an emulator, and lets it ask simulated systems. As root, on Debian: debootstrap, qemu-user-static. Run
# by hand, since it builds everything once more:
#
#     nice checks/deploy/arm64.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
. checks/lib.sh
. checks/deploy/debian.sh
need cargo chroot curl debootstrap ip qemu-aarch64-static unshare
[ "$(id -u)" = 0 ] || fail "run this as root"

target=aarch64-unknown-linux-gnu
cache=$PWD/target/deploy-checks
root=$cache/arm64
into() { chroot "$root" env DEBIAN_FRONTEND=noninteractive HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }
if [ ! -e "$root/ready" ]; then
    debian_base "$cache"
    rm -rf --one-file-system "$root"
    mkdir "$root"
    tar --extract --file "$cache/debian.tar" --directory "$root"
    rm "$root/etc/apt/sources.list"
    # Debian's newer Rust comes with its security updates.
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources; do
        if [ -s "$file" ]; then cp "$file" "$root/$file"; fi
    done
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    into dpkg --add-architecture arm64
    into apt-get update -qq
    into apt-get install -y -qq --no-install-recommends cargo-web rustc-web libstd-rust-web-dev:arm64 gcc-aarch64-linux-gnu libc6-dev-arm64-cross >"$work/apt" 2>&1 \
        || { tail -n 20 "$work/apt"; fail "the cross compilers"; }
    touch "$root/ready"
fi

echo "build"
rm -rf --one-file-system "$root/build"
mkdir -p "$root/build" "$root/target"
git ls-files -z | xargs -0 cp --parents -t "$root/build"
cargo vendor --locked --quiet "$root/vendor" >"$work/vendor"
mkdir -p "$root/build/.cargo"
cat >"$root/build/.cargo/config.toml" <<'TOML'
[source.crates-io]
replace-with = "vendored"
[source.vendored]
directory = "/vendor"
TOML
into env --chdir=/build CARGO_TARGET_DIR=/target CARGO_BUILD_TARGET=$target RUSTFLAGS="-C target-feature=+crt-static" \
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc \
    cargo build --release --locked --offline --bin conferencing_exporter >"$work/build" 2>&1 || { tail -n 40 "$work/build"; fail "the build"; }
binary=$root/target/$target/release/conferencing_exporter
ls -l "$binary" | awk '{ printf "%.1f MiB\n", $5 / 1048576 }'

echo "run it"
cargo build --release --locked --quiet --package simulator
unshare --net checks/deploy/run_arm64.sh "$binary" target/release/simulator
echo "arm64: ok"
