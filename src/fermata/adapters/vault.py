"""Secrets of channels by reference: a folder of the server's machine has them, subscriptions only name them.

A secret stands in `HOST/NAME` and is sent to that host alone: whoever may add a subscription can neither read a secret
nor have it sent elsewhere.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


class NoSecret(Exception):
    """There is no such secret for that host; says where it is looked for, never what one is."""


@dataclass(frozen=True, slots=True)
class Vault:
    """`folder` None: there are no secrets."""

    folder: Path | None = None

    def read(self, url: str, name: str) -> str:
        """The secret of that name for the host of `url`, as it stands there now. Raises NoSecret."""
        host = (urlsplit(url).hostname or "").lower()
        if self.folder is None:
            raise NoSecret("no folder of secrets is set (FERMATA_CHANNEL_SECRETS)")
        if not _NAME.fullmatch(name) or not _NAME.fullmatch(host):
            raise NoSecret("secret must be the name of a file in the folder of its host")
        try:
            found = (self.folder / host / name).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise NoSecret(f"secret {name} for {host} cannot be read ({type(error).__name__})") from None
        if not found or not found.isascii() or not found.isprintable():
            raise NoSecret(f"secret {name} for {host} is empty, or no single line of ASCII")
        return found
