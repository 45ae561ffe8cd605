"""Doors for clients of other clouds are judged by where their paths lead; nodes do what nodes may, and nothing else."""

from fastapi import FastAPI
from tests.server.authority.world import grant, person, sign_in, told

from fermata.domain import arm
from fermata.domain.identity import GrantLevel, Principal, PrincipalKind, Role
from fermata.domain.ids import CustomerId, NodeId

VERSION = "?api-version=2023-04-01"
UPDATES = "providers/Microsoft.Maintenance/updates"


def group(customer: str, supercomputer: str) -> str:
    return f"/subscriptions/{arm.subscription_id(CustomerId(customer))}/resourceGroups/{supercomputer}"


def node(customer: str, supercomputer: str, name: str) -> str:
    return f"{group(customer, supercomputer)}/providers/Microsoft.Compute/virtualMachines/{name}/{UPDATES}{VERSION}"


def signed(app: FastAPI, name: str) -> str:
    """A node's own token."""
    keys, now = app.state.context.node_keys, app.state.context.now()
    return str(keys.sign(keys.claims(NodeId(name), audience="arm", now=now, seconds=600)))


def test_paths_of_resources_lead_to_their_customers_part_and_no_further(app: FastAPI) -> None:
    meadow = sign_in(app, person("max", grant(Role.VIEWER, GrantLevel.CUSTOMER, "meadow")))
    assert meadow.get(node("meadow", "sc-alpha", "gamma-n00")).status_code == 200
    refused = (
        node("lumen", "sc-alpha", "alpha-n00"),
        node("lumen", "SC-ALPHA", "alpha-n00").upper().replace("?API-VERSION", "?api-version"),
        f"/subscriptions/{arm.subscription_id(CustomerId('lumen'))}/{UPDATES}{VERSION}",
        f"/subscriptions/nobody/{UPDATES}{VERSION}",
    )
    for path in refused:
        assert told(meadow.get(path)) == (403, "NOT_ALLOWED"), path
    assert told(meadow.put(node("meadow", "sc-alpha", "gamma-n00"), json={})) == (403, "NOT_ALLOWED")  # it looks


def test_whoever_is_known_sees_their_own_nodes_whatever_the_id_of_an_access_key_says(app: FastAPI) -> None:
    meadow = sign_in(app, person("max", grant(Role.VIEWER, GrantLevel.CUSTOMER, "meadow")))
    for name in ("meadow", "lumen", "nobody"):
        key = {"authorization": f"AWS4-HMAC-SHA256 Credential={name}/20260101/r/ec2/aws4_request"}
        answer = meadow.post("/", content="Action=DescribeInstanceStatus", headers=key)
        assert (answer.status_code, "gamma-n00" in answer.text, "alpha-" in answer.text) == (200, True, False)


def test_a_node_is_let_to_its_own_door_with_its_token_and_nowhere_else(app: FastAPI) -> None:
    own = Principal(name="gamma-n00", kind=PrincipalKind.NODE, grants=frozenset())
    client = sign_in(app, own)
    path = node("meadow", "sc-alpha", "gamma-n00")
    assert told(client.get(path)) == (403, "NOT_ALLOWED")  # without the token by which the door knows it
    for token in ("x", signed(app, "alpha-n00"), signed(app, "gamma-n00") + "x"):
        assert told(client.get(path, headers={"authorization": f"Bearer {token}"})) == (403, "NOT_ALLOWED")
    mine = {"authorization": f"Bearer {signed(app, 'gamma-n00')}"}
    assert client.get(path, headers=mine).status_code == 200
    assert client.get(node("lumen", "sc-alpha", "alpha-n00"), headers=mine).status_code == 403
    for other in ("/", "/metrics", "/api/v1/updates", "/api/v1/board", "/journal"):
        assert told(client.get(other, headers={"authorization": "Bearer x"})) == (403, "NOT_ALLOWED"), other
