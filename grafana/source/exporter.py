# SPDX-License-Identifier: Apache-2.0
"""The exporter itself: is it there, is it well configured, does it keep up, what does it cost."""

from source.palette import BAD, GOOD, HANDLES, MEMORY, SERIES, VENDORS, WARN
from source.panels import (
    NO_ANSWER, RELOADED, columns, colours, dashboard, empty, override, row, stat, steps, table, targets, timeline, timeseries, values,
)
from source.queries import EXPORTER, ID, REFUSED, SOURCE, counted, gauge, rate, top

REACHED = values({0: ("cannot reach", WARN), 1: ("reaches", GOOD)})


def own(name, fold="min"):
    return f"{fold} by (instance) ({name}{{{EXPORTER}}})"


def build():
    config, web = "conferencing_exporter_config_last_reload", "conferencing_exporter_web_config_last_reload_successful"
    split = f"conferencing_up{{{SOURCE}}}"
    return dashboard("conferencing-exporter", "The exporter itself: collections, snapshots, HTTP, process, reloads.", [
        stat("Exporters down", "Exporters Prometheus cannot scrape.", (4, 4),
             f"sum(1 - min by (job, instance) (up{{{EXPORTER}, source=\"\"}}))", "none", filled=True,
             thresholds=steps((None, GOOD), (1, BAD)), no_value="no data", decimals=0),
        stat("Version", "What is running; more than one value means that the replicas differ.", (4, 4),
             f"count by (version) (conferencing_exporter_build_info{{{EXPORTER}}})", "none", name="{{version}}", text="name",
             no_value="no data"),
        stat("Configuration", "Whether the last load was applied. While it is refused the old configuration stays in use.", (4, 4),
             f"min({config}_successful{{{EXPORTER}}})", "none", filled=True, mappings=RELOADED, no_value="no data"),
        stat("Web configuration", "Whether the file with the exporter's own certificates and passwords could be loaded.", (4, 4),
             f"min({web}{{{EXPORTER}}})", "none", filled=True, mappings=RELOADED, no_value="none in use"),
        stat("Restarts of a day", "Starts of the selected exporters within 24 hours.", (4, 4),
             f"sum(changes(process_start_time_seconds{{{EXPORTER}}}[1d]))", "none", no_value="no data",
             thresholds=steps((None, GOOD), (3, WARN)), decimals=0),
        stat("Turned away in an hour", "Requests answered with 503 because too many were under way. Those scrapes have no numbers.",
             (4, 4), f"round(sum(increase(conferencing_exporter_http_requests_total{{{EXPORTER}, code=\"503\"}}[1h]))) "
             f"or 0 * max(conferencing_exporter_build_info{{{EXPORTER}}})",
             "locale", no_value="no data", thresholds=steps((None, GOOD), (3, WARN)), decimals=0),
        table("Exporters", "One row each: when it started and loaded its configuration, and how many sources it reaches.", (16, 6), targets(
            (f"min by (job, instance) (up{{{EXPORTER}, source=\"\"}})", ""),
            (f"1000 * max by (job, instance) (process_start_time_seconds{{{EXPORTER}}})", ""),
            (f"1000 * max by (job, instance) ({config}_success_timestamp_seconds{{{EXPORTER}}})", ""),
            (f"min by (job, instance) ({config}_successful{{{EXPORTER}}})", ""),
            (f"count by (job, instance) ({split})", ""),
            (f"count by (job, instance) ({split} == 0)", ""), table=True), "none", no_value="-", narrowest=80, sort="Scrape",
            transformations=columns(("instance", "Instance"), ("job", "Job"), ("Value #A", "Scrape"), ("Value #B", "Started"),
                                    ("Value #C", "Configured"), ("Value #D", "Last load"), ("Value #E", "Sources"),
                                    ("Value #F", "Down")),
            overrides=[
                override("byName", "Scrape", mappings=values({0: ("down", BAD), 1: ("up", GOOD)}),
                         cell={"type": "color-background", "mode": "basic"}, width=80),
                override("byName", "Started", unit="dateTimeFromNow", width=115),
                override("byName", "Configured", unit="dateTimeFromNow", width=115),
                override("byName", "Last load", mappings=RELOADED, cell={"type": "color-text"}),
                override("byName", "Instance", width=160),
                override("byName", "Job", width=110),
                override("byName", "Sources", width=75),
                override("byName", "Down", mappings=empty("0"), width=60, thresholds=steps((None, BAD)), cell={"type": "color-text"})]),
        table("Replicas that cannot reach a source", "Sources that another exporter reaches, and this one does not. Empty is good.",
              (8, 6), targets((f"min by (instance, {ID}) ({split} == 0) and on ({ID}) (max by ({ID}) ({split}) == 1)", ""),
                               table=True),
              "none", narrowest=80, no_value="none", transformations=columns(
                  ("instance", "Instance"), ("source", "Source"), ("vendor", "Vendor"), ("Value", "State")),
              overrides=[override("byName", "Instance", width=150),
                         override("byName", "State", mappings=REACHED, cell={"type": "color-text"})]),

        row("Collections",
            timeseries("Collection time", "How long the last collection took, of the slowest sources.", (8, 8),
                       targets((top(gauge("conferencing_scrape_duration_seconds")), "{{source}}")), "s", no_value=NO_ANSWER),
            timeseries("Answered without asking the system", "Share of the collections answered by a snapshot younger than "
                       "the source's min_interval or by a collection already under way.", (8, 8), targets((
                           f"{rate('conferencing_snapshot_hits_total', 'vendor')} / "
                           f"({rate('conferencing_snapshot_requests_total', 'vendor')} > 0)", "{{vendor}}")),
                       "percentunit", max=1, overrides=colours(VENDORS), no_value="no collections"),
            timeseries("Series", "Series in the answers to Prometheus, and conferences left out because of conferences.limit.",
                       (8, 8), targets(
                           (f"sum(scrape_samples_scraped{{{EXPORTER}}})", "exposed"),
                           (f"sum({gauge('conferencing_conference_series_dropped')})", "dropped")),
                       "locale", no_value="no scrapes", overrides=colours(SERIES), decimals=0),
            timeseries("Requests to the systems", "Requests sent, by vendor.", (12, 8),
                       targets((rate("conferencing_api_requests_total", "vendor"), "{{vendor}}")), "reqps",
                       calcs=("mean", "max"), overrides=colours(VENDORS), no_value="no requests"),
            timeseries("Failed requests to the systems", "Share of the requests that failed, by vendor.", (12, 8),
                       targets((f"{rate('conferencing_api_errors_total', 'vendor')} / "
                                f"({rate('conferencing_api_requests_total', 'vendor')} > 0)", "{{vendor}}")),
                       "percentunit", calcs=("mean", "max"), overrides=colours(VENDORS), max=1, no_value="no requests")),
        row("HTTP",
            timeseries("Scrape time", "How long Prometheus waited for the whole answer; the slowest target of each exporter.",
                       (8, 8), targets((f"max by (instance) (scrape_duration_seconds{{{EXPORTER}}})", "{{instance}}")), "s",
                       no_value="no scrapes"),
            timeseries("HTTP requests", "Requests to the exporter, by handler and status.", (8, 8), targets(
                (rate("conferencing_exporter_http_requests_total", "handler, code", EXPORTER), "{{handler}} {{code}}")),
                "reqps", no_value="no requests"),
            timeseries("HTTP requests refused or failed", "Answers of status 400 and above since the point before: 503 is too many "
                       "scrapes at once, 404 an unknown source or path, 401 a missing password. Empty is good.", (8, 8), targets((
                           f"{counted('conferencing_exporter_http_requests_total', 'handler, code', REFUSED)} > 0",
                           "{{handler}} {{code}}")), "locale", bars=True, no_value="no errors", decimals=0)),
        row("Process",
            timeseries("CPU", "Processor time used; 100 % is one core.", (8, 8),
                       targets((rate("process_cpu_seconds_total", "instance", EXPORTER), "{{instance}}")), "percentunit",
                       no_value="no data"),
            timeseries("Memory", "Memory of the selected exporters. It should be level after the first hour.", (8, 8), targets(
                (f"sum(process_resident_memory_bytes{{{EXPORTER}}})", "resident"),
                (f"sum(process_virtual_memory_bytes{{{EXPORTER}}})", "virtual")),
                "bytes", no_value="no data", overrides=colours(MEMORY)),
            timeseries("File handles and threads", "Open files and sockets, and threads.", (8, 8), targets(
                (f"sum(process_open_fds{{{EXPORTER}}})", "open"), (f"sum(process_threads{{{EXPORTER}}})", "threads")),
                "locale", no_value="no data", overrides=colours(HANDLES), decimals=0),
            stat("File handles used", "Of the process's limit; each connection takes one.", (6, 5),
                 f"max(process_open_fds{{{EXPORTER}}} / process_max_fds{{{EXPORTER}}})", "percentunit",
                 thresholds=steps((None, GOOD), (0.5, WARN), (0.8, BAD)), no_value="no data", decimals=0),
            stat("Configuration loaded", "When the configuration in use was loaded; the oldest of the selected exporters.", (6, 5),
                 f"min({config}_success_timestamp_seconds{{{EXPORTER}}}) * 1000", "dateTimeFromNow", no_value="no data"),
            timeline("Configuration reloads", "Whether the last attempt to load the configuration was refused.", (12, 5), targets(
                (own(f"{config}_successful"), "{{instance}}"), (own(web), "{{instance}}: web")),
                mappings=RELOADED, no_value="no data"),
            folded=True),
    ])
