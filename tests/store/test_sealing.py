"""Addresses that are secrets stand sealed in the store, and open where its key is."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import update
from tests.conftest import copy_sqlite

from fermata.domain.ids import SubscriptionId
from fermata.domain.subscriptions import ChannelKind, Subscription
from fermata.store import subscriptions
from fermata.store.codec import to_plain
from fermata.store.database import Database
from fermata.store.sealing import CannotSeal

CANARY = "canary-7f3a"
CHAT = Subscription(
    id=SubscriptionId("room"),
    channel=ChannelKind.CHAT,
    target={"url": f"slack://T1JJ3T3L2/A1BRTD4JD/{CANARY}/#ops"},
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
    created_by="op",
)
HOOK = replace(
    CHAT,
    id=SubscriptionId("hook"),
    channel=ChannelKind.EVENT_GRID,
    target={"url": f"https://h.example/x?code={CANARY}"},
)
TOPIC = {"properties": {"destination": {"properties": {"endpointUrl": f"https://h.example/x?code={CANARY}"}}}}


@pytest.fixture
def path(tmp_path: Path, sqlite_template: Path) -> Path:
    copy_sqlite(sqlite_template, tmp_path / "store.db")
    return tmp_path / "store.db"


@pytest.fixture
def db(path: Path) -> Iterator[Database]:
    opened = Database(f"sqlite:///{path}")
    yield opened
    opened.close()


def bytes_of(path: Path) -> bytes:
    return b"".join(each.read_bytes() for each in sorted(path.parent.glob("store.db*")) if each.suffix != ".seal")


def save(db: Database) -> None:
    with db.begin() as conn:
        subscriptions.save_subscription(conn, CHAT)
        subscriptions.save_subscription(conn, HOOK)
        subscriptions.save_topic(conn, "/t", TOPIC)


def test_no_secret_stands_in_the_store_and_whoever_asks_it_has_them(db: Database, path: Path) -> None:
    save(db)
    assert CANARY.encode() not in bytes_of(path)
    with db.read() as conn:
        assert subscriptions.load_subscriptions(conn) == {HOOK.id: HOOK, CHAT.id: CHAT}
        assert subscriptions.load_topics(conn) == {"/t": TOPIC}
    assert path.with_name("store.db.seal").stat().st_mode & 0o777 == 0o600


def test_without_the_key_nothing_opens_and_nothing_is_sent(db: Database, path: Path, tmp_path: Path) -> None:
    save(db)
    other = Database(f"sqlite:///{path}", seal_key=tmp_path / "other")
    with other.read() as conn:
        found = subscriptions.load_subscriptions(conn)
        assert CANARY not in str(found)
        assert not any(subscriptions.is_open(each) for each in found.values())
    other.close()


def test_what_is_moved_to_another_owner_does_not_open(db: Database) -> None:
    save(db)
    table = subscriptions.subscription
    with db.begin() as conn:
        body = conn.execute(table.select().where(table.c.id == HOOK.id)).one().body
        conn.execute(update(table).where(table.c.id == HOOK.id).values(body={**body, "id": "thief"}))
    with db.read() as conn:
        assert not subscriptions.is_open(subscriptions.load_subscriptions(conn)[SubscriptionId("thief")])


def test_a_new_key_goes_first_and_old_ones_open(db: Database, path: Path) -> None:
    save(db)
    key = path.with_name("store.db.seal")
    old = key.read_text()
    key.unlink()
    with db.begin() as conn:
        subscriptions.save_topic(conn, "/made", TOPIC)
    key.write_text(key.read_text() + old)
    with db.read() as conn:
        assert subscriptions.load_subscriptions(conn)[CHAT.id] == CHAT
        assert subscriptions.load_topics(conn) == {"/t": TOPIC, "/made": TOPIC}


@pytest.mark.parametrize("text", ["", "x", "c2hvcnQ="])
def test_a_key_that_is_none_seals_nothing_and_is_not_told(db: Database, path: Path, text: str) -> None:
    path.with_name("store.db.seal").write_text(text)
    with pytest.raises(CannotSeal) as why, db.begin() as conn:
        subscriptions.save_subscription(conn, CHAT)
    assert "c2hvcnQ" not in str(why.value)
    assert CANARY not in str(why.value)


def test_a_store_that_is_no_file_needs_a_key_that_is_named() -> None:
    from fermata.store.sealing import key_beside

    assert key_beside("postgresql+psycopg://h/x") is None
    assert key_beside("sqlite:///:memory:") is None


def test_what_an_older_release_left_open_is_sealed(db: Database, path: Path) -> None:
    save(db)
    table, topics = subscriptions.subscription, subscriptions.system_topic
    with db.begin() as conn:
        conn.execute(update(table).where(table.c.id == CHAT.id).values(body=to_plain(CHAT)))
        conn.execute(update(topics).values(body=TOPIC))
    with db.begin() as conn:
        assert subscriptions.seal_all(conn) == 2
    with db.begin() as conn:
        assert subscriptions.seal_all(conn) == 0
        assert CANARY not in str(conn.execute(table.select()).all()) + str(conn.execute(topics.select()).all())
