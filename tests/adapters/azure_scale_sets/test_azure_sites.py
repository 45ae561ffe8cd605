"""What a site says of its scale sets, and what is seen of them."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tests.adapters.azure_scale_sets.azure import Azure
from tests.adapters.azure_scale_sets.site import ScaleSets, ask, wait_for

from fermata.domain.fleet import NodeState
from fermata.ports import Refused

BOTH = {"protectFromScaleIn": True, "protectFromScaleSetActions": True}


def test_nodes_may_have_the_names_of_their_hosts(sets: ScaleSets, azure: Azure) -> None:
    words = {"node_name": "computer"}
    sets.lock("host-gpu001", **words)
    assert azure.instances["gpu001"].protection == BOTH
    assert sets.see("host-gpu001", **words).locked is True


def test_sets_of_more_instances_than_a_page_has_are_read_to_the_end(sets: ScaleSets, azure: Azure) -> None:
    azure.add(*(f"more{number:03d}" for number in range(150)))
    assert sets.see("more149").state is NodeState.IN_SERVICE


def test_several_scale_sets_are_one_site(sets: ScaleSets, azure: Azure) -> None:
    azure.add("cpu001", scale_set="cpu")
    words = {"scale_sets": ["gpu", "cpu"]}
    sets.take("gpu001", "cpu001", **words)
    workloads, asks = sets.workloads(**words), [ask(node, "give_back") for node in ("gpu001", "cpu001")]
    workloads.give_back(asks)
    assert sorted(azure.starts) == [["cpu001"], ["gpu001"]]
    wait_for(workloads, asks)


def test_versions_are_what_the_site_says_they_are(sets: ScaleSets, azure: Azure) -> None:
    azure.instances["gpu001"].tags = {"driver": "570.1"}
    components = {"os": "osVersion", "agent": "agentVersion", "gpu": "tag:driver", "none": "tag:other"}
    seen = sets.see("gpu001", components=components)
    assert seen.versions == {"os": "24.04", "agent": "2.11.1", "gpu": "570.1"}


def test_instance_runs_and_its_agent_is_silent_so_it_is_not_reached(sets: ScaleSets, azure: Azure) -> None:
    assert sets.see("gpu001").reachable
    azure.instances["gpu001"].agent = "ProvisioningState/Unavailable"
    assert not sets.see("gpu001").reachable
    sets.take("gpu002")
    assert sets.see("gpu002").reachable


def test_scale_set_whose_instances_have_no_tags_of_their_own_is_refused(sets: ScaleSets, azure: Azure) -> None:
    azure.mode = "Uniform"
    with pytest.raises(Refused, match="scale set gpu is not of flexible orchestration: its instances carry no tags"):
        sets.ports().probe()


def test_probe_says_how_large_the_sets_are(sets: ScaleSets) -> None:
    assert sets.ports().probe()["gpu"] == "2 instances, one placement group"


def test_token_is_read_anew_for_each_call(sets: ScaleSets) -> None:
    ports = sets.ports()
    ports.probe()
    sets.token_file.unlink()
    with pytest.raises(Refused, match="no token"):
        ports.probe()


def test_files_that_are_not_there_are_told_before_anybody_is_called(sets: ScaleSets, tmp_path: Path) -> None:
    gone, who = tmp_path / "gone", {"tenant_id": "t", "client_id": "c"}
    for words in ({"token_file": gone}, {"ca_file": gone}, {"token_file": None, "secret_file": gone, **who}):
        with pytest.raises(Refused, match="cannot be read"):
            sets.ports(**words)


def test_ways_to_sign_in_are_built_without_a_call(sets: ScaleSets, azure: Azure, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    sets.ports(token_file=None, secret_file=tmp_path / "secret", tenant_id="t", client_id="c")
    sets.ports(token_file=None, client_id="c")
    assert azure.calls == []


@pytest.mark.parametrize(
    "words",
    [
        {"url": "http://management.example"},
        {"scale_sets": []},
        {"subscription": "mine"},
        {"components": {"os": "kernel"}},
        {"token_file": None, "secret_file": "s"},
        {"secret_file": "s", "tenant_id": "t", "client_id": "c"},
    ],
)
def test_settings_that_cannot_work_are_refused(sets: ScaleSets, words: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        sets.settings(**words)


def test_nothing_is_called_for_nothing(sets: ScaleSets, azure: Azure) -> None:
    workloads, inventory = sets.workloads(), sets.ports().inventory
    assert inventory is not None
    assert (workloads.lock([]), workloads.observe([]), inventory.observe_nodes([])) == ({}, {}, {})
    assert azure.calls == []
