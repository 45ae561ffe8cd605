"""Calls that were intended and not made, since the process died or the target was busy: what operators say until then
counts, as it does for whatever was never intended.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.simulation import small, stagehand
from tests.simulation.crashing import Killed, Saboteur
from tests.simulation.test_intents import MINUTE, NODE, SCOPES, nodes, say, two_windows

from fermata.domain.node_states import FINAL, UnitState
from fermata.domain.run_states import Desired, RunState
from fermata.ports import TryLater
from fermata.sim.fates import NO_FAULTS


class Busy:
    """Workloads that are put off for `after` whenever `verb` is asked."""

    def __init__(self, port: Any, verb: str, after: timedelta) -> None:
        self._port, self._verb, self._after = port, verb, after

    def __getattr__(self, name: str) -> Any:
        return self._put_off if name == self._verb else getattr(self._port, name)

    def _put_off(self, _asks: Sequence[Any]) -> Any:
        raise TryLater(self._after)


def intend(rig: stagehand.Rig, verb: str, how: str) -> None:
    """Conducts until `verb` is intended for the nodes of the first window, and was not asked."""
    own = rig.site
    if how == "killed":
        rig.site = Saboteur(lambda _, point: point == f"before workloads.{verb}").around(own)
        with pytest.raises(Killed):
            rig.conduct()
        rig.restart()
        return
    rig.site = replace(own, workloads=Busy(own.workloads, verb, 10 * MINUTE))
    rig.conduct(until=small.START + MINUTE)
    rig.site = own


def asked(rig: stagehand.Rig, verb: str) -> set[str]:
    return {step.unit for step in rig.world.steps.values() if step.op == verb and step.unit.startswith("c0")}


@pytest.mark.parametrize("how", ["killed", "busy"])
@pytest.mark.parametrize("verb", ["lock", "drain"])
@pytest.mark.parametrize("scope", ["window", "fleet"])
def test_what_was_put_off_is_not_asked_for_after_an_abort(tmp_path: Path, how: str, verb: str, scope: str) -> None:
    rig = two_windows(tmp_path, NO_FAULTS, seed=1)
    intend(rig, verb, how)
    assert asked(rig, verb) == set()
    say(rig, SCOPES[scope], Desired.ABORT)
    rig.conduct(until=small.START + 30 * MINUTE)
    assert asked(rig, verb) == set()
    mine = [op for op in nodes(rig).values() if op.window == "win-c0"]
    assert all(op.state in FINAL for op in mine)
    assert all(rig.world.nodes[NODE].in_service for op in mine)


@pytest.mark.parametrize("how", ["killed", "busy"])
@pytest.mark.parametrize("verb", ["lock", "drain"])
def test_what_was_put_off_waits_while_it_is_paused_and_goes_on_when_it_is_resumed(
    tmp_path: Path, how: str, verb: str
) -> None:
    rig = two_windows(tmp_path, NO_FAULTS, seed=1)
    intend(rig, verb, how)
    say(rig, SCOPES["window"], Desired.PAUSE)
    rig.conduct(until=small.START + 40 * MINUTE)
    assert asked(rig, verb) == set()
    state = UnitState.LOCKED if verb == "lock" else UnitState.DRAINING
    assert {(op.state, op.reason is not None) for op in nodes(rig).values()} == {(state, True)}
    say(rig, SCOPES["window"], Desired.RUN)
    assert rig.conduct().state is RunState.FINISHED
    stagehand.assert_nothing_lost(rig)


@pytest.mark.parametrize("verb", ["lock", "drain"])
def test_a_run_that_stops_goes_on_with_what_was_put_off(tmp_path: Path, verb: str) -> None:
    rig = two_windows(tmp_path, NO_FAULTS, seed=1)
    intend(rig, verb, "killed")
    say(rig, SCOPES["run"], Desired.STOP)
    rig.conduct(until=small.START + 30 * MINUTE)
    assert asked(rig, verb) == {name for name in nodes(rig) if name.startswith("c0")}
