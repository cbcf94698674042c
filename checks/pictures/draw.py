#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws the dashboards as PNG files, in Grafana's light and dark theme, from data that checks/live.py has written.

    checks/pictures/draw.py DUMP FOLDER

checks/pictures/draw.sh does all of it. Folded rows are drawn unfolded.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUNDLE = HERE / "out/panels.js"
PAGE = """<!DOCTYPE html><meta charset="utf-8"><link rel="stylesheet" href="{styles}"><style>body {{ margin: 0; }}</style>
<div id="root"></div><script>window.INPUT = {input};</script><script src="{bundle}"></script>"""


def build():
    subprocess.run(["npm", "ci", "--silent"], cwd=HERE, check=True)
    subprocess.run([
        HERE / "node_modules/.bin/esbuild", "panels.jsx", "--bundle", "--minify", f"--outfile={BUNDLE}",
        "--jsx=automatic", '--define:process.env.NODE_ENV="production"', "--define:global=window",
        # The CommonJS builds: their imports of older packages survive bundling.
        *(f"--alias:@grafana/{name}=./node_modules/@grafana/{name}/dist/cjs/index.cjs" for name in ("data", "ui")),
        "--loader:.svg=dataurl", "--loader:.png=dataurl", "--loader:.ttf=empty", "--log-level=warning",
    ], cwd=HERE, check=True)


def unfolded(dashboard):
    """The panels and rows one below the other, as if somebody had opened every row."""
    items, lower = [], 0
    for item in sorted(dashboard["panels"], key=lambda one: (one["gridPos"]["y"], one["gridPos"]["x"])):
        inner = item.pop("panels", [])
        for one in [item, *inner]:
            one["gridPos"]["y"] += lower
        items += [item, *inner]
        if inner:
            lower += max(p["gridPos"]["y"] + p["gridPos"]["h"] for p in inner) - item["gridPos"]["y"] - 1
    return {**dashboard, "panels": items}


def draw(dashboard, dump, theme, picture):
    dashboard = unfolded(dashboard)
    height = max(p["gridPos"]["y"] + p["gridPos"]["h"] for p in dashboard["panels"]) * 38 + 8
    given = {"dashboard": dashboard, "data": dump["dashboards"][dashboard["uid"]], "theme": theme,
             "start": dump["start"], "end": dump["end"]}
    with tempfile.TemporaryDirectory() as folder:
        page = pathlib.Path(folder, "page.html")
        page.write_text(PAGE.format(input=json.dumps(given).replace("</", "<\\/"), bundle=BUNDLE.as_uri(),
                                    styles=BUNDLE.with_suffix(".css").as_uri()))
        chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
        if not chromium:
            sys.exit("chromium is not installed")
        subprocess.run([
            chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-device-scale-factor=1",
            "--allow-file-access-from-files", f"--user-data-dir={folder}/profile", f"--window-size=1280,{height}",
            "--virtual-time-budget=8000", f"--screenshot={picture}", page.as_uri(),
        ], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    dump, target = json.loads(pathlib.Path(sys.argv[1]).read_text()), pathlib.Path(sys.argv[2])
    target.mkdir(parents=True, exist_ok=True)
    build()
    for path in sorted((ROOT / "grafana/dashboards").glob("*.json")):
        for theme in ("light", "dark"):
            picture = (target / f"{path.stem}-{theme}.png").resolve()
            draw(json.loads(path.read_text()), dump, theme, picture)
            print(picture)


if __name__ == "__main__":
    main()
