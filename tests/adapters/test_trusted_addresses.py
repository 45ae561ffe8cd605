"""Addresses in files of an operator: private ones are where services are, others are refused, and no answer of theirs
leads elsewhere.
"""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import aiohttp
import httpx2
import pytest
from azure.core.exceptions import HttpResponseError
from tests.conformance.receivers import Answer, Receiver, receiving
from tests.formats.test_site import GOOD, faults

from fermata.adapters.azure_scale_sets.link import open_client as open_azure
from fermata.adapters.azure_scale_sets.settings import Settings as AzureSettings
from fermata.adapters.controller_http import open_client, send
from fermata.adapters.inventory_http import Access, Asking
from fermata.adapters.kubernetes_link import connect_plainly
from fermata.formats.faults import BadInput
from fermata.formats.metrics import read_metrics
from fermata.formats.sources import read_sources
from fermata.ports import Refused
from fermata.settings import BadSetting, read_settings

FORBIDDEN = (
    "http://169.254.169.254/latest",
    "http://[fd00:ec2::254]",
    "https://168.63.129.16",
    "http://0.0.0.0:80",
    "http://[fe80::1]:6443",
    "https://224.0.0.9",
    "http://2852039166",
    "http://0xa9fea9fe",
    "http://[::ffff:169.254.169.254]",
)


@pytest.mark.parametrize("url", FORBIDDEN)
def test_no_file_of_an_operator_leads_to_credentials_of_the_machine(tmp_path: Path, url: str) -> None:
    assert "This address is never called" in faults(tmp_path, GOOD.replace("http://127.0.0.1:1", url))[0]
    nested = GOOD.replace("names: [a, b]", f'names: [a, "{url}"]')
    assert "This address is never called" in faults(tmp_path, nested)[0], "wherever in the settings"
    sources = tmp_path / "sources.yaml"
    for text in (
        f"sources: [{{id: a, kind: netbox, url: '{url}', nodes: {{}}}}]",
        f"sources: []\nrequests: [{{id: a, url: '{url}', asks: [node_maintenance]}}]",
    ):
        sources.write_text(text)
        with pytest.raises(BadInput, match="is never called"):
            read_sources(sources)
    metrics = tmp_path / "metrics.yaml"
    metrics.write_text(f"prometheus: {{url: '{url}'}}")
    with pytest.raises(BadInput, match="never called"):
        read_metrics(metrics)


def test_a_fault_of_an_address_tells_no_password(tmp_path: Path) -> None:
    sources = tmp_path / "sources.yaml"
    sources.write_text("sources: [{id: a, kind: netbox, url: 'http://me:canary@netbox', nodes: {}}]")
    with pytest.raises(BadInput) as bad:
        read_sources(sources)
    assert "canary" not in str(bad.value)


def test_networks_are_read_from_the_setting_and_nonsense_stops_the_process() -> None:
    assert [str(each) for each in read_settings(outbound_allow="10.0.0.0/8 fd00::/8").outbound_networks] == [
        "10.0.0.0/8",
        "fd00::/8",
    ]
    with pytest.raises(BadSetting, match=r"FERMATA_OUTBOUND_ALLOW.*is no network"):
        read_settings(outbound_allow="10.0.0.0/8, everywhere")


@pytest.fixture
def elsewhere() -> Iterator[Receiver]:
    with receiving() as opened:
        yield opened


def by_httpx(url: str, token: Path) -> None:
    with Asking(Access(url=url, scheme="Bearer")) as asking, pytest.raises(Refused, match="307"):
        asking.get("/x", {})


def by_aiohttp(url: str, token: Path) -> None:
    async def ask() -> int:
        client = open_client(calls_at_once=1, verify_tls=True, ca_file=None)
        async with client:
            said = await send(client, "GET", url, headers={}, timeout=aiohttp.ClientTimeout(total=5))
        return said.status

    assert asyncio.run(ask()) == 307


def by_lightkube(url: str, token: Path) -> None:
    with connect_plainly(url, None, None, 5) as client:
        found = client.get("/version")
    assert isinstance(found, httpx2.Response)
    assert found.status_code == 307


def by_azure(url: str, token: Path) -> None:
    said = {"subscription": "0" * 36, "resource_group": "g", "scale_sets": ["v"], "url": url, "token_file": str(token)}

    async def ask() -> None:
        client, credential = open_azure(AzureSettings.model_validate(said))
        async with client, credential:
            with pytest.raises(HttpResponseError) as refused:
                await client.virtual_machine_scale_sets.get("g", "v", enforce_https=False)
        assert refused.value.status_code == 307

    asyncio.run(ask())


@pytest.mark.parametrize("ask", [by_httpx, by_aiohttp, by_lightkube, by_azure])
def test_no_client_follows_a_redirect_with_what_lets_us_in(
    elsewhere: Receiver, tmp_path: Path, ask: Callable[[str, Path], None]
) -> None:
    token = tmp_path / "token"
    token.write_text("t")
    with receiving() as redirecting:
        redirecting.answers = [Answer(307, headers={"Location": elsewhere.url})]
        ask(redirecting.url.removesuffix("/hook"), token)
        assert len(redirecting.got) == 1
        assert elsewhere.got == []
