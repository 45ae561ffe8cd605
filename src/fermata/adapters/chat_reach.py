"""Where Apprise may connect to. It looks names up itself, through urllib3, so it is judged where a connection is made:
the address that was judged is the one called, by whatever name, for however many requests, and after a redirect.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from urllib3.util import connection

from fermata.adapters.outbound import Outbound
from fermata.adapters.watchdog import Watchdog

_CONNECT = connection.create_connection
_here = threading.local()


@contextmanager
def judged_by(outbound: Outbound) -> Iterator[Watchdog]:
    """Until its end every connection that urllib3 makes in this thread goes to an address that `outbound` allows, and
    all of them together last no longer than one call may.

    Inside, a connection raises NotAllowed and NotReached. What was answered when no time is left was cut off.
    """
    connection.create_connection = _connect
    with Watchdog(outbound.timeout) as dog:
        _here.outbound, _here.dog = outbound, dog
        try:
            yield dog
        finally:
            del _here.outbound, _here.dog


def _connect(address: tuple[str, int], *rest: Any, **more: Any) -> socket.socket:
    """What urllib3 calls; other threads, and this one outside of a block, are not concerned."""
    judge: Outbound | None = getattr(_here, "outbound", None)
    host, port = address
    if judge is None:
        return _CONNECT((host, port), *rest, **more)
    made = _CONNECT((judge.look_up(host.strip("[]"), port), port), *rest, **more)
    _here.dog.watch(made)
    return made
