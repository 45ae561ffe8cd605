"""Sources of inventory as their settings describe them: where each is, how often it is asked, how it is read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import assert_never

from fermata.domain.fleet import Cluster
from fermata.domain.ids import ClusterId, SourceId
from fermata.domain.secrets import SecretRef


class SourceKind(StrEnum):
    """What kind of thing a source is."""

    FILES = "files"
    SLURM = "slurm"
    KUBERNETES = "kubernetes"
    NETBOX = "netbox"
    PUSH = "push"

    @property
    def is_live(self) -> bool:
        """True when it observes; False for records that people keep, which say the old until somebody mends them."""
        return self not in (SourceKind.FILES, SourceKind.NETBOX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """A fleet folder in our own format: `path`, on the machine that reads it."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Slurm:
    """A Slurm controller, asked through `scontrol` (a program)."""

    scontrol: str = "scontrol"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kubernetes:
    """An API server. `token` and `ca_file` are read each time; `selector` is a label selector."""

    url: str
    token: SecretRef | None = None
    ca_file: str | None = None
    selector: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetBox:
    """A NetBox server. `query`: the filters of its device list."""

    url: str
    token: SecretRef | None = None
    ca_file: str | None = None
    query: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """Nobody is asked: what is there is sent to the API."""


Reach = Files | Slurm | Kubernetes | NetBox | Push


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How one value is found among what a source says of a unit.

    `text` is the value with `{field}` filled in (a lone field is written so, too); without any, it is said for all.
    `match`: a regular expression that must occur in it; what it matched, or its group if it has one, is the value.
    `values` translates; a value that it does not name is none. `otherwise` is taken when the source does not say a
    field; None: the unit is then not taken in.
    """

    text: str
    match: str | None = None
    values: Mapping[str, str] | None = field(default=None, hash=False)
    otherwise: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitRules:
    """How units of one sort are read. `only`: rules that each must give a value, or it is no unit of this sort.

    `columns` are those of our own tables; `components` gives versions, and one that is not found is unknown.
    """

    only: tuple[Rule, ...] = ()
    columns: Mapping[str, Rule] = field(default_factory=dict, hash=False)
    components: Mapping[str, Rule] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One source. `every`: how often it is asked, `stale_after`: from when on what it said last is no evidence.

    `nodes` None for files, which are in our own words. `devices` None: it says nothing of shared devices.
    """

    id: SourceId
    reach: Reach
    every: timedelta
    stale_after: timedelta
    nodes: UnitRules | None = None
    devices: UnitRules | None = None

    @property
    def kind(self) -> SourceKind:
        """What it is."""
        match self.reach:
            case Files():
                return SourceKind.FILES
            case Slurm():
                return SourceKind.SLURM
            case Kubernetes():
                return SourceKind.KUBERNETES
            case NetBox():
                return SourceKind.NETBOX
            case Push():
                return SourceKind.PUSH
            case _:
                assert_never(self.reach)


class AskKind(StrEnum):
    """The objects by which operators of a Kubernetes cluster ask for a node."""

    NODE_MAINTENANCE = "node_maintenance"
    MAINTENANCE_REQUEST = "maintenance_request"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operators:
    """An API server whose operators ask for nodes by `asks`, and how often it is read. `requestor`: whose
    NodeMaintenances are our own. `token` and `ca_file` are read each time.
    """

    id: SourceId
    url: str
    asks: frozenset[AskKind]
    every: timedelta
    requestor: str
    token: SecretRef | None = None
    ca_file: str | None = None


@dataclass(frozen=True, kw_only=True)
class SourceBook:
    """All sources, and what is stated of clusters since no source knows it: customer, time zone and so on. `requests`:
    who is asked what operators outside want.
    """

    clusters: Mapping[ClusterId, Cluster] = field(default_factory=dict)
    sources: Mapping[SourceId, Source] = field(default_factory=dict)
    requests: Mapping[SourceId, Operators] = field(default_factory=dict)


NO_SOURCES = SourceBook()
