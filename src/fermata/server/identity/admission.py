"""How a server lets callers in, as whoever starts it says."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from fermata.domain.access import AccessBook
from fermata.domain.secrets import SecretSource

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """`book` None: nobody signs in, and this machine alone is served. `names`: what the server answers to. `now` is
    real time, where that is not the campaign's; None where it is. `secrets`: who is asked for that of our client at the
    provider; None where it has none.
    """

    book: AccessBook | None = None
    names: frozenset[str] = LOOPBACK_NAMES
    now: Callable[[], datetime] | None = None
    secrets: SecretSource | None = None


LOCAL_ADMISSION = Admission()
