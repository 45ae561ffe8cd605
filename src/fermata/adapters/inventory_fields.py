"""What others say in nested JSON, as flat fields that rules can name."""

from typing import Any


def flat(value: Any, at: str = "") -> dict[str, str]:
    """Nested JSON as fields with dotted names; lists of plain values are joined by commas, others numbered."""
    match value:
        case dict():
            parts = [flat(inner, f"{at}.{key}" if at else str(key)) for key, inner in value.items()]
            return {name: text for part in parts for name, text in part.items()}
        case list() if all(not isinstance(inner, dict | list) for inner in value):
            return {at: ",".join(_text(inner) for inner in value)}
        case list():
            parts = [flat(inner, f"{at}.{number}") for number, inner in enumerate(value)]
            return {name: text for part in parts for name, text in part.items()}
        case None:
            return {}
        case _:
            return {at: _text(value)}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
