#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The exporter scraped by a real Prometheus 3, that of Debian sid, in each format that it can be told to ask for.

    checks/real/prometheus.py fetch                     downloads and unpacks it; once is enough
    checks/real/prometheus.py run EXPORTER SIMULATOR    the check; in a network of its own, it takes fixed ports of the loopback

The simulator's systems stand still, so that what is stored must be the same whatever the format. A relay between Prometheus
and the exporter notes what was asked for and what was answered, and passes both on as they are. For one more job it cuts off
the end of the text, which Prometheus must notice: this check can fail.

Exit status 77: NOT RUN, because the package cannot be had on this machine today, or does not run here.
"""

import contextlib
import gzip
import http.client
import http.server
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.parse
import urllib.request

from common import NOT_RUN, ROOT, Failed, NotRun, apt, release, wait_until

FOLDER = ROOT / "target/real/prometheus"
EXPORTER_PORT, PROMETHEUS_PORT = 19680, 19790
PACKAGES = ("prometheus", "promtool")

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"
# The jobs: the protocols they are set to, and what they must be answered. One without protocols asks as Prometheus does by
# itself; one with protobuf first as Prometheus does for native histograms.
JOBS = {
    "default": ([], OPEN),
    "openmetrics": (["OpenMetricsText1.0.0"], OPEN),
    "text": (["PrometheusText0.0.4"], TEXT),
    "text_1": (["PrometheusText1.0.0"], TEXT),
    "protobuf_first": (["PrometheusProto", "OpenMetricsText1.0.0", "OpenMetricsText0.0.1", "PrometheusText0.0.4"], OPEN),
}
CUT = "openmetrics_without_end"


def fetch():
    """Unpacks Prometheus and its promtool, which need nothing but the C library."""
    if (FOLDER / "usr/bin/prometheus").exists():
        return
    unpacked = FOLDER.with_name("prometheus.part")
    with release("sid") as work:
        apt(work, "download", *PACKAGES)
        shutil.rmtree(unpacked, ignore_errors=True)
        unpacked.mkdir(parents=True)
        for archive in (work / "debs").glob("*.deb"):
            subprocess.run(["dpkg-deb", "--extract", archive, unpacked], check=True)
    shutil.rmtree(FOLDER, ignore_errors=True)
    unpacked.rename(FOLDER)


def version(tool):
    """A tool's version, if it starts: it may need a newer C library than there is here."""
    done = subprocess.run([FOLDER / "usr/bin" / tool, "--version"], capture_output=True, text=True, timeout=30)
    found = re.search(r"version (\d+)\.\S+", done.stdout + done.stderr)
    if done.returncode != 0 or found is None:
        raise NotRun(f"{tool} of sid does not run here: {done.stderr.strip()[-200:]}")
    if int(found[1]) < 3:
        raise NotRun(f"{tool} of this mirror is older than 3: {found[0]}")
    return found[0]


class Relay(http.server.BaseHTTPRequestHandler):
    """Passes on what the job that is the first part of the path asks for."""

    # Of each job: what it accepts and the content type of the last answer; and the families that it was ever told of.
    seen = {}
    told = {}

    def do_GET(self):
        _, job, path = self.path.split("/", 2)
        connection = http.client.HTTPConnection("127.0.0.1", EXPORTER_PORT, timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", f"/{path}", headers=dict(self.headers))
            answer = connection.getresponse()
            body = answer.read()
        self.seen[job] = (self.headers["Accept"], answer.headers["Content-Type"])
        text = gzip.decompress(body) if answer.headers["Content-Encoding"] == "gzip" else body
        self.told.setdefault(job, {}).update(families(text.decode()))
        self.send_response(answer.status)
        for name in ("Content-Type", "Content-Encoding"):
            if name in answer.headers:
                self.send_header(name, answer.headers[name])
        if job == CUT:
            body = body.removesuffix(b"# EOF\n")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Prometheus' own log is enough."""


def configuration(port):
    """Of Prometheus, as JSON, which is YAML too."""
    protocols = {name: asked for name, (asked, _) in JOBS.items()} | {CUT: ["OpenMetricsText1.0.0"]}
    jobs = [
        {"job_name": name, "metrics_path": f"/{name}/metrics", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
        # The end can only be cut off a text that is not compressed.
        | ({"scrape_protocols": asked} if asked else {}) | {"enable_compression": name != CUT}
        for name, asked in protocols.items()
    ]
    # A scrape's time limit is an interval, and half a second of it is the exporter's own.
    return json.dumps({"global": {"scrape_interval": "2s", "scrape_timeout": "2s"}, "scrape_configs": jobs})


def ask(path, **parameters):
    """Prometheus' own answer."""
    url = f"http://127.0.0.1:{PROMETHEUS_PORT}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)["data"]


def exposed(accept):
    """What the exporter answers to this Accept header."""
    request = urllib.request.Request(f"http://127.0.0.1:{EXPORTER_PORT}/metrics", headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode()


def families(text):
    """Type, help and unit of each family of a text."""
    found = {}
    for kind, name, value in re.findall(r"^# (HELP|TYPE|UNIT) (\S+) (.*)$", text, re.MULTILINE):
        found.setdefault(name, {"type": None, "help": None, "unit": ""})[kind.lower()] = value
    return found


def stored(job):
    """The last value of each series of a job, by its labels; what Prometheus itself adds of a scrape is left out."""
    series = ask("query", query=f'{{job="{job}", __name__!~"up|scrape_.+"}}')["result"]
    names = lambda metric: frozenset((name, value) for name, value in metric.items() if name not in ("job", "instance"))
    return {names(one["metric"]): float(one["value"][1]) for one in series}


def targets():
    """Every job is scraped a few times, in the format it must get; what has no end is refused."""
    def scraped():
        ups = {one["metric"]["job"]: one["values"] for one in ask("query", query="up[1m]")["result"]}
        scraped.states = {one["labels"]["job"]: (one["health"], one["lastError"]) for one in ask("targets")["activeTargets"]}
        cut, scraped.error = scraped.states.pop(CUT, ("unknown", ""))
        healthy = cut == "down" and "EOF" in scraped.error and scraped.states == dict.fromkeys(JOBS, ("up", ""))
        return healthy and all(len(ups.get(job, ())) >= 3 for job in (*JOBS, CUT))

    # A scrape may be late where much else runs; one that Prometheus cannot read fails each time.
    try:
        wait_until("scrapes", scraped)
    except Failed:
        raise Failed(f"not up: {scraped.states}; without its end: {scraped.error or 'taken'}") from None
    for job, (_, wanted) in JOBS.items():
        accept, answered = Relay.seen[job]
        if answered != wanted:
            raise Failed(f"{job} is answered {answered} to {accept}")
        print(f"  {job}: up, {answered}")
    print(f"  {CUT}: refused, {scraped.error}")


def series(gauges):
    """Every job stores the same series, bounds of histograms included; and of gauges that stand still, the same values."""
    def differ():
        expected, found = stored("text"), {job: stored(job) for job in JOBS}
        still = {labels for labels in expected if dict(labels)["__name__"] in gauges and "source" in dict(labels)}
        differ.found = {job: sorted(map(sorted, expected.keys() ^ values.keys())) for job, values in found.items()}
        for job, values in found.items():
            differ.found[job] += sorted(sorted(labels) for labels in still if values.get(labels) != expected[labels])
        differ.counts = (len(expected), len(still))
        return not any(differ.found.values())

    # What a scrape changes, as the first count of a request, is there for one job before it is there for the others.
    try:
        wait_until("the same series", differ)
    except Failed:
        other = {job: found[:5] for job, found in differ.found.items() if found}
        raise Failed(f"other series, or values, than the text format: {other}") from None
    count, still = differ.counts
    if still < 100:
        raise Failed(f"only {still} series to compare")
    bounds = {dict(labels).get("le") for labels in stored("openmetrics")} - {None}
    if not {"1.0", "+Inf"} <= bounds:
        raise Failed(f"the bounds of histograms are {bounds}")
    for job in JOBS:
        if created := ask("query", query=f'{{job="{job}", __name__=~".+_created"}}')["result"]:
            raise Failed(f"{job} stores {created[0]['metric']}")
    print(f"  the same {count} series in every format, none of them _created; the same values of {still} that stand still")


def metadata():
    for job, (_, content_type) in JOBS.items():
        found = {
            one["metric"]: {key: one[key] for key in ("type", "help", "unit")}
            for one in ask("targets/metadata", match_target=f'{{job="{job}"}}')
        }
        # A family that is there at times, as that of failures, is kept for some scrapes, and then forgotten.
        told = Relay.told[job]
        expected = found.keys() | (told.keys() - {"conferencing_source_failure"})
        if wrong := sorted(name for name in expected if told.get(name) != found.get(name)):
            raise Failed(f"{job}: metadata of {wrong}: {wrong[0]} is {found.get(wrong[0])}, not {told.get(wrong[0])}")
        units = sorted({family["unit"] for family in found.values()} - {""})
        if units != (["bytes", "seconds"] if content_type == OPEN else []):
            raise Failed(f"{job}: the units are {units}")
        print(f"  {job}: type, help and unit of {len(found)} families, the units {units}")


def lint():
    done = subprocess.run(
        [FOLDER / "usr/bin/promtool", "check", "metrics"], input=exposed(TEXT), capture_output=True, text=True, timeout=30
    )
    if done.returncode != 0 or done.stdout or done.stderr:
        raise Failed(f"promtool check metrics: {done.stdout}{done.stderr}")
    print("  promtool check metrics: nothing to say")


def warnings(log):
    """Prometheus says nothing of any scrape but those that must fail."""
    lines = [line for line in log.read_text().splitlines() if re.search(r"level=(WARN|ERROR)", line)]
    if lines := [line for line in lines if CUT not in line]:
        raise Failed(f"Prometheus warns: {lines[:3]}")


def run(exporter, simulator):
    if not (FOLDER / "usr/bin/prometheus").exists():
        raise NotRun("not fetched")
    print(", ".join(f"{tool} {version(tool)}" for tool in PACKAGES), flush=True)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        work = pathlib.Path(folder)

        def start(name, *command):
            process = subprocess.Popen(command, stdout=(work / f"{name}.log").open("w"), stderr=subprocess.STDOUT)
            stack.callback(process.wait)
            stack.callback(process.kill)

        # Only its owner may read it, or the exporter would warn of the secrets in it.
        sources = work / "exporter.yaml"
        shutil.copy(ROOT / "exporter.yaml", sources)
        sources.chmod(0o600)
        relay = stack.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Relay))
        # A scrape that breaks off is Prometheus' to tell of; at the end some do.
        relay.handle_error = lambda *_: None
        threading.Thread(target=relay.serve_forever, daemon=True).start()
        stack.callback(relay.shutdown)
        (work / "prometheus.yml").write_text(configuration(relay.server_port))
        try:
            start("simulator", simulator, "--static")
            start("exporter", exporter, "--config.file", sources, "--web.listen-address", f"127.0.0.1:{EXPORTER_PORT}")
            systems = sources.read_text().count("\n    vendor: ")
            up = r"^conferencing_up\{.*\} 1$"
            wait_until(f"{systems} sources up", lambda: len(re.findall(up, exposed(TEXT), re.MULTILINE)) == systems)
            start(
                "prometheus", FOLDER / "usr/bin/prometheus", "--config.file", work / "prometheus.yml",
                "--storage.tsdb.path", work / "stored", "--web.listen-address", f"127.0.0.1:{PROMETHEUS_PORT}",
            )
            targets()
            # Ages and durations, and times of the last collection, are other ones at each scrape.
            gauges = {name for name, family in families(exposed(TEXT)).items() if family["type"] == "gauge"}
            series({name for name in gauges if not name.endswith("_seconds")})
            metadata()
            lint()
            warnings(work / "prometheus.log")
        except Failed:
            for log in sorted(work.glob("*.log")):
                print(f"--- {log.name}", *log.read_text().splitlines()[-20:], sep="\n", file=sys.stderr)
            raise


def main():
    try:
        match sys.argv[1:]:
            case ["fetch"]:
                try:
                    fetch()
                except (OSError, subprocess.SubprocessError) as problem:
                    raise NotRun(problem) from None
            case ["run", exporter, simulator]:
                run(exporter, simulator)
            case _:
                sys.exit(__doc__)
    except NotRun as reason:
        print(f"NOT RUN: Prometheus 3: {reason}")
        sys.exit(NOT_RUN)
    except Failed as reason:
        sys.exit(f"FAILED: Prometheus 3: {reason}")


if __name__ == "__main__":
    main()
