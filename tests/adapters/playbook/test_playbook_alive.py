"""Whether a run goes on is told by its processes, and by its own word of how it ended."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from fermata.adapters.playbook import runs
from fermata.adapters.playbook.runs import IDENT, Runs

RUN = "20260106T010000-apply-1-1-abcd"


class Glimpsed(Runs):
    """Sees what it is told to, look by look."""

    def __init__(self, folder: Path, *looks: bool) -> None:
        super().__init__(cast(Any, SimpleNamespace(folder=folder)), cast(Any, None), cast(Any, None))
        self.looks = list(looks)

    def find_alive(self) -> Mapping[str, Sequence[int]]:
        return {RUN: [1]} if self.looks.pop(0) else {}


@pytest.mark.parametrize(
    ("looks", "is_written", "is_over"),
    [
        ((True,), False, False),
        ((False, True), False, False),
        ((False, False, False, True), False, False),
        ((False, False, False, False), False, True),
        ((False,), True, True),
        ((True,), True, False),
    ],
    ids=[
        "alive",
        "being replaced by a program",
        "likewise, on a busy machine",
        "cut off",
        "ended and gone",
        "ended, on its way out",
    ],
)
def test_a_run_is_over_when_it_says_so_or_has_no_process_at_any_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looks: tuple[bool, ...], is_written: bool, is_over: bool
) -> None:
    monkeypatch.setattr(runs, "LOOK_AGAIN_SECONDS", 0.0)
    seen = Glimpsed(tmp_path, *looks)
    if is_written:
        artifacts = tmp_path / "runs" / RUN / "artifacts" / IDENT
        artifacts.mkdir(parents=True)
        (artifacts / "rc").write_text("0")
    assert seen.is_over(RUN, seen.find_alive()) is is_over
    assert seen.looks == []
