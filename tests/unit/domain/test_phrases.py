"""Names that are no single word are found in prose as they are written, and nowhere within longer ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fermata.domain.phrases import Phrases, is_word

NAMES = ("zoe@meridian.example", "meridian labs", "meridian labs europe", "(x) y", "@bob", "Groß & Sohn", "***")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("said zoe@meridian.example.", ["zoe@meridian.example"]),
        ("ZOE@Meridian.Example's", ["zoe@meridian.example"]),
        ("req_meridian labs_repair", ["meridian labs"]),
        ("of meridian labs europe", ["meridian labs europe"]),
        ("of meridian labs, europe", ["meridian labs"]),
        ("GROß & SOHN and ((x) y)", ["Groß & Sohn", "(x) y"]),
        ("to @bob", ["@bob"]),
        ("amelie.zoe@meridian.example2", []),
        ("meridian labs2 and 2meridian labs", []),
        ("meridian and labs", []),
        ("x@bob", []),
        ("meridian labs meridian labs", ["meridian labs", "meridian labs"]),
    ],
)
def test_a_name_is_found_where_it_stands_alone(text: str, found: list[str]) -> None:
    assert [name for _, _, name in Phrases(NAMES).find(text)] == found


def test_what_has_another_name_is_called_by_that_and_the_rest_stays() -> None:
    text = "meridian labs europe asked zoe@meridian.example for meridian labs"
    shown = Phrases(NAMES).replace(text, {"zoe@meridian.example": "(others)", "meridian labs": "(others)"})
    assert shown == "meridian labs europe asked (others) for (others)"


def test_an_address_and_two_words_are_no_word() -> None:
    assert [is_word(name) for name in ("zoe", "n-1.a_b", "zoe@x", "two words", "dot.", "")] == [
        True,
        True,
        *[False] * 4,
    ]


@given(
    st.text(st.sampled_from("aZ ß@.-_é2"), min_size=1, max_size=6),
    st.text(" .,()'/@", max_size=3),
    st.text(" _-", max_size=3),
)
def test_a_name_with_a_letter_is_found_between_signs(name: str, before: str, behind: str) -> None:
    found = list(Phrases([name]).find(f"{before}{name}{behind}"))
    assert bool(found) is any(each.isalnum() for each in name)
