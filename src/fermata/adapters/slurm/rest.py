"""slurmrestd with a JSON web token: what its own OpenAPI document says it can do decides what it is asked for.

22.05 (v0.0.36 to 38) reads nodes, jobs and reservations and writes none of them; 24.11 (v0.0.42) changes nodes. None of
them reboots.
"""

import re
import ssl
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx

from fermata.adapters.client_logs import quiet_clients
from fermata.adapters.secrets import read_line
from fermata.adapters.slurm.commands import AGAIN, SAID_MAX, NotDone
from fermata.adapters.slurm.hostlist import is_name
from fermata.adapters.slurm.settings import Settings
from fermata.domain.hiding import hide
from fermata.ports import OutcomeUnknown, Refused, TryLater

CONNECT_SECONDS_MAX = 5.0
BY_NAME_LEAST = 32  # nodes: asked for one by one in any case, in half a second
BY_NAME_AT_ONCE = 8  # calls: 22.05 takes 13 ms for one and works in 3 of them; it has 20 threads
BY_NAME_SHARE = 5  # of all nodes: one by itself took 22.05 as long as five in a list
_VERSION = re.compile(r"^/slurm/v(\d+)\.(\d+)\.(\d+)/(nodes|jobs|reservations)/?$")
_REFUSING = frozenset({401, 403, 511})
_BAD_TOKEN = ("authentication", "invalid user", "permission")
_UNKNOWN_NODE = "invalid node name"
_EITHER = "unspecified error"  # 22.05 says this alike of a token that it does not know and of a slurmctld that is away


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """What this slurmrestd does: paths by the noun they list, and whether nodes can be changed."""

    base: str
    lists: Mapping[str, str]
    changes_nodes: bool


@dataclass
class Rest:
    """One client; a token is read for each call, so that it may change. Proxies of the environment are not asked."""

    settings: Settings
    _abilities: Abilities | None = field(default=None, init=False)
    _client: httpx.Client | None = field(default=None, init=False)
    _node_count: int = field(default=0, init=False)

    def abilities(self, *, anew: bool = False) -> Abilities:
        """Asked once; `anew`: again. Raises TryLater or Refused."""
        if self._abilities is None or anew:
            self._abilities = read_abilities(self._get("/openapi/v3"))
        return self._abilities

    def listed(self, noun: str) -> list[Mapping[str, Any]]:
        """All of `nodes`, `jobs` or `reservations`. Raises TryLater or Refused."""
        answer = self._get(self.abilities().lists[noun])
        self._look_for_errors(answer)
        found = answer.get(noun)
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            raise Refused(f"slurmrestd answers no list of {noun}")
        return found

    def nodes(self, names: Collection[str] | None) -> list[Mapping[str, Any]]:
        """Those of `names` that it knows, and perhaps others; None: all. Each by itself while that is quicker, several
        at a time: no slurmrestd lists some, and 22.05 takes a name, no list of names. Raises TryLater or Refused.
        """
        if names is not None and len(names) <= max(BY_NAME_LEAST, self._node_count // BY_NAME_SHARE):
            self.abilities()  # asked once, and not by each thread
            known = [name for name in sorted(names) if is_name(name)]
            with ThreadPoolExecutor(BY_NAME_AT_ONCE, thread_name_prefix="slurmrestd") as pool:
                try:
                    return [node for found in pool.map(self._node, known) for node in found]
                except (NotDone, OutcomeUnknown):
                    pass  # the list tells better what is wrong
        found = self.listed("nodes")
        self._node_count = len(found)
        return found

    def _node(self, name: str) -> list[Mapping[str, Any]]:
        """One node in a list, or none. Raises TryLater, Refused, NotDone or OutcomeUnknown."""
        try:
            answer = self._ask("GET", f"{self.abilities().base}/node/{quote(name, safe='')}", None)
        except NotDone as error:
            if _UNKNOWN_NODE in error.why.lower():
                return []
            raise
        if _says_unknown(answer):
            return []
        self._look_for_errors(answer)
        found = answer.get("nodes")
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            raise Refused("slurmrestd answers no list of nodes")
        return found

    def release(self) -> str:
        """The version of Slurm behind it. Raises TryLater or Refused."""
        answer = self._get(f"{self.abilities().base}/ping/" if self._is_new() else f"{self.abilities().base}/ping")
        self._look_for_errors(answer)
        meta = _mapping(answer.get("meta"))
        return str(_mapping(meta.get("slurm") or meta.get("Slurm")).get("release") or "unknown")

    def change_nodes(self, hostlist: str, words: Mapping[str, Any]) -> None:
        """Raises NotDone, Refused or OutcomeUnknown."""
        path = f"{self.abilities().base}/node/{quote(hostlist, safe='')}"
        try:
            answer = self._ask("POST", path, words)
        except TryLater as error:
            raise NotDone(str(error), is_away=True) from error
        errors = answer.get("errors")
        if errors:
            raise NotDone(f"slurmrestd says {hide(_say_errors(errors), self._token())}", is_away=False)

    def close(self) -> None:
        """Lets go of the connection; another is made when one is needed."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _is_new(self) -> bool:
        return self.abilities().lists["nodes"].endswith("/")

    def _get(self, path: str) -> Mapping[str, Any]:
        try:
            return self._ask("GET", path, None)
        except OutcomeUnknown as error:
            raise TryLater(AGAIN, str(error)) from error
        except NotDone as error:
            raise TryLater(AGAIN, error.why) from error

    def _ask(self, method: str, path: str, words: Mapping[str, Any] | None) -> Mapping[str, Any]:
        """Raises TryLater when it was not reached, NotDone, Refused, or OutcomeUnknown when an answer was lost."""
        url = f"{self.settings.rest_url}{path}"
        token = self._token()
        try:
            answer = self._send(method, url, words, token)
            if answer.status_code == httpx.codes.UNAUTHORIZED:
                self.settings.secret.forget()
                renewed = self._token()
                answer = self._send(method, url, words, renewed) if renewed != token else answer
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise TryLater(AGAIN, f"slurmrestd does not answer: {str(error) or type(error).__name__}") from error
        except (httpx.HTTPError, RuntimeError) as error:  # RuntimeError: the client was closed meanwhile
            raise OutcomeUnknown(
                f"slurmrestd gives no answer: {hide(str(error), token) or type(error).__name__}"
            ) from error
        try:
            found = answer.json()
        except ValueError:
            found = None
        if answer.status_code in _REFUSING:
            raise Refused(f"slurmrestd answers {answer.status_code}: see rest_user and the token in the settings")
        if answer.is_success and isinstance(found, dict):
            return found
        errors = found.get("errors") if isinstance(found, dict) else None
        told = _say_errors(errors) if errors else " ".join(answer.text.split())
        said = hide(told, self._token())[:SAID_MAX]
        is_away = answer.status_code in (408, 429, 502, 503, 504) or "contact" in said.lower()
        raise NotDone(f"slurmrestd answers {answer.status_code} ({said})", is_away=is_away)

    def _look_for_errors(self, answer: Mapping[str, Any]) -> None:
        """22.05 answers 200 with an empty list and an error, even to a token that it does not know."""
        errors = answer.get("errors")
        if not errors:
            return
        said = hide(_say_errors(errors), self._token())
        if any(word in said.lower() for word in _BAD_TOKEN):
            raise Refused(f"slurmrestd says {said}: see rest_user and the token in the settings")
        raise TryLater(AGAIN, f"slurmrestd says {said}")

    def _connection(self) -> httpx.Client:
        if self._client is None:
            quiet_clients()
            timeout = httpx.Timeout(self.settings.answer_seconds_max, connect=CONNECT_SECONDS_MAX)
            self._client = httpx.Client(timeout=timeout, trust_env=False, verify=self._trust())
        return self._client

    def _trust(self) -> ssl.SSLContext | bool:
        if self.settings.rest_ca_file is None:
            return True
        try:
            return ssl.create_default_context(cafile=self.settings.rest_ca_file)
        except OSError as error:
            raise Refused(f"{self.settings.rest_ca_file} holds no certificates: {error}") from error

    def _send(self, method: str, url: str, words: Mapping[str, Any] | None, token: str) -> httpx.Response:
        return self._connection().request(method, url, json=words, headers=self._headers(token))

    def _headers(self, token: str) -> dict[str, str]:
        headers = {"Accept": "application/json", "X-SLURM-USER-TOKEN": token}
        if self.settings.rest_user is not None:
            headers["X-SLURM-USER-NAME"] = self.settings.rest_user
        return headers

    def _token(self) -> str:
        token = read_line(self.settings.secret).strip().removeprefix("SLURM_JWT=")  # as `scontrol token` prints it
        if not token:
            raise Refused(f"{self.settings.secret} holds no token")
        return token


def read_abilities(document: Mapping[str, Any]) -> Abilities:
    """What an OpenAPI document promises, of the newest version in it. Raises Refused when it is none of Slurm."""
    found: dict[tuple[int, int, int], dict[str, str]] = {}
    paths = _mapping(document.get("paths"))
    for path in paths:
        match = _VERSION.match(path)
        if match is not None:
            found.setdefault((int(match[1]), int(match[2]), int(match[3])), {})[match[4]] = path
    whole = [version for version, lists in found.items() if len(lists) == 3]
    if not whole:
        raise Refused("what answers at rest_url is no slurmrestd with nodes, jobs and reservations")
    newest = max(whole)
    base = f"/slurm/v{'.'.join(map(str, newest))}"
    verbs = _mapping(paths.get(f"{base}/node/{{node_name}}"))
    return Abilities(base=base, lists=found[newest], changes_nodes="post" in verbs)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _says_unknown(answer: Mapping[str, Any]) -> bool:
    """How 24.11 tells that it has no node of that name: 200, no node, and one error that is none."""
    errors = answer.get("errors")
    return not answer.get("nodes") and isinstance(errors, list) and len(errors) == 1 and _is_no_error(errors[0])


def _is_no_error(error: object) -> bool:
    return (
        isinstance(error, dict)
        and error.get("error_number") == 0
        and str(error.get("description", "")).startswith("Failure to query node ")
    )


def _say_errors(errors: Any) -> str:
    told = []
    for error in errors if isinstance(errors, list) else [errors]:
        words = error if isinstance(error, dict) else {"error": error}
        told.append(" ".join(str(words[key]) for key in ("description", "error", "source") if words.get(key)))
    said = "; ".join(told)[:SAID_MAX]
    return f"{said}: slurmctld is away, or the token is not known" if _EITHER in said.lower() else said
