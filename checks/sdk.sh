#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The official SDKs of Huawei Cloud Meeting and DingTalk beside the exporter: checks/sdk/README.md.
#
#     checks/sdk.sh            everything
#     checks/sdk.sh tools      only installs the SDKs
set -euo pipefail
cd "$(dirname "$0")/.."
. checks/lib.sh

sdks=target/sdk-checks

tools() {
    need python3
    if ! cmp -s checks/sdk/requirements.txt "$sdks/versions"; then
        rm -rf "$sdks"
        python3 -m venv "$sdks"
        "$sdks/bin/pip" install --quiet --disable-pip-version-check --requirement checks/sdk/requirements.txt
        cp checks/sdk/requirements.txt "$sdks/versions"
    fi
}

compare() {
    tools
    build_exporter
    build_demo
    # -B: no compiled files beside the sources.
    "$sdks/bin/python" -B checks/sdk/check.py target/release/conferencing_exporter target/demo/simulator
}

case ${1:-all} in
    tools) tools ;;
    all) compare ;;
    *) sed -n '5,6s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
echo "sdk: ok"
