"""The adapter keeps every sentence of Fermata's suite, with a proxy between it and the service that makes mishaps."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import burn_in_server
import fermata_burn_in
import pytest

from fermata.conformance import RETRY_AFTER, Bench, Mishap, Op, Trial, list_trials, open_proxy
from fermata.domain.ids import NodeId
from fermata.domain.routing import PortName
from fermata.ports import Refused

NODES = [NodeId(f"node-{number}") for number in (1, 2, 3)]
CANARY = "canary-3f9d"
TOKEN_ENV = "BURN_IN_TOKEN"


class WallClock:
    """Real time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def wait_until(self, instant: datetime, stop: object) -> datetime:
        raise AssertionError("an adapter does not wait")


@contextmanager
def open_bench() -> Iterator[Bench]:
    with (
        burn_in_server.running(CANARY, set(NODES)) as service,
        open_proxy("127.0.0.1", service.port) as proxy,
    ):
        settings = fermata_burn_in.Settings(url=proxy.url, token_env=TOKEN_ENV)
        ports = fermata_burn_in.build(settings, WallClock())
        bench = Bench(
            ports=ports,
            clock=WallClock(),
            nodes=NODES,
            wait=lambda: time.sleep(0.005),
            reopen=lambda: fermata_burn_in.build(settings, WallClock()),
            count_effects=lambda op, unit: service.started[unit] if op is Op.CHECK else 0,
            make_unhealthy=lambda node, is_sick: (service.sick.add if is_sick else service.sick.discard)(node),
            count_requests=lambda: len(proxy.passed),
            count_struck=proxy.count_struck,
            mishaps=frozenset(Mishap),
            strike=proxy.strike,
            await_hanging=proxy.await_hanging,
            retry_after=RETRY_AFTER,
            secrets=[CANARY],
            shown=[settings],
        )
        try:
            yield bench
        finally:
            bench.ports.close()


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_ENV, CANARY)


@pytest.mark.parametrize("trial", list_trials([PortName(name) for name in fermata_burn_in.PORTS]), ids=str)
def test_it_conforms(trial: Trial) -> None:
    with open_bench() as bench:
        trial.run(bench)


def test_a_token_that_the_service_does_not_know_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_ENV, "another")
    with open_bench() as bench, pytest.raises(Refused, match=f"401: see the token in {TOKEN_ENV}"):
        bench.ports.probe()
