# SPDX-License-Identifier: Apache-2.0
"""Names and colours. One name has one colour on all dashboards.

The colours were searched for by computer, not by eye: of all colours with a contrast of 3:1 in both of Grafana's themes,
those that lie farthest apart for normal vision and the three common kinds of colour blindness. checks/colours.py holds
them to that; Okabe and Ito's eight are too few for nine vendors, and three of theirs are too faint on white.
"""

# Grafana's own word for the colour of text in the theme: for numbers and cells that are neither good nor bad.
TEXT = "text"
# As it should be; broken; somebody should look; unknown; a line or bar that is neither good nor bad.
GOOD, BAD, WARN, GREY, PLAIN = "#5AA082", "#BE323C", "#D2820A", "#6E646E", "#3C5ADC"
STATES = {"good": GOOD, "bad": BAD, "warn": WARN, "grey": GREY, "plain": PLAIN}

# Words for what is not there ("no answer", "not reported"): thin strokes need more contrast than surfaces.
DIM = "#858585"

VENDORS = {
    "openvox_uc": "#7887FF",
    "yeastar_s": "#4B9678",
    "yeastar_p": "#96964B",
    "huawei_meeting": "#C33C0F",
    "dingtalk": "#694BF0",
    "asterisk": "#C300A5",
    "janus": "#8796A5",
    "freeswitch": "#5A7878",
    "bigbluebutton": "#69694B",
}
PEOPLE_STATES = {"joined": "#3CA0A0", "waiting": "#D28214", "joining": "#786450", "invited": "#6E46E6"}
PEOPLE = {
    "muted": "#D2781E",
    "mute state known": "#6E6E78",
    "camera on": "#46A0B4",
    "hand raised": "#A08C82",
    "moderators": "#6E3CFA",
    "invitees": "#826446",
}
CONFERENCES = {
    "active": "#46A0B4",
    "scheduled": "#A08C82",
    "mute on join": "#D2781E",
    "everyone muted": "#6E3CFA",
    "locked": "#6E6E78",
    "recorded": "#826446",
}
# Fifteen reasons cannot have fifteen colours that all can tell apart. They have one a family, which says who has to act;
# legends and tooltips name the reason.
_FAMILIES = {
    BAD: ("auth", "locked_out", "forbidden"),                            # credentials and rights
    WARN: ("timeout", "dns", "connect", "tls"),                          # the way there
    PLAIN: ("rate_limited", "quota"),                                    # too many requests
    GREY: ("http_4xx", "http_5xx", "vendor", "decode", "too_large", "redirect"),   # an answer that is of no use
}
REASONS = {reason: colour for colour, reasons in _FAMILIES.items() for reason in reasons}
LOGINS = {"logins": PLAIN, "failed": BAD}
WEEKS = {"now": PLAIN, "a week ago": GREY}
QUOTA = {"used": PLAIN, "projected": WARN, "quota": GREY}
SERIES = {"exposed": PLAIN, "dropped": WARN}
MEMORY = {"resident": PLAIN, "virtual": GREY}
HANDLES = {"open": PLAIN, "threads": WARN}
LIMIT = GREY

# What is shown together, and how far apart it has to be (see checks/colours.py). Nine vendors leave less room than five
# states.
GROUPS = {
    "states": (STATES, 15),
    "words": ({"dim": DIM}, 0),
    "vendors": (VENDORS, 10),
    "people by state": (PEOPLE_STATES, 15),
    "people in detail": (PEOPLE, 15),
    "conferences": (CONFERENCES, 15),
    "reasons": (REASONS, 15),
    "logins": (LOGINS, 15),
    "weeks": (WEEKS, 15),
    "quota": (QUOTA, 15),
    "series": (SERIES, 15),
    "memory": (MEMORY, 15),
    "handles": (HANDLES, 15),
}
