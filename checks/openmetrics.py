#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads the OpenMetrics texts of these files with the reference parser, and the lines that it is lenient about.

    checks/openmetrics.py FILE...
"""

import pathlib
import re
import sys

from prometheus_client.openmetrics import parser


def check(path):
    text = pathlib.Path(path).read_text(encoding="utf-8")
    families = list(parser.text_string_to_metric_families(text))
    assert families, f"{path} has no metrics"
    for family in families:
        assert family.documentation, f"{path}: {family.name} has no help"
        assert family.samples, f"{path}: {family.name} has no samples"
        assert family.type != "unknown", f"{path}: {family.name} has no type"
        for unit in ("seconds", "bytes"):
            if family.name.endswith(f"_{unit}"):
                assert family.unit == unit, f"{path}: {family.name} does not state its unit"
        created = [sample.name for sample in family.samples if sample.name.endswith("_created")]
        assert not created, f"{path}: {created[0]} would be one series more"
    twice = re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)
    assert len(twice) == len(set(twice)), f"{path}: a family is there twice"
    print(f"{path}: {len(families)} families, {sum(len(family.samples) for family in families)} samples")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for name in sys.argv[1:]:
        check(name)
