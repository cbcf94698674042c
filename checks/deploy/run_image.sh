#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs the image's file system as a container engine would: read-only, as its user, with its environment and no other,
# with /proc and a few devices, /etc/hosts, /etc/resolv.conf and a configuration. It shall start, resolve names, be healthy,
# be scraped and stop. Part of checks/deploy/image.sh:
#
#     unshare --net --mount checks/deploy/run_image.sh ROOT ROOT-OF-SIMULATOR EXPECTED-REVISION [NAME=VALUE...]
set -euo pipefail
image=$1 simulator=$2 revision=$3 environment=("${@:4}")
. "$(dirname "$0")/../lib.sh"
need chroot curl ip mount python3

ip link set lo up
# What the engine adds must be in the image's own file system before it is read-only.
mkdir -p "$image/proc" "$image/dev" "$image/etc/conferencing_exporter"
echo 'nameserver 127.0.0.153' >"$image/etc/resolv.conf"
echo '127.0.0.1 localhost pbx.hosts' >"$image/etc/hosts"
# One by its address, one by /etc/hosts, one by DNS.
sed 's|http://127.0.0.1:19682|http://pbx.hosts:19682|; s|http://127.0.0.1:19683|http://pbx.example:19683|' exporter.yaml \
    >"$image/etc/conferencing_exporter/exporter.yaml"
chmod 0644 "$image/etc/conferencing_exporter/exporter.yaml"
for device in null random urandom; do touch "$image/dev/$device"; done
# Never below $work: what is mounted there would be removed at the end.
mount --bind "$image" "$image"
mount -o remount,bind,ro,nosuid,nodev "$image"
mount -t proc proc "$image/proc"
for device in null random urandom; do mount --bind "/dev/$device" "$image/dev/$device"; done

cat >"$work/dns.py" <<'PYTHON'
# Answers 127.0.0.1 to every question of type A, and nothing to others.
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.153", 53))
print("ready", flush=True)
while True:
    query, client = server.recvfrom(512)
    question = query[12:query.index(0, 12) + 5]
    answer = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4\x7f\0\0\1" if question[-4:-2] == b"\0\1" else b""
    head = query[:2] + b"\x81\x80\0\1" + (b"\0\1" if answer else b"\0\0") + b"\0\0\0\0"
    server.sendto(head + question + answer, client)
PYTHON
python3 "$work/dns.py" >"$work/dns" &
pids+=("$!")
chroot --userspec=65532:65532 "$simulator" /usr/bin/simulator >"$work/simulator" &
pids+=("$!")
wait_for "the name server" "grep -q ready $work/dns"
wait_for "the simulator" "grep -q ^control $work/simulator"

inside=(env --ignore-environment "${environment[@]}" "$(command -v chroot)" --userspec=65532:65532 "$image" /usr/bin/conferencing_exporter)
"${inside[@]}" --version | grep -q "revision $revision" || fail "it does not know its revision"
"${inside[@]}" healthcheck >/dev/null 2>&1 && fail "it is healthy before it runs"
"${inside[@]}" 2>"$work/log" &
running=$!
pids+=("$running")
wait_for "the exporter" "curl -fsS $exporter/-/ready" "$work/log"
"${inside[@]}" healthcheck || fail "it is not healthy"
"${inside[@]}" check --live >"$work/check" 2>&1 || { cat "$work/check"; fail "check --live"; }
curl -fsS "$exporter/metrics" >"$work/metrics"
[ "$(grep -c '^conferencing_up{.*} 1$' "$work/metrics")" = "$(watched)" ] || { grep '^conferencing_up' "$work/metrics"; cat "$work/log"; fail "not all sources are up"; }
grep '^process_resident_memory_bytes' "$work/metrics"
kill -TERM "$running"
wait "$running" || { cat "$work/log"; fail "it did not stop cleanly"; }
