#!/usr/bin/env bash
# Starts the demo as the README says, lets promtool lint what it serves and a real Prometheus
# scrape it, and stops it with Ctrl-C.
set -euo pipefail
cd "$(dirname "$0")/.."
. checks/lib.sh
need curl jq promtool prometheus

start_demo
curl -fsS "$exporter/metrics" >"$work/metrics"
echo "promtool check metrics"
# Two scrapes differ; the linter must be silent about each.
lint=$(promtool check metrics <"$work/metrics" 2>&1) || { echo "$lint"; exit 1; }
[ -z "$lint" ] || { echo "$lint"; exit 1; }

cat >"$work/prometheus.yml" <<YAML
global: { scrape_interval: 1s }
scrape_configs:
  - job_name: conferencing
    static_configs: [{ targets: ["${exporter#http://}"] }]
YAML
start_prometheus "$work/prometheus.yml"

echo "prometheus scrapes the demo"
wait_for "five sources up" '[ "$(query "count(conferencing_up == 1)")" = 5 ]'
for metric in conferencing_participants conferencing_rooms conferencing_api_requests_total process_resident_memory_bytes; do
    [ "$(query "count($metric) > bool 0")" = 1 ] || fail "no $metric in Prometheus"
done
[ "$(query 'scrape_samples_scraped{job="conferencing"} > bool 100')" = 1 ] || fail "too few samples"

stop_demo
echo "demo: ok"
