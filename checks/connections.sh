#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Connections for which it takes more than Rust: a host name of whose addresses one swallows packets, a name server that does not
# answer, and servers whose TLS the exporter's library does not speak, by OpenSSL. In network namespaces of its own, as root.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "${1:-}" != inside ]; then
    . checks/build.sh
    build_exporter
    build_demo
    outside=()
    [ "$(id -u)" = 0 ] || outside=(sudo --preserve-env)
    exec "${outside[@]}" unshare --net --mount "$0" inside
fi

. checks/lib.sh
need curl ip nsenter openssl unshare
ip link set lo up
binary=${CONNECTIONS_EXPORTER:-target/release/conferencing_exporter}
simulator=${CONNECTIONS_SIMULATOR:-target/demo/simulator}

# source URL [LINE...]: a configuration with one source.
source_at() {
    printf 'sources:\n  - name: pbx\n    vendor: yeastar_s\n    base_url: %s\n' "$1"
    printf '    username: api\n    password: demo-password-not-secret\n'
    shift
    [ "$#" = 0 ] || printf '    %s\n' "$@"
}

# says WORDS URL [LINE...]: `check --live` of that source says so.
says() {
    local words=$1 said
    shift
    (umask 077 && source_at "$@" >"$work/exporter.yaml")
    said=$("$binary" check --live --config.file "$work/exporter.yaml" 2>&1) || true
    grep -qF "$words" <<<"$said" || { echo "$said" >&2; fail "does not say \"$words\": $*"; }
    echo "ok: $words"
}

# Two addresses, and nothing answers at the first. The system lives in a second network.
unshare --net sleep 600 &
pids+=("$!")
network=$!
wait_for "the second network" "[ \$(readlink /proc/$network/ns/net) != \$(readlink /proc/self/ns/net) ]"
ip link add near type veth peer name far
ip link set far netns "$network"
ip address add 198.18.0.254/24 dev near
ip link set near up
ip neighbour add 198.18.0.1 lladdr 02:00:00:00:00:01 dev near nud permanent
nsenter --target "$network" --net ip address add 198.18.0.2/24 dev far
nsenter --target "$network" --net ip link set far up
printf '127.0.0.1 localhost\n198.18.0.1 pbx.test\n198.18.0.2 pbx.test\n' >"$work/hosts"
mount --bind "$work/hosts" /etc/hosts
nsenter --target "$network" --net "$simulator" --static --listen-address 198.18.0.2 >"$work/simulator.out" &
pids+=("$!")
wait_for "the simulator" "curl -fsS http://198.18.0.2:19690/"
(umask 077 && source_at http://pbx.test:19682 >"$work/exporter.yaml")
# And one that is not reached by HTTP.
printf '  - name: asterisk\n    vendor: asterisk\n    base_url: tcp://pbx.test:19686\n' >>"$work/exporter.yaml"
printf '    username: exporter\n    password: demo-password-not-secret\n' >>"$work/exporter.yaml"
"$binary" --config.file "$work/exporter.yaml" --web.listen-address 127.0.0.1:19680 2>"$work/exporter.log" &
pids+=("$!")
wait_for "the exporter" "curl -fsS $exporter/-/ready" "$work/exporter.log"
for scrape in 1 2 3; do
    curl -fsS -H 'X-Prometheus-Scrape-Timeout-Seconds: 3' $exporter/metrics >"$work/metrics"
    for name in pbx asterisk; do
        grep -q "^conferencing_up{source=\"$name\",.*} 1\$" "$work/metrics" \
            || fail "$name: a second address is not tried in scrape $scrape"
    done
done
for took in $(sed -n 's/^conferencing_scrape_duration_seconds{.*} //p' "$work/metrics"); do
    [ "$(jq -n "$took < 1")" = true ] || fail "the address that answered is not tried first: $took s"
done
echo "ok: a second address is tried, and first from then on"

# A name server that does not answer is told from a system that does not.
echo 'nameserver 198.18.0.1' >"$work/resolv.conf"
mount --bind "$work/resolv.conf" /etc/resolv.conf
says "login failed: dns" http://elsewhere.test

# serve ARGUMENTS...: a server of OpenSSL with the certificate $pem, in place of the one before.
server=
serve() {
    [ -z "$server" ] || { kill "$server"; wait "$server" 2>/dev/null || true; }
    rm -f "$work/server.log" # It tells of the server before, which was ready too.
    openssl s_server -accept 127.0.0.1:19443 -key "$work/key.pem" -cert "$work/cert.pem" -rev "$@" >"$work/server.log" 2>&1 &
    server=$!
    pids+=("$server")
    wait_for "OpenSSL's server" "grep -q ACCEPT $work/server.log" "$work/server.log"
}

# certificate ARGUMENTS...: a new one, signed by itself.
certificate() {
    openssl req -x509 -nodes -days 1 -subj /CN=MyPBX -keyout "$work/key.pem" -out "$work/cert.pem" "$@" 2>"$work/openssl.log" \
        || { cat "$work/openssl.log"; exit 1; }
}

pbx=https://127.0.0.1:19443
trusted="tls: { ca_file: $work/cert.pem }"
anyone="tls: { insecure_skip_verify: true }"

certificate -newkey rsa:2048 -sha1
serve -cipher 'DEFAULT@SECLEVEL=0'
says "decode" "$pbx" "$trusted" # It writes backwards what it is asked: TLS was agreed upon.

certificate -newkey rsa:1024 -sha256
serve -cipher 'DEFAULT@SECLEVEL=0'
says "the certificate's RSA key is shorter than 2048 bits" "$pbx" "$trusted"
says "decode" "$pbx" "$anyone"

certificate -newkey rsa:2048 -sha256
serve -tls1_1 -cipher 'DEFAULT@SECLEVEL=0'
says "it offers nothing newer than TLS 1.1" "$pbx" "$trusted"
says "it offers nothing newer than TLS 1.1" "$pbx" "$anyone"
for cipher in AES128-GCM-SHA256 DHE-RSA-AES128-GCM-SHA256 ECDHE-RSA-AES128-SHA; do
    serve -tls1_2 -cipher "$cipher@SECLEVEL=0"
    says "no common cipher: needs TLS 1.2 with ECDHE and AES-GCM or ChaCha20" "$pbx" "$trusted"
done
serve -tls1_2 -Verify 1
says "does the system ask for a client certificate?" "$pbx" "$trusted"
serve -tls1_3 -Verify 1
says "does the system ask for a client certificate?" "$pbx" "$trusted"
echo "connections: ok"
