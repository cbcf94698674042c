# SPDX-License-Identifier: Apache-2.0
"""The queries of the dashboards, built from few parts so that each panel means the same by "a source".

* A source is what has one name (`source`) and one vendor, whoever watches it. A gauge is read as `max by (source, vendor)`
  before anything is added up: two exporters of a pair, or two jobs that scrape one exporter (/metrics and /probe), are
  one source and not two. So names have to be unique among the jobs that are selected.
* Counters are added over the exporters of a job, because two exporters do send twice the requests; of several jobs the
  largest counts, because they are taken to scrape the same exporters.
* `$job` and `$instance` hold those that have exposed conferencing_exporter_build_info, also when they stand at "All": the
  other targets of the same Prometheus are not ours.
* "Now" is an instant query: what has ended is absent at once. What a system cannot report is absent as well; where a panel
  shows one number, `reported` turns that into -1, which is mapped to "not reported".
"""

EXPORTER = 'job=~"$job", instance=~"$instance"'
REFUSED = EXPORTER + ', code=~"[45].."'
SOURCE = EXPORTER + ', vendor=~"$vendor", source=~"$source"'
RECORDED = 'job=~"$job", vendor=~"$vendor", source=~"$source"'
ID = "source, vendor"
# The states of a source. -1: it was watched within six hours, and no exporter of its job delivers anything now.
DOWN, UP, NOT_WATCHED = 0, 1, -1
UNREPORTED = -1


def gauge(name, matchers="", by=ID, fold="max", offset=""):
    """A gauge of the selected sources, one series a source however many exporters watch it."""
    matchers = f", {matchers}" if matchers else ""
    offset = f" offset {offset}" if offset else ""
    return f"{fold} by ({by}) ({name}{{{SOURCE}{matchers}}}{offset})"


def by_state(name):
    return f"sum by (state) ({gauge(name, by=ID + ', state')})"


def state():
    """UP, DOWN or NOT_WATCHED for each source. DOWN as well where Prometheus gets no answer from its own /probe."""
    delivers = f"conferencing_exporter_build_info{{{EXPORTER}}}"

    def seen(window):
        return f"0 * max by (job, {ID}) (last_over_time(conferencing_up{{{SOURCE}}}[{window}]))"

    return (
        f"max by ({ID}) (conferencing_up{{{SOURCE}}}"
        f" or ({seen('15m')} and on (job, source) (max by (job, source) (up{{{EXPORTER}}}) == 0) and on (job) {delivers})"
        f" or (({seen('6h')} - 1) unless on (job) {delivers}))"
    )


TROUBLE = f"{state()} < 1"


def lacks(capability, by=ID):
    """-1 for each source that says it cannot report `capability`; by="" for: none of them can."""
    by = f" by ({by})" if by else ""
    return f'(max{by} (conferencing_source_capability{{{SOURCE}, capability="{capability}"}}) == 0) - 1'


def reported(query, capability, fold=None):
    """`query`, or -1 where the source cannot report it; `fold` makes one number of the selection."""
    if fold:
        return f"{fold}({query}) or {lacks(capability, by='')}"
    return f"{query} or {lacks(capability)}"


def rate(name, by, matchers=SOURCE):
    return f"max by ({by}) (sum by (job, {by}) (rate({name}{{{matchers}}}[$__rate_interval])))"


def counted(name, by="", matchers=SOURCE):
    """How often it happened since the point before: whole numbers, each event in one bar.

    increase() estimates beyond its samples and its windows overlap: one error becomes three bars of 1.17. A counter that
    is smaller than before has started again with the exporter, so that all of it is new.
    """
    now = f"{name}{{{matchers}}}"
    before = f"{now} offset $__interval"
    of_job = ", ".join(filter(None, ("job", by)))
    once = f"sum by ({of_job}) (({now} - {before} >= 0) or ({now} and {before} > {now}))"
    return f"max by ({by}) ({once})" if by else f"max({once})"


def top(query, score=None, by=ID, largest=True):
    """`query` for the $top sources with the largest (smallest) score over the whole time range.

    The score is the same at each point, so that no line comes and goes.
    """
    score = score or f"{'max' if largest else 'min'}_over_time(({query})[$__range:] @ end())"
    return f"({query}) and on ({by}) {'topk' if largest else 'bottomk'}($top, {score})"


JOINED = gauge("conferencing_participants", 'state="joined"')
WAITING = gauge("conferencing_participants", 'state="waiting"')
ACTIVE = gauge("conferencing_conferences", 'state="active"')
MUTED = gauge("conferencing_participants_muted")
MUTE_REPORTED = gauge("conferencing_participants_mute_reported")
LARGEST = gauge("conferencing_largest_conference_participants")
NO_PIN = f"{gauge('conferencing_rooms')} - {gauge('conferencing_rooms_pin_protected')}"
AGE = f"time() - {gauge('conferencing_data_timestamp_seconds')}"
# 1 when it may be asked again; a missed scrape or two more is no reason to worry.
OVERDUE = f"({AGE}) / (2 * {gauge('conferencing_source_min_interval_seconds')} + 600)"
USED = (f"{gauge('conferencing_scrape_duration_seconds')} / "
        f"{gauge('conferencing_scrape_timeout_seconds', fold='min')}")
PEOPLE_FULL = f"{JOINED} / {gauge('conferencing_capacity_participants')}"
CONFERENCES_FULL = f"{ACTIVE} / {gauge('conferencing_capacity_conferences')}"
FULL = f"max by ({ID}) ({PEOPLE_FULL} or label_replace({CONFERENCES_FULL}, \"of\", \"conferences\", \"\", \"\"))"
CERTIFICATE = f"{gauge('conferencing_tls_certificate_expiry_timestamp_seconds', fold='min')} - time()"
LAST_SUCCESS = f"1000 * max by ({ID}) (last_over_time(conferencing_data_timestamp_seconds{{{SOURCE}}}[1d]))"
LAST_UP = f"1000 * max_over_time((timestamp({gauge('conferencing_up')} == 1))[1d:1m])"
FAILURE = gauge("conferencing_source_failure", by=ID + ", reason") + " == 1"
AVAILABILITY = f"avg_over_time(({gauge('conferencing_up')})[30d:5m])"


def muted_share(by=None):
    """Muted of those whose state is reported. Nobody reported is no share, not a share of 0."""
    fold = f"sum by ({by}) " if by else "sum"
    return f"{fold}({MUTED}) / ({fold}({MUTE_REPORTED}) > 0)"
