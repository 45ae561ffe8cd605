"""Reads the file of access: the provider of identities, who was granted what, and how nodes and proxies are known."""

import re
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

from fermata.domain.access import (
    NO_PROXY,
    AccessBook,
    GranteeKind,
    GrantLine,
    NameField,
    NodeCertificates,
    OidcTerms,
    SessionTerms,
    TrustedProxy,
    WorkloadTokens,
)
from fermata.domain.identity import Grant, GrantLevel, Role
from fermata.domain.secrets import SecretRef, ref_of_file
from fermata.formats.faults import FaultLog, quote, raise_faults
from fermata.formats.fields import Document, Fields
from fermata.formats.secret_names import read_ref
from fermata.formats.spots import Spot
from fermata.formats.yamltext import read_yaml

SECTIONS = ("oidc", "grants", "break_glass", "nodes", "trusted_proxy", "session")
OIDC_OPTIONAL = (
    "client_secret",
    "client_secret_file",
    "name_claim",
    "groups_claim",
    "client_claim",
    "audience",
    "scopes",
    "cli_client_id",
    "ca_file",
)
GRANTEES = tuple(kind.value for kind in GranteeKind)
LEVELS = tuple(level.value for level in GrantLevel if level is not GrantLevel.EVERYTHING)
TOKEN_OPTIONAL = ("subjects", "prefix", "ca_file", "keys_file")
IDLE_MINUTES_MAX, HOURS_MAX = 24 * 60, 24 * 7
LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")
OTHERS_MAY = 0o077
HEADER = re.compile(r"[A-Za-z0-9-]*")


def read_access(path: Path) -> AccessBook:
    """Read the file `path`. Paths in it are relative to its folder. Raises BadInput with all its faults."""
    document = Document(log=FaultLog(path))
    root = read_yaml(path, document.log)
    found = None
    if root is not None:
        found = _decode(document, Fields(document, root, required=("grants",), optional=SECTIONS), path.parent)
    raise_faults([document.log])
    assert found is not None, "a file without faults is read"
    return found


def _decode(document: Document, top: Fields, folder: Path) -> AccessBook:
    lines = tuple(_line(document, spot) for spot in top.items("grants"))
    emergencies = tuple(_line(document, spot) for spot in top.items("break_glass")) if top.has("break_glass") else ()
    if any(line is not None and line.kind is GranteeKind.CLIENT for line in emergencies):
        top.fault("break_glass", "The glass is for people: a program's roles stand under grants.")
    oidc = _oidc(top, folder) if top.has("oidc") else None
    needs = next((line for line in lines if line is not None), None)
    if oidc is None and needs is not None:
        top.fault("grants", "Nobody can use these grants without a provider of identities: say which under oidc.")
    nodes = top.fields("nodes", optional=("certificate", "token")) if top.has("nodes") else None
    return AccessBook(
        oidc=oidc,
        lines=tuple(line for line in lines if line is not None),
        emergencies=tuple(line for line in emergencies if line is not None),
        certificates=_certificates(nodes, folder) if nodes and nodes.has("certificate") else None,
        workloads=_workloads(nodes, folder) if nodes and nodes.has("token") else None,
        proxy=_proxy(top) if top.has("trusted_proxy") else NO_PROXY,
        session=_session(top) if top.has("session") else SessionTerms(),
    )


def _oidc(top: Fields, folder: Path) -> OidcTerms:
    fields = top.fields("oidc", required=("issuer", "client_id"), optional=OIDC_OPTIONAL)
    defaults = OidcTerms(issuer="", client_id="")
    client = fields.name("client_id")
    audience = fields.name("audience") if fields.has("audience") else ""
    if audience and audience == client:
        sentence = "It is the client's own id: whoever has an ID token of a person could come as that person. Choose a"
        fields.fault("audience", f"{sentence} name of the API's own at the provider.")
    scopes = fields.names("scopes") if fields.has("scopes") else defaults.scopes
    if "openid" not in scopes:
        fields.fault("scopes", "openid must be one of them: without it the provider says nothing about who signed in.")
    return OidcTerms(
        issuer=_address(fields, "issuer"),
        client_id=client,
        secret=_secret(fields, folder),
        name_claim=_name_or(fields, "name_claim", defaults.name_claim),
        groups_claim=_name_or(fields, "groups_claim", defaults.groups_claim),
        client_claim=_name_or(fields, "client_claim", ""),
        audience=audience,
        scopes=scopes,
        cli_client_id=_name_or(fields, "cli_client_id", client),
        ca_file=_file(fields, "ca_file", folder),
    )


def _line(document: Document, spot: Spot) -> GrantLine | None:
    fields = Fields(document, spot, required=("role",), optional=(*GRANTEES, *LEVELS))
    whom = [kind for kind in GranteeKind if fields.has(kind)]
    where = [level for level in LEVELS if fields.has(level)]
    if len(whom) != 1:
        document.log.add("A grant names one user, one group or one client.", spot.place)
    if len(where) > 1:
        sentence = "A grant is for one customer, one supercomputer or one cluster; without any, for everything."
        document.log.add(sentence, spot.place)
    role = fields.choice("role", Role)
    if len(whom) != 1 or len(where) > 1:
        return None
    name = fields.name(whom[0])
    part = fields.name(where[0]) if where else ""
    if not name or (where and not part):
        return None
    level = GrantLevel(where[0]) if where else GrantLevel.EVERYTHING
    return GrantLine(kind=whom[0], name=name, grant=Grant(role=role, level=level, name=part))


def _certificates(nodes: Fields, folder: Path) -> NodeCertificates:
    fields = nodes.fields("certificate", required=("ca_file",), optional=("field", "prefix", "suffix"))
    return NodeCertificates(
        ca_file=_file(fields, "ca_file", folder) or folder,
        field=fields.choice("field", NameField) if fields.has("field") else NameField.DNS,
        prefix=_name_or(fields, "prefix", ""),
        suffix=_name_or(fields, "suffix", ""),
    )


def _workloads(nodes: Fields, folder: Path) -> WorkloadTokens:
    fields = nodes.fields("token", required=("issuer", "audience", "claim"), optional=TOKEN_OPTIONAL)
    claim, subjects = fields.names("claim"), frozenset(fields.names("subjects"))
    if claim != ("sub",) and claim and not subjects:
        sentence = "Name them: anybody who can have a token made for this audience would be taken for a node otherwise."
        fields.fault("subjects", sentence)
    return WorkloadTokens(
        issuer=_address(fields, "issuer"),
        audience=fields.name("audience"),
        claim=claim,
        subjects=subjects,
        prefix=_name_or(fields, "prefix", ""),
        ca_file=_file(fields, "ca_file", folder),
        keys_file=_file(fields, "keys_file", folder),
    )


def _proxy(top: Fields) -> TrustedProxy:
    fields = top.fields("trusted_proxy", required=("addresses",), optional=("node_header",))
    networks = []
    for text in fields.names("addresses"):
        try:
            network = ip_network(text)
        except ValueError as error:
            fields.fault("addresses", f"{quote(text)} is no address and no network: {error}.")
            continue
        if network.prefixlen == 0:
            fields.fault("addresses", f"{quote(text)} is every address: anybody could speak for anybody.")
        networks.append(network)
    if not networks:
        fields.fault("addresses", "It names nobody: leave trusted_proxy out where there is none.")
    header = _name_or(fields, "node_header", "")
    if not HEADER.fullmatch(header):
        fields.fault("node_header", "A header's name has letters, digits and hyphens only.")
    return TrustedProxy(networks=tuple(networks), node_header=header.lower())


def _session(top: Fields) -> SessionTerms:
    fields = top.fields("session", optional=("idle_minutes", "hours"))
    defaults = SessionTerms()
    idle, whole = defaults.idle, defaults.whole
    if fields.has("idle_minutes"):
        idle = timedelta(minutes=fields.integer("idle_minutes", least=1, most=IDLE_MINUTES_MAX))
    if fields.has("hours"):
        whole = timedelta(hours=fields.integer("hours", least=1, most=HOURS_MAX))
    return SessionTerms(idle=idle, whole=whole)


def _address(fields: Fields, key: str) -> str:
    """An issuer as it calls itself, to the letter: https, or on this machine."""
    text = fields.text(key)
    if fields.spot(key) is None:
        return text
    try:
        parts = urlsplit(text)
        safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOCAL_HOSTS)
        is_good = safe and bool(parts.hostname) and not (parts.query or parts.fragment) and "@" not in parts.netloc
    except ValueError:
        is_good = False
    if not is_good:
        sentence = "It must be an https address without user, query and fragment; plain http on this machine alone."
        fields.fault(key, sentence)
    return text


def _secret(fields: Fields, folder: Path) -> SecretRef | None:
    """What `client_secret` names, or a file that nobody else may read."""
    named = read_ref(fields, "client_secret", folder)
    if fields.has("client_secret"):
        if fields.has("client_secret_file"):
            fields.fault("client_secret", "client_secret and client_secret_file are two ways to say it: name one.")
        return named
    found = _file(fields, "client_secret_file", folder)
    if found is not None and found.is_file() and found.stat().st_mode & OTHERS_MAY:
        fields.fault("client_secret_file", f"{quote(str(found))} may be read by others: run chmod 600 on it.")
    return ref_of_file(found) if found is not None else None


def _file(fields: Fields, key: str, folder: Path) -> Path | None:
    if not fields.has(key):
        return None
    found = folder / fields.text(key)
    if not found.is_file():
        fields.fault(key, f"There is no file {quote(str(found))}.")
    return found


def _name_or(fields: Fields, key: str, otherwise: str) -> str:
    return fields.name(key) if fields.has(key) else otherwise
