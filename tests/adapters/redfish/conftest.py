"""The emulator that the tests of the adapter share, and a controller of it for each."""

from collections.abc import Iterator

import pytest
from tests.adapters.redfish.bench import FRESH, NAMES, PASSWORD, PLAIN, Bench
from tests.bmc.running import Running, running

from fermata.bmc.fleet import Bmcs, Fleet


@pytest.fixture(scope="session")
def found() -> Iterator[Running]:
    bmcs = (Bmcs(names=NAMES, profile="plain"), Bmcs(names=("mute",), profile="mute"))
    mute = PLAIN.model_copy(update={"boot_progress": False, "last_reset_time": False})
    with running(Fleet(password=PASSWORD, bmcs=bmcs, profiles={"plain": PLAIN, "mute": mute})) as one:
        yield one


@pytest.fixture
def bench(found: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("REDFISH_PASSWORD", PASSWORD)
    one = Bench(found, next(FRESH))
    yield one
    one.close()
