"""The small scenario with every name and text of it turned against whoever shows it."""

import csv
import io
import re
from collections.abc import Callable, Iterator
from typing import Any

import yaml
from tests.formats.conftest import Small

REFUSED = {
    "a terminal's order": "\x1b[31mred",
    "the same in one byte": "\x9b2J",
    "a bell": "x\x07",
    "a line": "x\nInjected: y",
    "a return": "x\rover",
    "a separator of lines": "x\u2028y",
    "turned around": "user\u202etxt.exe",
    "isolated": "\u2066x\u2069",
    "marked": "x\u200fy",
    "hidden": "al\u200bpha",
    "a mark of order": "x\ufeffy",
    "a tag": "x\U000e0041y",
    "too long": "x" * 20_001,
}  # by the format: what none of them may say
SHOWN = {
    "html": "\"><img src=x onerror=alert(1)><script>alert(1)</script>'",
    "template": "{{7*7}}${7*7}<%=7*7%>#{7*7}%s",
    "markup": "[red]x[/red][link=http://evil.example]y[/link]:warning:",
    "formula": "=cmd|' /C calc'!A0",
    "chat": "[x](javascript:alert(1)) @channel <!everyone> `x`",
    "calendar": ';:,\\nATTENDEE:mailto:x@evil.example"',
    "long": "y" * 150,
}  # which a name may be: what shows it makes it harmless
NAMES = {
    "alpha-n0", "alpha-n1", "alpha-n2", "beta-n0", "beta-n1", "alpha", "beta", "alpha-r0", "alpha-r1", "beta-r0",
    "alpha-su0", "beta-su0", "sc-1", "sc-2", "lumen", "meridian", "westus3", "uksouth", "westus3-dc1", "uksouth-dc1",
    "H100", "GB200", "training", "api", "chat", "alpha-r0-tor", "alpha-su0-leaf", "beta-leaf", "beta-r0-tor", "nic",
    "host-os", "nic-28.43", "leaf-31.2016", "host-os-2026.1", "host-os-2026.2-rc", "NIC firmware",
    "Leaf switch firmware",
    "Host repave", "Host repave, next", "lumen-capacity", "f1", "training run", "Small campaign", "nic_fw", "host_os",
    "tor_os", "ib_switch_fw",
}  # fmt: skip


def turn(small: Small, payload: str) -> None:
    """Every name of the scenario is followed by the payload, or begins with it where it only bites there."""

    def hostile(text: str) -> str:
        if text.startswith("component."):
            return f"component.{hostile(text.removeprefix('component.'))}"
        if text not in NAMES:
            return text
        return f"{payload} {text}" if payload.startswith("=") else f"{text}{payload}"

    for file in ("clusters", "nodes", "devices"):
        small.write(f"fleet/{file}.csv", change_table(small.text(f"fleet/{file}.csv"), hostile))
    for file in ("updates", "policy", "campaign"):
        found = yaml.safe_load(small.text(f"{file}.yaml"))
        small.write(f"{file}.yaml", yaml.safe_dump(change(found, hostile), allow_unicode=True, width=10_000))


def change_table(text: str, by: Callable[[str], str]) -> str:
    rows = [[by(cell) for cell in row] for row in csv.reader(io.StringIO(text))]
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()


def change(value: Any, by: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {key: change(inner, by) for key, inner in value.items()}
    if isinstance(value, list):
        return [change(inner, by) for inner in value]
    return by(value) if isinstance(value, str) else value


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where texts stand."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves(inner, (*path, index))
    elif isinstance(value, str):
        yield path


def put(value: Any, path: tuple[Any, ...], text: str) -> Any:
    for step in path[:-1]:
        value = value[step]
    value[path[-1]] = text


HARMFUL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff]"
)
