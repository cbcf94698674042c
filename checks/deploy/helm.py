# SPDX-License-Identifier: Apache-2.0
"""Checks the Helm chart: lints it, renders it with several values, and holds the result against the kustomize base.

    python3 checks/deploy/helm.py HELM BASE EXPORTER FOLDER

BASE is the rendered base of deploy/kubernetes, EXPORTER the binary that reads the rendered configurations, FOLDER where
they are rendered to, for checks/deploy/kubernetes.py.
"""

import json
import pathlib
import re
import subprocess
import sys
import tomllib

import yaml

CHART = "deploy/helm/conferencing-exporter"
VALUES = pathlib.Path("checks/deploy/helm")
# What is refused, and the words that say why.
REFUSED = {
    "replicaCount=two": "/replicaCount",
    "replicaCounts=2": "replicaCounts",
    "networkPolicy.egressPorts={70000}": "/networkPolicy/egressPorts/0",
    "image.digest=latest": "/image/digest",
    "secrets.hq-pbx=": "/secrets/hq-pbx",
    "existingConfig.name=mine": "/existingConfig",
    "web.config.tls_server_configuration.cert_file=x": "tls_server_configuration",
    "config.sources[0].name=pbx": "vendor",
    "config.sources[0].name=pbx,config.sources[0].vendor=yeastar_x": "/config/sources/0/vendor",
    "config.sorces[0].name=pbx": "sorces",
    "config.defaults.tls.cert_file=tls.crt": "/config/defaults/tls",
    "extraArgs={--web.route-prefix=/pbx}": "/extraArgs/0",
    "extraArgs={--web.external-url=https://example.com/pbx}": "/extraArgs/0",
    "prometheusRule.values.apiErrorRatio=1": "apiErrorRatio",
    "prometheusRule.values.restarts=-1": "/prometheusRule/values/restarts",
    "probe.enabled=true": "name the sources in probe.sources",
    "probe.enabled=true,serviceMonitor.enabled=true,probe.sources={pbx}": "enable one of them",
}
# Of JSON Schema, what is newer than draft 7, and what may stand beside a reference in it. The oldest Helm the chart is for
# knows no other draft, passes over the rest, and so accepts what was to be refused.
NEWER = {
    "dependentRequired", "dependentSchemas", "prefixItems", "minContains", "maxContains", "unevaluatedItems",
    "unevaluatedProperties", "$anchor", "$dynamicRef",
}
BESIDE_REFERENCE = {"$ref", "description"}
# client_auth_type, and whether the kubelet, which has no certificate, is let in.
CLIENT_AUTH = {
    "NoClientCert": True,
    "RequestClientCert": True,
    "VerifyClientCertIfGiven": True,
    "RequireAnyClientCert": False,
    "RequireClientCert": False,
    "RequireAndVerifyClientCert": False,
}


def main(helm: str, base: str, exporter: str, folder: str) -> None:
    into = pathlib.Path(folder)
    lint = run(helm, "lint", "--strict", "--quiet", CHART)
    if lint.returncode:
        sys.exit(lint.stdout + lint.stderr)
    rendered = {}
    for name, release, options in (
        ("default", "conferencing-exporter", []),
        ("everything", "hq", ["--values", str(VALUES / "everything.yaml")]),
        ("probe", "conferencing-exporter", ["--values", str(VALUES / "probe.yaml")]),
        ("certificate", "conferencing-exporter", ["--values", str(VALUES / "certificate.yaml")]),
    ):
        result = run(helm, "template", release, CHART, "--namespace", "monitoring", *options)
        if result.returncode:
            sys.exit(f"{name}: {result.stderr}")
        (into / f"chart-{name}.yaml").write_text(result.stdout)
        rendered[name] = [one for one in yaml.safe_load_all(result.stdout) if one]
    problems = [
        *same_pod(rendered["default"], [one for one in yaml.safe_load_all(pathlib.Path(base).read_text()) if one]),
        *same_version(),
        *configurations(rendered["everything"], yaml.safe_load((VALUES / "everything.yaml").read_text()), exporter, into),
        *refusals(helm),
        *probes(helm, exporter),
        *newer_than_helm("", json.loads(pathlib.Path(CHART, "values.schema.json").read_text())),
    ]
    problems += settable_rules(helm)
    for kind in ("ServiceMonitor", "Probe", "PrometheusRule"):
        for name, expected in (
            ("default", []),
            ("everything", ["ServiceMonitor", "PrometheusRule"]),
            ("probe", ["ServiceMonitor", "Probe"]),
            ("certificate", ["ServiceMonitor"]),
        ):
            if any(one["kind"] == kind for one in rendered[name]) != (kind in expected):
                problems.append(f"{name}: {kind} is {'missing' if kind in expected else 'not asked for'}")
    dashboards = len(list(pathlib.Path("grafana/dashboards").glob("*.json")))
    for name, expected in (("default", 0), ("everything", dashboards), ("probe", 0), ("certificate", 0)):
        found = sum("grafana_dashboard" in one["metadata"]["labels"] for one in rendered[name] if one["kind"] == "ConfigMap")
        if found != expected:
            problems.append(f"{name}: {found} dashboards, not {expected}")
    sys.exit("\n".join(problems) or 0)


def run(*command: str) -> subprocess.CompletedProcess:
    return subprocess.run(command, capture_output=True, text=True)


def same_pod(chart: list[dict], base: list[dict]):
    """The pod, its account and its network are those of the kustomize base, but for names that cannot be the same."""
    for kind in ("Deployment", "ServiceAccount", "NetworkPolicy", "Service"):
        ours, theirs = ([strip(one) for one in objects if one["kind"] == kind] for objects in (chart, base))
        if ours != theirs:
            yield f"the chart's {kind} is not that of deploy/kubernetes/base:\n{yaml.dump(ours)}\n---\n{yaml.dump(theirs)}"


def strip(one: dict) -> dict:
    """What must be equal: all but labels, what selects by them, and the configuration's name, which has a hash in it."""
    one = {key: value for key, value in one.items() if key != "metadata"}
    spec = dict(one.get("spec", {}))
    one["spec"] = spec
    for key in ("selector", "podSelector"):
        spec.pop(key, None)
    if one["kind"] == "Service":
        # Kubernetes' default, which the chart writes.
        spec.setdefault("type", "ClusterIP")
    if one["kind"] == "Deployment":
        pod = dict(spec.pop("template")["spec"])
        pod["volumes"] = [
            {"name": volume["name"], "configMap": {}} if "configMap" in volume else volume for volume in pod["volumes"]
        ]
        spec["pod"] = pod
    return one


def settable_rules(helm: str):
    """Each number that the rules mark, the jobs and the choice of alerts arrive; each is a value of the chart."""
    marked = {
        name: number
        for file in ("alerts.yaml", "recording-rules.yaml")
        for number, name in re.findall(r"([0-9.]+) # value: (\w+)$", pathlib.Path("prometheus", file).read_text(), re.M)
    }
    values = yaml.safe_load(pathlib.Path(CHART, "values.yaml").read_text())["prometheusRule"]["values"]
    if {name: float(number) for name, number in marked.items()} != values:
        yield f"values.yaml has {values}, the rules {marked}"
    changed = {name: index + 100 for index, name in enumerate(marked)}
    result = run(
        helm, "template", "x", CHART, "--show-only", "templates/prometheusrule.yaml", "--set", "prometheusRule.enabled=true",
        "--set", "prometheusRule.jobSelector=voip|pbx", "--set", "prometheusRule.disabled={ConferencingRoomWithoutPin}",
        *(part for name, number in changed.items() for part in ("--set", f"prometheusRule.values.{name}={number}")),
    )
    if result.returncode:
        yield f"rules with other values: {result.stderr}"
        return
    rules = [rule for group in yaml.safe_load(result.stdout)["spec"]["groups"] for rule in group["rules"]]
    text = "\n".join(rule["expr"] for rule in rules)
    for name, number in changed.items():
        if f"{number} # value: {name}" not in text:
            yield f"prometheusRule.values.{name} does not arrive"
    if 'job=~"voip|pbx"' not in text or 'job=~"conferencing' in text:
        yield "prometheusRule.jobSelector does not arrive"
    if any(rule.get("alert") == "ConferencingRoomWithoutPin" for rule in rules):
        yield "an alert that is disabled is there"


def same_version():
    version = tomllib.loads(pathlib.Path("Cargo.toml").read_text())["workspace"]["package"]["version"]
    chart = yaml.safe_load(pathlib.Path(CHART, "Chart.yaml").read_text())
    if str(chart["appVersion"]) != version:
        yield f"the chart is of version {chart['appVersion']}, Cargo.toml of {version}"


def configurations(objects: list[dict], values: dict, exporter: str, into: pathlib.Path):
    """What was written as values arrives in the files, and the exporter takes it."""
    files = {
        key: value
        for one in objects
        if one["kind"] in ("ConfigMap", "Secret")
        for key, value in {**one.get("data", {}), **one.get("stringData", {})}.items()
    }
    config = yaml.safe_load(files["exporter.yaml"])
    if config != values["config"]:
        yield f"exporter.yaml is not the config of the values: {config}"
    if yaml.safe_load(files["web.yaml"]) != values["web"]["config"]:
        yield "web.yaml is not the web.config of the values"
    for name, value in values["secrets"].items():
        if files.get(name) != value:
            yield f"the secret {name} is {files.get(name)!r}"
    secret = into / "chart-secret"
    secret.write_text("secret")
    secret.chmod(0o600)
    path = into / "chart-exporter.yaml"
    path.write_text(re.sub(r"/run/secrets/\S+", str(secret), files["exporter.yaml"]))
    path.chmod(0o600)
    check = run(exporter, "check", f"--config.file={path}")
    if check.returncode:
        yield f"the exporter refuses the rendered configuration: {check.stdout}{check.stderr}"


def refusals(helm: str):
    for values, reason in REFUSED.items():
        result = run(helm, "template", "x", CHART, "--set", values)
        if result.returncode == 0:
            yield f"--set {values} is accepted"
        elif reason not in result.stderr:
            yield f"--set {values} is refused without naming {reason}: {result.stderr}"


def probes(helm: str, exporter: str):
    """The kubelet asks where it is let in; elsewhere the exporter asks itself, as in the image, with its own options."""
    health = json.loads(re.findall(r"(?m)^HEALTHCHECK .*CMD (\[.*\])$", pathlib.Path("Dockerfile").read_text())[-1])
    for kind, is_let_in in CLIENT_AUTH.items():
        result = run(
            helm, "template", "x", CHART, "--values", str(VALUES / "certificate.yaml"),
            "--set", f"web.config.tls_server_config.client_auth_type={kind}", "--show-only", "templates/deployment.yaml",
        )
        if result.returncode:
            yield f"{kind}: {result.stderr}"
            continue
        container = yaml.safe_load(result.stdout)["spec"]["template"]["spec"]["containers"][0]
        command = [*health, *container["args"]]
        for probe, path in (("startupProbe", "/-/ready"), ("readinessProbe", "/-/ready"), ("livenessProbe", "/-/healthy")):
            asks = {key: value for key, value in container[probe].items() if key in ("exec", "httpGet")}
            by_request = {"httpGet": {"path": path, "port": "http", "scheme": "HTTPS"}}
            if asks != (by_request if is_let_in else {"exec": {"command": command}}):
                yield f"{kind}: the {probe} is {asks}"
        if run(exporter, *command[1:]).returncode == 2:
            yield f"{kind}: the exporter knows no {' '.join(command[1:])}"


def newer_than_helm(path: str, schema):
    if isinstance(schema, list):
        schema = dict(enumerate(schema))
    if not isinstance(schema, dict):
        return
    unknown = NEWER & schema.keys()
    if "$ref" in schema:
        unknown |= schema.keys() - BESIDE_REFERENCE
    if unknown:
        yield f"values.schema.json: {path or '/'}: Helm 3.17 passes over {', '.join(sorted(unknown))}"
    for key, part in schema.items():
        yield from newer_than_helm(f"{path}/{key}", part)


if __name__ == "__main__":
    main(*sys.argv[1:])
