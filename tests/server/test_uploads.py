"""Uploads: only files that an import knows, whole or not at all, faults under the names that were sent."""

import json
from http.client import HTTPConnection
from pathlib import Path

import httpx
import pytest
from tests.formats.conftest import Small

from fermata.server.guard import BODY_BYTES_MAX, UPLOAD_BYTES_MAX

API = "/api/v1"
Parts = list[tuple[str, tuple[str, bytes]]]


@pytest.fixture
def small(tmp_path: Path) -> Small:
    folder = tmp_path / "small"
    folder.mkdir()
    return Small(folder)


def parts(small: Small, *names: str) -> Parts:
    return [("files", (Path(name).name, small.path(name).read_bytes())) for name in names]


def send(client: httpx.Client, kind: str, files: Parts) -> httpx.Response:
    return client.post(f"{API}/imports", data={"kind": kind, "actor": "operator-1"}, files=files)


def test_files_are_imported_and_the_journal_knows_by_whom(client: httpx.Client, small: Small) -> None:
    fleet = parts(small, "fleet/clusters.csv", "fleet/nodes.csv", "fleet/devices.csv")
    answer = send(client, "fleet", fleet)
    assert (answer.status_code, answer.json()["fleet"]["node"]) == (201, {"added": 5, "changed": 0, "removed": 0})
    lines = client.get(f"{API}/journal").json()["lines"]
    assert {line["actor"] for line in lines} == {"operator-1"}


def test_faults_carry_the_name_that_was_sent_and_their_place(client: httpx.Client, small: Small) -> None:
    small.replace("policy.yaml", "deployments: all", "deployments: most")
    problem = send(client, "policy", parts(small, "policy.yaml")).json()
    assert (problem["status"], problem["code"], problem["total"]) == (422, "BAD_INPUT", 1)
    (fault,) = problem["faults"]
    assert (fault["file"], fault["line"], fault["kind"]) == ("policy.yaml", 3, "file")
    assert "fermata-upload" not in json.dumps(problem)
    assert client.get(f"{API}/imports").json()["policy_customers"] == 0


@pytest.mark.parametrize("name", ["../policy.yaml", "/etc/policy.yaml", "fleet/../../x.csv", "notes.txt", ".", "a\\b"])
def test_file_that_no_import_knows_is_refused_by_name(client: httpx.Client, small: Small, name: str) -> None:
    files = [*parts(small, "policy.yaml"), ("files", (name, b"x"))]
    answer = send(client, "scenario", files)
    assert answer.status_code == 422
    assert "no such file" in answer.json()["faults"][0]["sentence"]


def test_file_sent_twice_is_refused(client: httpx.Client, small: Small) -> None:
    answer = send(client, "policy", parts(small, "policy.yaml", "policy.yaml"))
    assert (answer.status_code, "twice" in answer.text) == (422, True)


def test_form_without_kind_or_files_is_faulted(client: httpx.Client) -> None:
    problem = client.post(f"{API}/imports", data={"actor": "operator-1"}).json()
    assert {fault["where"] for fault in problem["faults"]} == {"body.kind", "body.files"}


def test_plan_that_cannot_be_read_is_faulted_by_its_place(client: httpx.Client) -> None:
    answer = client.post(f"{API}/plans", data={"actor": "operator-1"}, files={"plan": ("any.json", b'{"schema": 1}')})
    problem = answer.json()
    assert (answer.status_code, problem["faults"][0]["file"]) == (422, "plan.json")


def test_uploads_may_be_larger_than_other_bodies_but_not_endless(client: httpx.Client) -> None:
    padding = b"#" * (BODY_BYTES_MAX + 1)
    assert send(client, "policy", [("files", ("policy.yaml", padding))]).status_code == 422
    raw = HTTPConnection(client.base_url.host, client.base_url.port or 80, timeout=20)
    raw.putrequest("POST", f"{API}/imports")
    raw.putheader("Content-Length", str(UPLOAD_BYTES_MAX + 1))
    raw.endheaders()
    answer = raw.getresponse()
    assert (answer.status, json.load(answer)["code"]) == (413, "BODY_TOO_LARGE")
    raw.close()


def test_upload_ordered_by_another_site_is_refused(client: httpx.Client, small: Small) -> None:
    answer = client.post(
        f"{API}/imports",
        data={"kind": "policy", "actor": "operator-1"},
        files=parts(small, "policy.yaml"),
        headers={"Origin": "https://elsewhere.example"},
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "CROSS_SITE")


def test_a_workload_map_is_sent_with_its_table_or_alone(client: httpx.Client, small: Small) -> None:
    send(client, "fleet", parts(small, "fleet/clusters.csv", "fleet/nodes.csv", "fleet/devices.csv"))
    small.write("workloads.yaml", "services:\n  - {id: training, class: research, minimum: {US: {nodes: 1}}}\n")
    small.write("workloads.csv", "node,service\nbeta-n0,training\n")
    both = send(client, "workloads", parts(small, "workloads.yaml", "workloads.csv"))
    assert (both.status_code, both.json()["documents"]) == (201, ["workloads"])
    small.write("workloads.csv", "node,service\nbeta-n9,training\n")
    refused = send(client, "workloads", parts(small, "workloads.yaml", "workloads.csv"))
    assert (refused.status_code, refused.json()["code"]) == (409, "SCOPE_UNKNOWN")
    alone = send(client, "workloads", parts(small, "workloads.yaml"))
    assert alone.json()["changed"]
