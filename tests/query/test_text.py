"""What a query's text alone decides: what is put in, where faults lie, what is never translated."""

import pytest

from fermata.query.answers import FaultKind, QueryFault
from fermata.query.text import DEPTH_MAX, PIPES_MAX, TEXT_BYTES_MAX, prepare


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("resources | count", "resources | count"),
        ("where a == 1", "resources | where a == 1"),
        ("| count", "resources | count"),
        ("count", "resources | count"),
        ("  // first\n  top 3 by id", "  // first\n  resources | top 3 by id"),
        ("let x = 1; where a == x", "let x = 1; resources | where a == x"),
        ("let where1 = resources; where1 | count", "let where1 = resources; where1 | count"),
        ("union a, b", "union a, b"),
        ("print x = 1", "print x = 1"),
        ("t | where a between (1 .. 2+3)", "t | where a between ((1 ) .. ( 2+3))"),
        ("t | where a !between (f(1) .. g(2, 3)) and b", "t | where a !between ((f(1) ) .. ( g(2, 3))) and b"),
        ("print '(1 .. 2)', between", "print '(1 .. 2)', between"),
        ("print @'between (1 .. ''2)', h\"a\\\"b\"", "print @'between (1 .. ''2)', h\"a\\\"b\""),
    ],
)
def test_what_real_queries_leave_out_is_put_in(given: str, read: str) -> None:
    assert prepare(given).kql == read


def test_places_are_those_of_the_text_as_it_was_given() -> None:
    text = "where a between (1 .. 2)\n| wherre b"
    prepared = prepare(text)
    assert prepared.place(2, 2) == (2, 2)
    assert prepared.place(1, prepared.kql.index("a between")) == (1, text.index("a between"))
    assert prepared.place(1, prepared.kql.index(" 2)")) == (1, text.index(" 2)"))
    assert prepared.place(1, 0) == (1, 0)


@pytest.mark.parametrize(
    ("text", "kind", "place"),
    [
        ("", FaultKind.UNPARSABLE, (1, 0)),
        ("// nothing", FaultKind.UNPARSABLE, (1, 0)),
        (".show tables", FaultKind.FORBIDDEN, (1, 0)),
        ("// a\n .set x <| resources", FaultKind.FORBIDDEN, (2, 1)),
        ("resources; resources", FaultKind.FORBIDDEN, (1, 11)),
        ("resources; .drop table x", FaultKind.FORBIDDEN, (1, 11)),
        ("set notruncation; resources", FaultKind.FORBIDDEN, (1, 0)),
        ("declare query_parameters(a:string); resources", FaultKind.FORBIDDEN, None),
        ("database('raw').node", FaultKind.FORBIDDEN, (1, 0)),
        ("union resources, cluster('x').database('y').z", FaultKind.FORBIDDEN, (1, 17)),
        ("external_table('x')", FaultKind.FORBIDDEN, (1, 0)),
        ("print '" + "x" * TEXT_BYTES_MAX + "'", FaultKind.OVER_LIMIT, None),
        ("print " + "(" * (DEPTH_MAX + 1), FaultKind.OVER_LIMIT, (1, 6 + DEPTH_MAX)),
        ("t" + " | take 1" * (PIPES_MAX + 1), FaultKind.OVER_LIMIT, None),
        ("t" + " | join (t) on a" * 4, FaultKind.OVER_LIMIT, None),
        ("t | join (t | lookup t on a | join t on a) on a | lookup t on a", FaultKind.OVER_LIMIT, None),
        ("t" + " | mv-expand a" * 3 + " | mvexpand a", FaultKind.OVER_LIMIT, None),
    ],
)
def test_texts_that_are_never_translated(text: str, kind: FaultKind, place: tuple[int, int] | None) -> None:
    with pytest.raises(QueryFault) as raised:
        prepare(text)
    fault = raised.value.fault
    assert fault.kind is kind
    assert place is None or (fault.line, fault.column) == place


def test_three_joins_and_three_expansions_are_allowed() -> None:
    assert prepare("t" + " | join (t) on a" * 3 + " | mv-expand a" * 3).is_ordered is False
    assert prepare("t | sort by a asc").is_ordered
