"""Secrets of a HashiCorp Vault or an OpenBao: its key/value store, version 2, over HTTP. See their API documentation:
`GET /v1/MOUNT/data/PATH`, and `POST /v1/auth/MOUNT/login` for a role or a workload of Kubernetes.
"""

import ssl
import threading
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import httpx

from fermata.adapters.client_logs import quiet_clients
from fermata.domain.reasons import SecretCode, reason
from fermata.domain.secrets import LoginKind, Missing, SecretRef, VaultTerms

CONNECT_SECONDS_MAX = 5.0
ANSWER_BYTES_MAX = 1 << 20  # as much as a server takes of one secret
RENEW_SHARE = 0.8  # of the time that a login lasts: then we log in anew
AWAY = frozenset({408, 412, 429, 472, 473, 500, 502, 503, 504})  # standby, sealed, or not up to date yet


class KeyValues:
    """One server. `find`: reads what we log in with, which does not stand in this server itself. A login is kept while
    it lasts; one that is refused is done anew, once.
    """

    def __init__(
        self, terms: VaultTerms, file: str, find: Callable[[SecretRef], str | Missing], seconds: Callable[[], float]
    ) -> None:
        self._terms, self._file, self._find, self._seconds = terms, file, find, seconds
        self._client: httpx.Client | None = None
        self._login: tuple[str, float] | None = None  # the token, and until when
        self._lock = threading.Lock()

    def find(self, ref: SecretRef) -> str | Missing:
        """What stands there, in its newest version."""
        with self._lock:
            token = self._token(ref)
            if isinstance(token, Missing):
                return token
            answer = self._get(ref, token)
            if isinstance(answer, httpx.Response) and answer.status_code == httpx.codes.FORBIDDEN:
                self._login = None  # it ended before its time, or was taken away; for a token the file may have another
                fresh = self._token(ref)
                if isinstance(fresh, Missing):
                    return fresh
                answer = self._get(ref, fresh) if fresh != token else answer
            return answer if isinstance(answer, Missing) else self._read(ref, answer)

    def close(self) -> None:
        """Forgets the login."""
        with self._lock:
            client, self._client, self._login = self._client, None, None
        if client is not None:
            client.close()

    def _token(self, ref: SecretRef) -> str | Missing:
        if self._login is not None and self._seconds() < self._login[1]:
            return self._login[0]
        credential = self._find(self._terms.credential)
        if isinstance(credential, Missing) or self._terms.login is LoginKind.TOKEN:
            return credential
        own = "jwt" if self._terms.login is LoginKind.KUBERNETES else "secret_id"
        role = "role" if self._terms.login is LoginKind.KUBERNETES else "role_id"
        path = f"/v1/auth/{quote(self._terms.mount)}/login"
        answer = self._ask(ref, "POST", path, {}, {role: self._terms.role, own: credential})
        if isinstance(answer, Missing):
            return answer
        if answer.status_code != httpx.codes.OK:
            return self._refused(ref, f"answers our login {answer.status_code}")
        given = _mapping(_mapping(_json(answer)).get("auth"))
        token, lasts = given.get("client_token"), given.get("lease_duration")
        if not isinstance(token, str) or not token or not isinstance(lasts, int | float):
            return self._refused(ref, "answers our login with no token")
        self._login = (token, self._seconds() + (lasts * RENEW_SHARE if lasts > 0 else float("inf")))
        return token

    def _get(self, ref: SecretRef, token: str) -> httpx.Response | Missing:
        mount, path, _ = ref.path_and_key
        return self._ask(ref, "GET", f"/v1/{quote(mount)}/data/{quote(path)}", {"X-Vault-Token": token}, None)

    def _ask(
        self, ref: SecretRef, method: str, path: str, headers: Mapping[str, str], body: Mapping[str, str] | None
    ) -> httpx.Response | Missing:
        """An answer that says something for good, or that there is none."""
        common = {"X-Vault-Request": "true", "Accept": "application/json"}
        if self._terms.namespace:
            common["X-Vault-Namespace"] = self._terms.namespace
        try:
            client = self._connection()
            sent = client.build_request(method, f"{self._terms.url}{path}", headers={**common, **headers}, json=body)
            answer = client.send(sent, stream=True)
            try:
                answer = self._whole(answer)
            finally:
                answer.close()
        except (httpx.HTTPError, ssl.SSLError, OSError, ValueError) as error:
            return self._away(ref, f"gives no answer ({type(error).__name__})")
        if answer.status_code in AWAY:
            return self._away(ref, f"answers {answer.status_code}")
        return answer

    def _read(self, ref: SecretRef, answer: httpx.Response) -> str | Missing:
        mount, path, key = ref.path_and_key
        if answer.status_code == httpx.codes.NOT_FOUND:
            where, why = self._terms.url, f"has no {path} in the key/value store {mount}, or its version is deleted"
            return Missing(reason=reason(SecretCode.SECRET_ABSENT, secret=ref, where=where, why=why))
        if answer.status_code != httpx.codes.OK:
            return self._refused(ref, f"answers {answer.status_code}")
        values = _mapping(_mapping(_mapping(_json(answer)).get("data")).get("data"))
        found = values.get(key)
        if isinstance(found, str):
            return found
        why = f"has {mount}/{path}, with no text under {key}"
        return Missing(reason=reason(SecretCode.SECRET_ABSENT, secret=ref, where=self._terms.url, why=why))

    def _connection(self) -> httpx.Client:
        if self._client is None:
            quiet_clients()
            timeout = httpx.Timeout(self._terms.seconds, connect=min(CONNECT_SECONDS_MAX, self._terms.seconds))
            trust = ssl.create_default_context(cafile=self._terms.ca_file) if self._terms.ca_file else True
            self._client = httpx.Client(timeout=timeout, trust_env=False, follow_redirects=False, verify=trust)
        return self._client

    def _whole(self, answer: httpx.Response) -> httpx.Response:
        """Read to its end. Raises ValueError for one that is too long, or comes drop by drop."""
        body, until = bytearray(), self._seconds() + self._terms.seconds
        for part in answer.iter_bytes():
            body += part
            if len(body) > ANSWER_BYTES_MAX or self._seconds() > until:
                raise ValueError("its answer is too long")
        return httpx.Response(answer.status_code, content=bytes(body))

    def _away(self, ref: SecretRef, why: str) -> Missing:
        away = reason(SecretCode.SECRET_SOURCE_AWAY, secret=ref, where=self._terms.url, why=why)
        return Missing(reason=away, is_away=True)

    def _refused(self, ref: SecretRef, why: str) -> Missing:
        where = self._terms.url
        return Missing(reason=reason(SecretCode.SECRET_NOT_GIVEN, secret=ref, where=where, why=why, file=self._file))


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except (ValueError, RecursionError):
        return None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
