"""Signatures by which a receiver knows that a post is ours and new, as Standard Webhooks 1.0.0 has them."""

import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from fermata.adapters.vault import NoSecret, Vault
from fermata.domain.subscriptions import Subscription

PREFIX = "whsec_"
KEY_BYTES_MIN, KEY_BYTES_MAX = 24, 64  # as the specification bounds them
SECRETS_MAX = 3  # the one that is new, the one that goes, and one too many by mistake
BY_DEFAULT = "signing"  # the name of the secret that signs for a host, where a subscription names none


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs posts with the secrets that the vault has for their host."""

    vault: Vault

    def find_fault(self, subscription: Subscription) -> str | None:
        """Why posts to it cannot be signed, or None; also where nothing says that they are to be."""
        try:
            self._keys(subscription)
        except NoSecret as missing:
            return str(missing)
        return None

    def sign(self, subscription: Subscription, name: str, at: datetime, body: bytes) -> Mapping[str, str]:
        """Headers for one post; none where nobody set a secret for it. `name` is the same however often it is tried; a
        signature for each secret, the newest first. Raises NoSecret.
        """
        keys = self._keys(subscription)
        if not keys:
            return {}
        message, seconds = f"{subscription.id}_{name}".replace(".", "~"), str(int(at.timestamp()))
        signed = b".".join((message.encode(), seconds.encode(), body))
        signatures = [base64.b64encode(hmac.digest(key, signed, sha256)).decode() for key in keys]
        return {
            "webhook-id": message,
            "webhook-timestamp": seconds,
            "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
        }

    def _keys(self, subscription: Subscription) -> Sequence[bytes]:
        url, named = str(subscription.target.get("url", "")), subscription.target.get("secret")
        if named is None and not self.vault.has(url, BY_DEFAULT):
            return ()
        name = BY_DEFAULT if named is None else str(named)
        lines = self.vault.read_lines(url, name)
        if len(lines) > SECRETS_MAX:
            raise NoSecret(f"secret {name} has {len(lines)} lines: {SECRETS_MAX} at most, the newest first")
        return [_key(line, name) for line in lines]


def _key(line: str, name: str) -> bytes:
    try:
        key = base64.b64decode(line.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not line.startswith(PREFIX) or not KEY_BYTES_MIN <= len(key) <= KEY_BYTES_MAX:
        bounds = f"{KEY_BYTES_MIN} to {KEY_BYTES_MAX}"
        raise NoSecret(f"secret {name} signs nothing: each line is {PREFIX} and base64 of {bounds} random bytes")
    return key
