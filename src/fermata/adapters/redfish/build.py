"""The ports of Redfish: blocking calls of many items over one event loop in a thread of its own."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import CancelledError
from datetime import timedelta
from typing import Any, TypeVar

from fermata.adapters.redfish.firmware import Updates
from fermata.adapters.redfish.link import Busy, Link, Lost, Rejected, Unreachable
from fermata.adapters.redfish.looking import Looks
from fermata.adapters.redfish.memory import Memory
from fermata.adapters.redfish.power import Resets
from fermata.adapters.redfish.settings import Settings
from fermata.domain.ids import DeviceId, NodeId, StepKey
from fermata.domain.observations import Answer, DeviceSeen, NodeSeen, Progress
from fermata.ports import CALL_SIZE_MAX, AdapterPorts, ApplyAsk, Ask, Clock, OutcomeUnknown, Refused, TryLater

KIND = "redfish"
PORTS = frozenset({"inventory", "firmware", "power"})
AGAIN = timedelta(minutes=1)
CLOSE_SECONDS_MAX = 30.0
A = TypeVar("A")
B = TypeVar("B")


class _Loop:
    """An event loop that other threads hand work to."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="redfish", daemon=True)
        self._thread.start()
        self.is_closed = False

    def run(self, work: Coroutine[Any, Any, A]) -> A:
        """Waits for it. Raises OutcomeUnknown when it was cut short, TryLater when nothing is begun any more."""
        if self.is_closed:
            work.close()
            raise TryLater(AGAIN, "the adapter is closed")
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result()
        except (CancelledError, asyncio.CancelledError) as cut:
            raise OutcomeUnknown("the adapter was closed meanwhile") from cut

    def close(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Ends what hangs, does `last`, and stops. Harmless twice."""
        if self.is_closed:
            return
        self.is_closed = True
        try:
            asyncio.run_coroutine_threadsafe(_cut_short(last), self._loop).result(CLOSE_SECONDS_MAX)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(CLOSE_SECONDS_MAX)
            if not self._thread.is_alive():
                self._loop.close()


async def _cut_short(last: Callable[[], Coroutine[Any, Any, None]]) -> None:
    hanging = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in hanging:
        task.cancel()
    await asyncio.gather(*hanging, return_exceptions=True)
    await last()


class _Desk:
    """What the ports share: items side by side, as many as the bounds of the link let through."""

    def __init__(self, loop: _Loop) -> None:
        self._loop = loop

    def _each(self, items: Sequence[A], one: Callable[[A], Awaitable[B]]) -> list[B]:
        if len(items) > CALL_SIZE_MAX:
            raise ValueError(f"{len(items)} items in a call, at most {CALL_SIZE_MAX} are allowed")

        async def every() -> list[B]:
            return list(await asyncio.gather(*(one(item) for item in items)))

        return self._loop.run(every())


class RedfishFirmware(_Desk):
    """Firmware."""

    def __init__(self, loop: _Loop, updates: Updates) -> None:
        super().__init__(loop)
        self._updates = updates

    def apply(self, asks: Sequence[ApplyAsk]) -> Mapping[StepKey, Answer]:
        """See the port."""
        return dict(zip(_keys(asks), self._each(asks, self._updates.apply), strict=True))

    def observe(self, asks: Sequence[Ask]) -> Mapping[StepKey, Progress]:
        """See the port."""
        return dict(zip(_keys(asks), self._each(_keys(asks), self._updates.observe), strict=True))


class RedfishPower(_Desk):
    """Power."""

    def __init__(self, loop: _Loop, resets: Resets) -> None:
        super().__init__(loop)
        self._resets = resets

    def reboot(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """See the port."""
        answers = self._each(asks, lambda ask: self._resets.reset(ask, is_hard=False))
        return dict(zip(_keys(asks), answers, strict=True))

    def reset(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """See the port."""
        answers = self._each(asks, lambda ask: self._resets.reset(ask, is_hard=True))
        return dict(zip(_keys(asks), answers, strict=True))

    def observe(self, asks: Sequence[Ask]) -> Mapping[StepKey, Progress]:
        """See the port."""
        return dict(zip(_keys(asks), self._each(_keys(asks), self._resets.observe), strict=True))


class RedfishInventory(_Desk):
    """Inventory. Units whose controllers do not answer are absent, like those that are not in the settings."""

    def __init__(self, loop: _Loop, looks: Looks) -> None:
        super().__init__(loop)
        self._looks = looks

    def observe_nodes(self, nodes: Sequence[NodeId]) -> Mapping[NodeId, NodeSeen]:
        """See the port."""
        return {seen.node: seen for seen in self._each(nodes, self._looks.node) if seen is not None}

    def observe_devices(self, devices: Sequence[DeviceId]) -> Mapping[DeviceId, DeviceSeen]:
        """See the port."""
        return {seen.device: seen for seen in self._each(devices, self._looks.device) if seen is not None}


def build(settings: Settings, clock: Clock) -> AdapterPorts:
    """Nobody is asked before the first call. Raises Refused where the password or the certificates are missing."""
    loop = _Loop()
    try:
        link = loop.run(_open(settings))
    except BaseException:
        loop.close(_nothing)
        raise
    memory = Memory(settings.memory)
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
