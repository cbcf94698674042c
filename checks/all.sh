#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# All checks that need more than Rust: the Debian packages of checks/packages.txt, and Node.js
# with npm. A missing tool is a failure, never a skip.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
. checks/steps.sh

if tools; then
    lane image
    checks
else
    skip "the checks" "for want of tools"
fi
summary
