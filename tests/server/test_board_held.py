"""What holds work, or waits for a person, stands on top of the board, with what to do about it."""

import time
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from tests.server import world
from tests.server.conftest import QUICK
from tests.server.test_board import text_of
from tests.services.sources import LATER, SCENARIO, Keeper, without

from fermata.domain.ids import CampaignId, NodeId, WindowId
from fermata.domain.run_states import Desired
from fermata.formats.brake import BrakeFile
from fermata.services.board import BoardReader
from fermata.services.board_views import Held
from fermata.services.intents import Wanted, pull_brake, say
from fermata.services.inventory_held import drop_held, list_held
from fermata.store.database import Database

LOST = without(SCENARIO.fleet, "beta-n00", "beta-n01")
SOON = world.NOW - timedelta(minutes=5)


def held(db: Database, brake: BrakeFile | None = None) -> tuple[Held, ...]:
    return BoardReader(db, brake).snapshot(world.NOW).held


def lose(db: Database) -> Keeper:
    """A source that lost 2 of its nodes, more than it may."""
    keeper = Keeper(db)
    keeper.sync()
    keeper.sync(LOST, at=LATER)
    return keeper


def test_changes_of_inventory_that_are_held_stand_on_the_board_until_somebody_decides(db: Database) -> None:
    lose(db)
    reader = BoardReader(db)
    (told,) = reader.snapshot(world.NOW).held
    (view,) = list_held(db)
    assert told.sentence.startswith(view.reasons[0].sentence)
    assert told.commands == (
        f"fermata inventory held {view.id}",
        f"fermata inventory accept {view.id} --why ...",
        f"fermata inventory drop {view.id} --why ...",
    )
    assert reader.snapshot(world.NOW).held == (told,)
    drop_held(db, view.id, now=LATER, actor="operator-1", why="it was reinstalled")
    assert reader.snapshot(world.NOW).held == ()


def test_what_is_held_is_told_anew_when_the_source_says_something_else(db: Database) -> None:
    keeper = lose(db)
    reader = BoardReader(db)
    assert "lost 2 of" in reader.snapshot(world.NOW).held[0].sentence
    keeper.sync(without(LOST, "beta-n02"), at=LATER + timedelta(hours=1))
    (told,) = reader.snapshot(world.NOW).held
    assert "lost 3 of" in told.sentence


def test_the_page_says_what_is_held_and_the_commands(client: httpx.Client, db: Database, in_progress: object) -> None:
    assert 'class="held"' not in client.get("/").text
    say(db, Wanted(window=WindowId("w017")), Desired.PAUSE, now=SOON, actor="ann", why="<smoke>")
    say(db, Wanted(fleet=True), Desired.PAUSE, now=SOON, actor="ann", why="a storm")
    assert held(db) == (
        Held(
            sentence="The fleet is paused since 2026-01-07 22:35Z (ann: a storm).",
            commands=("fermata resume --fleet --reason ...",),
        ),
        Held(
            sentence="Window w017 is paused since 2026-01-07 22:35Z (ann: <smoke>).",
            commands=("fermata resume --window w017 --reason ...",),
        ),
    )
    time.sleep(QUICK.refresh)
    html = client.get("/").text
    assert all(command in html for each in held(db) for command in each.commands)
    assert "ann: &lt;smoke&gt;" in html
    assert "The fleet is paused since 2026-01-07 22:35Z (ann: a storm)." in text_of(html)


def test_a_run_that_ends_is_told_without_a_command_that_would_be_refused(db: Database, in_progress: object) -> None:
    campaign = CampaignId("january-repave")
    say(db, Wanted(campaign=campaign), Desired.PAUSE, now=SOON, actor="ann", why="x")
    assert [each.commands for each in held(db)] == [("fermata resume --reason ...",)]
    say(db, Wanted(campaign=campaign), Desired.STOP, now=SOON, actor="ann", why="x")
    assert [each.commands for each in held(db)] == [()]


def test_of_many_nodes_that_are_held_the_board_gives_the_number(db: Database) -> None:
    lose(db)
    names = tuple(NodeId(f"alpha-n0{index}") for index in range(6))
    say(db, Wanted(nodes=names[:5]), Desired.PAUSE, now=SOON, actor="ann", why="x")
    assert [each.commands[0] for each in held(db)][:2] == [
        "fermata resume --node alpha-n00 --reason ...",
        "fermata resume --node alpha-n01 --reason ...",
    ]
    say(db, Wanted(nodes=names[5:]), Desired.PAUSE, now=SOON, actor="ann", why="x")
    assert held(db)[0].sentence == "6 nodes are held one by one."
    assert len(held(db)) == 2, "and what is held of the inventory"


@pytest.mark.parametrize("is_known", [False, True])
def test_the_brake_stands_on_the_board_once_whether_or_not_the_store_knows(
    db: Database, tmp_path: Path, is_known: bool
) -> None:
    brake = BrakeFile(tmp_path / "the.brake")
    if is_known:
        pull_brake(lambda: nullcontext(db), brake, now=SOON, actor="ann", why="a storm")
    else:
        brake.pull("ann", "a storm", SOON)
    (told,) = held(db, brake)
    assert told.sentence == "The brake is on since 2026-01-07 22:35Z (ann: a storm): nothing new begins."
    assert told.commands == ("fermata brake off --reason ...",)
