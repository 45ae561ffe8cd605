"""What nodes and devices run, read from FirmwareInventory each time, and whether their machines are up."""

from dataclasses import dataclass

from fermata.adapters.controller_http import Busy, Lost, Rejected, Unreachable
from fermata.adapters.redfish.link import Link
from fermata.adapters.redfish.reading import agreed, read_machine, read_versions, services
from fermata.adapters.redfish.settings import Unit
from fermata.domain.fleet import NodeState
from fermata.domain.ids import DeviceId, NodeId
from fermata.domain.observations import DeviceSeen, NodeSeen
from fermata.ports import Clock

NO_ANSWER = (Unreachable, Lost, Busy, Rejected)


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """The port's calls, item by item. None: nothing is known right now, and nothing is decided about it."""

    link: Link
    clock: Clock

    async def node(self, name: NodeId) -> NodeSeen | None:
        """A controller knows no scheduler: `state` is in service, so that by this word alone nothing begins, and
        `locked` is unknown, so that nothing is given back. Both come from the workload manager.
        """
        unit = self.link.settings.nodes.get(name)
        if unit is None:
            return None
        now = self.clock.now()
        try:
            machine = await read_machine(
                self.link, self.link.controller(unit.address), unit, self.link.settings.model_of(unit).resets
            )
            versions = await self._versions(unit)
        except NO_ANSWER:
            return None
        return NodeSeen(
            node=name,
            reachable=machine.is_up is not False,
            state=NodeState.IN_SERVICE,
            versions=versions,
            repaired_at=None,
            observed_at=now,
            locked=None,
        )

    async def device(self, name: DeviceId) -> DeviceSeen | None:
        """A device has one component; without a version of it there is nothing to tell."""
        unit = self.link.settings.devices.get(name)
        if unit is None:
            return None
        now = self.clock.now()
        try:
            versions = await self._versions(unit)
        except NO_ANSWER:
            return None
        if not versions:
            return None
        (version,) = versions.values()
        return DeviceSeen(device=name, reachable=True, version=version, repaired_at=None, observed_at=now)

    async def _versions(self, unit: Unit) -> dict[str, str]:
        """By component; one whose parts run different versions is left out."""
        components = self.link.settings.model_of(unit).components
        ids = tuple(dict.fromkeys(name for part in components.values() for name in part.inventory))
        told = await read_versions(self.link, self.link.controller(unit.address), ids)
        found = {name: agreed(part, told) for name, part in components.items()}
        return {name: version for name, version in found.items() if version is not None}

    async def probe(self) -> dict[str, str]:
        """Who the first controller is, and what our account may do there. Raises as Link.get."""
        settings = self.link.settings
        unit = next(iter((*settings.nodes.values(), *settings.devices.values())), None)
        if unit is None:
            return {"product": "Redfish", "version": "", "controllers": "0"}
        controller = self.link.controller(unit.address)
        root = (await self.link.get(controller, controller.path(""))).body
        found = await services(self.link, controller)
        return {
            "product": " ".join(str(root.get(word) or "") for word in ("Vendor", "Product")).strip() or "Redfish",
            "version": f"Redfish {root.get('RedfishVersion') or '?'}",
            "address": unit.address,
            "controllers": str(len(settings.nodes) + len(settings.devices)),
            "may": await self._role(unit),
            "updates": "pull" * bool(found.simple_update) + " push" * bool(found.push) or "none",
        }

    async def _role(self, unit: Unit) -> str:
        controller = self.link.controller(unit.address)
        try:
            accounts = (await self.link.get(controller, controller.path("AccountService/Accounts"))).body
            for link in list(accounts.get("Members") or ())[:16]:
                body = (await self.link.get(controller, str(link["@odata.id"]))).body
                if body.get("UserName") == self.link.settings.user:
                    return str(body.get("RoleId") or "unknown")
        except (Rejected, KeyError, TypeError):
            return "unknown: the accounts cannot be read"
        return "unknown: our account is not listed"
