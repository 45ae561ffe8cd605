"""A bench over somebody's own system: real time, no handles but the system's own ports, and nodes given back after."""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from fermata.conformance.acting import OBSERVED
from fermata.conformance.bench import OF_DEVICES, PORT_OF, Bench, Broken, Op, Write
from fermata.conformance.sentences import wait_for_end
from fermata.domain.ids import DeviceId, NodeId
from fermata.domain.node_states import UnitKind
from fermata.domain.observations import Accepted, NeverAsked
from fermata.domain.routing import PortName
from fermata.domain.secrets import Secret
from fermata.ports import AdapterPorts, Clock

MOMENTS_SECONDS = (0.05, 2.0)  # the first wait of a trial and the longest: each is half as long again as the last
SECRET_LENGTH_MIN = 6  # shorter ones stand in other words by chance


class _Moments:
    """Waits that grow: what takes minutes is not asked about every moment."""

    def __init__(self) -> None:
        self._next, self._longest = MOMENTS_SECONDS

    def wait(self) -> None:
        time.sleep(self._next)
        self._next = min(self._next * 1.5, self._longest)


def make_live_bench(  # noqa: PLR0913 - all that whoever tries it may say
    build: Callable[[], AdapterPorts],
    settings: object,
    clock: Clock,
    *,
    nodes: Sequence[NodeId],
    devices: Sequence[DeviceId] = (),
    writes: Sequence[Write],
    device_writes: Sequence[Write] = (),
    may_write: bool,
    run: str,
) -> Bench:
    """`run`: another for each trial of a system, which remembers keys. With `may_write` the nodes are taken, and given
    back after each trial when what goes on on them has ended.
    """
    bench = Bench(
        ports=build(),
        clock=clock,
        nodes=nodes,
        devices=devices,
        wait=_Moments().wait,
        may_write=may_write,
        writes=writes,
        device_writes=device_writes,
        reopen=build,
        secrets=find_secrets(settings),
        shown=[settings],
        run=run,
    )
    bench.tidy = lambda: _give_back(bench)
    return bench


def find_secrets(settings: object) -> Sequence[str]:
    """What the settings name: secrets, environment variables (`..._env`) and files of secrets (`..._file`)."""
    found: list[str] = []
    for name, value in vars(settings).items():
        if isinstance(value, Secret):
            is_there = value.look()
            found.append(is_there if isinstance(is_there, str) else "")
        if isinstance(value, str | Path) and name.endswith("_env"):
            found.append(os.environ.get(str(value), ""))
        if isinstance(value, str | Path) and name.endswith(("token_file", "password_file", "key_file", "secret_file")):
            path = Path(value)
            found.append(path.read_text(encoding="utf-8", errors="replace").strip() if path.is_file() else "")
    return [secret for secret in found if len(secret) >= SECRET_LENGTH_MIN]


def _give_back(bench: Bench) -> None:
    """After a trial: what it began is let end, then the nodes go back. Raises Broken when one does not."""
    for op in (op for op in OBSERVED if bench.kind is UnitKind.NODE or PORT_OF[op] in OF_DEVICES):
        if getattr(bench.ports, PORT_OF[op]) is not None and (op is not Op.APPLY or bench.may_be_written):
            for unit in bench.units:
                if _is_asked(bench, op, unit):
                    wait_for_end(bench, op, unit)
    if getattr(bench.ports, PortName.WORKLOADS) is None or bench.kind is UnitKind.DEVICE:
        return
    taken = [unit for unit in bench.nodes if _is_asked(bench, Op.LOCK, unit) or _is_asked(bench, Op.DRAIN, unit)]
    ours = [unit for unit in taken if not _is_asked(bench, Op.GIVE_BACK, unit)]
    for name, answer in bench.ask(Op.GIVE_BACK, *ours, attempt=2).items() if ours else ():
        if not isinstance(answer, Accepted):
            raise Broken(f"after the trial {name} is not given back ({answer}): see to it by hand")


def _is_asked(bench: Bench, op: Op, unit: str) -> bool:
    return not isinstance(bench.observe(op, unit), NeverAsked)
