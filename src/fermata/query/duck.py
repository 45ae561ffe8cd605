"""KQL on DuckDB: the only module that imports either. Runs in the worker's process, never in one that conducts.

The database is in memory, holds what was loaded and nothing else, and is locked before the first question: it reads and
writes no file, loads no extension and changes no setting. What the translator makes of a query is parsed once more, and
runs only if it is one SELECT over the tables that a query may name.
"""

import itertools
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import duckdb_kql
import orjson
import pyarrow as pa

from fermata.query import values, views
from fermata.query.answers import Answer, Column, Fault, FaultKind, QueryFault, Question, refuse, refuse_for_memory
from fermata.query.text import OPERATORS, Prepared, place_of, prepare, scan

TABLE_FUNCTIONS = frozenset(
    {"unnest", "range", "generate_series"}
)  # what the translator writes, and no file is read by
SETTINGS = (
    "SET TimeZone='UTC'",
    "SET temp_directory=''",  # more than its memory ends a query instead of filling a disk
    "SET autoinstall_known_extensions=false",
    "SET autoload_known_extensions=false",
    "SET enable_external_access=false",
    "SET lock_configuration=true",
)
_UNKNOWN_COLUMN = re.compile(r'Referenced column "([^"]+)" not found')
_UNKNOWN_TABLE = re.compile(r"Table with name (.+?) does not exist")
_TOKEN = re.compile(
    r"(?:mismatched input|extraneous input|at input|recognition error at:) '(.*?)'(?: expecting|$)", re.DOTALL
)

_EXPAND = re.compile(
    r"""UNNEST\(CAST\(CASE json_type\(("\w+")\) WHEN 'ARRAY' THEN json_extract\(\1, '\$\[\*\]'\) WHEN 'OBJECT' THEN"""
    r""" list_transform\(json_keys\(\1\), lambda k: json_object\(k, json_extract\(\1, '\$\."' \|\| k \|\| '"'\)\)\)"""
    r""" ELSE json_array\(\1\) END AS JSON\[\]\)\)"""
)
_MEMBER = re.compile(r"""json_extract\(("\w+"), '(\$(?:\.\w+)+)'\) ->> '\$'""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What the database may take of the machine."""

    threads: int
    memory_mib: int


class Duck:
    """One locked database."""

    def __init__(self, tables: Mapping[str, pa.Table], bounds: Bounds) -> None:
        self._con = duckdb.connect(":memory:")
        self._con.execute(f"SET threads={bounds.threads:d}")
        self._con.execute(f"SET memory_limit='{bounds.memory_mib:d}MiB'")
        self._con.execute("CREATE SCHEMA raw")
        for name, table in tables.items():
            self._load(name, table)
        for statement in (*views.create_statements(), *SETTINGS):
            self._con.execute(statement)

    def ask(self, question: Question, seconds: float) -> Answer:
        """The answer. Raises QueryFault, after `seconds` at the latest unless it is in the middle of one long value."""
        began = time.monotonic()
        prepared = prepare(question.text)
        asked = _translate(prepared, question)
        self._check(asked.sql)
        cursor = self._con.cursor()
        timer = threading.Timer(max(0.0, seconds - (time.monotonic() - began)), cursor.interrupt)
        timer.start()
        try:
            return _fetch(cursor, asked, prepared, question)
        except duckdb.Error as error:
            raise _judge(error, prepared, seconds) from error
        finally:
            timer.cancel()
            cursor.close()

    def _load(self, name: str, table: pa.Table) -> None:
        json_columns = views.JSON_COLUMNS.get(name, ())
        columns = ", ".join(
            f'CAST("{column}" AS JSON) AS "{column}"' if column in json_columns else f'"{column}"'
            for column in table.column_names
        )
        self._con.register("incoming", table)
        self._con.execute(f'CREATE TABLE raw."{name}" AS SELECT {columns} FROM incoming')  # noqa: S608 - our own names
        self._con.unregister("incoming")

    def _check(self, sql: str) -> None:
        """One SELECT, over our views and what it defines itself."""
        row = self._con.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()
        assert row is not None
        tree = orjson.loads(row[0])
        if tree["error"] or len(tree["statements"]) != 1:
            raise refuse(FaultKind.FORBIDDEN, "one query that reads, and nothing else.")
        nodes = list(_walk(tree["statements"][0]))
        defined = {entry["key"].lower() for node in nodes for entry in _defined(node)}
        for node in nodes:
            if node.get("type") == "BASE_TABLE":
                named = node["qualified_name"]["path"]
                if len(named) != 1 or named[0].lower() not in {*views.COLUMNS, *defined}:
                    raise _unknown_table(".".join(named))
            elif node.get("type") == "TABLE_FUNCTION":
                called = node["function"]["function_name"].lower()
                if called not in TABLE_FUNCTIONS:
                    raise refuse(FaultKind.FORBIDDEN, f"{called}() is no table of this store.")


@dataclass(frozen=True, slots=True)
class _Sql:
    sql: str
    given: Mapping[str, Any]


def _translate(prepared: Prepared, question: Question) -> _Sql:
    lowered = {name: list(columns) for name, columns in views.COLUMNS.items()}
    schema = lowered | {word: lowered[word.lower()] for word in prepared.words if word.lower() in lowered}
    try:
        made = duckdb_kql.to_sql(prepared.kql, schema=schema, allow_write=False, query_now=question.now)
    except duckdb_kql.KqlSyntaxError as error:
        raise _syntax(error, prepared) from error
    except duckdb_kql.KqlUnsupportedError as error:
        raise _unsupported(error, prepared) from error
    except duckdb_kql.KqlError as error:
        raise refuse(FaultKind.INVALID, f"{error}.") from error
    except RecursionError as error:
        raise refuse(FaultKind.OVER_LIMIT, "it is nested too deeply, ask a simpler one.") from error
    return _Sql(lean(str(made)), dict(made.parameters))


def lean(sql: str) -> str:
    """The same SQL with less JSON written and read again: an array's elements are taken as they are, and a member's
    text is read in one go. What is between single quotes cannot match, since quotes are doubled there.
    """
    return _MEMBER.sub(r"(\1 ->> '\2')", _EXPAND.sub(_expand, sql))


def _expand(found: re.Match[str]) -> str:
    name = found.group(1)
    objects = (
        f"""list_transform(json_keys({name}), lambda k: json_object(k, json_extract({name}, '$."' || k || '"')))"""
    )
    return (
        f"UNNEST(CAST(CASE WHEN json_type({name}) = 'ARRAY' THEN json_extract({name}, '$[*]')"
        f" WHEN json_type({name}) = 'OBJECT' THEN {objects} ELSE [{name}] END AS JSON[]))"
    )


def _syntax(error: duckdb_kql.KqlSyntaxError, prepared: Prepared) -> QueryFault:
    first = error.diagnostics[0]
    line, column = prepared.place(first.span.line, first.span.column)
    found = _TOKEN.search(first.message)
    token = "<EOF>" if found is None else found.group(1)[-40:]
    sentence = f"line {line}, column {column + 1}, near {token!r}{_unknown_step(prepared, line, column, token)}."
    return refuse(FaultKind.UNPARSABLE, sentence, line=line, column=column, token=token)


def _unknown_step(prepared: Prepared, line: int, column: int, token: str) -> str:
    """The parser stops at the bar; what a person wants to know is the word behind it."""
    rest = prepared.given.split("\n", line - 1)[-1][column:]
    after = [found.text for found in itertools.islice(scan(rest), 2)]
    if token != "|" or len(after) < 2 or after[1] in OPERATORS:
        return ""
    return f": {after[1]!r} is no step of a query"


def _unsupported(error: duckdb_kql.KqlUnsupportedError, prepared: Prepared) -> QueryFault:
    noun, _, name = error.construct.partition(":")
    if noun == "function" and name:
        line, column = _place_of_word(prepared, name)
        sentence = f"there is no function {name}()."
        return refuse(FaultKind.UNKNOWN_FUNCTION, sentence, line=line, column=column, token=name)
    if error.span is None:
        return refuse(FaultKind.UNSUPPORTED, f"{error.construct}.")
    line, column = prepared.place(error.span.line, error.span.column)
    token = re.split(r"\W", prepared.given.split("\n")[line - 1][column:].lstrip("| "), maxsplit=1)[0]
    sentence = f"{token or error.construct}, at line {line}, column {column + 1}."
    return refuse(FaultKind.UNSUPPORTED, sentence, line=line, column=column, token=token)


def _place_of_word(prepared: Prepared, word: str) -> tuple[int | None, int | None]:
    found = next((token for token in scan(prepared.given) if token.text == word), None)
    return (None, None) if found is None else place_of(prepared.given, found.at)


def _unknown_table(name: str) -> QueryFault:
    return refuse(FaultKind.UNKNOWN_NAME, f"there is no table {name}, only {', '.join(views.COLUMNS)}.", token=name)


def _judge(error: duckdb.Error, prepared: Prepared, seconds: float) -> QueryFault:
    """What the database's own words mean to who asked; it never shows them SQL."""
    if isinstance(error, duckdb.InterruptException):
        return refuse(FaultKind.STOPPED, f"it took longer than {seconds:g} s, ask for less at once.")
    if isinstance(error, duckdb.OutOfMemoryException):
        return refuse_for_memory()
    if isinstance(error, duckdb.InternalException | duckdb.FatalException):
        return QueryFault(Fault(kind=FaultKind.INVALID, sentence="the database failed on it.", is_worker_spent=True))
    text = str(error).split("\n")[0]
    column, table = _UNKNOWN_COLUMN.search(text), _UNKNOWN_TABLE.search(text)
    if column is not None:
        line, at = _place_of_word(prepared, column.group(1))
        sentence = f"there is no column {column.group(1)} at that step."
        return refuse(FaultKind.UNKNOWN_NAME, sentence, line=line, column=at, token=column.group(1))
    if table is not None:
        return _unknown_table(table.group(1))
    return refuse(FaultKind.INVALID, f"{text}.")


def _walk(value: Any) -> Iterator[dict[str, Any]]:
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            yield found
            waiting.extend(found.values())
        elif isinstance(found, list):
            waiting.extend(found)


def _defined(node: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    table = node.get("cte_map")
    return table["map"] if isinstance(table, dict) else ()


def _fetch(cursor: duckdb.DuckDBPyConnection, asked: _Sql, prepared: Prepared, question: Question) -> Answer:
    given = asked.given or None
    inner = f"SELECT * FROM ({asked.sql}) AS asked"  # noqa: S608 - what _check let through
    columns = _columns(cursor.execute(f"{inner} LIMIT 0", given).description)
    sorted_by_id = question.by_id and not prepared.is_ordered and any(column.name == "id" for column in columns)
    order = ' ORDER BY "id"' if sorted_by_id else ""
    page = f"{inner}{order} LIMIT {question.limit:d} OFFSET {question.skip:d}"
    rows = [
        [values.to_json(value, column.kind) for value, column in zip(row, columns, strict=True)]
        for row in cursor.execute(page, given).fetchall()
    ]
    total = question.skip + len(rows)
    if len(rows) == question.limit or (question.skip and not rows):
        counted = cursor.execute(f"SELECT count(*) FROM ({asked.sql}) AS asked", given).fetchone()  # noqa: S608 - likewise
        assert counted is not None
        total = int(counted[0])
    return Answer(columns=columns, rows=rows, total=total, skip=question.skip)


def _columns(description: Sequence[Sequence[Any]]) -> tuple[Column, ...]:
    return tuple(Column(name=str(found[0]), kind=values.kind_of(str(found[1]))) for found in description)
