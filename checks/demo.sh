#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Starts the demo, tries what it tells people to try, lets promtool lint what it serves and a real Prometheus scrape it,
# and stops it with Ctrl-C.
set -euo pipefail
cd "$(dirname "$0")/.."
. checks/lib.sh
need curl jq promtool prometheus

start_demo
control=http://127.0.0.1:19690
systems=$(curl -fsS "$control/" | sed -n 's/^vendors: *//p' | wc -w)
[ "$systems" -ge 5 ] || fail "only $systems systems are simulated"

echo "what the demo says can be tried"
tell=$(sed -n 's/^ *cargo demo check --live --config.file //p' "$work/demo.out")
target/demo/demo check --live --config.file "$tell" >"$work/live" || { cat "$work/live"; fail "a source failed"; }
faults=$(curl -sS -X POST "$control/fault?vendor=yeastar_s&fault=nothing")
[[ "$faults" = *"must be one that yeastar_s can have: hang, "* ]] || fail "no list of faults: $faults"
curl -fsS -X POST "$control/fault?vendor=yeastar_s&fault=close" >/dev/null
curl -fsS "$exporter/metrics?source=yeastar-s" >"$work/failing"
grep -q '^conferencing_source_failure{source="yeastar-s".*reason="connect"} 1' "$work/failing" || fail "the fault is not seen"
curl -fsS -X POST "$control/clear" >/dev/null
curl -fsS "$exporter/metrics?source=yeastar-s" >/dev/null
for logged in 'level=warn msg="source failed" source=yeastar-s' 'msg="source is back" source=yeastar-s'; do
    grep -q "$logged" "$work/demo.err" || fail "not in the log: $logged"
done

curl -fsS "$exporter/metrics" >"$work/metrics"
echo "promtool check metrics"
# Two scrapes differ; the linter must be silent about each.
lint=$(promtool check metrics <"$work/metrics" 2>&1) || { echo "$lint"; exit 1; }
[ -z "$lint" ] || { echo "$lint"; exit 1; }

echo "the reference parser of OpenMetrics"
checks/monitoring.sh tools
for path in metrics metrics/self "probe?source=yeastar-p"; do
    curl -fsS --header 'Accept: application/openmetrics-text; version=1.0.0' "$exporter/$path" >"$work/${path//[^a-z]/-}.openmetrics"
done
target/monitoring-checks/bin/python checks/openmetrics.py "$work"/*.openmetrics

cat >"$work/prometheus.yml" <<YAML
global: { scrape_interval: 1s }
scrape_configs:
  - job_name: conferencing
    static_configs: [{ targets: ["${exporter#http://}"] }]
YAML
start_prometheus "$work/prometheus.yml"

echo "prometheus scrapes the demo"
wait_for "$systems sources up" "[ \"\$(query 'count(conferencing_up == 1)')\" = $systems ]"
for metric in conferencing_participants conferencing_rooms conferencing_api_requests_total process_resident_memory_bytes; do
    [ "$(query "count($metric) > bool 0")" = 1 ] || fail "no $metric in Prometheus"
done
[ "$(query 'scrape_samples_scraped{job="conferencing"} > bool 100')" = 1 ] || fail "too few samples"

# Only a text in OpenMetrics tells a unit.
unit=$(curl -fsS "$prometheus/api/v1/targets/metadata?metric=conferencing_scrape_duration_seconds" | jq -r '.data[0].unit')
[ "$unit" = seconds ] || fail "Prometheus did not scrape OpenMetrics"

stop_demo

echo "two of the systems, at another address"
exporter=http://127.0.0.1:19700
start_demo --listen 127.0.0.1:19700 --systems dingtalk,yeastar_s
curl -fsS "$exporter/metrics" >"$work/metrics"
[ "$(grep -c '^conferencing_up{.*} 1$' "$work/metrics")" = 2 ] || fail "not two sources up"
stop_demo
echo "demo: ok"
