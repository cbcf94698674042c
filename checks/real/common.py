# SPDX-License-Identifier: Apache-2.0
"""What the checks beside real servers share: packages of another release of Debian, and waits that end."""

import contextlib
import http.client
import json
import pathlib
import re
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
NOT_RUN = 77
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


class NotRun(Exception):
    """The package cannot be had: nothing is known about the exporter."""


class Failed(Exception):
    """The exporter, or the server beside it, is not as expected."""


@contextlib.contextmanager
def release(suite):
    """A temporary folder for `apt`, which knows of that release of Debian alone, and of no package installed here."""
    policy = subprocess.run(["apt-cache", "policy"], capture_output=True, text=True, check=True).stdout
    mirror = re.search(r"(https?://\S+/debian)/? \S+/main", policy)
    if mirror is None:
        raise NotRun("this machine has no mirror of Debian")
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        work.chmod(0o755)
        for name in ("state/lists/partial", "cache/archives/partial", "none", "debs"):
            (work / name).mkdir(parents=True)
        (work / "sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror[1]} {suite} main\n")
        (work / "apt.conf").write_text(
            f'Dir::State "{work}/state"; Dir::State::status "/dev/null"; Dir::Cache "{work}/cache";\n'
            f'Dir::Etc::sourcelist "{work}/sources.list"; Dir::Etc::sourceparts "{work}/none";\n'
            f'Dir::Etc::preferences "{work}/none"; Dir::Etc::preferencesparts "{work}/none"; Acquire::Languages "none";\n'
        )
        apt(work, "update")
        yield work


def apt(work, *arguments):
    """What `apt-get` says. What it downloads is in the folder `debs`."""
    done = subprocess.run(
        ["apt-get", "-qq", *arguments], cwd=work / "debs", env={"APT_CONFIG": f"{work}/apt.conf", "PATH": "/usr/bin:/usr/sbin:/bin"},
        capture_output=True, text=True, timeout=180,
    )
    if done.returncode != 0:
        raise NotRun(f"apt-get {arguments[0]}: {done.stderr.strip()[-200:]}")
    return done.stdout


def record_and_replay(exporter, configuration, source, expected, private):
    """Records what that source answers, and replays it. The numbers are those expected, and no private word is in the file."""
    folder = configuration.parent / "recordings"
    record = [exporter, "check", "--config.file", configuration, "--live", "--record", folder, source]
    recorded = subprocess.run(record, capture_output=True, text=True, timeout=30)
    if recorded.returncode != 0:
        raise Failed(f"not recorded: {recorded.stdout}{recorded.stderr}")
    file = folder / f"{source}.json"
    recording = json.loads(file.read_text())
    # It is made of hexadecimal digits, which may be any number.
    del recording["digest"]
    numbers, text = recording["result"]["numbers"], json.dumps(recording)
    wrong = {name: (numbers.get(name), value) for name, value in expected.items() if numbers.get(name) != value}
    if wrong:
        raise Failed(f"recorded: (found, expected) {wrong}")
    shown = [word for word in private if re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text)]
    if shown or not private:
        raise Failed(f"in the recording: {shown} of {private}")
    replayed = subprocess.run([exporter, "check", "--replay", file], capture_output=True, text=True, timeout=30)
    if replayed.returncode != 0 or "as recorded" not in replayed.stdout:
        raise Failed(f"replayed: {replayed.stdout}{replayed.stderr}")
    print(f"  recorded without any of {len(private)} private words, and replayed", flush=True)


def wait_until(what, look, seconds=20):
    """What `look` finds, as soon as it finds something."""
    end = time.monotonic() + seconds
    while True:
        found = None
        with contextlib.suppress(OSError, http.client.HTTPException, subprocess.SubprocessError):
            found = look()
        if found:
            return found
        if time.monotonic() > end:
            raise Failed(f"waited in vain for {what}")
        time.sleep(0.1)
