"""Fills a store with whatever release is on the path, up to a kill in the middle of a window, and writes down its rows
and the memory of its site. Made with each release that a later one is to be upgraded from:

    git archive RELEASE | tar -x -C FOLDER
    PYTHONPATH=FOLDER/src:FOLDER python tests/upgrade/fill.py tests/upgrade/RELEASE

`RELEASE.jsonl` has a line for each row, `["table", {"column": value}]`, parents first: times in ISO 8601, and what the
store keeps compressed as the JSON that it is. `RELEASE.world.jsonl` is the log of the simulated site.
"""

import json
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import MetaData, select
from tests.simulation import small, stagehand
from tests.simulation.crashing import Killed
from tests.simulation.test_kill import ROUGH

from fermata.domain.ids import CustomerId, SubscriptionId
from fermata.domain.request_kinds import RequestKind
from fermata.domain.subscriptions import ChannelKind, SubscriptionOrder
from fermata.domain.work_orders import Target, TargetLevel
from fermata.services.subscriptions import add_subscriptions
from fermata.services.work_orders import NewOrder, open_orders
from fermata.store.database import Database

SEED = 5  # with which two nodes of the first window stay on the tail list
KILLED_AT = small.START + timedelta(hours=3, minutes=15)  # nodes of the second window drain, apply and reboot


def fill(folder: Path) -> stagehand.Rig:
    """A run that was killed between asking the site for a step and writing down what it said."""
    found, updates, campaign = small.fleet(clusters=2, nodes=4), small.catalogue(), small.campaign()
    made = small.plan(found, updates, campaign, [small.START, small.START + timedelta(hours=2)])
    url = stagehand.fresh_sqlite(folder)
    rig = stagehand.set_up(
        url, folder, fleet=found, campaign=campaign, plan=made, catalogue=updates, faults=ROUGH, seed=SEED
    )
    speak(rig.database)

    def crash(point: str) -> None:
        if point == "performed" and rig.clock.now() >= KILLED_AT:
            raise Killed(point)

    try:
        rig.conduct(crash=crash)
    except Killed:
        return rig
    raise AssertionError("the run was over before it was killed")


def speak(database: Database) -> None:
    """Somebody listens, and somebody wants a node repaired."""
    listener = SubscriptionOrder(
        id=SubscriptionId("own"),
        channel=ChannelKind.PULL,
        target={"topic": "maintenance", "key": "a key that is no secret"},
        customers=frozenset({CustomerId("lumen")}),
    )
    said = {"now": small.NOW, "actor": "operator", "new_id": lambda kind: f"{kind}_1"}
    add_subscriptions(database, [listener], channels={}, **said)
    node = Target(level=TargetLevel.NODE, name="c1-n003")
    open_orders(database, [NewOrder(kind=RequestKind.REPAIR, target=node, cause="a fan")], **said)


def rows_of(database: Database) -> Iterator[list[Any]]:
    """Every row, with its table."""
    found = MetaData()
    with database.read() as conn:
        found.reflect(conn)
        for table in found.sorted_tables:
            for row in conn.execute(select(table).order_by(*table.primary_key)).mappings():
                yield [table.name, {name: as_json(value) for name, value in row.items()}]


def as_json(value: Any) -> Any:
    """A value as it can be read."""
    match value:
        case datetime():
            return value.replace(tzinfo=UTC).isoformat()
        case bytes():
            return json.loads(zlib.decompress(value))
        case _:
            return value


def main(target: Path) -> None:
    """Writes both files."""
    with tempfile.TemporaryDirectory() as name:
        rig = fill(Path(name))
        lines = [json.dumps(row, separators=(",", ":")) + "\n" for row in rows_of(rig.database)]
        target.with_suffix(".jsonl").write_text("".join(lines), encoding="utf-8")
        shutil.copy(small.world_path(Path(name)), target.with_suffix(".world.jsonl"))
        rig.database.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
