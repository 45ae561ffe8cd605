"""Who is asked for the secrets that settings name: variables, files, commands and a vault, as the settings describe."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from fermata.adapters.secrets import PLAIN, Secrets, in_context
from fermata.domain.reasons import Reason
from fermata.domain.secrets import Missing, Secret, SecretKind, SecretRef, is_ref, parse_ref
from fermata.formats.access import read_access
from fermata.formats.faults import BadInput
from fermata.formats.metrics import read_metrics
from fermata.formats.secrets import read_secrets
from fermata.formats.site import read_site
from fermata.formats.sources import read_sources
from fermata.server.callers import BadSecret, check_secret, read_secret
from fermata.settings import Settings, read_settings
from fermata.wiring.kinds import list_kinds

__all__ = ["find_missing", "find_password", "find_seal_key", "in_context", "open_secrets", "read_node_secret"]


def open_secrets(settings: Settings | None = None) -> Secrets:
    """The same for the same file, so that what was asked for is kept once. None: the process's settings. Raises
    BadInput.
    """
    path = (settings or read_settings()).secrets
    return PLAIN if path is None else _open(path.absolute(), path.stat().st_mtime_ns if path.exists() else 0)


@cache
def _open(path: Path, _written_at: int) -> Secrets:
    return Secrets(read_secrets(path))


def find_seal_key(settings: Settings) -> Path | Secret | None:
    """The file, or the secret that is named in its place; None for neither."""
    named = settings.seal_key
    if not named:
        return None
    return Secret(parse_ref(named), open_secrets(settings)) if is_ref(named) else Path(named)


def find_password(settings: Settings) -> Secret | None:
    """That of the mail server: what a setting names, else the setting itself."""
    if settings.smtp_password_from:
        return Secret(parse_ref(settings.smtp_password_from), open_secrets(settings))
    given = settings.smtp_password.get_secret_value()
    return Secret(SecretRef(SecretKind.ENV, "FERMATA_SMTP_PASSWORD"), _Given(given)) if given else None


class _Given:
    """Implements SecretSource for what the settings hold themselves."""

    def __init__(self, text: str) -> None:
        self._text = text

    def look(self, ref: SecretRef) -> str | Missing:
        """See SecretSource."""
        return self._text

    def forget(self, ref: SecretRef) -> None:
        """See SecretSource."""


def read_node_secret(settings: Settings) -> bytes | None:
    """What keys of nodes follow from, None where nothing is named. Raises BadSecret."""
    named = settings.node_secret
    if not named:
        return None
    if not is_ref(named):
        return read_secret(Path(named))
    found = open_secrets(settings).look(parse_ref(named))
    if isinstance(found, Missing):
        raise BadSecret(str(found.reason))
    return check_secret(found.encode(), named)


def find_missing(settings: Settings) -> tuple[Reason, ...]:
    """Why the secrets that the settings and their files name cannot be read, each once; nothing for those that can.
    Raises BadInput for a file that cannot be used.
    """
    source = open_secrets(settings)
    named = [Secret(ref, source) for ref in _refs(settings, source)]
    if settings.site is not None:
        kinds = list_kinds()
        unusable = {name: found.why for name, found in kinds.unusable.items()}
        context = in_context(source, settings.site.parent)
        site = read_site(settings.site, kinds.kinds, unusable=unusable, context=context)
        values = [vars(adapter.settings).values() for adapter in site.adapters.values()]
        named += [value for each in values for value in each if isinstance(value, Secret)]
    found = {str(secret.ref): secret.look() for secret in named}
    return tuple(each.reason for each in found.values() if isinstance(each, Missing))


def _refs(settings: Settings, source: Secrets) -> Iterator[SecretRef]:
    """All that is named outside of the site's file."""
    own = (settings.node_secret, settings.seal_key, settings.smtp_password_from)
    yield from (parse_ref(text) for text in own if text and is_ref(text))
    yield from source.book.channels.values()
    if settings.sources is not None:
        book = read_sources(settings.sources)
        reaches = (*(each.reach for each in book.sources.values()), *book.requests.values())
        yield from (token for each in reaches if (token := getattr(each, "token", None)) is not None)
    metrics = _of_metrics(settings.metrics) if settings.metrics is not None else None
    oidc = read_access(settings.access).oidc if settings.access is not None else None
    client = oidc.secret if oidc is not None else None
    yield from (ref for ref in (metrics, client) if ref is not None)


def _of_metrics(path: Path) -> SecretRef | None:
    """None for a file that cannot be used, too: doctor has a finding for that."""
    try:
        return read_metrics(path).token
    except (BadInput, OSError):
        return None
