"""Kinds of maintenance that customers are asked for separately, what each counts as, and when it may begin at last."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from fermata.domain.ids import RequestId, SupercomputerId
from fermata.domain.policy import MaintenanceKind, Notice
from fermata.domain.updates import Criticality, Impact


class RequestKind(StrEnum):
    """Kinds of maintenance that customers are asked for separately. All but deployments are opened by work orders."""

    DEPLOYMENT = "deployment"
    REPAIR = "repair"
    HARDWARE = "hardware"  # regular maintenance of hardware, planned long before
    DECOMMISSION = "decommission"
    MOVE = "move"  # of racks


class OrderedKind(StrEnum):
    """Those kinds that are opened by work orders."""

    REPAIR = "repair"
    HARDWARE = "hardware"
    DECOMMISSION = "decommission"
    MOVE = "move"

    @property
    def kind(self) -> RequestKind:
        """The same among all kinds."""
        return RequestKind(self.value)


SEQUENCE = (
    RequestKind.MOVE,
    RequestKind.HARDWARE,
    RequestKind.REPAIR,
    RequestKind.DEPLOYMENT,
    RequestKind.DECOMMISSION,
)  # in one outage: what moves, replaces or resets a part comes before what writes its firmware

JUDGED_AS: Mapping[RequestKind, MaintenanceKind] = MappingProxyType(
    {
        RequestKind.DEPLOYMENT: MaintenanceKind.DEPLOYMENT,
        RequestKind.REPAIR: MaintenanceKind.REPAIR,
        RequestKind.HARDWARE: MaintenanceKind.REPAIR,
        RequestKind.DECOMMISSION: MaintenanceKind.DECOMMISSION,
        RequestKind.MOVE: MaintenanceKind.DECOMMISSION,  # it takes nodes from their place, as if they went
    }
)  # policies tell three kinds apart; what they do not name falls under the stricter of those it resembles

IMPACTS: Mapping[RequestKind, Impact] = MappingProxyType(
    {ordered.kind: Impact.REBOOTFUL for ordered in OrderedKind}
)  # unless it is said


KIND_WORDS: Mapping[RequestKind, str] = MappingProxyType(
    {
        RequestKind.DEPLOYMENT: "updates",
        RequestKind.REPAIR: "repair",
        RequestKind.HARDWARE: "hardware maintenance",
        RequestKind.DECOMMISSION: "decommission",
        RequestKind.MOVE: "move",
    }
)  # as people say them


def request_id(supercomputer: SupercomputerId, kind: RequestKind = RequestKind.DEPLOYMENT) -> RequestId:
    """The one request of that kind that a supercomputer ever has."""
    return RequestId(f"req_{supercomputer}_{kind}")


def notice_of(notice: Notice, kind: RequestKind, criticality: Criticality) -> timedelta:
    """How long before its due date work of that kind is told, at least."""
    is_regular = criticality is Criticality.REGULAR
    if kind is RequestKind.DEPLOYMENT:
        return timedelta(days=notice.regular_update if is_regular else notice.critical_update)
    return timedelta(days=notice.regular_hardware if is_regular else notice.critical_repair)


def due_at(
    notice: Notice, kind: RequestKind, criticality: Criticality, *, opened_at: datetime, wanted_at: datetime | None
) -> datetime:
    """The due date (NotBefore) of what was opened then: a wish puts it off and never brings it nearer."""
    promised = opened_at + notice_of(notice, kind, criticality)
    return promised if wanted_at is None else max(promised, wanted_at)
