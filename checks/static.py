#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks dashboards, rules, tests and runbooks as they lie there; nothing has to run.

    checks/static.py              all problems, exit 1 if there is one
    checks/static.py --self-test  breaks dashboards and rules on purpose and fails if a break goes unnoticed

The rules for dashboards are those of Grafana's dashboard-linter (Prometheus part), and this
project's own on top. One of the linter's is not kept: All of `job` and `instance` is not ".+", which would take in every
other target of the same Prometheus, but the list of what was found.
"""

import copy
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import textwrap
from collections import Counter

import promql
from units import units

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "grafana"))

from source import palette  # noqa: E402

CHECKS = ROOT / "checks"
DASHBOARDS = sorted((ROOT / "grafana/dashboards").glob("*.json"))
PAGES = {"conferencing-overview", "conferencing-source", "conferencing-exporter"}
VARIABLES = ["datasource", "job", "instance", "vendor", "source", "top"]
MORE_VARIABLES = {"conferencing-overview": ["objective", "utc_offset"]}
PANELS = {"bargauge", "heatmap", "stat", "state-timeline", "table", "timeseries"}
TRANSFORMATIONS = {"groupingToMatrix", "merge", "organize"}
RUNBOOKS = "https://github.com/conferencing-exporter/conferencing_exporter/blob/main/docs/runbooks.md"
# Prometheus writes these itself, for every target.
SCRAPE_METRICS = {"up": [], "scrape_duration_seconds": [], "scrape_samples_scraped": []}
# And this, for each alert that is pending or firing.
ALERTS = "ALERTS"
TARGET_LABELS = {"job", "instance"}
# A panel of h rows is 38 h - 8 px high; at 1280 x 720 about 560 px are left under Grafana's own bars.
FIRST_SCREEN_ROWS = 14


def metrics():
    """Name -> (type, labels), from metrics.txt."""
    rows = (line.split() for line in (CHECKS / "metrics.txt").read_text().splitlines() if not line.startswith("#"))
    return {name: (kind, labels) for name, kind, *labels in rows}


def resolve(query, rate_interval="5m", interval="1m", whole="1h", top="10", **chosen):
    """The query as Prometheus gets it; variables that are not `chosen` stand at what matches everything."""
    for name, value in {"__rate_interval": rate_interval, "__interval": interval, "__range": whole, "top": top,
                        "objective": "99.5", "utc_offset": "0"}.items():
        query = re.sub(rf"\${name}\b", value, query)
    return re.sub(r"\$\{?(job|instance|vendor|source)\b(:\w+)?\}?", lambda m: chosen.get(m[1], ".+"), query)


def panels_of(page):
    """Every panel that shows something, those of folded rows too."""
    return [one for item in page.get("panels", []) for one in [item, *item.get("panels", [])] if one.get("type") != "row"]


# Dashboards

def dashboard_problems(page, stem, known_metrics, known_units):
    problems = []

    def want(condition, text):
        if not condition:
            problems.append(text)

    want(page.get("schemaVersion") == 39, "schemaVersion is not 39")
    want(not {"__inputs", "__requires", "__elements"} & page.keys(), "exported for sharing: has __inputs")
    want(page.get("uid") == stem, "uid is not the file's name")
    want(page.get("id") is None, "has an id of some database")
    want(page.get("editable") is False, "is editable")
    want(page.get("title") and page.get("description"), "without title or description")
    linked = {link.get("url", "").partition("?")[0] for link in page.get("links", [])}
    want(linked == {f"/d/{uid}" for uid in PAGES - {stem}}, "does not link to the other dashboards")
    want(all(link.get("keepTime") and all(f"${{{name}:queryparam}}" in link.get("url", "") for name in ("datasource", "job", "instance"))
             for link in page.get("links", [])), "a link loses variables or time")
    for one in page.get("annotations", {}).get("list", []):
        for s in promql.selectors(one.get("expr", "")):
            want(s.metric in known_metrics or s.metric == ALERTS, f"annotation {one['name']}: unknown metric {s.metric}")

    problems += variable_problems(page, known_metrics)
    panels = panels_of(page)
    for what, values in (("id", [p.get("id") for p in panels]), ("title", [p.get("title") for p in panels])):
        doubles = [value for value, n in Counter(values).items() if n > 1]
        want(not doubles, f"panels share the {what} {doubles}")
    problems += layout_problems(page.get("panels", []))
    for panel in panels:
        problems += [f"panel {panel.get('title')!r}: {text}"
                     for text in panel_problems(panel, known_metrics, known_units)]
    return problems


def variable_problems(page, known_metrics):
    problems = []
    variables = page.get("templating", {}).get("list", [])
    names = [v.get("name") for v in variables]
    expected = VARIABLES + MORE_VARIABLES.get(page.get("uid"), [])
    if names != expected:
        return [f"variables are {names}, not {expected}"]
    for v in variables:
        def want(condition, text, name=v["name"]):
            if not condition:
                problems.append(f"variable {name}: {text}")
        want(v.get("description"), "no description")
        if v["name"] == "datasource":
            want(v.get("type") == "datasource" and v.get("query") == "prometheus", "is not a Prometheus data source")
            want(v.get("label") == "Data source", "label is not 'Data source'")
            continue
        if v["name"] in ("top", "objective", "utc_offset"):
            want(v.get("type") in ("custom", "textbox") and v.get("query"), "is not a choice or a text with a default")
            continue
        want(v.get("type") == "query", "is not a query")
        want(v.get("datasource", {}).get("uid") == "${datasource}", "does not use the data source variable")
        want(v.get("label") == v["name"].title(), f"label is not {v['name'].title()!r}")
        want(v.get("refresh") == 2, "is not read again when the time range changes")
        query = v.get("query", {}).get("query", "")
        if v["name"] in ("job", "instance"):
            want(v.get("multi") and v.get("includeAll") and "allValue" not in v, "not multi with All as the list")
            match = re.fullmatch(r"query_result\((count by \((\w+)\) .+)\)", query)
            want(v.get("regex") == f'/{v["name"]}="([^"]+)"/', "does not take its value out of the result")
        else:
            single = v["name"] == "source" and page.get("uid") == "conferencing-source"
            want(not v.get("multi") and not v.get("includeAll") if single else
                 v.get("multi") and v.get("includeAll") and v.get("allValue") == ".+", "not multi with All as .+, or not single")
            match = re.fullmatch(r"label_values\((.+), (\w+)\)", query)
        want(match and v["name"] in match.groups(), f"query does not yield {v['name']}")
        if match:
            for s in promql.selectors(match[1]):
                want(s.metric in known_metrics, f"unknown metric {s.metric}")
    return problems


def layout_problems(items):
    """Each row, and what stands above the first, fills the 24 columns without holes and overlaps."""
    sections = [[]]
    for item in items:
        if item.get("type") == "row":
            sections.append(list(item.get("panels", [])))
            if bool(item.get("collapsed")) != bool(item.get("panels")):
                yield f"row {item.get('title')!r} is folded without panels, or open with panels inside"
        else:
            sections[-1].append(item)
    for section in sections:
        yield from section_problems(section)
    below = max((p.get("gridPos", {}).get("y", 0) + p.get("gridPos", {}).get("h", 0) for p in sections[0]), default=0)
    if below > FIRST_SCREEN_ROWS:
        yield "what stands above the first row needs scrolling"


def section_problems(panels):
    taken = {}
    for panel in panels:
        place = panel.get("gridPos", {})
        x, y, w, h = (place.get(k, -1) for k in "xywh")
        title = panel.get("title")
        if min(x, y) < 0 or min(w, h) < 1 or x + w > 24:
            yield f"panel {title!r} is outside the grid"
            continue
        # 24 columns are about 1,250 px at a width of 1280.
        if w < 4:
            yield f"panel {title!r} is too narrow at 1280 px"
        for cell in ((column, row) for column in range(x, x + w) for row in range(y, y + h)):
            other = taken.setdefault(cell, title)
            if other != title:
                yield f"panels {other!r} and {title!r} overlap"
                break
    rows = {y for _, y in taken}
    for y in range(min(rows, default=0), max(rows, default=-1) + 1):
        if any((x, y) not in taken for x in range(24)):
            yield f"the grid has a hole in row {y}"


def panel_problems(panel, known_metrics, known_units):
    problems = []

    def want(condition, text):
        if not condition:
            problems.append(text)

    want(panel.get("type") in PANELS, f"type {panel.get('type')!r} is legacy or unknown")
    want(panel.get("title"), "no title")
    want(len(panel.get("description", "")) > 20, "no description")
    want(panel.get("datasource") == {"type": "prometheus", "uid": "${datasource}"}, "not the data source variable")
    defaults = panel.get("fieldConfig", {}).get("defaults", {})
    want(defaults.get("unit") in known_units, f"unit {defaults.get('unit')!r} is not Grafana's")
    want(defaults.get("noValue") and defaults["noValue"] != "No data", "says nothing of its own when it is empty")
    overrides = panel.get("fieldConfig", {}).get("overrides", [])
    for item in overrides:
        for p in item["properties"]:
            want(p["id"] != "unit" or p["value"] in known_units, f"unit {p.get('value')!r} is not Grafana's")
    want(all(t.get("id") in TRANSFORMATIONS for t in panel.get("transformations", [])), "unknown transformation")

    queries = panel.get("targets", [])
    want(queries, "no query")
    want(len({t.get("refId") for t in queries}) == len(queries), "queries share a refId")
    for t in queries:
        want(t.get("datasource", {}).get("uid") == "${datasource}", "a query does not use the data source variable")
        problems += query_problems(t.get("expr", ""), known_metrics, t.get("instant"))
    problems += name_problems(panel, overrides, queries)
    return problems


def query_problems(query, known_metrics, instant):
    problems = []
    try:
        found = promql.selectors(query)
    except promql.Invalid as error:
        return [f"{error} in {query}"]
    for s in found:
        if s.metric == ALERTS or s.metric == "conferencing:dingtalk_quota_calls:month":
            continue
        name = s.metric if s.metric in known_metrics else promql.base(s.metric)
        if name not in known_metrics:
            problems.append(f"unknown metric {s.metric}")
            continue
        kind, labels = known_metrics[name]
        # What is recorded is of no exporter any more.
        for label in ("job",) if ":" in name else ("job", "instance"):
            if s.matchers.get(label) != ("=~", f"${label}"):
                problems.append(f"{s.metric} without {label}=~\"${label}\"")
        for label in ("vendor", "source"):
            if label in labels and s.matchers.get(label) != ("=~", f"${label}"):
                problems.append(f"{s.metric} without {label}=~\"${label}\"")
        if name not in SCRAPE_METRICS:
            for label in s.matchers.keys() - set(labels) - TARGET_LABELS:
                problems.append(f"{s.metric} has no label {label}")
        function = s.functions[-1] if s.functions else ""
        if s.range and function in promql.COUNTER_FUNCTIONS:
            if kind == "gauge":
                problems.append(f"{s.metric} is a gauge inside rate")
            if s.range != "$__rate_interval" and not instant:
                problems.append(f"{s.metric}[{s.range}]: not $__rate_interval")
        elif s.range and (function not in promql.GAUGE_FUNCTIONS or kind != "gauge"):
            problems.append(f"{s.metric}[{s.range}] inside {function}")
    problems += [f"counter {name} outside rate and increase" for name in promql.counter_misuse(query)]
    return problems


def name_problems(panel, overrides, queries):
    """Overrides by name have to meet a legend or a column that exists."""
    problems = []
    names = {t.get("legendFormat") for t in queries} - {"__auto", ""}
    free = any("{{" in name for name in names)
    for step in panel.get("transformations", []):
        if step["id"] == "organize":
            renamed = step["options"]["renameByName"]
            names |= set(renamed.values())
            values = {f"Value #{t['refId']}" for t in queries} if len(queries) > 1 else {"Value"}
            for column in renamed:
                if column.startswith("Value") and column not in values:
                    problems.append(f"column {column!r} has no query")
            untitled = values - renamed.keys() - step["options"]["excludeByName"].keys()
            if untitled:
                problems.append(f"queries without a column title: {untitled}")
    for item in overrides:
        if item["matcher"]["id"] == "byName" and item["matcher"]["options"] not in names and not free:
            problems.append(f"override for {item['matcher']['options']!r}, which no query yields")
    return problems


def colours_in(part):
    """Every colour of a dashboard, or of a part of one."""
    if isinstance(part, list):
        for one in part:
            yield from colours_in(one)
    elif isinstance(part, dict):
        for key, value in part.items():
            if key in ("color", "fixedColor", "iconColor") and isinstance(value, str):
                yield value
            else:
                yield from colours_in(value)


def colour_problems(pages):
    """One name, one colour, on all dashboards; all of them from the palette, which checks/colours.py looks at."""
    problems, seen = [], {}
    known = {colour for colours, _ in palette.GROUPS.values() for colour in colours.values()}
    for stem, page in pages.items():
        for colour in set(colours_in(page)) - known - {palette.TEXT}:
            problems.append(f"{stem}: {colour} is not of the palette")
        for panel in panels_of(page):
            for item in panel["fieldConfig"]["overrides"]:
                for p in item["properties"]:
                    if p["id"] != "color":
                        continue
                    name = item["matcher"]["options"]
                    first = seen.setdefault(name, p["value"])
                    if first != p["value"]:
                        problems.append(f"{stem}: {name} is {p['value']}, elsewhere {first}")
            for mapping in panel["fieldConfig"]["defaults"].get("mappings", []):
                if mapping["type"] == "value":
                    for result in mapping["options"].values():
                        first = seen.setdefault(f"text {result['text']}", result["color"])
                        if first != result["color"]:
                            problems.append(f"{stem}: {result['text']} is {result['color']}, elsewhere {first}")
    return problems


# Rules, their tests and the runbooks

def yaml(*paths):
    output = subprocess.run(["node", str(CHECKS / "schema/yaml2json.mjs"), *map(str, paths)],
                            check=True, capture_output=True, text=True).stdout
    return json.loads(output)


def rule_files():
    folder = ROOT / "prometheus"
    return [folder / "alerts.yaml", folder / "recording-rules.yaml", *sorted((folder / "tests").glob("*.yaml"))]


def rule_problems(alerts, recordings, tests, runbook, known_metrics):
    problems = []
    records = {rule["record"] for group in recordings["groups"] for rule in group["rules"]}
    known = known_metrics.keys() | records
    sections = dict(re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", runbook, re.M | re.S))
    names = []
    for group in alerts["groups"] + recordings["groups"]:
        for rule in group["rules"]:
            name = rule.get("alert") or rule["record"]
            query = str(rule["expr"])
            for s in promql.selectors(query):
                if s.metric not in known and promql.base(s.metric) not in known_metrics:
                    problems.append(f"{name}: unknown metric {s.metric}")
                labels = known_metrics.get(s.metric, ("", []))[1]
                if labels and s.metric not in SCRAPE_METRICS:
                    for label in s.matchers.keys() - set(labels) - TARGET_LABELS:
                        problems.append(f"{name}: {s.metric} has no label {label}")
            problems += [f"{name}: counter {c} outside rate and increase" for c in promql.counter_misuse(query)]
    for rule in (rule for group in alerts["groups"] for rule in group["rules"]):
        name = rule["alert"]
        names.append(name)
        annotations, severity = rule.get("annotations", {}), rule.get("labels", {}).get("severity")
        if annotations.keys() != {"summary", "description", "runbook_url"} or not all(annotations.values()):
            problems.append(f"{name}: annotations are not summary, description and runbook_url")
        if severity not in ("critical", "warning"):
            problems.append(f"{name}: severity {severity!r}")
        if annotations.get("runbook_url") != f"{RUNBOOKS}#{name.lower()}":
            problems.append(f"{name}: runbook_url does not point to its section")
        if name not in sections:
            problems.append(f"{name}: no section in docs/runbooks.md")
        elif not sections[name].lstrip().startswith(f"**{str(severity).title()}.**"):
            problems.append(f"{name}: its section does not begin with its severity")
        elif "First look" not in sections[name]:
            problems.append(f"{name}: its section does not say what to look at first")
        outcomes = {bool(case.get("exp_alerts")) for file in tests for test in file["tests"]
                    for case in test.get("alert_rule_test", []) if case["alertname"] == name}
        for outcome, word in ((True, "firing"), (False, "silent")):
            if outcome not in outcomes:
                problems.append(f"{name}: no unit test finds it {word}")
    tested = {s.metric for file in tests for test in file["tests"] for case in test.get("promql_expr_test", [])
              for s in promql.selectors(case["expr"])}
    problems += [f"{record}: no unit test looks at it" for record in sorted(records - tested)
                 if record != "conferencing:dingtalk_quota_calls:month"]
    for file in tests:
        for series in (s["series"] for test in file["tests"] for s in test["input_series"]):
            for s in promql.selectors(series):
                if s.metric not in known_metrics:
                    problems.append(f"rule test: unknown metric {s.metric}")
    problems += [f"runbook section {name} is of no alert" for name in sections
                 if name.startswith("Conferencing") and name not in names]
    return problems


def runbook_queries(text):
    """The queries of the ```promql blocks: one, or one a line where every line is one by itself."""
    for block in re.findall(r"^ *```promql\n(.*?)^ *```", text, re.M | re.S):
        yield from (line.strip() for line in block.splitlines() if line.strip())


def runbook_problems(text, known_metrics, records):
    problems = []
    anchors = {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in re.findall(r"^##? (.+)$", text, re.M)}
    for anchor in re.findall(r"\]\(#([^)]+)\)", text):
        if anchor not in anchors:
            problems.append(f"runbooks: no section #{anchor}")
    for name in set(re.findall(r"\b(?:conferencing|process)_[a-z_]+\b", text)) - {"conferencing_exporter"}:
        if name not in known_metrics and promql.base(name) not in known_metrics and not any(name in r for r in records):
            problems.append(f"runbooks: unknown metric {name}")
    for query in runbook_queries(text):
        problems += [f"runbooks: counter {c} outside rate and increase" for c in promql.counter_misuse(query)]
    return problems


def second_setup(text):
    """prometheus.yaml with set-up 1 taken out and set-up 2 taken in, as its comments say."""
    text = re.sub(r"^  # SET-UP 1:.*?# END OF SET-UP 1\n", "", text, flags=re.M | re.S)
    return re.sub(r"^  #: ", "  ", text, flags=re.M)


def setup_problems():
    """The set-up in the README is the first of prometheus.yaml, that in docs/scaling.md the second, word for word."""
    config = (ROOT / "prometheus/prometheus.yaml").read_text()
    first = re.search(r"^  # SET-UP 1:.*?\n(.*?)^  # END OF SET-UP 1", config, re.M | re.S)[1]
    second = "".join(re.findall(r"^  #: ?(.*\n)", config, re.M))
    problems = []
    for path, section, given in (("README.md", "Prometheus", first), ("docs/scaling.md", "One target a system", second)):
        text = (ROOT / path).read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
        found = [textwrap.dedent(block) for block in re.findall(r"^```yaml\nscrape_configs:\n(.*?)^```", text, re.M | re.S)]
        if found != [textwrap.dedent(given)]:
            problems.append(f"{path}, {section}: not the set-up of prometheus/prometheus.yaml")
    return problems


def promtool_problems(pages, runbook):
    """Is each query PromQL? promtool says so, of a rule file made of them."""
    queries = [(f"{stem}: {panel['title']}", resolve(t["expr"]))
               for stem, page in pages.items() for panel in panels_of(page) for t in panel["targets"]]
    queries += [(f"{stem}: annotation {one['name']}", resolve(one["expr"]))
                for stem, page in pages.items() for one in page["annotations"]["list"] if "expr" in one]
    queries += [("runbooks", query) for query in runbook_queries(runbook)]
    problems = []
    with tempfile.TemporaryDirectory() as folder:
        def accepted(chosen):
            file = pathlib.Path(folder, "queries.yaml")
            file.write_text(json.dumps({"groups": [{"name": "queries", "rules": [
                {"record": f"query:{i}", "expr": query} for i, (_, query) in enumerate(chosen)]}]}))
            run = subprocess.run(["promtool", "check", "rules", str(file)], capture_output=True, text=True)
            return run.returncode == 0
        if not accepted(queries):
            problems += [f"{where}: not PromQL: {query}" for where, query in queries if not accepted([(where, query)])]
        config = pathlib.Path(ROOT, "prometheus/prometheus.yaml").read_text()
        other = pathlib.Path(folder, "prometheus.yaml")
        other.write_text(second_setup(config))
        for name in ("recording-rules.yaml", "alerts.yaml"):
            pathlib.Path(folder, name).write_text((ROOT / "prometheus" / name).read_text())
        run = subprocess.run(["promtool", "check", "config", str(other)], capture_output=True, text=True)
        jobs = [job["job_name"] for job in yaml(other)[0].get("scrape_configs") or []]
        if run.returncode or jobs != ["conferencing", "conferencing-sources"]:
            problems.append(f"prometheus.yaml, set-up 2: {run.stdout}{run.stderr} jobs {jobs}")
    return problems


def provisioning_problems():
    source, provider, config = yaml(ROOT / "grafana/provisioning/datasources/prometheus.yaml",
                                    ROOT / "grafana/provisioning/dashboards/conferencing.yaml",
                                    ROOT / "prometheus/prometheus.yaml")
    problems = []
    for entry in source["datasources"]:
        if entry["type"] != "prometheus" or entry["jsonData"]["timeInterval"] != config["global"]["scrape_interval"]:
            problems.append("provisioning: timeInterval is not Prometheus' scrape_interval")
    if source["apiVersion"] != 1 or provider["apiVersion"] != 1 or provider["providers"][0]["type"] != "file":
        problems.append("provisioning: not of the form Grafana reads")
    return problems


def jsonnet(expression):
    try:
        import _jsonnet
    except ImportError:
        sys.exit("the Python package jsonnet is not installed: see checks/monitoring.sh")
    try:
        return json.loads(_jsonnet.evaluate_snippet("mixin", expression, jpathdir=[f"{ROOT}/"]))
    except RuntimeError as error:
        return str(error)


def mixin_problems(pages, alerts, recordings):
    """The mixin is the files, and what it lets people set arrives."""
    shown = "{ alerts: m.prometheusAlerts, rules: m.prometheusRules, pages: m.grafanaDashboards }"
    found = jsonnet(f"local m = import 'mixin.libsonnet'; {shown}")
    if found != {"alerts": alerts, "rules": recordings, "pages": {f"{stem}.json": page for stem, page in pages.items()}}:
        return [f"mixin.libsonnet: not what the files say: {str(found)[:300]}"]
    config = "_config+:: { jobSelector: 'voip', values: { restarts: 9 }, disabled: ['ConferencingReloadFailed'] }"
    text = json.dumps(jsonnet(f"local m = (import 'mixin.libsonnet') + {{ {config} }}; m.prometheusAlerts"))
    arrived = 'job=~\\"voip\\"' in text and "> 9 # value: restarts" in text and '"ConferencingReloadFailed"' not in text
    return [] if arrived and 'job=~\\"conferencing' not in text else ["mixin.libsonnet: what is set does not arrive"]


def release_problems():
    """The variant for import is what grafana.com asks for."""
    problems = []
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, str(ROOT / "grafana/build.py"), "--release", folder], check=True)
        files = sorted(pathlib.Path(folder).glob("*.json"))
        for path in files:
            text = path.read_text()
            page = json.loads(text)
            kinds = {p["type"] for p in panels_of(page)}
            required = {one["id"] for one in page["__requires"] if one["type"] == "panel"}
            if [one["name"] for one in page["__inputs"]] != ["DS_PROMETHEUS"] or "${datasource" in text or kinds != required:
                problems.append(f"release variant of {path.stem}: not importable")
            if not {s["uid"] for s in sources_in(page)} <= {"${DS_PROMETHEUS}", "-- Grafana --"}:
                problems.append(f"release variant of {path.stem}: another data source")
        if {path.stem for path in files} != PAGES:
            problems.append(f"release variants are {[path.stem for path in files]}")
    return problems


def sources_in(part):
    if isinstance(part, list):
        for one in part:
            yield from sources_in(one)
    elif isinstance(part, dict):
        for key, value in part.items():
            if key == "datasource" and isinstance(value, dict):
                yield value
            else:
                yield from sources_in(value)


def all_problems():
    known, pages = metrics(), {path.stem: json.loads(path.read_text()) for path in DASHBOARDS}
    everywhere = known | {name: ("gauge", labels) for name, labels in SCRAPE_METRICS.items()}
    alerts, recordings, *tests = yaml(*rule_files())
    records = [rule["record"] for group in recordings["groups"] for rule in group["rules"]]
    # All that dashboards show of what is recorded is of a source.
    in_dashboards = everywhere | {name: ("gauge", ["source", "vendor"]) for name in records}
    known_units = units()
    problems = [] if pages.keys() == PAGES else [f"dashboards are {sorted(pages)}"]
    step = subprocess.run([sys.executable, str(ROOT / "grafana/build.py"), "--check"], capture_output=True, text=True)
    problems += [step.stderr.strip()] if step.returncode else []
    for stem, page in pages.items():
        problems += [f"{stem}: {text}" for text in dashboard_problems(page, stem, in_dashboards, known_units)]
    problems += colour_problems(pages)

    runbook = (ROOT / "docs/runbooks.md").read_text()
    problems += rule_problems(alerts, recordings, tests, runbook, everywhere)
    problems += runbook_problems(runbook, everywhere, records)
    problems += promtool_problems(pages, runbook)
    problems += mixin_problems(pages, alerts, recordings)
    problems += release_problems()
    problems += setup_problems()
    problems += provisioning_problems()
    return problems


# Does the check notice anything?

def breaks():
    """Ways to break a dashboard, each with a word of the complaint it must cause."""
    def panel(page, kind):
        return next(p for p in panels_of(page) if p["type"] == kind)

    def expr(page, old, new):
        for p in panels_of(page):
            for t in p["targets"]:
                if old in t["expr"]:
                    t["expr"] = t["expr"].replace(old, new)
                    return
        raise LookupError(old)

    yield "schemaVersion", lambda p: p.update(schemaVersion=38)
    yield "__inputs", lambda p: p.update(__inputs=[])
    yield "uid", lambda p: p.update(uid="other")
    yield "editable", lambda p: p.update(editable=True)
    yield "link", lambda p: p["links"].pop()
    yield "loses variables", lambda p: p["links"][0].update(url=p["links"][0]["url"].replace("&${instance:queryparam}", ""))
    yield "variables are", lambda p: p["templating"]["list"].pop()
    yield "not multi", lambda p: p["templating"]["list"][1].update(multi=False)
    yield "All as the list", lambda p: p["templating"]["list"][1].update(allValue=".+")
    yield "All as .+", lambda p: p["templating"]["list"][3].pop("allValue")
    yield "does not yield", lambda p: p["templating"]["list"][2]["query"].update(query="label_values(up, job)")
    yield "out of the result", lambda p: p["templating"]["list"][2].update(regex="")
    yield "annotation Alerts", lambda p: p["annotations"]["list"][1].update(expr="ALARMS")
    yield "folded without", lambda p: next(r for r in p["panels"] if r["type"] == "row" and r["collapsed"]).update(collapsed=False)
    yield "needs scrolling", lambda p: p["panels"][0]["gridPos"].update(h=20)
    yield "share the id", lambda p: p["panels"][0].update(id=p["panels"][1]["id"])
    yield "overlap", lambda p: p["panels"][1]["gridPos"].update(x=0)
    yield "hole", lambda p: p["panels"].pop(0)
    yield "outside the grid", lambda p: p["panels"][0]["gridPos"].update(x=23)
    yield "legacy", lambda p: panel(p, "timeseries").update(type="graph")
    yield "no description", lambda p: panel(p, "stat").update(description="")
    yield "data source variable", lambda p: panel(p, "stat").update(datasource={"type": "prometheus", "uid": "abc"})
    yield "unit 'people'", lambda p: panel(p, "stat")["fieldConfig"]["defaults"].update(unit="people")
    yield "when it is empty", lambda p: panel(p, "stat")["fieldConfig"]["defaults"].update(noValue="No data")
    yield "no query", lambda p: panel(p, "stat").update(targets=[])
    yield "when it is empty", lambda p: panel(p, "table")["fieldConfig"]["defaults"].update(noValue="")
    yield "without job", lambda p: expr(p, 'job=~"$job", ', "")
    yield "without source", lambda p: expr(p, ', source=~"$source"', "")
    yield "not $__rate_interval", lambda p: expr(p, "$__rate_interval", "5m")
    yield "outside rate", lambda p: expr(p, " offset $__interval >= 0", " offset $__interval >= 1")
    yield "inside max_over_time", lambda p: expr(p, "rate(", "max_over_time(")
    yield "inside rate", lambda p: expr(p, "last_over_time(", "rate(")
    yield "unknown metric", lambda p: expr(p, "conferencing_up", "conferencing_alive")
    yield "has no label", lambda p: expr(p, 'state="joined"', 'status="joined"')
    yield "no query yields", lambda p: panel(p, "table")["fieldConfig"]["overrides"][0]["matcher"].update(options="x")


def rule_breaks():
    def first(given):
        return given["alerts"]["groups"][0]["rules"][0]

    yield "severity", lambda g: first(g)["labels"].update(severity="high")
    yield "annotations", lambda g: first(g)["annotations"].pop("description")
    yield "runbook_url", lambda g: first(g)["annotations"].update(runbook_url="https://example.org/")
    yield "no section", lambda g: g.update(runbook=g["runbook"].replace("## ConferencingExporterDown", "## Down"))
    yield "look at first", lambda g: g.update(runbook=g["runbook"].replace("First look", "Look"))
    yield "its severity", lambda g: g.update(runbook=g["runbook"].replace("**Critical.**", "**Grave.**"))
    yield "of no alert", lambda g: g["alerts"]["groups"][0]["rules"].pop()
    yield "unknown metric", lambda g: first(g).update(expr="conferencing_down == 1")
    yield "has no label", lambda g: first(g).update(expr='conferencing_api_errors_total{cause="dns"} == 1')
    yield "outside rate", lambda g: first(g).update(expr="conferencing_api_errors_total > 1")
    yield "no unit test finds it firing", lambda g: first(g).update(alert="ConferencingOther")
    yield "no unit test looks at it", lambda g: g["recordings"]["groups"][0]["rules"][0].update(record="a:b:c")


def self_test():
    alerts, recordings, *tests = yaml(*rule_files())
    everywhere = metrics() | {name: ("gauge", labels) for name, labels in SCRAPE_METRICS.items()}
    records = {rule["record"] for group in recordings["groups"] for rule in group["rules"]}
    known = everywhere | {name: ("gauge", ["source", "vendor"]) for name in records}
    known_units = units()
    pages = {stem: json.loads((ROOT / f"grafana/dashboards/{stem}.json").read_text())
             for stem in ("conferencing-overview", "conferencing-exporter")}
    page = pages["conferencing-overview"]
    missed, count = [], 0
    for word, change in breaks():
        # Rates are on the second page only.
        for stem, whole in pages.items():
            broken = copy.deepcopy(whole)
            try:
                change(broken)
                break
            except LookupError:
                continue
        count += 1
        if not any(word in text for text in dashboard_problems(broken, stem, known, known_units)):
            missed.append(word)
    runbook = (ROOT / "docs/runbooks.md").read_text()
    for word, change in rule_breaks():
        broken = copy.deepcopy({"alerts": alerts, "recordings": recordings, "tests": tests, "runbook": runbook})
        change(broken)
        count += 1
        if not any(word in text for text in rule_problems(**broken, known_metrics=everywhere)):
            missed.append(word)
    for word, colour in (("not of the palette", "green"), ("elsewhere", palette.WARN)):
        broken = copy.deepcopy(page)
        shown = next(p for p in panels_of(broken) if any(o["matcher"]["options"] == "dingtalk" for o in p["fieldConfig"]["overrides"]))
        item = next(o for o in shown["fieldConfig"]["overrides"] if o["matcher"]["options"] == "dingtalk")
        item["properties"][0]["value"] = {"mode": "fixed", "fixedColor": colour}
        count += 1
        if not any(word in text for text in colour_problems({"conferencing-overview": broken})):
            missed.append(word)
    if missed:
        sys.exit(f"breaks that went unnoticed: {missed}")
    print(f"{count} breaks, all noticed")


def main():
    if "--self-test" in sys.argv[1:]:
        return self_test()
    problems = all_problems()
    for text in problems:
        print(text, file=sys.stderr)
    if problems:
        sys.exit(1)
    print("dashboards, rules, tests and runbooks agree with each other and with the metrics")


if __name__ == "__main__":
    main()
