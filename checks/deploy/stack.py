# SPDX-License-Identifier: Apache-2.0
"""Runs what a compose file describes, without a container engine, and looks whether its parts find each other.

    unshare --net python3 checks/deploy/stack.py COMPOSE-FILE EXPORTER SIMULATOR

docker-compose resolves the file; each service whose program is at hand then runs in a sandbox (bwrap) with the file's
command, environment, mounts, secrets and read-only root, all on the loopback of this network namespace. Health checks are
the file's own. Prometheus' intervals are shortened. Grafana, which Debian does not have, does not run: what it is given is
compared with what is there.

Proven: every service becomes healthy and stops cleanly; Prometheus' target is up and brings samples of the sources, all
rules are loaded and evaluated without an error, and Alertmanager is where Prometheus looks for it.
"""

import contextlib
import fcntl
import json
import os
import pathlib
import re
import shlex
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

import yaml

# Debian's names of the programs in the images.
PROGRAMS = {"docker.io/prom/prometheus": "prometheus", "docker.io/prom/alertmanager": "prometheus-alertmanager"}
INTERVAL = "2s"


def main(file: str, exporter: str, simulator: str) -> None:
    loopback_up()
    folder = pathlib.Path(file).resolve().parent
    compose = resolve(pathlib.Path(file), folder)
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        services = Stack(compose, pathlib.Path(scratch), {"exporter": exporter, "simulator": simulator})
        stack.callback(services.kill)
        services.start()
        grafana(compose["services"]["grafana"], services.names)
        look(compose, services.names)
        services.stop()
    print(f"{file}: ok")


def loopback_up() -> None:
    """Refuses to run in the machine's own network, where ports may be taken and others are listening."""
    if [name for _, name in socket.if_nameindex() if name != "lo"]:
        sys.exit("run this with unshare --net")
    with socket.socket() as any_socket:
        # SIOCSIFFLAGS: IFF_UP | IFF_RUNNING
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 0x1 | 0x40))


def resolve(file: pathlib.Path, folder: pathlib.Path) -> dict:
    # Debian's docker-compose is older than the key `name`, which changes nothing here.
    text = re.sub(r"(?m)^name: .*$", "", file.read_text())
    result = subprocess.run(
        ["docker-compose", "--file", "-", "config"], cwd=folder, input=text, capture_output=True, text=True
    )
    if result.returncode or result.stderr:
        sys.exit(f"docker-compose config: {result.stderr}")
    return yaml.safe_load(result.stdout)


class Stack:
    """The services that run, by name."""

    def __init__(self, compose: dict, scratch: pathlib.Path, own: dict[str, str]):
        self.compose, self.scratch, self.own = compose, scratch, own
        self.names = set(compose["services"])
        for service in compose["services"].values():
            for network in (service.get("networks") or {}).values():
                self.names.update((network or {}).get("aliases", []))
        (scratch / "hosts").write_text("127.0.0.1 localhost " + " ".join(sorted(self.names)) + "\n")
        self.running: dict[str, subprocess.Popen] = {}
        self.logs: dict[str, pathlib.Path] = {}

    def start(self) -> None:
        wanted = [name for name in self.compose["services"] if name != "grafana"]
        while wanted:
            name = next(n for n in wanted if not set(self.dependencies(n)) & set(wanted))
            wanted.remove(name)
            service = self.compose["services"][name]
            self.logs[name] = self.scratch / f"{name}.log"
            with self.logs[name].open("w") as log:
                self.running[name] = subprocess.Popen(
                    [*self.sandbox(name, service), self.program(name, service), *service.get("command", [])],
                    stdout=log, stderr=log,
                )
            self.wait_healthy(name, service)

    def dependencies(self, name: str):
        return self.compose["services"][name].get("depends_on", {})

    def program(self, name: str, service: dict) -> str:
        if name in self.own:
            return f"/image/{name}"
        found = shutil.which(PROGRAMS[service["image"].rpartition(":")[0]])
        return found or sys.exit(f"there is no program for {service['image']}")

    def sandbox(self, name: str, service: dict) -> list[str]:
        arguments = [
            "bwrap", "--die-with-parent", "--unshare-user", "--uid", "65532", "--gid", "65532", "--cap-drop", "ALL",
            "--clearenv", "--setenv", "PATH", "/usr/bin", "--proc", "/proc", "--dev", "/dev",
            "--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64",
            "--ro-bind", str(self.scratch / "hosts"), "/etc/hosts",
        ]
        if name in self.own:
            arguments += ["--ro-bind", str(pathlib.Path(self.own[name]).resolve()), f"/image/{name}"]
        if name == "exporter":
            arguments += ["--ro-bind", "/etc/ssl/certs", "/etc/ssl/certs"]
            stage = pathlib.Path("Dockerfile").read_text().partition("FROM scratch AS exporter\n")[2]
            for setting in shlex.split(" ".join(re.findall(r"(?m)^ENV (.+)$", stage))):
                arguments += ["--setenv", *setting.split("=", 1)]
        for key, value in (service.get("environment") or {}).items():
            arguments += ["--setenv", key, value]
        for volume in service.get("volumes", []):
            source, target, *mode = volume.split(":")
            if source.startswith("/"):
                arguments += ["--ro-bind", str(self.shortened(pathlib.Path(source))), target]
            else:
                own = self.scratch / "volumes" / source
                own.mkdir(parents=True, exist_ok=True)
                arguments += ["--bind", str(own), target]
        for secret in service.get("secrets", []):
            value = self.scratch / "secrets" / secret["source"]
            value.parent.mkdir(exist_ok=True)
            value.write_text("secret")
            value.chmod(0o400)
            arguments += ["--ro-bind", str(value), f"/run/secrets/{secret['source']}"]
        for target in service.get("tmpfs", []):
            arguments += ["--tmpfs", target]
        if service.get("read_only"):
            arguments += ["--remount-ro", "/"]
        return arguments

    def shortened(self, source: pathlib.Path) -> pathlib.Path:
        """The file itself; a file with intervals of Prometheus with shorter ones, or this would take minutes."""
        if not source.is_file() or source.suffix != ".yaml":
            return source
        copy = self.scratch / source.name
        text = source.read_text()
        copy.write_text(re.sub(r"(?m)^( +(?:(?:scrape_|evaluation_)?interval|scrape_timeout): ).*$", rf"\g<1>{INTERVAL}", text))
        return copy if copy.read_text() != text else source

    def wait_healthy(self, name: str, service: dict) -> None:
        if name == "simulator":
            # Its image has no health check: the exporter's first scrape tells.
            return
        test = service.get("healthcheck", {}).get("test") or image_health()
        command = test[1:]
        if name in self.own:
            command[0] = f"/image/{name}"
        elif command[:3] == ["promtool", "check", "ready"]:
            # Debian's promtool does not know this yet. It asks for what curl asks for here.
            url = command[3].removeprefix("--url=")
            command = ["curl", "--fail", f"{url}/-/ready"]
        wait(f"{name} to be healthy", lambda: self.healthy(name, [*self.sandbox(name, service), *command]))

    def healthy(self, name: str, command: list[str]) -> bool:
        if self.running[name].poll() is not None:
            sys.exit(f"{name} ended: {self.logs[name].read_text()[-2000:]}")
        return subprocess.run(command, capture_output=True).returncode == 0

    def stop(self) -> None:
        for name in reversed(list(self.running)):
            # The sandbox's child is the service; the sandbox ends with its status.
            children = pathlib.Path(f"/proc/{self.running[name].pid}/task/{self.running[name].pid}/children").read_text().split()
            for child in children:
                os.kill(int(child), 15)
            status = self.running.pop(name).wait(timeout=30)
            if status:
                sys.exit(f"{name} stopped with {status}: {self.logs[name].read_text()[-2000:]}")

    def kill(self) -> None:
        for process in self.running.values():
            process.kill()
            process.wait()


def image_health() -> list[str]:
    found = re.search(r"(?m)^HEALTHCHECK .*CMD (\[.*\])$", pathlib.Path("Dockerfile").read_text())
    return ["CMD", *json.loads(found[1])]


def wait(what: str, condition) -> None:
    last = None
    for _ in range(120):
        try:
            if condition():
                return
        except (OSError, ValueError, KeyError, IndexError) as error:
            last = error
        time.sleep(0.25)
    sys.exit(f"waited in vain for {what}" + (f": {last}" if last else ""))


def get(path: str):
    with urllib.request.urlopen(f"http://127.0.0.1:9090/api/v1/{path}", timeout=5) as answer:
        return json.load(answer)["data"]


def query(expression: str) -> list[dict]:
    return get("query?" + urllib.parse.urlencode({"query": expression}))["result"]


def look(compose: dict, names: set[str]) -> None:
    demo = "simulator" in compose["services"]
    wait("the target to be up", lambda: [t["health"] for t in get("targets?state=active")["activeTargets"]] == ["up"])
    # The production file's only system is an example and answers nobody.
    sources = yaml.safe_load(pathlib.Path("exporter.yaml").read_text())["sources"]
    expected = ("1", len(sources)) if demo else ("0", 1)
    wait(
        f"{expected[1]} sources with conferencing_up {expected[0]}",
        lambda: [s["value"][1] for s in query("conferencing_up")] == [expected[0]] * expected[1],
    )
    recorded = sum(
        len(group["rules"])
        for file in ("alerts.yaml", "recording-rules.yaml")
        for group in yaml.safe_load(pathlib.Path("prometheus", file).read_text())["groups"]
    )
    def evaluated() -> bool:
        rules = [rule for group in get("rules")["groups"] for rule in group["rules"]]
        if broken := [rule["name"] for rule in rules if rule["health"] == "err"]:
            sys.exit(f"rules that cannot be evaluated: {broken}")
        return len(rules) == recorded and all(rule["health"] == "ok" for rule in rules)
    wait(f"{recorded} rules to be evaluated", evaluated)
    # Prometheus resolves its name when there is something to tell, not before.
    for found in get("alertmanagers")["activeAlertmanagers"]:
        url = urllib.parse.urlsplit(found["url"])
        if url.hostname not in names:
            sys.exit(f"no service is called {url.hostname}")
        with urllib.request.urlopen(f"http://127.0.0.1:{url.port}/api/v2/status", timeout=5) as answer:
            json.load(answer)
    if not get("alertmanagers")["activeAlertmanagers"]:
        sys.exit("Prometheus has no Alertmanager")
    # An alert that is not there does not fire either.
    if "ConferencingExporterDown" not in {rule["name"] for group in get("rules")["groups"] for rule in group["rules"]}:
        sys.exit("there is no alert ConferencingExporterDown")
    wait("ConferencingExporterDown to see the job", lambda: not query('ALERTS{alertname="ConferencingExporterDown"}'))


def grafana(service: dict, names: set[str]) -> None:
    """What Grafana is given leads somewhere."""
    mounts = {target: pathlib.Path(source) for source, target, *_ in (volume.split(":") for volume in service["volumes"])}
    source = yaml.safe_load(mounts["/etc/grafana/provisioning/datasources/prometheus.yaml"].read_text())["datasources"][0]
    url = urllib.parse.urlsplit(source["url"])
    if url.hostname not in names:
        sys.exit(f"Grafana's data source {source['url']} is no service")
    with urllib.request.urlopen(f"http://127.0.0.1:{url.port}/-/ready", timeout=5) as answer:
        answer.read()
    provider = yaml.safe_load(mounts["/etc/grafana/provisioning/dashboards/conferencing.yaml"].read_text())["providers"][0]
    dashboards = mounts.get(provider["options"]["path"]) or sys.exit("no dashboards where Grafana looks for them")
    if len(list(dashboards.glob("*.json"))) < 3:
        sys.exit("there are not three dashboards")
    home = (service.get("environment") or {}).get("GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH")
    if home and not (dashboards / pathlib.Path(home).relative_to(provider["options"]["path"])).is_file():
        sys.exit(f"there is no {home}")


if __name__ == "__main__":
    main(*sys.argv[1:])
