"""docs/adapters.md has a section for every kind of adapter that we bring: its settings, what it was run against; every
port with all that may be asked of it, and every sentence of the suite.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from fermata.conformance.trials import SENTENCES
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


def find_suite_faults(page: str, sentences: Collection[str], ports: Collection[str]) -> list[str]:
    """Sentences that the suite has and the page has not, or the reverse, and ports that are no row of the table."""
    table, _, rest = page.partition("```sh")
    told = rest.partition("What it asks.")[2].partition("`open_proxy(")[0]
    listed = [
        sentence.strip().rstrip(".")
        for line in told.splitlines()
        if not line.endswith(":")
        for sentence in re.sub(r"^(- )?([oO]f `\w+`: )?", "", line).split(";")
        if sentence
    ]
    faults = [f"the suite has no sentence: {sentence}" for sentence in listed if sentence not in sentences]
    faults += [f"the page lacks: {sentence}" for sentence in sentences if listed.count(sentence) != 1]
    return faults + [f"no row for the port {port}" for port in ports if f"| `{port}` |" not in table]


def test_every_sentence_of_the_suite_and_every_port_stand_on_the_page() -> None:
    assert find_suite_faults(PAGE, [sentence.text for sentence in SENTENCES], list(PortName)) == []


def test_what_a_page_tells_wrongly_of_the_suite_is_found() -> None:
    asked = "What it asks. Of all:\n\n- a; b\n- of `power`: c, d\n\n`open_proxy("
    page = f"| `power` | switches |\n```sh\n\n## The suite\n\n{asked}"
    assert find_suite_faults(page, ["a", "b", "c, d"], ["power"]) == []
    assert find_suite_faults(page, ["a", "c, d"], ["power"]) == ["the suite has no sentence: b"]
    assert find_suite_faults(page, ["a", "b", "c, d", "e"], ["power"]) == ["the page lacks: e"]
    assert find_suite_faults(page, ["a", "b", "c, d"], ["jobs"]) == ["no row for the port jobs"]


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
