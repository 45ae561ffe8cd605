"""What is usual of a SKU is learned from the journal of checks that nodes passed."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from tests.simulation import small, stagehand
from typer.testing import CliRunner

from fermata.adapters.health_checks import read_baselines
from fermata.cli.main import build_app
from fermata.domain.hashing import to_plain
from fermata.domain.ids import StepKey
from fermata.domain.observations import Measured, Progress, Succeeded
from fermata.domain.run_states import RunState
from fermata.ports import Verifier
from fermata.services.health import learn
from fermata.store import journal
from fermata.store.journal import Entry


class Measuring:
    """The simulated verifier, whose checks measure something."""

    def __init__(self, verifier: Verifier) -> None:
        self.check, self._observe = verifier.check, verifier.observe

    def observe(self, keys: list[StepKey]) -> dict[StepKey, Progress]:
        measured = Measured(sentence="busbw 181 GB/s", figures={"busbw": 181.0})
        found = self._observe(keys)
        return {k: replace(p, measured=measured) if isinstance(p, Succeeded) else p for k, p in found.items()}


def test_what_the_last_check_of_every_node_measured_is_learned_and_judged_by(tmp_path: Path) -> None:
    fleet = small.fleet(clusters=1, nodes=24)
    plan = small.plan(fleet, small.catalogue(), small.campaign(), [small.START])
    rig = stagehand.set_up(stagehand.fresh_sqlite(tmp_path), tmp_path, fleet=fleet, plan=plan)
    rig.site = replace(rig.site, verifier=Measuring(rig.site.verifier))  # type: ignore[arg-type]
    assert rig.conduct().state is RunState.FINISHED
    now = rig.clock.now()
    found = learn(rig.database, now=now)
    (baseline,) = found.baselines
    assert (baseline.figure, baseline.median, baseline.nodes >= 20) == ("busbw", 181.0, True)
    file = tmp_path / "baselines.json"
    words = ["health", "learn", "--store", str(rig.database.url), "--out", str(file), "--json"]
    ran = CliRunner().invoke(build_app(words), words)
    assert ran.exit_code == 0, ran.output
    file.write_text(json.dumps({"schema": "fermata.baselines/1", **to_plain(found)}))  # the command learns as of today
    read = read_baselines(file)
    assert read.of(read.skus["c0-n001"]) == {"busbw": baseline}
    with rig.database.begin() as conn:
        regressed = [f"node:c0-n{index:03d}" for index in range(1, 7)]
        why = {"actor": "conductor", "event": "node.regressed", "why": "cannot be reached"}
        journal.append_many(conn, [Entry(at=now, subject=name, **why) for name in regressed])  # type: ignore[arg-type]
    assert learn(rig.database, now=now).baselines == (), "those that failed after their check are no healthy nodes"
    assert learn(rig.database, now=now + timedelta(days=365)).baselines == ()
