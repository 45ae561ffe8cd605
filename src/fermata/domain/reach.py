"""Which network addresses may be called for others. Values in, values out: whoever looks a name up asks about every
address that it has.

The public internet may be called; what is private, local or special is called only where an operator listed its
network. What another protocol carries inside an address is judged as what it carries.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LISTED = "FERMATA_OUTBOUND_ALLOW does not list its network"
LOCAL_HERE = "FERMATA_LOCAL_TARGETS does not allow that"
LOOPBACK: tuple[Network, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
METADATA: tuple[Network, ...] = (  # what machines of clouds ask for their own credentials
    IPv4Network("169.254.169.254/32"),
    IPv4Network("169.254.170.2/32"),
    IPv4Network("168.63.129.16/32"),
    IPv4Network("100.100.100.200/32"),
    IPv6Network("fd00:ec2::254/128"),
    IPv6Network("fd20:ce::254/128"),
)
_KINDS: tuple[tuple[str, tuple[str, ...]], ...] = (  # IANA's registries of special-purpose addresses, as of 2025
    ("this machine", ("127.0.0.0/8", "::1/128")),
    ("no address of a machine", ("0.0.0.0/8", "::/128", "255.255.255.255/32")),
    ("its link", ("169.254.0.0/16", "fe80::/10")),
    ("a private network", ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7", "fec0::/10")),
    ("multicast", ("224.0.0.0/4", "ff00::/8")),
    (
        "set aside for special uses",
        (
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.31.196.0/24",
            "192.52.193.0/24",
            "192.88.99.0/24",
            "192.175.48.0/24",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "240.0.0.0/4",
            "2001::/23",
            "2001:db8::/32",
            "3fff::/20",
        ),
    ),
)
_SPECIAL: tuple[tuple[str, tuple[Network, ...]], ...] = tuple(
    (kind, tuple(ip_network(text) for text in texts)) for kind, texts in _KINDS
)
_PUBLIC_6 = IPv6Network("2000::/3")  # all that was given out; the rest of IPv6 is special or nobody's
_NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
_COMPATIBLE = IPv6Network("::/96")
_ISATAP = (0x00005EFE, 0x02005EFE)
_NUMBER = re.compile(r"(0[xX][0-9a-fA-F]*|[0-9]+)\.?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """`networks` beside the public internet; `local`: this machine, and plain http."""

    networks: tuple[Network, ...] = ()
    local: bool = False


def parse_networks(text: str) -> tuple[Network, ...]:
    """Networks in CIDR or single addresses, between commas or blanks. Raises ValueError with a sentence."""
    return tuple(_network(word) for word in text.replace(",", " ").split())


def find_address_fault(text: str, reach: Reach) -> str | None:
    """Why the address is not called, as the rest of a sentence; None where it may be. What is no address is not."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return "that is no address"
    return next((fault for each in _layers(address) if (fault := _fault(each, reach)) is not None), None)


def find_host_fault(host: str, reach: Reach) -> str | None:
    """Of a host as it is written: an address is judged; a name is, as far as it can be without looking it up."""
    bare = host.rstrip(".").lower()
    if not bare or not bare.isascii() or "%" in bare:
        return "that is no host"
    if bare == "localhost" or bare.endswith(".localhost"):
        return None if reach.local else f"it is this machine, and {LOCAL_HERE}"
    if ":" in bare or _is_plain_ipv4(bare):
        return find_address_fault(bare, reach)
    if _NUMBER.fullmatch(bare.rpartition(".")[2]):
        return "a number stands in the place of a name: write an address as four decimal numbers"
    return None


def find_trusted_fault(host: str) -> str | None:
    """Of a host that an operator wrote into a file of ours: private networks and this machine are where their services
    are. What can be nobody's service, and what gives away a machine's own credentials, is still not called.
    """
    bare = host.rstrip(".").lower()
    try:
        address = ip_address(bare.partition("%")[0])
    except ValueError:
        return find_host_fault(bare, Reach(local=True))
    for each in _layers(address):
        if _is_in(each, METADATA):
            return "it is where machines of a cloud ask for their own credentials"
        kind = _kind_of(each)
        if kind in ("no address of a machine", "its link", "multicast"):
            return f"it is {kind}"
    return None


def find_trusted_url_fault(url: str) -> str | None:
    """The same of the address of a service in a file of an operator. What is no such address has none."""
    try:
        host = urlsplit(url).hostname
    except ValueError:
        return None
    return find_trusted_fault(host) if host else None


def show_url(url: str) -> str:
    """Without what may be secret in it: who signs in, and what stands behind the question mark."""
    before, slashes, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    whole = f"{before}{slashes}{authority.rpartition('@')[2]}{slash}{path}" if slashes else url.rpartition("@")[2]
    return "".join(letter if letter.isprintable() else "?" for letter in whole.partition("?")[0].partition("#")[0])


def _network(word: str) -> Network:
    try:
        return ip_network(word)
    except ValueError as error:
        raise ValueError(f"{word} is no network such as 10.20.0.0/16 ({error})") from error


def _layers(address: Address) -> Iterator[Address]:
    """What is called in the end, and on the way: IPv4 inside of IPv6 first, wherever a standard puts it."""
    if isinstance(address, IPv4Address):
        yield address
        return
    inner = _carried(address)
    if inner is None:
        yield address
    else:
        yield from inner


def _carried(address: IPv6Address) -> Sequence[IPv4Address] | None:
    low = IPv4Address(int(address) & 0xFFFFFFFF)
    if address.ipv4_mapped is not None or any(address in network for network in _NAT64):
        return (low,)
    if address in _COMPATIBLE and int(address) > 1:
        return (low,)
    if address.sixtofour is not None:
        return (address.sixtofour,)
    if address.teredo is not None:
        return address.teredo
    return (low,) if (int(address) >> 32) & 0xFFFFFFFF in _ISATAP else None


def _fault(address: Address, reach: Reach) -> str | None:
    listed = [network for network in reach.networks if address in network]
    if _is_in(address, METADATA):  # a network that happens to hold it says nothing of it
        named = any(network.num_addresses == 1 for network in listed)
        return None if named else f"it is where machines of a cloud ask for their own credentials, and {LISTED}"
    if listed:
        return None
    kind = _kind_of(address)
    if kind == "this machine":
        return None if reach.local else f"it is {kind}, and {LOCAL_HERE}"
    return None if kind is None else f"it is {kind}, and {LISTED}"


def _kind_of(address: Address) -> str | None:
    for kind, networks in _SPECIAL:
        if _is_in(address, networks):
            return kind
    is_public = isinstance(address, IPv4Address) or address in _PUBLIC_6
    return None if is_public else "set aside for special uses"


def _is_in(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)


def _is_plain_ipv4(text: str) -> bool:
    try:
        return str(IPv4Address(text)) == text
    except ValueError:
        return False
