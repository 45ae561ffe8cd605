"""docs/adapters.md has a section for every kind of adapter that we bring: its settings, what it was run against."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from fermata.domain.routing import PortName
from fermata.wiring.kinds import BUILT_IN, list_kinds

PAGE = (Path(__file__).parents[1] / "docs" / "adapters.md").read_text(encoding="utf-8")
SECTION = re.compile(r"^### `([a-z0-9_]+)`\n(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)


def find_faults(page: str, kinds: Mapping[str, Any]) -> list[str]:
    """What a page lacks or has too much. A section: the first sentence of the docstring, the ports, a row for each
    setting, and a line that begins with "Run against".
    """
    sections = dict(SECTION.findall(page))
    faults = [f"{kind} is no kind" for kind in sections.keys() - kinds.keys()]
    for name, kind in kinds.items():
        text = " ".join(sections.get(name, "").split())
        if not text:
            faults.append(f"{name} has no section")
            continue
        wanted = [kind.summary, *(f"`{port}`" for port in kind.ports)]
        wanted += [f"| `{setting}` |" for setting in kind.settings.model_fields]
        faults += [f"{name}: {words} is missing" for words in wanted if words not in text]
        if not re.search(r"^Run against ", sections[name], re.MULTILINE):
            faults.append(f"{name}: what it was run against is missing")
    return faults


def test_every_kind_of_ours_stands_on_the_page() -> None:
    book = list_kinds()
    assert [kind.why for kind in book.unusable.values() if kind.origin == BUILT_IN] == []
    assert find_faults(PAGE, {name: kind for name, kind in book.kinds.items() if kind.origin == BUILT_IN}) == []


@dataclass
class Kind:
    summary: str
    ports: frozenset[PortName]
    settings: type[BaseModel]


class Settings(BaseModel):
    url: str = Field(description="Where it is")


def test_what_a_page_lacks_is_found() -> None:
    kinds = {"box": Kind("Boxes that hum.", frozenset({PortName.POWER}), Settings)}
    good = "### `box`\nBoxes that hum. Serves `power`.\n\n| `url` | where |\n\nRun against box 2.1.\n"
    assert find_faults(good, kinds) == []
    assert find_faults("", kinds) == ["box has no section"]
    assert find_faults(good + "## Other\n### `gone`\nIt went.\n", kinds) == ["gone is no kind"]
    for part in ("Boxes that hum.", "`power`", "| `url` |"):
        assert find_faults(good.replace(part, ""), kinds) == [f"box: {part} is missing"]
    assert find_faults(good.replace("Run", "Ran"), kinds) == ["box: what it was run against is missing"]
