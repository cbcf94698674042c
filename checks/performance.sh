#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Counts what decoding and rendering cost, in instructions and allocations, and compares it with
# the budgets of checks/performance.txt. Wall time says nothing on a machine that others use too.
#
#     checks/performance.sh            compares
#     checks/performance.sh --write    writes the budgets anew: what is needed now
set -euo pipefail
cd "$(dirname "$0")/.."
. checks/lib.sh
need cargo jq valgrind

budgets=checks/performance.txt
tolerance=5 # per cent, for other versions of the C library and of valgrind

counted=$(cargo build --locked --quiet --profile counted --features fuzzing --bench counted \
    --message-format json | jq -r 'select(.target.name? == "counted") | .executable // empty')
[ -x "$counted" ] || fail "the benchmark was not built"

# under TOOL PATTERN WORK TIMES: the number that TOOL prints where PATTERN says.
under() {
    local out
    out=$(valgrind --tool="$1" --"$1"-out-file=/dev/null "$counted" "$3" "$4" 2>&1 >/dev/null) \
        || fail "$3 under $1: $out"
    sed -n "s/$2/\1/p" <<<"$out" | tr -d ,
}

# Preparation and start of the process are in both runs: the difference is the work alone.
once() { echo $(($(under "$1" "$2" "$3" 2) - $(under "$1" "$2" "$3" 1))); }
instructions() { once callgrind '.*Collected : \([0-9]*\).*' "$1"; }
allocations() { once dhat '.*Total: .* in \([0-9,]*\) blocks.*' "$1"; }

measure() {
    for name in decode-dingtalk decode-huawei decode-yeastar-s decode-bigbluebutton render-conferences render-sources; do
        local executed allocated
        executed=$(instructions "$name") || exit
        allocated=$(allocations "$name") || exit
        echo "$name $executed $allocated"
    done
}

if [ "${1:-}" = --write ]; then
    {
        echo "# What each work of benches/counted.rs may cost: instructions, allocations."
        echo "# Written by checks/performance.sh --write. A rise needs a reason in the commit message."
        measure
    } >"$work/budgets"
    mv "$work/budgets" "$budgets"
    exit
fi

measure >"$work/measured"
over=0
while read -r name instructions allocations; do
    read -r _ most_instructions most_allocations < <(grep "^$name " "$budgets") \
        || fail "$name has no budget"
    verdict=ok
    if [ $((instructions * 100)) -gt $((most_instructions * (100 + tolerance))) ] \
        || [ $((allocations * 100)) -gt $((most_allocations * (100 + tolerance))) ]; then
        verdict="OVER BUDGET"
        over=1
    fi
    printf '%-20s %12d instructions (%d), %6d allocations (%d): %s\n' "$name" \
        "$instructions" "$most_instructions" "$allocations" "$most_allocations" "$verdict"
done <"$work/measured"
[ "$over" = 0 ] || fail "over budget: find out why, or checks/performance.sh --write and say why"
echo "performance: ok"
