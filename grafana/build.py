#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes grafana/dashboards/*.json. The JSON is what Grafana reads; grafana/source/ is what people edit.

    grafana/build.py                      write the dashboards
    grafana/build.py --check              exit 1 if a dashboard differs from what grafana/source describes
    grafana/build.py --release FOLDER     write the variant for grafana.com and Grafana's import page (__inputs, __requires)

Panels are generated so that one colour means one thing everywhere, every query counts a source once and no panel forgets
its unit or its description. Why this is a script of our own and not Grafana's typed SDK: docs/decisions/dashboards.md.
"""

import json
import pathlib
import sys

from source import exporter, one_source, overview

HERE = pathlib.Path(__file__).resolve().parent / "dashboards"
# The oldest Grafana the dashboards are for.
GRAFANA = "11.0.0"
PANEL_NAMES = {"bargauge": "Bar gauge", "heatmap": "Heatmap", "stat": "Stat", "state-timeline": "State timeline",
               "table": "Table", "timeseries": "Time series"}


def text_of(page):
    return json.dumps(page, indent=2, ensure_ascii=False) + "\n"


def for_release(page):
    """Asks for the data source when it is imported, and has no variable for it."""
    kinds = {p["type"] for one in page["panels"] for p in [one, *one.get("panels", [])]} - {"row"}
    text = json.dumps(page).replace("${datasource:queryparam}&", "").replace("${datasource}", "${DS_PROMETHEUS}")
    page = json.loads(text)
    page["templating"]["list"] = [v for v in page["templating"]["list"] if v["name"] != "datasource"]
    return {
        "__inputs": [{"name": "DS_PROMETHEUS", "label": "Prometheus", "description": "The Prometheus that scrapes the exporter.",
                      "type": "datasource", "pluginId": "prometheus", "pluginName": "Prometheus"}],
        "__elements": {},
        "__requires": [
            {"type": "grafana", "id": "grafana", "name": "Grafana", "version": GRAFANA},
            {"type": "datasource", "id": "prometheus", "name": "Prometheus", "version": "1.0.0"},
            *({"type": "panel", "id": kind, "name": PANEL_NAMES[kind], "version": ""} for kind in sorted(kinds)),
        ],
        **page,
    }


def main():
    pages = [build() for build in (overview.build, one_source.build, exporter.build)]
    if "--release" in sys.argv[1:]:
        folder = pathlib.Path(sys.argv[sys.argv.index("--release") + 1])
        folder.mkdir(parents=True, exist_ok=True)
        for page in pages:
            (folder / f"{page['uid']}.json").write_text(text_of(for_release(page)), encoding="utf-8")
        return
    stale = []
    for page in pages:
        path = HERE / f"{page['uid']}.json"
        if "--check" not in sys.argv[1:]:
            path.write_text(text_of(page), encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text_of(page):
            stale.append(path.name)
    if stale:
        sys.exit(f"not in step with grafana/source, run grafana/build.py: {', '.join(stale)}")


if __name__ == "__main__":
    main()
