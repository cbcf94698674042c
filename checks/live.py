#!/usr/bin/env python3
"""Proves dashboards, rules and alerts against a running demo, a real Prometheus and a real Alertmanager.

    cargo run --profile demo --example demo &
    checks/live.py --exporter http://127.0.0.1:19680 --control http://127.0.0.1:19690

It starts, on free ports of the loopback and in a temporary directory, two Prometheus servers (one
for each set-up of prometheus/prometheus.yaml), Alertmanager with the sample configuration and a
webhook receiver; lets them run for a while; and then checks

* that every metric of checks/metrics.txt is in the exporter's output and the other way round, and is
  documented in the README; and that the runbooks know every `reason`;
* that the query of every variable and of every panel returns data, with both set-ups, and that every
  label of a legend and every column of a table is in the result;
* that what a system cannot report is shown as such;
* that panels which are rightly empty while all is well fill up when a fault is injected;
* that alerts go from a fault in the simulator through Prometheus and Alertmanager to the webhook, and
  back when the fault is over.

Waiting times of the rules (`for`, `group_wait`) and the scrape interval are shortened to seconds;
everything else is used as shipped. It takes about a minute and gives up after four.
"""

import argparse
import contextlib
import http.server
import json
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import promql
import static

ROOT = static.ROOT
SCRAPE = 2                    # seconds
RATE_INTERVAL = 4 * SCRAPE    # as Grafana computes it for a step up to 3 scrapes
LIMIT = 210                   # for everything but the --seconds of waiting

# Empty while all is well; the faults below fill them.
EMPTY_WHEN_WELL = {
    ("conferencing-overview", "API errors by vendor and reason"),
    ("conferencing-source", "API errors by reason"),
    ("conferencing-exporter", "HTTP requests refused or failed"),
}
# Others may fire in a demo: there are rooms without a PIN, and people do wait.
MUST_BE_SILENT = [
    "ConferencingExporterDown", "ConferencingSourceDown", "ConferencingSourceDownForLong", "ConferencingLoginsHeldOff",
    "ConferencingApiErrors", "ConferencingRateLimited", "ConferencingDataStale", "ConferencingCollectionSlow",
    "ConferencingReloadFailed", "ConferencingQuotaUsedUp",
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


class Webhook(http.server.ThreadingHTTPServer):
    """Keeps every alert it is sent, with the path it came to."""

    def __init__(self):
        self.alerts = []
        alerts = self.alerts

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                alerts.extend((self.path, alert) for alert in body["alerts"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def received(self, name, status, **labels):
        for path, alert in self.alerts:
            if (alert["status"] == status and alert["labels"]["alertname"] == name
                    and labels.items() <= alert["labels"].items()):
                return path, alert
        return None


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


def start_servers(stack, folder, exporter):
    webhook = Webhook()
    stack.callback(webhook.server_close)
    stack.callback(webhook.shutdown)

    alertmanager_port = free_port()
    sample = (ROOT / "prometheus/alertmanager.yaml").read_text()
    sample = sample.replace("localhost:9095", f"127.0.0.1:{webhook.server_address[1]}")
    sample = re.sub(r"(group_wait|group_interval): \w+", r"\1: 1s", sample)
    (folder / "alertmanager.yaml").write_text(sample)
    start(stack, folder, "alertmanager", program("prometheus-alertmanager", "alertmanager"),
          "--config.file=alertmanager.yaml", f"--storage.path={folder}/alertmanager", "--cluster.listen-address=",
          f"--web.listen-address=127.0.0.1:{alertmanager_port}")

    for name in ("alerts.yaml", "recording-rules.yaml"):
        rules = (ROOT / "prometheus" / name).read_text()
        rules = re.sub(r"^( +for): \w+$", r"\1: 3s", rules, flags=re.M)
        rules = re.sub(r"^( +interval): \w+$", r"\1: 5s", rules, flags=re.M)
        (folder / name).write_text(rules)

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
        (folder / f"{name}.yaml").write_text(text)
        server = Prometheus(name, free_port())
        start(stack, folder, name, program("prometheus"), f"--config.file={name}.yaml",
              f"--storage.tsdb.path={folder}/{name}", f"--web.listen-address=127.0.0.1:{server.port}",
              "--web.enable-lifecycle", "--log.level=warn")
        servers.append(server)
    for server in servers:
        wait(f"Prometheus ({server.name})", lambda: fetch(f"{server.url}/-/ready"), 20)
        wait(f"healthy targets ({server.name})", server.healthy_targets, 30)
        server.started = time.time()
    jobs = {t["labels"]["job"] for s in servers for t in s.get("targets")["activeTargets"]}
    if jobs != {"conferencing"}:
        raise Failure(f"targets have the jobs {jobs}: dashboards and alerts expect one")
    wait("Alertmanager", lambda: fetch(f"http://127.0.0.1:{alertmanager_port}/-/ready"), 20)
    return servers, webhook


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


def check_metrics(families, readme):
    problems = []
    known, found = static.metrics(), table_of(families)
    problems += [f"{name} is in metrics.txt but not in the exporter's output" for name in known.keys() - found.keys()]
    problems += [f"{name} is in the exporter's output but not in metrics.txt" for name in found.keys() - known.keys()]
    for name in known.keys() & found.keys():
        kind, labels = found[name]
        configured = {label for entry in families["conferencing_up"][1] for label in entry} - {"source", "vendor"}
        if kind != known[name][0] or set(labels) - configured != set(known[name][1]):
            problems.append(f"{name}: metrics.txt says {known[name]}, the exporter {found[name]}")
    text = readme.read_text() if readme.exists() else ""
    problems += [f"{name} is not documented in {readme.name}" for name in sorted(found) if not documented(name, text)]

    reasons = {labels["reason"] for labels in families["conferencing_api_errors_total"][1]}
    runbook = (ROOT / "docs/runbooks.md").read_text()
    section = runbook.partition("## Reasons")[2].partition("\n## ")[0]
    in_table = set(re.findall(r"^\| `(\w+)` \|", section, re.M)) - {"reason"}
    if reasons != in_table:
        problems.append(f"docs/runbooks.md explains other reasons than the exporter has: {sorted(reasons ^ in_table)}")
    return problems


def documented(name, text):
    if name.startswith("process_"):
        return name in text or "process_*" in text or "`process_" in text
    return name in text


# Dashboards

def pages():
    return {path.stem: json.loads(path.read_text()) for path in static.DASHBOARDS}


def resolved(expr, **chosen):
    for name, value in chosen.items():
        expr = re.sub(rf"\$\{{?{name}\b(:\w+)?\}}?", value, expr)
    return static.resolve(expr, f"{RATE_INTERVAL}s")


def run_target(server, target, at=None, **chosen):
    expr = resolved(target["expr"], **chosen)
    return server.query(expr, at) if target["instant"] else server.query_range(expr, at)


def check_variables(server, page):
    problems = []
    for variable in page["templating"]["list"]:
        if variable["type"] != "query":
            continue
        series, label = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"]).groups()
        values = server.get(f"label/{label}/values", **{"match[]": static.resolve(series)})
        if not values:
            problems.append(f"{server.name}: {page['uid']}: variable {variable['name']} has no values")
    return problems


def check_panels(server, page, empty):
    """Problems; titles of panels without data are added to `empty`."""
    problems = []
    for panel in page["panels"]:
        where = f"{server.name}: {page['uid']}: {panel['title']}"
        for target in panel["targets"]:
            try:
                result = run_target(server, target)
            except Failure as error:
                problems.append(f"{where}: query {target['refId']}: {error}")
                continue
            if not result:
                empty.setdefault((page["uid"], panel["title"]), []).append(
                    f"{where}: query {target['refId']} has no data: {target['expr']}")
            for label in re.findall(r"\{\{ *(\w+) *\}\}", target["legendFormat"]):
                if any(not series["metric"].get(label) for series in result):
                    problems.append(f"{where}: the legend's label {label} is not in the result")
            for column in columns(panel):
                if not column.startswith(("Value", "Time")) and any(column not in s["metric"] for s in result):
                    problems.append(f"{where}: column {column} is not in the result")
            # One vendor alone, and nothing at all, must not break the query.
            for chosen in ({"vendor": "dingtalk"}, {"vendor": "yeastar_p"}, {"source": "nobody"}):
                try:
                    run_target(server, target, **chosen)
                except Failure as error:
                    problems.append(f"{where}: with {chosen}: {error}")
    return problems


def columns(panel):
    for step in panel.get("transformations", []):
        if step["id"] == "organize":
            yield from step["options"]["renameByName"]
        if step["id"] == "groupingToMatrix":
            yield from (step["options"]["columnField"], step["options"]["rowField"])


def value(server, page, title, ref="A", **chosen):
    """The one number a panel shows."""
    panel = next(p for p in page["panels"] if p["title"] == title)
    target = next(t for t in panel["targets"] if t["refId"] == ref)
    result = server.query(resolved(target["expr"], **chosen))
    return float(result[0]["value"][1]) if len(result) == 1 else None


def check_not_reported(server, overview, source, families):
    """What a vendor cannot report is -1 in the query, which the panel shows in words."""
    problems = []
    cases = [(overview, "Waiting for a moderator", "participants_waiting")]
    capability = {}
    for labels, number in samples(families, "conferencing_source_capability"):
        capability.setdefault(labels["capability"], {})[labels["vendor"]] = number
    for page, title, name in cases:
        for vendor, number in capability[name].items():
            shown = value(server, page, title, vendor=vendor)
            if (shown == -1) != (number == 0):
                problems.append(f"{server.name}: {title} shows {shown} for {vendor}, whose capability is {number}")
    rooms = next(p for p in source["panels"] if p["title"] == "Room settings")
    result = server.query(resolved(rooms["targets"][0]["expr"]))
    unreported = {s["metric"]["vendor"] for s in result
                  if s["metric"]["setting"] == "Rooms" and float(s["value"][1]) == -1}
    expected = {vendor for vendor, number in capability["rooms"].items() if number == 0}
    if unreported != expected:
        problems.append(f"{server.name}: Room settings: not reported by {unreported}, should be {expected}")
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


def prove_source_down(control, servers, webhook, dashboards, families):
    """A source fails, is shown and reported as down, and as resolved when it is back."""
    name = source_of(families, "yeastar_p")
    control("fault", vendor="yeastar_p", fault="status-500")
    for server in servers:
        wait(f"Down to count {name} ({server.name})",
             lambda: value(server, dashboards["conferencing-overview"], "Down") == 1, 20)
        wait(f"State to be down ({server.name})",
             lambda: value(server, dashboards["conferencing-source"], "State", source=name) == 0, 20)
        wait(f"ConferencingSourceDown ({server.name})", lambda: server.query(
            f'ALERTS{{alertname="ConferencingSourceDown", alertstate="firing", source="{name}"}}'), 20)
    path, alert = wait("ConferencingSourceDown at the webhook",
                       lambda: webhook.received("ConferencingSourceDown", "firing", source=name), 30)
    if path != "/day" or not alert["annotations"]["runbook_url"].endswith("#conferencingsourcedown"):
        raise Failure(f"the alert came to {path} as {alert['annotations']}")
    control("clear")
    wait("ConferencingSourceDown to be resolved",
         lambda: webhook.received("ConferencingSourceDown", "resolved", source=name), 40)
    print(f"ConferencingSourceDown for {name}: simulator, Prometheus, Alertmanager, webhook, and resolved", flush=True)


def prove_throttling(control, servers, dashboards):
    """Requests refused as too many are shown with their reason."""
    for vendor in ("huawei_meeting", "openvox_uc"):
        control("fault", vendor=vendor, fault="throttle")
    for server in servers:
        wait(f"rate_limited in the errors by reason ({server.name})", lambda: any(
            s["metric"]["reason"] == "rate_limited" for s in server.query_range(
                resolved(target(dashboards, "conferencing-source", "API errors by reason")["expr"]))), 40)
    control("clear")
    print("throttling: shown with its reason", flush=True)


def prove_login_hold_off(control, servers, webhook, dashboards, families):
    """Rejected logins are held off, shown and reported as critical."""
    name = source_of(families, "yeastar_s")
    control("fault", vendor="yeastar_s", fault="auth")
    control("expire", vendor="yeastar_s")
    hold_off = target(dashboards, "conferencing-source", "Login hold-off")
    for server in servers:
        wait(f"the login hold-off ({server.name})", lambda: any(
            s["metric"]["source"] == name and s["value"][1] == "1"
            for s in server.query(resolved(hold_off["expr"]))), 30)
    path, _ = wait("ConferencingLoginsHeldOff at the webhook",
                   lambda: webhook.received("ConferencingLoginsHeldOff", "firing", source=name), 30)
    if path != "/night":
        raise Failure(f"a critical alert came to {path}")
    control("clear")
    print(f"ConferencingLoginsHeldOff for {name}: shown, and at the webhook as critical", flush=True)


def target(dashboards, uid, title, ref="A"):
    panel = next(p for p in dashboards[uid]["panels"] if p["title"] == title)
    return next(t for t in panel["targets"] if t["refId"] == ref)


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


def run(arguments, folder):
    control = Control(arguments.control)
    control("clear")
    # After an earlier run a login may still be held off for a minute.
    # After two, until ten minutes have passed: then the demo has to be started anew.
    wait("every source to be up", lambda: all_up(fetch(f"{arguments.exporter}/metrics")), 90)
    with contextlib.ExitStack() as stack:
        servers, webhook = start_servers(stack, folder, arguments.exporter)
        time.sleep(arguments.seconds)

        text = fetch(f"{arguments.exporter}/metrics")
        families = exposition(text)
        if arguments.write_metrics:
            write_metrics(families)
        problems = check_metrics(families, arguments.documented)
        families = with_values(families, text)

        dashboards = pages()
        empty = {}
        for server in servers:
            for page in dashboards.values():
                problems += check_variables(server, page) + check_panels(server, page, empty)
            problems += check_not_reported(server, dashboards["conferencing-overview"],
                                           dashboards["conferencing-source"], families)
            problems += [f"{server.name}: rule {rule['name']}: {rule['lastError']}"
                         for group in server.get("rules")["groups"] for rule in group["rules"] if rule.get("lastError")]
        for place, texts in empty.items():
            if place not in EMPTY_WHEN_WELL:
                problems += texts
        problems += [f"{name} fires although all is well" for name in MUST_BE_SILENT
                     if webhook.received(name, "firing")]
        for text in problems:
            print(text, file=sys.stderr)
        queries = sum(len(p["targets"]) for page in dashboards.values() for p in page["panels"])
        print(f"{queries} queries of {sum(len(page['panels']) for page in dashboards.values())} panels, "
              f"2 set-ups, {len(problems)} problems", flush=True)

        refused_request(arguments.exporter)
        # The hold-off comes last: it outlasts its fault.
        prove_source_down(control, servers, webhook, dashboards, families)
        prove_throttling(control, servers, dashboards)
        prove_login_hold_off(control, servers, webhook, dashboards, families)
        refused_request(arguments.exporter)
        time.sleep(2 * SCRAPE)
        for server in servers:
            for uid, title in EMPTY_WHEN_WELL:
                if not run_target(server, target(dashboards, uid, title)):
                    problems.append(f"{server.name}: {uid}: {title} is empty in spite of the faults")
                    print(problems[-1], file=sys.stderr)
        if arguments.dump:
            dump(servers[0], dashboards, arguments.dump)
        return problems


def all_up(text):
    states = re.findall(r"^conferencing_up\{.*\} (\d)$", text, re.M)
    return states and "0" not in states


def refused_request(exporter):
    """A counter that appears with 1 has not increased: this is called twice."""
    with contextlib.suppress(urllib.error.HTTPError):
        fetch(f"{exporter}/metrics?source=nobody")


def write_metrics(families):
    path = static.CHECKS / "metrics.txt"
    head = [line for line in path.read_text().splitlines() if line.startswith("#")]
    rows = [" ".join([name, kind, *labels]) for name, (kind, labels) in sorted(table_of(families).items())]
    path.write_text("\n".join(head + rows) + "\n")


def dump(server, dashboards, path):
    """The data of every panel, for checks/pictures."""
    now = time.time()
    data = {uid: {panel["id"]: {t["refId"]: run_target(server, t, now) for t in panel["targets"]}
                  for panel in page["panels"]} for uid, page in dashboards.items()}
    path.write_text(json.dumps({"start": server.started, "end": now, "dashboards": data}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exporter", default="http://127.0.0.1:19680", type=lambda url: url.rstrip("/"))
    parser.add_argument("--control", default="http://127.0.0.1:19690", help="the simulator's control API")
    parser.add_argument("--seconds", default=30, type=int, help="to let Prometheus collect before looking")
    parser.add_argument("--documented", default=ROOT / "README.md", type=pathlib.Path,
                        help="the document that has to name every metric")
    parser.add_argument("--write-metrics", action="store_true", help="write checks/metrics.txt from the output")
    parser.add_argument("--dump", type=pathlib.Path, help="write the data of every panel to this file")
    arguments = parser.parse_args()
    global deadline
    deadline = time.monotonic() + LIMIT + arguments.seconds
    with tempfile.TemporaryDirectory(prefix="monitoring-") as name:
        folder = pathlib.Path(name)
        try:
            problems = run(arguments, folder)
        except (Failure, OSError) as error:
            for log in folder.glob("*.log"):
                print(f"--- {log.name}\n{log.read_text(errors='replace')[-2000:]}", file=sys.stderr)
            sys.exit(f"live check: {error}")
        finally:
            with contextlib.suppress(OSError):
                Control(arguments.control)("clear")
    if problems:
        sys.exit(f"live check: {len(problems)} problems")
    print("live check: all panels, variables, alerts and metrics hold")


if __name__ == "__main__":
    main()
