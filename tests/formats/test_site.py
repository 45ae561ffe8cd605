"""The file of a site: what it says when it is right, and where it is wrong."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field

from fermata.domain.ids import AdapterId, ClusterId
from fermata.domain.routing import PortName, Route
from fermata.formats.faults import BadInput
from fermata.formats.site import SiteBook, read_settings_file, read_site


class Limits(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    calls: int = Field(10, ge=1)


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    url: str
    token_file: Path | None = None
    seconds: float = 30.0
    limits: Limits = Limits()
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Kind:
    ports: frozenset[PortName]
    settings: type[BaseModel] = field(default=Settings)


KINDS = {
    "box": Kind(frozenset({PortName.POWER, PortName.FIRMWARE, PortName.INVENTORY})),
    "doctor": Kind(frozenset({PortName.VERIFIER})),
}
GOOD = """
adapters:
  - id: boxes
    kind: box
    settings: {url: "http://127.0.0.1:1", token_file: secrets/box, limits: {calls: 3}, names: [a, b]}
    serves:
      - {ports: [firmware, inventory], clusters: [alpha], components: [bmc_fw]}
      - {ports: [power], nodes: ["alpha-*"]}
  - {id: checks, kind: doctor, settings: {url: "http://127.0.0.1:2"}}
"""


def read(folder: Path, text: str) -> SiteBook:
    path = folder / "site.yaml"
    path.write_text(text, encoding="utf-8")
    return read_site(path, KINDS, unusable={"old": "it needs what is not installed here: boto"})


def faults(folder: Path, text: str) -> Sequence[str]:
    with pytest.raises(BadInput) as bad:
        read(folder, text)
    return [
        f"{fault.line}: {fault.sentence}" + (f" [{fault.suggestion}]" if fault.suggestion else "")
        for fault in bad.value.faults
    ]


def test_adapters_and_routes_stand_in_the_order_of_the_file(tmp_path: Path) -> None:
    book = read(tmp_path, GOOD)
    assert list(book.adapters) == ["boxes", "checks"]
    assert book.table.routes == (
        Route(
            adapter=AdapterId("boxes"),
            ports=frozenset({PortName.FIRMWARE, PortName.INVENTORY}),
            clusters=frozenset({ClusterId("alpha")}),
            components=frozenset({"bmc_fw"}),
        ),
        Route(adapter=AdapterId("boxes"), ports=frozenset({PortName.POWER}), nodes=("alpha-*",)),
        Route(adapter=AdapterId("checks"), ports=frozenset({PortName.VERIFIER})),
    )


def test_settings_are_those_of_the_kind_and_files_are_relative_to_the_folder(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD).adapters[AdapterId("boxes")].settings == Settings(
        url="http://127.0.0.1:1", token_file=tmp_path / "secrets" / "box", limits=Limits(calls=3), names=("a", "b")
    )


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        (
            "kind: doctor",
            "kind: doktor",
            '9: There is no kind of adapter "doktor". `fermata adapters list` shows them. [doctor]',
        ),
        (
            "kind: box",
            "kind: old",
            '4: Adapters of kind "old" cannot be used: it needs what is not installed here: boto',
        ),
        (
            'url: "http://127.0.0.1:1"',
            "seconds: x, url: u",
            "5: seconds: Input should be a valid number, unable to parse string as a number.",
        ),
        ('url: "http://127.0.0.1:1", ', "", '5: Setting "url" is missing.'),
        ("limits: {calls: 3}", "limits: {calls: 0}", "5: limits.calls: Input should be greater than or equal to 1."),
        ("limits: {calls", "limit: {calls", '5: Setting "limit" is unknown. [limits]'),
        (
            'settings: {url: "http://127.0.0.1:2"}',
            "settings: [x]",
            "9: adapters[1].settings is a list; it must be a mapping of settings.",
        ),
        (', settings: {url: "http://127.0.0.1:2"}', "", '9: Setting "url" is missing.'),
        (
            "ports: [power]",
            "ports: [workloads]",
            '8: adapters[0].serves[1].ports[0] is "workloads"; it must be inventory, firmware or power.',
        ),
        ("ports: [power]", "ports: []", "8: It names no port: leave the key out to serve all that the adapter can."),
        (
            "clusters: [alpha]",
            "clusters: []",
            "7: clusters is empty, which would mean none: leave it out for all of them.",
        ),
        (
            "clusters: [alpha]",
            "racks: [alpha]",
            '7: Key "racks" is unknown. Known here: ports, clusters, nodes, devices or components.',
        ),
        ("id: checks", "id: boxes", '9: Adapter "boxes" stands already on line 3.'),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, before: str, after: str, fault: str) -> None:
    assert before in GOOD
    assert fault in faults(tmp_path, GOOD.replace(before, after))


def test_a_site_without_adapters_is_refused(tmp_path: Path) -> None:
    assert faults(tmp_path, "adapters: []") == ["1: A site has at least one adapter."]


def test_a_refused_setting_is_not_repeated_since_it_may_be_a_secret(tmp_path: Path) -> None:
    text = GOOD.replace("seconds: x", "").replace("limits: {calls: 3}", "seconds: hunter2, tokn: hunter2")
    assert "hunter2" not in " ".join(faults(tmp_path, text))


def test_settings_alone_in_a_file_are_read_for_a_trial(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text("url: http://127.0.0.1:1\n", encoding="utf-8")
    assert read_settings_file(path, KINDS["box"]) == Settings(url="http://127.0.0.1:1")
    path.write_text("ulr: http://127.0.0.1:1\n", encoding="utf-8")
    with pytest.raises(BadInput, match='Setting "url" is missing'):
        read_settings_file(path, KINDS["box"])
