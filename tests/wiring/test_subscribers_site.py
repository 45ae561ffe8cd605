"""A site whose file says `subscribers`: what the conductor tells reaches people, and its end does, too."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.conformance.desks import OnCall
from tests.conformance.receivers import serving
from tests.simulation import small, stagehand
from tests.simulation.conftest import closed_stores

from fermata.cli.main import main
from fermata.domain.ids import StepKey, SubscriptionId
from fermata.domain.observations import Answer
from fermata.domain.run_states import RunState
from fermata.domain.subscriptions import ChannelKind, SubscriptionOrder
from fermata.execution.delivering import deliver_round
from fermata.execution.embedded import conduct
from fermata.execution.ownership import Ownership, SteadyWall
from fermata.ports import Notice, Notifier
from fermata.services.subscriptions import add_subscriptions
from fermata.settings import read_settings
from fermata.sim.fates import NO_FAULTS
from fermata.wiring.site import open_site
from fermata.wiring.telling import open_office

__all__ = ["closed_stores"]

CANARY = "canary-90d2"


@dataclass
class Both:
    """The people of the site, and the simulated crew that repairs what they are told of."""

    people: Notifier
    crew: Notifier

    def notify(self, notices: Sequence[Notice]) -> Mapping[StepKey, Answer]:
        self.crew.notify(notices)
        return self.people.notify(notices)


@pytest.fixture
def rig(tmp_path: Path) -> stagehand.Rig:
    """A third of the nodes never take the update."""
    faults = replace(NO_FAULTS, fails=0.35, mean_days_to_repair=0.5)
    return stagehand.set_up(
        stagehand.fresh_sqlite(tmp_path), tmp_path, fleet=small.fleet(nodes=12), seed=3, faults=faults
    )


@pytest.fixture
def site_file(tmp_path: Path) -> Path:
    path = tmp_path / "site.yaml"
    path.write_text("adapters: [{id: people, kind: subscribers}]\n", encoding="utf-8")
    return path


def test_what_fails_is_an_incident_until_it_is_back(
    rig: stagehand.Rig, site_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secrets" / "127.0.0.1" / "crew"
    secret.parent.mkdir(parents=True)
    secret.write_text(CANARY)
    monkeypatch.setenv("FERMATA_LOCAL_TARGETS", "1")
    monkeypatch.setenv("FERMATA_CHANNEL_SECRETS", str(tmp_path / "secrets"))
    office = open_office(rig.database, read_settings(), rig.clock)
    on_call = OnCall(routing_key=CANARY)
    with serving(on_call), open_site(site_file, rig.clock) as opened:
        target = {"url": on_call.url, "secret": "crew"}
        order = SubscriptionOrder(id=SubscriptionId("crew"), channel=ChannelKind.INCIDENT_API, target=target)
        add_subscriptions(
            rig.database,
            [order],
            now=rig.clock.now(),
            actor="op",
            new_id=lambda prefix: f"{prefix}_1",
            channels=office.channels,
        )
        assert opened.probe()[0].wrong, "no store yet"
        people = opened.over(rig.database).notifier
        assert opened.probe()[0].target["hear"] == "crew"
        run = conduct(
            rig.database,
            replace(rig.site, notifier=Both(people, rig.site.notifier)),
            rig.clock,
            rig.run,
            stop=lambda: False,
            ownership=Ownership(run=rig.run, owner="rig", wall=SteadyWall()),
        )
        assert run.state is RunState.FINISHED
        while deliver_round(office).did_something:
            pass
    stagehand.assert_nothing_lost(rig)
    assert len(on_call.opened) > 1, "some of them failed"
    assert set(on_call.incidents.values()) == {"resolved"}
    assert set(on_call.opened.values()) == {1}
    for event in on_call.log:
        if event["event_action"] == "trigger":
            assert "needs repair" in event["payload"]["summary"]
            assert event["payload"]["custom_details"]["text"]


def test_doctor_says_that_nobody_hears(rig: stagehand.Rig, site_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["adapters", "doctor", "--site", str(site_file), "--store", rig.database.url])
    assert ended.value.code == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "nobody hears what the conductor tells" in said
    assert "fermata subscriptions add" in said
