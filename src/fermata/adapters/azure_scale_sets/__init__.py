"""Scale sets in Azure: instances are protected from scale-in, deallocated, and started again in chunks.

`build` makes the ports. What is remembered stands on the instance itself, in tags. See docs/azure-scale-sets.md.
"""

from collections.abc import Mapping
from importlib.metadata import version

from fermata.adapters.azure_scale_sets.fleet import Fleet
from fermata.adapters.azure_scale_sets.inventory import AzureInventory
from fermata.adapters.azure_scale_sets.settings import Settings
from fermata.adapters.azure_scale_sets.workloads import AzureWorkloads
from fermata.adapters.side_by_side import Loop
from fermata.ports import AdapterPorts, Clock

__all__ = ["KIND", "PORTS", "Settings", "build"]

KIND = "azure_scale_sets"
PORTS = frozenset({"inventory", "workloads"})


def build(settings: Settings, clock: Clock) -> AdapterPorts:
    """Calls nobody. Raises Refused for files that cannot be read."""
    loop = Loop(KIND)
    try:
        fleet = loop.run(_open(settings))
    except BaseException:
        loop.close(_nothing)
        raise

    def probe() -> Mapping[str, str]:
        found = loop.run(fleet.describe())
        client = f"azure-mgmt-compute {version('azure-mgmt-compute')}"
        return {"product": "Azure scale sets", "version": client, **found, "holds": f"{settings.prefix}-held"}

    return AdapterPorts(
        close=lambda: loop.close(fleet.close),
        probe=probe,
        inventory=AzureInventory(loop, fleet, clock),
        workloads=AzureWorkloads(loop, fleet, clock),
    )


async def _open(settings: Settings) -> Fleet:
    return Fleet(settings)


async def _nothing() -> None:
    """Nothing is open."""
