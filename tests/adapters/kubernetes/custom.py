"""Custom resources in the double of an API server: made, listed, patched, and ended once their finalizers are gone."""

import itertools
from dataclasses import dataclass, field
from typing import Any

Reply = tuple[int, Any]
_UIDS = itertools.count(1)


@dataclass
class Customs:
    """`kinds`: plurals that the server has definitions of; of others it says 404. `objects`: by plural, namespace (""
    for those of no namespace) and name.
    """

    kinds: set[str] = field(default_factory=set)
    objects: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)

    def answer(self, method: str, rest: list[str], body: Any) -> Reply:
        """`rest`: group, version, and what follows."""
        rest = rest[2:]
        namespace = ""
        if rest[0] == "namespaces":
            namespace, rest = rest[1], rest[2:]
        kind, name = rest[0], rest[1] if len(rest) > 1 else ""
        if kind not in self.kinds:
            return 404, status(404, "the server could not find the requested resource")
        if not name:
            return self._make(kind, namespace, body) if method == "POST" else (200, self._list(kind, namespace))
        found = self.objects.get((kind, namespace, name))
        if found is None:
            return 404, status(404, f'{kind} "{name}" not found')
        if method == "DELETE":
            return self._end((kind, namespace, name), found, body)
        if method == "PATCH":
            part = (
                {"status": body["status"]}
                if rest[2:] == ["status"]
                else {k: v for k, v in body.items() if k != "status"}
            )
            found = self.objects[kind, namespace, name] = merge(found, part)
            self._sweep((kind, namespace, name))
        return 200, found

    def _make(self, kind: str, namespace: str, body: Any) -> Reply:
        place = kind, namespace, body["metadata"]["name"]
        if place in self.objects:
            return 409, status(409, f'{kind} "{place[2]}" already exists')
        body["metadata"] |= {"uid": f"uid-{next(_UIDS)}"} | ({"namespace": namespace} if namespace else {})
        self.objects[place] = body
        return 201, body

    def _list(self, kind: str, namespace: str) -> dict[str, Any]:
        found = [each for place, each in self.objects.items() if place[0] == kind and namespace in ("", place[1])]
        return {"metadata": {}, "items": found}

    def _end(self, place: tuple[str, str, str], found: dict[str, Any], options: Any) -> Reply:
        if ((options or {}).get("preconditions") or {}).get("uid") not in (None, found["metadata"]["uid"]):
            return 409, status(409, f'Operation cannot be fulfilled on "{place[2]}": the UID does not match')
        found["metadata"]["deletionTimestamp"] = "2026-01-05T08:00:00Z"
        self._sweep(place)
        return 200, found

    def _sweep(self, place: tuple[str, str, str]) -> None:
        meta = self.objects[place]["metadata"]
        if meta.get("deletionTimestamp") and not meta.get("finalizers"):
            del self.objects[place]


def status(code: int, message: str, causes: list[dict[str, str]] | None = None) -> dict[str, Any]:
    found = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "message": message, "code": code}
    return {**found, "details": {"causes": causes or []}}


def merge(old: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    found = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            found.pop(key, None)
        else:
            found[key] = merge(found.get(key), value)
    return found
