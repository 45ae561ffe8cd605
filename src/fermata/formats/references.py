"""Checks the names that files use of each other: a scope, a where or an update that matches nothing is refused."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache

from fermata.domain.campaign import NODE_KEYS, SCOPE_KEYS
from fermata.domain.fleet import Fleet
from fermata.domain.names import Names
from fermata.domain.updates import NODE_TARGET, Catalogue, Stage
from fermata.formats.faults import quote
from fermata.formats.fields import COMPONENT_OF, Document


def check_against_fleet(documents: Sequence[Document], fleet: Fleet, customers: Sequence[str]) -> None:
    """Fault every reference to something that the fleet does not have; `customers` are those of the policy."""
    sources = _sources(fleet, customers)
    known = cache(lambda kind: Names(sources[kind]()))
    for document in documents:
        for reference in document.references:
            if reference.kind not in sources:
                continue
            names = known(reference.kind)
            if reference.name not in names:
                sentence = f"{_says(reference.kind)} {quote(reference.name)}."
                document.log.add(sentence, reference.place, wrong=reference.name, known=names)


def check_against_catalogue(document: Document, catalogue: Catalogue) -> None:
    """Fault every reference to an update that does not exist or that no campaign may take."""
    known = Names(catalogue.updates)
    stages: Mapping[str, Stage] = {update.id: update.stage for update in catalogue.updates.values()}
    for reference in document.references:
        if reference.kind != "update":
            continue
        if reference.name not in known:
            sentence = f"Update {quote(reference.name)} does not exist."
            document.log.add(sentence, reference.place, wrong=reference.name, known=known)
        elif stages[reference.name] is not Stage.PRODUCTION_READY:
            sentence = (
                f"Update {quote(reference.name)} is {stages[reference.name]}: a campaign takes production_ready ones."
            )
            document.log.add(sentence, reference.place)


def _says(kind: str) -> str:
    if kind.startswith(COMPONENT_OF):
        unit = kind.removeprefix(COMPONENT_OF)
        return f"No {unit} of the fleet has a component" if unit else "Nothing in the fleet has a component"
    match kind:
        case "target":
            return "A target is node or a kind of device, and the fleet has no device of kind"
        case "policy_customer":
            return "Neither the fleet nor the policy has a customer"
        case _:
            return f"The fleet has no {kind}"


def _sources(fleet: Fleet, customers: Sequence[str]) -> dict[str, Callable[[], set[str]]]:
    """For each kind of reference, how to list the names it may have; listed only when asked for."""
    clusters, nodes, devices = fleet.clusters.values(), fleet.nodes.values(), fleet.devices.values()

    def of_clusters(key: str) -> Callable[[], set[str]]:
        return lambda: {str(getattr(cluster, "name" if key == "cluster" else key)) for cluster in clusters}

    def of_nodes(key: str) -> Callable[[], set[str]]:
        return lambda: {str(getattr(node, "name" if key == "node" else key)) for node in nodes}

    def of_kind(kind: str) -> Callable[[], set[str]]:
        return lambda: {device.component for device in devices if device.kind == kind}

    def of_every_node() -> set[str]:
        return {
            component for versions in {id(n.versions): n.versions for n in nodes}.values() for component in versions
        }

    return {
        **{key: of_clusters(key) for key in SCOPE_KEYS},
        **{key: of_nodes(key) for key in NODE_KEYS},
        "group": lambda: {str(device.name) for device in devices},
        "policy_customer": lambda: {*customers, *(cluster.customer for cluster in clusters)},
        "target": lambda: {NODE_TARGET, *(device.kind for device in devices)},
        COMPONENT_OF: lambda: of_every_node() | {device.component for device in devices},
        COMPONENT_OF + NODE_TARGET: of_every_node,
        **{COMPONENT_OF + kind: of_kind(kind) for kind in {device.kind for device in devices}},
    }
