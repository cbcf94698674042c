# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The steps of a run: each shown with its time, and counted at the end. Sourced by .ci/run and checks/all.sh.
#
#     step NAME COMMAND...    runs one; answers its status. A failure ends nothing: the others are of interest, too.
#                             Status 77: what it needs cannot be had today. It says NOT RUN and counts as skipped; it fails
#                             nothing, because a package that Debian does not serve that day is no fault of a change
#     skip NAME WHY           one that cannot run; it is counted, and the run fails
#     lane FUNCTION           runs the steps of FUNCTION one after the other, beside everything else
#     join                    waits for all lanes, and prints what their steps printed, each whole
#     count_tests LOG         counts each of cargo's tests, by what cargo said
#     summary                 the times, the longest first, then the count; answers whether all is well

. checks/build.sh

run=$(mktemp -d)
printed=$run/printed
verdicts=$run/verdicts
touch "$printed" "$verdicts"
shown=0
lanes=()

# Lanes are process groups: what they run ends with them when this is interrupted.
finish_run() {
    local group
    for group in $(jobs -rp); do kill -- "-$group" 2>/dev/null || true; done
    wait
    rm -rf "$run"
}
trap finish_run EXIT
trap 'exit 130' INT TERM

# Programs that lanes build and run while others wait give way to these.
gently() { nice -n 10 "$@"; }

step() {
    local name=$1 begun=$SECONDS verdict=passed status=0 output=$run/output.$BASHPID
    shift
    if [ -n "${in_lane:-}" ]; then
        "$@" >"$output" 2>&1 || status=$?
    else
        printf '\n== %s\n' "$name"
        "$@" 2>&1 || status=$?
    fi
    case $status in 0) ;; 77) verdict='NOT RUN' ;; *) verdict=failed ;; esac
    conclude "$name" "$verdict" $((SECONDS - begun)) "$output"
    return "$status"
}

skip() { conclude "$1: not run, $2" skipped 0 /dev/null; }

# conclude NAME VERDICT SECONDS OUTPUT
conclude() {
    printf '%s\t%d\t%s\n' "$2" "$3" "$1" >>"$verdicts"
    if [ -z "${in_lane:-}" ]; then
        printf -- '-- %s: %s, %d s\n' "$1" "$2" "$3"
        return
    fi
    flock "$printed" sh -c 'printf "\n== %s\n" "$1"; cat "$2"; printf -- "-- %s: %s, %d s\n" "$1" "$3" "$4"' \
        sh "$1" "$4" "$2" "$3" >>"$printed"
}

lane() {
    lanes+=("$1")
    set -m
    (
        # The folder is not the lane's to remove.
        trap - EXIT INT TERM
        in_lane=yes
        "$1"
        touch "$run/ended.$1"
    ) &
    set +m
    # Not in use where nobody waits for one lane in particular.
    # shellcheck disable=SC2034
    lane=$!
}

join() {
    local lane
    while [ -n "$(jobs -rp)" ]; do
        show
        sleep 1
    done
    show
    for lane in "${lanes[@]}"; do
        [ -e "$run/ended.$lane" ] || conclude "$lane: did not end" failed 0 /dev/null
    done
    lanes=()
}

show() {
    local size
    size=$(stat --format %s "$printed")
    tail --bytes="+$((shown + 1))" "$printed" | head --bytes="$((size - shown))"
    shown=$size
}

count_tests() {
    awk '/^test result: / { passed += $4; failed += $6; skipped += $8 } END { print passed + 0, failed + 0, skipped + 0 }' "$1" >"$run/tests"
}

summary() {
    local tests=0 failed_tests=0 skipped_tests=0 passed failed skipped absent
    [ ! -e "$run/tests" ] || read -r tests failed_tests skipped_tests <"$run/tests"
    printf '\n== times\n'
    sort --numeric-sort --reverse --key 2,2 --field-separator "$(printf '\t')" "$verdicts" \
        | awk -F '\t' '{ printf "%5d s  %-8s %s\n", $2, $1, $3 }'
    printf '%5d s  all together\n\n' "$SECONDS"
    passed=$((tests + $(grep -c '^passed' "$verdicts" || true)))
    failed=$((failed_tests + $(grep -c '^failed' "$verdicts" || true)))
    skipped=$((skipped_tests + $(grep -c '^skipped' "$verdicts" || true)))
    absent=$(grep -c '^NOT RUN' "$verdicts" || true)
    printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" $((skipped + absent))
    [ "$passed" -gt 0 ] && [ "$failed" = 0 ] && [ "$skipped" = 0 ]
}

# alone COMMAND...: in a network of its own, with the loopback only. No port is taken there, whatever else runs.
alone() {
    local outside=()
    [ "$(id -u)" = 0 ] || outside=(sudo --preserve-env env "PATH=$PATH")
    "${outside[@]}" unshare --net bash -c 'ip link set lo up && exec setpriv --reuid="$0" --regid="$1" --init-groups "${@:2}"' \
        "$(id -u)" "$(id -g)" "$@"
}

# The checks. Most of them wait most of the time; the image and what counts and tries use what is left of the processors.
tools() {
    step "install the checks' tools" checks/deploy.sh tools \
        && step "install the packages of the dashboards' checks" checks/monitoring.sh tools \
        && step "install the vendors' SDKs" checks/sdk.sh tools
}

image() { step "checks/deploy.sh image" gently checks/deploy.sh image; }

calculating() {
    step checks/performance.sh gently checks/performance.sh
    step checks/fuzz.sh gently checks/fuzz.sh
}

serving() {
    step checks/demo.sh alone checks/demo.sh
    step checks/web.sh alone checks/web.sh
    step checks/connections.sh checks/connections.sh
    step checks/sdk.sh alone checks/sdk.sh
}

# Real servers: systems with people in them, and Prometheus 3.
real() {
    step "fetch a real Asterisk" checks/real/asterisk.py fetch \
        && step "checks/real/asterisk.py" alone checks/real/asterisk.py run target/release/conferencing_exporter
    step "fetch a real Janus" checks/real/janus.py fetch \
        && step "checks/real/janus.py" alone checks/real/janus.py run target/release/conferencing_exporter
    step "fetch Prometheus 3" checks/real/prometheus.py fetch \
        && step "checks/real/prometheus.py" alone checks/real/prometheus.py run target/release/conferencing_exporter target/demo/simulator
}

watching() { step "checks/monitoring.sh live" alone checks/monitoring.sh live; }

reading() { step "checks/monitoring.sh static" gently checks/monitoring.sh static; }

deploying() {
    step "checks/deploy.sh files" checks/deploy.sh files
    step "checks/deploy.sh package" checks/deploy.sh package
}

# All but the image; with whatever else is on its way, to the end.
checks() {
    step "build the demo" build_demo
    step "build the exporter" build_exporter
    lane serving
    lane real
    lane watching
    lane reading
    lane deploying
    lane calculating
    join
}

