#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Checks dashboards, alerts, rules and runbooks: see checks/README.md.
#
#     checks/monitoring.sh static              nothing has to run
#     checks/monitoring.sh live [OPTIONS]      against the demo; options of live.py
#     checks/monitoring.sh                     both
#     checks/monitoring.sh tools               only installs what static and the check of OpenMetrics need
#
# The demo is built and started, and stopped again, unless it runs already or --exporter is given.
#
# A missing tool is a failure, never a skipped check.
set -eu
cd "$(dirname "$0")/.."

need() {
    for tool in "$@"; do
        command -v "$tool" >/dev/null || { echo "monitoring.sh: $tool is not installed" >&2; exit 1; }
    done
}

step() {
    echo "== $*"
    "$@"
}

# Python's packages, and the published types: installed once for each list of versions.
venv=target/monitoring-checks
tools() {
    need npm python3
    if ! cmp -s checks/requirements.txt "$venv/requirements.txt"; then
        # Debian's jsonnet 0.18 cannot read the rules: its parseYaml stumbles over text of several lines.
        [ -x "$venv/bin/python" ] || python3 -m venv "$venv"
        "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement checks/requirements.txt
        cp checks/requirements.txt "$venv/requirements.txt"
    fi
    (
        cd checks/schema
        if cmp -s package-lock.json node_modules/package-lock.json; then return; fi
        npm ci --silent --no-audit --no-fund
        cp package-lock.json node_modules/package-lock.json
    )
}

static() {
    need python3 node npm promtool amtool
    tools
    step promtool check rules --lint=all prometheus/alerts.yaml prometheus/recording-rules.yaml
    step promtool check config prometheus/prometheus.yaml
    step promtool test rules prometheus/tests/*.yaml
    step amtool check-config prometheus/alertmanager.yaml
    step python3 checks/colours.py
    step "$venv/bin/python" checks/static.py --self-test
    step "$venv/bin/python" checks/static.py
    step node checks/schema/validate.mjs grafana/dashboards/*.json
    step python3 checks/mutate.py
}

live() {
    need python3 prometheus
    command -v prometheus-alertmanager >/dev/null || need alertmanager
    case "$*" in
        *--exporter* | *--help*) ;;
        *) start_demo ;;
    esac
    step python3 checks/live.py "$@"
}

start_demo() {
    need curl
    ready=http://127.0.0.1:19680/-/ready
    if curl -fsS "$ready" >/dev/null 2>&1; then return; fi
    need cargo
    . checks/build.sh
    step build_demo
    target/demo/demo >/dev/null 2>&1 &
    demo=$!
    trap 'kill "$demo" 2>/dev/null; wait "$demo" 2>/dev/null || :' EXIT INT TERM
    for _ in $(seq 60); do
        if curl -fsS "$ready" >/dev/null 2>&1; then return; fi
        sleep 0.5
    done
    echo "monitoring.sh: the demo does not get ready" >&2
    exit 1
}

part=${1:-all}
[ $# -eq 0 ] || shift
case $part in
    tools) tools ;;
    static) static ;;
    live) live "$@" ;;
    all) static; live ;;
    *) sed -n '3,12s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
