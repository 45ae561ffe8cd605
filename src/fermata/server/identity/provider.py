"""The provider of identities over OpenID Connect: where it is asked, what a code is redeemed for, whose a token is."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import httpx2
from authlib.integrations.httpx_client import OAuth2Client, OAuthError

from fermata.domain.access import AccessBook, OidcTerms, emergencies_of_user, grants_of_client, grants_of_user
from fermata.domain.identity import Principal, PrincipalKind
from fermata.domain.secrets import Missing, SecretSource
from fermata.domain.sessions import Origin
from fermata.server.identity.fetching import ANSWER_SECONDS_MAX, fetch_json, require_safe, trust
from fermata.server.identity.keyring import (
    KEEP_SECONDS,
    LEEWAY_SECONDS,
    LOGOUT_SECONDS_MAX,
    Claims,
    Kept,
    KeyRing,
    NotProven,
    ProviderSilent,
    check_claims,
    check_logout,
)

DISCOVERY = "/.well-known/openid-configuration"
NAME_LENGTH_MAX, GROUPS_MAX = 200, 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Where the provider is asked what. "": it cannot be asked for that."""

    authorization: str
    token: str
    jwks: str
    userinfo: str = ""
    end_session: str = ""
    device: str = ""
    says_issuer: bool = False
    posts_secret: bool = False  # it takes a client's secret in the body alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody whom the provider knows: `subject` for itself, `sid` in this session of theirs, if it names one."""

    name: str
    groups: tuple[str, ...]
    subject: str = ""
    sid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What this server asked for when it sent a browser to the provider."""

    state: str
    nonce: str
    verifier: str
    redirect_uri: str


@dataclass(kw_only=True)
class Provider:
    """One issuer. Its calls block: they belong into a worker thread. `book` says who was granted what."""

    terms: OidcTerms
    book: AccessBook
    secrets: SecretSource | None = None
    _places: Kept[Endpoints] = field(init=False)
    _keys: KeyRing = field(init=False)

    def __post_init__(self) -> None:
        self._places = Kept(read=self._describe)
        self._keys = KeyRing(fetch=lambda: self._get(self.endpoints().jwks))

    def endpoints(self) -> Endpoints:
        """Read from the issuer, and kept for an hour. Raises ProviderSilent."""
        found, _ = self._places.look(older_than=KEEP_SECONDS)
        return found

    def _describe(self) -> Endpoints:
        return _endpoints(self._get(self.terms.issuer.rstrip("/") + DISCOVERY), self.terms.issuer)

    def ask(self, attempt: Attempt) -> str:
        """Where a browser is sent to sign in. Raises ProviderSilent."""
        with self._client() as client:
            url, _ = client.create_authorization_url(
                self.endpoints().authorization,
                state=attempt.state,
                code_verifier=attempt.verifier,
                nonce=attempt.nonce,
                redirect_uri=attempt.redirect_uri,
                scope=" ".join(self.terms.scopes),
            )
        return str(url)

    def redeem(self, attempt: Attempt, code: str, issuer: str | None, *, now: datetime) -> Person:
        """Who came back with that code. Raises NotProven and ProviderSilent."""
        places = self.endpoints()
        if issuer != self.terms.issuer and (issuer is not None or places.says_issuer):
            raise NotProven("the answer is of another provider")
        try:
            with self._client() as client:
                told = client.fetch_token(
                    places.token,
                    grant_type="authorization_code",
                    code=code,
                    redirect_uri=attempt.redirect_uri,
                    code_verifier=attempt.verifier,
                )
        except OAuthError as error:
            if error.error == "invalid_client" and self.secrets is not None and self.terms.secret is not None:
                self.secrets.forget(self.terms.secret)  # it was renewed: the next to sign in comes with the new one
            raise NotProven(f"the provider did not take the code ({error.error})") from error
        except (httpx2.HTTPError, ValueError) as error:
            raise ProviderSilent(f"{places.token}: {type(error).__name__}") from error
        claims = self._prove_id(told.get("id_token"), attempt.nonce, now=now)
        person = self._person(self._completed(claims, places, told.get("access_token")))
        sid = claims.get("sid")
        return replace(person, subject=str(claims["sub"]), sid=sid if isinstance(sid, str) else "")

    def who_left(self, token: str, *, now: datetime) -> tuple[Origin, str, datetime]:
        """Whose sessions a logout token ends, its name, and until when that has to be remembered. Raises NotProven and
        ProviderSilent.
        """
        claims = self._keys.prove(token)
        check_logout(claims, issuer=self.terms.issuer, audience=self.terms.client_id, now=now)
        origin = Origin(issuer=self.terms.issuer, subject=claims.get("sub", ""), sid=claims.get("sid", ""))
        kept = timedelta(seconds=LOGOUT_SECONDS_MAX + 2 * LEEWAY_SECONDS)
        return origin, claims["jti"], max(now, datetime.fromtimestamp(claims["iat"], UTC)) + kept

    def principal(self, token: str, *, now: datetime) -> Principal:
        """Whose access token that is, as a credential for this API. Raises NotProven and ProviderSilent."""
        if not self.terms.audience:
            raise NotProven("tokens of the provider are no credentials here: access.yaml names no audience")
        claims = self._keys.prove(token)
        check_claims(claims, issuer=self.terms.issuer, audience=self.terms.audience, now=now)
        if "nonce" in claims:
            raise NotProven("it is an ID token")
        client = self._client_name(claims)
        if client:
            grants = grants_of_client(self.book, client)
            return Principal(name=client, kind=PrincipalKind.SERVICE, grants=grants, via="oidc")
        person = self._person(claims)
        grants = grants_of_user(self.book, person.name, person.groups)
        may_take = emergencies_of_user(self.book, person.name, person.groups)
        return Principal(name=person.name, kind=PrincipalKind.PERSON, grants=grants, emergencies=may_take, via="oidc")

    def leave(self, back: str) -> str:
        """Where a browser is sent to sign out at the provider, too; "" where that cannot be asked for it."""
        end = self.endpoints().end_session
        if not end:
            return ""
        asked = urlencode({"client_id": self.terms.client_id, "post_logout_redirect_uri": back})
        return f"{end}{'&' if '?' in end else '?'}{asked}"

    def _prove_id(self, token: object, nonce: str, *, now: datetime) -> Claims:
        if not isinstance(token, str):
            raise NotProven("the provider sent no ID token")
        claims = self._keys.prove(token)
        check_claims(claims, issuer=self.terms.issuer, audience=self.terms.client_id, now=now)
        if "iat" not in claims:
            raise NotProven("the ID token does not say when it was made")
        if claims.get("nonce") != nonce:
            raise NotProven("the ID token answers another question (nonce)")
        audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        party = claims.get("azp")
        if (len(audiences) > 1 or party is not None) and party != self.terms.client_id:
            raise NotProven("the ID token was made for another client (azp)")
        return claims

    def _completed(self, claims: Claims, places: Endpoints, access_token: object) -> Claims:
        """With what the provider says about the person only when it is asked for that."""
        wanted = (self.terms.name_claim, self.terms.groups_claim)
        if all(name in claims for name in wanted) or not places.userinfo or not isinstance(access_token, str):
            return claims
        more = self._get(places.userinfo, token=access_token)
        if more.get("sub") != claims["sub"]:
            raise NotProven("the provider speaks of somebody else (userinfo)")
        return {**more, **claims}

    def _person(self, claims: Claims) -> Person:
        name = claims.get(self.terms.name_claim)
        if not isinstance(name, str) or not 0 < len(name) <= NAME_LENGTH_MAX or not name.isprintable():
            raise NotProven(f"it does not say who it is of ({self.terms.name_claim})")
        verified = claims.get("email_verified", True)  # some never say it; some say it as a text
        if self.terms.name_claim == "email" and not (verified is True or verified == "true"):
            raise NotProven("the provider has not verified that address")
        groups = claims.get(self.terms.groups_claim, [])
        listed = [groups] if isinstance(groups, str) else groups if isinstance(groups, list) else []
        return Person(name=name, groups=tuple(group for group in listed if isinstance(group, str))[:GROUPS_MAX])

    def _client_name(self, claims: Claims) -> str:
        """The program whose token it is, "" for a person's. A person's token may name a program too: the one that
        brought it. So the subject has to be the program, or the provider to say so in a claim of its own.
        """
        if self.terms.client_claim:
            named = claims.get(self.terms.client_claim)
            return named if isinstance(named, str) else ""
        client = claims.get("client_id", claims.get("azp"))
        if not isinstance(client, str) or not client:
            return ""
        return client if claims.get("sub") in (client, f"{client}@clients") or claims.get("idtyp") == "app" else ""

    def _get(self, url: str, token: str = "") -> Mapping[str, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return fetch_json(url, self.terms.ca_file, headers)

    def _client(self) -> OAuth2Client:
        secret = self._secret()
        return OAuth2Client(
            client_id=self.terms.client_id,
            client_secret=secret,
            token_endpoint_auth_method="client_secret_post" if secret and self.endpoints().posts_secret else None,
            code_challenge_method="S256",
            timeout=ANSWER_SECONDS_MAX,
            verify=trust(self.terms.ca_file),
        )

    def _secret(self) -> str | None:
        """Ours, None of a client without one. Raises ProviderSilent where it cannot be read."""
        ref = self.terms.secret
        if ref is None:
            return None
        assert self.secrets is not None, "whoever names a secret says who is asked for it"
        found = self.secrets.look(ref)
        if isinstance(found, Missing):
            raise ProviderSilent(str(found.reason))
        return found


def _endpoints(found: Mapping[str, Any], issuer: str) -> Endpoints:
    if found.get("issuer") != issuer:
        raise ProviderSilent(f"it calls itself {found.get('issuer')!r}, not {issuer!r}")
    texts = {name: value for name, value in found.items() if isinstance(value, str)}
    missing = [name for name in ("authorization_endpoint", "token_endpoint", "jwks_uri") if not texts.get(name)]
    if missing:
        raise ProviderSilent(f"it does not say its {', '.join(missing)}")
    places = Endpoints(
        authorization=texts["authorization_endpoint"],
        token=texts["token_endpoint"],
        jwks=texts["jwks_uri"],
        userinfo=texts.get("userinfo_endpoint", ""),
        end_session=texts.get("end_session_endpoint", ""),
        device=texts.get("device_authorization_endpoint", ""),
        says_issuer=found.get("authorization_response_iss_parameter_supported") is True,
        posts_secret=_posts_secret(found.get("token_endpoint_auth_methods_supported")),
    )
    for url in (places.authorization, places.token, places.jwks, places.userinfo, places.end_session, places.device):
        if url:
            require_safe(url)
    return places


def _posts_secret(methods: object) -> bool:
    return isinstance(methods, list) and "client_secret_post" in methods and "client_secret_basic" not in methods
