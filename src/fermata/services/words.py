"""How lengths of time, chances and facts are said, in sentences and on the board alike."""

from collections.abc import Mapping
from typing import Any

from fermata.domain.spoken import chance_words, span_words

__all__ = ["chance_words", "facts_words", "span_words"]

NAMED_MAX = 4  # of a list; longer ones are counted


def facts_words(facts: Mapping[str, Any]) -> str:
    """The plain facts of a line in the journal: `step verify, minutes 10`. Long lists are counted; what is nested is
    left to those who read JSON.
    """
    return ", ".join(f"{key.replace('_', ' ')} {text}" for key, value in facts.items() if (text := _fact_text(value)))


def _fact_text(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case str() | int() | float():
            return str(value)
        case list() if value and all(isinstance(each, str) for each in value):
            return ", ".join(value) if len(value) <= NAMED_MAX else f"{len(value):,} of them"
        case _:
            return ""
