"""Reads the file of a site: which adapters there are, with which settings, and which units each serves for which port.

Each kind of adapter brings the model of its own settings; what it refuses is told with its place in the file.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel, ValidationError

from fermata.domain.ids import AdapterId, ClusterId
from fermata.domain.names import Names
from fermata.domain.reach import find_trusted_url_fault
from fermata.domain.room import BRIDGE_SCHEMES, fill_bridge, is_bridge
from fermata.domain.routing import PortName, Route, RouteTable
from fermata.formats.faults import NOWHERE, FaultLog, quote, raise_faults
from fermata.formats.fields import Document, Fields, check_choice, check_unique
from fermata.formats.spots import Kind, Spot
from fermata.formats.values import is_name
from fermata.formats.yamltext import read_yaml

FILE_SUFFIX = "_file"  # settings of that name are paths, relative to the folder of the file they stand in
_TRUE = ("true", "yes", "on")
_SERVICE = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
SettingsModel = type[BaseModel]


class KnownKind(Protocol):
    """What has to be known of a kind of adapter to read its settings and routes."""

    @property
    def ports(self) -> frozenset[PortName]:
        """What it serves."""
        ...

    @property
    def settings(self) -> SettingsModel:
        """The model of its settings."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredAdapter:
    """One adapter of a site."""

    id: AdapterId
    kind: str
    settings: BaseModel


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteBook:
    """What the file says. Adapters stand in its order, routes too. `bridge`: where people of a window's room meet, ""
    for nowhere; {window} and {cluster} in it are filled in.
    """

    adapters: Mapping[AdapterId, ConfiguredAdapter]
    table: RouteTable
    bridge: str = ""


def read_site(
    path: Path,
    kinds: Mapping[str, KnownKind],
    *,
    unusable: Mapping[str, str],
    context: Mapping[str, Any] | None = None,
) -> SiteBook:
    """Read the file `path`. `unusable`: kinds that are there and cannot be used, with why. `context`: what models of
    settings are validated with. Raises BadInput.
    """
    document = Document(log=FaultLog(path))
    root = read_yaml(path, document.log)
    book = _decode(path, document, root, (kinds, unusable, context)) if root is not None else None
    raise_faults([document.log])
    assert book is not None, "a file without faults is read"
    return book


def read_settings_file(path: Path, kind: KnownKind, context: Mapping[str, Any] | None = None) -> BaseModel:
    """The settings of one adapter, alone in a file; `context` as in `read_site`. Raises BadInput."""
    log = FaultLog(path)
    root = read_yaml(path, log)
    found = _settings(root, kind.settings, path.parent, log, None, context) if root is not None else None
    raise_faults([log])
    assert found is not None, "a file without faults is read"
    return found


def _decode(
    path: Path,
    document: Document,
    root: Spot,
    known: tuple[Mapping[str, KnownKind], Mapping[str, str], Mapping[str, Any] | None],
) -> SiteBook | None:
    kinds, unusable, context = known
    top = Fields(document, root, required=("adapters",), optional=("bridge",))
    entries = [
        Fields(document, spot, required=("id", "kind"), optional=("settings", "serves"))
        for spot in top.items("adapters")
    ]
    if top.spot("adapters") is not None and not entries:
        top.fault("adapters", "A site has at least one adapter.")
    check_unique((fields.spot("id") for fields in entries), document.log, "Adapter")
    adapters: dict[AdapterId, ConfiguredAdapter] = {}
    routes: list[Route] = []
    for fields in entries:
        name = AdapterId(fields.name("id"))
        kind = _kind(fields, kinds, unusable)
        if kind is None:
            continue
        settings = _settings(fields.spot("settings"), kinds[kind].settings, path.parent, document.log, fields, context)
        routes += _routes(fields, name, kinds[kind])
        if settings is not None:
            adapters[name] = ConfiguredAdapter(id=name, kind=kind, settings=settings)
    return SiteBook(adapters=adapters, table=RouteTable(routes=tuple(routes)), bridge=_bridge(top))


def _bridge(top: Fields) -> str:
    """A link, with names in braces that are filled in for each window."""
    if not top.has("bridge"):
        return ""
    template = top.text("bridge")
    try:
        link = fill_bridge(template, window="w", cluster="c")
    except (KeyError, IndexError, ValueError, AttributeError):
        top.fault("bridge", "In braces it may have {window} and {cluster} only.")
        return ""
    if not is_bridge(link):
        schemes = ", ".join(BRIDGE_SCHEMES)
        top.fault("bridge", f"It is no link that a person can open; it begins with one of {schemes}.")
    return template


def _kind(fields: Fields, kinds: Mapping[str, KnownKind], unusable: Mapping[str, str]) -> str | None:
    found = fields.spot("kind")
    if found is None:
        return None
    if found.raw in unusable:
        fields.fault("kind", f"Adapters of kind {quote(found.raw)} cannot be used: {unusable[found.raw]}")
        return None
    name = fields.text("kind")
    if name and name not in kinds:
        known = "" if Names(kinds).nearest(name) else f" Known: {', '.join(sorted(kinds)) or 'none'}."
        sentence = f"There is no kind of adapter {quote(name)}.{known} `fermata adapters list` shows them."
        fields.fault("kind", sentence, wrong=name, known=Names(kinds))
    return name if name in kinds else None


def _routes(fields: Fields, adapter: AdapterId, kind: KnownKind) -> Sequence[Route]:
    """Without `serves` it serves all that it can for every unit."""
    if not fields.has("serves"):
        return [Route(adapter=adapter, ports=kind.ports)]
    return [_route(fields.document, spot, adapter, kind) for spot in fields.items("serves")]


def _route(document: Document, spot: Spot, adapter: AdapterId, kind: KnownKind) -> Route:
    fields = Fields(document, spot, optional=("ports", "clusters", "nodes", "devices", "components"))
    allowed = [port.value for port in PortName if port in kind.ports]
    ports = frozenset(PortName(check_choice(item, document.log, allowed)) for item in fields.items("ports"))
    if fields.has("ports") and not ports:
        fields.fault("ports", "It names no port: leave the key out to serve all that the adapter can.")
    return Route(
        adapter=adapter,
        ports=ports or kind.ports,
        clusters=frozenset(ClusterId(name) for name in _some(fields, "clusters")),
        nodes=_some(fields, "nodes"),
        devices=_some(fields, "devices"),
        components=frozenset(_some(fields, "components")),
    )


def _some(fields: Fields, key: str) -> tuple[str, ...]:
    """Names or patterns; a list that is there and empty would silently mean all."""
    found = fields.names(key)
    if fields.spot(key) is not None and not found:
        fields.fault(key, f"{key} is empty, which would mean none: leave it out for all of them.")
    return found


def _settings(
    spot: Spot | None,
    model: SettingsModel,
    folder: Path,
    log: FaultLog,
    around: Fields | None,
    context: Mapping[str, Any] | None,
) -> BaseModel | None:
    """None when they are refused, with the faults in `log`."""
    if spot is not None and spot.kind is not Kind.MAPPING:
        log.add(f"{spot.place.field or 'The document'} is {spot.kind}; it must be a mapping of settings.", spot.place)
        return None
    if spot is not None and _names_forbidden(spot, log):
        return None
    try:
        return model.model_validate(_plain(spot, folder) if spot is not None else {}, context=context)
    except ValidationError as error:
        for fault in error.errors(include_input=False, include_url=False):
            _tell(fault, spot, model, log, around)
        return None


def _names_forbidden(spot: Spot, log: FaultLog) -> bool:
    """Whatever the adapter: every address of a service is one that may be called at all. Faults go to the log."""
    found = [_names_forbidden(inner, log) for inner in (*spot.keys.values(), *spot.items)]
    fault = find_trusted_url_fault(spot.raw) if _SERVICE.match(spot.raw or "") else None
    if fault is not None:
        log.add(f"This address is never called: {fault}.", spot.place)
    return fault is not None or any(found)


def _tell(
    fault: Mapping[str, Any], spot: Spot | None, model: SettingsModel, log: FaultLog, around: Fields | None
) -> None:
    """One fault at the deepest value that it is about. What stood there is not repeated: it may be a secret."""
    found, missing = spot, ""
    for step in fault["loc"]:
        inner = None
        if found is not None and found.kind is Kind.MAPPING:
            inner = found.keys.get(str(step))
        elif found is not None and found.kind is Kind.LIST and isinstance(step, int) and step < len(found.items):
            inner = found.items[step]
        if inner is None:
            missing = str(step)
            break
        found = inner
    place = found.place if found is not None else (around.place if around is not None else NOWHERE)
    if fault["type"] == "extra_forbidden":
        key = str(fault["loc"][-1])
        at = found.key_place or found.place if found is not None else place
        names = Names(model.model_fields) if len(fault["loc"]) == 1 else None
        log.add(f"Setting {quote(key)} is unknown.", at, wrong=key, known=names)
    elif fault["type"] == "missing":
        log.add(f"Setting {quote(missing or fault['loc'][-1])} is missing.", place)
    else:
        what = ".".join(str(step) for step in fault["loc"]) or "The settings"
        log.add(f"{what}: {str(fault['msg']).removeprefix('Value error, ')}.", place)


def _plain(spot: Spot, folder: Path, key: str = "") -> Any:
    match spot.kind:
        case Kind.MAPPING:
            return {name: _plain(inner, folder, name) for name, inner in spot.keys.items()}
        case Kind.LIST:
            return [_plain(inner, folder, key) for inner in spot.items]
        case Kind.INTEGER:
            return int(spot.raw)
        case Kind.NUMBER:
            return float(spot.raw)
        case Kind.FLAG:
            return spot.raw.lower() in _TRUE
        case Kind.NOTHING:
            return None
        case _:
            is_path = key.endswith(FILE_SUFFIX) and is_name(spot.raw)
            return os.fspath(folder / spot.raw) if is_path else spot.raw
