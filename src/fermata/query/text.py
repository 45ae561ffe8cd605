"""What may be asked, judged on the text alone: length, depth, statements, joins. Pure: knows tokens, no grammar.

Two things are added to a query so that real ones pass, both between tokens and never inside one: the table that Azure
lets a query leave out, and the parentheses that the translator wants around the ends of a `between`.
"""

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from fermata.query.answers import FaultKind, QueryFault, refuse

TEXT_BYTES_MAX = 16 * 1024  # a longer one takes the parser seconds
DEPTH_MAX = 32  # brackets within brackets; the translator recurses, and gives up at about twice that
PIPES_MAX = 100
JOINS_MAX = 3  # as Azure Resource Graph
EXPANDS_MAX = 3  # likewise
OPERATORS_MAX = 200  # chained; the translator and the database recurse, and run out of memory at 300
IMPLIED_TABLE = "resources"

_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
    |(?P<string>[hH]?@"(?:[^"\n]|"")*"|[hH]?@'(?:[^'\n]|'')*'|[hH]?```.*?```
        |[hH]?"(?:[^"\\\n]|\\.)*"|[hH]?'(?:[^'\\\n]|\\.)*')
    |(?P<word>[A-Za-z_]\w*(?:-[a-z]+)*)
    |(?P<number>\d+(?:\.\d+)?\w*)
    |(?P<mark>\.\.|!?[=~<>]+|!(?=[A-Za-z])|.)""",
    re.VERBOSE | re.DOTALL,
)
_OPEN, _CLOSE = {"(": ")", "[": "]", "{": "}"}, {")", "]", "}"}
OPERATORS = frozenset(
    {
        "where", "filter", "project", "project-away", "project-keep", "project-rename", "project-reorder", "extend",
        "summarize", "count", "distinct", "take", "limit", "top", "sort", "order", "join", "lookup", "union",
        "mv-expand", "mvexpand", "getschema",
    }
)  # fmt: skip
_JOINS, _EXPANDS = frozenset({"join", "lookup"}), frozenset({"mv-expand", "mvexpand"})
_CHAINED = frozenset({"and", "or", "+", "-", "*", "/", "%"})
_ORDERED = frozenset({"sort", "order", "top"})
_ELSEWHERE = frozenset({"database", "cluster", "external_table", "materialized_view", "stored_query_result", "table"})


@dataclass(frozen=True, slots=True)
class Token:
    """`kind` is string, word, number or mark; `at` the offset in the text."""

    kind: str
    text: str
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A query that may be translated. `added`: what was put in, by offset in the text as it was given.

    `is_ordered` says that its last step sorts, so that its rows have an order of their own.
    """

    given: str
    kql: str
    added: tuple[tuple[int, str], ...]
    is_ordered: bool
    words: frozenset[str]

    def place(self, line: int, column: int) -> tuple[int, int]:
        """Where a place of `kql` lies in the text as it was given; lines from 1, columns from 0."""
        offset = sum(len(part) for part in self.kql.split("\n")[: line - 1]) + line - 1 + column
        for at, text in self.added:
            if offset > at:
                offset = max(at, offset - len(text))
        before = self.given[:offset]
        return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1)


def prepare(text: str) -> Prepared:
    """Judges a query. Raises QueryFault; what passes is read-only KQL as far as its tokens can tell."""
    if len(text.encode("utf-8", "replace")) > TEXT_BYTES_MAX:
        raise refuse(FaultKind.OVER_LIMIT, f"a text of at most {TEXT_BYTES_MAX:,} bytes is read.")
    tokens = list(scan(text))
    if not tokens:
        raise refuse(FaultKind.UNPARSABLE, "it is empty, name a table such as resources.", line=1, column=0)
    if tokens[0].text == ".":
        raise _at(text, tokens[0], FaultKind.FORBIDDEN, "a command that begins with a dot.")
    _check_depth(text, tokens)
    _check_statements(text, tokens)
    steps = [b for a, b in itertools.pairwise(tokens) if a.text == "|" and b.kind == "word"]
    _check_steps(text, tokens, steps)
    added = tuple(sorted((*_implied_table(tokens), *_between_ends(tokens))))
    return Prepared(
        given=text,
        kql=_insert(text, added),
        added=added,
        is_ordered=bool(steps) and steps[-1].text in _ORDERED,
        words=frozenset(token.text for token in tokens if token.kind == "word"),
    )


def scan(text: str) -> Iterator[Token]:
    """The tokens, without space and comments. Never fails: what is no token is a mark of its own."""
    for match in _TOKEN.finditer(text):
        if match.lastgroup != "space":
            assert match.lastgroup is not None
            yield Token(match.lastgroup, match.group(), match.start())


def place_of(text: str, offset: int) -> tuple[int, int]:
    """Line from 1, column from 0."""
    return text.count("\n", 0, offset) + 1, offset - (text.rfind("\n", 0, offset) + 1)


def _at(text: str, token: Token, kind: FaultKind, sentence: str) -> QueryFault:
    line, column = place_of(text, token.at)
    return refuse(kind, sentence, line=line, column=column, token=token.text[:40])


def _check_depth(text: str, tokens: Iterable[Token]) -> None:
    depth = 0
    for token in tokens:
        depth += (token.text in _OPEN) - (token.text in _CLOSE)
        if depth > DEPTH_MAX:
            sentence = f"brackets may stand {DEPTH_MAX} deep within each other."
            raise _at(text, token, FaultKind.OVER_LIMIT, sentence)


def _check_statements(text: str, tokens: Sequence[Token]) -> None:
    """Any number of `let`, then one query."""
    statements: list[list[Token]] = [[]]
    for token in tokens:
        if token.text == ";":
            statements.append([])
        else:
            statements[-1].append(token)
    asked = [statement for statement in statements if statement]
    for index, statement in enumerate(asked):
        head, is_last = statement[0], index == len(asked) - 1
        if head.text in {"set", "declare", "alias", "pattern", "restrict"} and _is_statement(statement):
            raise _at(text, head, FaultKind.FORBIDDEN, f"a statement that begins with {head.text}.")
        if not is_last and head.text != "let":
            sentence = "several queries at a time; only let statements may stand before one."
            raise _at(text, asked[index + 1][0], FaultKind.FORBIDDEN, sentence)


def _is_statement(statement: Sequence[Token]) -> bool:
    return len(statement) > 1 and statement[1].kind == "word"


def _check_steps(text: str, tokens: Sequence[Token], steps: Sequence[Token]) -> None:
    pipes = [token for token in tokens if token.text == "|"]
    _check_count(text, pipes, PIPES_MAX, "steps")
    _check_count(text, [step for step in steps if step.text in _JOINS], JOINS_MAX, "joins")
    _check_count(text, [step for step in steps if step.text in _EXPANDS], EXPANDS_MAX, "mv-expands")
    chained = [token for token in tokens if token.text in _CHAINED]
    _check_count(text, chained, OPERATORS_MAX, "operators (many values of one column: in (…))")
    for token, after in itertools.pairwise(tokens):
        if token.text.lower() in _ELSEWHERE and after.text == "(":
            sentence = f"{token.text}(), since a query sees the tables of this store alone."
            raise _at(text, token, FaultKind.FORBIDDEN, sentence)


def _check_count(text: str, found: Sequence[Token], most: int, noun: str) -> None:
    if len(found) > most:
        sentence = f"it has {len(found)} {noun}, and {most} are allowed."
        raise _at(text, found[most], FaultKind.OVER_LIMIT, sentence)


def _implied_table(tokens: Sequence[Token]) -> Iterator[tuple[int, str]]:
    """`where x` alone is `resources | where x`; `union a, b` names its tables, and a `let` leaves nothing out."""
    last = max((index + 1 for index, token in enumerate(tokens[:-1]) if token.text == ";"), default=0)
    head, after = tokens[last], tokens[last + 1] if last + 1 < len(tokens) else None
    if head.text == "|":
        yield head.at, f"{IMPLIED_TABLE} "
    elif head.text in OPERATORS - {"union"} and (
        after is None or after.text not in {"|", "=", ";"} or head.text == "count"
    ):
        yield head.at, f"{IMPLIED_TABLE} | "


def _between_ends(tokens: Sequence[Token]) -> Iterator[tuple[int, str]]:
    """Parentheses around both ends of every `between (a .. b)`."""
    for index, token in enumerate(tokens[:-1]):
        if token.text == "between" and tokens[index + 1].text == "(":
            yield from _ends(tokens, index + 1)


def _ends(tokens: Sequence[Token], opening: int) -> Iterator[tuple[int, str]]:
    depth, middle = 0, None
    for token in tokens[opening:]:
        depth += (token.text in _OPEN) - (token.text in _CLOSE)
        if depth == 1 and token.text == "..":
            middle = token
        if depth == 0:
            if middle is not None:
                yield tokens[opening].at + 1, "("
                yield middle.at, ") "
                yield middle.at + 2, " ("
                yield token.at, ")"
            return


def _insert(text: str, added: Iterable[tuple[int, str]]) -> str:
    parts, done = [], 0
    for at, new in added:
        parts += [text[done:at], new]
        done = at
    return "".join((*parts, text[done:]))
