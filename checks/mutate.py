#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Changes each rule of prometheus/*.yaml in one place and looks whether a unit test notices.

    checks/mutate.py [NAME...]     all rules, or those named; exit 1 if a change goes unnoticed

The changes, one at a time:

* a number halved, doubled (zeros and the numbers of `offset` and ranges stay);
* a label matcher dropped;
* `for` dropped, doubled;
* an aggregation widened: its `by` or `without` dropped, or one label of it; `max` for `min` and the other way round; `sum`
  for `max` (a pair counted twice).

A change that cannot make a difference is named in EQUIVALENT, with the reason. One that is named there and noticed all
the same is an error, too: the reason is wrong.

For each change promtool runs the cases that look at that rule, and no others, on all processors.
"""

import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import promql
import static

# (rule, change): why no test can notice.
NOT_NEGATIVE = "none is negative, so that the largest is 0 exactly when the sum is"
ONLY_ONE = "the series is there with the value 1 or not at all"
EQUIVALENT = {
    **{(rule, f"max -> sum (#{n})"): NOT_NEGATIVE
       for rule in ("ConferencingSourceDown", "ConferencingSourceDownForLong") for n in (1, 2, 4, 5)},
    ("ConferencingPeopleLost", "max -> sum (#8)"): NOT_NEGATIVE,
    ("ConferencingPeopleWaiting", "max -> sum (#2)"): NOT_NEGATIVE,
    ("ConferencingExporterDown", "max -> sum (#1)"): NOT_NEGATIVE,
    ("ConferencingCapabilityLost", "max -> sum (#1)"): NOT_NEGATIVE,
    ("ConferencingApiErrors", "sum -> max (#4)"): NOT_NEGATIVE,
    **{(rule, f"max -> {other} (#3)"): "it is multiplied by 0: only its labels count"
       for rule in ("ConferencingSourceDown", "ConferencingSourceDownForLong") for other in ("min", "sum")},
    ("ConferencingSourceDownForLong", "max -> min (#2)"): "the last value holds for 15 minutes, and the alert waits for 30",
    ("ConferencingQuotaUsedUp", "max -> min (#1)"): ONLY_ONE,
    ("source:conferencing_api_requests:month_to_date", "1 halved (#1)"): "any part of an hour does",
    ("source:conferencing_api_requests:month_to_date", "1 doubled (#1)"): "any part of an hour does",
    ("source:conferencing_api_requests:month_projected", 'vendor="dingtalk" dropped from {vendor="dingtalk", call!="access_token"} (#1)'):
        "only those that have a month_to_date are added; the matcher saves work",
}

FOLDS = {"max": ("min", "sum"), "min": ("max", "sum"), "sum": ("max",)}


def positions(query):
    """As promql.tokens, with where each token begins and ends."""
    at, result = 0, []
    while at < len(query):
        match = promql.TOKEN.match(query, at)
        at = match.end()
        if match.lastgroup != "space":
            result.append((match.lastgroup, match.group(), match.start(), match.end()))
    return result


def changes(query):
    """Every changed query, with a text that says what was changed and where."""
    items = positions(query)

    def changed(start, end, text, what):
        # The place, because the same text may stand in a query more than once.
        nth = len(re.findall(rf"(?<![\w.]){re.escape(query[start:end])}(?!\w)", query[:start])) + 1
        return f"{what} (#{nth})", query[:start] + text + query[end:]

    depth = 0
    for i, (kind, text, start, end) in enumerate(items):
        depth += {"[": 1, "]": -1}.get(text, 0)
        before = items[i - 1][1] if i else ""
        after = items[i + 1][1] if i + 1 < len(items) else ""
        if kind == "number" and not depth and before != "offset" and float(text):
            for factor, word in ((0.5, "halved"), (2, "doubled")):
                yield changed(start, end, f"{float(text) * factor:g}", f"{text} {word}")
        elif kind == "name" and text in FOLDS and after in ("by", "without", "("):
            for other in FOLDS[text]:
                yield changed(start, end, other, f"{text} -> {other}")
        elif kind == "name" and text in ("by", "without") and after == "(":
            close = next(j for j in range(i, len(items)) if items[j][1] == ")")
            labels = [item for item in items[i + 2:close] if item[1] != ","]
            clause = query[start:items[close][3]]
            yield changed(start, items[close][3], "", f"{clause} dropped")
            for label in labels if len(labels) > 1 else ():
                rest = ", ".join(item[1] for item in labels if item is not label)
                yield changed(start, items[close][3], f"{text} ({rest})", f"{label[1]} out of {clause}")
        elif text == "{":
            close = next(j for j in range(i, len(items)) if items[j][1] == "}")
            matchers = [items[j:j + 3] for j in range(i + 1, close, 4)]
            for matcher in matchers:
                rest = ", ".join("".join(part[1] for part in m) for m in matchers if m is not matcher)
                shown = "".join(part[1] for part in matcher)
                yield changed(start, items[close][3], f"{{{rest}}}", f"{shown} dropped from {query[start:items[close][3]]}")


def mutants(rules):
    """(rule's name, what was changed, the changed rule)."""
    for rule in rules:
        name = rule.get("alert") or rule["record"]
        for what, query in changes(str(rule["expr"])):
            yield name, what, {**rule, "expr": query}
        if "for" in rule:
            yield name, "for dropped", {key: value for key, value in rule.items() if key != "for"}
            yield name, "for doubled", {**rule, "for": re.sub(r"\d+", lambda m: str(int(m[0]) * 2), rule["for"])}


def hours(case):
    """How far a case goes, which is what it costs."""
    times = [one["eval_time"] for kind in ("alert_rule_test", "promql_expr_test") for one in case.get(kind, [])]
    return max(sum(int(n) * {"h": 60, "m": 1}[unit] for n, unit in re.findall(r"(\d+)([hm])", time)) for time in times)


def cases_of(name, tests):
    """The cases that look at the rule `name`, each as a file of its own, the short ones first."""
    found = []
    for file in tests:
        for test in file["tests"]:
            alerts = [case for case in test.get("alert_rule_test", []) if case["alertname"] == name]
            queries = [case for case in test.get("promql_expr_test", [])
                       if name in {s.metric for s in promql.selectors(case["expr"])}]
            if alerts or queries:
                found.append({**file, "tests": [{**test, "alert_rule_test": alerts, "promql_expr_test": queries}]})
    return sorted(found, key=lambda file: hours(file["tests"][0]))


def needed(name, groups):
    """The rule `name`, and the recorded series it is made of: groups that have these rules only."""
    by_name = {rule.get("alert") or rule["record"]: rule for group in groups for rule in group["rules"]}
    names, todo = set(), [name]
    while todo:
        one = todo.pop()
        names.add(one)
        todo += [s.metric for s in promql.selectors(str(by_name[one]["expr"])) if s.metric in by_name]
    kept = [{**group, "rules": [r for r in group["rules"] if (r.get("alert") or r["record"]) in names]} for group in groups]
    return [group for group in kept if group["rules"]]


def noticed(name, changed, groups, tests):
    """What promtool says of the first case that fails once the rule is `changed`; "" if none does."""
    groups = [{**group, "rules": [changed if r.get("alert", r.get("record")) == name else r for r in group["rules"]]}
              for group in needed(name, groups)]
    with tempfile.TemporaryDirectory() as folder:
        rules, case = pathlib.Path(folder, "rules.yaml"), pathlib.Path(folder, "case.yaml")
        rules.write_text(json.dumps({"groups": groups}))
        for file in cases_of(name, tests):
            case.write_text(json.dumps({**file, "rule_files": ["rules.yaml"], "group_eval_order": [g["name"] for g in groups]}))
            run = subprocess.run(["promtool", "test", "rules", str(case)], capture_output=True, text=True)
            if run.returncode:
                return run.stdout + run.stderr
    return ""


def main():
    wanted = set(sys.argv[1:])
    alerts, recordings, *tests = static.yaml(*static.rule_files())
    groups = recordings["groups"] + alerts["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    for rule in rules:
        name = rule.get("alert") or rule["record"]
        if (not wanted or name in wanted) and (complaint := noticed(name, rule, groups, tests)):
            sys.exit(f"{name}: its cases fail as it stands: {complaint}")
    everything = [one for one in mutants(rules) if not wanted or one[0] in wanted]
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        outcomes = list(pool.map(lambda one: bool(noticed(one[0], one[2], groups, tests)), everything))
    problems = []
    for (name, what, _), outcome in zip(everything, outcomes):
        if not outcome and (name, what) not in EQUIVALENT:
            problems.append(f"{name}: unnoticed: {what}")
        if outcome and (name, what) in EQUIVALENT:
            problems.append(f"{name}: named as equivalent, but noticed: {what}")
    known = {(name, what) for name, what, _ in everything}
    problems += [f"{name}: no such change: {what}" for name, what in EQUIVALENT.keys() - known if not wanted]
    for text in problems:
        print(text, file=sys.stderr)
    harmless = sum((name, what) in EQUIVALENT for name, what, _ in everything)
    print(f"{len(everything)} changes of {len({name for name, *_ in everything})} rules in {time.monotonic() - started:.0f} s: "
          f"{sum(outcomes)} noticed, {len(everything) - sum(outcomes)} not, of which {harmless} make no difference")
    if problems:
        sys.exit(1)


if __name__ == "__main__":
    main()
