"""The nearest known name."""

import pytest

from fermata.domain.names import Names

MANY = Names(
    f"h100-{region}-{i:02}-n{n:04}"
    for region in ("westus3", "uksouth", "norwayeast")
    for i in range(7)
    for n in range(1000)
)


@pytest.mark.parametrize(
    ("known", "wrong", "nearest"),
    [
        (["research", "applied"], "reserch", "research"),
        (["research", "applied"], "RESEARCH", "research"),
        (["research", "applied"], " applied ", "applied"),
        (["research", "applied"], "zzz", None),
        (["research"], "research", None),
        ([], "x", None),
        (["a" * 500], "a" * 499, None),
    ],
)
def test_nearest_of_few(known, wrong, nearest):
    assert Names(known).nearest(wrong) == nearest


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("h100-uksouth-03-n0512x", "h100-uksouth-03-n0512"),
        ("100-uksouth-03-n0512", "h100-uksouth-03-n0512"),
        ("h100-uksuoth-03-n0512", "h100-uksouth-03-n0512"),
        ("H100-UKSOUTH-03-N0512", "h100-uksouth-03-n0512"),
    ],
)
def test_nearest_of_many_is_found_at_either_end(wrong, nearest):
    assert MANY.nearest(wrong) == nearest


@pytest.mark.timeout(30)  # comparing each with all of them takes minutes
def test_fifty_names_are_looked_up_among_21000_without_comparing_each():
    assert len(MANY) == 21_000
    assert all(MANY.nearest(f"h100-westus3-02-n00{i}q") for i in range(50))
