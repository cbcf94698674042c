# SPDX-License-Identifier: Apache-2.0
"""What the exporter does, as people would write it with aiohttp and prometheus_client.

    aiohttp_client.py PLAN SERIES   one pass for each line on standard input
    aiohttp_client.py --version     what would be measured

PLAN is a JSON file: for each source a list of requests that are sent at once, one such list after the other. A pass sends
the requests of all sources, in one session that keeps its connections, decodes the answers and counts what they list. Then
it renders a text for Prometheus with so many SERIES of each source, none at all if it is 0, and prints "took" and its time
in microseconds.
"""

import asyncio
import json
import platform
import sys
import time
from importlib.metadata import version
from xml.etree import ElementTree

import aiohttp
import prometheus_client
from aiohttp import http_parser
from prometheus_client.core import GaugeMetricFamily


def versions():
    in_c = http_parser.HttpResponseParser is not http_parser.HttpResponseParserPy
    return (
        f"aiohttp {aiohttp.__version__} (parser in {'C' if in_c else 'Python'}), "
        f"prometheus_client {version('prometheus_client')}, Python {platform.python_version()}"
    )


async def ask(session, request):
    """Sends one request; how many things the answer lists."""
    async with session.request(
        request["method"], request["url"], headers=request["headers"], data=request["body"] or None
    ) as answer:
        answer.raise_for_status()
        if "xml" in answer.content_type:
            return len(ElementTree.fromstring(await answer.text()).findall(".//meeting"))
        # The systems send JSON as text/html and other types as well.
        decoded = await answer.json(content_type=None)
        return sum(len(value) for value in decoded.values() if isinstance(value, list))


async def collect(session, source):
    """Asks one source; how many things it lists."""
    items = 0
    for together in source:
        items += sum(await asyncio.gather(*(ask(session, request) for request in together)))
    return items


class Collector:
    """What was found last. The names are made up: what counts is how many series there are."""

    def __init__(self, series):
        self.names = [f"conferencing_number_{number}" for number in range(series)]
        self.found = []

    def collect(self):
        for name in self.names:
            family = GaugeMetricFamily(name, "What one system says.", labels=["source", "vendor", "site"])
            for index, items in enumerate(self.found):
                family.add_metric([f"s{index}", "yeastar_s", f"site-{index % 100}"], items)
            yield family


async def main(path, series):
    with open(path, encoding="utf-8") as file:
        plan = json.load(file)
    for request in (request for source in plan for together in source for request in together):
        request["headers"] = dict(request["headers"])
    collector = Collector(series)
    registry = prometheus_client.CollectorRegistry()
    registry.register(collector)
    # By default aiohttp opens 100 connections at most, and drops those unused for 15 seconds.
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=300)
    async with aiohttp.ClientSession(connector=connector) as session:
        while await asyncio.to_thread(sys.stdin.readline):
            started = time.perf_counter()
            collector.found = await asyncio.gather(*(collect(session, source) for source in plan))
            if series:
                prometheus_client.generate_latest(registry)
            print("took", int((time.perf_counter() - started) * 1e6), flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["--version"]:
        print(versions())
    elif len(sys.argv) == 3:
        asyncio.run(main(sys.argv[1], int(sys.argv[2])))
    else:
        sys.exit(__doc__)
