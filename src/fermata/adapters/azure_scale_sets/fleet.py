"""The verbs that we use of Azure. An instance of a scale set with flexible orchestration is a virtual machine, which
has tags of its own, and a member of its set, which has the protection policy: two objects, each with its ETag.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.core.polling import AsyncLROPoller
from azure.mgmt.compute.models import (
    OrchestrationMode,
    VirtualMachine,
    VirtualMachineScaleSetVM,
    VirtualMachineScaleSetVMInstanceIDs,
    VirtualMachineScaleSetVMProperties,
    VirtualMachineScaleSetVMProtectionPolicy,
    VirtualMachineUpdate,
)

from fermata.adapters.azure_scale_sets.holds import Hold, read_hold, read_protection
from fermata.adapters.azure_scale_sets.link import NOT_FOUND, open_client, told, write
from fermata.adapters.azure_scale_sets.settings import Settings
from fermata.domain.observations import Answer, Denied
from fermata.ports import Refused

MODIFIED_BY_NOBODY = MatchConditions.IfNotModified


class Fleet:
    """The scale sets of a site. To be made and used within one event loop."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._client, self._credential = open_client(settings)
        self._room = asyncio.Semaphore(settings.calls_at_once)
        # on loopback there is no TLS, and the client gives its token only to those who have
        self._more: dict[str, Any] = {"enforce_https": False} if settings.url.startswith("http://") else {}

    async def close(self) -> None:
        """What goes on in Azure goes on."""
        await self._client.close()
        await self._credential.close()

    async def describe(self) -> Mapping[str, str]:
        """Of each scale set what matters here. Raises Refused for one whose instances cannot carry our tags."""
        found: dict[str, str] = {}
        for name in self.settings.scale_sets:
            with told(self.settings.url):
                one = await self._client.virtual_machine_scale_sets.get(
                    self.settings.resource_group, name, **self._more
                )
            properties = one.properties
            mode = properties.orchestration_mode if properties is not None else None
            if mode != OrchestrationMode.FLEXIBLE:
                raise Refused(
                    f"scale set {name} is not of flexible orchestration: its instances carry no tags of their own, so"
                    " nobody could tell whose hold is on one"
                )
            is_single = properties is not None and properties.single_placement_group is True
            capacity = one.sku.capacity if one.sku is not None else None
            groups = "one placement group" if is_single else "several placement groups"
            found[name] = f"{capacity if capacity is not None else '?'} instances, {groups}"
        return found

    async def look(self, names: Collection[str]) -> dict[str, Hold]:
        """The instances that are known of `names`, by node, with the protection of those that have our tag."""
        wanted, found = frozenset(names), dict[str, Hold]()
        for scale_set in self.settings.scale_sets:
            for node, vm in await self._list(scale_set):
                if node in wanted:
                    found[node] = replace(read_hold(self.settings.prefix, node, vm), scale_set=scale_set)
        tagged = [hold for hold in found.values() if hold.held_by]
        return found | {hold.node: hold for hold in await asyncio.gather(*map(self._protected, tagged)) if hold}

    async def fresh(self, known: Hold) -> Hold | None:
        """As it is now, with versions for writes; None: it is gone."""
        with told(self.settings.url):
            try:
                async with self._room:
                    vm = await self._client.virtual_machines.get(
                        self.settings.resource_group, known.vm, expand="instanceView", **self._more
                    )
            except HttpResponseError as error:
                if error.status_code == NOT_FOUND:
                    return None
                raise
        hold = replace(read_hold(self.settings.prefix, known.node, vm), scale_set=known.scale_set)
        return await self._protected(hold)

    async def tag(self, hold: Hold) -> Answer:
        """Writes the tags of `hold`, if nobody wrote to the instance since it was read."""
        if not hold.version:
            return Denied(why=f"Azure gives no ETag of {hold.node}: somebody's write could be lost under ours")
        call = self._client.virtual_machines.begin_update(
            self.settings.resource_group,
            hold.vm,
            VirtualMachineUpdate(tags=dict(hold.tags)),
            etag=hold.version,
            match_condition=MODIFIED_BY_NOBODY,
            polling=False,
            **self._more,
        )
        return await self._write(call, f"tags on {hold.node}")

    async def protect(self, hold: Hold, *, scale_in: bool, actions: bool) -> Answer:
        """Writes the protection policy, if nobody wrote it since it was read."""
        policy = VirtualMachineScaleSetVMProtectionPolicy(
            protect_from_scale_in=scale_in, protect_from_scale_set_actions=actions
        )
        properties = VirtualMachineScaleSetVMProperties(protection_policy=policy)
        version = hold.protection.version if hold.protection is not None else None
        call = self._client.virtual_machine_scale_set_vms.begin_update(
            self.settings.resource_group,
            hold.scale_set,
            hold.vm,
            VirtualMachineScaleSetVM(location=hold.location, properties=properties),
            etag=version,
            match_condition=MODIFIED_BY_NOBODY if version else None,
            polling=False,
            **self._more,
        )
        return await self._write(call, f"the protection of {hold.node}")

    async def deallocate(self, hold: Hold) -> Answer:
        """Begins it, on the instance itself: what is protected from actions of its scale set is not from these."""
        call = self._client.virtual_machines.begin_deallocate(
            self.settings.resource_group, hold.vm, polling=False, **self._more
        )
        return await self._write(call, f"to deallocate {hold.node}")

    async def start(self, scale_set: str, vms: Sequence[str]) -> AsyncLROPoller[None]:
        """Begins it, for several as one action of their scale set; raises what the client raises. Never without names,
        which Azure would take for all that there are.
        """
        assert vms, "a start without names is one of the whole scale set"
        async with self._room:
            if self.settings.starts == "singly":
                assert len(vms) == 1
                return await self._client.virtual_machines.begin_start(
                    self.settings.resource_group, vms[0], **self._more
                )
            return await self._client.virtual_machine_scale_sets.begin_start(
                self.settings.resource_group,
                scale_set,
                VirtualMachineScaleSetVMInstanceIDs(instance_ids=list(vms)),
                **self._more,
            )

    async def _write(self, call: Any, what: str) -> Answer:
        async with self._room:
            return await write(call, what)

    async def _list(self, scale_set: str) -> Iterable[tuple[str, VirtualMachine]]:
        settings = self.settings
        group = f"/subscriptions/{settings.subscription}/resourceGroups/{settings.resource_group}"
        parent = f"{group}/providers/Microsoft.Compute/virtualMachineScaleSets/{scale_set}"
        with told(settings.url):
            pages = self._client.virtual_machines.list(
                settings.resource_group,
                filter=f"'virtualMachineScaleSet/id' eq '{parent}'",
                expand="instanceView",
                **self._more,
            )
            return [(name, vm) async for vm in pages if (name := self._name(vm))]

    def _name(self, vm: VirtualMachine) -> str:
        if self.settings.node_name == "vm":
            return vm.name or ""
        profile = vm.properties.os_profile if vm.properties is not None else None
        return (profile.computer_name if profile is not None else None) or ""

    async def _protected(self, hold: Hold) -> Hold | None:
        """With its protection; None: it is gone."""
        with told(self.settings.url):
            try:
                async with self._room:
                    member = await self._client.virtual_machine_scale_set_vms.get(
                        self.settings.resource_group, hold.scale_set, hold.vm, **self._more
                    )
            except HttpResponseError as error:
                if error.status_code == NOT_FOUND:
                    return None
                raise
        return replace(hold, protection=read_protection(member))
