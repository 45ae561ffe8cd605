"""Every wait, refusal, hold and violation: a code for machines and the sentence an operator reads."""

from dataclasses import dataclass

from fermata.domain.codes import Code
from fermata.domain.sentences import SENTENCES

__all__ = ["ASTRAY", "SENTENCES", "Code", "Reason", "reason"]


ASTRAY = frozenset({Code.NODE_ASTRAY, Code.NODE_UNLOCKED, Code.ASTRAY_STUCK})  # nodes out of our hands


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """A code with its sentence filled in."""

    code: Code
    sentence: str

    def __str__(self) -> str:
        return f"{self.code}: {self.sentence}"


def reason(code: Code, **fields: object) -> Reason:
    """The reason with its sentence filled in. Raises KeyError when a field of the sentence is missing."""
    return Reason(code=code, sentence=SENTENCES[code].format_map(fields))
