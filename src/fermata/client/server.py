"""Every verb of a server, each one request but for long lists, which come in pages."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from fermata.client.access import AccessVerbs
from fermata.client.catalogue import CatalogueVerbs
from fermata.client.consent import ConsentVerbs
from fermata.client.gates import GatesVerbs
from fermata.client.inventory import InventoryVerbs
from fermata.client.link import ServerLink
from fermata.client.notices import NoticesVerbs
from fermata.client.plans import PlansVerbs
from fermata.client.policy import PolicyVerbs
from fermata.client.readmission import ReadmissionVerbs
from fermata.client.requests import RequestsVerbs
from fermata.client.rooms import RoomsVerbs
from fermata.client.runs import RunsVerbs
from fermata.client.tokens import TokensVerbs


@dataclass(frozen=True, slots=True)
class ServerVerbs(
    RequestsVerbs,
    CatalogueVerbs,
    ConsentVerbs,
    GatesVerbs,
    InventoryVerbs,
    NoticesVerbs,
    PlansVerbs,
    PolicyVerbs,
    ReadmissionVerbs,
    RoomsVerbs,
    RunsVerbs,
    TokensVerbs,
    AccessVerbs,
):
    """The verbs of the command line, over the API."""


@contextmanager
def connect(url: str, *, token: str = "", ca_file: str | None = None) -> Iterator[ServerVerbs]:
    """The verbs of the server at `url`; its connection is closed at the end of the block."""
    with ServerLink(url, token=token, ca_file=ca_file) as link:
        yield ServerVerbs(link)
