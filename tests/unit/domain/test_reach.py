"""Which addresses may be called, by every way in which an address can be written."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fermata.domain.reach import Reach, find_address_fault, find_host_fault, find_trusted_fault, parse_networks

PUBLIC = Reach()
SITE = Reach(networks=parse_networks("10.20.0.0/16, fd12:3456::/32 169.254.0.0/16"))
HERE = Reach(local=True)
FORBIDDEN = (
    "127.0.0.1", "127.255.255.254", "::1", "0.0.0.0", "0.1.2.3", "::", "255.255.255.255",
    "169.254.169.254", "169.254.1.1", "169.254.170.2", "fe80::1", "fe80::1%eth0", "febf::1",
    "168.63.129.16", "100.100.100.200", "fd00:ec2::254", "fd20:ce::254",
    "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1", "fc00::1", "fdff::1",
    "fec0::1", "224.0.0.1", "239.255.255.250", "ff02::1", "ff0e::1",
    "192.0.0.8", "192.0.2.1", "198.18.0.1", "198.51.100.7", "203.0.113.9", "192.88.99.1", "240.0.0.1",
    "2001:db8::1", "3fff::1", "2001:10::1", "100::1", "4000::1", "5f00::1",
    "::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:169.254.169.254", "::ffff:10.0.0.1",
    "::127.0.0.1", "::7f00:1", "::10.0.0.1",
    "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::10.0.0.1",
    "2002:7f00:1::", "2002:a00:1::1", "2002:a9fe:a9fe::1",
    "2001:0:7f00:1::1", "2001:0:808:808:0:0:80ff:fffe", "2a00::5efe:127.0.0.1", "2a00::200:5efe:10.0.0.1",
)  # fmt: skip
ALLOWED = (
    "1.1.1.1", "8.8.8.8", "172.32.0.1", "172.15.255.255", "100.63.255.255", "100.128.0.1", "169.253.0.1", "11.0.0.1",
    "2606:4700:4700::1111", "2a00:1450::1", "64:ff9b::8.8.8.8", "::ffff:8.8.8.8", "2002:808:808::1",
)  # fmt: skip


@pytest.mark.parametrize("address", FORBIDDEN)
def test_what_is_not_the_public_internet_is_not_called(address: str) -> None:
    assert find_address_fault(address, PUBLIC) is not None
    assert find_host_fault(address, PUBLIC) is not None


@pytest.mark.parametrize("address", ALLOWED)
def test_the_public_internet_is_called(address: str) -> None:
    assert find_address_fault(address, PUBLIC) is None
    assert find_host_fault(address, PUBLIC) is None


@pytest.mark.parametrize(
    "host",
    [
        "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "127.1", "127.0.1", "017700000001", "0x7F.1",
        "127.0.0.1.", "127.0.0.01", "1.1", "8.8.8.010", "0x08.8.8.8", "localhost", "LOCALHOST", "localhost.",
        "a.localhost", "a.localhost.", "", ".", "example.0x7f", "example.1", "①②⑦.⓪.⓪.①", "127。0。0。1", "[::1]%eth0",
        "fe80::1%25eth0", "1.2.3.4.5", "256.1.1.1", "999",
    ],
)  # fmt: skip
def test_hosts_that_hide_an_address_are_not_called(host: str) -> None:
    assert find_host_fault(host, PUBLIC) is not None


@pytest.mark.parametrize(
    "host", ["hooks.example", "a.b.example.", "xn--nxasmq6b.example", "10.example", "0x7f.example"]
)
def test_a_name_is_left_to_whoever_looks_it_up(host: str) -> None:
    assert find_host_fault(host, PUBLIC) is None


def test_a_listed_network_is_called_and_its_neighbours_are_not() -> None:
    for address in ("10.20.0.1", "::ffff:10.20.3.4", "64:ff9b::10.20.0.1", "fd12:3456::1"):
        assert find_address_fault(address, SITE) is None, address
    for address in ("10.21.0.1", "127.0.0.1", "fd12:3457::1", "::1", "192.168.0.1"):
        assert find_address_fault(address, SITE) is not None, address


def test_where_credentials_of_a_machine_are_given_away_only_that_very_address_opens_it() -> None:
    assert find_address_fault("169.254.7.7", SITE) is None
    assert "credentials" in (find_address_fault("169.254.169.254", SITE) or "")
    assert find_address_fault("169.254.169.254", Reach(networks=parse_networks("169.254.169.254"))) is None
    assert find_address_fault("169.254.169.254", Reach(networks=parse_networks("0.0.0.0/0"), local=True)) is not None


def test_this_machine_is_called_where_local_targets_are_allowed_and_nothing_else_with_it() -> None:
    for address in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"):
        assert find_address_fault(address, HERE) is None, address
    assert find_host_fault("localhost", HERE) is None
    for address in ("10.0.0.1", "169.254.169.254", "fe80::1", "0.0.0.0", "224.0.0.1", "fd00::1"):
        assert find_address_fault(address, HERE) is not None, address


@pytest.mark.parametrize("text", ["10.20.0.0/8/1", "10.20.0.1/16", "example.org", "10.0.0.0/33", "fd00::/200", "-"])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no network such as 10\.20\.0\.0/16"):
        parse_networks(text)


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254", "::ffff:169.254.169.254", "168.63.129.16", "fd00:ec2::254", "169.254.1.1", "fe80::1",
        "224.0.0.1", "0.0.0.0", "::", "ff02::1", "2130706433", "0x7f.1", "0177.0.0.1", "64:ff9b::a9fe:a9fe",
    ],
)  # fmt: skip
def test_even_files_of_an_operator_name_no_such_address(host: str) -> None:
    assert find_trusted_fault(host) is not None


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "::1", "10.0.0.1", "192.168.1.1", "fd00::1", "slurm", "a.b"]
)
def test_files_of_an_operator_may_name_private_networks_and_this_machine(host: str) -> None:
    assert find_trusted_fault(host) is None


@given(st.ip_addresses(v=4))
def test_whatever_is_public_to_us_is_global_to_the_standard_library(address: ipaddress.IPv4Address) -> None:
    if find_address_fault(str(address), PUBLIC) is None:
        assert address.is_global
        assert not address.is_multicast


@given(st.ip_addresses(v=6))
def test_the_same_of_ipv6(address: ipaddress.IPv6Address) -> None:
    if find_address_fault(str(address), PUBLIC) is None and address not in ipaddress.ip_network("64:ff9b::/96"):
        assert address.is_global or address.ipv4_mapped or address.sixtofour
        assert not address.is_multicast


@given(st.ip_addresses(v=4))
def test_ipv4_in_the_clothes_of_ipv6_is_what_it_is_underneath(address: ipaddress.IPv4Address) -> None:
    is_allowed = find_address_fault(str(address), PUBLIC) is None
    number = int(address)
    for dressed in (
        ipaddress.IPv6Address(0xFFFF << 32 | number),
        ipaddress.IPv6Address(int(ipaddress.IPv6Address("64:ff9b::")) | number),
        ipaddress.IPv6Address(0x2002 << 112 | number << 80 | 1),
        ipaddress.IPv6Address(int(ipaddress.IPv6Address("2a00::5efe:0:0")) | number),
    ):
        assert (find_address_fault(str(dressed), PUBLIC) is None) == is_allowed, dressed
