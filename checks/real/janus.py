#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The exporter beside a real Janus: Debian 12's package, unpacked into a folder, with people in its rooms.

    checks/real/janus.py fetch                      downloads and unpacks it; once is enough
    checks/real/janus.py run EXPORTER               the check; in a network of its own, it takes fixed ports of the loopback

Everybody comes by Janus' ordinary API: people of the AudioBridge by plain RTP, members of the VideoRoom without a stream.
At each step the exporter's numbers are compared with what was done, and with what Janus itself lists. What Janus answers is
recorded once and replayed. At the end wrong secrets are tried for a while, and Janus' log is read: how often it refused.

Exit status 77: NOT RUN, because the package cannot be had on this machine today.
"""

import contextlib
import http.client
import itertools
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from common import NOT_RUN, ROOT, Failed, NotRun, record_and_replay, wait_until

FOLDER = ROOT / "target/real/janus"

ADMIN_PORT, API_PORT, EXPORTER_PORT = 7088, 8088, 19690
ADMIN_SECRET, WRONG = "real-admin-secret", "wrong-admin-secret"
KEYS = {"audiobridge": "real-audiobridge-key", "videoroom": "real-videoroom-key"}
WORDS = ("audiobridge", "videoroom")

# The rooms, as the two plug-ins are configured with them.
ROOMS = {
    "audiobridge": """
general: { admin_key = "real-audiobridge-key", local_ip = "127.0.0.1" }
room-1000: { description = "Audio room", secret = "room-secret", sampling_rate = 16000, record = false, allow_rtp_participants = true }
room-1001: { description = "Private audio room", is_private = true, pin = "4711", sampling_rate = 16000, record = false, allow_rtp_participants = true }
room-1002: { description = "Empty audio room", sampling_rate = 16000, record = false, allow_rtp_participants = true }
""",
    "videoroom": """
general: { admin_key = "real-videoroom-key" }
room-1234: { description = "Video room", publishers = 6, record = false }
room-5678: { description = "Private video room", is_private = true, pin = "4711", publishers = 6, record = false }
room-9012: { description = "Room with a placeholder", publishers = 6, record = false, dummy_publisher = true }
""",
}
ALL_ROOMS, PUBLIC_ROOMS, PINS = 6, 4, 2


def fetch():
    """Unpacks Janus and what it needs and this machine lacks."""
    if (FOLDER / "usr/bin/janus").exists():
        return
    plan = subprocess.run(
        ["apt-get", "--simulate", "install", "--no-install-recommends", "janus"], capture_output=True, text=True
    )
    packages = [line.split()[1] for line in plan.stdout.splitlines() if line.startswith("Inst ")]
    if shutil.which("janus") is None and "janus" not in packages:
        raise NotRun("this Debian has no package janus")
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        downloaded = subprocess.run(
            ["apt-get", "download", "-qq", "janus", *(name for name in packages if name != "janus")],
            cwd=folder, capture_output=True, text=True, timeout=120,
        )
        archives = sorted(pathlib.Path(folder).glob("*.deb"))
        if downloaded.returncode != 0 or not archives:
            raise NotRun(f"the package cannot be downloaded: {downloaded.stderr.strip()[-200:]}")
        unpacked = FOLDER.with_name("janus.part")
        shutil.rmtree(unpacked, ignore_errors=True)
        for archive in archives:
            subprocess.run(["dpkg-deb", "--extract", archive, unpacked], check=True)
    shutil.rmtree(FOLDER)
    unpacked.rename(FOLDER)


def libraries():
    """Where the libraries are, and the plug-ins below one of them."""
    return sorted((FOLDER / "usr/lib").glob("*-linux-gnu*"))


def ask(port, method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"})
        return connection.getresponse().read().decode()
    finally:
        connection.close()


class Janus:
    """A running server, and its own answers."""

    def __init__(self, work):
        self.work = work
        self.log = work / "janus.log"
        self.process = None
        settings = work / "janus"
        settings.mkdir()
        janus = next(path / "janus" for path in libraries() if (path / "janus/plugins").is_dir())
        (settings / "janus.jcfg").write_text(f"""
general: {{
    configs_folder = "{settings}"
    plugins_folder = "{janus}/plugins"
    transports_folder = "{janus}/transports"
    events_folder = "{janus}/events"
    loggers_folder = "{janus}/loggers"
    admin_secret = "{ADMIN_SECRET}"
    debug_level = 4
    interface = "127.0.0.1"
}}
plugins: {{ disable = "libjanus_duktape.so,libjanus_echotest.so,libjanus_lua.so,libjanus_nosip.so,libjanus_recordplay.so,libjanus_sip.so,libjanus_streaming.so,libjanus_textroom.so,libjanus_videocall.so,libjanus_voicemail.so" }}
transports: {{ disable = "libjanus_mqtt.so,libjanus_nanomsg.so,libjanus_pfunix.so,libjanus_rabbitmq.so,libjanus_websockets.so" }}
""")
        (settings / "janus.transport.http.jcfg").write_text(f"""
general: {{ json = "compact", base_path = "/janus", http = true, port = {API_PORT}, ip = "127.0.0.1", https = false }}
admin: {{ admin_base_path = "/admin", admin_http = true, admin_port = {ADMIN_PORT}, admin_ip = "127.0.0.1", admin_https = false }}
""")
        for word, rooms in ROOMS.items():
            (settings / f"janus.plugin.{word}.jcfg").write_text(rooms)
        self.settings = settings

    def start(self):
        # A server that has just ended may still hold its ports for a moment.
        environment = {**os.environ, "LD_LIBRARY_PATH": ":".join(map(str, libraries()))}
        command = [FOLDER / "usr/bin/janus", "-F", self.settings, "--disable-colors"]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        wait_until("Janus", lambda: "pong" in ask(ADMIN_PORT, "POST", "/admin", {"janus": "ping", "transaction": "up"}))

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=20)
            self.process = None

    def version(self):
        info = ask(ADMIN_PORT, "POST", "/admin", {"janus": "info", "transaction": "info", "admin_secret": ADMIN_SECRET})
        return json.loads(info)["version_string"]

    def plugin(self, word, request):
        answer = json.loads(ask(ADMIN_PORT, "POST", "/admin", {
            "janus": "message_plugin", "plugin": f"janus.plugin.{word}", "transaction": "own",
            "admin_secret": ADMIN_SECRET, "request": request,
        }))
        return answer["response"]

    def counted(self):
        """What Janus lists, by the names of the exporter's metrics."""
        counts = dict.fromkeys((
            "rooms", "rooms_pin_protected", "active", "joined", "joining", "participants_muted",
            "participants_mute_reported", "conferences_all_muted", "conferences_recording",
            "largest_conference_participants",
        ), 0)
        for word in WORDS:
            for room in self.plugin(word, {"request": "list", "admin_key": KEYS[word]})["list"]:
                counts["rooms"] += 1
                counts["rooms_pin_protected"] += room["pin_required"]
                if room["num_participants"] == 0:
                    continue
                people = self.plugin(word, {"request": "listparticipants", "room": room["room"]})["participants"]
                people = [person for person in people if not person.get("dummy")]
                if not people:
                    continue
                inside = [person for person in people if person.get("setup") is not False]
                counts["active"] += 1
                counts["joined"] += len(inside)
                counts["joining"] += len(people) - len(inside)
                counts["participants_muted"] += sum(person.get("muted", False) for person in inside)
                counts["participants_mute_reported"] += sum("muted" in person for person in inside)
                counts["conferences_all_muted"] += room.get("muted", False)
                counts["conferences_recording"] += room["record"]
                counts["largest_conference_participants"] = max(counts["largest_conference_participants"], len(inside))
        return counts


class Person:
    """Somebody who is in a room as long as the session lasts."""

    numbers = itertools.count(1)

    def __init__(self, word, room, **join):
        self.path = "/janus"
        self.path += f"/{self.send({'janus': 'create'})['data']['id']}"
        self.session = self.path
        attached = self.send({"janus": "attach", "plugin": f"janus.plugin.{word}"})
        self.path += f"/{attached['data']['id']}"
        if word == "audiobridge":
            join.setdefault("rtp", {"ip": "127.0.0.1", "port": 20_000 + 2 * next(self.numbers)})
        else:
            join.setdefault("ptype", "publisher")
        self.message({"request": "join", "room": room, "display": "Somebody", **join}, "joined")

    def send(self, body):
        answer = json.loads(ask(API_PORT, "POST", self.path, {"transaction": f"t{next(self.numbers)}", **body}))
        if answer["janus"] not in ("success", "ack"):
            raise Failed(f"Janus refused: {answer}")
        return answer

    def message(self, body, event):
        """Sends `body` to the plug-in, and waits for this event."""
        answer = self.send({"janus": "message", "body": body})

        def came():
            polled = answer if "plugindata" in answer else json.loads(ask(API_PORT, "GET", self.session))
            data = polled.get("plugindata", {}).get("data", {})
            if "error_code" in data:
                raise Failed(f"Janus refused: {data}")
            return event in data.values()

        wait_until(f"the event {event}", came)

    def mute(self, muted=True):
        self.message({"request": "configure", "muted": muted}, "ok")

    def leave(self):
        self.path = self.session
        self.send({"janus": "destroy"})


class Exporter:
    """The exporter, on the real Janus in several ways."""

    def __init__(self, binary, work):
        address = f"http://127.0.0.1:{ADMIN_PORT}"
        keys = "".join(f", {word}_admin_key: {key}" for word, key in KEYS.items())
        configuration = work / "exporter.yaml"
        configuration.write_text(f"""
sources:
- {{ name: all, vendor: janus, base_url: '{address}', admin_secret: {ADMIN_SECRET}{keys} }}
- {{ name: public, vendor: janus, base_url: '{address}', admin_secret: {ADMIN_SECRET} }}
- {{ name: video, vendor: janus, base_url: '{address}', admin_secret: {ADMIN_SECRET}{keys}, plugins: [videoroom] }}
- {{ name: ordinary, vendor: janus, base_url: 'http://127.0.0.1:{API_PORT}', api_path: /janus, admin_secret: {ADMIN_SECRET} }}
""")
        configuration.chmod(0o600)
        self.binary, self.configuration = binary, configuration
        self.log = (work / "exporter.log").open("w")
        self.process = subprocess.Popen(
            [binary, "--config.file", configuration, "--web.listen-address", f"127.0.0.1:{EXPORTER_PORT}",
             "--web.enable-lifecycle", "--log.level", "debug"],
            stderr=self.log,
        )
        wait_until("the exporter", lambda: ask(EXPORTER_PORT, "GET", "/-/ready") is not None)

    def stop(self):
        self.process.terminate()
        if self.process.wait(timeout=20) != 0:
            raise Failed("the exporter did not stop cleanly")

    def reload(self, lines):
        self.configuration.write_text(lines)
        ask(EXPORTER_PORT, "POST", "/-/reload")

    def scrape(self):
        """The samples of one scrape: source and name (or state) to value."""
        samples = {}
        for line in ask(EXPORTER_PORT, "GET", "/metrics").splitlines():
            if line.startswith("#") or "{" not in line:
                continue
            name, _, rest = line.partition("{")
            labels, _, value = rest.rpartition("} ")
            labels = dict(label.split("=", 1) for label in labels.rstrip(",").split('",') if "=" in label)
            labels = {key: text.strip('"') for key, text in labels.items()}
            short = labels.get("state") or name.removeprefix("conferencing_")
            if name == "conferencing_source_failure":
                short = f"failure {labels['reason']}"
            if name == "conferencing_api_requests_total":
                short = f"requests {labels['call']}"
            samples[labels.get("source"), short] = float(value)
        return samples


def of(name, samples):
    """The samples of one source."""
    return {what: value for (source, what), value in samples.items() if source == name}


def compare(step, exporter, janus, **expected):
    """The exporter's numbers, what Janus lists and what was done are the same."""
    # Janus tells of a person a moment before or after the room's count changes.
    def same():
        listed, samples = janus.counted(), exporter.scrape()
        found = {name: samples.get(("all", name)) for name in listed}
        wrong = {name: (value, listed[name]) for name, value in found.items() if value != listed[name]}
        wrong |= {name: (found[name], value) for name, value in expected.items() if found[name] != value}
        same.wrong = wrong
        return samples if not wrong and samples.get(("all", "up")) == 1 else None

    try:
        samples = wait_until(step, same, seconds=5)
    except Failed:
        raise Failed(f"{step}: (exporter, expected) {same.wrong}") from None
    print(f"  {step}: " + ", ".join(f"{name} {value:g}" for name, value in expected.items()))
    return samples


def scenario(janus, exporter):
    # Before 1.2, people who come by plain RTP are never said to be set up: they are joining.
    version = janus.version()
    set_up = tuple(map(int, version.split("."))) >= (1, 2)
    print(f"Janus {version}")

    def bridge(people, muted=0):
        """Numbers of so many people of the AudioBridge."""
        if not set_up:
            return {"joining": people, "participants_muted": 0, "participants_mute_reported": 0}
        return {"joining": 0, "participants_muted": muted, "participants_mute_reported": people}

    def joined(bridged, others):
        return bridged + others if set_up else others

    compare("nobody", exporter, janus, rooms=ALL_ROOMS, rooms_pin_protected=PINS, active=0, joined=0, **bridge(0))
    alice = Person("audiobridge", 1000)
    compare("one by plain RTP", exporter, janus, active=1, joined=joined(1, 0), **bridge(1))
    bob = Person("audiobridge", 1000, muted=True)
    compare("one who comes muted", exporter, janus, active=1, joined=joined(2, 0), **bridge(2, 1))
    alice.mute()
    compare("one mutes herself", exporter, janus, **bridge(2, 2))
    alice.mute(False)
    compare("and speaks again", exporter, janus, conferences_all_muted=0, **bridge(2, 1))
    alice.message({"request": "mute_room", "room": 1000, "secret": "room-secret"}, "success")
    compare("the room is muted", exporter, janus, conferences_all_muted=1, **bridge(2, 1))
    alice.message({"request": "unmute_room", "room": 1000, "secret": "room-secret"}, "success")
    carol = Person("audiobridge", 1001, pin="4711")
    samples = compare("a private room with a PIN", exporter, janus, active=2, conferences_all_muted=0, **bridge(3, 1))
    if samples["public", "rooms"] != PUBLIC_ROOMS or samples["public", "active"] != 1:
        raise Failed(f"without the admin keys: {of('public', samples)}")
    dora, emil = Person("videoroom", 1234), Person("videoroom", 1234)
    fred = Person("videoroom", 5678, pin="4711")
    samples = compare("members of the VideoRoom", exporter, janus, active=4, joined=joined(3, 3), **bridge(3, 1))
    if (samples["video", "joined"], samples["video", "active"]) != (3, 2) or ("video", "joining") in samples:
        raise Failed(f"of the VideoRoom alone: {of('video', samples)}")
    counted = janus.counted()
    renamed = {"active": "conferences_active", "joined": "participants_joined", "joining": "participants_joining"}
    expected = {renamed.get(name, name): number for name, number in counted.items()}
    private = ["Somebody", "4711", "room-secret", ADMIN_SECRET, *KEYS.values(), "1000", "1001", "1234", "5678"]
    record_and_replay(exporter.binary, exporter.configuration, "all", expected, private)
    if samples["ordinary", "up"] != 0 or samples.get(("ordinary", "failure vendor")) != 1:
        raise Failed("the ordinary API was taken for the admin API")
    for person in (dora, bob):
        person.leave()
    compare("two leave", exporter, janus, active=4, joined=joined(2, 2), **bridge(2, 0))
    for person in (alice, carol, emil, fred):
        person.leave()
    compare("all leave", exporter, janus, rooms=ALL_ROOMS, active=0, joined=0, **bridge(0))


def restart(janus, exporter):
    janus.stop()
    samples = exporter.scrape()
    if samples["all", "up"] != 0 or samples.get(("all", "failure connect")) != 1 or ("all", "joined") in samples:
        raise Failed("a server that is gone is not said to be down")
    janus.start()
    compare("after a restart", exporter, janus, rooms=ALL_ROOMS, active=0)


def wrong_secrets(janus, exporter):
    """A wrong secret is tried once, and then held back, however often one looks."""
    before = janus.log.read_text().count("Unauthorized")
    exporter.reload(f"""
sources:
- {{ name: secret, vendor: janus, base_url: 'http://127.0.0.1:{ADMIN_PORT}', admin_secret: {WRONG} }}
- {{ name: key, vendor: janus, base_url: 'http://localhost:{ADMIN_PORT}', admin_secret: {ADMIN_SECRET}, audiobridge_admin_key: {WRONG} }}
""")
    for _ in range(20):
        samples = exporter.scrape()
        for name in ("secret", "key"):
            if (samples[name, "up"], samples.get((name, "failure auth"))) != (0, 1):
                raise Failed(f"{name}: {of(name, samples)}")
    for name in ("secret", "key"):
        sent = sum(value for (source, what), value in samples.items() if source == name and what.startswith("requests "))
        if (sent, samples[name, "login_blocked"], samples[name, "login_failures_total"]) != (1, 1, 1):
            raise Failed(f"{name}: {sent} requests in 20 scrapes")
    refused = janus.log.read_text().count("Unauthorized") - before
    # The admin key is the plug-in's, which refuses without a line in the log.
    if refused != 1:
        raise Failed(f"Janus' log has {refused} refusals of the admin secret")
    print("  wrong secrets: one request each in 20 scrapes, then held back; Janus' log has one refusal")


def run(binary):
    if not (FOLDER / "usr/bin/janus").exists():
        raise NotRun("not fetched")
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        work = pathlib.Path(folder)
        janus = Janus(work)
        stack.callback(janus.stop)
        try:
            janus.start()
            exporter = Exporter(binary, work)
            stack.callback(exporter.stop)
            for part in (scenario, restart, wrong_secrets):
                part(janus, exporter)
        except Failed:
            for log in ("janus.log", "exporter.log"):
                if (work / log).exists():
                    print(f"--- {log}", *(work / log).read_text().splitlines()[-40:], sep="\n", file=sys.stderr)
            raise
        text = (work / "exporter.log").read_text() + ask(EXPORTER_PORT, "GET", "/")
        for secret in (ADMIN_SECRET, WRONG, *KEYS.values(), "Somebody"):
            if secret in text:
                raise Failed(f"{secret} is in the exporter's log or page")


def main():
    try:
        match sys.argv[1:]:
            case ["fetch"]:
                fetch()
            case ["run", binary]:
                run(binary)
            case _:
                sys.exit(__doc__)
    except NotRun as reason:
        print(f"NOT RUN: real Janus: {reason}")
        sys.exit(NOT_RUN)
    except Failed as reason:
        sys.exit(f"FAILED: real Janus: {reason}")


if __name__ == "__main__":
    main()
