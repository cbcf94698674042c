#!/usr/bin/env bash
# All checks that need more than Rust: the Debian packages of checks/packages.txt, and Node.js
# with npm. A missing tool is a failure, never a skip.
set -euo pipefail
cd "$(dirname "$0")/.."

for check in demo.sh web.sh monitoring.sh deploy.sh fuzz.sh performance.sh; do
    printf '\n-- checks/%s\n' "$check"
    time "checks/$check"
done
echo "all checks passed"
