"""The file of access: what it grants to whom, and what it must not say."""

from datetime import timedelta
from pathlib import Path

import pytest

from fermata.domain.access import emergencies_of_user, grants_of_client, grants_of_user
from fermata.domain.identity import Grant, GrantLevel, Role
from fermata.formats.access import read_access
from fermata.formats.faults import BadInput

OIDC = "oidc: {issuer: 'https://idp.example', client_id: fermata}\n"


def read(folder: Path, text: str):
    path = folder / "access.yaml"
    path.write_text(text)
    return read_access(path)


def test_grants_are_for_users_groups_and_programs_apart(tmp_path: Path) -> None:
    text = OIDC + (
        "grants:\n"
        "  - {group: acme-leads, role: approver, customer: acme}\n"
        "  - {user: ada@example.com, role: conductor}\n"
        "  - {client: ada@example.com, role: automation, cluster: c-1}\n"
        "trusted_proxy: {addresses: [10.0.0.5, 192.0.2.0/24]}\n"
        "session: {idle_minutes: 30, hours: 8}\n"
    )
    book = read(tmp_path, text)
    conducts = Grant(role=Role.CONDUCTOR, level=GrantLevel.EVERYTHING)
    approves = Grant(role=Role.APPROVER, level=GrantLevel.CUSTOMER, name="acme")
    assert grants_of_user(book, "ada@example.com", ()) == {conducts}
    assert grants_of_user(book, "ada@example.com", ("acme-leads", "others")) == {conducts, approves}
    assert grants_of_user(book, "acme-leads", ()) == frozenset()
    assert {grant.role for grant in grants_of_client(book, "ada@example.com")} == {Role.AUTOMATION}
    assert [book.proxy.holds(address) for address in ("10.0.0.5", "192.0.2.9", "10.0.0.6", "nobody")] == [
        True, True, False, False
    ]  # fmt: skip
    assert (book.session.idle, book.session.whole) == (timedelta(minutes=30), timedelta(hours=8))


def test_what_may_be_taken_in_an_emergency_is_not_granted(tmp_path: Path) -> None:
    text = OIDC + (
        "grants: [{user: ada, role: viewer}]\n"
        "break_glass:\n  - {user: ada, role: conductor}\n  - {group: night, role: operator, cluster: c-1}\n"
    )
    book = read(tmp_path, text)
    conducts = Grant(role=Role.CONDUCTOR, level=GrantLevel.EVERYTHING)
    operates = Grant(role=Role.OPERATOR, level=GrantLevel.CLUSTER, name="c-1")
    assert emergencies_of_user(book, "ada", ("night",)) == {conducts, operates}
    assert emergencies_of_user(book, "bea", ()) == frozenset()
    assert grants_of_user(book, "ada", ("night",)) == {Grant(role=Role.VIEWER, level=GrantLevel.EVERYTHING)}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("break_glass: [{client: bot, role: conductor}]\ngrants: []", "for people"),
        ("grants: [{user: a, group: b, role: viewer}]", "one user, one group or one client"),
        ("grants: [{role: viewer}]", "one user, one group or one client"),
        (
            "grants: [{user: a, role: viewer, customer: x, cluster: y}]",
            "one customer, one supercomputer or one cluster",
        ),
        ("grants: [{user: a, role: king}]", "it must be"),
        ("grants: [{user: a, role: viewer, rack: r}]", "is unknown"),
        ("grants: [{user: a, role: viewer}]", "without a provider of identities"),
        ("oidc: {issuer: 'http://idp.example', client_id: f}\ngrants: []", "must be an https address"),
        ("oidc: {issuer: 'https://idp.example?x=1', client_id: f}\ngrants: []", "must be an https address"),
        ("oidc: {issuer: 'https://idp.example', client_id: f, audience: f}\ngrants: []", "the client's own id"),
        ("oidc: {issuer: 'https://idp.example', client_id: f, scopes: [email]}\ngrants: []", "openid must be one"),
        (
            "oidc: {issuer: 'https://idp.example', client_id: f, client_secret_file: gone}\ngrants: []",
            "There is no file",
        ),
        ("oidc: {issuer: 'https://idp.example', client_id: f, client_secret_file: open}\ngrants: []", "chmod 600"),
        ("trusted_proxy: {addresses: [0.0.0.0/0]}\ngrants: []", "every address"),
        ("trusted_proxy: {addresses: [proxy.example]}\ngrants: []", "no address and no network"),
        ("trusted_proxy: {addresses: []}\ngrants: []", "names nobody"),
        ("session: {idle_minutes: 0}\ngrants: []", "whole number from 1"),
        ("nodes: {certificate: {ca_file: gone}}\ngrants: []", "There is no file"),
        (
            "nodes: {token: {issuer: 'https://k8s.example', audience: n, claim: [a, node, name]}}\ngrants: []",
            "would be taken for a node",
        ),
        ("{}", "grants"),
    ],
)
def test_what_would_let_in_others_than_meant_is_told_with_its_place(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "open").write_text("secret")
    (tmp_path / "open").chmod(0o644)
    with pytest.raises(BadInput) as told:
        read(tmp_path, text)
    assert why in str([str(fault) for fault in told.value.faults])
