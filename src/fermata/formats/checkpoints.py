"""Files of signed checkpoints, and the Ed25519 keys (RFC 8032) that sign them, in PEM."""

import base64
import json
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from fermata.domain.checkpoints import SCHEMA, Checkpoint
from fermata.formats.faults import BadInput, FaultLog, raise_faults

SUFFIX = ".checkpoint.json"
PUBLIC = ".pub"  # after the name of the private key's file


def make_key(file: Path) -> Path:
    """Writes a new private key, for its owner's eyes alone, and its public key beside it, whose path is returned.

    Raises FileExistsError: a key that signed something is never written over.
    """
    key = Ed25519PrivateKey.generate()
    public = file.with_name(file.name + PUBLIC)
    if public.exists():
        raise FileExistsError(17, "there is a key", str(public))
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return public


def sign(point: Checkpoint, key_file: Path) -> str:
    """The text of a checkpoint's file. Raises BadInput where the key cannot be used."""
    told = {
        "schema": SCHEMA,
        "seq": point.seq,
        "head": point.head,
        "at": point.at.astimezone(UTC).isoformat(),
        "signature": signature_of(point, key_file),
    }
    return json.dumps(told, indent=2) + "\n"


def signature_of(point: Checkpoint, key_file: Path) -> str:
    """In base64. Raises BadInput where the key cannot be used."""
    return base64.b64encode(_private(key_file).sign(point.signed)).decode()


def is_signed(point: Checkpoint, signature: str, key_file: Path) -> bool:
    """True when the private key of this public one signed it. Raises BadInput where the key cannot be used."""
    try:
        _public(key_file).verify(base64.b64decode(signature, validate=True), point.signed)
    except (InvalidSignature, ValueError):
        return False
    return True


def read_checkpoints(places: Iterable[Path], key_file: Path) -> tuple[Checkpoint, ...]:
    """The checkpoints of these files, and of those in these folders that end like one.

    Raises BadInput with every file that is none, or that was not signed with the private key of this public one.
    """
    key = _public(key_file)
    files = [file for place in places for file in (sorted(place.glob(f"*{SUFFIX}")) if place.is_dir() else [place])]
    logs = [FaultLog(file) for file in files]
    found = [_read(log, key, key_file) for log in logs]
    raise_faults(logs)
    return tuple(point for point in found if point is not None)


def _read(log: FaultLog, key: Ed25519PublicKey, key_file: Path) -> Checkpoint | None:
    """One file's checkpoint; None with a fault in the log."""
    try:
        told = json.loads(log.file.read_bytes())
        if told["schema"] != SCHEMA:
            raise ValueError
        at = datetime.fromisoformat(told["at"]).astimezone(UTC)  # a time that UTC has, too
        point = Checkpoint(seq=int(told["seq"]), head=str(told["head"]), at=at)
        signature = base64.b64decode(str(told["signature"]), validate=True)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        log.add(f"This is no checkpoint ({SCHEMA}): take one with fermata audit checkpoint.")
        return None
    try:
        key.verify(signature, point.signed)
    except InvalidSignature:
        log.add(f"It was not signed with the private key of {key_file}, or was changed since: it proves nothing.")
        return None
    return point


def _private(file: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(file.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise _unusable(file, "no private Ed25519 key in PEM without a passphrase: make one with fermata audit key")
    return key


def _public(file: Path) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(file.read_bytes())
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise _unusable(
            file, f"no public Ed25519 key in PEM: fermata audit key writes it into a file that ends {PUBLIC}"
        )
    return key


def _unusable(file: Path, why: str) -> BadInput:
    log = FaultLog(file)
    log.add(f"This is {why}.")
    return BadInput(log.shown(), len(log))
