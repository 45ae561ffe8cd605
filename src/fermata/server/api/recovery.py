"""Recovery of a run: what can be done about an update on each unit, and the order to roll it back."""

from typing import Annotated

from pydantic import Field

from fermata.domain.ids import DeviceId, NodeId, RunId, UpdateId
from fermata.domain.recovery import RecoveryOption
from fermata.server.api.bodies import TEXT_MAX, Body, Name
from fermata.server.api.nouns import open_noun
from fermata.server.context import Given
from fermata.services import recovery

NAMES_MAX = 20_000

router = open_noun("runs")

Names = Annotated[list[Name], Field(max_length=NAMES_MAX)]


class AskedBody(Body):
    """Which updates on which nodes and shared devices; empty: all that the run brought, all units that began them."""

    updates: Names = Field(default_factory=list)
    nodes: Names = Field(default_factory=list)
    devices: Names = Field(default_factory=list)

    def to_asked(self) -> recovery.Asked:
        """As the service takes it."""
        return recovery.Asked(
            updates=frozenset(map(UpdateId, self.updates)),
            nodes=frozenset(map(NodeId, self.nodes)),
            devices=frozenset(map(DeviceId, self.devices)),
        )


class RecoverBody(AskedBody):
    """And who orders it, and why."""

    actor: Name
    why: Annotated[str, Field(min_length=1, max_length=TEXT_MAX)]


@router.post("/runs/{run}/recovery/options")
def post_options(given: Given, run: str, body: AskedBody) -> list[RecoveryOption]:
    """What can be done about every update that was begun on those units. Nothing is changed."""
    return list(recovery.plan_recovery(given.db, RunId(run), body.to_asked()))


@router.post("/runs/{run}/recovery")
def post_recovery(given: Given, run: str, body: RecoverBody) -> list[RecoveryOption]:
    """Orders the roll-back wherever there can be one; the options say where there can be none, and why."""
    word = recovery.Word(actor=body.actor, why=body.why, at=given.now())
    return list(recovery.recover(given.db, RunId(run), body.to_asked(), word))
