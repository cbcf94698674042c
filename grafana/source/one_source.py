# SPDX-License-Identifier: Apache-2.0
"""One system in depth: what it does now and why, its people and rooms, what it can report, its calls."""

from source.palette import BAD, CONFERENCES, GOOD, LOGINS, PEOPLE, PEOPLE_STATES, WARN
from source.panels import (
    CAPABLE, HELD_OFF, NO_ANSWER, REASON, STATE, UNKNOWN, columns, colours, dashboard, heatmap, limit, matrix, one_line, override,
    reason_colours, row, sizes, stat, steps, table, targets, timeline, timeseries,
)
from source.queries import (
    ACTIVE, AGE, CERTIFICATE, EXPORTER, FAILURE, FULL, ID, JOINED, LARGEST, LAST_SUCCESS, LAST_UP, MUTED, MUTE_REPORTED,
    SOURCE, TROUBLE, USED, by_state, counted, gauge, rate, reported, state,
)

ROOMS = (
    ("rooms", "Rooms"), ("rooms_pin_protected", "with a PIN"), ("rooms_moderated", "with a moderator"),
    ("rooms_wait_for_moderator", "wait for a moderator"), ("rooms_allow_invite", "participants may invite"),
    ("rooms_mute_on_join", "mute on join"), ("rooms_music_on_hold", "music on hold"),
)


def conference(name):
    return gauge(name, by="source, conference")


def latency(by):
    """Latency is counted by vendor, not by source."""
    return (f"sum by ({by}) (rate(conferencing_api_request_duration_seconds_bucket"
            f"{{{EXPORTER}, vendor=~\"$vendor\"}}[$__rate_interval]) and on (vendor) conferencing_up{{{SOURCE}}})")


def build():
    largest = f"topk(20, {conference('conferencing_conference_participants')})"
    return dashboard("conferencing-source", "One conferencing system in depth. Select a source above.", [
        stat("State", "Whether the last collection worked. \"not watched\": no exporter delivers anything.", (4, 4),
             state(), "none", filled=True, mappings=STATE, no_value="no data"),
        stat("Reason", "Why the last collection failed. The runbooks explain the reasons.", (4, 4), FAILURE, "none",
             label="reason", mappings=REASON, no_value="none"),
        stat("Down since", "The last time a collection worked, as Prometheus saw it.", (4, 4), f"{LAST_UP} and on ({ID}) ({TROUBLE})",
             "dateTimeFromNow", thresholds=steps((None, BAD)), no_value="not down"),
        stat("Last success", "When the values shown were fetched. Up to the source's min_interval ago is normal.", (4, 4),
             LAST_SUCCESS, "dateTimeFromNow", no_value="over a day ago"),
        stat("People now", "People who have joined a conference.", (4, 4), reported(JOINED, "participants_joined", "sum"),
             "locale", mappings=UNKNOWN, no_value=NO_ANSWER, decimals=0),
        stat("Conferences now", "Conferences going on.", (4, 4), reported(ACTIVE, "conferences_active", "sum"), "locale",
             mappings=UNKNOWN, no_value=NO_ANSWER, decimals=0),
        timeline("Up and down", "Whether the last collection worked.", (12, 4), targets((state(), "{{source}}")),
                 mappings=STATE, no_value="no data"),
        timeline("Login hold-off", "While the exporter sends no login, so that a wrong password does not get the account locked. It "
                 "ends at once when the secret or the configuration changes.", (12, 4),
                 targets((gauge("conferencing_login_blocked"), "{{source}}")), mappings=HELD_OFF, no_value="no data"),

        row("People and conferences",
            timeseries("People by state", "joined: in a conference. waiting: held until a moderator comes. joining: being "
                       "connected. invited: called, not yet answered. A state without a line is not reported by the system.",
                       (12, 8), targets((by_state("conferencing_participants"), "{{state}}")), "locale", stack=True,
                       overrides=colours(PEOPLE_STATES), decimals=0),
            timeseries("People in detail", "What the system tells about the people in its conferences. Muted can only be "
                       "compared with those whose mute state is known.", (12, 8), targets(
                           (f"sum({MUTED})", "muted"), (f"sum({MUTE_REPORTED})", "mute state known"),
                           (f"sum({gauge('conferencing_participants_camera_on')})", "camera on"),
                           (f"sum({gauge('conferencing_participants_hand_raised')})", "hand raised"),
                           (f"sum({gauge('conferencing_participants_moderators')})", "moderators"),
                           (f"sum({gauge('conferencing_invitees')})", "invitees")),
                       "locale", overrides=colours(PEOPLE), decimals=0),
            timeseries("Conferences", "active: going on. scheduled: planned. mute on join: active ones that mute people as "
                       "they join. everyone muted: all are muted by force. locked: nobody else is let in.", (12, 8), targets(
                           (by_state("conferencing_conferences"), "{{state}}"),
                           (f"sum({gauge('conferencing_conferences_mute_on_join')})", "mute on join"),
                           (f"sum({gauge('conferencing_conferences_all_muted')})", "everyone muted"),
                           (f"sum({gauge('conferencing_conferences_locked')})", "locked"),
                           (f"sum({gauge('conferencing_conferences_recording')})", "recorded")),
                       "locale", overrides=colours(CONFERENCES), decimals=0),
            timeseries("People and capacity", "People against what the system is configured to be made for, and the largest "
                       "conference among them.", (12, 8), targets(
                           (JOINED, "joined"), (LARGEST, "in the largest conference"),
                           (gauge("conferencing_capacity_participants"), "capacity")),
                       "locale", decimals=0, overrides=[*colours(PEOPLE_STATES, "joined"), one_line("in the largest conference"), limit("/^capacity$/")]),
            table("Largest conferences now", "The twenty largest, where the source is configured with conferences.enabled. The "
                  "name is a keyed hash unless conferences.identify says otherwise.", (12, 9), targets(
                      (largest, ""),
                      (f"{conference('conferencing_conference_participants_muted')} and {largest}", ""),
                      (f"time() - {conference('conferencing_conference_start_timestamp_seconds')} and {largest}", ""),
                      table=True),
                  "locale", sort="-People", no_value="not reported", decimals=0, narrowest=80,
                  transformations=columns(("conference", "Conference"), ("Value #A", "People"), ("Value #B", "Muted"),
                                          ("Value #C", "Running for"), hide=("Time", "source")),
                  overrides=[
                      # A number (identify: number) is a name here, not 6,400.
                      override("byName", "Conference", unit="string", width=160),
                      override("byName", "Running for", unit="s")]),
            sizes((12, 9))),
        row("Rooms, and what the system can report",
            table("Room settings", "How many of the standing rooms have the setting on.", (12, 9), targets((" or ".join(
                f'label_replace({reported(gauge(f"conferencing_{name}"), name)}, "setting", "{title}", "", "")'
                for name, title in ROOMS), ""), table=True),
                  "locale", mappings=UNKNOWN, no_value=NO_ANSWER, decimals=0, narrowest=190, transformations=matrix("setting")),
            table("What the source can report", "As configured and as found. What is not reported is absent from every "
                  "panel, never 0. The README says which option or firmware adds it.", (12, 9), targets(
                      (gauge("conferencing_source_capability", by="source, capability", fold="max"), ""), table=True),
                  "none", mappings=CAPABLE, no_value="no data", narrowest=190, transformations=matrix("capability"),
                  overrides=[override("byRegexp", "/^(?!capability)/", cell={"type": "color-text"})]),
            folded=True),
        row("How it is asked",
            timeseries("API errors by reason", "Failed requests since the point before. Empty is good.", (12, 8), targets(
                (f"{counted('conferencing_api_errors_total', 'reason')} > 0", "{{reason}}")), "locale", bars=True,
                calcs=("sum",), no_value="no errors", overrides=reason_colours(), decimals=0),
            timeseries("API requests by call", "Requests sent, by the name of the call.", (12, 8), targets(
                (rate("conferencing_api_requests_total", "call"), "{{call}}")), "reqps", calcs=("mean", "max")),
            timeseries("Collection time against its budget", "How long the collection took, and how long it was allowed to "
                       "take: the smaller of the source's timeout and what Prometheus leaves. Beyond that it is cut off.",
                       (8, 8), targets(
                           (gauge("conferencing_scrape_duration_seconds"), "took"),
                           (gauge("conferencing_scrape_timeout_seconds", fold="min"), "allowed")),
                       "s", no_value=NO_ANSWER, overrides=[one_line("took"), limit("/^allowed$/")]),
            timeseries("Age of the data", "How old the values are, and how old they may become before the source is asked again.",
                       (8, 8), targets((AGE, "age"), (gauge("conferencing_source_min_interval_seconds"), "min_interval")), "s",
                       no_value=NO_ANSWER, overrides=[one_line("age"), limit("/^min_interval$/")]),
            timeseries("Logins", "Logins tried and failed since the point before. One login should do for many scrapes.", (8, 8),
                       targets((counted("conferencing_logins_total"), "logins"),
                               (counted("conferencing_login_failures_total"), "failed")),
                       "locale", bars=True, calcs=("sum",), overrides=colours(LOGINS), decimals=0, no_value="no logins"),
            heatmap("Latency of API requests", "How long requests took until the whole answer was read or given up. Counted by "
                    "vendor: all systems of this vendor.", (12, 8), targets((latency("le"), "{{le}}"), heatmap=True), "s",
                    no_value="no requests"),
            timeseries("Slow requests by call", "95 of 100 requests were faster than this. Counted by vendor, like the heat map.",
                       (12, 8), targets((f"histogram_quantile(0.95, {latency('call, le')})", "{{call}}")), "s", calcs=("max",),
                       no_value="no requests"),
            stat("Time budget used", "How much of the time it was allowed the last collection took.", (6, 4), f"max({USED})",
                 "percentunit", no_value=NO_ANSWER, thresholds=steps((None, GOOD), (0.5, WARN), (0.8, BAD)), decimals=0),
            stat("Token expires in", "Until the access token held has to be renewed. The exporter renews it in the scrape that "
                 "finds it due.", (6, 4), f"{gauge('conferencing_token_expiry_timestamp_seconds', fold='min')} - time()", "s",
                 no_value="no token held", decimals=0),
            stat("Certificate expires in", "The certificate that the system showed last.", (6, 4), CERTIFICATE, "s",
                 no_value="no TLS", thresholds=steps((None, BAD), (7 * 86400, WARN), (14 * 86400, GOOD)), decimals=0),
            stat("Full", "People or conferences, of what the system is configured to be made for.", (6, 4), FULL, "percentunit",
                 no_value="no capacity set", thresholds=steps((None, GOOD), (0.75, WARN), (0.9, BAD)), decimals=0),
            folded=True),
    ], one_source=True)
