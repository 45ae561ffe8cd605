"""Whom a proxy speaks for. What it says is believed from the addresses that access.yaml names, from nobody else."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from starlette.types import Scope

from fermata.domain.access import TrustedProxy
from fermata.domain.ids import NodeId

FORWARDED = (b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"forwarded", b"x-real-ip", b"via")
HTTPS, HTTP = "https", "http"
NODE = "fermata.proxied_node"


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """How a request came: whether somebody else brought it, and whether that one is believed."""

    brought: bool
    believed: bool


def how_it_came(scope: Scope) -> Came:
    """As `unwrap` left it in the scope."""
    found: Came = scope["fermata.came"]
    return found


def unwrap(scope: Scope, proxy: TrustedProxy) -> None:
    """Puts the client for whom a trusted proxy speaks, and its scheme, in the place of the proxy's own.

    The last address in X-Forwarded-For that is not a proxy's is the client's: those before it were sent by the client.
    Headers of others stay as they are, and nobody reads them.
    """
    headers: dict[bytes, bytes] = dict(scope["headers"])
    brought = any(name in headers for name in FORWARDED)
    client = scope.get("client")
    believed = client is not None and proxy.holds(client[0])
    scope["fermata.came"] = Came(brought=brought, believed=believed)
    if not believed:
        return
    named = _client(headers, proxy)
    if named:
        scope["client"] = (named, 0)
    scheme = headers.get(b"x-forwarded-proto", b"").decode("latin-1").rpartition(",")[2].strip().lower()
    if scheme in (HTTPS, HTTP):
        scope["scheme"] = scheme
    node = headers.get(proxy.node_header.encode(), b"").decode("latin-1") if proxy.node_header else ""
    if node:
        scope[NODE] = NodeId(node)
    scope["headers"] = [(name, value) for name, value in scope["headers"] if name not in FORWARDED]


def is_loopback(scope: Scope) -> bool:
    """Whether the client is on this machine; one without an address came by a socket of the file system."""
    client = scope.get("client")
    if client is None:
        return True
    try:
        return ip_address(client[0]).is_loopback
    except ValueError:
        return False


def _client(headers: Mapping[bytes, bytes], proxy: TrustedProxy) -> str:
    hops = [hop.strip() for hop in headers.get(b"x-forwarded-for", b"").decode("latin-1").split(",") if hop.strip()]
    return next((hop for hop in reversed(hops) if not proxy.holds(hop)), "")
