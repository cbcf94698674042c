#!/usr/bin/env python3
"""Writes grafana/dashboards/*.json. The JSON is what Grafana reads; this file is what people edit.

    grafana/build.py            write the dashboards
    grafana/build.py --check    exit 1 if a dashboard differs from what this file describes

Panels are generated so that one colour means one thing everywhere, every query deduplicates
replicas in the same way and no panel forgets its unit or its description.

Two habits of the queries:

* A gauge of a source is read as `max by (job, source, vendor)`: two exporters that watch the same
  source (a highly available pair) are one system, not two. Counters are summed: two exporters do
  send twice the requests.
* What a system cannot report is absent. Where a panel shows one number, `reported` turns that into
  -1, which is mapped to "not reported by this system"; a source that is down shows "no answer".
"""

import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent / "dashboards"

NOT_REPORTED = "not reported by this system"
NO_ANSWER = "no answer"
UNREPORTED = -1

# Colours. Green: as it should be. Red: broken. Orange: somebody should look. Grey: unknown.
GOOD, BAD, WARN, GREY, PLAIN = "green", "red", "orange", "#8E8E8E", "#5794F2"
VENDORS = {
    "openvox_uc": "#5794F2",
    "yeastar_s": "#B877D9",
    "yeastar_p": "#705DA0",
    "huawei_meeting": "#E5A8E2",
    "dingtalk": "#6ED0E0",
}
PEOPLE = {
    "joined": "#56A64B",
    "waiting": WARN,
    "joining": "#FADE2A",
    "invited": "#C0D8FF",
    "ever invited": "#8AB8FF",
    "muted": "#FF7383",
    "mute state known": "#7C7C7C",
    "camera on": "#3274D9",
    "hand raised": "#FFEE52",
    "moderators": "#A352CC",
}
CONFERENCES = {
    "active": "#56A64B",
    "scheduled": "#C0D8FF",
    "mute on join": "#FF7383",
    "everyone muted": "#A352CC",
}
REASONS = {
    # Credentials and rights: a person has to act.
    "auth": "#C4162A", "locked_out": "#E02F44", "forbidden": "#FF7383",
    # The way there.
    "timeout": "#FA6400", "dns": "#FF9830", "connect": "#FFB357", "tls": "#FFCB7D",
    # Too many requests.
    "rate_limited": "#8F3BB8", "quota": "#CA95E5",
    # An answer that is of no use.
    "http_4xx": "#E0B400", "http_5xx": "#FADE2A", "vendor": "#FFF899",
    "decode": "#3274D9", "too_large": "#8AB8FF", "redirect": "#C0D8FF",
}
LOGINS = {"logins": "#5794F2", "failed": BAD}
ALLOWED = "#8E8E8E"
SERIES = {"exposed": "#5794F2", "dropped": WARN}
MEMORY = {"resident": "#5794F2", "virtual": "#8E8E8E"}
HANDLES = {"open": "#5794F2", "threads": "#B877D9"}

EXPORTER = 'job=~"$job", instance=~"$instance"'
REFUSED = EXPORTER + ', code=~"[45].."'
SOURCE = EXPORTER + ', vendor=~"$vendor", source=~"$source"'
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
BY_SOURCE = "job, source, vendor"


# Queries

def gauge(name, matchers="", by=BY_SOURCE, fold="max"):
    """A gauge of the selected sources, one series a source however many exporters watch it."""
    return f"{fold} by ({by}) ({name}{{{SOURCE}{', ' + matchers if matchers else ''}}})"


def by_state(name):
    return f"sum by (state) ({gauge(name, by=BY_SOURCE + ', state')})"


def state():
    """1 or 0 a source; 0 as well where Prometheus could not fetch its `/probe` at all."""
    return f"min by ({BY_SOURCE}) (conferencing_up{{{SOURCE}}} or up{{{SOURCE}}})"


def lacks(capability, by=BY_SOURCE):
    """-1 for each source that says it cannot report `capability`; by="" for: none of them can."""
    by = f" by ({by})" if by else ""
    return f'(max{by} (conferencing_source_capability{{{SOURCE}, capability="{capability}"}}) == 0) - 1'


def reported(query, capability, fold=None):
    """`query`, or -1 where the source cannot report it; `fold` makes one number of the selection."""
    if fold:
        return f"{fold}({query}) or {lacks(capability, by='')}"
    return f"{query} or {lacks(capability)}"


def rate(name, by, matchers=SOURCE):
    return f"sum by ({by}) (rate({name}{{{matchers}}}[$__rate_interval]))"


def increase(name, by="", matchers=SOURCE):
    by = f" by ({by})" if by else ""
    return f"sum{by} (increase({name}{{{matchers}}}[$__rate_interval]))"


def target(expr, legend="", ref="A", table=False, instant=False, heatmap=False):
    instant = instant or table
    return {
        "datasource": DATASOURCE,
        "editorMode": "code",
        "expr": expr,
        "format": "table" if table else "heatmap" if heatmap else "time_series",
        "instant": instant,
        "legendFormat": legend or "__auto",
        "range": not instant,
        "refId": ref,
    }


def targets(*pairs, **kind):
    return [target(expr, legend, chr(ord("A") + i), **kind) for i, (expr, legend) in enumerate(pairs)]


# Looks

def steps(*pairs):
    return {"mode": "absolute", "steps": [{"color": c, "value": v} for v, c in pairs]}


def values(texts):
    """Value mappings: {0: ("down", BAD)}."""
    return [{
        "type": "value",
        "options": {
            str(value): {"text": text, "color": color, "index": i}
            for i, (value, (text, color)) in enumerate(texts.items())
        },
    }]


UNKNOWN = values({UNREPORTED: (NOT_REPORTED, GREY)})
UNKNOWN_SHORT = values({UNREPORTED: ("not reported", GREY)})
NOBODY = [{"type": "special", "options": {"match": "nan", "result": {"text": "nobody", "color": GREY, "index": 1}}}]
UP_DOWN = values({0: ("down", BAD), 1: ("up", GOOD)})
CAPABLE = values({0: (NOT_REPORTED, GREY), 1: ("reported", GOOD)})
HELD_OFF = values({0: ("logins allowed", GOOD), 1: ("logins held off", WARN)})
RELOADED = values({0: ("refused", BAD), 1: ("applied", GOOD)})


def override(matcher, name, **properties):
    named = {"links": "links", "unit": "unit", "mappings": "mappings", "thresholds": "thresholds",
             "color": "color", "decimals": "decimals", "noValue": "noValue", "displayName": "displayName",
             "cell": "custom.cellOptions", "width": "custom.width", "dash": "custom.lineStyle",
             "stack": "custom.stacking", "fill": "custom.fillOpacity", "align": "custom.align"}
    return {
        "matcher": {"id": matcher, "options": name},
        "properties": [{"id": named[key], "value": value} for key, value in properties.items()],
    }


def fixed(color):
    return {"mode": "fixed", "fixedColor": color}


def colours(palette, *names):
    return [override("byName", name, color=fixed(palette[name])) for name in names or palette]


def reason_colours():
    """For legends that end in the reason: `dingtalk: quota`, or the bare reason."""
    return [override("byRegexp", f"/(^|: ){name}$/", color=fixed(color)) for name, color in REASONS.items()]


# Panels. Every one takes its place as (x, y, w, h) of the 24 columns.

def panel(kind, title, description, place, queries, unit, *, options, custom=None, overrides=(),
          mappings=None, thresholds=None, color=None, no_value=None, transformations=None, links=None, **defaults):
    x, y, w, h = place
    field = {
        "color": color or {"mode": "thresholds"},
        "mappings": mappings or [],
        "noValue": no_value or NOT_REPORTED,
        "thresholds": thresholds or steps((None, PLAIN)),
        "unit": unit,
        **{name: value for name, value in defaults.items() if value is not None},
    }
    if custom is not None:
        field["custom"] = custom
    result = {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": DATASOURCE,
        "gridPos": {"x": x, "y": y, "w": w, "h": h},
        "fieldConfig": {"defaults": field, "overrides": list(overrides)},
        "options": options,
        "targets": queries,
    }
    if transformations:
        result["transformations"] = transformations
    if links:
        result["links"] = links
    return result


def stat(title, description, place, queries, unit, *, graph=False, text="auto", **rest):
    return panel("stat", title, description, place, queries, unit, options={
        "colorMode": "value",
        "graphMode": "area" if graph else "none",
        "justifyMode": "auto",
        "orientation": "vertical" if text == "value_and_name" else "auto",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "textMode": text,
        "wideLayout": True,
        "showPercentChange": False,
        "percentChangeColorMode": "standard",
    }, **rest)


def timeseries(title, description, place, queries, unit, *, stack=False, bars=False, calcs=(), min=0, **rest):
    beside = bool(calcs) and place[2] >= 10
    legend = {"calcs": list(calcs) if beside else [], "displayMode": "table" if beside else "list",
              "placement": "right" if beside else "bottom", "showLegend": True}
    return panel("timeseries", title, description, place, queries, unit, options={
        "legend": legend,
        "tooltip": {"mode": "multi", "sort": "desc"},
    }, custom={
        "axisBorderShow": False,
        "axisCenteredZero": False,
        "axisColorMode": "text",
        "axisLabel": "",
        "axisPlacement": "auto",
        "barAlignment": 0,
        "drawStyle": "bars" if bars else "line",
        "fillOpacity": 60 if bars else 25 if stack else 0,
        "gradientMode": "none",
        "hideFrom": {"legend": False, "tooltip": False, "viz": False},
        "lineInterpolation": "stepAfter" if stack else "linear",
        "lineWidth": 1 if bars or stack else 2,
        "pointSize": 4,
        "scaleDistribution": {"type": "linear"},
        "showPoints": "auto",
        "spanNulls": False,
        "stacking": {"group": "A", "mode": "normal" if stack or bars else "none"},
        "thresholdsStyle": {"mode": "off"},
    }, color={"mode": "palette-classic-by-name"}, min=min, **rest)


def timeline(title, description, place, queries, *, mappings, **rest):
    return panel("state-timeline", title, description, place, queries, "none", options={
        "alignValue": "left",
        "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": False},
        "mergeValues": True,
        "rowHeight": 0.85,
        "showValue": "never",
        "tooltip": {"mode": "single", "sort": "none"},
    }, custom={
        "fillOpacity": 75,
        "hideFrom": {"legend": False, "tooltip": False, "viz": False},
        "lineWidth": 0,
    }, mappings=mappings, **rest)


def table(title, description, place, queries, unit, *, narrowest, sort=None, **rest):
    options = {"cellHeight": "sm", "frameIndex": 0, "showHeader": True}
    if sort:
        options["sortBy"] = [{"desc": sort.startswith("-"), "displayName": sort.lstrip("-")}]
    return panel("table", title, description, place, queries, unit, options=options, custom={
        "align": "auto",
        "cellOptions": {"type": "auto"},
        "filterable": False,
        "inspect": False,
        "minWidth": narrowest,
    }, **rest)


def bars(title, description, place, queries, unit, **rest):
    return panel("bargauge", title, description, place, queries, unit, options={
        "displayMode": "basic",
        "maxVizHeight": 40,
        "minVizHeight": 16,
        "minVizWidth": 8,
        "namePlacement": "left",
        "orientation": "horizontal",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "showUnfilled": True,
        "sizing": "auto",
        "valueMode": "color",
    }, **rest)


def heatmap(title, description, place, queries, unit, **rest):
    return panel("heatmap", title, description, place, queries, unit, options={
        "calculate": False,
        "cellGap": 1,
        "cellValues": {"unit": "reqps"},
        "color": {"exponent": 0.5, "fill": PLAIN, "mode": "scheme", "reverse": False,
                  "scale": "exponential", "scheme": "Blues", "steps": 64},
        "exemplars": {"color": WARN},
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "rowsFrame": {"layout": "auto"},
        "showValue": "never",
        "tooltip": {"mode": "single", "showColorScale": True, "yHistogram": False},
        "yAxis": {"axisPlacement": "left", "reverse": False, "unit": unit},
    }, custom={
        "hideFrom": {"legend": False, "tooltip": False, "viz": False},
        "scaleDistribution": {"type": "linear"},
    }, **rest)


def columns(*names, hide=("Time", "job")):
    """Joins the instant queries A, B, C... of a table into one row a source, in this order."""
    renames = {name: title for name, title in names}
    return [
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {
            "excludeByName": {name: True for name in hide},
            "includeByName": {},
            "indexByName": {name: i for i, name in enumerate([*renames, *hide])},
            "renameByName": renames,
        }},
    ]


def matrix(rows):
    """A row each value of the label `rows`, a column each source."""
    return [{"id": "groupingToMatrix", "options": {
        "columnField": "source", "rowField": rows, "valueField": "Value", "emptyValue": "null"}}]


# Dashboards

def variable(name, label, description, query):
    return {
        "type": "query",
        "name": name,
        "label": label,
        "description": description,
        "datasource": DATASOURCE,
        "query": {"qryType": 1, "query": query, "refId": f"variable-{name}"},
        "refresh": 2,
        "regex": "",
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".+",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "options": [],
        "hide": 0,
        "skipUrlSync": False,
    }


def variables():
    return [
        {
            "type": "datasource",
            "name": "datasource",
            "label": "Data source",
            "description": "The Prometheus that scrapes the exporter.",
            "query": "prometheus",
            "refresh": 1,
            "regex": "",
            "multi": False,
            "includeAll": False,
            "options": [],
            "hide": 0,
            "skipUrlSync": False,
        },
        variable("job", "Job", "Scrape job.", "label_values(conferencing_exporter_build_info, job)"),
        variable("instance", "Instance", "Exporter.",
                 'label_values(conferencing_exporter_build_info{job=~"$job"}, instance)'),
        variable("vendor", "Vendor", "Kind of conferencing system.",
                 f"label_values(conferencing_up{{{EXPORTER}}}, vendor)"),
        variable("source", "Source", "Conferencing system, as named in exporter.yaml.",
                 f'label_values(conferencing_up{{{EXPORTER}, vendor=~"$vendor"}}, source)'),
    ]


PAGES = {
    "conferencing-overview": ("Conferencing / Overview", "Overview"),
    "conferencing-source": ("Conferencing / Source", "Source in depth"),
    "conferencing-exporter": ("Conferencing / Exporter", "Exporter"),
}


def to_source(title="This source in depth"):
    return [{
        "title": title,
        "url": "/d/conferencing-source?${datasource:queryparam}&${job:queryparam}&${instance:queryparam}"
               "&var-source=${__data.fields.source}&${__url_time_range}",
        "targetBlank": False,
    }]


def dashboard(uid, description, panels):
    for i, item in enumerate(panels, 1):
        item["id"] = i
    return {
        "annotations": {"list": [{
            "builtIn": 1,
            "datasource": {"type": "grafana", "uid": "-- Grafana --"},
            "enable": True,
            "hide": True,
            "iconColor": "rgba(0, 211, 255, 1)",
            "name": "Annotations & Alerts",
            "type": "dashboard",
        }]},
        "description": description,
        "editable": False,
        "fiscalYearStartMonth": 0,
        "graphTooltip": 1,
        "id": None,
        "links": [{
            "asDropdown": False,
            "icon": "dashboard",
            "includeVars": True,
            "keepTime": True,
            "tags": [],
            "targetBlank": False,
            "title": short,
            "tooltip": f"Open {title} with the same selection",
            "type": "link",
            "url": f"/d/{other}",
        } for other, (title, short) in PAGES.items() if other != uid],
        "panels": panels,
        "refresh": "30s",
        "schemaVersion": 39,
        "tags": ["conferencing"],
        "templating": {"list": variables()},
        "time": {"from": "now-6h", "to": "now"},
        "timepicker": {},
        "timezone": "browser",
        "title": PAGES[uid][0],
        "uid": uid,
        "version": 1,
        "weekStart": "",
    }


JOINED = gauge("conferencing_participants", 'state="joined"')
WAITING = gauge("conferencing_participants", 'state="waiting"')
ACTIVE = gauge("conferencing_conferences", 'state="active"')
MUTED = gauge("conferencing_participants_muted")
MUTE_REPORTED = gauge("conferencing_participants_mute_reported")
LARGEST = gauge("conferencing_largest_conference_participants")
NO_PIN = f"{gauge('conferencing_rooms')} - {gauge('conferencing_rooms_pin_protected')}"
AGE = f"time() - {gauge('conferencing_data_timestamp_seconds')}"
USED = (f"{gauge('conferencing_scrape_duration_seconds')} / "
        f"{gauge('conferencing_scrape_timeout_seconds', fold='min')}")


def muted_share(by=None):
    """Muted of those whose state is reported. Nobody reported is no share, not a share of 0."""
    fold = f"sum by ({by}) " if by else "sum"
    return f"{fold}({MUTED}) / ({fold}({MUTE_REPORTED}) > 0)"


def overview():
    ask = "The latest answer of every selected system, added up."
    return dashboard("conferencing-overview", "All conferencing systems at a glance, for the person on duty.", [
        stat("Down", "Systems whose last collection failed, and exporters Prometheus cannot scrape. "
             "Both should be 0; the table below names the systems.",
             (0, 0, 4, 4), targets(
                 (f"sum(1 - ({state()}))", "systems"),
                 (f"sum(1 - min by (job, instance) (up{{{EXPORTER}, source=\"\"}}))", "exporters")),
             "none", text="value_and_name", no_value="no data", thresholds=steps((None, GOOD), (1, BAD)), decimals=0),
        stat("Conferences now", f"Conferences going on. {ask}", (4, 0, 4, 4),
             targets((reported(ACTIVE, "conferences_active", "sum"), "conferences")), "short",
             graph=True, mappings=UNKNOWN, no_value=NO_ANSWER, decimals=0),
        stat("People now", f"People who have joined a conference. {ask}", (8, 0, 4, 4),
             targets((reported(JOINED, "participants_joined", "sum"), "people")), "short",
             graph=True, mappings=UNKNOWN, no_value=NO_ANSWER, decimals=0),
        stat("Waiting for a moderator", "People held until a moderator comes. Only the PBXs report this.",
             (12, 0, 4, 4), targets((reported(WAITING, "participants_waiting", "sum"), "waiting")), "short",
             mappings=UNKNOWN, no_value=NO_ANSWER, thresholds=steps((None, GOOD), (1, WARN)), decimals=0),
        stat("Muted share", "Of the people whose microphone state is reported, those whose microphone is off. "
             "Systems that do not report it do not count on either side.",
             (16, 0, 4, 4), targets((f"{muted_share()} or {lacks('participants_muted', by='')}", "muted")),
             "percentunit", graph=True, mappings=UNKNOWN, color=fixed(PEOPLE["muted"]), min=0, max=1, decimals=0,
             no_value="nobody"),
        stat("Oldest data", "Age of the oldest values shown. A system with a min_interval (DingTalk: 15 minutes "
             "unless configured otherwise) may be that old; more is stale.",
             (20, 0, 4, 4), targets((f"max({AGE})", "age")), "s", no_value=NO_ANSWER,
             thresholds=steps((None, GOOD), (960, WARN), (1800, BAD)), decimals=0),

        table("Systems", "One row a system, trouble first. Click a name for the source in depth. "
              "\"no answer\": the system is down or has not been asked yet.",
              (0, 4, 24, 8), targets(
                  (state(), ""),
                  (reported(ACTIVE, "conferences_active"), ""),
                  (reported(JOINED, "participants_joined"), ""),
                  (reported(WAITING, "participants_waiting"), ""),
                  (reported(f"{MUTED} / {MUTE_REPORTED}", "participants_muted"), ""),
                  (reported(LARGEST, "participants_joined"), ""),
                  (reported(NO_PIN, "rooms_pin_protected"), ""),
                  (AGE, ""), table=True),
              "short", mappings=UNKNOWN_SHORT, no_value=NO_ANSWER, decimals=0, sort="State", narrowest=70,
              transformations=columns(("source", "source"), ("vendor", "Vendor"), ("Value #A", "State"),
                                      ("Value #B", "Conferences"), ("Value #C", "People"), ("Value #D", "Waiting"),
                                      ("Value #E", "Muted"), ("Value #F", "Largest"), ("Value #G", "No PIN"),
                                      ("Value #H", "Data age")),
              overrides=[
                  override("byName", "source", displayName="Source", unit="string", links=to_source()),
                  override("byName", "State", mappings=UP_DOWN, cell={"type": "color-background", "mode": "basic"}, width=70),
                  override("byName", "Waiting", thresholds=steps((None, PLAIN), (1, WARN)), cell={"type": "color-text"}),
                  override("byName", "Muted", unit="percentunit", mappings=UNKNOWN_SHORT + NOBODY),
                  override("byName", "No PIN", thresholds=steps((None, PLAIN), (1, WARN)), cell={"type": "color-text"}),
                  override("byName", "Data age", unit="s", thresholds=steps((None, PLAIN), (960, WARN), (1800, BAD)),
                           cell={"type": "color-text"}),
              ]),
        timeline("Up and down over time", "Green while the last collection of the system worked.",
                 (0, 12, 8, 8), targets((state(), "{{source}}")), mappings=UP_DOWN, no_value="no data"),

        timeseries("People by vendor", "People who have joined a conference.", (8, 12, 8, 8),
                   targets((f"sum by (vendor) ({JOINED})", "{{vendor}}")), "short", stack=True,
                   overrides=colours(VENDORS), decimals=0),
        timeseries("Conferences by vendor", "Conferences going on.", (16, 12, 8, 8),
                   targets((f"sum by (vendor) ({ACTIVE})", "{{vendor}}")), "short", stack=True,
                   overrides=colours(VENDORS), decimals=0),

        timeseries("Muted share by vendor", "Of the people whose microphone state is reported, those whose "
                   "microphone is off. No line: the vendor does not report it, or nobody is in a conference.",
                   (0, 20, 8, 8), targets((muted_share("vendor"), "{{vendor}}")), "percentunit",
                   overrides=colours(VENDORS), max=1),
        timeseries("People waiting for a moderator", "People held until a moderator comes, by system. "
                   "Somebody who waits for ten minutes has probably been forgotten.",
                   (8, 20, 8, 8), targets((WAITING, "{{source}}")), "short", decimals=0),
        timeseries("Largest conference", "People in the largest conference of each vendor.", (16, 20, 8, 8),
                   targets((f"max by (vendor) ({LARGEST})", "{{vendor}}")), "short",
                   overrides=colours(VENDORS), decimals=0),

        timeseries("API errors by vendor and reason", "Failed requests within the rate interval. The runbook explains "
                   "the reasons. Empty is good.",
                   (0, 28, 10, 8), targets((f"{increase('conferencing_api_errors_total', 'vendor, reason')} > 0",
                                            "{{vendor}}: {{reason}}")), "short", bars=True, calcs=("max",),
                   no_value="no errors", overrides=reason_colours()),
        timeseries("Age of the data", "How old the values of each system are. A saw-tooth up to its min_interval "
                   "is normal, a rising line is stale data.",
                   (10, 28, 6, 8), targets((AGE, "{{source}}")), "s", no_value=NO_ANSWER),
        bars("Rooms without a PIN", "Standing rooms anybody who can dial the number may enter. OpenVox and Yeastar "
             "S report this; Yeastar P does with room_details.",
             (16, 28, 8, 8), targets((NO_PIN, "{{source}}"), instant=True), "short",
             thresholds=steps((None, GOOD), (1, WARN)), min=0, decimals=0),
    ])


def source():
    of = "summed over the selected sources"
    rooms = [
        ("rooms", "Rooms"), ("rooms_pin_protected", "with a PIN"), ("rooms_moderated", "with a moderator"),
        ("rooms_wait_for_moderator", "wait for a moderator"), ("rooms_allow_invite", "participants may invite"),
        ("rooms_mute_on_join", "mute on join"), ("rooms_music_on_hold", "music on hold"),
    ]

    def conference(name):
        return gauge(name, by="source, conference")

    largest = f"topk(20, {conference('conferencing_conference_participants')})"
    endpoint_latency = (
        f"sum by (vendor, endpoint, le) (rate(conferencing_api_request_duration_seconds_bucket"
        f"{{{EXPORTER}, vendor=~\"$vendor\"}}[$__rate_interval]) and on (vendor) conferencing_up{{{SOURCE}}})")
    latency = endpoint_latency.replace("vendor, endpoint, le", "le", 1)
    return dashboard("conferencing-source", "One conferencing system in depth. Select a source above.", [
        stat("State", "Whether the last collection worked; with several sources selected, the worst of them.",
             (0, 0, 4, 4), targets((f"min({state()})", "state")), "none", mappings=UP_DOWN, no_value="no data"),
        stat("Conferences now", f"Conferences going on, {of}.", (4, 0, 4, 4),
             targets((reported(ACTIVE, "conferences_active", "sum"), "conferences")), "short", graph=True,
             mappings=UNKNOWN, no_value=NO_ANSWER, decimals=0),
        stat("People now", f"People who have joined a conference, {of}.", (8, 0, 4, 4),
             targets((reported(JOINED, "participants_joined", "sum"), "people")), "short", graph=True,
             mappings=UNKNOWN, no_value=NO_ANSWER, decimals=0),
        stat("Time budget used", "How much of the time it was allowed the last collection took. At 100 % it is cut "
             "off and the source counts as down.",
             (12, 0, 4, 4), targets((f"max({USED})", "used")), "percentunit", no_value=NO_ANSWER, min=0, max=1,
             thresholds=steps((None, GOOD), (0.5, WARN), (0.8, BAD)), decimals=0),
        stat("Age of the data", "How old the values are. Up to the source's min_interval is normal.",
             (16, 0, 4, 4), targets((f"max({AGE})", "age")), "s", no_value=NO_ANSWER,
             thresholds=steps((None, GOOD), (960, WARN), (1800, BAD)), decimals=0),
        stat("Token expires in", "Until the access token held has to be renewed; with several sources, the first. "
             "The exporter renews it in the scrape that finds it due.",
             (20, 0, 4, 4), targets((f"min({gauge('conferencing_token_expiry_timestamp_seconds')} - time())", "left")),
             "s", no_value="no token held", thresholds=steps((None, WARN), (0, GOOD)), decimals=0),

        timeline("Up and down", "Green while the last collection of the source worked.",
                 (0, 4, 12, 6), targets((state(), "{{source}}")), mappings=UP_DOWN, no_value="no data"),
        timeline("Login hold-off", "Orange while the exporter sends no login, so that a wrong password does not get "
                 "the account locked. It ends at once when the secret or the configuration changes.",
                 (12, 4, 12, 6), targets((gauge("conferencing_login_blocked"), "{{source}}")), mappings=HELD_OFF,
                 no_value="no data"),

        timeseries("People by state", f"joined: in a conference. waiting: held until a moderator comes. joining: being "
                   f"connected. invited: called, not yet answered. {of.capitalize()}; a state without a line is not "
                   "reported by the system.",
                   (0, 10, 12, 8), targets((by_state("conferencing_participants"), "{{state}}")), "short", stack=True,
                   overrides=colours(PEOPLE, "joined", "waiting", "joining", "invited"), decimals=0),
        timeseries("People in detail", f"What the system tells about the people in its conferences, {of}. Muted can "
                   "only be compared with those whose mute state is known.",
                   (12, 10, 12, 8), targets(
                       (f"sum({MUTED})", "muted"), (f"sum({MUTE_REPORTED})", "mute state known"),
                       (f"sum({gauge('conferencing_participants_camera_on')})", "camera on"),
                       (f"sum({gauge('conferencing_participants_hand_raised')})", "hand raised"),
                       (f"sum({gauge('conferencing_participants_moderators')})", "moderators"),
                       (f"sum({gauge('conferencing_participants_invited')})", "ever invited")),
                   "short", overrides=colours(PEOPLE, "muted", "mute state known", "camera on", "hand raised",
                                              "moderators", "ever invited"), decimals=0),

        timeseries("Conferences", f"active: going on. scheduled: planned. mute on join: active ones that mute people as "
                   f"they join. everyone muted: active ones in which all are muted by force. {of.capitalize()}.",
                   (0, 18, 7, 8), targets(
                       (by_state("conferencing_conferences"), "{{state}}"),
                       (f"sum({gauge('conferencing_conferences_mute_on_join')})", "mute on join"),
                       (f"sum({gauge('conferencing_conferences_all_muted')})", "everyone muted")),
                   "short", overrides=colours(CONFERENCES), decimals=0),
        timeseries("Largest conference", "People in the largest conference of each source.", (7, 18, 7, 8),
                   targets((LARGEST, "{{source}}")), "short", decimals=0),
        table("Largest conferences now", "The twenty largest conferences, where the source is configured with "
              "conferences.enabled. The name is a keyed hash unless conferences.identify says otherwise.",
              (14, 18, 10, 8), targets(
                  (largest, ""),
                  (f"{conference('conferencing_conference_participants_muted')} and {largest}", ""),
                  (f"time() - {conference('conferencing_conference_start_timestamp_seconds')} and {largest}", ""),
                  table=True),
              "short", sort="-People", no_value="not reported", decimals=0, narrowest=80,
              transformations=columns(("conference", "Conference"), ("source", "Source"), ("Value #A", "People"),
                                      ("Value #B", "Muted"), ("Value #C", "Running for"), hide=("Time",)),
              overrides=[
                  # A number (identify: number) is a name here, not 6.4 thousand.
                  override("byName", "Conference", unit="string", width=140),
                  override("byName", "Source", unit="string"),
                  override("byName", "Running for", unit="s")]),

        table("Room settings", "How many of the standing rooms have the setting on.", (0, 26, 12, 9),
              targets((" or ".join(
                  f'label_replace({reported(gauge(f"conferencing_{name}"), name)}, "setting", "{title}", "", "")'
                  for name, title in rooms), ""), table=True),
              "short", mappings=UNKNOWN, no_value=NO_ANSWER, decimals=0, narrowest=190,
              transformations=matrix("setting")),
        table("What the source can report", "As configured and as found. What is not reported is absent from every "
              "panel, never 0. The README says which option or firmware adds it.",
              (12, 26, 12, 9), targets(
                  (gauge("conferencing_source_capability", by="source, capability", fold="min"), ""), table=True),
              "none", mappings=CAPABLE, no_value="no data", narrowest=190,
              transformations=matrix("capability"),
              overrides=[override("byRegexp", "/^(?!capability)/", cell={"type": "color-text"})]),

        timeseries("API requests by endpoint", f"Requests sent, {of}.", (0, 35, 12, 8),
                   targets((rate("conferencing_api_requests_total", "vendor, endpoint"), "{{vendor}}: {{endpoint}}")),
                   "reqps", calcs=("mean", "max")),
        timeseries("API errors by reason", f"Failed requests within the rate interval, {of}. The runbook explains the "
                   "reasons. Empty is good.",
                   (12, 35, 12, 8), targets((f"{increase('conferencing_api_errors_total', 'source, reason')} > 0",
                                             "{{source}}: {{reason}}")), "short", bars=True, calcs=("max",),
                   no_value="no errors", overrides=reason_colours()),

        heatmap("Latency of API requests", "How long requests took until the whole answer was read or given up. "
                "Counted by vendor: all systems of the vendor of the selected sources.",
                (0, 43, 12, 8), targets((latency, "{{le}}"), heatmap=True), "s", no_value="no requests"),
        timeseries("Slow requests by endpoint", "95 of 100 requests were faster than this. Counted by vendor, like "
                   "the heat map.",
                   (12, 43, 12, 8), targets((f"histogram_quantile(0.95, {endpoint_latency})", "{{vendor}}: {{endpoint}}")),
                   "s", calcs=("max",), no_value="no requests"),

        timeseries("Collection time against its budget", "How long the collection took, and how long it was allowed to "
                   "take: the smaller of the source's timeout and what Prometheus leaves.",
                   (0, 51, 8, 8), targets(
                       (gauge("conferencing_scrape_duration_seconds"), "{{source}}: took"),
                       (gauge("conferencing_scrape_timeout_seconds", fold="min"), "{{source}}: allowed")),
                   "s", no_value=NO_ANSWER, overrides=[
                       override("byRegexp", "/: allowed$/", color=fixed(ALLOWED), fill=0,
                                dash={"dash": [8, 8], "fill": "dash"})]),
        timeseries("Token lifetime left", "A saw-tooth: each jump is a renewal.", (8, 51, 8, 8),
                   targets((f"{gauge('conferencing_token_expiry_timestamp_seconds')} - time()", "{{source}}")), "s",
                   no_value="no token held", min=None),
        timeseries("Logins", f"Logins tried and failed within the rate interval, {of}. One login should do for many scrapes.",
                   (16, 51, 8, 8), targets(
                       (increase("conferencing_logins_total"), "logins"),
                       (increase("conferencing_login_failures_total"), "failed")),
                   "short", calcs=("max",), overrides=colours(LOGINS)),
    ])


def exporter():
    return dashboard("conferencing-exporter", "The exporter itself: collections, snapshots, HTTP, process, reloads.", [
        stat("Exporters down", "Exporters Prometheus cannot scrape.", (0, 0, 4, 4),
             targets((f"sum(1 - min by (job, instance) (up{{{EXPORTER}, source=\"\"}}))", "down")), "none",
             thresholds=steps((None, GOOD), (1, BAD)), no_value="no data", decimals=0),
        stat("Version", "What is running; more than one value means that the replicas differ.", (4, 0, 4, 4),
             targets((f"count by (version) (conferencing_exporter_build_info{{{EXPORTER}}})", "{{version}}"), instant=True),
             "none", text="name", no_value="no data"),
        stat("Last reload", "Whether the last load of the configuration was applied. While it is refused the old "
             "configuration stays in use.",
             (8, 0, 4, 4), targets((f"min(conferencing_exporter_config_last_reload_successful{{{EXPORTER}}})", "reload")),
             "none", mappings=RELOADED, no_value="no data"),
        stat("Configuration loaded", "When the configuration in use was loaded; the oldest of the selected exporters.",
             (12, 0, 4, 4), targets((
                 f"min(conferencing_exporter_config_last_reload_success_timestamp_seconds{{{EXPORTER}}}) * 1000", "loaded")),
             "dateTimeFromNow", no_value="no data"),
        stat("Running for", "Time since the exporter started; the youngest of the selected exporters.", (16, 0, 4, 4),
             targets((f"time() - max(process_start_time_seconds{{{EXPORTER}}})", "uptime")), "s", no_value="no data",
             thresholds=steps((None, WARN), (300, GOOD)), decimals=0),
        stat("File handles used", "Of the process's limit; each connection takes one.", (20, 0, 4, 4),
             targets((f"max(process_open_fds{{{EXPORTER}}} / process_max_fds{{{EXPORTER}}})", "used")), "percentunit",
             thresholds=steps((None, GOOD), (0.5, WARN), (0.8, BAD)), no_value="no data", min=0, max=1),

        timeseries("Collections asked for", "Collections asked for by scrapes, by source.", (0, 4, 12, 8),
                   targets((rate("conferencing_snapshot_requests_total", "source"), "{{source}}")), "ops",
                   calcs=("mean", "max"), no_value="no collections"),
        timeseries("Answered without asking the system", "Share of the collections answered by a snapshot younger than "
                   "the source's min_interval or by a collection already under way.",
                   (12, 4, 12, 8), targets((
                       f"{rate('conferencing_snapshot_hits_total', 'source')} / "
                       f"({rate('conferencing_snapshot_requests_total', 'source')} > 0)", "{{source}}")),
                   "percentunit", calcs=("mean",), max=1, no_value="no collections"),

        timeseries("Collection time by source", "How long the last collection of each source took.", (0, 12, 8, 8),
                   targets((gauge("conferencing_scrape_duration_seconds"), "{{source}}")), "s", no_value=NO_ANSWER),
        timeseries("Scrape time", "How long Prometheus waited for the whole answer; the slowest target of each exporter.",
                   (8, 12, 8, 8), targets((f"max by (instance) (scrape_duration_seconds{{{EXPORTER}}})", "{{instance}}")),
                   "s", no_value="no scrapes"),
        timeseries("Series", "Series in the answers to Prometheus, and conferences left out because of "
                   "conferences.limit.",
                   (16, 12, 8, 8), targets(
                       (f"sum(scrape_samples_scraped{{{EXPORTER}}})", "exposed"),
                       (f"sum({gauge('conferencing_conference_series_dropped')})", "dropped")),
                   "short", no_value="no scrapes", overrides=colours(SERIES), decimals=0),

        timeseries("HTTP requests", "Requests to the exporter, by handler and status.", (0, 20, 12, 8),
                   targets((rate("conferencing_exporter_http_requests_total", "handler, code", EXPORTER),
                            "{{handler}} {{code}}")), "reqps", calcs=("mean", "max"), no_value="no requests"),
        timeseries("HTTP requests refused or failed", "Answers of status 400 and above within the rate interval: 503 is too many "
                   "scrapes at once, 404 an unknown source or path, 401 a missing password. Empty is good.",
                   (12, 20, 12, 8), targets((
                       f"{increase('conferencing_exporter_http_requests_total', 'handler, code', REFUSED)} > 0",
                       "{{handler}} {{code}}")), "short", bars=True, calcs=("max",), no_value="no errors"),

        timeseries("CPU", "Processor time used; 100 % is one core.", (0, 28, 8, 8),
                   targets((rate("process_cpu_seconds_total", "instance", EXPORTER), "{{instance}}")), "percentunit",
                   calcs=("mean", "max"), no_value="no data"),
        timeseries("Memory", "Memory of the process. It should be level after the first hour.", (8, 28, 8, 8),
                   targets((f"sum(process_resident_memory_bytes{{{EXPORTER}}})", "resident"),
                           (f"sum(process_virtual_memory_bytes{{{EXPORTER}}})", "virtual")),
                   "bytes", no_value="no data", overrides=colours(MEMORY)),
        timeseries("File handles and threads", "Open files and sockets against their limit, and threads.", (16, 28, 8, 8),
                   targets((f"sum(process_open_fds{{{EXPORTER}}})", "open"),
                           (f"sum(process_threads{{{EXPORTER}}})", "threads")),
                   "short", no_value="no data", overrides=colours(HANDLES), decimals=0),

        timeseries("Requests to the systems", "Requests sent, by vendor.", (0, 36, 8, 8),
                   targets((rate("conferencing_api_requests_total", "vendor"), "{{vendor}}")), "reqps",
                   calcs=("mean", "max"), overrides=colours(VENDORS), no_value="no requests"),
        timeseries("Failed requests to the systems", "Share of the requests that failed, by vendor.", (8, 36, 8, 8),
                   targets((f"{rate('conferencing_api_errors_total', 'vendor')} / "
                            f"({rate('conferencing_api_requests_total', 'vendor')} > 0)", "{{vendor}}")),
                   "percentunit", calcs=("mean", "max"), overrides=colours(VENDORS), max=1, no_value="no requests"),
        timeline("Configuration reloads", "Red while the last attempt to load the configuration was refused.",
                 (16, 36, 8, 8), targets((
                     f"min by (instance) (conferencing_exporter_config_last_reload_successful{{{EXPORTER}}})",
                     "{{instance}}")), mappings=RELOADED, no_value="no data"),
    ])


def main():
    stale = []
    for build in (overview, source, exporter):
        page = build()
        path = HERE / f"{page['uid']}.json"
        text = json.dumps(page, indent=2, ensure_ascii=False) + "\n"
        if "--check" in sys.argv[1:]:
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                stale.append(path.name)
        else:
            path.write_text(text, encoding="utf-8")
    if stale:
        sys.exit(f"not in step with grafana/build.py, run it: {', '.join(stale)}")


if __name__ == "__main__":
    main()
