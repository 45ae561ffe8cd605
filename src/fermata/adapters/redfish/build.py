"""The ports of Redfish."""

from collections.abc import Iterable, Mapping, Sequence

from fermata.adapters.controller_http import Busy, Lost, Rejected, Unreachable
from fermata.adapters.redfish.firmware import Updates
from fermata.adapters.redfish.link import Link
from fermata.adapters.redfish.looking import Looks
from fermata.adapters.redfish.power import Resets
from fermata.adapters.redfish.settings import Settings
from fermata.adapters.side_by_side import AGAIN, Desk, Loop
from fermata.adapters.step_memory import open_shared
from fermata.domain.ids import DeviceId, NodeId, StepKey
from fermata.domain.observations import Answer, DeviceSeen, NodeSeen, Progress
from fermata.ports import AdapterPorts, ApplyAsk, Ask, Clock, Refused, TryLater

KIND = "redfish"
PORTS = frozenset({"inventory", "firmware", "power"})


class RedfishFirmware(Desk):
    """Firmware."""

    def __init__(self, loop: Loop, updates: Updates) -> None:
        super().__init__(loop)
        self._updates = updates

    def apply(self, asks: Sequence[ApplyAsk]) -> Mapping[StepKey, Answer]:
        """See the port."""
        return dict(zip(_keys(asks), self.each(asks, self._updates.apply), strict=True))

    def observe(self, asks: Sequence[Ask]) -> Mapping[StepKey, Progress]:
        """See the port."""
        return dict(zip(_keys(asks), self.each(_keys(asks), self._updates.observe), strict=True))


class RedfishPower(Desk):
    """Power."""

    def __init__(self, loop: Loop, resets: Resets) -> None:
        super().__init__(loop)
        self._resets = resets

    def reboot(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """See the port."""
        answers = self.each(asks, lambda ask: self._resets.reset(ask, is_hard=False))
        return dict(zip(_keys(asks), answers, strict=True))

    def reset(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """See the port."""
        answers = self.each(asks, lambda ask: self._resets.reset(ask, is_hard=True))
        return dict(zip(_keys(asks), answers, strict=True))

    def observe(self, asks: Sequence[Ask]) -> Mapping[StepKey, Progress]:
        """See the port."""
        return dict(zip(_keys(asks), self.each(_keys(asks), self._resets.observe), strict=True))


class RedfishInventory(Desk):
    """Inventory. Units whose controllers do not answer are absent, like those that are not in the settings."""

    def __init__(self, loop: Loop, looks: Looks) -> None:
        super().__init__(loop)
        self._looks = looks

    def observe_nodes(self, nodes: Sequence[NodeId]) -> Mapping[NodeId, NodeSeen]:
        """See the port."""
        return {seen.node: seen for seen in self.each(nodes, self._looks.node) if seen is not None}

    def observe_devices(self, devices: Sequence[DeviceId]) -> Mapping[DeviceId, DeviceSeen]:
        """See the port."""
        return {seen.device: seen for seen in self.each(devices, self._looks.device) if seen is not None}


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
    looks = Looks(link=link, clock=clock)

    def close() -> None:
        loop.close(link.close)
        memory.close()

    def probe() -> Mapping[str, str]:
        try:
            return loop.run(looks.probe())
        except (Unreachable, Lost) as error:
            raise TryLater(AGAIN, str(error)) from error
        except Busy as busy:
            raise TryLater(busy.after, str(busy)) from busy
        except Rejected as rejected:
            raise Refused(str(rejected)) from rejected

    return AdapterPorts(
        close=close,
        probe=probe,
        inventory=RedfishInventory(loop, looks),
        firmware=RedfishFirmware(loop, Updates(link=link, memory=memory, clock=clock)),
        power=RedfishPower(loop, Resets(link=link, memory=memory, clock=clock)),
    )


async def _open(settings: Settings) -> Link:
    return Link(settings)


async def _nothing() -> None:
    """There is nothing to let go of."""


def _keys(asks: Iterable[Ask | ApplyAsk]) -> list[StepKey]:
    return [ask.key for ask in asks]
