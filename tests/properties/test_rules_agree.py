"""What a rule tells the planner allows exactly what its check allows, on everything that the trials try."""

from collections.abc import Callable, Iterator

import pytest
from tests.properties import trial_shared, trial_split, trial_steps, trial_taken, trial_turns, trial_when
from tests.properties.planted import PLANTED, Fault, spoil_encoder

from fermata.planning.encoders import Encoder, list_encoders
from fermata.planning.encoding import Calendar, Capacity, Encoded, Parts, Steps, Takes, Turns

TRIALS: dict[type[Encoded], Callable[[Encoder], Iterator[str]]] = {
    Takes: trial_taken.find_disagreements,
    Parts: trial_split.find_disagreements,
    Calendar: trial_when.find_disagreements,
    Capacity: trial_shared.find_disagreements,
    Steps: trial_steps.find_disagreements,
    Turns: trial_turns.find_disagreements,
}

ENCODERS = {encoder.code: encoder for encoder in list_encoders()}


@pytest.mark.parametrize("encoder", list_encoders(), ids=lambda encoder: encoder.code)
def test_check_and_encode_allow_the_same(encoder: Encoder) -> None:
    assert list(TRIALS[encoder.kind](encoder)) == []


def test_a_wrong_encoder_is_planted_for_every_rule() -> None:
    assert PLANTED.keys() == ENCODERS.keys()
    assert [code for code, faults in PLANTED.items() if not any(fault.is_lax for fault in faults)] == []


@pytest.mark.parametrize(
    ("code", "fault"),
    [pytest.param(code, fault, id=f"{code}: {fault.how}") for code, faults in PLANTED.items() for fault in faults],
)
def test_a_wrong_encoder_is_found_out(code: str, fault: Fault) -> None:
    spoilt = spoil_encoder(ENCODERS[code], fault)
    assert next(TRIALS[spoilt.kind](spoilt), None) is not None
