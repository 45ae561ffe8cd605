"""What bodies are made of: members that are not known, numbers in quotes and times without a zone are refused."""

from datetime import date
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from fermata.domain.harmless import CONTROLS, HIDING, show_line, show_lines

NAME_MAX = 200
TEXT_MAX = 2000
SEED_MAX = 2**31 - 1


def _text_only(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("a text is expected")  # noqa: TRY004 - the library turns ValueError into a fault
    return value


def _one_line(value: str) -> str:
    if show_line(value) != value:
        raise ValueError("a control character or a mark that hides text stands in it")
    return value


def _lines(value: str) -> str:
    """A text of a form has CR before LF."""
    plain = value.replace("\r\n", "\n")
    if show_lines(plain) != plain:
        raise ValueError("a control character or a mark that hides text stands in it")
    return plain


_NONE_OF = (CONTROLS + HIDING).replace(r"\ud800-\udfff", "").replace(r"\U000e0000-\U000e007f", "\U000e0000-\U000e007f")
_LINE = {"pattern": f"^[^{_NONE_OF}]*$"}  # what the description says of it, in the words of ECMA-262
_LINES = {"pattern": f"^([^{_NONE_OF}]|[\\t\\n]|\\r\\n)*$"}
Name = Annotated[
    str, Field(min_length=1, max_length=NAME_MAX, json_schema_extra=dict(_LINE)), AfterValidator(_one_line)
]
Text = Annotated[str, Field(max_length=TEXT_MAX, json_schema_extra=dict(_LINES)), AfterValidator(_lines)]
Seed = Annotated[int, Field(ge=0, le=SEED_MAX)]
Instant = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_text_only)]
Day = Annotated[date, Field(strict=False), BeforeValidator(_text_only)]


class Body(BaseModel):
    """What is sent, as `reading.read_json` has read it."""

    model_config = ConfigDict(extra="forbid", strict=True)
