"""A typed client of a server's API: the same values as from a store. `connect` opens it; the command line uses it too.

from fermata.client import connect

with connect("http://127.0.0.1:8321") as server:
    for view in server.list_requests(PendingFilter(), ended=False):
        print(view.request.id, view.standing.state)
"""

from fermata.client.link import ServerRefusal, parse_server
from fermata.client.server import ServerVerbs, connect

__all__ = ["ServerRefusal", "ServerVerbs", "connect", "parse_server"]
