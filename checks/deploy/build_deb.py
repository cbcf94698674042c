# SPDX-License-Identifier: Apache-2.0
"""Builds the Debian package from [package.metadata.deb] of Cargo.toml with dpkg-deb alone.

    python3 checks/deploy/build_deb.py VERSION OUTPUT

For the checks: `cargo deb --no-build` makes the same package of the same metadata, and takes minutes to install. What
the metadata names is what is packed; a key that this program does not know is an error, so the two cannot drift apart.
"""

import glob
import gzip
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import tomllib

KNOWN = {
    "assets", "changelog", "conf-files", "copyright", "depends", "extended-description", "maintainer",
    "maintainer-scripts", "name", "priority", "section", "suggests",
}


def main(version: str, output: str) -> None:
    manifest = tomllib.loads(pathlib.Path("Cargo.toml").read_text())
    package = manifest["package"]
    deb = package["metadata"]["deb"]
    if unknown := set(deb) - KNOWN:
        sys.exit(f"keys of [package.metadata.deb] that build_deb.py does not know: {sorted(unknown)}")
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        root.chmod(0o755)
        control = root / "DEBIAN"
        control.mkdir(mode=0o755)
        for source, target, mode in deb["assets"]:
            install(root, source, target, int(mode, 8))
        changelog = root / "usr/share/doc" / deb["name"] / "changelog.Debian.gz"
        compress(pathlib.Path(deb["changelog"]).read_bytes(), changelog)
        for page in root.glob("usr/share/man/man*/*.[0-9]"):
            compress(page.read_bytes(), page.with_name(page.name + ".gz"))
            page.unlink()
        for script in ("preinst", "postinst", "prerm", "postrm"):
            source = pathlib.Path(deb["maintainer-scripts"]) / script
            if source.exists():
                shutil.copy(source, control / script)
                (control / script).chmod(0o755)
        (control / "conffiles").write_text("".join(f"{path}\n" for path in deb["conf-files"]))
        files = sorted(path for path in root.rglob("*") if path.is_file() and control not in path.parents)
        sums = subprocess.run(
            ["md5sum", *(str(path.relative_to(root)) for path in files)],
            cwd=root, check=True, capture_output=True, text=True,
        ).stdout
        (control / "md5sums").write_text(sums)
        size = sum(path.stat().st_size for path in files) // 1024
        description = "".join(f" {line or '.'}\n" for line in deb["extended-description"].strip().splitlines())
        (control / "control").write_text(
            f"Package: {deb['name']}\n"
            f"Version: {version}\n"
            f"Architecture: {command('dpkg', '--print-architecture')}\n"
            f"Section: {deb['section']}\n"
            f"Priority: {deb['priority']}\n"
            f"Maintainer: {deb['maintainer']}\n"
            f"Installed-Size: {size}\n"
            f"Depends: {deb['depends'].replace('$auto', libraries(root / 'usr/bin' / package['name']))}\n"
            f"Suggests: {deb['suggests']}\n"
            f"Description: {package['description'].split(':')[0]}\n{description}"
        )
        for path in root.rglob("*"):
            if path.is_dir():
                path.chmod(0o755)
        command("dpkg-deb", "--root-owner-group", "-Zxz", "-z1", "--build", str(root), output)


def install(root: pathlib.Path, source: str, target: str, mode: int) -> None:
    found = sorted(glob.glob(source))
    if not found:
        sys.exit(f"asset {source} is not there")
    for path in found:
        file = root / target / os.path.basename(path) if target.endswith("/") else root / target
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, file)
        file.chmod(mode)


def compress(data: bytes, path: pathlib.Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data, mtime=0))
    path.chmod(0o644)


def libraries(binary: pathlib.Path) -> str:
    """The packages whose libraries the binary needs, as dpkg-shlibdeps says."""
    with tempfile.TemporaryDirectory() as folder:
        debian = pathlib.Path(folder) / "debian"
        debian.mkdir()
        (debian / "control").write_text("Source: x\n\nPackage: x\nArchitecture: any\n")
        text = subprocess.run(
            ["dpkg-shlibdeps", "-O", str(binary)], cwd=folder, check=True, capture_output=True, text=True
        ).stdout
    return text.removeprefix("shlibs:Depends=").strip()


def command(*arguments: str) -> str:
    return subprocess.run(arguments, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main(*sys.argv[1:])
