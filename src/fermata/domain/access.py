"""Who may come in, and with which grants, as the file of access says: values, and the one lookup among them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path

from fermata.domain.identity import Grant
from fermata.domain.secrets import SecretRef


class GranteeKind(StrEnum):
    """What a grant is written for. The three have name spaces of their own."""

    USER = "user"
    GROUP = "group"
    CLIENT = "client"  # a program with credentials of its own at the provider


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantLine:
    """One line of the file."""

    kind: GranteeKind
    name: str
    grant: Grant


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcTerms:
    """The provider of identities, and what is read from what it says.

    `secret` None: a client without a secret. `audience` "": no tokens of its are taken as credentials, people
    sign in by browser alone. `client_claim`: the claim that names a program, which a provider puts into tokens of
    programs alone; "" lets the subject say whether it is one.
    """

    issuer: str
    client_id: str
    secret: SecretRef | None = None
    name_claim: str = "email"
    groups_claim: str = "groups"
    client_claim: str = ""
    audience: str = ""
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    cli_client_id: str = ""
    ca_file: Path | None = None


class NameField(StrEnum):
    """Where in a certificate the node's name stands."""

    DNS = "dns"
    URI = "uri"
    COMMON_NAME = "common_name"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCertificates:
    """Nodes are known by certificates of this authority: the name is what stands between `prefix` and `suffix`."""

    ca_file: Path
    field: NameField = NameField.DNS
    prefix: str = ""
    suffix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadTokens:
    """Nodes are known by tokens of this issuer for this audience. `claim` is the way to the name, key by key.

    `subjects` empty: any subject's token will do, which is right only where the subject itself is the node.
    """

    issuer: str
    audience: str
    claim: tuple[str, ...]
    subjects: frozenset[str] = frozenset()
    prefix: str = ""
    ca_file: Path | None = None
    keys_file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionTerms:
    """How long somebody stays signed in: without doing anything, and at all."""

    idle: timedelta = timedelta(minutes=60)
    whole: timedelta = timedelta(hours=12)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedProxy:
    """Who ends TLS before us and is believed about whom it speaks for. `node_header`: the header in which it names the
    node whose certificate it has checked; "": it checks none.
    """

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    node_header: str = ""

    @classmethod
    def of(cls, *addresses: str) -> "TrustedProxy":
        """Those addresses and networks. Raises ValueError."""
        return cls(networks=tuple(ip_network(address) for address in addresses))

    def holds(self, address: str) -> bool:
        """Whether that address is one of its. A listener for both kinds has IPv4 addresses as mapped ones of IPv6."""
        try:
            found = ip_address(address)
        except ValueError:
            return False
        found = getattr(found, "ipv4_mapped", None) or found
        return any(found in network for network in self.networks)


NO_PROXY = TrustedProxy()


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessBook:
    """All of the file. `emergencies`: roles that people may take for a while by breaking the glass."""

    oidc: OidcTerms | None = None
    lines: tuple[GrantLine, ...] = ()
    emergencies: tuple[GrantLine, ...] = ()
    certificates: NodeCertificates | None = None
    workloads: WorkloadTokens | None = None
    proxy: TrustedProxy = NO_PROXY
    session: SessionTerms = SessionTerms()


def grants_of_user(book: AccessBook, name: str, groups: Iterable[str]) -> frozenset[Grant]:
    """What somebody of that name in those groups was granted."""
    return _of_user(book.lines, name, groups)


def emergencies_of_user(book: AccessBook, name: str, groups: Iterable[str]) -> frozenset[Grant]:
    """What somebody of that name in those groups may take in an emergency."""
    return _of_user(book.emergencies, name, groups)


def _of_user(lines: Iterable[GrantLine], name: str, groups: Iterable[str]) -> frozenset[Grant]:
    within = frozenset(groups)
    return frozenset(
        line.grant
        for line in lines
        if (line.kind is GranteeKind.USER and line.name == name)
        or (line.kind is GranteeKind.GROUP and line.name in within)
    )


def grants_of_client(book: AccessBook, name: str) -> frozenset[Grant]:
    """What a program of that name was granted."""
    return frozenset(line.grant for line in book.lines if line.kind is GranteeKind.CLIENT and line.name == name)
