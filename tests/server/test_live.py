"""The live board: what each viewer is sent, and what is sent again after a break."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping

import pytest

from fermata.server.live import VIEWERS_MAX, LiveBoard, Timing


class Source:
    """Parts that a test changes by hand; counts how often it was asked."""

    def __init__(self, **parts: str) -> None:
        self.parts = parts
        self.asked = 0
        self.broken = False

    async def render(self) -> Mapping[str, str]:
        self.asked += 1
        if self.broken:
            raise RuntimeError("the store is gone")
        return dict(self.parts)


def board_of(source: Source, refresh: float = 0.0, heartbeat: float = 5.0) -> LiveBoard:
    return LiveBoard(source.render, Timing(refresh=refresh, heartbeat=heartbeat))


def events(message: bytes) -> list[tuple[str, str]]:
    """Event names with their data, in order."""
    found = []
    for block in message.decode().strip().split("\n\n"):
        fields = [line.split(": ", 1) for line in block.splitlines()]
        name = next(value for key, value in fields if key == "event")
        found.append((name, "\n".join(value for key, value in fields if key == "data")))
    return found


def names(message: bytes) -> list[str]:
    return [name for name, _ in events(message)]


async def next_message(stream: AsyncIterator[bytes]) -> bytes:
    return await asyncio.wait_for(anext(stream), 5)


async def opened(board: LiveBoard, last_event_id: str | None) -> AsyncIterator[bytes]:
    stream = board.stream(last_event_id)
    assert (await next_message(stream)).startswith(b"retry: ")
    return stream


def test_new_viewer_gets_every_part_then_a_tick() -> None:
    async def story() -> None:
        board = board_of(Source(headline="<p>one</p>", tail="<p>two</p>"))
        await board.parts()
        message = await next_message(await opened(board, None))
        assert names(message) == ["headline", "tail", "tick"]

    asyncio.run(story())


def test_viewer_that_has_the_page_gets_only_what_changed_since() -> None:
    async def story() -> None:
        source = Source(headline="one", tail="two")
        board = board_of(source)
        await board.parts()
        seen = board.event_id
        source.parts["tail"] = "three"
        await board.parts()
        message = await next_message(await opened(board, seen))
        assert events(message)[:-1] == [("tail", "three")]

    asyncio.run(story())


def test_id_comes_last_so_that_a_message_cut_off_is_sent_again_whole() -> None:
    async def story() -> None:
        board = board_of(Source(headline="one", tail="two"))
        await board.parts()
        message = (await next_message(await opened(board, None))).decode()
        assert message.count("id: ") == 1
        assert message.index("id: ") > message.index("event: tick")

    asyncio.run(story())


def test_event_id_of_another_process_gets_everything() -> None:
    async def story() -> None:
        board = board_of(Source(headline="one"))
        await board.parts()
        for foreign in ("0badcafe-1", "nonsense", "", f"{board.event_id}x"):
            assert "headline" in names(await next_message(await opened(board, foreign)))

    asyncio.run(story())


def test_change_reaches_every_viewer_and_is_encoded_once() -> None:
    async def story() -> None:
        source = Source(headline="one")
        board = board_of(source)
        running = asyncio.create_task(board.run())
        await board.parts()
        streams = [await opened(board, board.event_id) for _ in range(50)]
        for stream in streams:
            await next_message(stream)
        source.parts["headline"] = "two"
        messages = [await next_message(stream) for stream in streams]
        assert {id(message) for message in messages} == {id(messages[0])}
        assert events(messages[0])[0] == ("headline", "two")
        running.cancel()

    asyncio.run(story())


def test_slow_viewer_skips_versions_and_gets_the_newest() -> None:
    async def story() -> None:
        source = Source(headline="0")
        board = board_of(source)
        await board.parts()
        stream = await opened(board, board.event_id)
        await next_message(stream)
        for number in range(1, 100):
            source.parts["headline"] = str(number)
            await board.parts()
        assert events(await next_message(stream))[0] == ("headline", "99")

    asyncio.run(story())


def test_snapshot_is_taken_once_however_many_ask() -> None:
    async def story() -> None:
        source = Source(headline="one")
        board = board_of(source, refresh=60)
        await asyncio.gather(*(board.parts() for _ in range(200)))
        assert source.asked == 1

    asyncio.run(story())


def test_nothing_is_read_while_nobody_watches() -> None:
    async def story() -> None:
        source = Source(headline="one")
        board = board_of(source, refresh=0.01)
        running = asyncio.create_task(board.run())
        await asyncio.sleep(0.1)
        assert source.asked == 0
        stream = await opened(board, None)
        await next_message(stream)
        await stream.aclose()  # type: ignore[attr-defined]
        await asyncio.sleep(0.05)
        asked = source.asked
        await asyncio.sleep(0.1)
        assert source.asked == asked
        assert board.viewers == 0
        running.cancel()

    asyncio.run(story())


def test_failed_refresh_is_told_and_taken_back(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        source = Source(headline="one")
        board = board_of(source, refresh=0.01)
        await board.parts()
        running = asyncio.create_task(board.run())
        stream = await opened(board, board.event_id)
        source.broken = True
        told = []
        for broken in (True, False):
            source.broken = broken
            trouble = None if broken else "set"
            while (trouble is None) is broken:
                tick = dict(events(await next_message(stream)))["tick"]
                trouble = json.loads(tick)["trouble"]
            told.append(trouble)
        assert told[0] is not None
        assert told[1] is None
        running.cancel()

    asyncio.run(story())
    assert "board.refresh_failed" in caplog.text


def test_heartbeat_comes_when_nothing_changes() -> None:
    async def story() -> None:
        board = board_of(Source(headline="one"), heartbeat=0.02)
        await board.parts()
        stream = await opened(board, board.event_id)
        assert [names(await next_message(stream)) for _ in range(3)] == [["tick"]] * 3

    asyncio.run(story())


def test_viewers_have_a_limit() -> None:
    board = board_of(Source())
    assert board.admits
    board.viewers = VIEWERS_MAX
    assert not board.admits


def test_lines_of_a_part_survive_the_stream() -> None:
    async def story() -> None:
        text = "<p>\n  one\n\n  two</p>"
        board = board_of(Source(headline=text))
        await board.parts()
        assert events(await next_message(await opened(board, None)))[0] == ("headline", text)

    asyncio.run(story())
