"""A copy of a row with other fields is what `dataclasses.replace` makes, and knows the row's fields alone."""

from dataclasses import FrozenInstanceError, replace

import pytest
from tests.unit.domain.test_decide import reset_during

from fermata.domain.moving import moved
from fermata.domain.node_states import UnitKind, UnitState

ROW = reset_during("gpu", UnitKind.NODE)


def test_a_moved_row_is_what_replace_makes_of_it() -> None:
    before = replace(ROW)
    after = moved(ROW, state=UnitState.FAILED, version=9)
    assert after == replace(ROW, state=UnitState.FAILED, version=9)
    assert before == ROW  # which nobody changed


def test_a_row_is_not_moved_by_a_name_that_is_no_field() -> None:
    changes = {"stat": UnitState.FAILED}
    with pytest.raises(KeyError, match="stat"):
        moved(ROW, **changes)  # type: ignore[arg-type]


def test_a_moved_row_cannot_be_written_to() -> None:
    after = moved(ROW, version=9)
    with pytest.raises(FrozenInstanceError):
        after.version = 10  # type: ignore[misc]
