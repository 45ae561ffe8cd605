"""One loaded database for all tests that only ask it."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.query import world

from fermata.query.answers import Answer, Question
from fermata.query.duck import Bounds, Duck
from fermata.query.facts import Facts
from fermata.query.tables import build_tables

BOUNDS = Bounds(threads=1, memory_mib=256)


@pytest.fixture(scope="session")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    return world.facts(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="session")
def duck(facts: Facts) -> Duck:
    return Duck(build_tables(facts).tables, BOUNDS)


@pytest.fixture
def ask(duck: Duck) -> Callable[..., Answer]:
    """Answers a query in this process."""

    def answer(text: str, **options: Any) -> Answer:
        return duck.ask(Question(text=text, now=world.NOW, **({"limit": 1000} | options)), seconds=20)

    return answer
