#!/usr/bin/env bash
# Builds the image on a base made here, without any registry of images, and looks whether the result keeps its promises:
# size, labels, user, no shell; runs on a read-only file system as that user, resolves names, is healthy, is scraped, stops.
# As root, on Debian: buildah, debootstrap. It builds everything a second time, so it is run by hand:
#
#     nice checks/deploy/image.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
. checks/lib.sh
need buildah cargo chroot curl debootstrap jq python3
[ "$(id -u)" = 0 ] || fail "run this as root"

storage=$PWD/target/deploy-checks/storage
mkdir -p "$storage"
run_buildah() { buildah --root "$storage/root" --runroot "$storage/run" --storage-driver vfs "$@"; }
build() {
    run_buildah build --isolation chroot --pull-never --layers --format docker --build-arg REVISION=0123456789ab "$@"
}

# The compiler's image: Debian with a C compiler, and the Rust that is installed here.
base=$(sed -n 's/^FROM \(docker.io[^ ]*\) AS rust$/\1/p' Dockerfile)
if ! run_buildah inspect --type image "$base" >/dev/null 2>&1; then
    debootstrap --variant=minbase --include=ca-certificates,gcc,libc6-dev bookworm "$work/base" >"$work/log" \
        || { tail "$work/log"; fail "debootstrap"; }
    toolchain=$(rustc --print sysroot)
    mkdir -p "$work/base/usr/local/lib/rustlib"
    cp "$toolchain"/bin/{cargo,rustc} "$work/base/usr/local/bin"
    cp "$toolchain"/lib/*.so* "$work/base/usr/local/lib"
    host=$(rustc -vV | sed -n 's/^host: //p')
    cp -r "$toolchain/lib/rustlib/$host" "$work/base/usr/local/lib/rustlib"
    # Whom this machine trusts: there may be a proxy with a certificate authority of its own.
    cp /etc/ssl/certs/ca-certificates.crt "$work/base/etc/ssl/certs/ca-certificates.crt"
    container=$(run_buildah from --pull-never scratch)
    run_buildah add "$container" "$work/base" / >/dev/null
    run_buildah config --env PATH=/usr/local/bin:/usr/bin:/bin "$container"
    run_buildah commit --rm --quiet "$container" "$base" >/dev/null
    rm -rf "$work/base"
fi

echo "build"
build --tag conferencing_exporter:check . >"$work/build" 2>&1 || { tail -n 40 "$work/build"; fail "the build"; }

echo "dependencies are a layer of their own: a change in src does not touch it"
mkdir "$work/context"
git ls-files -z | xargs -0 cp --parents -t "$work/context"
cp Dockerfile .dockerignore "$work/context"
echo '// Changed.' >>"$work/context/src/lib.rs"
build --target dependencies "$work/context" >"$work/again" 2>&1 || { tail -n 40 "$work/again"; fail "the second build"; }
if grep -q 'Compiling' "$work/again"; then fail "the dependencies were built again"; fi

echo "what it is"
config=$(run_buildah inspect --type image conferencing_exporter:check | jq .Docker.config)
[ "$(jq -r .User <<<"$config")" = 65532:65532 ] || fail "it runs as $(jq -r .User <<<"$config")"
[ "$(jq -r '.Healthcheck.Test | join(" ")' <<<"$config")" = "CMD /usr/bin/conferencing_exporter healthcheck" ] || fail "it has no health check"
for label in title description licenses source documentation version revision; do
    [ "$(jq -r ".Labels[\"org.opencontainers.image.$label\"] // empty" <<<"$config")" != "" ] || fail "the label $label is missing"
done
container=$(run_buildah from --pull-never conferencing_exporter:check)
root=$(run_buildah mount "$container")
size=$(du --summarize --apparent-size --block-size=1K "$root" | cut -f 1)
echo "$((size / 1024)) MiB"
[ "$size" -lt $((25 * 1024)) ] || fail "it is larger than 25 MiB"
(cd "$root" && find . -type f -perm /111) >"$work/executables"
[ "$(cat "$work/executables")" = ./usr/bin/conferencing_exporter ] || { cat "$work/executables"; fail "more than the exporter can be run"; }

echo "run it"
# What a container engine adds: /proc, /dev/urandom, /etc/hosts, /etc/resolv.conf, the configuration; all else is read-only.
cat >"$work/dns.py" <<'PYTHON'
# Answers 127.0.0.1 to every question of type A, and nothing to others.
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.153", 53))
while True:
    query, client = server.recvfrom(512)
    question = query[12:query.index(0, 12) + 5]
    answer = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4\x7f\0\0\1" if question[-4:-2] == b"\0\1" else b""
    head = query[:2] + b"\x81\x80\0\1" + (b"\0\1" if answer else b"\0\0") + b"\0\0\0\0"
    server.sendto(head + question + answer, client)
PYTHON
python3 "$work/dns.py" &
pids+=("$!")
cargo build --release --locked --quiet --package simulator
target/release/simulator >"$work/simulator" &
pids+=("$!")
mkdir -p "$root/proc" "$root/dev" "$root/etc/conferencing_exporter"
touch "$root/dev/urandom"
echo 'nameserver 127.0.0.153' >"$root/etc/resolv.conf"
echo '127.0.0.1 localhost pbx.hosts' >"$root/etc/hosts"
# One by its address, one by /etc/hosts, one by DNS.
sed 's|http://127.0.0.1:19682|http://pbx.hosts:19682|; s|http://127.0.0.1:19683|http://pbx.example:19683|' exporter.yaml \
    >"$root/etc/conferencing_exporter/exporter.yaml"
chmod 0644 "$root/etc/conferencing_exporter/exporter.yaml"
mkdir "$work/root"
mount --bind "$root" "$work/root"
mount -o remount,bind,ro,nosuid,nodev "$work/root"
mount -t proc proc "$work/root/proc"
mount --bind /dev/urandom "$work/root/dev/urandom"
clean() {
    finish_pids=("${pids[@]}"); pids=()
    for pid in "${finish_pids[@]}"; do kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; done
    umount "$work/root/dev/urandom" "$work/root/proc" "$work/root" 2>/dev/null || true
    run_buildah umount "$container" >/dev/null || true
    run_buildah rm "$container" >/dev/null || true
    finish
}
trap clean EXIT
inside() {
    env --ignore-environment CONFERENCING_EXPORTER_CONFIG_FILE=/etc/conferencing_exporter/exporter.yaml \
        "$(command -v chroot)" --userspec=65532:65532 "$work/root" /usr/bin/conferencing_exporter "$@"
}
wait_for "the simulator" "curl -fsS http://127.0.0.1:19690/ || grep -q control $work/simulator"
inside --version | grep -q 'revision 0123456789ab' || fail "it does not know its revision"
inside healthcheck >/dev/null 2>&1 && fail "it is healthy before it runs"
inside --web.listen-address=127.0.0.1:19680 2>"$work/log" &
chrooted=$!
pids+=("$chrooted")
wait_for "the exporter" "curl -fsS $exporter/-/ready" || { cat "$work/log"; exit 1; }
inside healthcheck || fail "it is not healthy"
curl -fsS "$exporter/metrics" >"$work/metrics"
[ "$(grep -c '^conferencing_up{.*} 1$' "$work/metrics")" = 5 ] || { grep '^conferencing_up' "$work/metrics"; cat "$work/log"; fail "not all five are up"; }
grep '^process_resident_memory_bytes' "$work/metrics"
kill -TERM "$chrooted"
wait "$chrooted" || { cat "$work/log"; fail "it did not stop cleanly"; }
echo "image: ok"
