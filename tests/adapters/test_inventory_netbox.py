"""Devices of a NetBox on loopback: pages by number, a list that changes meanwhile, and what becomes of the objects."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.adapters.loopback import Answer, Asked, serving

from fermata.adapters.inventory_netbox import NetBoxDevices
from fermata.domain.secrets import ref_of_file
from fermata.domain.sources import NetBox
from fermata.ports import Refused, TryLater


def device(number: int, **changed: Any) -> dict[str, Any]:
    return {
        "id": number,
        "name": f"gpu{number}",
        "role": {"id": 1, "slug": "gpu-node", "name": "GPU node"},
        "rack": {"id": 9, "name": "r7"},
        "site": {"slug": "sea1"},
        "cluster": {"name": "alpha"},
        "position": 12.0,
        "face": None,
        "status": {"value": "active", "label": "Active"},
        "tags": [{"slug": "h100"}, {"slug": "liquid"}],
        "custom_fields": {"fault_domain": "fd1", "nic_fw": "28.43", "owner": None},
        **changed,
    }


def listing(*devices: dict[str, Any], count: int | None = None) -> Callable[[Asked], Answer]:
    """NetBox's own form of a page; its links name a host that nobody reaches."""

    def answer(asked: Asked) -> Answer:
        start, size = int(asked.query["offset"]), int(asked.query["limit"])
        more = start + size < len(devices)
        return Answer(
            {
                "count": len(devices) if count is None else count,
                "next": "http://inside.invalid/api/dcim/devices/?offset=1" if more else None,
                "previous": None,
                "results": list(devices[start : start + size]),
            }
        )

    return answer


def test_all_pages_are_read_with_the_query_and_the_token(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret")
    with serving(listing(*(device(number) for number in range(5)))) as (url, asked):
        reach = NetBox(url=url, token=ref_of_file(token), query={"role": "gpu-node", "site": "sea1"})
        found = NetBoxDevices(reach, page_size=2)()
    assert [facts.name for facts in found] == [f"gpu{number}" for number in range(5)]
    assert [request.query["offset"] for request in asked] == ["0", "2", "4"]
    assert {(r.query["role"], r.query["site"], r.query["ordering"]) for r in asked} == {("gpu-node", "sea1", "id")}
    assert {request.headers["authorization"] for request in asked} == {"Token s3cret"}
    assert {request.path for request in asked} == {"/api/dcim/devices/"}


def test_a_device_is_flat_fields() -> None:
    with serving(listing(device(1))) as (url, _):
        (facts,) = NetBoxDevices(NetBox(url=url))()
    wanted = {
        "name": "gpu1",
        "rack.name": "r7",
        "site.slug": "sea1",
        "cluster.name": "alpha",
        "role.slug": "gpu-node",
        "custom_fields.fault_domain": "fd1",
        "tags": "h100,liquid",
        "status.value": "active",
        "state": "in_service",
    }
    assert {key: facts.fields[key] for key in wanted} == wanted
    assert "custom_fields.owner" not in facts.fields


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("active", "in_service"),
        ("offline", "out_of_service"),
        ("failed", "out_of_service"),
        ("staged", "out_of_service"),
        ("decommissioning", "out_of_service"),
        ("our-own-word", None),
    ],
)
def test_in_service_is_active_and_a_word_of_the_site_s_own_is_not_guessed(status: str, state: str | None) -> None:
    with serving(listing(device(1, status={"value": status}))) as (url, _):
        (facts,) = NetBoxDevices(NetBox(url=url))()
    assert facts.fields.get("state") == state


def test_a_device_without_a_name_is_called_by_its_number() -> None:
    with serving(listing(device(7, name=None))) as (url, _):
        (facts,) = NetBoxDevices(NetBox(url=url))()
    assert facts.name == "device 7"


@pytest.mark.parametrize("count", [2, 4])
def test_a_list_that_changes_while_it_is_read_is_asked_for_again(count: int) -> None:
    devices = [device(number) for number in range(3)]
    with serving(listing(*devices, count=count)) as (url, _), pytest.raises(TryLater, match=f"lists {count} devices"):
        NetBoxDevices(NetBox(url=url), page_size=2)()


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (Answer({"detail": "Invalid token"}, 403), Refused, "403.*Invalid token"),
        (Answer("", 410), Refused, "410"),
        (Answer({"results": [{}], "count": 1}), Refused, "a device that is none"),
        (Answer({"results": [], "count": 9, "next": "x"}), Refused, "without end"),
        (Answer({"hello": 1}), Refused, "no list of results"),
        (Answer("", 502), TryLater, "502"),
    ],
)
def test_what_is_no_list_of_devices_is_an_error(answer: Answer, error: type[Exception], said: str) -> None:
    with serving(lambda _: answer) as (url, _), pytest.raises(error, match=said):
        NetBoxDevices(NetBox(url=url))()
