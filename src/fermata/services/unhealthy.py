"""What a customer's client reports as unhealthy, by ids of Azure's resource manager: what is to be repaired then."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from fermata.domain import arm
from fermata.domain.ids import CustomerId, SupercomputerId
from fermata.domain.policy import ScopeLevel
from fermata.domain.work_orders import Places as TargetPlaces
from fermata.domain.work_orders import Target, TargetLevel
from fermata.services.fabric import card_name, link_name, list_cards, list_switches
from fermata.services.places import Group, Place, Places

REPORTED = {ScopeLevel.NODE: TargetLevel.NODE, ScopeLevel.CLUSTER: TargetLevel.CLUSTER}  # and racks


class Fault(StrEnum):
    """What is wrong with an id. Of another customer's subscription nothing is looked up, so that nothing is told."""

    UNREADABLE = "unreadable"
    ELSEWHERE = "elsewhere"  # in another subscription
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Misnamed:
    """An id that stands for nothing of the customer's."""

    id: str
    fault: Fault


class UnknownResources(Exception):
    """Something was named that is not there, or is not the customer's; nothing was changed."""

    def __init__(self, wrong: Sequence[Misnamed]) -> None:
        self.wrong = tuple(wrong)
        super().__init__(", ".join(each.id for each in wrong))


def find_targets(
    places: Places, customer: CustomerId, supercomputer: SupercomputerId, ids: Sequence[str]
) -> tuple[tuple[Target, ...], ...]:
    """What each id stands for, within the customer's part of that supercomputer. Raises UnknownResources with all that
    stand for nothing there.
    """
    group = places.groups.get((arm.subscription_id(customer), supercomputer.lower()))
    found = [_find(places, customer, group, text) for text in ids]
    wrong = [each for each in found if isinstance(each, Misnamed)]
    if wrong:
        raise UnknownResources(wrong)
    return tuple(each for each in found if not isinstance(each, Misnamed))


def _find(places: Places, customer: CustomerId, group: Group | None, text: str) -> tuple[Target, ...] | Misnamed:
    named = arm.read_id(text)
    if named is None:
        return Misnamed(id=text, fault=Fault.UNREADABLE)
    if named.subscription.lower() != arm.subscription_id(customer):
        return Misnamed(id=text, fault=Fault.ELSEWHERE)
    targets: tuple[Target, ...] = ()
    if group is not None and named.group.lower() == group.supercomputer.lower():
        place = places.find(group, named.provider, named.pairs)
        targets = _of_place(places, place) if place is not None else _of_fabric(places, group, named)
    return targets or Misnamed(id=text, fault=Fault.UNKNOWN)


def _of_place(places: Places, place: Place) -> tuple[Target, ...]:
    """None for a whole supercomputer. A rack that is not the customer's alone, or not all of it is meant, is its nodes
    that are: one customer's word opens no order on what others hold.
    """
    if place.level == ScopeLevel.RACK:
        rack = Target(level=TargetLevel.RACK, name=place.name)
        if {node.name for node in TargetPlaces(places.fleet).nodes(rack)} == set(place.names):
            return (rack,)
        return tuple(Target(level=TargetLevel.NODE, name=name) for name in sorted(place.names))
    levels = [level for scope, level in REPORTED.items() if scope == place.level]
    return tuple(Target(level=level, name=place.name) for level in levels)


def _of_fabric(places: Places, group: Group, named: arm.ResourceId) -> tuple[Target, ...]:
    """A switch with every node behind it; a link and a network card are of their node, where they are mended."""
    *outer, (kind, name) = named.pairs
    above = places.find(group, named.provider, outer)
    if above is None:
        return ()
    match kind.lower():
        case "switches":
            found = {
                str(d.name): (TargetLevel.DEVICE, str(d.name)) for d, _ in list_switches(places.fleet, above.nodes)
            }
        case "links":
            found = {
                link_name(device, node): (TargetLevel.NODE, str(node.name))
                for device, nodes in list_switches(places.fleet, above.nodes)
                for node in nodes
            }
        case "nics":
            found = {
                card_name(node, part): (TargetLevel.NODE, str(node.name)) for node, part in list_cards(above.nodes)
            }
        case _:
            return ()
    return tuple(
        Target(level=level, name=target) for known, (level, target) in found.items() if known.lower() == name.lower()
    )
