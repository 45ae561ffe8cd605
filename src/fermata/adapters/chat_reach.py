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

_CONNECT = connection.create_connection
_here = threading.local()


@contextmanager
def judged_by(outbound: Outbound) -> Iterator[None]:
    """Until its end every connection that urllib3 makes in this thread goes to an address that `outbound` allows.

    Inside, a connection raises NotAllowed and NotReached.
    """
    connection.create_connection = _connect
    _here.outbound = outbound
    try:
        yield
    finally:
        del _here.outbound


def _connect(address: tuple[str, int], *rest: Any, **more: Any) -> socket.socket:
    """What urllib3 calls; other threads, and this one outside of a block, are not concerned."""
    judge: Outbound | None = getattr(_here, "outbound", None)
    host, port = address
    if judge is not None:
        host = judge.look_up(host.strip("[]"), port)
    return _CONNECT((host, port), *rest, **more)
