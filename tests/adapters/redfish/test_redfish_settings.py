"""The adapter of Redfish: settings that are wrong, secrets, vendors and images."""

import logging
from pathlib import Path
from typing import Any

import pytest
from tests.adapters.redfish.bench import COMPONENTS, SWITCH, Bench, about

from fermata.adapters.redfish.settings import Component, Model
from fermata.domain.observations import (
    Accepted,
    Denied,
    Succeeded,
)
from fermata.ports import Refused

pytestmark = pytest.mark.xdist_group("bmc")


def test_image_in_a_file_is_pushed(bench: Bench, tmp_path: Path) -> None:
    image = tmp_path / "BIOS-{version}.bin"
    pushed = {**COMPONENTS, "bios": Component(inventory=("BIOS",), image=str(image))}
    bench.more["models"] = {"gpu": Model(components=pushed), "switch": Model(components={"os": SWITCH})}
    ports = bench.open()
    assert ports.firmware is not None
    ask = bench.ask("bios", "3.0")
    missing = ports.firmware.apply([ask])[ask.key]
    assert isinstance(missing, Denied)
    (tmp_path / "BIOS-3.0.bin").write_bytes(b"image" * 100_000)
    assert isinstance(ports.firmware.apply([ask])[ask.key], Accepted)
    bench.later()
    assert isinstance(ports.firmware.observe([about(ask)])[ask.key], Succeeded)
    ports.close()
    assert bench.controller.firmware["BIOS"].waits == "3.0"


def test_openbmc_takes_one_target_and_the_settings_are_told_so(bench: Bench) -> None:
    bench.more["models"] = {
        "gpu": Model(components=COMPONENTS, vendor="openbmc"),
        "switch": Model(components={"os": SWITCH}),
    }
    ports = bench.open()
    assert ports.firmware is not None
    asks = [bench.ask("gpu_fw", "97.0"), bench.ask("bios", "2.0")]
    answers = ports.firmware.apply(asks)
    ports.close()
    assert "target" in answers[asks[0].key].why  # type: ignore[union-attr]
    assert isinstance(answers[asks[1].key], Accepted)


def test_wrong_password_is_refused_and_stands_in_no_log(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("REDFISH_PASSWORD", "hunter2-and-more")
    ports = bench.open()
    assert ports.firmware is not None
    with caplog.at_level(logging.DEBUG), pytest.raises(Refused) as refused:
        ports.probe()
    ask = bench.ask("bios", "2.0")
    answer = ports.firmware.apply([ask])[ask.key]
    ports.close()
    assert isinstance(answer, Denied)
    assert "hunter2" not in f"{caplog.text} {refused.value} {answer} {bench.settings()!r}"


def test_probe_says_who_it_is_and_what_we_may_do(bench: Bench) -> None:
    told = bench.ports.probe()
    assert told["version"] == "Redfish 1.18.0"
    assert told["may"] == "Administrator"
    assert told["updates"] == "pull push"


BAD: tuple[tuple[dict[str, Any], str], ...] = (
    ({"password_env": None}, "password_env or password_file"),
    ({"nodes": {"x": {"address": "http://a", "model": "other"}}}, "other"),
    ({"devices": {"x": {"address": "http://a", "model": "gpu"}}}, "exactly one component"),
    ({"image": "http://images/{serial}.bin"}, "update, component and version"),
    ({"nodes": {"x": {"address": "http://user:word@a", "model": "gpu"}}}, "address"),
    ({"models": {"gpu": {"components": {}, "vendor": "acme"}}}, "acme"),
    ({"color": "red"}, "color"),
)


@pytest.mark.parametrize(("more", "says"), BAD, ids=[says for _, says in BAD])
def test_wrong_settings_say_what_is_wrong(bench: Bench, more: dict[str, Any], says: str) -> None:
    bench.more |= more
    with pytest.raises(ValueError, match=says):
        bench.settings()


def test_missing_password_names_its_place(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDFISH_PASSWORD")
    with pytest.raises(Refused, match="REDFISH_PASSWORD"):
        bench.open()
