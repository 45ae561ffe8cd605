"""What windows compete for, of all rules together: resources with the room kept for repairs, and a window's uses."""

from collections.abc import Sequence
from dataclasses import replace
from math import ceil

from fermata.domain.campaign import Campaign
from fermata.domain.plans import Mode
from fermata.planning.encoding import Capacity, Loan, Resource, Taken, Use
from fermata.planning.scope import ClusterWork, Scope


def find_resources(capacities: Sequence[Capacity], scope: Scope, campaign: Campaign) -> tuple[Resource, ...]:
    """Every resource, rule by rule; a use names it by its index here."""
    return tuple(
        replace(resource, reserve=_expected_outstanding(capacity, index, scope.works, campaign))
        if resource.keeps_reserve
        else resource
        for capacity in capacities
        for index, resource in enumerate(capacity.resources)
    )


def find_uses(capacities: Sequence[Capacity], taken: Taken) -> tuple[Use, ...]:
    """What a window uses of every resource; zeros are left out."""
    found: list[Use] = []
    first = 0
    for capacity in capacities:
        found.extend(
            Use(resource=first + use.resource, start=use.start, end=use.end, units=use.units)
            for use in capacity.count(taken)
        )
        first += len(capacity.resources)
    return tuple(found)


def find_loans(capacities: Sequence[Capacity], taken: Taken) -> tuple[Loan, ...]:
    """What a window adds to every resource that grows; zeros are left out."""
    found: list[Loan] = []
    first = 0
    for capacity in capacities:
        found.extend(replace(loan, resource=first + loan.resource) for loan in capacity.lends(taken))
        first += len(capacity.resources)
    return tuple(found)


def grow_resources(
    resources: Sequence[Resource], capacities: Sequence[Capacity], works: Sequence[ClusterWork]
) -> tuple[Resource, ...]:
    """The resources as if all these works had been done before the first day."""
    if not any(resource.grows for resource in resources):
        return tuple(resources)
    added: dict[int, int] = {}
    for work in works:
        taken = Taken(cluster=work.cluster, nodes=work.nodes, mode=Mode.WHOLE, minutes=1)
        for loan in find_loans(capacities, taken):
            added[loan.resource] = added.get(loan.resource, 0) + loan.units
    return tuple(replace(r, capacity=r.capacity + added.get(i, 0)) for i, r in enumerate(resources))


def _expected_outstanding(capacity: Capacity, index: int, works: Sequence[ClusterWork], campaign: Campaign) -> int:
    served = 0
    for work in works:
        taken = Taken(cluster=work.cluster, nodes=work.nodes, mode=Mode.WHOLE, minutes=1)
        served += sum(use.units for use in capacity.count(taken) if use.resource == index)
    return find_reserve(served, campaign)


def find_reserve(served: int, campaign: Campaign) -> int:
    """Nodes that, on average, are still being repaired when the `served` ones are spread over the campaign's days."""
    days = max(1, (campaign.deadline - campaign.first_day).days + 1)
    outstanding = served / days * campaign.fallout.fraction * campaign.fallout.mean_days_to_repair
    return ceil(outstanding)
