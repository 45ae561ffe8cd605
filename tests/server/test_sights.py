"""Contexts of parts of the fleet: what is watched stays fresh, what is not makes room, and nobody watches one that is
over.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace

import pytest
from fastapi import FastAPI

from fermata.domain.identity import Sight
from fermata.domain.ids import ClusterId
from fermata.server.context import Context
from fermata.server.live import LiveBoard, Timing
from fermata.server.sights import IDLE_SECONDS, KEPT_MOST, WATCHED_MOST, Sights
from fermata.services.board import Database

QUICK = Timing(refresh=0.02, heartbeat=60.0)
LONG = IDLE_SECONDS + 1


class World:
    """Contexts over views of one store; each board shows how many were drawn so far."""

    def __init__(self, whole: Context) -> None:
        self.at = 0.0
        self.drawn = 0
        self.whole = whole
        self.sights = Sights(whole, self.make, lambda: self.at)

    def make(self, view: Database) -> Context:
        return replace(self.whole, db=view, live=LiveBoard(self.draw, QUICK))

    async def draw(self) -> Mapping[str, str]:
        self.drawn += 1
        return {"headline": f"drawn {self.drawn}"}

    def look(self, number: int) -> LiveBoard:
        """The board of one of many parts."""
        sight = Sight(clusters=frozenset({ClusterId(f"c{number}")}))
        return self.sights.look(sight, to_change=False).live


Story = Callable[[World], Awaitable[None]]
Play = Callable[[Story], None]


@pytest.fixture
def play(app: FastAPI) -> Play:
    """Tells a story on a loop that boards run on."""

    def tell(story: Story) -> None:
        async def whole() -> None:
            world = World(app.state.context)
            world.sights.run_on(asyncio.get_running_loop())
            try:
                await story(world)
            finally:
                world.sights.close()

        asyncio.run(whole())

    return tell


async def watch(board: LiveBoard) -> AsyncIterator[bytes]:
    stream = board.stream(None)
    await asyncio.wait_for(anext(stream), 5)
    return stream


async def news(stream: AsyncIterator[bytes]) -> str:
    return (await asyncio.wait_for(anext(stream), 5)).decode()


async def is_fresh(stream: AsyncIterator[bytes]) -> bool:
    """Whether it is told what was drawn since."""
    before, after = await news(stream), await news(stream)
    return "drawn" in after and before != after


def test_a_part_that_somebody_watches_stays_fresh_however_long_nobody_asks_for_it(play: Play) -> None:
    async def story(world: World) -> None:
        board = world.look(1)
        stream = await watch(board)
        world.at += LONG
        world.look(2)
        assert await is_fresh(stream)
        assert world.look(1) is board

    play(story)


def test_a_part_that_was_watched_a_while_ago_is_still_kept(play: Play) -> None:
    async def story(world: World) -> None:
        board = world.look(1)
        board.viewers = 1
        world.at += LONG
        world.look(2)
        board.viewers = 0
        world.at += IDLE_SECONDS
        world.look(2)
        assert world.look(1) is board

    play(story)


def test_a_part_that_nobody_watches_is_closed_when_nobody_asked_for_it_for_a_while(play: Play) -> None:
    async def story(world: World) -> None:
        board = world.look(1)
        world.at += IDLE_SECONDS
        world.look(2)
        assert world.look(1) is board
        world.at += LONG
        world.look(2)
        assert world.look(1) is not board

    play(story)


def test_of_more_parts_than_are_kept_those_that_nobody_watches_go_first(play: Play) -> None:
    async def story(world: World) -> None:
        watched, quiet = world.look(0), world.look(1)
        stream = await watch(watched)
        for number in range(2, KEPT_MOST + 1):
            world.look(number)
        assert await is_fresh(stream)
        assert (world.look(0) is watched, world.look(1) is quiet) == (True, False)

    play(story)


def test_of_more_parts_than_may_be_watched_one_ends_its_streams_and_is_there_anew(play: Play) -> None:
    async def story(world: World) -> None:
        streams, boards = [], []
        for number in range(WATCHED_MOST):
            boards.append(world.look(number))
            streams.append(await watch(boards[number]))
        assert await is_fresh(streams[0])
        one_more = world.look(WATCHED_MOST)
        assert len([message async for message in streams[0]]) <= 2, "what was new before, and its end"
        assert await is_fresh(streams[1])
        assert world.look(WATCHED_MOST) is one_more
        assert world.look(0) is not boards[0]

    play(story)


def test_whoever_comes_to_a_board_that_was_just_closed_is_sent_away_to_come_back(play: Play) -> None:
    async def story(world: World) -> None:
        board = world.look(1)
        world.at += LONG
        world.look(2)
        stream = await watch(board)
        with pytest.raises(StopAsyncIteration):
            await news(stream)

    play(story)
