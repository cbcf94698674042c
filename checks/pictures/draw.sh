#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Draws grafana/pictures: runs the demo, collects what every panel shows, and draws it in both themes. See README.md.
set -eu
cd "$(dirname "$0")/../.."
dump=$(mktemp)
trap 'rm -f "$dump"' EXIT
checks/monitoring.sh live --demo-only --seconds "${SECONDS_TO_WATCH:-180}" --dump "$dump"
checks/pictures/draw.py "$dump" grafana/pictures
