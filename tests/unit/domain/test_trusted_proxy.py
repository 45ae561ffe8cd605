"""Who ends TLS before us is known by its address, whatever a listener calls it."""

import pytest

from fermata.domain.access import NO_PROXY, TrustedProxy

PROXY = TrustedProxy.of("10.0.0.5", "192.0.2.0/28", "2001:db8::/64")


@pytest.mark.parametrize(
    ("address", "is_its"),
    [
        ("10.0.0.5", True),
        ("::ffff:10.0.0.5", True),
        ("::ffff:192.0.2.15", True),
        ("2001:db8::9", True),
        ("10.0.0.6", False),
        ("::ffff:192.0.2.16", False),
        ("::10.0.0.5", False),
        ("2001:db8:1::9", False),
        ("testclient", False),
    ],
)
def test_a_proxy_is_known_by_its_address_as_a_listener_for_both_kinds_has_it(address: str, is_its: bool) -> None:
    assert PROXY.holds(address) is is_its
    assert not NO_PROXY.holds(address)
