#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The whole soak: 10,000 scrapes of 50 sources with faults, expired tokens and reloads. Memory and
# descriptors must end where they were after the first 500.
set -euo pipefail
cd "$(dirname "$0")/.."

SOAK_SCRAPES=${SOAK_SCRAPES:-10000} cargo test --locked --quiet --test soak -- --nocapture
echo "soak: ok"
