"""An on-call service and a status page on loopback, as their documentation has them, with what they were told."""

from dataclasses import dataclass, field
from typing import Any

import orjson
from tests.conformance.receivers import Answer, Got, Receiver

DEDUP_KEY_MAX, SUMMARY_MAX = 255, 1024


@dataclass
class OnCall(Receiver):
    """PagerDuty's Events API v2: an incident is known by its dedup_key. `resolved` counts how often each was."""

    routing_key: str = ""
    incidents: dict[str, str] = field(default_factory=dict)
    opened: dict[str, int] = field(default_factory=dict)
    log: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, request: Got) -> Answer:
        self.got.append(request)
        if self.answers:
            return self.answers.pop(0)
        event = orjson.loads(request.body)
        faults = [name for name in ("routing_key", "event_action", "dedup_key") if not event.get(name)]
        action, key = event.get("event_action"), event.get("dedup_key", "")
        payload = event.get("payload", {})
        if action == "trigger":
            faults += [name for name in ("summary", "source", "severity") if not payload.get(name)]
            faults += ["severity"] * (payload.get("severity") not in ("critical", "error", "warning", "info"))
            faults += ["summary"] * (len(payload.get("summary", "")) > SUMMARY_MAX)
        faults += ["event_action"] * (action not in ("trigger", "acknowledge", "resolve"))
        faults += ["dedup_key"] * (len(key) > DEDUP_KEY_MAX)
        if faults or event.get("routing_key") != self.routing_key:
            return Answer(400, body=orjson.dumps({"status": "invalid event", "errors": faults}))
        self.log.append(event)
        before = self.incidents.get(key, "resolved")
        if action == "trigger" and before == "resolved":
            self.opened[key] = self.opened.get(key, 0) + 1
        if action == "trigger" or before != "resolved":  # the others say nothing of what is not open
            self.incidents[key] = {"trigger": "triggered", "acknowledge": "acknowledged", "resolve": "resolved"}[action]
        return Answer(202, body=orjson.dumps({"status": "success", "message": "Event processed", "dedup_key": key}))


@dataclass
class Page(Receiver):
    """Statuspage's incidents of one page, the newest first, a hundred at a time. It takes whatever it is posted: twice
    posted is twice there.
    """

    api_key: str = ""
    page: str = "kctbh9vrtdwd"
    incidents: list[dict[str, Any]] = field(default_factory=list)
    shows: bool = True  # False: it takes what is written, and shows what was there before

    def answer(self, request: Got) -> Answer:
        self.got.append(request)
        if self.answers:
            return self.answers.pop(0)
        if request.headers.get("authorization") != f"OAuth {self.api_key}":
            return Answer(401, body=b'{"error":"Could not authenticate"}')
        path, _, query = request.path.partition("?")
        root = f"/hook/pages/{self.page}/incidents"
        if not path.startswith(root):
            return Answer(404, body=b'{"error":"not found"}')
        name = path.removeprefix(root).strip("/")
        body = orjson.loads(request.body)["incident"] if request.body else {}
        if name:
            return self._of_one(request.method, name, body)
        return self._create(body) if request.method == "POST" else self._list(query)

    def _list(self, query: str) -> Answer:
        number = int(dict(part.split("=") for part in query.split("&")).get("page", "1"))
        return _json(200, self.incidents[(number - 1) * 100 : number * 100])

    def _create(self, body: dict[str, Any]) -> Answer:
        made = {"id": f"inc{len(self.incidents) + 1}", "scheduled_for": None, **body, "words": [body["body"]]}
        if self.shows:
            self.incidents.insert(0, made)
        return _json(201, made)

    def _of_one(self, method: str, name: str, body: dict[str, Any]) -> Answer:
        found = next((one for one in self.incidents if one["id"] == name), None)
        if found is None:
            return Answer(404, body=b'{"error":"not found"}')
        if method == "PATCH" and self.shows:
            found["words"].append(body["body"])
            found |= body
        return _json(200, found)


def _json(status: int, said: Any) -> Answer:
    return Answer(status, headers={"Content-Type": "application/json"}, body=orjson.dumps(said))
