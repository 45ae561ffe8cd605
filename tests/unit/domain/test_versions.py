"""Versions compare part by part."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fermata.domain.versions import compare_versions, is_at_least, is_newer

VERSIONS = st.lists(
    st.sampled_from(["0", "1", "2", "10", "9", "A", "b", "CF", "B5", "rc1"]), min_size=1, max_size=4
).map(".".join)


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("1.9", "1.10"),
        ("1.2", "1.2.0"),
        ("28.39.1002", "28.43.2026"),
        ("96.00.B5.00.01", "96.00.CF.00.02"),
        ("570.172.08", "580.95.05"),
        ("2025.10.0", "2026.1.0"),
        ("1.9", "1.a"),
        ("1.0.rc1", "1.0.rc2"),
    ],
)
def test_older_versions_come_before_newer_ones(older: str, newer: str) -> None:
    assert compare_versions(older, newer) == -1
    assert compare_versions(newer, older) == 1
    assert is_newer(newer, older)
    assert not is_newer(older, newer)


@pytest.mark.parametrize(("left", "right"), [("1.0", "1.0"), ("1.01", "1.1"), ("1.RC", "1.rc")])
def test_leading_zeros_and_case_do_not_matter(left: str, right: str) -> None:
    assert compare_versions(left, right) == 0


def test_an_unknown_version_never_compares_and_is_never_enough() -> None:
    with pytest.raises(ValueError, match="unknown"):
        compare_versions("", "1.0")
    assert not is_at_least("", "1.0")


@given(VERSIONS, VERSIONS)
def test_swapping_the_sides_swaps_the_answer(left: str, right: str) -> None:
    assert compare_versions(left, right) == -compare_versions(right, left)


@given(VERSIONS, VERSIONS, VERSIONS)
def test_order_is_transitive(a: str, b: str, c: str) -> None:
    first, second, third = sorted([a, b, c], key=lambda v: [compare_versions(v, other) for other in (a, b, c)].count(1))
    assert compare_versions(first, second) <= 0
    assert compare_versions(second, third) <= 0
    assert compare_versions(first, third) <= 0
