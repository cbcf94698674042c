#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The web layer in front of real clients: curl and Prometheus with TLS, client certificate and
# password; Prometheus' service discovery through /sd over a reload; the status page in Chromium.
set -euo pipefail
cd "$(dirname "$0")/.."
. checks/lib.sh
need chromium curl htpasswd jq openssl prometheus promtool

build_exporter
build_demo
target/demo/simulator --static >"$work/simulator.out" &
pids+=("$!")
wait_for "the simulator" "curl -fsS http://127.0.0.1:19690/"

# An authority, a server certificate, a client certificate, a user.
(
    cd "$work"
    exec >openssl.log 2>&1
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=ca -keyout ca.key -out ca.pem
    for name in server client; do
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$name" -keyout $name.key -out $name.csr
        openssl x509 -req -days 1 -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out $name.pem \
            -extfile <(echo "subjectAltName=IP:127.0.0.1,DNS:localhost")
    done
) || { cat "$work/openssl.log"; exit 1; }
user=$(htpasswd -nbBC 10 prometheus correct-horse)
cat >"$work/web.yml" <<YAML
tls_server_config:
  cert_file: server.pem
  key_file: server.key
  client_ca_file: ca.pem
  client_auth_type: RequireAndVerifyClientCert
basic_auth_users:
  prometheus: ${user#*:}
YAML
# A label that would be a script in a careless page.
sed -e 's|labels: { site: branch }|labels: { site: "<script>document.title=1</script>" }|' exporter.yaml >"$work/exporter.yaml"
chmod 600 "$work/exporter.yaml"

start_exporter() { # start_exporter PORT ARGUMENTS...
    local port=$1
    shift
    target/release/conferencing_exporter --config.file "$work/exporter.yaml" --web.listen-address "127.0.0.1:$port" \
        --web.enable-lifecycle "$@" 2>>"$work/exporter.log" &
    started=$!
    pids+=("$started")
}
start_exporter 19780 --web.config.file "$work/web.yml"
secured=https://127.0.0.1:19780
tls=(--cacert "$work/ca.pem" --cert "$work/client.pem" --key "$work/client.key")
wait_for "the exporter" "curl -fsS ${tls[*]} $secured/-/ready"

echo "curl: certificate and password are demanded"
status() { curl -s -o /dev/null -w '%{http_code}' "$@" || true; }
[ "$(status "${tls[@]}" -u prometheus:correct-horse "$secured/metrics")" = 200 ] || fail "the right password is refused"
[ "$(status "${tls[@]}" -u prometheus:wrong "$secured/metrics")" = 401 ] || fail "a wrong password is accepted"
[ "$(status "${tls[@]}" "$secured/metrics")" = 401 ] || fail "no password is accepted"
[ "$(status "${tls[@]}" "$secured/-/healthy")" = 200 ] || fail "/-/healthy demands a password"
[ "$(status --cacert "$work/ca.pem" -u prometheus:correct-horse "$secured/metrics")" = 000 ] || fail "no client certificate is needed"

echo "prometheus: tls_config, basic_auth, http_sd_configs with the README's relabelling"
cat >"$work/prometheus.yml" <<YAML
global: { scrape_interval: 1s }
scrape_configs:
  - job_name: conferencing-source
    honor_labels: true
    scheme: https
    basic_auth: &auth { username: prometheus, password: correct-horse }
    tls_config: &tls { ca_file: ca.pem, cert_file: client.pem, key_file: client.key }
    http_sd_configs:
      - url: $secured/sd
        refresh_interval: 1s
        basic_auth: *auth
        tls_config: *tls
    relabel_configs:
      - source_labels: [source]
        target_label: instance
YAML
promtool check config "$work/prometheus.yml" >/dev/null
start_prometheus "$work/prometheus.yml"
sources=$(watched)
wait_for "$sources targets up" "[ \"\$(query 'count(up{job=\"conferencing-source\"} == 1)')\" = $sources ]"
wait_for "$sources sources up" "[ \"\$(query 'count(conferencing_up == 1)')\" = $sources ]"
[ "$(query 'count(conferencing_rooms{instance="yeastar-p"})')" = 1 ] || fail "the relabelling does not name the source"

echo "a source added by a reload becomes a target"
cat >>"$work/exporter.yaml" <<'YAML'

  - name: added
    vendor: yeastar_s
    base_url: http://127.0.0.1:19682/i/added
    username: api
    password: demo-password-not-secret
YAML
curl -fsS "${tls[@]}" -u prometheus:correct-horse -X POST "$secured/-/reload" >/dev/null
wait_for "the new target" '[ "$(query "up{instance=\"added\"}")" = 1 ]'

echo "chromium: the status page"
start_exporter 19781
plain=http://127.0.0.1:19781
wait_for "the exporter" "curl -fsS $plain/-/ready"
curl -fsS "$plain/metrics" >/dev/null
browse() {
    chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
        --disable-component-update --disable-sync --hide-scrollbars --user-data-dir="$work/chromium" "$@" 2>>"$work/chromium.log"
}
browse --dump-dom "$plain/" >"$work/dom.html"
for name in openvox yeastar-s yeastar-p huawei dingtalk added; do
    grep -q "$name" "$work/dom.html" || fail "the page does not show $name"
done
grep -q '<title>1</title>' "$work/dom.html" && fail "a label became a script"
browse --window-size=1280,900 --screenshot="$work/page.png" "$plain/"
[ -s "$work/page.png" ] || fail "no picture of the page"
if [ -n "${PICTURE:-}" ]; then cp "$work/page.png" "$PICTURE"; fi
echo "web: ok"
