"""Over a whole simulated day the board, the terminal's `watch` and `fermata status` show the same numbers."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.simulation import small, stagehand
from tests.simulation.rooms import ROUGH

from fermata.cli.main import main
from fermata.cli.watch_lines import facts
from fermata.domain.ids import RunId
from fermata.services.board import BoardReader
from fermata.sim.fates import NO_FAULTS, Faults

OF_RUN = ("run", "nodes_returned", "nodes_out", "nodes_in_tail", "in_service", "baseline_in_service")
OF_WINDOW = ("planned_start", "planned_end", "opened_at", "closed_at", "nodes", "taken", "returned")


class _Beside:
    """In the place of the rooms: looks at board and status whenever the conductor is through with an instant."""

    def __init__(self, found: stagehand.Rig, capture: pytest.CaptureFixture[bytes]) -> None:
        self._found, self._capture = found, capture
        self._reader = BoardReader(found.database)
        self.seen: list[tuple[dict[str, Any], dict[str, Any]]] = []

    def tend(self, run: RunId, now: datetime) -> datetime | None:
        status = self._ask()
        self.seen.append((facts(self._reader.snapshot(datetime.fromisoformat(status["as_of"]))), status))
        return now + timedelta(minutes=10)

    def _ask(self) -> dict[str, Any]:
        self._capture.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["status", "--json", "--store", str(self._found.folder / "store.sqlite")])
        assert not ended.value.code
        return dict(json.loads(self._capture.readouterr().out))


@pytest.mark.parametrize(("seed", "faults"), [(1, NO_FAULTS), (3, ROUGH), (8, ROUGH)])
def test_at_every_instant_of_a_day_all_show_the_same(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], seed: int, faults: Faults
) -> None:
    found = stagehand.set_up(
        stagehand.fresh_sqlite(tmp_path), tmp_path, fleet=small.fleet(3, 12), faults=faults, seed=seed
    )
    found.rooms = beside = _Beside(found, capfdbinary)
    found.conduct()
    assert len(beside.seen) >= 15
    assert len({status["nodes_returned"] for _, status in beside.seen}) > 3
    assert any(status["nodes_in_tail"] for _, status in beside.seen) is (faults is ROUGH)
    for board, status in beside.seen:
        at = status["as_of"]
        assert {name: board[name] for name in OF_RUN} == {name: status[name] for name in OF_RUN}, at
        windows = {window["window"]: window for window in status["windows"]}
        for lane in board["windows"]:
            told = windows[lane["window"]]
            assert {name: lane[name] for name in OF_WINDOW} == {name: told[name] for name in OF_WINDOW}, at
            enough = (told["forecast"] or {}).get("enough") or {"median": None, "bound": None}
            assert (lane["back_median"], lane["back_bound"]) == (enough["median"], enough["bound"]), at
            if told["state"] == "open" and at <= told["planned_end"]:
                assert lane["behind_minutes"] == told["behind_minutes"], at
