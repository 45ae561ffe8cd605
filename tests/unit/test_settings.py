"""Process settings: what wins, and that every one of them is documented."""

from pathlib import Path

import pytest

from fermata.settings import BadSetting, Settings, is_loopback, read_settings


def test_the_command_line_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FERMATA_PORT", "9000")
    monkeypatch.setenv("FERMATA_SEED", "5")
    found = read_settings(port=9001, seed=None)
    assert (found.port, found.seed, found.host) == (9001, 5, "127.0.0.1")


@pytest.mark.parametrize(("name", "value"), [("port", 70_000), ("speed", 0), ("seed", -1)])
def test_settings_out_of_range_are_refused(name: str, value: int) -> None:
    with pytest.raises(BadSetting, match=f"FERMATA_{name.upper()}"):
        read_settings(**{name: value})


def test_every_setting_is_documented() -> None:
    text = Path("docs/demo.md").read_text(encoding="utf-8")
    assert [name for name in Settings.model_fields if f"`FERMATA_{name.upper()}`" not in text] == []


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False)]
    + [(host, False) for host in ("10.0.0.1", "example.com", "")],
)
def test_loopback_is_what_only_this_machine_reaches(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
