"""A typed client of a server's API: the same values as from a store. `connect` opens it; the command line uses it too.

from fermata.client import connect

with connect("http://127.0.0.1:8321") as server:
    for view in server.list_requests(PendingFilter(), ended=False):
        print(view.request.id, view.standing.state)
"""

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from fermata.client.refusals import ServerRefusal

if TYPE_CHECKING:
    from fermata.client.server import ServerVerbs

__all__ = ["ServerRefusal", "connect"]


def connect(url: str, *, token: str = "", ca_file: str | None = None) -> AbstractContextManager["ServerVerbs"]:
    """The verbs of the server at `url`; its connection is closed at the end of the block. `token` says who calls, ""
    where nobody has to; `ca_file` holds the authorities whose certificates are believed, None for the usual ones.
    """
    from fermata.client import server  # noqa: PLC0415 - the API's bodies take a second to load

    return server.connect(url, token=token, ca_file=ca_file)
