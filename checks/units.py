# SPDX-License-Identifier: Apache-2.0
"""The ids of Grafana's units, from the npm package @grafana/data: those that Grafana 10 and 13 both know."""

import base64
import hashlib
import json
import pathlib
import re
import subprocess
import tarfile
import tempfile

CACHE = pathlib.Path(__file__).resolve().parent / "schema/node_modules/units.json"
# As in a lock file. The package is packed rather than installed: a hundred dependencies for one list.
PACKAGES = {
    "@grafana/data@10.4.19": "sha512-Lz5I5PhOQb6hhHpAkwo619+RmHQRM8K1oj+8DdfPbjaEUqj3v0UvgTCmjFOkIJ5JYD/ccNqrmMvF2LR6sA7yFQ==",
    "@grafana/data@13.2.3": "sha512-EClmL+1ri5uQi0oTbXQCvNvRQ8a+mHbzX+CUlWvu+N4gVLRD0Zfa3k/POfJyxArdlpH3j3mN/3hmfnuogm63Nw==",
}


def units():
    if CACHE.exists():
        cached = json.loads(CACHE.read_text())
        if cached["packages"] == PACKAGES:
            return set(cached["units"])
    known = set.intersection(*(_published(name, integrity) for name, integrity in PACKAGES.items()))
    CACHE.write_text(json.dumps({"packages": PACKAGES, "units": sorted(known)}))
    return known


def _published(name, integrity):
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", name, "--silent", "--pack-destination", folder],
                       check=True, stdout=subprocess.DEVNULL)
        archive = next(pathlib.Path(folder).glob("*.tgz"))
        digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        if f"sha512-{digest}" != integrity:
            raise SystemExit(f"{name}: not the archive that was reviewed")
        with tarfile.open(archive) as tar:
            member = next(m for m in tar if re.search(r"esm/.*valueFormats/categories\.m?js$", m.name))
            text = tar.extractfile(member).read().decode()
    ids = set(re.findall(r'\bid: "([^"]+)"', text)) | set(re.findall(r"\bid: '([^']+)'", text))
    if len(ids) < 200:
        raise SystemExit(f"{name}: only {len(ids)} units found, has its layout changed?")
    return ids


if __name__ == "__main__":
    print("\n".join(sorted(units())))
