#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The exporter beside a real Asterisk: Debian's package, unpacked into a folder, with people in its conferences.

    checks/real/asterisk.py fetch                   downloads and unpacks it, of sid or else of bullseye; once is enough
    checks/real/asterisk.py run EXPORTER            the check; in a network of its own, it takes fixed ports of the loopback

The variable DEBIAN_RELEASE chooses one release, for both commands: bullseye has Asterisk 16.

First people call by SIP, each of them one `sipp`; one mutes itself by a key of ConfBridge's menu, an administrator all others.
Then people come by Local channels, one half of which runs the dialplan into ConfBridge. At each step the exporter's numbers are
compared with what was done, and with what Asterisk's own console says. Three times what Asterisk answers is recorded and
replayed. At the end a wrong password is tried for a while, and Asterisk's log is read: how often it refused.

Exit status 77: NOT RUN, because the package cannot be had on this machine today.
"""

import contextlib
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

from common import NOT_RUN, ROOT, Failed, NotRun, apt, record_and_replay, release, wait_until

CHOSEN = os.environ.get("DEBIAN_RELEASE")
RELEASES = [CHOSEN] if CHOSEN else ["sid", "bullseye"]
FOLDER = ROOT / "target/real" / (f"asterisk-{CHOSEN}" if CHOSEN else "asterisk")
EXPORTER_PORT, SIP_PORT, FIRST_PHONE_PORT = 19690, 15060, 15100

SETTINGS = {
    "asterisk.conf": """
[directories]
astetcdir => /scene/etc
astmoddir => /MODULES
astvarlibdir => /var/lib/asterisk
astdatadir => /usr/share/asterisk
astdbdir => /scene
astkeydir => /scene
astspooldir => /scene
astrundir => /scene
astlogdir => /scene
""",
    "logger.conf": "[general]\n[logfiles]\nmessages => notice,warning,error\n",
    "manager.conf": """
[general]
enabled = yes
port = 5038
bindaddr = 127.0.0.1
[exporter]
secret = right
deny = 0.0.0.0/0.0.0.0
permit = 127.0.0.1/255.255.255.255
write = reporting
[narrow]
secret = right
write = call
[single]
secret = right
write = reporting
allowmultiplelogin = no
""",
    "confbridge.conf": """
[general]
[bridge]
type = bridge
[plain]
type = user
quiet = yes
[muted]
type = user
quiet = yes
startmuted = yes
[admin]
type = user
quiet = yes
admin = yes
marked = yes
[waiting]
type = user
quiet = yes
wait_marked = yes
music_on_hold_when_empty = no
[menu]
type = menu
1 = toggle_mute
[admin_menu]
type = menu
1 = admin_toggle_mute_participants
""",
    "pjsip.conf": f"""
[loopback]
type = transport
protocol = udp
bind = 127.0.0.1:{SIP_PORT}
[phone]
type = endpoint
transport = loopback
context = people
disallow = all
allow = ulaw
dtmf_mode = info
[phone]
type = identify
endpoint = phone
match = 127.0.0.1
""",
    "extensions.conf": """
[people]
exten => _1XXX,1,Answer()
 same => n,ConfBridge(${EXTEN},bridge,plain,menu)
exten => _2XXX,1,Answer()
 same => n,ConfBridge(1${EXTEN:1},bridge,muted)
exten => _3XXX,1,Answer()
 same => n,ConfBridge(1${EXTEN:1},bridge,waiting)
exten => _4XXX,1,Answer()
 same => n,ConfBridge(1${EXTEN:1},bridge,admin,admin_menu)
exten => phone,1,Answer()
 same => n,Echo()
""",
}
EMPTY = (
    "acl", "ccss", "cdr", "cel", "codecs", "features", "indications", "musiconhold", "pjproject", "rtp", "sorcery", "stasis", "udptl",
)
MODULES = (
    "app_confbridge app_echo app_originate bridge_builtin_features bridge_builtin_interval_features bridge_holding "
    "bridge_simple bridge_softmix chan_bridge_media chan_pjsip codec_resample codec_ulaw format_pcm func_callerid "
    "pbx_config res_clioriginate res_musiconhold res_pjproject res_pjsip res_pjsip_caller_id res_pjsip_dtmf_info "
    "res_pjsip_endpoint_identifier_ip res_pjsip_pubsub res_pjsip_sdp_rtp res_pjsip_session res_rtp_asterisk "
    "res_sorcery_astdb res_sorcery_config res_sorcery_memory res_timing_timerfd"
)

REQUEST = """
<send{again}><![CDATA[

{method} sip:[service]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]
From: <sip:phone@[local_ip]:[local_port]>;tag=[call_id]
To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]
Call-ID: [call_id]
CSeq: {number} {method}
Contact: <sip:phone@[local_ip]:[local_port]>
Max-Forwards: 70
{content}
]]></send>
"""
NOTHING = "Content-Length: 0\n"
VOICE = """Content-Type: application/sdp
Content-Length: [len]

v=0
o=phone 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 0
a=rtpmap:0 PCMU/8000
"""
KEY = """Content-Type: application/dtmf-relay
Content-Length: [len]

Signal=1
Duration=160
"""


def fetch():
    """Unpacks Asterisk and all it needs, as the first release of Debian that can be had has them."""
    if (FOLDER / "usr/sbin/asterisk").exists():
        return
    problems = []
    for suite in RELEASES:
        try:
            return fetch_from(suite)
        except (NotRun, OSError, subprocess.SubprocessError) as problem:
            problems.append(f"{suite}: {problem}")
    raise NotRun("; ".join(problems))


def fetch_from(suite):
    with release(suite) as work:
        plan = apt(work, "install", "--simulate", "--no-install-recommends", "asterisk")
        packages = [line.split()[1] for line in plan.splitlines() if line.startswith("Inst ")]
        apt(work, "download", *packages)
        unpacked = FOLDER.with_name(f"{FOLDER.name}.part")
        shutil.rmtree(unpacked, ignore_errors=True)
        for name in ("bin", "sbin", "lib", "lib64"):
            (unpacked / "usr" / name).mkdir(parents=True)
            (unpacked / name).symlink_to(f"usr/{name}")
        for archive in sorted((work / "debs").glob("*.deb")):
            tar = subprocess.run(["dpkg-deb", "--fsys-tarfile", archive], capture_output=True, check=True).stdout
            extract = ["tar", "-x", "-C", unpacked, "--keep-directory-symlink", "--no-same-owner", "--exclude=./dev/*"]
            subprocess.run(extract, input=tar, check=True)
    shutil.rmtree(FOLDER, ignore_errors=True)
    unpacked.rename(FOLDER)


class Asterisk:
    """A running server, and its console."""

    def __init__(self, work):
        self.work = work
        (work / "etc").mkdir()
        modules = next(FOLDER.glob("usr/lib/**/asterisk/modules"))
        for name, text in SETTINGS.items():
            (work / "etc" / name).write_text(text.replace("MODULES", str(modules.relative_to(FOLDER))))
        for name in EMPTY:
            (work / "etc" / f"{name}.conf").write_text("")
        there = [name for name in MODULES.split() if (modules / f"{name}.so").exists()]
        loads = "".join(f"load = {name}.so\n" for name in there)
        (work / "etc/modules.conf").write_text(f"[modules]\nautoload = no\n{loads}")
        self.process = subprocess.Popen(
            self.inside("-f", "-n"), stdout=(work / "asterisk.out").open("w"), stderr=subprocess.STDOUT
        )
        wait_until("Asterisk", lambda: "fully booted" in self.console("core waitfullybooted").lower())

    def inside(self, *arguments):
        """A command of Asterisk with its own folder as the root."""
        return [
            "bwrap", "--bind", FOLDER, "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp", "--bind", self.work, "/scene",
            "--die-with-parent", "/usr/sbin/asterisk", "-C", "/scene/etc/asterisk.conf", *arguments,
        ]

    def console(self, command):
        done = subprocess.run(self.inside("-r", "-x", command), capture_output=True, text=True, timeout=20)
        return done.stdout

    def join(self, extension):
        self.console(f"channel originate Local/{extension}@people extension phone@people")

    def numbers(self):
        """What the console says of the conferences, and of the people in them."""
        rows = [line.split() for line in self.console("confbridge list").splitlines()]
        rooms = [row for row in rows if row and row[0].isdigit()]
        everybody = [self.flags(row[0]) for row in rooms]
        joined = [[flags for flags in people if "w" not in flags] for people in everybody]
        having = lambda flag: sum(flag in flags for people in joined for flags in people)
        return {
            "conferences": len(rooms),
            "joined": having(""),
            "waiting": sum(map(len, everybody)) - having(""),
            "muted": having("m"),
            "moderators": having("A"),
            "locked": sum(row[3] == "Yes" for row in rooms),
            "all_muted": sum(row[4] == "Yes" for row in rooms),
            "largest": max(map(len, joined), default=0),
        }

    def flags(self, room):
        """Of each who is in that room, its flags: A is an administrator, m is muted, w waits."""
        lines = self.console(f"confbridge list {room}").splitlines()
        return [line[31:37].strip() for line in lines if "/" in line[:30]]

    def first(self, room):
        """Somebody plain in that room, by the channel."""
        rows = self.console(f"confbridge list {room}").splitlines()
        return next(row.split()[0] for row in rows if row.startswith("Local/") and " plain " in row)

    def private(self):
        """What nobody else is to learn: the channels, their ids, who calls, and the conferences."""
        rows = [line.split("!") for line in self.console("core show channels concise").splitlines()]
        words = {row[field] for row in rows if len(row) > 7 for field in (0, 2, 7, -1)}
        return sorted(words - {"", "s"})

    def refusals(self):
        return (self.work / "messages").read_text().count("failed to authenticate as 'exporter'")


def request(method, number, content):
    """One element of a scenario. Every request but ACK is sent again until it is answered."""
    again = "" if method == "ACK" else ' retrans="500"'
    return REQUEST.format(again=again, method=method, number=number, content=content)


class Phone:
    """A call by SIP, played by `sipp`, which waits for a word before each key and before it hangs up.

    The word is a request with the call's own Call-ID. Everything that Asterisk sent before it is read before it.
    """

    calls = 0

    def __init__(self, work, stack, extension, keys=0):
        Phone.calls += 1
        self.name, self.port, self.words = f"call-{Phone.calls}", FIRST_PHONE_PORT + 10 * Phone.calls, 0
        scenario = work / f"{self.name}.xml"
        scenario.write_text(self.scenario(keys))
        self.errors = work / f"{self.name}.errors"
        self.process = subprocess.Popen(
            [
                "sipp", f"127.0.0.1:{SIP_PORT}", "-sf", scenario, "-s", extension, "-m", "1", "-cid_str", self.name,
                "-i", "127.0.0.1", "-p", str(self.port), "-mp", str(self.port + 2), "-nostdin",
                "-timeout", "60", "-timeout_error", "-trace_err", "-error_file", self.errors,
            ],
            cwd=work, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        stack.callback(self.process.wait)
        stack.callback(self.process.kill)

    def scenario(self, keys):
        """Calls, presses key 1 so many times, and hangs up."""
        provisional = "".join(f'<recv response="{status}" optional="true"/>' for status in (100, 180, 183))
        word, done = '<recv request="MESSAGE"/>', '<recv response="200"/>'
        parts = [request("INVITE", 1, VOICE), provisional, done, request("ACK", 1, NOTHING)]
        for number in range(2, keys + 2):
            parts += [word, request("INFO", number, KEY), done]
        parts += [word, request("BYE", keys + 2, NOTHING), done]
        return f"<?xml version='1.0'?>\n<scenario name='{self.name}'>{''.join(parts)}</scenario>\n"

    def go_on(self):
        self.words += 1
        lines = (
            "MESSAGE sip:phone@127.0.0.1 SIP/2.0", "To: <sip:phone@127.0.0.1>", f"Call-ID: {self.name}",
            f"CSeq: {self.words} MESSAGE", "Content-Length: 0", "", "",
        )
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            out.sendto("\r\n".join(lines).encode(), ("127.0.0.1", self.port))

    press_key = go_on

    def hang_up(self):
        self.go_on()
        try:
            status = self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            status = "no end"
        if status != 0:
            said = self.errors.read_text()[-500:] if self.errors.exists() else ""
            raise Failed(f"{self.name} did not go as its scenario says ({status}): {said}")


MEASURES = {
    "conferences": 'conferencing_conferences{SOURCE,state="active"}',
    "joined": 'conferencing_participants{SOURCE,state="joined"}',
    "waiting": 'conferencing_participants{SOURCE,state="waiting"}',
    "muted": "conferencing_participants_muted{SOURCE}",
    "moderators": "conferencing_participants_moderators{SOURCE}",
    "locked": "conferencing_conferences_locked{SOURCE}",
    "all_muted": "conferencing_conferences_all_muted{SOURCE}",
    "largest": "conferencing_largest_conference_participants{SOURCE}",
}


RECORDED = {
    "conferences": "conferences_active",
    "joined": "participants_joined",
    "waiting": "participants_waiting",
    "muted": "participants_muted",
    "moderators": "participants_moderators",
    "locked": "conferences_locked",
    "all_muted": "conferences_all_muted",
    "largest": "largest_conference_participants",
}


def scrape(source):
    with urllib.request.urlopen(f"http://127.0.0.1:{EXPORTER_PORT}/probe?source={source}", timeout=20) as answer:
        lines = answer.read().decode().splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))


def numbers():
    found = scrape("real")
    value = lambda name: found.get(name.replace("SOURCE", 'source="real",vendor="asterisk"'))
    return {what: value(name) and int(value(name)) for what, name in MEASURES.items()}


def step(asterisk, what, **expected):
    """Compares the exporter's numbers with what was done, and with the console."""
    end = time.monotonic() + 10
    while (found := numbers()) != expected or asterisk.numbers() != expected:
        if time.monotonic() > end:
            raise Failed(f"{what}: {found}, not {expected}; the console says {asterisk.numbers()}")
        time.sleep(0.2)
    print(f"  {what}: {found}", flush=True)


def run(exporter):
    for tool in ("bwrap", "sipp"):
        if shutil.which(tool) is None:
            raise Failed(f"{tool} is missing: see checks/packages.txt")
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        work = pathlib.Path(folder)
        asterisk = Asterisk(work)
        stack.callback(asterisk.process.wait)
        stack.callback(asterisk.process.kill)
        print(re.search(r"^Asterisk \S+", asterisk.console("core show version"), re.MULTILINE)[0], flush=True)
        source = "- {{ name: {}, vendor: asterisk, base_url: 'tcp://127.0.0.1:5038', username: {}, password: {} }}\n"
        yaml = work / "exporter.yaml"
        yaml.write_text(
            "sources:\n" + source.format("real", "exporter", "right") + source.format("narrow", "narrow", "right")
            + source.format("wrong", "exporter", "wrong") + source.format("single", "single", "right")
        )
        yaml.chmod(0o600)
        server = subprocess.Popen(
            [exporter, "--config.file", yaml, "--web.listen-address", f"127.0.0.1:{EXPORTER_PORT}"],
            stderr=(work / "exporter.log").open("w"),
        )
        stack.callback(server.wait)
        stack.callback(server.kill)
        wait_until("the exporter", lambda: scrape("real"))
        nobody = dict.fromkeys(MEASURES, 0)
        step(asterisk, "nobody", **nobody)

        def record(there):
            expected = {RECORDED[what]: number for what, number in there.items()}
            record_and_replay(exporter, yaml, "real", expected, asterisk.private())

        people_call(asterisk, work, stack, record)
        step(asterisk, "all of them hung up", **nobody)
        for extension in ("1000", "1000", "2000", "4000", "3001", "3001", "1002", "3002"):
            asterisk.join(extension)
        there = dict(conferences=3, joined=5, waiting=3, muted=1, moderators=1, locked=0, all_muted=0, largest=4)
        step(asterisk, "three conferences, in two of which people wait", **there)
        record(there)
        asterisk.console(f"confbridge mute 1000 {asterisk.first('1000')}")
        step(asterisk, "one muted by an administrator", **(there := {**there, "muted": 2}))
        asterisk.join("4001")
        there = {**there, "joined": 8, "waiting": 1, "moderators": 2}
        step(asterisk, "the one whom two people waited for came", **there)
        asterisk.console("confbridge lock 1000")
        step(asterisk, "a conference locked", **(there := {**there, "locked": 1}))
        for room in ("1000", "1001", "1002"):
            asterisk.console(f"confbridge kick {room} all")
        step(asterisk, "everybody gone", **nobody)
        check_refusals(asterisk)


def people_call(asterisk, work, stack, record):
    """Calls by SIP, from the first to the last; some of it is recorded."""
    talks, mutes, waits = (Phone(work, stack, *call) for call in (("1000",), ("1000", 2), ("3001",)))
    there = dict(conferences=2, joined=2, waiting=1, muted=0, moderators=0, locked=0, all_muted=0, largest=2)
    step(asterisk, "three called by SIP, one of them waits", **there)
    record(there)
    mutes.press_key()
    step(asterisk, "one muted itself by a key", **{**there, "muted": 1})
    mutes.press_key()
    step(asterisk, "and is heard again", **there)
    marked = Phone(work, stack, "4001", 2)
    there = {**there, "joined": 4, "waiting": 0, "moderators": 1}
    step(asterisk, "the one who was waited for called", **there)
    marked.press_key()
    step(asterisk, "and muted all others by a key", **(muted := {**there, "muted": 1, "all_muted": 1}))
    record(muted)
    marked.press_key()
    step(asterisk, "who are heard again", **there)
    talks.hang_up()
    step(asterisk, "one hung up", **{**there, "joined": 3})
    for phone in (mutes, waits, marked):
        phone.hang_up()


def check_refusals(asterisk):
    reason = 'conferencing_source_failure{{source="{}",vendor="asterisk",reason="{}"}}'
    if reason.format("narrow", "forbidden") not in scrape("narrow"):
        raise Failed("a user without the right is not told apart")
    with socket.create_connection(("127.0.0.1", 5038), timeout=10) as other:
        other.sendall(b"Action: Login\r\nUsername: single\r\nSecret: right\r\nEvents: off\r\n\r\n")
        wait_until("another login", lambda: b"accepted" in other.recv(4096))
        if reason.format("single", "vendor") not in scrape("single"):
            raise Failed("a user who is logged in elsewhere is not told apart")
    up = 'conferencing_up{source="single",vendor="asterisk"}'
    wait_until("the end of the other login", lambda: scrape("single")[up] == "1")
    before = asterisk.refusals()
    for _ in range(20):
        if reason.format("wrong", "auth") not in scrape("wrong"):
            raise Failed("a wrong password is not told apart")
    refused = asterisk.refusals() - before
    if refused != 1:
        raise Failed(f"Asterisk's log has {refused} refused logins after 20 scrapes")
    print("  a wrong password: 1 refused login in 20 scrapes", flush=True)


def main():
    try:
        if sys.argv[1:] == ["fetch"]:
            fetch()
        elif sys.argv[1:2] == ["run"] and len(sys.argv) == 3:
            run(sys.argv[2])
        else:
            sys.exit(__doc__)
    except NotRun as problem:
        print(f"NOT RUN: {problem}")
        sys.exit(NOT_RUN)
    except Failed as problem:
        sys.exit(f"FAILED: {problem}")


if __name__ == "__main__":
    main()
