"""Readers for the file of sources: of inventory, and of what operators outside want."""

from pathlib import Path
from typing import assert_never

from fermata.adapters.inventory_files import FilesSource
from fermata.adapters.inventory_kubernetes import KubernetesNodes
from fermata.adapters.inventory_mapped import MappedSource
from fermata.adapters.inventory_netbox import NetBoxDevices
from fermata.adapters.inventory_slurm import SlurmNodes
from fermata.adapters.requests_kubernetes import KubernetesAsks
from fermata.domain.secrets import SecretSource
from fermata.domain.sources import Files, Kubernetes, NetBox, Push, Slurm, Source, SourceBook
from fermata.formats.fleet import read_fleet
from fermata.formats.sources import read_sources
from fermata.ports import InventorySource
from fermata.services.inventory_sources import NOTHING_CONFIGURED, Sources
from fermata.wiring.named_secrets import open_secrets


def open_sources(path: Path | None) -> Sources:
    """What the file describes, each source with its reader; nothing without a file. Raises BadInput."""
    if path is None:
        return NOTHING_CONFIGURED
    book, secrets = read_sources(path), open_secrets()
    readers = {
        name: found for name, source in book.sources.items() if (found := _reader(source, book, secrets)) is not None
    }
    askers = {name: KubernetesAsks(reach, secrets=secrets) for name, reach in book.requests.items()}
    return Sources(book=book, readers=readers, askers=askers)


def _reader(source: Source, book: SourceBook, secrets: SecretSource) -> InventorySource | None:
    """None for a source that is pushed."""
    match source.reach:
        case Files(path=path):
            return FilesSource(source=source.id, path=Path(path), read_fleet=read_fleet)
        case Slurm():
            return MappedSource(source=source, clusters=book.clusters, collect=SlurmNodes(source.reach))
        case Kubernetes():
            return MappedSource(
                source=source, clusters=book.clusters, collect=KubernetesNodes(source.reach, secrets=secrets)
            )
        case NetBox():
            return MappedSource(
                source=source, clusters=book.clusters, collect=NetBoxDevices(source.reach, secrets=secrets)
            )
        case Push():
            return None
        case _:
            assert_never(source.reach)
