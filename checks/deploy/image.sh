#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the image on a base made here, without any registry of images, and looks whether the result keeps its promises:
# size, labels, user, no shell; runs on a read-only file system as that user, resolves names, is healthy, is scraped, stops.
# The demo's simulator is built likewise, and is what is scraped. As root, on Debian: buildah, debootstrap.
set -euo pipefail
cd "$(dirname "$0")/../.."
. checks/lib.sh
. checks/deploy/debian.sh
need buildah cargo chroot debootstrap jq rustc unshare
[ "$(id -u)" = 0 ] || fail "run this as root"

cache=$PWD/target/deploy-checks
storage=$cache/storage
mkdir -p "$storage"
containers=()
# Layers that share what is below them, where a file system allows it; else whole copies, some 15 GB.
trial=$storage/trial
mkdir -p "$trial"/{lower,upper,work,merged}
if mount -t overlay -o "lowerdir=$trial/lower,upperdir=$trial/upper,workdir=$trial/work" overlay "$trial/merged" 2>/dev/null; then
    umount "$trial/merged"
    driver=overlay
else
    driver=vfs
fi
run_buildah() { buildah --root "$storage/root" --runroot "$storage/run" --storage-driver "$driver" "$@"; }
build() {
    run_buildah build --isolation chroot --pull-never --layers --format docker --build-arg REVISION=0123456789ab "$@"
}
clean() {
    for container in "${containers[@]}"; do run_buildah rm "$container" >/dev/null || true; done
    # Too much to keep for the next run.
    rm -rf --one-file-system "$storage"
    finish
}
trap clean EXIT

# The compiler's image: Debian with a C compiler, and the Rust that is installed here.
base=$(sed -n 's/^FROM \(docker.io[^ ]*\) AS rust$/\1/p' Dockerfile)
if ! run_buildah inspect --type image "$base" >/dev/null 2>&1; then
    debian_base "$cache"
    mkdir "$work/rust"
    tar --extract --file "$cache/debian.tar" --directory "$work/rust"
    rm -rf "$work/rust"/usr/share/{doc,locale,man}
    toolchain=$(rustc --print sysroot)
    host=$(rustc -vV | sed -n 's/^host: //p')
    mkdir -p "$work/rust/usr/local/lib/rustlib"
    cp "$toolchain"/bin/{cargo,rustc} "$work/rust/usr/local/bin"
    cp "$toolchain"/lib/*.so* "$work/rust/usr/local/lib"
    cp -r "$toolchain/lib/rustlib/$host" "$work/rust/usr/local/lib/rustlib"
    # Whom this machine trusts: there may be a proxy with a certificate authority of its own.
    cp /etc/ssl/certs/ca-certificates.crt "$work/rust/etc/ssl/certs/ca-certificates.crt"
    container=$(run_buildah from --pull-never scratch)
    run_buildah add "$container" "$work/rust" / >/dev/null
    run_buildah config --env PATH=/usr/local/bin:/usr/bin:/bin "$container"
    run_buildah commit --rm --quiet "$container" "$base" >/dev/null
    rm -rf "$work/rust"
fi

echo "build"
build --tag conferencing_exporter:check . >"$work/build" 2>&1 || { tail -n 40 "$work/build"; fail "the build"; }
build --target simulator --tag simulator:check . >"$work/build" 2>&1 || { tail -n 40 "$work/build"; fail "the simulator's build"; }

echo "dependencies are a layer of their own: a change in src does not touch it"
mkdir "$work/context"
git ls-files -z | xargs -0 cp --parents -t "$work/context"
echo '// Changed.' >>"$work/context/src/lib.rs"
build --target dependencies "$work/context" >"$work/again" 2>&1 || { tail -n 40 "$work/again"; fail "the second build"; }
if grep -q 'Compiling' "$work/again"; then fail "the dependencies were built again"; fi

# unpack IMAGE: sets `root` to its file system, and fails unless PROGRAM is all that can be run in it.
unpack() {
    local container
    container=$(run_buildah from --pull-never "$1")
    containers+=("$container")
    root=$(run_buildah mount "$container")
    (cd "$root" && find . -type f -perm /111) >"$work/executables"
    [ "$(cat "$work/executables")" = "$2" ] || { cat "$work/executables"; fail "$1: more than $2 can be run"; }
}

echo "what it is"
config=$(run_buildah inspect --type image conferencing_exporter:check | jq .Docker.config)
[ "$(jq -r .User <<<"$config")" = 65532:65532 ] || fail "it runs as $(jq -r .User <<<"$config")"
[ "$(jq -r '.Healthcheck.Test | join(" ")' <<<"$config")" = "CMD /usr/bin/conferencing_exporter healthcheck" ] || fail "it has no health check"
for label in title description licenses source documentation version revision; do
    [ "$(jq -r ".Labels[\"org.opencontainers.image.$label\"] // empty" <<<"$config")" != "" ] || fail "the label $label is missing"
done
unpack simulator:check ./usr/bin/simulator
simulator=$root
unpack conferencing_exporter:check ./usr/bin/conferencing_exporter
size=$(du --summarize --apparent-size --block-size=1K "$root" | cut -f 1)
echo "$((size / 1024)) MiB"
[ "$size" -lt $((25 * 1024)) ] || fail "it is larger than 25 MiB"

echo "run it"
# In a network and among mounts of its own: no port is taken before, and nothing is left behind.
mapfile -t environment < <(jq -r '.Env // [] | .[]' <<<"$config")
unshare --net --mount checks/deploy/run_image.sh "$root" "$simulator" 0123456789ab "${environment[@]}"
echo "image: ok"
