"""Inventory that keeps itself: sources, what they say, what is pushed, and what waits for a person."""

from datetime import UTC
from typing import Annotated

from fastapi import Query
from pydantic import Field

from fermata.domain.ids import DeviceId, HoldId, NodeId, SourceId
from fermata.domain.inventory_pushed import Pushed
from fermata.domain.inventory_reports import Facts
from fermata.server.api.bodies import NAME_MAX, TEXT_MAX, Body, Instant, Name
from fermata.server.api.nouns import open_noun
from fermata.server.context import Given
from fermata.services import inventory_held, inventory_sources
from fermata.services.inventory_changes import Synced

UNITS_MAX = 100_000  # of one push: a fleet beyond it is pushed in parts

router = open_noun("inventory", "/inventory")

Value = Annotated[str, Field(max_length=NAME_MAX)]
Component = Annotated[str, Field(min_length=1, max_length=NAME_MAX, pattern=r"^[^{}\s][^{}]*$")]


class PushedNode(Body):
    """One node, in the words of `nodes.csv`. A node that lacks one of them is not taken in, and that is told."""

    node: Name
    cluster: Value | None = None
    rack: Value | None = None
    fault_domain: Value | None = None
    scalable_unit: Value | None = None
    role: Value | None = None
    workload: Value | None = None
    state: Value | None = None
    gpus: Annotated[int | None, Field(ge=0, le=1024)] = None
    versions: Annotated[dict[Component, Value], Field(max_length=1000, default_factory=dict)]


class PushedDevice(Body):
    """One shared device, in the words of `devices.csv`."""

    device: Name
    kind: Value | None = None
    cluster: Value | None = None
    scope: Value | None = None
    scope_id: Value | None = None
    component: Value | None = None
    version: Value | None = None


class PushBody(Body):
    """What is there. `complete`: what is not named is gone; else only what `gone_nodes` and `gone_devices` name.

    `observed_at` null: now.
    """

    actor: Name
    complete: bool
    observed_at: Instant | None = None
    nodes: Annotated[list[PushedNode], Field(max_length=UNITS_MAX, default_factory=list)]
    devices: Annotated[list[PushedDevice], Field(max_length=UNITS_MAX, default_factory=list)]
    gone_nodes: Annotated[list[Name], Field(max_length=UNITS_MAX, default_factory=list)]
    gone_devices: Annotated[list[Name], Field(max_length=UNITS_MAX, default_factory=list)]


class ActorBody(Body):
    """Who asks for it."""

    actor: Name


class HoldDecisionBody(Body):
    """Who decides, and why."""

    actor: Name
    why: Annotated[str, Field(min_length=1, max_length=TEXT_MAX)]


@router.get("/sources")
def get_sources(given: Given) -> list[inventory_sources.SourceLine]:
    """Every source, how fresh it is, what it names that could not be taken in, and what of it waits."""
    return list(inventory_sources.list_sources(given.db, given.sources, now=given.now()))


@router.post("/sources/{source}/sync")
def post_sync(given: Given, source: str, body: ActorBody) -> Synced:
    """Asks the source now; `outcome` says whether it was applied, held, or could not be read."""
    return inventory_sources.sync_source(
        given.db, given.sources, SourceId(source), now=given.now(), actor=body.actor, new_id=given.new_id
    )


@router.get("/sources/{source}/diff")
def get_diff(given: Given, source: str) -> Synced:
    """What asking it now would change; nothing is changed."""
    return inventory_sources.diff_source(given.db, given.sources, SourceId(source), now=given.now())


@router.post("/sources/{source}/push")
def post_push(given: Given, source: str, body: PushBody) -> Synced:
    """Takes in what is there, for a source of kind push. Sending the same twice changes nothing."""
    return inventory_sources.push_report(
        given.db, given.sources, _pushed(source, body), now=given.now(), actor=body.actor, new_id=given.new_id
    )


@router.delete("/sources/{source}")
def delete_source(
    given: Given,
    source: str,
    actor: Annotated[str, Query(min_length=1, max_length=NAME_MAX)],
    why: Annotated[str, Query(max_length=TEXT_MAX)] = "",
) -> inventory_sources.Forgotten:
    """Forgets a source that is no more in the settings; its units stay."""
    return inventory_sources.forget_source(
        given.db, given.sources, SourceId(source), now=given.now(), actor=actor, why=why
    )


@router.get("/holds")
def get_holds(given: Given, over: bool = False) -> list[inventory_held.HoldView]:
    """Changes that wait for a person, oldest first, or all on record."""
    return list(inventory_held.list_held(given.db, over=over))


@router.get("/holds/{hold}")
def get_hold(given: Given, hold: str) -> inventory_held.HoldView:
    """One of them."""
    return inventory_held.show_held(given.db, HoldId(hold))


@router.post("/holds/{hold}/accept")
def post_accept(given: Given, hold: str, body: HoldDecisionBody) -> Synced:
    """Applies it."""
    return inventory_held.accept_held(given.db, HoldId(hold), now=given.now(), actor=body.actor, why=body.why)


@router.post("/holds/{hold}/drop")
def post_drop(given: Given, hold: str, body: HoldDecisionBody) -> inventory_held.HoldView:
    """The fleet stays as it is."""
    return inventory_held.drop_held(given.db, HoldId(hold), now=given.now(), actor=body.actor, why=body.why)


def _pushed(source: str, body: PushBody) -> Pushed:
    return Pushed(
        source=SourceId(source),
        observed_at=body.observed_at.astimezone(UTC) if body.observed_at else None,
        complete=body.complete,
        nodes=tuple(_facts(node.node, node, {"node", "versions"}) for node in body.nodes),
        versions={node.node: dict(node.versions) for node in body.nodes},
        devices=tuple(_facts(device.device, device, {"device"}) for device in body.devices),
        gone_nodes=frozenset(NodeId(name) for name in body.gone_nodes),
        gone_devices=frozenset(DeviceId(name) for name in body.gone_devices),
    )


def _facts(name: str, unit: Body, but: set[str]) -> Facts:
    return Facts(name=name, fields={key: str(value) for key, value in unit if key not in but and value is not None})
