"""Secrets of channels by reference: a folder of the server's machine has them, subscriptions only name them.

A secret stands in `HOST/NAME` and is sent to that host alone: whoever may add a subscription can neither read a secret
nor have it sent elsewhere. The file of secrets may name others in place of files, for their host, too.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from fermata.domain.secrets import Missing, SecretRef, SecretSource

REFUSING = frozenset({401, 403})  # statuses: whoever answers them did not take the secret
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


class NoSecret(Exception):
    """There is no such secret for that host; says where it is looked for, never what one is."""


@dataclass(frozen=True, slots=True)
class Vault:
    """`folder` None: there are no files. `named`: by host and name, what is asked of `source`."""

    folder: Path | None = None
    named: Mapping[tuple[str, str], SecretRef] = field(default_factory=dict)
    source: SecretSource | None = None

    def read(self, url: str, name: str) -> str:
        """The secret of that name for the host of `url`, as it stands there now. Raises NoSecret."""
        found = self.read_lines(url, name)
        if len(found) != 1:
            raise NoSecret(f"secret {name} for {_host(url)} is no single line of ASCII")
        return found[0]

    def read_lines(self, url: str, name: str) -> Sequence[str]:
        """The same of one that may have several lines, at least one. Raises NoSecret."""
        host = _host(url)
        if (host, name) in self.named:
            return self._ask(host, name)
        if self.folder is None:
            raise NoSecret("no folder of secrets is set (FERMATA_CHANNEL_SECRETS)")
        if not _NAME.fullmatch(name) or not _NAME.fullmatch(host):
            raise NoSecret("secret must be the name of a file in the folder of its host")
        try:
            found = (self.folder / host / name).read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise NoSecret(f"secret {name} for {host} cannot be read ({type(error).__name__})") from None
        return _lines(found, f"secret {name} for {host}")

    def forget(self, url: str, name: str) -> None:
        """Its host did not take it: it is read anew the next time."""
        ref = self.named.get((_host(url), name))
        if ref is not None and self.source is not None:
            self.source.forget(ref)

    def _ask(self, host: str, name: str) -> Sequence[str]:
        assert self.source is not None, "whoever names secrets says who is asked for them"
        found = self.source.look(self.named[host, name])
        if isinstance(found, Missing):
            raise NoSecret(str(found.reason))
        return _lines(found.split("\n"), f"secret {name} for {host}")

    def has(self, url: str, name: str) -> bool:
        """True when there is such a secret for that host, readable or not."""
        host = _host(url)
        if (host, name) in self.named:
            return True
        return self.folder is not None and bool(_NAME.fullmatch(host)) and os.path.lexists(self.folder / host / name)


NO_VAULT = Vault()


def _lines(found: Sequence[str], what: str) -> Sequence[str]:
    lines = [line.strip() for line in found if line.strip()]
    if not lines or not all(line.isascii() and line.isprintable() for line in lines):
        raise NoSecret(f"{what} is empty, or no line of ASCII")
    return lines


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""
