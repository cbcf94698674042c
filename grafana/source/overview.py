# SPDX-License-Identifier: Apache-2.0
"""All systems, for a person who has five seconds: what is down and why, how many people, how full, what was before."""

from source.palette import BAD, GOOD, QUOTA, TEXT, VENDORS, WARN, WEEKS
from source.panels import (
    NO_ANSWER, NOBODY, REASON, SOURCE_COLUMN, STATE, STATE_COLUMN, UNKNOWN, UNKNOWN_SHORT, bars, colours, columns,
    dashboard, empty, limit, override, reason_colours, row, sizes, stat, steps, table, targets, text_variable, timeline, timeseries,
    to_source,
)
from source.queries import (
    ACTIVE, AGE, AVAILABILITY, CERTIFICATE, CONFERENCES_FULL, EXPORTER, FAILURE, FULL, ID, JOINED, LARGEST, LAST_SUCCESS, LAST_UP,
    MUTED, MUTE_REPORTED, NO_PIN, OVERDUE, PEOPLE_FULL, RECORDED, TROUBLE, WAITING, counted, gauge, muted_share, reported, state,
    top,
)

WEEK_AGO = gauge("conferencing_participants", 'state="joined"', offset="1w")
FULLNESS = steps((None, GOOD), (0.75, WARN), (0.9, BAD))
WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
MONDAY_FIRST = (1, 2, 3, 4, 5, 6, 0)


def trouble():
    return table(
        "What is down, and why", "Systems that do not answer, and those that nobody watches because their exporter is gone. Click "
        "a name for the system in depth. Empty is good.",
        (16, 7), targets(
            (TROUBLE, ""),
            (FAILURE, ""),
            (f"{LAST_UP} and on ({ID}) ({TROUBLE})", ""),
            (f"{LAST_SUCCESS} and on ({ID}) ({TROUBLE})", ""), table=True),
        "none", no_value="every system answers", sort="State", narrowest=70,
        transformations=columns(("source", "source"), ("vendor", "Vendor"), ("Value #A", "State"), ("reason", "Reason"),
                                ("Value #C", "Down since"), ("Value #D", "Last success"),
                                hide=("Time", "Value #B")),
        overrides=[
            SOURCE_COLUMN, STATE_COLUMN,
            override("byName", "Vendor", width=130),
            override("byName", "Reason", mappings=[*REASON, *empty("not known")], cell={"type": "color-text"}, unit="string", width=205),
            override("byName", "Down since", unit="dateTimeFromNow", mappings=empty("over a day"), width=125),
            override("byName", "Last success", unit="dateTimeFromNow", mappings=empty("over a day"), width=125),
        ])


def systems():
    return table(
        "Systems", "One row a system, trouble first. \"no answer\": it is down or has not been asked yet.",
        (24, 12), targets(
            (state(), ""),
            (reported(ACTIVE, "conferences_active"), ""),
            (reported(JOINED, "participants_joined"), ""),
            (reported(WAITING, "participants_waiting"), ""),
            (reported(f"{MUTED} / {MUTE_REPORTED}", "participants_muted"), ""),
            (reported(LARGEST, "participants_joined"), ""),
            (FULL, ""),
            (reported(NO_PIN, "rooms_pin_protected"), ""),
            (AGE, ""), table=True),
        "locale", mappings=UNKNOWN_SHORT, no_value=NO_ANSWER, decimals=0, sort="State", narrowest=70,
        transformations=columns(("source", "source"), ("vendor", "Vendor"), ("Value #A", "State"),
                                ("Value #B", "Conferences"), ("Value #C", "People"), ("Value #D", "Waiting"),
                                ("Value #E", "Muted"), ("Value #F", "Largest"), ("Value #G", "Full"),
                                ("Value #H", "No PIN"), ("Value #I", "Data age")),
        overrides=[
            SOURCE_COLUMN, STATE_COLUMN,
            override("byName", "Vendor", width=130),
            override("byName", "Waiting", thresholds=steps((None, TEXT), (1, WARN)), cell={"type": "color-text"}),
            override("byName", "Muted", unit="percentunit", mappings=[*UNKNOWN_SHORT, *NOBODY, *empty(NO_ANSWER)]),
            override("byName", "Full", unit="percentunit", mappings=empty("no capacity"), thresholds=FULLNESS,
                     cell={"type": "color-text"}),
            override("byName", "No PIN", thresholds=steps((None, TEXT), (1, WARN)), cell={"type": "color-text"}),
            override("byName", "Data age", unit="s"),
        ])


def busiest(part):
    """For each weekday of four weeks, the hour with the most people, or how many they were.

    Both are in one number, people * 100 + hour, so that the largest has its hour with it.
    """
    local = "vector(time() + 3600 * $utc_offset)"
    days = []
    for day in MONDAY_FIRST:
        both = f"floor(sum({JOINED})) * 100 + hour({local}) and day_of_week({local}) == {day}"
        most = f"max_over_time(({both})[4w:1h])"
        number = f"floor({most} / 100)" if part == "people" else f"{most} % 100"
        days.append(f'label_replace({number}, "weekday", "{WEEKDAYS[day]}", "", "")')
    return " or ".join(days)


def history():
    budget = "1 - $objective / 100"
    return row(
        "Today, this week, this month",
        stat("Peak today", "The most people at once since midnight.", (4, 4), f"max_over_time((sum({JOINED}))[$__range:1m])",
             "locale", since="now/d", no_value="no data", decimals=0),
        stat("Peak of seven days", "The most people at once.", (4, 4), f"max_over_time((sum({JOINED}))[7d:1m])", "locale",
             no_value="no data", decimals=0),
        stat("Person-minutes today", "Participant-minutes: each person counts one for each minute in a conference, since midnight.", (4, 4),
             f"sum_over_time((sum({JOINED}))[$__range:1m])", "locale", since="now/d", no_value="no data", decimals=0),
        stat("Person-minutes, 7 days", "Participant-minutes, as today.", (4, 4),
             f"sum_over_time((sum({JOINED}))[7d:1m])", "locale", no_value="no data", decimals=0),
        stat("DingTalk's quota projected", "What will have been used at the end of the month, of the quota that the recording "
             "rules name: at the pace of the last 24 hours. The highest of the selected sources.", (8, 4),
             f"max(last_over_time(source:conferencing_api_requests:month_projected{{{RECORDED}}}[1h]))"
             " / on () last_over_time(conferencing:dingtalk_quota_calls:month[1h])",
             "percentunit", no_value="no DingTalk, or no recording rules", decimals=0,
             thresholds=steps((None, GOOD), (0.8, WARN), (1, BAD))),
        timeseries("People, and a week ago", "The same hour of the week before shows whether this is usual.", (12, 8), targets(
            (f"sum({JOINED})", "now"),
            (f"sum({WEEK_AGO})", "a week ago")),
            "locale", overrides=[*colours(WEEKS), limit("/^a week ago$/")], decimals=0, no_value=NO_ANSWER),
        timeseries("DingTalk's calls of the month", "Used since the first of the month (Chinese time), projected to its end, and "
                   "the quota. From the recording rules.", (12, 8), targets(
                       (f"max(last_over_time(source:conferencing_api_requests:month_to_date{{{RECORDED}}}[1h]))", "used"),
                       (f"max(last_over_time(source:conferencing_api_requests:month_projected{{{RECORDED}}}[1h]))", "projected"),
                       ("last_over_time(conferencing:dingtalk_quota_calls:month[1h])", "quota")),
                   "locale", overrides=[*colours(QUOTA), limit("/^quota$/")], decimals=0,
                   no_value="no DingTalk, or no recording rules"),
        table("Busiest hour by weekday", "Of the last four weeks: the hour that began with the most people, and how many they were. "
              "The time zone is what \"Hours from UTC\" says.", (9, 9), targets(
                  (busiest("hour"), ""), (busiest("people"), ""), table=True), "locale",
              narrowest=80, decimals=0, no_value="no data",
              transformations=columns(("weekday", "Weekday"), ("Value #A", "Hour"), ("Value #B", "People"))),
        table("Availability of thirty days", "How long each system answered while it was watched, and what is left of the error "
              "budget of the objective above: below 0 it is used up.", (15, 9), targets(
                  (f"bottomk($top, {AVAILABILITY})", ""),
                  (f"bottomk($top, 1 - (1 - {AVAILABILITY}) / ({budget}))", ""),
                  (f"topk($top, (1 - {AVAILABILITY}) * 30 * 86400)", ""), table=True),
              "percentunit", narrowest=90, sort="Availability", decimals=2, no_value="no data",
              transformations=columns(("source", "source"), ("vendor", "Vendor"), ("Value #A", "Availability"),
                                      ("Value #B", "Budget left"), ("Value #C", "Down")),
              overrides=[
                  SOURCE_COLUMN,
                  override("byName", "Budget left", decimals=0, thresholds=steps((None, BAD), (0, WARN), (0.25, GOOD)),
                           cell={"type": "color-text"}),
                  override("byName", "Down", unit="s", decimals=1)]),
        folded=True)


def build():
    ask = "The latest answer of every selected system, added up."
    return dashboard("conferencing-overview", "All conferencing systems at a glance, for the person on duty.", [
        stat("Systems down", "Systems that do not answer, or that nobody watches because their exporter is gone. The table below "
             "names them.", (4, 4), f"sum({state()} < bool 1)", "none", filled=True, no_value="no data",
             thresholds=steps((None, GOOD), (1, BAD)), decimals=0),
        stat("Exporters down", "Exporters Prometheus cannot scrape.", (4, 4),
             f"sum(1 - min by (job, instance) (up{{{EXPORTER}, source=\"\"}}))", "none", filled=True, no_value="no data",
             thresholds=steps((None, GOOD), (1, BAD)), decimals=0),
        stat("People now", f"People who have joined a conference. {ask}", (4, 4),
             reported(JOINED, "participants_joined", "sum"), "locale", mappings=UNKNOWN, no_value=NO_ANSWER, decimals=0),
        stat("Conferences now", f"Conferences going on. {ask}", (4, 4), reported(ACTIVE, "conferences_active", "sum"),
             "locale", mappings=UNKNOWN, no_value=NO_ANSWER, decimals=0),
        stat("Waiting", "People held until a moderator comes. Only the PBXs report this.", (4, 4),
             reported(WAITING, "participants_waiting", "sum"), "locale", mappings=UNKNOWN, no_value=NO_ANSWER,
             thresholds=steps((None, GOOD), (1, WARN)), decimals=0),
        stat("Fullest system", "People or conferences of the fullest system, of what it is configured to be made for.", (4, 4),
             f"max({FULL})", "percentunit", no_value="no capacity set", thresholds=FULLNESS, decimals=0),
        trouble(),
        timeline("What changed", "Systems over time: those that were down the longest.", (8, 7),
                 targets((top(state(), f"sum_over_time((1 - {gauge('conferencing_up')})[$__range:] @ end())"), "{{source}}")),
                 mappings=STATE, no_value="no data"),

        row("People: how many, where, muted, waiting",
            timeseries("People by vendor", "People who have joined a conference.", (8, 8),
                       targets((f"sum by (vendor) ({JOINED})", "{{vendor}}")), "locale", stack=True,
                       overrides=colours(VENDORS), decimals=0, no_value=NO_ANSWER),
            bars("Where the people are", "People in conferences, the systems with the most first.", (8, 8),
                 targets((f"sort_desc(topk($top, {JOINED}))", "{{source}}"), instant=True), "locale", no_value=NO_ANSWER,
                 min=0, decimals=0, links=to_source("__field.labels.source")),
            timeseries("People waiting for a moderator", "Systems with the most. Somebody who waits for a quarter of an hour has "
                       "probably been forgotten.", (8, 8), targets((top(WAITING), "{{source}}")), "locale", decimals=0,
                       no_value="nobody waits"),
            timeseries("Muted share by vendor", "Of the people whose microphone state is reported, those whose microphone is "
                       "off. No line: the vendor does not report it, or nobody is in a conference.",
                       (8, 8), targets((muted_share("vendor"), "{{vendor}}")), "percentunit", overrides=colours(VENDORS), max=1),
            timeseries("Conferences by vendor", "Conferences going on.", (8, 8),
                       targets((f"sum by (vendor) ({ACTIVE})", "{{vendor}}")), "locale", stack=True,
                       overrides=colours(VENDORS), decimals=0, no_value=NO_ANSWER),
            timeseries("Largest conference by vendor", "People in the largest conference of each vendor.", (8, 8),
                       targets((f"max by (vendor) ({LARGEST})", "{{vendor}}")), "locale",
                       overrides=colours(VENDORS), decimals=0, no_value=NO_ANSWER)),
        row("How full",
            bars("People, of the capacity", "Fullest first. Only systems with a configured capacity.", (6, 8),
                 targets((f"sort_desc(topk($top, {PEOPLE_FULL}))", "{{source}}"), instant=True), "percentunit",
                 no_value="no capacity set, or no answer", min=0, max=1, decimals=0, thresholds=FULLNESS),
            bars("Conferences, of the capacity", "Fullest first. Only systems with a configured capacity.", (6, 8),
                 targets((f"sort_desc(topk($top, {CONFERENCES_FULL}))", "{{source}}"), instant=True), "percentunit",
                 no_value="no capacity set, or no answer", min=0, max=1, decimals=0, thresholds=FULLNESS),
            sizes((6, 8)),
            bars("Largest conferences", "People in the largest conference of each system, largest first.", (6, 8),
                 targets((f"sort_desc(topk($top, {LARGEST}))", "{{source}}"), instant=True), "locale", no_value=NO_ANSWER,
                 min=0, decimals=0)),
        row("All systems", systems()),
        row("Causes and housekeeping",
            table("Alerts firing", "Of the selected systems and exporters, as Prometheus has them.", (9, 8), targets(
                ('max by (alertname, severity, source) (ALERTS{alertname=~"Conferencing.+", alertstate="firing", source=~"($source)|"})', ""),
                table=True), "none",
                no_value="none, or the rules are not loaded", narrowest=80,
                transformations=columns(("alertname", "Alert"), ("severity", "Severity"), ("source", "source"),
                                        hide=("Time", "Value")),
                overrides=[SOURCE_COLUMN, override("byName", "Alert", width=250)]),
            timeseries("API errors by vendor and reason", "Failed requests since the point before. The runbooks explain the "
                       "reasons. Empty is good.", (15, 8), targets(
                           (f"{counted('conferencing_api_errors_total', 'vendor, reason')} > 0", "{{vendor}}: {{reason}}")),
                       "locale", bars=True, calcs=("sum",), no_value="no errors", overrides=reason_colours(), decimals=0),
            timeseries("Age of the data", "How old the values are, of the systems with the oldest. A saw-tooth up to the "
                       "min_interval is normal, a rising line is stale data.", (8, 8),
                       targets((top(AGE, f"max_over_time(({OVERDUE})[$__range:] @ end())"), "{{source}}")), "s", no_value=NO_ANSWER),
            bars("Rooms without a PIN", "Standing rooms anybody who can dial the number may enter, the systems with the most "
                 "first.", (8, 8), targets((f"sort_desc(topk($top, {NO_PIN}))", "{{source}}"), instant=True), "locale",
                 thresholds=steps((None, GOOD), (1, WARN)), min=0, decimals=0),
            bars("Certificates", "Until the certificate the system shows expires, the first first.", (8, 8),
                 targets((f"sort(bottomk($top, {CERTIFICATE}))", "{{source}}"), instant=True), "s", min=0, decimals=0,
                 no_value="no system with TLS", thresholds=steps((None, BAD), (7 * 86400, WARN), (14 * 86400, GOOD))),
            folded=True),
        history(),
    ], more_variables=[
        text_variable("objective", "Objective", "Availability in percent that the error budget is about.", "99.5"),
        text_variable("utc_offset", "Hours from UTC", "Time zone of the busiest hours.", "0"),
    ])
