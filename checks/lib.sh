# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Shared by the checks: a work folder, the demo, Prometheus, and their end. Sourced, not run.

. checks/build.sh

work=$(mktemp -d)
pids=()
exporter=http://127.0.0.1:19680
prometheus=
finish() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap finish EXIT

fail() { echo "FAILED: $*" >&2; exit 1; }

# How many systems the shipped configuration watches: one of each kind.
watched() { grep -c '^  - name: ' exporter.yaml; }

need() {
    for tool in "$@"; do
        command -v "$tool" >/dev/null || fail "$tool is missing (see checks/packages.txt)"
    done
}

# wait_for WHAT COMMAND [LOG]: evaluates COMMAND until it holds, for a minute at most; then shows LOG and fails.
wait_for() {
    for _ in $(seq 120); do
        if eval "$2" >/dev/null 2>&1; then return 0; fi
        sleep 0.5
    done
    [ -z "${3:-}" ] || cat "$3" >&2
    fail "waited in vain for: $1"
}

# start_demo [OPTIONS]: the demo, ready.
start_demo() {
    build_demo
    target/demo/demo "$@" >"$work/demo.out" 2>"$work/demo.err" &
    demo=$!
    pids+=("$demo")
    wait_for "the demo" "curl -fsS $exporter/-/ready" "$work/demo.err"
}

stop_demo() {
    kill -INT "$demo"
    wait "$demo" || { cat "$work/demo.err"; fail "the demo did not stop cleanly"; }
}

start_prometheus() {
    local port=19090
    prometheus=http://127.0.0.1:$port
    command prometheus --config.file="$1" --storage.tsdb.path="$work/tsdb" \
        --web.listen-address="127.0.0.1:$port" >"$work/prometheus.log" 2>&1 &
    pids+=("$!")
    wait_for "Prometheus" "curl -fsS $prometheus/-/ready" "$work/prometheus.log"
}

# query EXPRESSION: the value of the first series of an instant query; empty without one.
query() {
    curl -fsS --get "$prometheus/api/v1/query" --data-urlencode "query=$1" \
        | jq -r '.data.result[0].value[1] // empty'
}
