#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs, upgrades, removes and purges the Debian package in a throw-away Debian. Run by checks/deploy.sh, as root.
#
#     checks/deploy/install_deb.sh PACKAGE NEWER-PACKAGE CACHE-FOLDER
set -euo pipefail
package=$(realpath "$1") newer=$(realpath "$2") cache=$3
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/debian.sh"
need debootstrap chroot

debian_base "$cache"
root=$work/root
mkdir "$root"
tar --extract --file "$cache/debian.tar" --directory "$root"
cp "$package" "$root/package.deb"
cp "$newer" "$root/newer.deb"
run() { chroot "$root" env DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }
mode() { run stat --format '%a %U:%G' "$1"; }
expect() { [ "$2" = "$3" ] || fail "$1: $2, expected $3"; }

# Everything that a package may leave behind anywhere.
everything() { (cd "$root" && find . -xdev ! -path './proc/*' ! -path './run/*' ! -path './var/lib/dpkg/*' ! -path './var/log/*' ! -path './*.deb' | sort); }
everything >"$work/before"

run dpkg --install /package.deb >"$work/dpkg" 2>&1 || { cat "$work/dpkg"; fail "installation"; }
config=/etc/conferencing_exporter/exporter.yaml
expect "$config" "$(mode $config)" "640 root:conferencing-exporter"
expect secrets "$(mode /etc/conferencing_exporter/secrets)" "700 root:root"
run conferencing_exporter --version >/dev/null || fail "the installed binary does not run"
run conferencing_exporter check --config.file=$config >/dev/null || fail "the shipped configuration is refused"
for path in /usr/share/man/man1/conferencing_exporter.1.gz /usr/share/bash-completion/completions/conferencing_exporter \
    /usr/share/conferencing_exporter/dashboards/conferencing-overview.json /usr/share/conferencing_exporter/prometheus/alerts.yaml; do
    [ -s "$root$path" ] || fail "$path is not installed"
done
[ -L "$root/etc/systemd/system/multi-user.target.wants/conferencing_exporter.service" ] || fail "the service is not enabled"

# An upgrade keeps what the administrator wrote, without a question, and so does removal.
echo '# ours' >>"$root$config"
touch "$root/etc/conferencing_exporter/secrets/hq-pbx"
run dpkg --install /newer.deb >"$work/dpkg" 2>&1 || { cat "$work/dpkg"; fail "upgrade"; }
grep -q '^# ours' "$root$config" || fail "the upgrade replaced the configuration"
expect "$config after the upgrade" "$(mode $config)" "640 root:conferencing-exporter"
run dpkg --remove conferencing-exporter >"$work/dpkg" 2>&1 || { cat "$work/dpkg"; fail "removal"; }
grep -q '^# ours' "$root$config" || fail "the removal took the configuration away"
[ -e "$root/etc/conferencing_exporter/secrets/hq-pbx" ] || fail "the removal took the secrets away"
run dpkg --install /newer.deb >"$work/dpkg" 2>&1 || { cat "$work/dpkg"; fail "installation after removal"; }
run dpkg --purge conferencing-exporter >"$work/dpkg" 2>&1 || { cat "$work/dpkg"; fail "purge"; }
if grep -qi 'warning\|error' "$work/dpkg"; then cat "$work/dpkg"; fail "the purge complains"; fi
everything >"$work/after"
# adduser keeps copies of the files it edits.
diff "$work/before" "$work/after" | grep '^[<>]' | grep -v '/etc/[a-z]*-$' >"$work/left" || true
[ ! -s "$work/left" ] || { cat "$work/left"; fail "the purge left something behind"; }
run getent group conferencing-exporter >/dev/null && fail "the purge left the group behind"
echo "installed, upgraded, removed, purged"
