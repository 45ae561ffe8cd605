"""What the world answers and what is observed of it: the values that ports return and decisions are made from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from fermata.domain.fleet import NodeState
from fermata.domain.ids import DeviceId, NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """Under way, or already was under this key. `check_again_at` None: the target cannot tell."""

    check_again_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """TryLater for one item."""

    after: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """Refused for one item."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsure:
    """OutcomeUnknown for one item."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overtaken:
    """The target has heard of this unit, in this window, under a newer generation: somebody else conducts it by now.
    Nothing was done.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmade:
    """No call was made: what it was decided from was `old` by then."""

    old: timedelta


Answer = Accepted | Later | Denied | Unsure | Overtaken | Unmade


@dataclass(frozen=True, slots=True, kw_only=True)
class NeverAsked:
    """The target knows no such key: nothing was done under it, nor will be for who asks with an older generation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """Not finished. `check_again_at` None: the target cannot tell."""

    check_again_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a health check measured of a node that passed it, by the check's own names, and the verdict in words."""

    sentence: str
    figures: Mapping[str, float] = field(hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Succeeded:
    """The target claims success, which proves nothing: versions and health are observed separately. `measured`: of a
    health check that tells figures; None: it does not.
    """

    at: datetime
    measured: Measured | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The target gave up."""

    at: datetime
    why: str


Progress = NeverAsked | Running | Succeeded | Failed


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSeen:
    """A node as observed. `versions` are of the last report when it cannot be reached.

    `repaired_at`: when a repair of it was last completed; None: never. `locked`: by us, so that it cannot be scaled in;
    None: the target cannot tell. `whole`: False when another who looks at the node says nothing of it right now, a dead
    controller for one: then it is not reachable, and `state` and `locked` are all that is known.
    """

    node: NodeId
    reachable: bool
    state: NodeState
    versions: Mapping[str, str]
    repaired_at: datetime | None
    observed_at: datetime
    locked: bool | None = None
    whole: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSeen:
    """A shared device as observed."""

    device: DeviceId
    reachable: bool
    version: str
    repaired_at: datetime | None
    observed_at: datetime
