# SPDX-License-Identifier: Apache-2.0
"""What the checks beside real servers share: packages of another release of Debian, and waits that end."""

import contextlib
import http.client
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
