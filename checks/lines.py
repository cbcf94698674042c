#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts the lines of src that are shipped: without unit tests, and with neither blank lines nor comments.

    checks/lines.py              the sum, and each module at the top
    checks/lines.py REVISION...  the same at other revisions, side by side
"""

import collections
import re
import subprocess
import sys


def git(*words):
    return subprocess.run(["git", *words], check=True, capture_output=True, text=True).stdout


def shipped(text):
    """The lines before the unit tests at the end of a file."""
    return re.split(r"^#\[cfg\(test\)\]\nmod tests", text, maxsplit=1, flags=re.M)[0].splitlines()


def counted(revision):
    paths = [path for path in git("ls-tree", "-r", "--name-only", revision, "src").split() if path.endswith(".rs")]
    texts = {path: git("show", f"{revision}:{path}") for path in paths}
    # A module that its parent has in tests only.
    for path, text in list(texts.items()):
        folder = re.sub(r"(/mod|/lib|/main)?\.rs$", "", path)
        for name in re.findall(r"^#\[cfg\(test\)\]\nmod (\w+);", text, flags=re.M):
            texts.pop(f"{folder}/{name}.rs", None)
    counts = collections.Counter()
    for path, text in texts.items():
        lines = [line.strip() for line in shipped(text)]
        module = "/".join(path.split("/")[1:3 if "/systems/" in path else 2])
        counts[module] += sum(bool(line) and not line.startswith("//") for line in lines)
    return counts


def main():
    revisions = sys.argv[1:] or ["HEAD"]
    columns = [counted(revision) for revision in revisions]
    for module in sorted(set().union(*columns)):
        print(f"{module:28}", *(f"{column[module]:7}" for column in columns))
    print(f"{'sum':28}", *(f"{sum(column.values()):7}" for column in columns))


if __name__ == "__main__":
    main()
