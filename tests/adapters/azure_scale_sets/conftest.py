"""A double of Azure for each test, and time that passes when a test says so."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.adapters.azure_scale_sets.azure import Azure, serving
from tests.adapters.azure_scale_sets.site import ScaleSets


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
def azure() -> Azure:
    return Azure()


@pytest.fixture
def port(azure: Azure) -> Iterator[int]:
    with serving(azure) as found:
        yield found


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def sets(azure: Azure, port: int, clock: SetClock, tmp_path: Path) -> Iterator[ScaleSets]:
    (tmp_path / "token").write_text("a-token")
    azure.add("gpu001", "gpu002")
    one = ScaleSets(f"http://127.0.0.1:{port}", tmp_path / "token", azure, clock)
    yield one
    one.close()
