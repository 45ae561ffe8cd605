"""Secrets by their names: how settings of adapters take one, and how an adapter reads it when it is about to use it."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, ValidationInfo, WithJsonSchema

from fermata.adapters.secrets.source import Secrets
from fermata.domain.secrets import Missing, Secret, SecretRef, SecretSource, parse_ref, ref_of_file, ref_of_variable
from fermata.ports import Refused, TryLater

__all__ = ["AGAIN", "PLAIN", "NamedSecret", "Secrets", "bind", "check", "choose", "in_context", "read", "read_line"]

AGAIN = timedelta(minutes=1)
PLAIN = Secrets()  # variables and files, which need no file of secrets
_SOURCE, _FOLDER = "secrets", "folder"


def in_context(source: SecretSource, folder: Path) -> Mapping[str, Any]:
    """What settings are validated with, so that their secrets know whom to ask; relative paths are below `folder`."""
    return {_SOURCE: source, _FOLDER: folder}


def _bind(value: object, info: ValidationInfo) -> Secret:
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str):
        raise ValueError("it must be the name of a secret")  # noqa: TRY004 - pydantic tells ValueErrors alone
    context = info.context or {}
    return Secret(parse_ref(value, context.get(_FOLDER)), context.get(_SOURCE, PLAIN))


NamedSecret = Annotated[Secret, PlainValidator(_bind), PlainSerializer(str), WithJsonSchema({"type": "string"})]


def choose(named: Secret | None, file: Path | str | None, variable: str | None = None) -> Secret | None:
    """The one of them that is given; what names a file or a variable alone is a secret, too."""
    if named is not None:
        return named
    if file is not None:
        return Secret(ref_of_file(file), PLAIN)
    return Secret(ref_of_variable(variable), PLAIN) if variable is not None else None


def read(secret: Secret) -> str:
    """What it is now. Raises TryLater when whoever has it is away, Refused when it is not there or not ours."""
    found = secret.look()
    if not isinstance(found, Missing):
        return found
    if found.is_away:
        raise TryLater(AGAIN, str(found.reason))
    raise Refused(str(found.reason))


def bind(ref: SecretRef | None, source: SecretSource) -> Secret | None:
    """The secret of that name, None for none."""
    return Secret(ref, source) if ref is not None else None


def check(secret: Secret | None) -> None:
    """For an adapter that is built, and calls nobody: what is on this machine is there. Raises as `read`."""
    if secret is not None and not secret.ref.kind.is_kept:
        read(secret)


def read_line(secret: Secret) -> str:
    """The same of one that goes into a header: a line of ASCII. Raises as `read`."""
    found = read(secret)
    if not found.isascii() or not found.isprintable():
        raise Refused(f"{secret.ref} holds what is no single line of ASCII")
    return found
