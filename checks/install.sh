#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what the checks need from Debian: the packages of checks/packages.txt, and Node.js with npm. As root, or with
# sudo.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "$(id -u)" = 0 ]; then sudo=; else sudo=sudo; fi
$sudo apt-get update -qq
xargs $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    <checks/packages.txt >/dev/null
# Any Node.js will do; Debian's brings hundreds of packages along.
command -v npm >/dev/null || $sudo apt-get install -y -qq --no-install-recommends nodejs npm >/dev/null
