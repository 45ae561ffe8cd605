"""What bodies are made of: members that are not known, numbers in quotes and times without a zone are refused."""

from datetime import date
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

NAME_MAX = 200
TEXT_MAX = 2000
SEED_MAX = 2**31 - 1


def _text_only(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("a text is expected")  # noqa: TRY004 - the library turns ValueError into a fault
    return value


Name = Annotated[str, Field(min_length=1, max_length=NAME_MAX)]
Text = Annotated[str, Field(max_length=TEXT_MAX)]
Seed = Annotated[int, Field(ge=0, le=SEED_MAX)]
Instant = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_text_only)]
Day = Annotated[date, Field(strict=False), BeforeValidator(_text_only)]


class Body(BaseModel):
    """What is sent."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _whole_numbers(cls, sent: Any) -> Any:
        """JSON knows one kind of number: 3.0 is an integer there."""
        if not isinstance(sent, dict):
            return sent
        return {k: int(v) if isinstance(v, float) and v.is_integer() else v for k, v in sent.items()}
