# SPDX-License-Identifier: Apache-2.0
"""Panels, rows, variables: what the dashboards are made of, with the looks that all of them share."""

from source.palette import BAD, CONFERENCES, DIM, GOOD, GREY, PLAIN, REASONS, TEXT, WARN
from source.queries import DOWN, EXPORTER, NOT_WATCHED, UNREPORTED, UP, gauge

NOT_REPORTED = "not reported by this system"
NO_ANSWER = "no answer"
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
PAGES = {
    "conferencing-overview": ("Conferencing / Overview", "Overview"),
    "conferencing-source": ("Conferencing / Source", "Source in depth"),
    "conferencing-exporter": ("Conferencing / Exporter", "Exporter"),
}


# Queries of a panel

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


def empty(text):
    """What is not there, in grey: without it, it would have the colour of the lowest number."""
    return [{"type": "special", "options": {"match": "null", "result": {"text": text, "color": DIM, "index": 20}}}]


UNKNOWN = values({UNREPORTED: (NOT_REPORTED, DIM)})
UNKNOWN_SHORT = values({UNREPORTED: ("not reported", DIM)})
NOBODY = [{"type": "special", "options": {"match": "nan", "result": {"text": "nobody", "color": DIM, "index": 1}}}]
STATE = values({DOWN: ("down", BAD), UP: ("up", GOOD), NOT_WATCHED: ("not watched", GREY)})
CAPABLE = values({0: (NOT_REPORTED, DIM), 1: ("reported", GOOD)})
HELD_OFF = values({0: ("logins allowed", GOOD), 1: ("logins held off", WARN)})
RELOADED = values({0: ("refused", BAD), 1: ("applied", GOOD)})
REASON_TEXTS = {
    "timeout": "no answer in time", "dns": "name not found", "connect": "no connection", "tls": "TLS or certificate",
    "redirect": "points elsewhere", "auth": "credentials refused", "locked_out": "locked out", "forbidden": "not allowed",
    "rate_limited": "throttled", "quota": "quota used up", "http_4xx": "HTTP 4xx", "http_5xx": "HTTP 5xx",
    "vendor": "error of the system", "decode": "answer not readable", "too_large": "answer too large",
}
REASON = values({reason: (f"{text} ({reason})", REASONS[reason]) for reason, text in REASON_TEXTS.items()})


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


def one_line(name):
    """For the line of a panel that has no other beside it but a limit."""
    return override("byName", name, color=fixed(PLAIN))


def limit(pattern):
    """A dashed grey line for what must not be crossed."""
    return override("byRegexp", pattern, color=fixed(GREY), fill=0, dash={"dash": [8, 8], "fill": "dash"})


# Panels. Every one has a size (w, h) of the 24 columns; they are set beside each other in the order in which they stand.

def panel(kind, title, description, size, queries, unit, *, options, custom=None, overrides=(),
          mappings=None, thresholds=None, color=None, no_value=None, transformations=None, since=None, interval=None,
          points=None, **defaults):
    w, h = size
    field = {
        "color": color or {"mode": "thresholds"},
        "mappings": mappings or [],
        "noValue": no_value or NOT_REPORTED,
        "thresholds": thresholds or steps((None, TEXT if kind in ("stat", "table") else PLAIN)),
        "unit": unit,
        **{name: value for name, value in defaults.items() if value is not None},
    }
    if kind in ("stat", "table"):
        field["mappings"] = [*field["mappings"], *empty(field["noValue"])]
    if custom is not None:
        field["custom"] = custom
    result = {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": DATASOURCE,
        "gridPos": {"x": 0, "y": 0, "w": w, "h": h},
        "fieldConfig": {"defaults": field, "overrides": list(overrides)},
        "options": options,
        "targets": queries,
    }
    for key, value in (("transformations", transformations), ("timeFrom", since), ("interval", interval), ("maxDataPoints", points)):
        if value:
            result[key] = value
    return result


def stat(title, description, size, query, unit, *, name="", filled=False, text="value", label="", **rest):
    """One number of now: an instant query, so that it is empty as soon as nobody measures any more.

    With `label` its text is shown, not the number.
    """
    queries = targets((query, name or title.lower()), instant=True, table=bool(label))
    return panel("stat", title, description, size, queries, unit, options={
        "colorMode": "background_solid" if filled else "value",
        "graphMode": "none",
        "justifyMode": "center",
        "orientation": "auto",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": f"/^{label}$/" if label else "", "values": False},
        "textMode": text,
        "wideLayout": True,
        "showPercentChange": False,
        "percentChangeColorMode": "standard",
    }, **rest)


def timeseries(title, description, size, queries, unit, *, stack=False, bars=False, calcs=(), min=0, **rest):
    # No more lines than $top, or than there are vendors: a list below the picture is enough.
    beside = bool(calcs) and size[0] >= 10
    legend = {"calcs": list(calcs) if beside else [], "displayMode": "table" if beside else "list",
              "placement": "right" if beside else "bottom", "showLegend": True}
    if bars:
        # `counted` counts since the point before, so points must not be closer than scrapes.
        rest = {"interval": "1m", "points": 120, **rest}
    return panel("timeseries", title, description, size, queries, unit, options={
        "legend": legend,
        "tooltip": {"mode": "multi", "sort": "desc"},
    }, custom={
        "axisBorderShow": False,
        "axisCenteredZero": False,
        "axisColorMode": "text",
        "axisLabel": "",
        "axisPlacement": "auto",
        "barAlignment": -1 if bars else 0,
        "drawStyle": "bars" if bars else "line",
        "fillOpacity": 80 if bars else 35 if stack else 0,
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


def timeline(title, description, size, queries, *, mappings, **rest):
    return panel("state-timeline", title, description, size, queries, "none", options={
        "alignValue": "left",
        "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": True},
        "mergeValues": True,
        "rowHeight": 0.85,
        "showValue": "never",
        "tooltip": {"mode": "single", "sort": "none"},
    }, custom={
        "fillOpacity": 85,
        "hideFrom": {"legend": False, "tooltip": False, "viz": False},
        "lineWidth": 0,
    }, mappings=mappings, **rest)


def table(title, description, size, queries, unit, *, narrowest, sort=None, **rest):
    options = {"cellHeight": "sm", "frameIndex": 0, "showHeader": True,
               "footer": {"show": False, "reducer": [], "countRows": False, "enablePagination": False}}
    if sort:
        options["sortBy"] = [{"desc": sort.startswith("-"), "displayName": sort.lstrip("-")}]
    return panel("table", title, description, size, queries, unit, options=options, custom={
        "align": "left",
        "cellOptions": {"type": "auto"},
        "filterable": False,
        "inspect": False,
        "minWidth": narrowest,
    }, **rest)


def bars(title, description, size, queries, unit, **rest):
    return panel("bargauge", title, description, size, queries, unit, options={
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


def heatmap(title, description, size, queries, unit, **rest):
    return panel("heatmap", title, description, size, queries, unit, options={
        "calculate": False,
        "cellGap": 1,
        "cellValues": {"unit": "reqps"},
        "color": {"exponent": 0.5, "fill": PLAIN, "mode": "scheme", "reverse": False,
                  "scale": "exponential", "scheme": "Cividis", "steps": 64},
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


def columns(*names, hide=("Time",)):
    """Joins the instant queries A, B, C... of a table into one row a source, in this order."""
    renames = dict(names)
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


def to_source(name="__data.fields.source"):
    return [{
        "title": "This source in depth",
        "url": "/d/conferencing-source?${datasource:queryparam}&${job:queryparam}&${instance:queryparam}"
               f"&var-source=${{{name}}}&${{__url_time_range}}",
        "targetBlank": False,
    }]


SOURCE_COLUMN = override("byName", "source", displayName="Source", unit="string", links=to_source())
STATE_COLUMN = override("byName", "State", mappings=STATE, cell={"type": "color-background", "mode": "basic"}, width=95)


def sizes(size):
    """Conferences by size, in the order of the sizes: as one query they would be sorted as text."""
    def conferences(people):
        of_size = gauge("conferencing_conferences_by_size", f'participants="{people}"')
        return f"sum({of_size})"

    return bars(
        "Conferences by size", "Active conferences by how many people have joined them.", size,
        targets(*((conferences(people), people) for people in ("0", "1", "2-5", "6-10", "11-25", "26-50", "51-100", "101+")),
                instant=True),
        "locale", no_value=NO_ANSWER, min=0, decimals=0, color=fixed(CONFERENCES["active"]))


# Rows and dashboards

def row(title, *panels, folded=False):
    return {"type": "row", "title": title, "collapsed": folded, "panels": list(panels)}


def arrange(sections):
    """Gives every panel its place and its id, and returns them as Grafana wants them: those of a folded row inside it."""
    result, x, y, line, ids = [], 0, 0, 0, iter(range(1, 1000))
    for section in sections:
        panels = [section]
        if section["type"] == "row":
            y, x, line = y + line, 0, 0
            section.update(id=next(ids), gridPos={"x": 0, "y": y, "w": 24, "h": 1})
            y += 1
            result.append(section)
            panels = section["panels"]
            if not section["collapsed"]:
                section["panels"] = []
        top_of_row = y
        for one in panels:
            place = one["gridPos"]
            if x + place["w"] > 24:
                x, y, line = 0, y + line, 0
            place.update(x=x, y=y)
            x, line = x + place["w"], max(line, place["h"])
            one["id"] = next(ids)
            if section["type"] != "row" or not section["collapsed"]:
                result.append(one)
        if section["type"] == "row" and section["collapsed"]:
            x, y, line = 0, top_of_row, 0
    return result


def query_variable(name, label, description, query, *, multi=True, every=".+", regex=""):
    """`every` is what All stands for; without it All is the list of what was found."""
    result = {
        "type": "query",
        "name": name,
        "label": label,
        "description": description,
        "datasource": DATASOURCE,
        "query": {"qryType": 3 if query.startswith("query_result") else 1, "query": query, "refId": f"variable-{name}"},
        "refresh": 2,
        "regex": regex,
        "sort": 1,
        "multi": multi,
        "includeAll": multi,
        "options": [],
        "hide": 0,
        "skipUrlSync": False,
    }
    if multi:
        result["current"] = {"selected": True, "text": ["All"], "value": ["$__all"]}
    if multi and every:
        result["allValue"] = every
    return result


def ours(name, label, description, matchers=""):
    """Jobs or exporters. A week back: one that died before the time range is still ours, and counted as down."""
    query = f"query_result(count by ({name}) (last_over_time(conferencing_exporter_build_info{matchers}[7d])))"
    return query_variable(name, label, description, query, every=None, regex=f'/{name}="([^"]+)"/')


def text_variable(name, label, description, value):
    return {
        "type": "textbox", "name": name, "label": label, "description": description, "query": value,
        "current": {"selected": True, "text": value, "value": value}, "options": [], "hide": 0, "skipUrlSync": False,
    }


def choice(name, label, description, *choices):
    options = [{"selected": i == 0, "text": one, "value": one} for i, one in enumerate(choices)]
    return {
        "type": "custom", "name": name, "label": label, "description": description, "query": ",".join(choices),
        "current": options[0], "options": options, "multi": False, "includeAll": False, "hide": 0, "skipUrlSync": False,
    }


def variables(one_source=False):
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
        ours("job", "Job", "Scrape jobs of conferencing exporters."),
        ours("instance", "Instance", "Conferencing exporters.", '{job=~"$job"}'),
        query_variable("vendor", "Vendor", "Kind of conferencing system.",
                       f"label_values(conferencing_up{{{EXPORTER}}}, vendor)"),
        query_variable("source", "Source", "Conferencing system, as named in exporter.yaml.",
                       f'label_values(conferencing_up{{{EXPORTER}, vendor=~"$vendor"}}, source)', multi=not one_source),
        choice("top", "Show", "How many sources a panel shows that has a line or bar for each: the worst or largest.",
               "10", "20", "50", "200"),
    ]


def annotation(name, expr, title, text, color, **rest):
    return {
        "datasource": DATASOURCE, "enable": True, "hide": False, "iconColor": color, "name": name,
        "expr": expr, "titleFormat": title, "textFormat": text, "step": "60s", **rest,
    }


def annotations():
    return [
        {
            "builtIn": 1,
            "datasource": {"type": "grafana", "uid": "-- Grafana --"},
            "enable": True,
            "hide": True,
            "iconColor": GREY,
            "name": "Annotations & Alerts",
            "type": "dashboard",
        },
        annotation("Alerts", 'ALERTS{alertname=~"Conferencing.+", alertstate="firing"}', "{{alertname}}",
                   "{{source}} {{instance}}", BAD),
        # The value is the time at which it happened.
        annotation("Reloads", f"conferencing_exporter_config_last_reload_success_timestamp_seconds{{{EXPORTER}}} * 1000",
                   "configuration loaded", "{{instance}}", PLAIN, useValueForTime="on"),
        annotation("Restarts", f"process_start_time_seconds{{{EXPORTER}}} * 1000", "exporter started", "{{instance}}", WARN,
                   useValueForTime="on"),
    ]


def to_page(uid):
    """A link that carries the selection, save that the source page shows one source and so starts with its first."""
    title, short = PAGES[uid]
    carried = ["datasource", "job", "instance", "vendor"]
    return {
        "asDropdown": False,
        "icon": "dashboard",
        "includeVars": False,
        "keepTime": True,
        "tags": [],
        "targetBlank": False,
        "title": short,
        "tooltip": f"Open {title} with the same selection",
        "type": "link",
        "url": f"/d/{uid}?" + "&".join(f"${{{name}:queryparam}}" for name in carried),
    }


def dashboard(uid, description, sections, *, more_variables=(), one_source=False):
    return {
        "annotations": {"list": annotations()},
        "description": description,
        "editable": False,
        "fiscalYearStartMonth": 0,
        "graphTooltip": 1,
        "id": None,
        "links": [to_page(other) for other in PAGES if other != uid],
        "panels": arrange(sections),
        "refresh": "30s",
        "schemaVersion": 39,
        "tags": ["conferencing"],
        "templating": {"list": variables(one_source) + list(more_variables)},
        "time": {"from": "now-6h", "to": "now"},
        "timepicker": {},
        "timezone": "browser",
        "title": PAGES[uid][0],
        "uid": uid,
        "version": 1,
        "weekStart": "",
    }
