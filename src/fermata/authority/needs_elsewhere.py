"""What pages of the board, doors for clients of other clouds, and files need."""

from collections.abc import Iterable, Mapping

from fermata.authority import bodies
from fermata.authority.actions import Action
from fermata.authority.needs import OF_API, Route
from fermata.authority.needs_words import (
    Asked,
    Kind,
    Named,
    Naming,
    Need,
    Sends,
    Speaks,
    by_body,
    by_path,
    somewhere,
)

LOOKS = (
    "/",
    "/board/stream",
    "/board/days",
    "/board/tail",
    "/campaign",
    "/campaign/curves",
    "/campaign/what-if",
    "/campaign/what-if/work",
    "/campaign/replan",
    "/campaign/replan/work",
    "/campaign/replan/publish",
    "/policy",
    "/fleet",
    "/fleet/cells",
    "/fleet/names",
    "/capacity",
    "/requests",
    "/requests/grove",
    "/requests/branches",
    "/updates",
    "/updates/known",
    "/query",
    "/query.csv",
)
_NODE, _WINDOW = by_path(Kind.NODE, "name"), by_path(Kind.WINDOW, "window_id")


def _form(action: Action, names: Naming = bodies.form_campaign, speaks: Speaks = Speaks.BODY) -> Need:
    return Need(action=action, names=names, sends=Sends.FORM, speaks=speaks)


OPEN = Need(is_open=True)
OF_SIGN_IN: Mapping[Route, Need] = {  # what anybody meets, and what only their own session is about
    **{("GET", f"/sign-in{path}"): OPEN for path in ("", "/start", "/callback", "/program", "/no-access")},
    ("POST", "/sign-out"): OPEN,
    ("POST", "/sign-out/provider"): OPEN,  # the word of the provider, which signs it
    ("GET", "/session"): OPEN,
    ("GET", "/session/back"): OPEN,
    ("POST", "/demo/user"): OPEN,
}
OF_PAGES: Mapping[Route, Need] = {
    **{("GET", path): Need(names=somewhere) for path in LOOKS},
    ("GET", "/windows/{window_id}"): Need(names=_WINDOW),
    ("GET", "/windows/{window_id}/room"): Need(names=_WINDOW),
    ("GET", "/windows/{window_id}/room/body"): Need(names=_WINDOW),
    ("GET", "/plans/{plan_id}"): Need(names=by_path(Kind.PLAN, "plan_id")),
    ("GET", "/nodes/{name}"): Need(names=_NODE),
    ("GET", "/nodes/{name}/why"): Need(names=_NODE),
    ("GET", "/journal"): Need(action=Action.LOOK_AT_JOURNAL, names=somewhere),
    ("POST", "/campaign/what-if"): _form(Action.PLAN, speaks=Speaks.NOBODY),
    ("POST", "/campaign/what-if/cancel"): _form(Action.PLAN, speaks=Speaks.NOBODY),
    ("POST", "/campaign/replan"): _form(Action.CONDUCT),
    ("POST", "/campaign/replan/cancel"): _form(Action.CONDUCT, speaks=Speaks.NOBODY),
    ("POST", "/campaign/replan/publish"): _form(Action.PUBLISH),
    ("POST", "/policy/freezes"): _form(Action.FREEZE, bodies.freeze_form),
    ("POST", "/policy/freezes/end"): _form(Action.FREEZE, by_body(Kind.FREEZE, "freeze")),
    ("POST", "/requests/cost"): Need(names=bodies.scopes, sends=Sends.JSON),
    ("POST", "/requests/word"): _form(Action.SAY_CONSENT, by_body(Kind.REQUEST, "request")),
}

ARM = "/subscriptions/{subscription}"
TOPIC = ARM + "/resourceGroups/{group}/providers/Microsoft.EventGrid/systemTopics/{topic}"
ZONE = "/compute/v1/projects/{project}/zones/{zone}"
RESERVED = f"{ZONE}/reservations/{{reservation}}"
BLOCK = f"{RESERVED}/reservationBlocks/{{block}}"
PERFORM = (f"{ZONE}/instances/{{instance}}", RESERVED, BLOCK, f"{BLOCK}/reservationSubBlocks/{{subblock}}")


def _arm(asked: Asked) -> Iterable[Named]:
    yield Named(Kind.ARM_PATH, f"/subscriptions/{asked.path['rest']}")


def _arm_scope(asked: Asked) -> Iterable[Named]:
    yield Named(Kind.ARM_SCOPE, f"/subscriptions/{asked.path['rest']}")


def _topic(asked: Asked) -> Iterable[Named]:
    group = f"/resourceGroups/{asked.path['group']}" if "group" in asked.path else ""
    yield Named(Kind.ARM_PATH, f"/subscriptions/{asked.path['subscription']}{group}")


def _instance(asked: Asked) -> Iterable[Named]:
    kinds = ("project", "zone", "reservation", "block", "subblock", "instance")
    yield Named(Kind.INSTANCE, "/".join(asked.path.get(kind, "").replace("/", " ") for kind in kinds))


_LOOK_TOPIC = Need(names=_topic)
_SET_TOPIC = Need(action=Action.SUBSCRIBE, names=_topic)
_EVENTS = f"{TOPIC}/eventSubscriptions/{{name}}"
OF_DOORS: Mapping[Route, Need] = {
    ("GET", "/subscriptions/{rest:path}"): Need(names=_arm, of_nodes=True),
    **{
        (method, "/subscriptions/{rest:path}"): Need(action=Action.SAY_CONSENT, names=_arm_scope, of_nodes=True)
        for method in ("PUT", "PATCH", "POST", "DELETE")
    },
    ("POST", "/providers/Microsoft.ResourceGraph/resources"): Need(names=somewhere),
    ("POST", "/v2/rest/query"): Need(names=somewhere),
    ("POST", "/v1/rest/query"): Need(names=somewhere),
    ("POST", "/v1/rest/mgmt"): Need(names=somewhere),
    ("GET", "/v1/rest/auth/metadata"): OPEN,  # how to sign in
    **{
        ("POST", f"/topics/{{topic}}/eventsubscriptions/{{name}}:{verb}"): OPEN  # each has a key of its own
        for verb in ("receive", "acknowledge", "reject", "release", "renewLock")
    },
    ("PUT", TOPIC): _SET_TOPIC,
    ("DELETE", TOPIC): _SET_TOPIC,
    ("GET", TOPIC): _LOOK_TOPIC,
    ("GET", f"{ARM}/providers/Microsoft.EventGrid/systemTopics"): _LOOK_TOPIC,
    ("GET", f"{ARM}/resourceGroups/{{group}}/providers/Microsoft.EventGrid/systemTopics"): _LOOK_TOPIC,
    ("PUT", _EVENTS): _SET_TOPIC,
    ("PATCH", _EVENTS): _SET_TOPIC,
    ("DELETE", _EVENTS): _SET_TOPIC,
    ("GET", _EVENTS): _LOOK_TOPIC,
    ("GET", f"{TOPIC}/eventSubscriptions"): _LOOK_TOPIC,
    ("POST", f"{_EVENTS}/getFullUrl"): _SET_TOPIC,  # it tells a secret
    ("GET", "/notices/consent/{name}"): OPEN,  # a receiver's answer, which proves itself
    ("POST", "/notices/consent/{name}"): OPEN,
    ("GET", f"{ZONE}/instances/{{instance}}"): Need(names=_instance),
    **{("POST", f"{path}/performMaintenance"): Need(action=Action.SAY_CONSENT, names=_instance) for path in PERFORM},
    ("GET", f"{ZONE}/operations/{{operation}}"): Need(names=somewhere),
    ("POST", f"{ZONE}/operations/{{operation}}/wait"): Need(names=somewhere),
    ("POST", "/"): Need(names=somewhere),  # EC2's: it tells of what its caller sees
    ("GET", "/metrics"): Need(),
    ("GET", "/metrics/rows.json"): Need(),
    ("GET", "/metrics/grafana.json"): Need(),
    ("GET", "/static"): OPEN,
}

NEEDS: Mapping[Route, Need] = {**OF_API, **OF_SIGN_IN, **OF_PAGES, **OF_DOORS}
