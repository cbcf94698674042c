# SPDX-License-Identifier: Apache-2.0
"""What the SDKs send and get: their requests go to the simulator, their answers are kept beside what they made of them."""

import json
import urllib.request

import requests.adapters

# What a client library decides by itself.
TRANSPORT = {"host", "connection", "content-length", "accept-encoding", "user-agent"}
# Headers that carry a token of the session.
TOKENS = {"x-access-token", "x-conference-authorization", "x-acs-dingtalk-access-token"}

answers = []


def keep_answers():
    """Keeps each answer in `answers`. One SDK knows only https for a login: that is sent to where http is."""
    send = requests.adapters.HTTPAdapter.send

    def keeping(self, request, *args, **kwargs):
        request.url = request.url.replace("https://127.0.0.1", "http://127.0.0.1", 1)
        response = send(self, request, *args, **kwargs)
        answers.append(response.content)
        return response

    requests.adapters.HTTPAdapter.send = keeping


def last_answer():
    """The JSON of the newest answer."""
    return json.loads(answers[-1])


class Control:
    """The control port of the simulator."""

    def __init__(self, address):
        self.address = address

    def _ask(self, path, method="GET"):
        request = urllib.request.Request(self.address + path, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read()

    def clear(self):
        self._ask("/clear", "POST")

    def requests(self, vendor):
        return json.loads(self._ask(f"/requests?vendor={vendor}&whole=yes"))

    def truth(self, vendor):
        return json.loads(self._ask(f"/truth?vendor={vendor}"))


def what(request):
    """The call of a request and the meetings it is about: what tells the requests of one collection apart."""
    query = dict(request["query"])
    body = json.loads(request["body"]) if request["body"] else {}
    about = query.get("conferenceID") or query.get("conf_id") or body.get("conferenceIdList") or ""
    return request["call"], str(about)


def bare(request, signed):
    """A request without what differs from one time to the next; `signed` judges what depends on a time or a nonce."""
    headers = {name: value for name, value in request["headers"] if name not in TRANSPORT}
    for name in TOKENS & headers.keys():
        *before, _token = headers[name].split(" ")
        headers[name] = " ".join([*before, "TOKEN"])
    body = json.loads(request["body"]) if request["body"] else {}
    signed(request, headers, body)
    return {
        "method": request["method"],
        "path": request["path"],
        **{f"query {name}": value for name, value in request["query"]},
        **{f"header {name}": value for name, value in headers.items()},
        **{f"body {name}": value for name, value in body.items()},
    }


def differences(call, ours, theirs):
    """How the exporter's request differs from the SDK's, a line for each part."""
    found = []
    for part in sorted(ours.keys() | theirs.keys()):
        if part not in theirs:
            found.append(f"{call}: {part}: only the exporter sends it, {ours[part]!r}")
        elif part not in ours:
            found.append(f"{call}: {part}: only the SDK sends it, {theirs[part]!r}")
        elif ours[part] != theirs[part]:
            found.append(f"{call}: {part}: the exporter sends {ours[part]!r}, the SDK {theirs[part]!r}")
    return found
