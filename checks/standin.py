# SPDX-License-Identifier: Apache-2.0
"""Exporters that say what they are told, and neighbours, for what the demo cannot show: a pair, a death, 200 sources."""

import http.server
import json
import threading
import time
import urllib.parse

REASONS = ("timeout", "auth", "quota", "rate_limited")
OWN = """\
# TYPE conferencing_exporter_build_info gauge
conferencing_exporter_build_info{version="1.0.0",revision="x",rustversion="1"} 1
# TYPE conferencing_exporter_config_last_reload_successful gauge
conferencing_exporter_config_last_reload_successful 1
# TYPE conferencing_exporter_config_last_reload_success_timestamp_seconds gauge
conferencing_exporter_config_last_reload_success_timestamp_seconds %(started)f
# TYPE conferencing_exporter_web_config_last_reload_successful gauge
conferencing_exporter_web_config_last_reload_successful 1
# TYPE conferencing_exporter_http_requests_total counter
conferencing_exporter_http_requests_total{handler="metrics",code="503"} 0
# TYPE process_start_time_seconds gauge
process_start_time_seconds %(started)f
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total %(cpu)f
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes 2e7
# TYPE process_virtual_memory_bytes gauge
process_virtual_memory_bytes 4e7
# TYPE process_open_fds gauge
process_open_fds 20
# TYPE process_max_fds gauge
process_max_fds 1024
# TYPE process_threads gauge
process_threads 4
"""


class Source:
    """What an exporter says of one system. Change it while it is being scraped."""

    def __init__(self, name, vendor, people=0, **labels):
        self.name, self.vendor, self.people, self.labels = name, vendor, people, labels
        self.reason = None              # why it is down
        self.age = self.min_interval = 0
        self.capacity = None
        self.certificate = None         # seconds that are left
        self.errors = dict.fromkeys(REASONS, 0)
        self.requests = 0

    def series(self, **more):
        labels = {"source": self.name, "vendor": self.vendor, **self.labels, **more}
        return "{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}"

    def gauges(self):
        now = time.time()
        yield f"conferencing_up{self.series()} {int(not self.reason)}"
        yield f"conferencing_source_min_interval_seconds{self.series()} {self.min_interval}"
        yield f"conferencing_scrape_duration_seconds{self.series()} 0.1"
        yield f"conferencing_scrape_timeout_seconds{self.series()} 1"
        if self.capacity:
            yield f"conferencing_capacity_participants{self.series()} {self.capacity}"
            yield f"conferencing_capacity_conferences{self.series()} {self.capacity}"
        if self.certificate:
            yield f"conferencing_tls_certificate_expiry_timestamp_seconds{self.series()} {now + self.certificate}"
        if self.reason:
            yield f"conferencing_source_failure{self.series(reason=self.reason)} 1"
            return
        yield f"conferencing_data_timestamp_seconds{self.series()} {now - self.age}"
        yield f"conferencing_participants{self.series(state='joined')} {self.people}"
        yield f"conferencing_conferences{self.series(state='active')} {self.people // 5}"
        yield f"conferencing_largest_conference_participants{self.series()} {min(self.people, 10)}"
        yield f"conferencing_conferences_locked{self.series()} 1"
        yield f"conferencing_conferences_recording{self.series()} 1"

    def counters(self):
        yield f"conferencing_api_requests_total{self.series(call='conferences')} {self.requests}"
        for reason, count in self.errors.items():
            yield f"conferencing_api_errors_total{self.series(reason=reason)} {count}"


class StandIn(http.server.ThreadingHTTPServer):
    """An exporter of `sources`; without any, a neighbour that has nothing to do with conferencing."""

    daemon_threads = True

    def __init__(self, *sources):
        self.sources = {source.name: source for source in sources}
        self.started = time.time()
        self.alive = True
        self.refused = set()            # sources whose /probe is answered with 500
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self):
        return f"127.0.0.1:{self.server_address[1]}"

    def text(self, path, query):
        if not self.sources:
            return ('node_load1 7\nprocess_cpu_seconds_total 99999\nprocess_resident_memory_bytes 9e12\n'
                    'process_start_time_seconds 1\nprocess_open_fds 900\nprocess_max_fds 1000\nprocess_threads 500\n'
                    'process_virtual_memory_bytes 9e12\n')
        lines = []
        for source in self.sources.values():
            asked = path == "/metrics" or path == "/probe" and query == [source.name]
            lines += source.gauges() if asked else ()
            lines += source.counters() if path != "/probe" else ()
        own = OWN % {"started": self.started, "cpu": time.time() - self.started} if path != "/probe" else ""
        return own + "\n".join(lines) + "\n"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path, _, query = self.path.partition("?")
        source = urllib.parse.parse_qs(query).get("source", [])
        refused = not self.server.alive or path == "/probe" and source and source[0] in self.server.refused
        body = b"" if refused else self.server.text(path, source).encode()
        self.send_response(500 if refused else 200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Webhook(http.server.ThreadingHTTPServer):
    """Keeps every alert it is sent, with the path it came to."""

    daemon_threads = True

    def __init__(self):
        self.alerts = []
        alerts = self.alerts

        class Receiver(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                alerts.extend((self.path, alert) for alert in body["alerts"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Receiver)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def received(self, name, status, **labels):
        for path, alert in list(self.alerts):
            if (alert["status"] == status and alert["labels"]["alertname"] == name
                    and labels.items() <= alert["labels"].items()):
                return path, alert
        return None

    def names(self, **labels):
        """The alerts that fired with these labels."""
        return {alert["labels"]["alertname"] for _, alert in list(self.alerts)
                if alert["status"] == "firing" and labels.items() <= alert["labels"].items()}
