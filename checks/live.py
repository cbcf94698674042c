#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves dashboards, rules and alerts against a running demo, a real Prometheus and a real Alertmanager.

    cargo demo &
    checks/live.py --exporter http://127.0.0.1:19680 --control http://127.0.0.1:19690

It starts, on free ports of the loopback and in a temporary directory, two Prometheus servers (one
for each set-up of prometheus/prometheus.yaml) with four weeks of history, Alertmanager with the
sample configuration and a webhook receiver; lets them run for a while; and then checks

* that every metric of checks/metrics.txt is in the exporter's output and the other way round, and is
  documented in the reference; and that the runbooks know every `reason`;
* that the query of every variable and of every panel returns data, with both set-ups, and that every
  label of a legend and every column of a table is in the result;
* that what a system cannot report is shown as such;
* that panels which are rightly empty while all is well fill up when a fault is injected;
* that alerts go from a fault in the simulator through Prometheus and Alertmanager to the webhook, and
  back when the fault is over.

A third Prometheus then scrapes what is common elsewhere and not in the demo (checks/standin.py): other
people's targets beside ours, the target labels of the Prometheus operator, a pair, one exporter in two
jobs, a job with one target a source, a job of another name, 200 sources, a long min_interval, and an
exporter that dies. What dashboards and alerts make of each is in `prove_elsewhere`.

Of the times that rules wait (`for`), a minute is a second here; the scrape interval and `group_wait` are
shortened, too. Everything else is used as shipped. It takes about four minutes and gives up after eight.
"""

import argparse
import contextlib
import json
import math
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

import promql
import static
from standin import Source, StandIn, Webhook

ROOT = static.ROOT
SCRAPE = 2                    # seconds
RATE_INTERVAL = 4 * SCRAPE    # as Grafana computes it for a step up to 3 scrapes
LIMIT = 480                   # for everything but the --seconds of waiting

# Empty in the demo while all is well; the faults below fill them, or the stand-ins do.
EMPTY_WHEN_WELL = {
    "conferencing-overview": {
        "What is down, and why", "API errors by vendor and reason", "Certificates"},
    "conferencing-source": {
        "Reason", "Down since", "API errors by reason", "Certificate expires in"},
    "conferencing-exporter": {
        "HTTP requests refused or failed", "Replicas that cannot reach a source", "Web configuration", "Configuration reloads",
        "Exporters"},
}
# After a while people wait, and rooms without a PIN are told.
EMPTY_AT_FIRST = {"Alerts firing"}
# Metrics that are not there while all is well, or only where something is configured.
SOMETIMES = {
    "conferencing_source_failure", "conferencing_exporter_web_config_last_reload_successful",
    "conferencing_tls_certificate_expiry_timestamp_seconds",
}
# Others may fire in a demo: there are rooms without a PIN, and people do wait.
MUST_BE_SILENT = [
    "ConferencingExporterDown", "ConferencingReplicaDown", "ConferencingExporterRestarts", "ConferencingExporterOverloaded",
    "ConferencingSourceDown", "ConferencingSourceDownForLong", "ConferencingReplicaCannotReach", "ConferencingLoginsHeldOff",
    "ConferencingApiErrors", "ConferencingRateLimited", "ConferencingDataStale", "ConferencingCollectionSlow",
    "ConferencingReloadFailed", "ConferencingWebConfigNotLoaded", "ConferencingQuotaUsedUp", "ConferencingCapabilityLost",
]


deadline = float("inf")


class Failure(Exception):
    pass


def fetch(url, method="GET", timeout=10):
    request = urllib.request.Request(url, method=method)
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        return answer.read().decode()


def wait(what, condition, seconds):
    """Until `condition` yields something true, which is returned."""
    end = min(time.monotonic() + seconds, deadline)
    while True:
        with contextlib.suppress(OSError):
            result = condition()
            if result:
                return result
        if time.monotonic() > end:
            raise Failure(f"waited {seconds} s in vain for {what}")
        time.sleep(0.5)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


# The servers

class Prometheus:
    def __init__(self, name, port):
        self.name = name
        self.url = f"http://127.0.0.1:{port}"
        self.port = port
        self.started = time.time()

    def get(self, path, **parameters):
        query = urllib.parse.urlencode(parameters, doseq=True)
        try:
            answer = json.loads(fetch(f"{self.url}/api/v1/{path}?{query}", timeout=30))
        except urllib.error.HTTPError as error:
            raise Failure(f"{error.read().decode()}") from None
        return answer["data"]

    def query(self, expr, at=None):
        return self.get("query", query=expr, time=at or time.time())["result"]

    def query_range(self, expr, end=None):
        return self.get("query_range", query=expr, start=self.started, end=end or time.time(), step=SCRAPE)["result"]

    def healthy_targets(self):
        targets = self.get("targets")["activeTargets"]
        return targets and all(t["health"] == "up" for t in targets) and targets


def program(*names):
    for name in names:
        if path := shutil.which(name):
            return path
    raise Failure(f"{names[0]} is not installed")


def start(stack, folder, name, *command):
    log = stack.enter_context(open(folder / f"{name}.log", "wb"))
    process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=folder)

    def stop():
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    stack.callback(stop)
    return process


def shortened(text):
    """A minute of `for` is a second, and so on."""
    units = {"m": 1, "h": 60}
    text = re.sub(r"^( +for): (\d+)([mh])$", lambda m: f"{m[1]}: {int(m[2]) * units[m[3]]}s", text, flags=re.M)
    return re.sub(r"^( +interval): \w+$", r"\1: 5s", text, flags=re.M)


def start_alertmanager(stack, folder):
    webhook = Webhook()
    stack.callback(webhook.server_close)
    stack.callback(webhook.shutdown)
    port = free_port()
    sample = (ROOT / "prometheus/alertmanager.yaml").read_text()
    sample = sample.replace("localhost:9095", f"127.0.0.1:{webhook.server_address[1]}")
    sample = re.sub(r"(group_wait|group_interval): \w+", r"\1: 1s", sample)
    (folder / "alertmanager.yaml").write_text(sample)
    start(stack, folder, "alertmanager", program("prometheus-alertmanager", "alertmanager"),
          "--config.file=alertmanager.yaml", f"--storage.path={folder}/alertmanager", "--cluster.listen-address=",
          f"--web.listen-address=127.0.0.1:{port}")
    for name in ("alerts.yaml", "recording-rules.yaml"):
        (folder / name).write_text(shortened((ROOT / "prometheus" / name).read_text()))
    return webhook, port


def start_prometheus(stack, folder, name, config):
    (folder / f"{name}.yaml").write_text(config)
    server = Prometheus(name, free_port())
    start(stack, folder, name, program("prometheus"), f"--config.file={name}.yaml",
          f"--storage.tsdb.path={folder}/{name}", f"--web.listen-address=127.0.0.1:{server.port}",
          "--storage.tsdb.retention.time=60d", "--web.enable-lifecycle", "--log.level=warn")
    wait(f"Prometheus ({name})", lambda: fetch(f"{server.url}/-/ready"), 30)
    return server


def start_servers(stack, folder, exporter, history):
    webhook, alertmanager_port = start_alertmanager(stack, folder)
    wait("Alertmanager", lambda: fetch(f"http://127.0.0.1:{alertmanager_port}/-/ready"), 20)
    config = (ROOT / "prometheus/prometheus.yaml").read_text()
    servers = []
    for name, text in (("one-job", config), ("sd-probe", static.second_setup(config))):
        text = text.replace("localhost:19680", urllib.parse.urlsplit(exporter).netloc)
        text = text.replace("localhost:9093", f"127.0.0.1:{alertmanager_port}")
        text = re.sub(r"(scrape_interval|scrape_timeout): \w+", rf"\1: {SCRAPE}s", text)
        text = re.sub(r"evaluation_interval: \w+", "evaluation_interval: 1s", text)
        text = re.sub(r"refresh_interval: \w+", "refresh_interval: 5s", text)
        if name != "one-job":
            # One of the two is enough to alert.
            text = re.sub(r"^alerting:.*?^(?=#)", "", text, flags=re.M | re.S)
        shutil.copytree(history, folder / name)
        servers.append(start_prometheus(stack, folder, name, text))
    for server in servers:
        wait(f"healthy targets ({server.name})", server.healthy_targets, 30)
        server.started = time.time()
    jobs = {t["labels"]["job"] for s in servers for t in s.get("targets")["activeTargets"]}
    if jobs != {"conferencing"}:
        raise Failure(f"targets have the jobs {jobs}: dashboards and alerts expect one")
    return servers, webhook, alertmanager_port


# Four weeks before today

STEP = 300


def write_history(folder, exporter, text):
    """Blocks with what the demo's sources might have said every five minutes: a working day's curve, and one that fails."""
    instance = urllib.parse.urlsplit(exporter).netloc
    target_labels = f'job="conferencing",instance="{instance}"'
    end = int(time.time()) // STEP * STEP - STEP
    times = range(end - 28 * 86400, end, STEP)
    series = {"conferencing_up": [], "conferencing_participants": [], "conferencing_exporter_build_info": [],
              "conferencing_login_blocked": [], "conferencing_api_requests_total": []}
    for i, labels in enumerate(re.findall(r"^conferencing_up\{(.*)\} ", text, re.M)):
        with_target = f"{{{target_labels},{labels}}}"
        # The i-th source fails for i hours on two Wednesdays.
        failed = [(t // 3600 % 24 < i and t // 86400 % 14 == 6) for t in times]
        series["conferencing_up"].append((with_target, [int(not down) for down in failed]))
        series["conferencing_participants"].append((
            f'{{{target_labels},{labels},state="joined"}}',
            [None if down else people_at(t, i) for t, down in zip(times, failed)]))
        if 'vendor="dingtalk"' in labels:
            # Its quota: a call every ten minutes.
            series["conferencing_login_blocked"].append((with_target, [0 for _ in times]))
            series["conferencing_api_requests_total"].append((
                f'{{{target_labels},{labels},call="orgConferences"}}', [(t - times[0]) // 600 for t in times]))
    for labels in re.findall(r"^conferencing_exporter_build_info\{(.*)\} ", text, re.M):
        series["conferencing_exporter_build_info"].append((f"{{{target_labels},{labels}}}", [1 for _ in times]))
    with open(folder / "history.txt", "w") as file:
        for name, lines in series.items():
            file.write(f"# TYPE {name.removesuffix('_total')} {'counter' if name.endswith('_total') else 'gauge'}\n")
            for labels, values in lines:
                file.writelines(f"{name}{labels} {v} {t}\n" for t, v in zip(times, values) if v is not None)
        file.write("# EOF\n")
    run = subprocess.run([program("promtool"), "tsdb", "create-blocks-from", "openmetrics", "--quiet",
                          "--max-block-duration=744h", "history.txt", "history"], cwd=folder, capture_output=True, text=True)
    if run.returncode:
        raise Failure(f"history: {run.stdout}{run.stderr}")
    return folder / "history"


def people_at(t, i):
    hour, weekday = t / 3600 % 24, (t // 86400 + 4) % 7
    busy = math.exp(-((hour - 10) / 2) ** 2) + 0.8 * math.exp(-((hour - 15) / 1.5) ** 2)
    return round((4 + 3 * i) * busy * (0.1 if weekday in (0, 6) else 1 + 0.1 * weekday))


# What the exporter exposes

def exposition(text):
    """Name -> (type, [labels of each series]); histograms under the name of the family."""
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    families = {name: (kind, []) for name, kind in types.items()}
    for line in text.splitlines():
        match = re.match(r"(\w+)(?:\{(.*)\})? \S+", line)
        if line and not line.startswith("#") and match:
            name = match[1] if match[1] in types else promql.base(match[1])
            labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or ""))
            families.setdefault(name, ("untyped", []))[1].append(labels)
    return families


def table_of(families):
    """As in metrics.txt: labels that all series have, without those configured for a source."""
    rows = {}
    for name, (kind, series) in families.items():
        common = set.intersection(*(set(labels) for labels in series)) if series else set()
        order = [label for label in ("source", "vendor") if label in common]
        rows[name] = (kind, order + sorted(common - {"source", "vendor", "le"}))
    return rows


def check_metrics(families, reference):
    problems = []
    known, found = static.metrics(), table_of(families)
    missing = known.keys() - found.keys() - SOMETIMES
    problems += [f"{name} is in metrics.txt but not in the exporter's output" for name in missing]
    problems += [f"{name} is in the exporter's output but not in metrics.txt" for name in found.keys() - known.keys()]
    for name in known.keys() & found.keys():
        kind, labels = found[name]
        configured = {label for entry in families["conferencing_up"][1] for label in entry} - {"source", "vendor"}
        if kind != known[name][0] or set(labels) - configured != set(known[name][1]):
            problems.append(f"{name}: metrics.txt says {known[name]}, the exporter {found[name]}")
    text = reference.read_text() if reference.exists() else ""
    problems += [f"{name} is not documented in {reference.name}" for name in sorted(found) if not documented(name, text)]

    reasons = {labels["reason"] for labels in families["conferencing_api_errors_total"][1]}
    runbook = (ROOT / "docs/runbooks.md").read_text()
    section = runbook.partition("## Reasons")[2].partition("\n## ")[0]
    explained = set(re.findall(r"^### `(\w+)`$", section, re.M))
    if reasons != explained:
        problems.append(f"docs/runbooks.md explains other reasons than the exporter has: {sorted(reasons ^ explained)}")
    return problems


def documented(name, text):
    if name.startswith("process_"):
        return name in text or "process_*" in text or "`process_" in text
    return name in text


# Dashboards

class Shown:
    """A dashboard as it opens: every variable at its default."""

    def __init__(self, server, page):
        self.server, self.page, self.problems = server, page, []
        self.chosen = {}
        for variable in page["templating"]["list"]:
            if variable["type"] == "query":
                self.chosen[variable["name"]] = self.value_of(variable)

    def value_of(self, variable):
        name, query = variable["name"], static.resolve(variable["query"]["query"], **self.chosen)
        if match := re.fullmatch(r"label_values\((.+), (\w+)\)", query):
            values = self.server.get(f"label/{match[2]}/values", **{"match[]": match[1]})
        else:
            result = self.server.query(re.fullmatch(r"query_result\((.+)\)", query)[1])
            values = [series["metric"][name] for series in result]
        if not values:
            self.problems.append(f"{self.server.name}: {self.page['uid']}: variable {name} has no values")
        # As Grafana does it: all that was found, or what All stands for. One source: here every one, or nothing would be
        # shown of what only another can report.
        return variable.get("allValue") or ("|".join(re.escape(value).replace("\\", "\\\\") for value in values) if variable["multi"] else ".+")

    def resolved(self, expr, since=None, **chosen):
        start = time.mktime((*time.localtime()[:3], 0, 0, 0, 0, 0, -1)) if since == "now/d" else self.server.started
        whole = max(10, round(time.time() - start))
        return static.resolve(expr, f"{RATE_INTERVAL}s", f"{SCRAPE}s", f"{whole}s", **{**self.chosen, **chosen})

    def run(self, target, at=None, since=None, **chosen):
        expr = self.resolved(target["expr"], since, **chosen)
        return self.server.query(expr, at) if target["instant"] else self.server.query_range(expr, at)

    def panel(self, title):
        return next(p for p in static.panels_of(self.page) if p["title"] == title)

    def target(self, title, ref="A"):
        return next(t for t in self.panel(title)["targets"] if t["refId"] == ref)

    def series(self, title, ref="A", **chosen):
        return self.run(self.target(title, ref), **chosen)

    def value(self, title, ref="A", **chosen):
        """The one number a panel shows now."""
        result = self.server.query(self.resolved(self.target(title, ref)["expr"], **chosen))
        return float(result[0]["value"][1]) if len(result) == 1 else None

    def look(self, empty, thorough):
        """Problems; (dashboard, panel, query) without data are added to `empty`."""
        problems = list(self.problems)
        for panel in static.panels_of(self.page):
            where = f"{self.server.name}: {self.page['uid']}: {panel['title']}"
            for target in panel["targets"]:
                try:
                    result = self.run(target, since=panel.get("timeFrom"))
                except Failure as error:
                    problems.append(f"{where}: query {target['refId']}: {error}")
                    continue
                if not result:
                    empty.add((self.page["uid"], panel["title"], target["refId"]))
                for label in re.findall(r"\{\{ *(\w+) *\}\}", target["legendFormat"]):
                    if any(not series["metric"].get(label) for series in result):
                        problems.append(f"{where}: the legend's label {label} is not in the result")
                # One vendor alone, and nothing at all, must not break the query.
                for chosen in ({"vendor": "dingtalk"}, {"vendor": "yeastar_p"}, {"source": "nobody"}) if thorough else ():
                    try:
                        self.run(target, **chosen)
                    except Failure as error:
                        problems.append(f"{where}: with {chosen}: {error}")
            problems += [f"{where}: column {column} is not in any result" for column in self.lost_columns(panel)]
        return problems

    def lost_columns(self, panel):
        wanted = {c for c in columns(panel) if not c.startswith(("Value", "Time"))}
        results = [series["metric"] for target in panel["targets"] for series in self.run(target)]
        return wanted - {label for metric in results for label in metric} if results else ()


def columns(panel):
    for step in panel.get("transformations", []):
        if step["id"] == "organize":
            yield from step["options"]["renameByName"]
        if step["id"] == "groupingToMatrix":
            yield from (step["options"]["columnField"], step["options"]["rowField"])


def check_not_reported(overview, source, families):
    """What a vendor cannot report is -1 in the query, which the panel shows in words."""
    problems = []
    capability = {}
    for labels, number in samples(families, "conferencing_source_capability"):
        capability.setdefault(labels["capability"], {})[labels["vendor"]] = number
    title, server = "Waiting", overview.server.name
    for vendor, number in capability["participants_waiting"].items():
        shown = overview.value(title, vendor=vendor)
        if (shown == -1) != (number == 0):
            problems.append(f"{server}: {title} shows {shown} for {vendor}, whose capability is {number}")
    unreported = {s["metric"]["vendor"] for s in source.series("Room settings")
                  if s["metric"]["setting"] == "Rooms" and float(s["value"][1]) == -1}
    expected = {vendor for vendor, number in capability["rooms"].items() if number == 0}
    if unreported != expected:
        problems.append(f"{server}: Room settings: not reported by {unreported}, should be {expected}")
    return problems


def samples(families, name):
    for labels in families[name][1]:
        yield labels, float(labels["__value__"])


# Faults

class Control:
    def __init__(self, url):
        self.url = url.rstrip("/")

    def __call__(self, action, **parameters):
        fetch(f"{self.url}/{action}?{urllib.parse.urlencode(parameters)}", method="POST")


def source_of(families, vendor):
    return next(labels["source"] for labels in families["conferencing_up"][1] if labels["vendor"] == vendor)


def prove_source_down(control, shown, webhook, families):
    """A source fails, is shown with its reason and reported as down, and as resolved when it is back."""
    name = source_of(families, "yeastar_p")
    control("fault", vendor="yeastar_p", fault="status-500")
    for pages in shown:
        server, overview, source = pages.server, pages["conferencing-overview"], pages["conferencing-source"]
        wait(f"Systems down to count {name} ({server.name})", lambda: overview.value("Systems down") == 1, 20)
        wait(f"State to be down ({server.name})", lambda: source.value("State", source=name) == 0, 20)
        for page, title, ref in ((overview, "What is down, and why", "B"), (source, "Reason", "A")):
            wait(f"the reason in {title} ({server.name})", lambda: any(
                s["metric"]["source"] == name and s["metric"]["reason"] == "http_5xx" for s in page.series(title, ref)), 20)
        for title, ref in (("What is down, and why", "A"), ("What is down, and why", "C"), ("What is down, and why", "D")):
            wait(f"{title}, {ref} ({server.name})", lambda: overview.series(title, ref), 20)
        wait(f"Down since ({server.name})", lambda: source.series("Down since"), 20)
        wait(f"ConferencingSourceDown ({server.name})", lambda: server.query(
            f'ALERTS{{alertname="ConferencingSourceDown", alertstate="firing", source="{name}"}}'), 20)
        wait(f"Alerts firing ({server.name})", lambda: overview.series("Alerts firing"), 20)
    path, alert = wait("ConferencingSourceDown at the webhook",
                       lambda: webhook.received("ConferencingSourceDown", "firing", source=name), 30)
    if path != "/day" or not alert["annotations"]["runbook_url"].endswith("#conferencingsourcedown"):
        raise Failure(f"the alert came to {path} as {alert['annotations']}")
    if "The reason is http_5xx." not in alert["annotations"]["description"]:
        raise Failure(f"the alert does not say why: {alert['annotations']['description']}")
    control("clear")
    wait("ConferencingSourceDown to be resolved",
         lambda: webhook.received("ConferencingSourceDown", "resolved", source=name), 60)
    print(f"ConferencingSourceDown for {name}: simulator, Prometheus, Alertmanager, webhook, and resolved", flush=True)


def prove_throttling(control, shown):
    """Requests refused as too many are shown with their reason."""
    for vendor in ("huawei_meeting", "dingtalk"):
        control("fault", vendor=vendor, fault="throttle")
    for pages in shown:
        wait(f"rate_limited in the errors by reason ({pages.server.name})", lambda: any(
            s["metric"]["reason"] == "rate_limited"
            for s in pages["conferencing-source"].series("API errors by reason")), 40)
    control("clear")
    print("throttling: shown with its reason", flush=True)


def prove_login_hold_off(control, shown, webhook, families):
    """Rejected logins are held off, shown and reported as critical."""
    name = source_of(families, "yeastar_s")
    control("fault", vendor="yeastar_s", fault="auth")
    control("expire", vendor="yeastar_s")
    for pages in shown:
        source = pages["conferencing-source"]
        target = source.target("Login hold-off")
        wait(f"the login hold-off ({pages.server.name})", lambda: any(
            s["metric"]["source"] == name and s["value"][1] == "1"
            for s in pages.server.query(source.resolved(target["expr"]))), 30)
    path, _ = wait("ConferencingLoginsHeldOff at the webhook",
                   lambda: webhook.received("ConferencingLoginsHeldOff", "firing", source=name), 30)
    if path != "/night":
        raise Failure(f"a critical alert came to {path}")
    control("clear")
    print(f"ConferencingLoginsHeldOff for {name}: shown, and at the webhook as critical", flush=True)


# What is common elsewhere

def elsewhere_config(alertmanager_port, pair, twice, probed, voip, many, node):
    """As the Prometheus operator would write it: its target labels, and jobs that know nothing of each other."""
    def job(name, *groups, path="/metrics", **more):
        return {"job_name": name, "metrics_path": path, "static_configs": list(groups), **more}

    def group(address, **labels):
        return {"targets": [address], "labels": labels}

    def pod(name):
        return {"namespace": "monitoring", "service": "conferencing-exporter", "container": "exporter", "endpoint": "http",
                "pod": name}

    # As in deploy/kubernetes/components/probe.
    no_copy = [{"action": "labeldrop", "regex": "exported_source"}]

    def probes(job_name, address, *names):
        return [job(job_name + str(i), group(address, source=name, job=job_name), path="/probe", params={"source": [name]},
                    metric_relabel_configs=no_copy) for i, name in enumerate(names)]

    return json.dumps({
        "global": {"scrape_interval": f"{SCRAPE}s", "scrape_timeout": f"{SCRAPE}s", "evaluation_interval": "1s"},
        "rule_files": ["recording-rules.yaml", "alerts.yaml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager_port}"]}]}]},
        "scrape_configs": [
            job("conferencing", *(group(one.address, **pod(f"exporter-{i}")) for i, one in enumerate(pair))),
            job("conferencing-all", group(twice.address)),
            *probes("conferencing-each", twice.address, *twice.sources),
            job("conferencing-probed", group(probed.address), path="/metrics/self"),
            *probes("conferencing-probed", probed.address, *probed.sources),
            job("voip", group(voip.address), group(node.address)),
            job("conferencing-many", group(many.address)),
            # Neighbours: one that answers, one that does not.
            job("node", group(node.address, endpoint="metrics"), group(f"127.0.0.1:{free_port()}", source="rack"),
                group(f"127.0.0.1:{free_port()}")),
        ],
    })


def prove_elsewhere(stack, folder, webhook, alertmanager_port, filled):
    """Each set-up that is common elsewhere, by what dashboards and alerts make of it."""
    # One of the pair cannot reach `shared`. Each has its own object: what they see may differ.
    pair_sources = [Source("shared", "yeastar_s", 700, site="hq"), Source("shared", "yeastar_s", 700, site="hq")]
    seldom = [Source("cloud", "dingtalk", 60), Source("cloud", "dingtalk", 60)]
    for source in seldom:
        source.min_interval, source.age = 3600, 3000
    pair = [StandIn(a, b) for a, b in zip(pair_sources, seldom)]
    twice = StandIn(Source("twice", "openvox_uc", 500))
    probed = StandIn(Source("probed", "asterisk", 40, site="lab"), Source("other", "janus", 40))
    voip = StandIn(Source("branch", "freeswitch", 90), Source("annex", "freeswitch", 10))
    many = StandIn(*(Source(f"pbx-{i:03}", "yeastar_p", i % 7) for i in range(200)))
    voip.sources["branch"].capacity, voip.sources["branch"].certificate = 95, 86400 * 3
    node = StandIn()
    everybody = [*pair, twice, probed, voip, many, node]
    for one in everybody:
        stack.callback(one.server_close)
        stack.callback(one.shutdown)
    config = elsewhere_config(alertmanager_port, pair, twice, probed, voip, many, node)
    server = start_prometheus(stack, folder, "elsewhere", config)
    wait("targets of all set-ups", lambda: sum(
        t["health"] == "up" for t in server.get("targets")["activeTargets"]) >= 11, 30)
    server.started = time.time()
    time.sleep(6 * SCRAPE)
    pages = Pages(server)
    overview, source, exporter = (pages[f"conferencing-{name}"] for name in ("overview", "source", "exporter"))
    problems = []

    def same(what, found, expected):
        if found != expected:
            problems.append(f"elsewhere: {what}: {found}, expected {expected}")

    def alerts(name, **matchers):
        matched = "".join(f', {key}="{value}"' for key, value in matchers.items())
        return server.query(f'ALERTS{{alertname="{name}", alertstate="firing"{matched}}}')

    same("series that had to give way to a target label", server.query('{__name__=~"conferencing_.+", exported_endpoint!=""}'), [])
    same("Exporters down, with a neighbour down", overview.value("Exporters down"), 0)
    same("exporters whose CPU is shown", {s["metric"]["instance"] for s in exporter.series("CPU")},
         {one.address for one in everybody if one is not node})
    same("Memory, in exporters", float(exporter.series("Memory")[0]["values"][-1][1]) / 2e7, 6)
    same("Restarts of a day", exporter.value("Restarts of a day"), 0)
    people = sum(i % 7 for i in range(200))
    same("People now: the pair, and what two jobs scrape, count once", overview.value("People now"), 700 + 60 + 500 + 80 + 100 + people)
    same("Conferences now", overview.value("Conferences now"), 140 + 12 + 100 + 16 + 20 + sum(i % 7 // 5 for i in range(200)))
    same("Systems down", overview.value("Systems down"), 0)
    same("sources in the table", len(overview.series("Systems")), 207)
    for title in ("What changed", "Where the people are", "Largest conferences", "Age of the data"):
        same(f"lines of {title}, of 200 sources", len(overview.series(title)), 10)
    same("Fullest system", overview.value("Fullest system"), 90 / 95)
    same("ConferencingNearlyFull", bool(wait("ConferencingNearlyFull", lambda: alerts("ConferencingNearlyFull", source="branch"), 20)), True)
    same("Certificates", len(overview.series("Certificates")), 1)
    same("data that is 50 minutes old, with a min_interval of an hour", alerts("ConferencingDataStale"), [])
    empty = set()
    for page in pages.values():
        problems += page.look(empty, thorough=False)
        filled |= {(page.page["uid"], p["title"], t["refId"]) for p in static.panels_of(page.page) for t in p["targets"]} - empty

    # One error is one bar of 1.
    pair_sources[0].requests += 40
    time.sleep(3 * SCRAPE)
    pair_sources[0].errors["timeout"] += 1
    time.sleep(4 * SCRAPE)
    bars = [float(v) for s in source.series("API errors by reason", source="shared") for _, v in s["values"]]
    same("bars of one error", bars, [1])

    # Faults, one each.
    pair_sources[0].reason = "timeout"
    probed.refused.add("probed")
    voip.alive = False
    wait("one of a pair to be told", lambda: alerts("ConferencingReplicaCannotReach", source="shared"), 60)
    same("Replicas that cannot reach a source", [s["metric"]["instance"] for s in exporter.series("Replicas that cannot reach a source")],
         [pair[0].address])
    same("ConferencingSourceDown of what the other reaches", alerts("ConferencingSourceDown", source="shared"), [])
    same("its people", overview.value("People now", source="shared"), 700)
    fired = wait("a source whose /probe is not answered", lambda: alerts("ConferencingSourceDown", source="probed"), 20)
    same("its vendor and label", [(s["metric"].get("vendor"), s["metric"].get("site")) for s in fired], [("asterisk", "lab")])
    same("its state", overview.value("Systems down", source="probed"), 1)
    wait("an exporter that has died, in a job of another name", lambda: alerts("ConferencingExporterDown", job="voip"), 20)
    same("ConferencingExporterDown of others", len(alerts("ConferencingExporterDown")), 1)
    same("Exporters down", overview.value("Exporters down"), 1)
    states = {s["metric"]["source"]: float(s["value"][1]) for s in overview.series("What is down, and why")}
    same("what is down", states, {"probed": 0, "branch": -1, "annex": -1})
    same("People now of a dead exporter", overview.value("People now", source="branch|annex"), None)
    same("Systems down of a dead exporter", overview.value("Systems down", source="branch|annex"), 2)
    wait("ConferencingExporterDown at the webhook", lambda: webhook.received("ConferencingExporterDown", "firing", job="voip"), 20)

    # All targets of a job gone: one notification, not one a source.
    probed.alive = False
    wait("the other exporter at the webhook", lambda: webhook.received("ConferencingExporterDown", "firing", job="conferencing-probed"), 30)
    time.sleep(10)
    same("what is told of `other`, whose exporter died", webhook.names(source="other"), set())
    same("what the rules complain about", [rule["lastError"] for group in server.get("rules")["groups"]
                                           for rule in group["rules"] if rule.get("lastError")], [])
    for page in pages.values():
        empty = set()
        page.look(empty, thorough=False)
        filled |= {(page.page["uid"], p["title"], t["refId"]) for p in static.panels_of(page.page) for t in p["targets"]} - empty
    print(f"elsewhere: 11 set-ups and faults, {len(problems)} problems", flush=True)
    return problems


class Pages(dict):
    """The dashboards of one server, by uid."""

    def __init__(self, server):
        self.server = server
        for path in static.DASHBOARDS:
            page = json.loads(path.read_text())
            self[page["uid"]] = Shown(server, page)


# The run

def with_values(families, text):
    """Adds each sample's value to its labels as __value__."""
    numbers = {}
    for line in text.splitlines():
        match = re.match(r"(\w+)(?:\{(.*)\})? (\S+)", line)
        if match and not line.startswith("#"):
            numbers.setdefault(match[1], []).append(match[3])
    labelled = dict(families)
    name = "conferencing_source_capability"
    labelled[name] = (families[name][0], [
        labels | {"__value__": number} for labels, number in zip(families[name][1], numbers[name], strict=True)])
    return labelled


def run(arguments, folder, problems):
    control = Control(arguments.control)
    control("clear")
    # After an earlier run a login may still be held off for a minute.
    # After two, until ten minutes have passed: then the demo has to be started anew.
    wait("every source to be up", lambda: all_up(fetch(f"{arguments.exporter}/metrics")), 90)
    with contextlib.ExitStack() as stack:
        history = write_history(folder, arguments.exporter, fetch(f"{arguments.exporter}/metrics"))
        servers, webhook, alertmanager_port = start_servers(stack, folder, arguments.exporter, history)
        time.sleep(arguments.seconds)

        text = fetch(f"{arguments.exporter}/metrics")
        families = exposition(text)
        problems += check_metrics(families, arguments.documented)
        families = with_values(families, text)

        shown = [Pages(server) for server in servers]
        filled, queries = set(), 0
        for pages in shown:
            empty = set()
            for page in pages.values():
                problems += page.look(empty, thorough=pages is shown[0])
            every = {(uid, p["title"], t["refId"]) for uid, page in pages.items()
                     for p in static.panels_of(page.page) for t in p["targets"]}
            queries = len(every)
            filled |= every - empty
            problems += [f"{pages.server.name}: {uid}: {title}: query {ref} has no data" for uid, title, ref in sorted(empty)
                         if title not in EMPTY_WHEN_WELL[uid] | EMPTY_AT_FIRST]
            problems += [f"{pages.server.name}: {uid}: {title} is not empty, take it out of EMPTY_WHEN_WELL"
                         for uid, titles in EMPTY_WHEN_WELL.items() for title in titles - {t for u, t, _ in empty if u == uid}]
            problems += check_not_reported(pages["conferencing-overview"], pages["conferencing-source"], families)
            problems += [f"{pages.server.name}: rule {rule['name']}: {rule['lastError']}"
                         for group in pages.server.get("rules")["groups"] for rule in group["rules"] if rule.get("lastError")]
        problems += [f"{name} fires although all is well" for name in MUST_BE_SILENT
                     if webhook.received(name, "firing")]
        print(f"{queries} queries, 2 set-ups, {len(problems)} problems", flush=True)

        refused_request(arguments.exporter)
        # The hold-off comes last: it outlasts its fault.
        prove_source_down(control, shown, webhook, families)
        prove_throttling(control, shown)
        prove_login_hold_off(control, shown, webhook, families)
        refused_request(arguments.exporter)
        time.sleep(2 * SCRAPE)
        for pages in shown:
            empty = set()
            for page in pages.values():
                page.look(empty, thorough=False)
            filled |= every - empty
        if arguments.dump:
            dump(shown[0], arguments.dump)
        if not arguments.demo_only:
            found = prove_elsewhere(stack, folder, webhook, alertmanager_port, filled)
            found += [f"{uid}: {title}: query {ref} was empty all the time" for uid, title, ref in sorted(every - filled)]
            problems += found


def all_up(text):
    states = re.findall(r"^conferencing_up\{.*\} (\d)$", text, re.M)
    return states and "0" not in states


def refused_request(exporter):
    """A counter that appears with 1 has not increased: this is called twice."""
    with contextlib.suppress(urllib.error.HTTPError):
        fetch(f"{exporter}/metrics?source=nobody")


def dump(pages, path):
    """The data of every panel, for checks/pictures. One source is shown as it opens: the first."""
    now = time.time()
    data = {}
    for uid, page in pages.items():
        single = not next(v for v in page.page["templating"]["list"] if v["name"] == "source")["multi"]
        first = sorted(s["metric"]["source"] for s in pages["conferencing-overview"].series("Systems"))[0]
        chosen = {"source": first, "vendor": ".+"} if single else {}
        data[uid] = {panel["id"]: {t["refId"]: page.run(t, now, panel.get("timeFrom"), **chosen) for t in panel["targets"]}
                     for panel in static.panels_of(page.page)}
    path.write_text(json.dumps({"start": pages.server.started, "end": now, "dashboards": data}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exporter", default="http://127.0.0.1:19680", type=lambda url: url.rstrip("/"))
    parser.add_argument("--control", default="http://127.0.0.1:19690", help="the simulator's control API")
    parser.add_argument("--seconds", default=30, type=int, help="to let Prometheus collect before looking")
    parser.add_argument("--documented", default=ROOT / "docs/reference.md", type=pathlib.Path,
                        help="the document that has to name every metric")
    parser.add_argument("--demo-only", action="store_true", help="leave out what is common elsewhere")
    parser.add_argument("--dump", type=pathlib.Path, help="write the data of every panel to this file")
    arguments = parser.parse_args()
    global deadline
    deadline = time.monotonic() + LIMIT + arguments.seconds
    with tempfile.TemporaryDirectory(prefix="monitoring-") as name:
        folder = pathlib.Path(name)
        problems = []
        try:
            run(arguments, folder, problems)
        except (Failure, OSError) as error:
            print(*problems, sep="\n", file=sys.stderr)
            for log in folder.glob("*.log"):
                print(f"--- {log.name}\n{log.read_text(errors='replace')[-2000:]}", file=sys.stderr)
            sys.exit(f"live check: {error}")
        finally:
            with contextlib.suppress(OSError):
                Control(arguments.control)("clear")
    if problems:
        sys.exit("\n".join([*problems, f"live check: {len(problems)} problems"]))
    print("live check: all panels, variables, alerts and metrics hold")


if __name__ == "__main__":
    main()
