"""How clients inside nodes are known: by their key, by the certificate of their connection, or by a workload's token.

What comes of it is the node's name alone. Whether there is such a node, and what it is told, is the door's affair.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from starlette.types import Scope

from fermata.domain.access import NameField, NodeCertificates, WorkloadTokens
from fermata.domain.ids import NodeId
from fermata.server.callers import NodeKeys
from fermata.server.identity.fetching import fetch_json
from fermata.server.identity.keyring import Claims, KeyRing, NotProven, ProviderSilent, check_claims
from fermata.server.identity.provider import DISCOVERY
from fermata.server.peers import peer_certificate

BEARER = "bearer "
_log = logging.getLogger("fermata.identity")


@dataclass(kw_only=True)
class NodeCallers:
    """Calls may block, to read an issuer's keys: they belong into a worker thread, but for `by_memory`."""

    keys: NodeKeys
    certificates: NodeCertificates | None = None
    workloads: WorkloadTokens | None = None
    _ring: KeyRing = field(init=False)

    def __post_init__(self) -> None:
        self._ring = KeyRing(fetch=self._fetch_keys)

    def by_memory(self, scope: Scope) -> NodeId | None:
        """By its key or certificate: neither needs anybody to be asked."""
        node = self.keys.find(credentials_of(scope))
        if node is None and self.certificates is not None:
            certificate = peer_certificate(scope)
            if certificate is not None:
                node = name_in_certificate(self.certificates, certificate)
        return node

    def by_token(self, scope: Scope, now: datetime) -> NodeId | None:
        """By a workload's token."""
        credentials = credentials_of(scope)
        if self.workloads is None or not credentials.lower().startswith(BEARER):
            return None
        try:
            claims = self._ring.prove(credentials[len(BEARER) :].strip())
            check_claims(claims, issuer=self.workloads.issuer, audience=self.workloads.audience, now=now)
            return name_in_claims(self.workloads, claims)
        except NotProven as why:
            _log.info("identity.node_refused why=%s", why)
        except ProviderSilent as silent:
            _log.warning("identity.node_issuer_silent why=%s", silent)
        return None

    def _fetch_keys(self) -> Mapping[str, Any]:
        assert self.workloads is not None, "nobody asks without an issuer"
        file = self.workloads.keys_file
        if file is not None:
            return _read_keys(file)
        told = fetch_json(self.workloads.issuer.rstrip("/") + DISCOVERY, self.workloads.ca_file, {})
        if told.get("issuer") != self.workloads.issuer or not isinstance(told.get("jwks_uri"), str):
            raise ProviderSilent(f"{self.workloads.issuer} does not describe itself as an issuer")
        return fetch_json(told["jwks_uri"], self.workloads.ca_file, {})


def credentials_of(scope: Scope) -> str:
    """As a client inside a node sends them: for a proxy, or for the server."""
    headers: dict[bytes, bytes] = dict(scope["headers"])
    return (headers.get(b"proxy-authorization") or headers.get(b"authorization", b"")).decode("latin-1")


def name_in_certificate(terms: NodeCertificates, certificate: Mapping[str, Any]) -> NodeId | None:
    """The node's name, when exactly one of the certificate's is one. It was checked by the connection already."""
    if terms.field is NameField.COMMON_NAME:
        names = [value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]
    else:
        wanted = "DNS" if terms.field is NameField.DNS else "URI"
        names = [value for key, value in certificate.get("subjectAltName", ()) if key == wanted]
    found = {name for name in (_between(text, terms.prefix, terms.suffix) for text in names) if name}
    return NodeId(found.pop()) if len(found) == 1 else None


def name_in_claims(terms: WorkloadTokens, claims: Claims) -> NodeId:
    """The node's name. Raises NotProven."""
    if terms.subjects and claims.get("sub") not in terms.subjects:
        raise NotProven("its subject speaks for no node")
    value: Any = claims
    for key in terms.claim:
        value = value.get(key) if isinstance(value, Mapping) else None
    name = _between(value, terms.prefix, "") if isinstance(value, str) else ""
    if not name:
        raise NotProven("it does not say of which node it is")
    return NodeId(name)


def _between(text: str, prefix: str, suffix: str) -> str:
    if not (text.startswith(prefix) and text.endswith(suffix) and len(text) > len(prefix) + len(suffix)):
        return ""
    return text[len(prefix) : len(text) - len(suffix)]


def _read_keys(file: Path) -> Mapping[str, Any]:
    try:
        found = orjson.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise ProviderSilent(f"{file}: {error}") from error
    if not isinstance(found, dict):
        raise ProviderSilent(f"{file}: no JSON object")
    return found
