# SPDX-License-Identifier: Apache-2.0
"""Checks what the schema of the compose specification does not say.

    python3 checks/deploy/compose.py FILE...
"""

import pathlib
import re
import sys

import yaml


def main(files: list[str]) -> None:
    problems = []
    images: dict[str, set[str]] = {}
    for file in files:
        compose = yaml.safe_load(pathlib.Path(file).read_text())
        for name, service in compose["services"].items():
            problems += [f"{file}: {name}: {problem}" for problem in check(name, service, compose, pathlib.Path(file).parent)]
            if "build" not in service:
                images.setdefault(service["image"].rpartition(":")[0], set()).add(service["image"])
    problems += [f"different versions: {sorted(versions)}" for versions in images.values() if len(versions) > 1]
    sys.exit("\n".join(problems) or 0)


def check(name: str, service: dict, compose: dict, folder: pathlib.Path):
    if not re.search(r":v?\d+\.\d+\.\d+$", service["image"]) and "build" not in service:
        yield f"the image {service['image']} is not pinned to a version"
    # The exporter's image brings a health check of its own; the simulator is asked by the exporter.
    if "healthcheck" not in service and name not in ("exporter", "simulator"):
        yield "has no health check"
    if service.get("read_only") is not True or service.get("cap_drop") != ["ALL"]:
        yield "is not read-only and without capabilities"
    if service.get("security_opt") != ["no-new-privileges:true"] or "mem_limit" not in service:
        yield "may gain rights or take all memory"
    for port in service.get("ports", []):
        if name != "grafana" or not port.startswith("127.0.0.1:"):
            yield f"publishes {port}"
    for volume in service.get("volumes", []):
        source, target, *mode = volume.split(":")
        if not source.startswith("."):
            if source not in compose["volumes"]:
                yield f"the volume {source} is not declared"
        elif mode != ["ro"]:
            yield f"may write {source}"
        elif not (folder / source).exists():
            yield f"{source} is not there"
        elif (folder / source).is_file() and pathlib.Path(source).suffix != pathlib.Path(target).suffix:
            yield f"{source} becomes {target}"
    for secret in service.get("secrets", []):
        if secret not in compose["secrets"]:
            yield f"the secret {secret} is not declared"


if __name__ == "__main__":
    main(sys.argv[1:])
