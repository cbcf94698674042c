# SPDX-License-Identifier: Apache-2.0
"""Checks manifests as `kubectl kustomize` and `helm template` render them.

    python3 checks/deploy/kubernetes.py FILE... [--given KIND/NAME...] [--monitored]

What is given is made by somebody else and may be referred to. What is monitored has rules and dashboards.

Kubernetes' own kinds against its published schemas, the Prometheus operator's against its CRDs (checks/deploy/crd), both
strictly: an unknown key is an error. Then what no schema knows: the pods pass the Pod Security Standard "restricted",
every reference has its object, selectors select, and rules and dashboards are those of the files of record.
"""

import argparse
import json
import pathlib
import sys

import jsonschema
import kubernetes_validate
import yaml

# The oldest and the newest Kubernetes the manifests are for.
VERSIONS = ("1.29", "1.36")
CRDS = pathlib.Path("checks/deploy/crd")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="+")
    parser.add_argument("--given", nargs="+", default=[])
    parser.add_argument("--monitored", action="store_true")
    arguments = parser.parse_args()
    given = {tuple(one.split("/")) for one in arguments.given}
    problems = []
    for file in arguments.files:
        objects = [one for one in yaml.safe_load_all(pathlib.Path(file).read_text()) if one]
        problems += [f"{file}: {problem}" for problem in check(objects, given, arguments.monitored)]
        print(f"{file}: {len(objects)} objects")
    sys.exit("\n".join(problems) or 0)


def check(objects: list[dict], given: set[tuple[str, str]], monitored: bool):
    there = given | {(one["kind"], one["metadata"]["name"]) for one in objects}
    for one in objects:
        name = f"{one['kind']} {one['metadata']['name']}"
        for problem in schema_problems(one):
            yield f"{name}: {problem}"
        if len(json.dumps(one)) > 1_000_000:
            yield f"{name}: larger than what Kubernetes stores"
        if one["kind"] == "Deployment":
            for problem in pod_problems(one["spec"]["template"], one["spec"]["selector"]["matchLabels"], there):
                yield f"{name}: {problem}"
        elif one["kind"] in ("Service", "ServiceMonitor", "NetworkPolicy"):
            for problem in selector_problems(one, objects):
                yield f"{name}: {problem}"
        elif one["kind"] == "PrometheusRule":
            recorded = [
                group
                for file in ("alerts.yaml", "recording-rules.yaml")
                for group in yaml.safe_load(pathlib.Path("prometheus", file).read_text())["groups"]
            ]
            if one["spec"]["groups"] != recorded:
                yield f"{name}: not the rules of prometheus/*.yaml; run deploy/kubernetes/generate.sh"
    shipped = {
        key: json.loads(value)
        for one in objects
        if one["metadata"].get("labels", {}).get("grafana_dashboard")
        for key, value in one["data"].items()
    }
    recorded = {path.name: json.loads(path.read_text()) for path in pathlib.Path("grafana/dashboards").glob("*.json")}
    if monitored and not any(one["kind"] == "PrometheusRule" for one in objects):
        yield "there are no rules"
    if (shipped or monitored) and shipped != recorded:
        yield "dashboards: not those of grafana/dashboards; run deploy/kubernetes/generate.sh"


def schema_problems(one: dict):
    crd = CRDS / f"{one['kind'].lower()}.json"
    if one["apiVersion"].startswith("monitoring.coreos.com/"):
        validator = jsonschema.Draft202012Validator(strict(json.loads(crd.read_text())))
        for error in validator.iter_errors(one):
            yield f"{error.json_path}: {error.message}"
        return
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(one, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            yield f"Kubernetes {version}: {error}"


def strict(schema):
    """The schema with unknown keys forbidden, as the API server's strict validation has it."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: strict(value) for key, value in schema.items()}
    # `metadata` is an object without properties: Kubernetes' own.
    if schema.get("type") == "object" and "properties" in schema and "additionalProperties" not in schema:
        result["additionalProperties"] = False
    return result


def pod_problems(template: dict, selector: dict, there: set[tuple[str, str]]):
    spec = template["spec"]
    if not selector.items() <= template["metadata"]["labels"].items():
        yield "selects other pods than its own"
    # https://kubernetes.io/docs/concepts/security/pod-security-standards/, "restricted".
    pod = spec["securityContext"]
    if pod.get("runAsNonRoot") is not True or pod.get("runAsUser") in (0, None):
        yield "may run as root"
    if pod.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "has no seccomp profile"
    if any(spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")):
        yield "shares the host's namespaces"
    for volume in spec["volumes"]:
        if not set(volume) - {"name"} <= {"configMap", "secret", "emptyDir", "projected"}:
            yield f"volume {volume['name']} is of a forbidden kind"
        for kind, reference in (("ConfigMap", volume.get("configMap")), ("Secret", volume.get("secret"))):
            wanted = reference and (reference.get("name") or reference.get("secretName"))
            if wanted and (kind, wanted) not in there:
                yield f"there is no {kind} {wanted}"
    for container in spec["containers"]:
        own = container["securityContext"]
        if own.get("allowPrivilegeEscalation") is not False or own["capabilities"] != {"drop": ["ALL"]}:
            yield f"container {container['name']} may gain rights"
        if own.get("readOnlyRootFilesystem") is not True:
            yield f"container {container['name']} may write"
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            if probe not in container:
                yield f"container {container['name']} has no {probe}"
        if "memory" not in container["resources"]["limits"] or not container["resources"]["requests"]:
            yield f"container {container['name']} names no resources"
        if ":" not in container["image"] or container["image"].endswith(":latest"):
            yield f"container {container['name']} has no fixed image"
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        if mounted != {volume["name"] for volume in spec["volumes"]}:
            yield f"container {container['name']} does not mount every volume"


def selector_problems(one: dict, objects: list[dict]):
    if one["kind"] == "ServiceMonitor":
        wanted, kind = one["spec"]["selector"]["matchLabels"], "Service"
        candidates = [other["metadata"]["labels"] for other in objects if other["kind"] == kind]
    else:
        wanted = one["spec"]["selector"] if one["kind"] == "Service" else one["spec"]["podSelector"]["matchLabels"]
        kind = "Deployment"
        candidates = [other["spec"]["template"]["metadata"]["labels"] for other in objects if other["kind"] == kind]
    if not any(wanted.items() <= labels.items() for labels in candidates):
        yield f"selects no {kind}"


if __name__ == "__main__":
    main()
