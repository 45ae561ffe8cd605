"""The ports of NVUE."""

from collections.abc import Mapping, Sequence

from fermata.adapters.controller_http import Busy, Lost, Rejected, Unreachable
from fermata.adapters.nvue.images import Installs
from fermata.adapters.nvue.link import Link
from fermata.adapters.nvue.settings import Settings
from fermata.adapters.side_by_side import AGAIN, Desk, Loop
from fermata.adapters.step_memory import open_shared
from fermata.domain.ids import DeviceId, NodeId, StepKey
from fermata.domain.observations import Answer, DeviceSeen, NodeSeen, Progress
from fermata.ports import CALL_SIZE_MAX, AdapterPorts, ApplyAsk, Ask, Clock, Refused, TryLater

KIND = "nvue"
PORTS = frozenset({"inventory", "firmware"})


class NvueFirmware(Desk):
    """Firmware."""

    def __init__(self, loop: Loop, installs: Installs) -> None:
        super().__init__(loop)
        self._installs = installs

    def apply(self, asks: Sequence[ApplyAsk]) -> Mapping[StepKey, Answer]:
        """See the port."""
        return dict(zip([ask.key for ask in asks], self.each(asks, self._installs.apply), strict=True))

    def observe(self, asks: Sequence[Ask]) -> Mapping[StepKey, Progress]:
        """See the port."""
        keys = [ask.key for ask in asks]
        return dict(zip(keys, self.each(keys, self._installs.observe), strict=True))


class NvueInventory(Desk):
    """Inventory. Switches that do not answer are absent, like those that are not in the settings; so is every node."""

    def __init__(self, loop: Loop, installs: Installs) -> None:
        super().__init__(loop)
        self._installs = installs

    def observe_nodes(self, nodes: Sequence[NodeId]) -> Mapping[NodeId, NodeSeen]:
        """See the port."""
        if len(nodes) > CALL_SIZE_MAX:
            raise ValueError(f"{len(nodes)} items in a call, at most {CALL_SIZE_MAX} are allowed")
        return {}

    def observe_devices(self, devices: Sequence[DeviceId]) -> Mapping[DeviceId, DeviceSeen]:
        """See the port."""
        return {seen.device: seen for seen in self.each(devices, self._installs.see) if seen is not None}


def build(settings: Settings, clock: Clock) -> AdapterPorts:
    """Nobody is asked before the first call. Raises Refused where the password or the certificates are missing."""
    memory = open_shared(settings.memory, settings.memory_url_env)
    loop = Loop(KIND)
    try:
        link = loop.run(_open(settings))
    except BaseException:
        loop.close(_nothing)
        memory.close()
        raise
    installs = Installs(link=link, memory=memory, clock=clock)

    def close() -> None:
        loop.close(link.close)
        memory.close()

    def probe() -> Mapping[str, str]:
        try:
            return loop.run(installs.probe())
        except (Unreachable, Lost) as error:
            raise TryLater(AGAIN, str(error)) from error
        except Busy as busy:
            raise TryLater(busy.after, str(busy)) from busy
        except Rejected as rejected:
            raise Refused(str(rejected)) from rejected

    return AdapterPorts(
        close=close, probe=probe, inventory=NvueInventory(loop, installs), firmware=NvueFirmware(loop, installs)
    )


async def _open(settings: Settings) -> Link:
    return Link(settings)


async def _nothing() -> None:
    """There is nothing to let go of."""
