"""Every wait, refusal, hold and violation: a code for machines and the sentence an operator reads."""

from dataclasses import dataclass

from fermata.domain.access_codes import AccessCode
from fermata.domain.audit_codes import AuditCode
from fermata.domain.codes import Code
from fermata.domain.doctor_codes import DoctorCode
from fermata.domain.identity_codes import IdentityCode
from fermata.domain.plan_codes import PlanCode
from fermata.domain.secret_codes import SecretCode
from fermata.domain.sentences import SENTENCES

__all__ = [
    "ASTRAY",
    "CODES",
    "SENTENCES",
    "AccessCode",
    "AnyCode",
    "AuditCode",
    "Code",
    "DoctorCode",
    "IdentityCode",
    "PlanCode",
    "Reason",
    "SecretCode",
    "code_of",
    "reason",
]

AnyCode = Code | PlanCode | DoctorCode | AuditCode | IdentityCode | AccessCode | SecretCode
CODES: tuple[AnyCode, ...] = (*Code, *PlanCode, *DoctorCode, *AuditCode, *IdentityCode, *AccessCode, *SecretCode)
_BY_NAME = {code.name: code for code in CODES}

ASTRAY = frozenset({Code.NODE_ASTRAY, Code.NODE_UNLOCKED, Code.ASTRAY_STUCK})  # nodes out of our hands


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """A code with its sentence filled in."""

    code: AnyCode
    sentence: str

    def __str__(self) -> str:
        return f"{self.code}: {self.sentence}"


def reason(code: AnyCode, **fields: object) -> Reason:
    """The reason with its sentence filled in. Raises KeyError when a field of the sentence is missing."""
    return Reason(code=code, sentence=SENTENCES[code].format_map(fields))


def code_of(name: str) -> AnyCode:
    """The code of that name. Raises ValueError when there is none."""
    if name not in _BY_NAME:
        raise ValueError(f"there is no reason code {name!r}")
    return _BY_NAME[name]
