# SPDX-License-Identifier: Apache-2.0
"""DingTalk as its official SDK asks it."""

import inspect
import typing

import wire
from alibabacloud_dingtalk.conference_1_0 import models
from alibabacloud_dingtalk.conference_1_0.client import Client
from alibabacloud_dingtalk.oauth2_1_0 import models as tokens
from alibabacloud_dingtalk.oauth2_1_0.client import Client as TokenClient
from alibabacloud_tea_openapi.models import Config
from alibabacloud_tea_util.models import RuntimeOptions
from Tea.exceptions import TeaException
from Tea.model import TeaModel

PAGE = 100

# Sources of the exporter's configuration, one for each way to log in.
LOGINS = ("dingtalk", "dingtalk-unified", "dingtalk-suite")


def signed(_request, _headers, _body):
    """Nothing is signed."""


def unread(value, kind, path):
    """What the SDK does not know, or knows as another type, in the JSON `value` of an answer that is a `kind`."""
    if value is None:
        return []
    if typing.get_origin(kind) is list:
        if not isinstance(value, list):
            return [f"{path}: no list"]
        return [line for item in value for line in unread(item, typing.get_args(kind)[0], f"{path}[]")]
    if not issubclass(kind, TeaModel):
        is_right = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
        return [] if is_right else [f"{path}: {type(value).__name__} where the SDK has {kind.__name__}"]
    if not isinstance(value, dict):
        return [f"{path}: no object"]
    fields = typing.get_type_hints(kind.__init__)
    names = {parameter.replace("_", ""): parameter for parameter in inspect.signature(kind.__init__).parameters}
    found = []
    for name, below in value.items():
        parameter = names.get(name.replace("_", "").lower())
        if parameter is None:
            found.append(f"{path}.{name}: the SDK has no such field")
        else:
            found += unread(below, fields[parameter], f"{path}.{name}")
    return found


def misread(value, read, path):
    """Where what the SDK read, as JSON again, differs from the JSON `value`."""
    if isinstance(value, list):
        if len(value) != len(read):
            return [f"{path}: {len(read)} of {len(value)} entries read"]
        return [line for a, b in zip(value, read) for line in misread(a, b, f"{path}[]")]
    if isinstance(value, dict):
        both = value.keys() & read.keys()
        return [line for name in both for line in misread(value[name], read[name], f"{path}.{name}")]
    return [] if value == read else [f"{path}: read otherwise"]


class Sdk:
    """The SDK, logged in one way; `found` collects what is wrong with the answers."""

    def __init__(self, address, source, found):
        config = Config(protocol="http", region_id="central", endpoint=address.removeprefix("http://"))
        self.client = Client(config)
        self.found = found
        self.token = self.log_in(TokenClient(config), source)

    def ask(self, call, method, *arguments):
        read = method(*arguments, RuntimeOptions(autoretry=False)).body
        answer = wire.last_answer()
        lines = unread(answer, type(read), "answer") + misread(answer, read.to_map(), "answer")
        self.found.update(f"{call}: {line}" for line in lines)
        return read

    def log_in(self, client, source):
        if source == "dingtalk-unified":
            request = tokens.GetTokenRequest(
                client_id="demo-client-id",
                client_secret="demo-client-secret-not-secret",
                grant_type="client_credentials",
            )
            answer = self.ask("access_token", client.get_token_with_options, "dingdemo", request, {})
            token, life = answer.access_token, answer.expires_in
        elif source == "dingtalk-suite":
            request = tokens.GetCorpAccessTokenRequest(
                auth_corp_id="dingdemo",
                suite_key="demo-suite-key",
                suite_secret="demo-suite-secret-not-secret",
                suite_ticket="demo-suite-ticket-not-secret",
            )
            answer = self.ask("access_token", client.get_corp_access_token_with_options, request, {})
            token, life = answer.access_token, answer.expire_in
        else:
            request = tokens.GetAccessTokenRequest(app_key="demo-app-key", app_secret="demo-app-secret-not-secret")
            answer = self.ask("access_token", client.get_access_token_with_options, request, {})
            token, life = answer.access_token, answer.expire_in
        if life != 7200:
            self.found.add(f"access_token: lives {life} s")
        return token

    def listed(self):
        entries, next_token = [], None
        while True:
            request = models.QueryOrgConferenceListRequest(max_results=PAGE, next_token=next_token)
            headers = models.QueryOrgConferenceListHeaders(x_acs_dingtalk_access_token=self.token)
            page = self.ask("orgConferences", self.client.query_org_conference_list_with_options, request, headers)
            entries += page.on_going_conf_list
            if not page.has_more:
                return entries
            next_token = page.next_token

    def numbers(self):
        """The measures of the simulator's truth, as the SDK reads them, and the meetings in progress."""
        listed = self.listed()
        request = models.QueryConferenceInfoBatchRequest(conference_id_list=[entry.conference_id for entry in listed])
        headers = models.QueryConferenceInfoBatchHeaders(x_acs_dingtalk_access_token=self.token)
        batch = self.ask(
            "videoConferences/query", self.client.query_conference_info_batch_with_options, request, headers
        )
        meetings = [info for info in batch.infos if info.status == 2]
        people = [person for meeting in meetings for person in meeting.user_list]
        joined = [person for person in people if person.attend_status == 3]
        present = {m.conference_id: sum(p.attend_status == 3 for p in m.user_list) for m in meetings}
        numbers = {
            "conferences_active": len(meetings),
            "participants_joined": len(joined),
            "participants_joining": sum(person.attend_status == 2 for person in people),
            "participants_invited": sum(person.attend_status == 1 for person in people),
            "participants_muted": sum(person.mic_status == 1 for person in joined),
            "participants_mute_reported": sum(person.mic_status in (1, 2) for person in joined),
            "participants_camera_on": sum(person.camera_status == 2 for person in joined),
            "largest_conference_participants": max(present.values(), default=0),
            "conferences_all_muted": sum(bool(meeting.media_status & 4) for meeting in meetings),
        }
        shown = {m.conference_id: (m.start_time // 1000, m.title.strip()) for m in meetings}
        return numbers, {i: (present[i], *rest) for i, rest in shown.items()}


def code(method, *arguments):
    """Status and code of a call that is refused."""
    try:
        method(*arguments, RuntimeOptions(autoretry=False))
    except TeaException as refused:
        return refused.data["statusCode"], refused.code
    return "accepted"


def run(address, source, found):
    """Makes the calls that the exporter makes for `source`."""
    return Sdk(address, source, found).numbers()


def refusals(address):
    """Refused calls, each with its code, as the SDK reads it and as it should."""
    config = Config(protocol="http", region_id="central", endpoint=address.removeprefix("http://"))
    wrong = tokens.GetAccessTokenRequest(app_key="demo-app-key", app_secret="wrong")
    told = code(TokenClient(config).get_access_token_with_options, wrong, {})
    yield "access_token", told, (400, "invalidClientIdOrSecret")
    client = Client(config)
    headers = models.QueryOrgConferenceListHeaders(x_acs_dingtalk_access_token="wrong")
    told = code(client.query_org_conference_list_with_options, models.QueryOrgConferenceListRequest(), headers)
    yield "orgConferences", told, (400, "InvalidAuthentication")
    headers = models.QueryConferenceInfoBatchHeaders()
    request = models.QueryConferenceInfoBatchRequest(conference_id_list=["x"])
    told = code(client.query_conference_info_batch_with_options, request, headers)
    yield "videoConferences/query", told, (400, "AuthenticationFailed.MissingParameter")
