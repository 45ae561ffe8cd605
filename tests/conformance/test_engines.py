"""One suite over both drivers and both databases: the same campaign with the same faults ends the same everywhere."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conformance import engines
from tests.simulation import small, stagehand
from tests.simulation.conftest import closed_stores

from fermata.domain.run_states import RunState
from fermata.store import leases, runs

__all__ = ["closed_stores"]

pytestmark = [pytest.mark.timeout(180), pytest.mark.xdist_group("temporal")]


@pytest.fixture(scope="module")
def temporal() -> Iterator[str]:
    with engines.temporal_server() as address:
        yield address


def set_up(url: str, folder: Path) -> stagehand.Rig:
    folder.mkdir()
    return stagehand.set_up(url, folder, fleet=small.fleet(clusters=2, nodes=4), faults=engines.ROUGH, seed=11)


@pytest.fixture
def expected(tmp_path: Path) -> stagehand.Rig:
    """The same campaign in one process, on SQLite."""
    folder = tmp_path / "expected"
    url = f"sqlite:///{tmp_path / 'expected.sqlite'}"
    stagehand.migrate(url)
    rig = set_up(url, folder)
    assert rig.conduct().state is RunState.FINISHED
    return rig


def assert_same(rig: stagehand.Rig, expected: stagehand.Rig) -> None:
    with rig.database.read() as conn:
        run = runs.load_run(conn, rig.run)
        assert leases.load_leases(conn, rig.run) == {}
    assert run is not None
    assert run.state is RunState.FINISHED
    assert engines.ending(rig.database, rig.run) == engines.ending(expected.database, expected.run)
    found, wanted = engines.told(rig.database), engines.told(expected.database)
    assert found - wanted == wanted - found == type(found)()
    steps, others = rig.reopened().world.steps, expected.world.steps
    assert {key: step.at for key, step in steps.items()} == {key: step.at for key, step in others.items()}


@pytest.mark.parametrize("workers", [1, 2])
def test_embedded_workers_end_as_one_process_does(
    store_url: str, tmp_path: Path, expected: stagehand.Rig, workers: int
) -> None:
    rig = set_up(store_url, tmp_path / "rig")
    engines.on_embedded(rig, workers)
    assert_same(rig, expected)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_temporal_ends_as_one_process_does(
    store_url: str, tmp_path: Path, expected: stagehand.Rig, temporal: str, workers: int
) -> None:
    rig = set_up(store_url, tmp_path / f"rig-{workers}")
    engines.on_temporal(rig, temporal, workers)
    assert_same(rig, expected)
