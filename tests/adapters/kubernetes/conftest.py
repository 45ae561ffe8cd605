"""A double of an API server for each test, and time that passes when a test says so."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from tests.adapters.kubernetes.api_server import ApiServer, serving
from tests.adapters.kubernetes.kube import Kube


class SetClock:
    """Stands still until `later`."""

    def __init__(self) -> None:
        self.at = datetime(2026, 1, 5, 8, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def later(self, minutes: float) -> None:
        self.at += timedelta(minutes=minutes)

    def wait_until(self, instant: datetime, stop: Callable[[], bool]) -> datetime:
        return self.at


@pytest.fixture
def api() -> ApiServer:
    return ApiServer()


@pytest.fixture
def port(api: ApiServer) -> Iterator[int]:
    with serving(api) as found:
        yield found


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def kube(port: int, clock: SetClock) -> Iterator[Kube]:
    one = Kube(f"http://127.0.0.1:{port}", "admin", clock=clock)
    one.add_node("gpu001")
    one.add_node("gpu002")
    yield one
    one.close()
