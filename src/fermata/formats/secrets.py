"""Reads the file of secrets: which commands print some, which server has some, and which belong to channels."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from fermata.domain.secrets import (
    ANSWER_SECONDS,
    ANSWER_SECONDS_MAX,
    KEPT,
    KEPT_MAX,
    LoginKind,
    SecretBook,
    SecretCommand,
    SecretKind,
    SecretRef,
    VaultTerms,
    ref_of_file,
)
from fermata.formats.faults import FaultLog, raise_faults
from fermata.formats.fields import Document, Fields
from fermata.formats.operators import read_file, read_url
from fermata.formats.secret_names import read_ref
from fermata.formats.spots import Kind, Spot
from fermata.formats.yamltext import read_yaml

VAULT_OPTIONAL = ("token", "approle", "kubernetes", "namespace", "ca_file", "answer_seconds")
LOCAL_HOSTS = ("http://127.0.0.1", "http://localhost", "http://[::1]")
WORKLOAD_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"


def read_secrets(path: Path) -> SecretBook:
    """Read the file `path`. Paths in it are relative to its folder. Raises BadInput with all its faults."""
    document = Document(log=FaultLog(path))
    root = read_yaml(path, document.log)
    found = None
    if root is not None:
        top = Fields(document, root, optional=("commands", "vault", "channels", "kept_seconds"))
        kept = top.integer("kept_seconds", most=KEPT_MAX.seconds) if top.has("kept_seconds") else KEPT.seconds
        found = SecretBook(
            file=str(path),
            commands={name: _command(document, spot) for name, spot in _entries(top, "commands").items()},
            vault=_vault(top, path.parent) if top.has("vault") else None,
            channels=_channels(top, path.parent),
            kept=timedelta(seconds=kept),
        )
    raise_faults([document.log])
    assert found is not None, "a file without faults is read"
    return found


def _command(document: Document, spot: Spot) -> SecretCommand:
    fields = Fields(document, spot, required=("run",), optional=("key", "answer_seconds", "pass_on"))
    words = tuple(item.raw for item in fields.items("run"))
    if fields.spot("run") is not None and (not words or not all(words)):
        fields.fault("run", "It is a list: the program by its path, and its arguments, each by itself.")
    elif words and not words[0].startswith("/"):
        fields.fault("run", "The program is named by its whole path: what PATH finds may be another one.")
    return SecretCommand(
        words=words,
        key=_key(fields),
        seconds=_seconds(fields),
        passed=tuple(item.raw for item in fields.items("pass_on")),
    )


def _key(fields: Fields) -> tuple[str, ...]:
    if not fields.has("key"):
        return ()
    words = tuple(fields.text("key").split("."))
    if not all(words):
        fields.fault("key", "It is the way into the JSON, with dots between: status.token.")
    return words


def _vault(top: Fields, folder: Path) -> VaultTerms:
    fields = top.fields("vault", required=("url",), optional=VAULT_OPTIONAL)
    url = read_url(fields)
    if url.startswith("http://") and not url.startswith(LOCAL_HOSTS):
        fields.fault("url", "It must be https, or on this machine: what it says is secret.")
    ways = [way for way in LoginKind if fields.has(way)]
    if len(ways) != 1:
        sentence = "Say how the vault knows us: token, approle or kubernetes, one of them."
        fields.fault("url", sentence)
    login = ways[0] if ways else LoginKind.TOKEN
    role, mount, credential = _login(fields, login, folder)
    if credential is not None and credential.kind is SecretKind.VAULT:
        fields.fault(login, "What we log in with cannot stand in the vault itself.")
    ca_file = read_file(fields, "ca_file", folder)
    return VaultTerms(
        url=url,
        login=login,
        credential=credential or ref_of_file(WORKLOAD_TOKEN),
        role=role,
        mount=mount,
        namespace=fields.text("namespace") if fields.has("namespace") else "",
        ca_file=Path(ca_file) if ca_file is not None else None,
        seconds=_seconds(fields),
    )


def _login(fields: Fields, login: LoginKind, folder: Path) -> tuple[str, str, SecretRef | None]:
    """The role, where that way to log in is, and what we log in with."""
    match login:
        case LoginKind.TOKEN:
            return "", "", read_ref(fields, "token", folder)
        case LoginKind.APPROLE:
            way = fields.fields("approle", required=("role_id", "secret_id"), optional=("mount",))
            role, credential = way.text("role_id"), read_ref(way, "secret_id", folder)
        case LoginKind.KUBERNETES:
            way = fields.fields("kubernetes", required=("role",), optional=("token", "mount"))
            role, credential = way.text("role"), read_ref(way, "token", folder)
    return role, way.text("mount") if way.has("mount") else login.value, credential


def _channels(top: Fields, folder: Path) -> Mapping[tuple[str, str], SecretRef]:
    found: dict[tuple[str, str], SecretRef] = {}
    for host, spot in _entries(top, "channels").items():
        names = Fields(top.document, spot, optional=tuple(spot.keys))
        for name in spot.keys:
            ref = read_ref(names, name, folder)
            if ref is not None:
                found[host.lower(), name] = ref
    return found


def _entries(top: Fields, key: str) -> Mapping[str, Spot]:
    spot = top.spot(key)
    if spot is None:
        return {}
    if spot.kind is not Kind.MAPPING:
        top.fault(key, f"{key} is {spot.kind}; it must be a mapping of names.")
        return {}
    return spot.keys


def _seconds(fields: Fields) -> float:
    if not fields.has("answer_seconds"):
        return ANSWER_SECONDS
    return fields.integer("answer_seconds", least=1, most=ANSWER_SECONDS_MAX)
