#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Boots a Debian with the package in a container, and lets its systemd run the service: started, secrets from credentials,
# scraped, reloaded, a broken file refused, socket activation, stopped. As root, on Debian: debootstrap,
# systemd-container. Run by hand, since it boots a machine:
#
#     checks/deploy/boot.sh conferencing-exporter_0.1.0-1_amd64.deb
set -euo pipefail
package=$(realpath "$1")
cd "$(dirname "$0")/../.."
. checks/lib.sh
need chroot debootstrap systemd-nspawn
[ "$(id -u)" = 0 ] || fail "run this as root"

base=$PWD/target/deploy-checks/debian-systemd.tar
if [ ! -s "$base" ]; then
    mkdir -p "${base%/*}"
    debootstrap --variant=minbase --include=adduser,ca-certificates,curl,dbus,init-system-helpers,procps,systemd,systemd-sysv bookworm "$work/base" >"$work/log" \
        || { tail "$work/log"; fail "debootstrap"; }
    tar --create --one-file-system --file "$base.part" --directory "$work/base" .
    mv "$base.part" "$base"
fi
root=$work/machine
mkdir "$root"
tar --extract --file "$base" --directory "$root"
cp "$package" "$root/package.deb"

cat >"$root/test.sh" <<'TEST'
#!/bin/bash
exec >/result 2>&1
fail() { echo "FAILED: $*"; journalctl --no-pager --unit conferencing_exporter | tail -n 30; exit 1; }
unit=conferencing_exporter
set -x
DEBIAN_FRONTEND=noninteractive dpkg --install /package.deb || fail "installation"
systemctl is-active $unit || fail "not started by its installation"
curl -fsS http://localhost:19680/-/ready || fail "not ready"

# A secret as a credential, a source that uses it.
echo -n swordfish >/etc/conferencing_exporter/secrets/hq-pbx
chmod 600 /etc/conferencing_exporter/secrets/hq-pbx
cat >/etc/conferencing_exporter/exporter.yaml <<YAML
sources:
  - name: hq-pbx
    vendor: yeastar_s
    base_url: http://127.0.0.1:9
    username: api
    password_file: /run/credentials/conferencing_exporter.service/secret_hq-pbx
YAML
systemctl restart $unit || fail "restart"
curl -fsS http://localhost:19680/metrics | grep 'conferencing_up{.*hq-pbx.*} 0' || fail "no source"
curl -fsS http://localhost:19680/metrics/self | grep -E 'process_(resident|start|open)' || fail "no process metrics"
conferencing_exporter check --config.file=/etc/conferencing_exporter/exporter.yaml || fail "check as root, as the README says"

# What it runs as.
pid=$(systemctl show --property MainPID --value $unit)
grep -E '^(Uid|Gid|Groups|CapEff|CapBnd|NoNewPrivs|Seccomp):' "/proc/$pid/status"
[ "$(awk '/^CapBnd/ { print $2 }' "/proc/$pid/status")" = 0000000000000000 ] || fail "capabilities"
[ "$(awk '/^Seccomp:/ { print $2 }' "/proc/$pid/status")" = 2 ] || fail "no filter of system calls"
[ "$(awk '/^Uid/ { print $2 }' "/proc/$pid/status")" -ge 61184 ] || fail "not a dynamic user"

# Reload: a new source appears; a broken file is refused and changes nothing.
sed -i 's/hq-pbx$/new-pbx/' /etc/conferencing_exporter/exporter.yaml
sed -i 's/secret_new-pbx/secret_hq-pbx/' /etc/conferencing_exporter/exporter.yaml
systemctl reload $unit || fail "reload"
sleep 1
curl -fsS http://localhost:19680/sd | grep new-pbx || fail "not reloaded"
[ "$pid" = "$(systemctl show --property MainPID --value $unit)" ] || fail "the reload restarted it"
echo 'sorces: []' >>/etc/conferencing_exporter/exporter.yaml
systemctl reload $unit || fail "reload"
sleep 1
curl -fsS http://localhost:19680/sd | grep new-pbx || fail "the broken reload changed something"
curl -fsS http://localhost:19680/metrics/self | grep '^conferencing_exporter_config_last_reload_successful 0' || fail "the broken reload is not reported"
# A broken file at the start: it says so once and does not try for ever.
systemctl restart $unit && fail "started with a broken file"
sleep 7
[ "$(systemctl show --property NRestarts --value $unit)" = 0 ] || fail "restarted with a broken file"
sed -i '/sorces/d' /etc/conferencing_exporter/exporter.yaml

# Socket activation, as the unit's comment says.
systemctl reset-failed $unit
echo CONFERENCING_EXPORTER_WEB_SYSTEMD_SOCKET=true >>/etc/default/conferencing_exporter
systemctl enable --now conferencing_exporter.socket || fail "socket"
systemctl restart $unit || fail "service with socket"
curl -fsS http://localhost:19680/-/ready || fail "not ready with socket"
systemctl stop $unit
curl -fsS --max-time 10 http://localhost:19680/-/ready || fail "not started by a connection"

start=$(date +%s)
systemctl stop conferencing_exporter.socket $unit || fail "stop"
[ "$(systemctl show --property Result --value $unit)" = success ] || fail "did not stop cleanly"
[ $(($(date +%s) - start)) -lt 5 ] || fail "stopped late"
DEBIAN_FRONTEND=noninteractive dpkg --purge conferencing-exporter || fail "purge"
[ ! -e /etc/conferencing_exporter ] || fail "left /etc/conferencing_exporter behind"
journalctl --no-pager --unit $unit
echo "PASSED"
TEST
chmod +x "$root/test.sh"
cat >"$root/etc/systemd/system/test.service" <<'UNIT'
[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/test.sh
ExecStopPost=/bin/systemctl --no-block poweroff
[Install]
WantedBy=multi-user.target
UNIT
sed -i '/^After=/d' "$root/etc/systemd/system/test.service"
chroot "$root" systemctl enable test.service >/dev/null 2>&1
timeout 180 systemd-nspawn --directory "$root" --boot --private-network --register=no --keep-unit \
    --console=pipe </dev/null >"$work/console" 2>&1 || true
[ -e "$root/result" ] || { tail -n 30 "$work/console"; fail "the machine did not boot"; }
cat "$root/result"
grep -qx PASSED "$root/result" || fail "the service under systemd"
