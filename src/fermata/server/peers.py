"""The certificate that a client showed when its connection was made. The web server keeps it to itself, so its protocol
is extended here: by the extension `tls` of each request's scope, as a mapping of what stands in the certificate.
"""

from asyncio import Transport
from collections.abc import Mapping
from typing import Any

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

EXTENSION = "fermata.peer_certificate"


class PeerProtocol(HttpToolsProtocol):
    """HTTP/1.1 with the peer's certificate, if the connection has checked one."""

    _peer: Mapping[str, Any] | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Reads the certificate once: a connection has the same as long as it lives."""
        super().connection_made(transport)
        connection = transport.get_extra_info("ssl_object")
        self._peer = connection.getpeercert() if connection is not None else None

    def on_message_begin(self) -> None:
        """Hands it to the request that begins."""
        super().on_message_begin()
        self.scope["extensions"] = {EXTENSION: {"subject": self._peer}} if self._peer else {}


def peer_certificate(scope: Scope) -> Mapping[str, Any] | None:
    """What the ssl module reads in it; None when the client showed none. One that nobody signed ends the connection."""
    extension = scope.get("extensions", {}).get(EXTENSION)
    return extension["subject"] if extension else None
