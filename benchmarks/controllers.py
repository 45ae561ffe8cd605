"""Calls a second from one worker to emulated management controllers, beside bare GETs by the same HTTP library."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import aiohttp

import harness
from fermata.adapters import redfish
from fermata.domain.ids import NodeId, StepKey, UpdateId
from fermata.domain.observations import Accepted
from fermata.ports import CALL_SIZE_MAX, AdapterPorts, ApplyAsk, Ask
from harness import Benchmark, Case, Place, Sample, Watch

NODES = 1000
LOOKS = 3
GETS = 6000
AT_ONCE = 256
CALLS_PER_SECOND = 1000
START_SECONDS_MAX = 60.0
T = TypeVar("T")
PASSWORD_VARIABLE = "FERMATA_BENCHMARK_PASSWORD"


class WallClock:
    """Real time; nobody waits."""

    def now(self) -> datetime:
        """Aware UTC."""
        return datetime.now(UTC)

    def wait_until(self, instant: datetime, _stop: object) -> datetime:
        """Returns at once."""
        return self.now()


@contextmanager
def emulator(nodes: int) -> Iterator[Place]:
    """A process of its own for each run."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with TemporaryDirectory() as folder:
        fleet = Path(folder, "fleet.json")
        fleet.write_text(json.dumps({"password": "benchmark", "bmcs": [{"count": nodes}]}))
        command = [sys.executable, "-m", "fermata.bmc.main", str(fleet), "--port", str(port), "--virtual"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            url = f"http://127.0.0.1:{port}"
            deadline = time.monotonic() + START_SECONDS_MAX
            while not _answers(url):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit("the emulator did not start")
                time.sleep(0.05)
            yield {"url": url}
        finally:
            process.terminate()
            process.wait()


def bare_gets(nodes: int, place: Place) -> Sample:
    """One firmware inventory after the other, AT_ONCE at a time, by aiohttp alone."""
    names = _names(nodes)

    async def every() -> None:
        connector = aiohttp.TCPConnector(limit=AT_ONCE)
        auth = {"Authorization": aiohttp.encode_basic_auth("admin", "benchmark")}
        async with aiohttp.ClientSession(connector=connector, headers=auth) as client:

            async def one(number: int) -> None:
                path = f"/bmcs/{names[number % nodes]}/redfish/v1/UpdateService/FirmwareInventory/BIOS"
                async with client.get(place["url"] + path) as answer:
                    assert (await answer.json())["Version"]

            await asyncio.gather(*(one(number) for number in range(GETS)))

    with Watch() as watch:
        asyncio.run(every())
    return watch.sample(calls=GETS, calls_per_second=GETS / watch.seconds)


def look(nodes: int, place: Place) -> Sample:
    """The versions of every node and whether it is up, LOOKS times, sign-in included."""
    ports = _open(nodes, place)
    assert ports.inventory is not None
    names = [NodeId(name) for name in _names(nodes)]
    before = _calls(place)
    with Watch() as watch:
        for _ in range(LOOKS):
            for chunk in _chunks(names):
                assert len(ports.inventory.observe_nodes(chunk)) == len(chunk)
    return _sample(watch, ports, place, before, nodes=nodes)


def update(nodes: int, place: Place) -> Sample:
    """Two images staged on every node, and each task asked about once."""
    ports = _open(nodes, place)
    assert ports.firmware is not None
    asks = [_ask(name, component) for name in _names(nodes) for component in ("bios", "gpu_fw")]
    before = _calls(place)
    with Watch() as watch:
        for chunk in _chunks(asks):
            answers = ports.firmware.apply(chunk)
            assert all(isinstance(answer, Accepted) for answer in answers.values())
        for chunk in _chunks(asks):
            ports.firmware.observe([Ask(key=ask.key, unit=ask.unit) for ask in chunk])
    return _sample(watch, ports, place, before, updates=len(asks))


def _sample(watch: Watch, ports: AdapterPorts, place: Place, before: int, **figures: float) -> Sample:
    calls = _calls(place) - before
    ports.close()
    rate = calls / watch.seconds
    cpu = 1000 * watch.cpu_seconds / calls
    return watch.sample(calls=calls, calls_per_second=rate, worker_cpu_ms_per_call=cpu, **figures)


def _open(nodes: int, place: Place) -> AdapterPorts:
    os.environ[PASSWORD_VARIABLE] = "benchmark"
    components = {
        "bios": {"inventory": ["BIOS"], "image": "http://images/BIOS-{version}.bin"},
        "gpu_fw": {
            "inventory": [f"GPU_{number}" for number in range(8)],
            "image": "http://images/GPU-{version}.bin",
        },
    }
    settings = {
        "nodes": {name: {"address": f"{place['url']}/bmcs/{name}", "model": "gpu"} for name in _names(nodes)},
        "models": {"gpu": {"components": components}},
        "user": "admin",
        "password_env": PASSWORD_VARIABLE,
        "calls_at_once": AT_ONCE,
    }
    return redfish.build(redfish.Settings.model_validate(settings), WallClock())


def _ask(name: str, component: str) -> ApplyAsk:
    key = StepKey(f"run_1/win/{name}/apply:{component}/1")
    return ApplyAsk(key=key, unit=name, update=UpdateId(component), component=component, to_version="9.9")


def _names(nodes: int) -> list[str]:
    return [f"node{number:04d}" for number in range(1, nodes + 1)]


def _chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), CALL_SIZE_MAX):
        yield items[start : start + CALL_SIZE_MAX]


def _calls(place: Place) -> int:
    with urllib.request.urlopen(f"{place['url']}/control") as answer:
        return int(json.load(answer)["requests"])


def _answers(url: str) -> bool:
    try:
        return bool(_calls({"url": url}) >= 0)
    except OSError:
        return False


def main() -> None:
    """Runs it."""
    options = harness.read_options(__doc__ or "", runs=3)
    nodes = options.nodes or NODES
    cases = [
        Case(name="bare GETs", run=partial(bare_gets, nodes)),
        Case(name="look", run=partial(look, nodes), baseline="bare GETs"),
        Case(name="update", run=partial(update, nodes), baseline="bare GETs"),
    ]
    notes = (
        f"asked: {CALLS_PER_SECOND:,} calls a second from one worker; the emulator works on the same machine",
        "a look is two calls a node (the system, all versions in one expanded list) after sign-in and discovery",
    )
    title = f"calls to {nodes:,} emulated controllers"
    benchmark = Benchmark(
        name="controllers", title=title, cases=cases, each_run=partial(emulator, nodes), notes=notes,
        versions={"aiohttp": aiohttp.__version__},
    )  # fmt: skip
    harness.run(benchmark, options)


if __name__ == "__main__":
    main()
