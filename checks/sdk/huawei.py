# SPDX-License-Identifier: Apache-2.0
"""Huawei Cloud Meeting as its official SDK asks it."""

import datetime
import enum
import time

import wire
from huaweicloudsdkcore.exceptions.exceptions import ServiceResponseException
from huaweicloudsdkcore.http.http_config import HttpConfig
from huaweicloudsdkmeeting.v1 import model
from huaweicloudsdkmeeting.v1.meeting_client import MeetingClient
from huaweicloudsdkmeeting.v1.meeting_credentials import AuthTypeEnum, MeetingCredentials, TenantSceneEnum

PAGE = 500

# The way to log in, by the source of the exporter's configuration.
LOGINS = {
    "huawei": {"app_id": "demo-app-id"},
    "huawei-user": {"app_id": "demo-app-id", "user_id": "exporter"},
    "huawei-enterprise": {"app_id": "demo-app-id", "corp_id": "1000001"},
    "huawei-enterprise-user": {"app_id": "demo-app-id", "corp_id": "1000001", "user_id": "exporter"},
    "huawei-account": {"account": "demo@example.com"},
}
APP_KEY = "demo-app-key-not-secret"
PASSWORD = "demo-password-not-secret"
HOSTS = {"900000001": "demo-host-password-1", "900000002": "demo-host-password-2"}


def credentials(login):
    if "account" in login:
        return MeetingCredentials(login["account"], PASSWORD).with_auth_type_enum(AuthTypeEnum.ACCOUNT)
    scene = TenantSceneEnum.MULTI_TENANT if "corp_id" in login else TenantSceneEnum.SINGLE_TENANT
    made = MeetingCredentials().with_auth_type_enum(AuthTypeEnum.APP_ID).with_tenant_scene_enum(scene)
    made.with_app_id(login["app_id"]).with_app_key(APP_KEY)
    return made.with_user_id(login.get("user_id")).with_corp_id(login.get("corp_id"))


def signed(request, headers, body):
    """Takes out of an App ID login what depends on time and chance, after it was judged by the SDK's own code."""
    if request["call"] != "appauth":
        return
    login = {"app_id": body["appId"], "user_id": body.get("userId"), "corp_id": body.get("corpId")}
    judge = credentials({key: value for key, value in login.items() if value})
    signature = judge._sign_hmac256(body["expireTime"], body["nonce"])
    kind, _, rest = headers["authorization"].partition("signature=")
    given, _, access = rest.partition(",")
    spelling = {signature.lower(): "lower case", signature: "upper case"}.get(given, "another signature")
    headers["authorization"] = f"{kind}signature={spelling},{access}"
    ahead = body["expireTime"] - request["at"]
    body["expireTime"] = "in ten minutes" if 590 <= ahead <= 610 else f"in {ahead} s"
    body["nonce"] = "32 to 64 characters" if 32 <= len(body["nonce"]) <= 64 else "too short or too long"


def unread(value, kind, path):
    """What the SDK does not know, or knows as another type, in the JSON `value` of an answer that is a `kind`."""
    if value is None:
        return []
    if kind.startswith("list["):
        if not isinstance(value, list):
            return [f"{path}: no list"]
        return [line for item in value for line in unread(item, kind[5:-1], f"{path}[]")]
    simple = {"int": int, "str": str, "bool": bool, "float": (int, float)}.get(kind)
    if simple:
        is_right = isinstance(value, simple) and (kind == "bool" or not isinstance(value, bool))
        return [] if is_right else [f"{path}: {type(value).__name__} where the SDK has {kind}"]
    known = getattr(model, kind)
    if issubclass(known, enum.Enum) or not hasattr(known, "openapi_types"):
        return []
    if not isinstance(value, dict):
        return [f"{path}: no object"]
    names = {json_name: attribute for attribute, json_name in known.attribute_map.items()}
    found = []
    for name, below in value.items():
        if name not in names:
            found.append(f"{path}.{name}: the SDK has no such field")
        else:
            found += unread(below, known.openapi_types[names[name]], f"{path}.{name}")
    return found


def misread(value, read, path):
    """Where what the SDK read differs from the JSON `value`."""
    if isinstance(value, list):
        if len(value) != len(read or []):
            return [f"{path}: {len(read or [])} of {len(value)} entries read"]
        return [line for a, b in zip(value, read or []) for line in misread(a, b, f"{path}[]")]
    if isinstance(value, dict):
        names = {json_name: attribute for attribute, json_name in getattr(read, "attribute_map", {}).items()}
        known = [(name, below, getattr(read, names[name])) for name, below in value.items() if name in names]
        return [line for name, a, b in known for line in misread(a, b, f"{path}.{name}")]
    return [] if value == read else [f"{path}: read otherwise"]


class Sdk:
    """The SDK, logged in one way; `found` collects what is wrong with the answers."""

    def __init__(self, address, login, found):
        config = HttpConfig.get_default_config()
        config.timeout = 10
        builder = MeetingClient.new_builder().with_http_config(config).with_credentials(credentials(login))
        self.client = builder.with_endpoint(address).build()
        self.found = found

    def ask(self, call, request, method):
        read = method(request)
        answer = wire.last_answer()
        kind = type(read).__name__
        lines = unread(answer, kind, "answer") + misread(answer, read, "answer")
        self.found.update(f"{call}: {line}" for line in lines)
        return read

    def pages(self, call, method, request, **query):
        entries = []
        while True:
            page = self.ask(call, request(limit=PAGE, offset=len(entries), **query), method)
            entries += page.data
            if not page.data or len(entries) >= page.count:
                return entries

    def lists(self):
        """Meetings going on, and the ids of all."""
        client = self.client
        online = self.pages(
            "conferences/online", client.search_online_meetings, model.SearchOnlineMeetingsRequest, query_all=True
        )
        request = model.SearchMeetingsRequest
        listed = self.pages("conferences", client.search_meetings, request, query_all=True, query_conf_mode="ALL")
        return online, {entry.conference_id for entry in listed}

    def live(self, meeting):
        """Who is in a meeting whose host password is known, and the moderators among them."""
        request = model.CreateConfTokenRequest(conference_id=meeting, x_password=HOSTS[meeting], x_login_type=1)
        token = self.ask("control_token", request, self.client.create_conf_token).data
        life = token.expire_time / 1000 - time.time()
        if not 1700 < life < 1900:
            self.found.add(f"control_token: lives {life:.0f} s")
        request = model.ShowRealTimeInfoOfMeetingRequest(conference_id=meeting, x_conference_authorization=token.token)
        info = self.ask("realTimeInfo", request, self.client.show_real_time_info_of_meeting)
        heads = {info.conf_info.chair_id, *info.conf_info.co_hosts}
        return info.participants, sum(p.state == 0 and p.pid in heads for p in info.participants)

    def numbers(self):
        """The measures of the simulator's truth, as the SDK reads them, and the meetings going on."""
        online, listed = self.lists()
        ids = [meeting.conference_id for meeting in online]
        sizes = [meeting.online_attendee_amount for meeting in online]
        first = [model.ShowMeetingDetailRequest(conference_id=i, offset=0, limit=1) for i in ids]
        details = [self.ask("confDetail", request, self.client.show_meeting_detail) for request in first]
        hosted, moderators = [], 0
        for i in ids:
            if i in HOSTS:
                people, heads = self.live(i)
                hosted += people
                moderators += heads
            else:
                request = model.ListOnlineConfAttendeeRequest
                people = self.pages("online/conf-attendee", self.client.list_online_conf_attendee, request, conf_id=i)
                moderators += sum(person.role == 1 for person in people)
        joined = [person for person in hosted if person.state == 0]
        numbers = {
            "conferences_active": len(set(ids)),
            "conferences_scheduled": len(listed - set(ids)),
            "participants_joined": sum(sizes),
            "participants_joining": sum(person.state == 2 for person in hosted),
            "participants_invited": sum(person.state == 1 for person in hosted),
            "participants_invited_total": sum(detail.data.count for detail in details),
            "participants_muted": sum(person.mute == 1 for person in joined),
            "participants_mute_reported": sum(person.mute is not None for person in joined),
            "participants_hand_raised": sum(person.hand == 1 for person in joined),
            "participants_moderators": moderators,
            "largest_conference_participants": max(sizes, default=0),
            "conferences_mute_on_join": sum(meeting.is_auto_mute == 1 for meeting in online),
        }
        meetings = {
            meeting.conference_id: (meeting.online_attendee_amount, start(meeting.start_time), meeting.subject.strip())
            for meeting in online
        }
        return numbers, meetings

    def refusals(self):
        """Refused calls, each with its code, as the SDK reads it and as it should."""
        ended = model.ShowMeetingDetailRequest(conference_id="999999999")
        yield "confDetail", code(self.client.show_meeting_detail, ended), (400, "MMC.111070005")
        wrong = model.CreateConfTokenRequest(conference_id="900000001", x_password="wrong", x_login_type=1)
        yield "control_token", code(self.client.create_conf_token, wrong), (400, "MMC.111072065")

    def log_out(self):
        self.client.delete_token(model.DeleteTokenRequest())


def start(minute):
    """A start time in seconds since the epoch; the answers have minutes, in UTC."""
    time = datetime.datetime.strptime(minute, "%Y-%m-%d %H:%M")
    return int(time.replace(tzinfo=datetime.timezone.utc).timestamp())


def code(method, request):
    """Status and code of a call that is refused."""
    try:
        method(request)
    except ServiceResponseException as refused:
        return refused.status_code, refused.error_code
    return "accepted"


def run(address, source, found):
    """Makes the calls that the exporter makes for `source`."""
    sdk = Sdk(address, LOGINS[source], found)
    read = sdk.numbers() if source == "huawei" else (sdk.lists() and None)
    sdk.log_out()
    return read


def refusals(address):
    yield from Sdk(address, LOGINS["huawei"], set()).refusals()
