"""Closes the stores that the tests of the conductor opened."""

from collections.abc import Iterator

import pytest
from tests.simulation import stagehand


@pytest.fixture(autouse=True)
def closed_stores() -> Iterator[None]:
    yield
    while stagehand.OPENED:
        stagehand.OPENED.pop().close()
