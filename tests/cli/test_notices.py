"""Notices by a server that delivers by itself, and subscriptions by file."""

import time
from pathlib import Path

import pytest
from tests.cli.line import Line
from tests.conformance.receivers import receiving

from fermata.cli.serve import delivering
from fermata.settings import Settings
from fermata.wiring.clocks import SystemClock
from fermata.wiring.stores import open_database

PATIENCE_SECONDS = 30


def test_a_server_delivers_by_itself(imported: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "subscriptions.yaml"
    database = open_database(f"sqlite:///{imported.store}")
    try:
        with receiving() as receiver:
            target = f"{{url: '{receiver.url}'}}"
            path.write_text(f"subscriptions:\n  - {{id: own, channel: event_grid, target: {target}}}\n")
            refused = imported.run("subscriptions", "import", str(path))
            assert (refused.code, "is not https" in refused.err) == (1, True)
            monkeypatch.setenv("FERMATA_LOCAL_TARGETS", "1")
            assert imported.run("subscriptions", "import", str(path)).code == 0
            with delivering(database, Settings(), SystemClock()):
                until = time.monotonic() + PATIENCE_SECONDS
                while len(receiver.posts) < 2 and time.monotonic() < until:
                    time.sleep(0.05)
            assert [post.headers["aeg-event-type"] for post in receiver.posts] == ["Notification"] * 2
    finally:
        database.close()


def test_a_key_is_long_and_is_not_shown(imported: Line) -> None:
    words = ("subscriptions", "add", "pull", "ops", "--topic", "maintenance", "--key")
    assert "16 characters" in imported.run(*words, "short").err
    added = imported.run(*words, "a-key-of-twenty-four-signs", "--json")
    assert added.json["subscriptions"][0]["state"] == "open"
    assert "a-key" not in added.out + imported.run("subscriptions", "list", "--json").out
