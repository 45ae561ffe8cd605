"""Reads the settings of sources of inventory: what is stated of clusters, where each source is, and how it is read."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from fermata.domain.fleet import Cluster
from fermata.domain.ids import ClusterId, CustomerId, SourceId, SupercomputerId
from fermata.domain.inventory_mapping import DEVICE_COLUMNS, GPUS, NODE_COLUMNS, VERSION
from fermata.domain.sources import (
    Files,
    Kubernetes,
    NetBox,
    Push,
    Reach,
    Rule,
    Slurm,
    Source,
    SourceBook,
    SourceKind,
    UnitRules,
)
from fermata.formats.faults import FaultLog, quote, raise_faults
from fermata.formats.fields import Document, Fields, check_choice, check_unique, check_zone
from fermata.formats.fleet import CLUSTERS, DIVISIONS
from fermata.formats.operators import open_operators, read_file, read_operators, read_url
from fermata.formats.secret_names import choose_ref
from fermata.formats.spots import Kind, Spot
from fermata.formats.yamltext import read_yaml

SOURCE_REQUIRED = ("id", "kind")
SOURCE_OPTIONAL = ("every_minutes", "stale_after_minutes")
REACH_REQUIRED: Mapping[SourceKind, tuple[str, ...]] = {
    SourceKind.FILES: ("path",),
    SourceKind.SLURM: (),
    SourceKind.KUBERNETES: ("url",),
    SourceKind.NETBOX: ("url",),
    SourceKind.PUSH: (),
}
REACH_OPTIONAL: Mapping[SourceKind, tuple[str, ...]] = {
    SourceKind.FILES: (),
    SourceKind.SLURM: ("scontrol",),
    SourceKind.KUBERNETES: ("token", "token_file", "ca_file", "selector"),
    SourceKind.NETBOX: ("token", "token_file", "ca_file", "query"),
    SourceKind.PUSH: (),
}
MAPPED = (SourceKind.SLURM, SourceKind.KUBERNETES, SourceKind.NETBOX)  # the others speak in our own words
RULE_KEYS = ("match", "values", "otherwise")
STATE = "state"  # every adapter works it out in our words, so that a rule for it may be left out
EVERY_MINUTES, STALE_MINUTES = 15, 60
MINUTES_MAX = 60 * 24 * 31
_SORTS = {  # what Slurm shows is of two sorts, and only one of them can be nodes
    (SourceKind.SLURM, "nodes"): (Rule(text="{sort}", match="^node$"),),
    (SourceKind.SLURM, "devices"): (Rule(text="{sort}", match="^switch$"),),
}
TEXT_BRACES = re.compile(r"[^{}]*(\{[^{}]+\}[^{}]*)*")


def read_sources(path: Path) -> SourceBook:
    """Read the file `path`. Paths in it are relative to its folder. Raises BadInput with all its faults."""
    document = Document(log=FaultLog(path))
    book = _decode(path, document)
    raise_faults([document.log])
    assert book is not None, "settings without faults are read"
    return book


def _decode(path: Path, document: Document) -> SourceBook | None:
    root = read_yaml(path, document.log)
    if root is None:
        return None
    top = Fields(document, root, required=("sources",), optional=("clusters", "requests"))
    clusters = [Fields(document, spot, required=CLUSTERS.required) for spot in top.items("clusters")]
    sources = [_open_source(document, spot) for spot in top.items("sources")]
    check_unique((fields.spot("cluster") for fields in clusters), document.log, "Cluster")
    requests = [open_operators(document, spot) for spot in top.items("requests")]
    check_unique((fields.spot("id") for fields in (*sources, *requests)), document.log, "Source")
    stated = [_cluster(fields) for fields in clusters]
    read = [_source(fields, path.parent) for fields in sources]
    asked = [read_operators(fields, path.parent) for fields in requests]
    return SourceBook(
        clusters={c.name: c for c in stated},
        sources={s.id: s for s in read},
        requests={each.id: each for each in asked},
    )


def _cluster(fields: Fields) -> Cluster:
    division = fields.spot("division")
    return Cluster(
        name=ClusterId(fields.name("cluster")),
        supercomputer=SupercomputerId(fields.name("supercomputer")),
        customer=CustomerId(fields.name("customer")),
        region=fields.name("region"),
        geo=fields.name("geo"),
        timezone=check_zone(fields, "timezone"),
        datacenter=fields.name("datacenter"),
        sku=fields.name("sku"),
        division=check_choice(division, fields.document.log, DIVISIONS) if division else "",
        rolling_allowed=fields.flag("rolling_allowed"),
        single_placement_group=fields.flag("single_placement_group"),
    )


def _kind_of(spot: Spot) -> SourceKind | None:
    found = spot.keys.get("kind") if spot.kind is Kind.MAPPING else None
    return SourceKind(found.raw) if found and found.raw in [kind.value for kind in SourceKind] else None


def _open_source(document: Document, spot: Spot) -> Fields:
    """The keys that a source of its kind has; of an unknown kind, any that some kind has."""
    kind = _kind_of(spot)
    kinds = [kind] if kind is not None else list(SourceKind)
    required = REACH_REQUIRED[kind] if kind is not None else ()
    optional = [key for each in kinds for key in (*REACH_REQUIRED[each], *REACH_OPTIONAL[each]) if key not in required]
    if kind in MAPPED:
        required = (*required, "nodes")
    if kind is None or kind in MAPPED:
        optional += ["nodes", "devices"] if kind is None else ["devices"]
    return Fields(
        document,
        spot,
        required=(*SOURCE_REQUIRED, *required),
        optional=tuple(dict.fromkeys((*SOURCE_OPTIONAL, *optional))),
    )


def _source(fields: Fields, folder: Path) -> Source:
    kind = fields.choice("kind", SourceKind)
    every = fields.integer("every_minutes", least=1, most=MINUTES_MAX) if fields.has("every_minutes") else EVERY_MINUTES
    stale = (
        fields.integer("stale_after_minutes", least=1, most=MINUTES_MAX)
        if fields.has("stale_after_minutes")
        else max(STALE_MINUTES, 2 * every)
    )
    if stale < every:
        fields.fault("stale_after_minutes", f"It is asked every {every} minutes and would be stale between: raise it.")
    return Source(
        id=SourceId(fields.name("id")),
        reach=_reach(kind, fields, folder),
        every=timedelta(minutes=every),
        stale_after=timedelta(minutes=stale),
        nodes=_rules(fields, kind, "nodes", NODE_COLUMNS, (GPUS,)) if kind in MAPPED else None,
        devices=_rules(fields, kind, "devices", DEVICE_COLUMNS, (VERSION,)) if fields.has("devices") else None,
    )


def _reach(kind: SourceKind, fields: Fields, folder: Path) -> Reach:
    match kind:
        case SourceKind.FILES:
            return Files(path=str(folder / fields.text("path")))
        case SourceKind.SLURM:
            return Slurm(scontrol=fields.text("scontrol")) if fields.has("scontrol") else Slurm()
        case SourceKind.KUBERNETES:
            return Kubernetes(
                url=read_url(fields),
                token=choose_ref(fields, "token", folder),
                ca_file=read_file(fields, "ca_file", folder),
                selector=fields.text("selector") if fields.has("selector") else "",
            )
        case SourceKind.NETBOX:
            query = fields.spot("query")
            return NetBox(
                url=read_url(fields),
                token=choose_ref(fields, "token", folder),
                ca_file=read_file(fields, "ca_file", folder),
                query=_texts(fields, query, "query") if query else {},
            )
        case SourceKind.PUSH:
            return Push()


def _rules(fields: Fields, kind: SourceKind, key: str, columns: Sequence[str], optional: Sequence[str]) -> UnitRules:
    required = tuple(column for column in columns if column != STATE)
    more = (*(column for column in columns if column == STATE), *optional, "only")
    with_components = "components" if key == "nodes" else None
    given = fields.fields(key, required=required, optional=(*more, *([with_components] if with_components else [])))
    rules = {c: _rule(given.document, spot) for c in (*columns, *optional) if (spot := given.spot(c)) is not None}
    if STATE in columns:
        rules.setdefault(STATE, Rule(text=f"{{{STATE}}}"))
    components = given.spot("components")
    if components is not None and components.kind is not Kind.MAPPING:
        given.fault("components", f"components is {components.kind}; it must be a mapping of components to rules.")
    return UnitRules(
        only=(*_SORTS.get((kind, key), ()), *(_rule(given.document, spot) for spot in given.items("only"))),
        columns=rules,
        components={c: _rule(given.document, s) for c, s in components.keys.items()} if components else {},
    )


def _rule(document: Document, spot: Spot) -> Rule:
    """A rule, or its text alone."""
    if spot.kind is Kind.TEXT:
        return Rule(text=_template(document, spot, spot.raw))
    fields = Fields(document, spot, required=("text",), optional=RULE_KEYS)
    text = fields.text("text")
    values = fields.spot("values")
    found = fields.spot("text")
    return Rule(
        text=_template(document, found, text) if found else text,
        match=_pattern(fields) if fields.has("match") else None,
        values=_texts(fields, values, "values") if values else None,
        otherwise=fields.text("otherwise") if fields.has("otherwise") else None,
    )


def _template(document: Document, spot: Spot, text: str) -> str:
    if not text or not TEXT_BRACES.fullmatch(text):
        document.log.add(
            f"{quote(text)} is no text of a rule: it is not empty, and fields stand in braces: {{labels.rack}}.",
            spot.place,
        )
    return text


def _pattern(fields: Fields) -> str:
    text = fields.text("match")
    try:
        groups = re.compile(text).groups
    except re.error as error:
        fields.fault("match", f"{quote(text)} is no regular expression: {error}.")
        return text
    if groups > 1:
        fields.fault(
            "match", "It has more than one group, and which is the value is not said: write (?:...) for others."
        )
    return text


def _texts(fields: Fields, spot: Spot, key: str) -> dict[str, str]:
    """A mapping of texts to texts."""
    if spot.kind is not Kind.MAPPING or not spot.keys:
        fields.fault(key, f"{key} is {spot.kind}; it must be a mapping of texts to texts.")
        return {}
    inner = fields.fields(key, optional=tuple(spot.keys))
    return {name: inner.text(name) for name in spot.keys}
