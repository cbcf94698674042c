#!/usr/bin/env bash
# All checks that need more than Rust: the Debian packages of checks/packages.txt.
# A missing tool is a failure, never a skip.
set -euo pipefail
cd "$(dirname "$0")/.."

while read -r check; do
    printf '\n-- %s\n' "$check"
    "checks/$check"
done <<'CHECKS'
demo.sh
performance.sh
CHECKS
echo "all checks passed"
