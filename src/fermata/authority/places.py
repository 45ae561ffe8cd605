"""The parts of the fleet that a decision is about, with what each lies in."""

from dataclasses import dataclass
from enum import StrEnum

from fermata.domain.fleet import Cluster
from fermata.domain.identity import Grant, GrantLevel
from fermata.domain.ids import ClusterId, CustomerId, NodeId, SupercomputerId


class PlaceLevel(StrEnum):
    """How much of the fleet it is: a grant's levels, and the one node that a client inside it speaks for."""

    EVERYTHING = "everything"
    CUSTOMER = "customer"
    SUPERCOMPUTER = "supercomputer"
    CLUSTER = "cluster"
    NODE = "node"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A part of the fleet. `customer` and `supercomputer` are what a cluster lies in, "" for anything else."""

    level: PlaceLevel
    name: str = ""
    customer: str = ""
    supercomputer: str = ""

    def __str__(self) -> str:
        return f"{self.level} {self.name}" if self.name else str(self.level)


WHOLE_FLEET = Place(PlaceLevel.EVERYTHING)


def of_customer(name: CustomerId) -> Place:
    """All that a customer holds, and will hold."""
    return Place(PlaceLevel.CUSTOMER, name)


def of_supercomputer(name: SupercomputerId) -> Place:
    """All of a supercomputer, whoever holds it."""
    return Place(PlaceLevel.SUPERCOMPUTER, name)


def of_cluster(cluster: Cluster) -> Place:
    """A cluster, in its customer and its supercomputer."""
    return Place(PlaceLevel.CLUSTER, cluster.name, cluster.customer, cluster.supercomputer)


def of_node(name: NodeId) -> Place:
    """A node as the client inside it knows it: nothing that is granted reaches it by this name."""
    return Place(PlaceLevel.NODE, name)


def of_grant(grant: Grant) -> Place:
    """What was granted. A cluster by its name alone: what it lies in was not granted."""
    match grant.level:
        case GrantLevel.EVERYTHING:
            return WHOLE_FLEET
        case GrantLevel.CUSTOMER:
            return of_customer(CustomerId(grant.name))
        case GrantLevel.SUPERCOMPUTER:
            return of_supercomputer(SupercomputerId(grant.name))
        case GrantLevel.CLUSTER:
            return Place(PlaceLevel.CLUSTER, ClusterId(grant.name))
