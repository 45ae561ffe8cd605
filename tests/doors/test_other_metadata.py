"""Google's and AWS's doors inside a node, asked by their own libraries through http_proxy."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.utils import IMDSFetcher
from google.auth import exceptions
from google.auth.compute_engine import _metadata as google_metadata
from google.auth.transport.requests import Request
from requests import Session
from tests.doors import world
from tests.doors.conftest import Doors

from fermata.domain.node_states import UnitState
from fermata.domain.policy import ScopeLevel
from fermata.domain.run_states import WindowState

SCHEDULED = "latest/meta-data/events/maintenance/scheduled"
HISTORY = "latest/meta-data/events/maintenance/history"


class Amazon(IMDSFetcher):  # type: ignore[misc]  # botocore has no types
    """As botocore's own fetchers use theirs, but for a busy machine."""

    def __init__(self) -> None:
        super().__init__(timeout=20)

    def ask(self, path: str) -> Any:
        return json.loads(self._get_request(path, None, token=self.token()).text)

    def token(self) -> str | None:
        token: str | None = self._fetch_metadata_token()
        return token


@pytest.fixture(autouse=True)
def inside_alpha_n1(doors: Doors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", doors.proxy("alpha-n1"))
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED", raising=False)


@pytest.fixture
def google() -> Iterator[Callable[..., Any]]:
    with Session() as session:

        def ask(path: str, **params: str) -> Any:
            return google_metadata.get(Request(session), path, params=params, retry_count=1, timeout=20)

        yield ask


def test_google_tells_what_comes_and_what_is_done_now(doors: Doors, google: Callable[..., Any]) -> None:
    world.approve(doors.db, ScopeLevel.CLUSTER, "alpha")
    assert google("instance/upcoming-maintenance", alt="json") == {}
    world.publish(doors.db)
    assert google("instance/upcoming-maintenance", alt="json") == {
        "can_reschedule": "true",
        "latest_window_start_time": "2026-01-25T12:30:00Z",
        "maintenance_reasons": ["PLANNED_UPDATE"],
        "maintenance_status": "PENDING",
        "type": "SCHEDULED",
        "window_start_time": "2026-01-25T12:30:00Z",
        "window_end_time": "2026-01-25T16:30:00Z",
    }
    assert google("instance/maintenance-event") == "NONE"
    world.conduct(doors.db, WindowState.OPEN, {"alpha-n1": UnitState.APPLYING}, planned=world.window())
    told = google("instance/upcoming-maintenance", alt="json")
    assert (told["maintenance_status"], told["can_reschedule"]) == ("ONGOING", "false")
    assert google("instance/maintenance-event") == "TERMINATE_ON_HOST_MAINTENANCE"
    assert google("instance/name") == "alpha-n1"


def test_google_waits_for_a_change(doors: Doors, google: Callable[..., Any]) -> None:
    world.approve(doors.db, ScopeLevel.CLUSTER, "alpha")
    world.publish(doors.db)
    began = time.monotonic()
    assert google("instance/maintenance-event", wait_for_change="true", timeout_sec="1") == "NONE"
    assert time.monotonic() - began >= 1
    begin = lambda: world.conduct(  # noqa: E731 - one line for the timer
        doors.db, WindowState.OPEN, {"alpha-n1": UnitState.APPLYING}, planned=world.window()
    )
    timer = threading.Timer(0.3, begin)
    timer.start()
    told = google("instance/maintenance-event", wait_for_change="true", timeout_sec="20")
    timer.join()
    assert told == "TERMINATE_ON_HOST_MAINTENANCE"


def test_google_without_its_header_is_refused(doors: Doors, google: Callable[..., Any]) -> None:
    path = "http://169.254.169.254/computeMetadata/v1/instance/maintenance-event"
    assert doors.inside("alpha-n1").get(path).status_code == 403
    flavored = doors.inside("alpha-n1", **{"Metadata-Flavor": "Google"})
    assert flavored.get(path).headers["metadata-flavor"] == "Google"
    assert flavored.get(f"{path}?wait_for_change=true&timeout_sec=x").status_code == 400
    with pytest.raises(exceptions.TransportError):
        google("instance/nothing")


def test_amazon_lists_what_comes_and_what_is_over(doors: Doors) -> None:
    world.approve(doors.db, ScopeLevel.CLUSTER, "alpha")
    assert Amazon().ask(SCHEDULED) == []
    world.publish(doors.db)
    (event,) = Amazon().ask(SCHEDULED)
    assert event.pop("EventId").startswith("instance-event-")
    assert event == {
        "NotBefore": "25 Jan 2026 12:30:00 GMT",
        "NotAfter": "25 Jan 2026 16:30:00 GMT",
        "Code": "system-reboot",
        "Description": "Planned maintenance of alpha, window w-alpha",
        "State": "active",
    }
    world.conduct(doors.db, WindowState.OPEN, {"alpha-n1": UnitState.RETURNED}, planned=world.window())
    assert Amazon().ask(SCHEDULED) == []
    (over,) = Amazon().ask(HISTORY)
    assert (over["State"], over["Description"][:12]) == ("completed", "[Completed] ")


def test_amazon_needs_a_token_of_this_very_node(doors: Doors) -> None:
    one, other = doors.inside("alpha-n1"), doors.inside("alpha-n0")
    base = "http://169.254.169.254"
    token = Amazon().token()
    assert token is not None
    header = {"X-aws-ec2-metadata-token": token}
    assert one.get(f"{base}/{SCHEDULED}", headers=header).status_code == 200
    assert one.get(f"{base}/{SCHEDULED}").status_code == 401
    assert other.get(f"{base}/{SCHEDULED}", headers=header).status_code == 401
    assert (
        one.get(f"{base}/{SCHEDULED}", headers={**header, "X-aws-ec2-metadata-token": token[:-2] + "AA"}).status_code
        == 401
    )
    doors.clock.at += 7 * world.HOURS
    assert one.get(f"{base}/{SCHEDULED}", headers=header).status_code == 401
    for seconds in ("", "0", "21601", "-1", "x"):
        headers = {"X-aws-ec2-metadata-token-ttl-seconds": seconds}
        assert one.put(f"{base}/latest/api/token", headers=headers).status_code == 400
