# SPDX-License-Identifier: Apache-2.0
"""As much PromQL as the checks need: which metrics a query reads, with which matchers, over which
range, inside which functions. Whether a query is valid PromQL is promtool's word, not this file's.
"""

import re
from dataclasses import dataclass

TOKEN = re.compile(r"""
    (?P<space>\s+|\#[^\n]*)
  | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)
  | (?P<name>[A-Za-z_:][A-Za-z0-9_:]*)
  | (?P<number>\d[\w.]*|\.\d+)
  | (?P<op>=~|!~|==|!=|>=|<=|\$\w+|[-+*/%^<>=(){}\[\],@.])
""", re.X)
AGGREGATIONS = {"sum", "min", "max", "avg", "group", "stddev", "stdvar", "count", "count_values",
                "bottomk", "topk", "quantile"}
LABEL_LISTS = {"by", "without", "on", "ignoring", "group_left", "group_right"}
WORDS = {"and", "or", "unless", "bool", "offset", "atan2", "Inf", "NaN", "inf", "nan"}
COUNTER_FUNCTIONS = {"rate", "irate", "increase"}
GAUGE_FUNCTIONS = {"last_over_time", "max_over_time", "min_over_time", "avg_over_time", "sum_over_time", "changes", "resets"}
COUNTER_SUFFIXES = ("_total", "_bucket", "_sum", "_count")


@dataclass
class Selector:
    metric: str
    matchers: dict      # label -> (operator, value)
    range: str          # "" for an instant vector
    functions: list     # the calls around it, outermost first


class Invalid(Exception):
    pass


def tokens(query):
    at, result = 0, []
    while at < len(query):
        match = TOKEN.match(query, at)
        if not match:
            raise Invalid(f"cannot read {query[at:at + 20]!r}")
        at = match.end()
        if match.lastgroup != "space":
            result.append((match.lastgroup, match.group()))
    return result


def selectors(query):
    """Every metric the query reads."""
    items = tokens(query) + [("end", "")]
    found, calls, pending, i = [], [], "", 0
    while i < len(items):
        kind, text = items[i]
        if kind == "name" and text in LABEL_LISTS:
            if items[i + 1][1] == "(":
                while items[i][1] != ")":
                    i += 1
        elif kind == "name" and (text in AGGREGATIONS or items[i + 1][1] == "(") and text not in WORDS:
            pending = text
        elif kind == "name" and text not in WORDS:
            i, selector = _selector(items, i)
            selector.functions = [call for call in calls if call]
            found.append(selector)
            continue
        elif text == "(":
            calls.append(pending)
            pending = ""
        elif text == ")":
            if not calls:
                raise Invalid("unbalanced parentheses")
            calls.pop()
        elif text == "[":
            # The range of a sub-query.
            while items[i][1] != "]":
                i += 1
        elif text == "{":
            raise Invalid("a selector without a metric name")
        i += 1
    if calls:
        raise Invalid("unbalanced parentheses")
    return found


def _selector(items, i):
    selector = Selector(items[i][1], {}, "", [])
    i += 1
    if items[i][1] == "{":
        i += 1
        while items[i][1] != "}":
            label, operator, value = items[i][1], items[i + 1][1], items[i + 2][1]
            selector.matchers[label] = (operator, value[1:-1])
            i += 3
            if items[i][1] == ",":
                i += 1
        i += 1
    if items[i][1] == "[":
        start = i + 1
        while items[i][1] != "]":
            i += 1
        selector.range = "".join(text for _, text in items[start:i])
        i += 1
    return i, selector


def base(metric):
    """The family of a histogram's series."""
    return re.sub(r"_(bucket|sum|count)$", "", metric)


# What grafana/source/queries.py calls `counted`: the difference to the point before, or all of a counter that began anew.
COUNTED = re.compile(r"\((?P<c>\w+\{[^}]*\}) - (?P=c) offset \$__interval >= 0\)"
                     r" or \((?P=c) and (?P=c) offset \$__interval > (?P=c)\)")


def counter_misuse(query):
    """Counters that are read as they are: they mean nothing until compared over time."""
    return [s.metric for s in selectors(COUNTED.sub("0", query))
            if s.metric.endswith(COUNTER_SUFFIXES)
            and not (s.range and s.functions and s.functions[-1] in COUNTER_FUNCTIONS)]
