"""A provider of identities that says whatever a test wants, and counts what it was asked."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

CLIENT, SECRET, AUDIENCE = "fermata", "client-secret", "fermata-api"
Claims = dict[str, Any]


def make_key(name: str) -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": name, "use": "sig", "alg": "RS256"})


KEY, OTHER_KEY = make_key("first"), make_key("second")


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def unsigned(claims: Claims) -> str:
    return f"{encoded({'alg': 'none'})}.{encoded(claims)}."


def signed_with_public_key(claims: Claims) -> str:
    text = f"{encoded({'alg': 'HS256', 'kid': 'first'})}.{encoded(claims)}"
    seal = hmac.digest(KEY.as_pem(private=False), text.encode(), "sha256")
    return f"{text}.{base64.urlsafe_b64encode(seal).rstrip(b'=').decode()}"


@dataclass
class Issuer:
    """`url` is set once it listens. `alter` changes the claims of ID tokens, `seal` how a token is signed."""

    url: str = ""
    keys: list[RSAKey] = field(default_factory=lambda: [KEY])
    person: Claims = field(default_factory=lambda: {"sub": "u-1", "email": "ada@example.com", "groups": ["acme-leads"]})
    alter: Callable[[Claims], None] = lambda _claims: None
    seal: Callable[[Claims], str] | None = None
    name: str = ""  # what it calls itself, if not its url
    extra: Claims = field(default_factory=dict)  # of its description
    asked: list[str] = field(default_factory=list)
    codes: dict[str, Claims] = field(default_factory=dict)
    refreshed: int = 0
    device_polls: int = 0
    polls_wanted: int = 1
    access_seconds: int = 300

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self.describe),
                Route("/jwks", self.tell_keys),
                Route("/authorize", self.authorize),
                Route("/token", self.token, methods=["POST"]),
                Route("/device", self.device, methods=["POST"]),
            ]
        )

    def sign(self, claims: Claims, key: RSAKey | None = None) -> str:
        used = key or self.keys[0]
        return jwt.encode({"alg": "RS256", "kid": used.kid}, claims, used)

    def access_token(self, **claims: Any) -> str:
        now = int(time.time())
        base = {"iss": self.url, "aud": AUDIENCE, "iat": now, "exp": now + self.access_seconds, **self.person}
        return self.sign({**base, **claims})

    async def describe(self, request: Request) -> Response:
        self.asked.append("description")
        return JSONResponse(
            {
                "issuer": self.name or self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/jwks",
                "end_session_endpoint": f"{self.url}/logout",
                "device_authorization_endpoint": f"{self.url}/device",
                **self.extra,
            }
        )

    async def tell_keys(self, request: Request) -> Response:
        self.asked.append("keys")
        return JSONResponse(KeySet(list(self.keys)).as_dict(private=False))

    async def authorize(self, request: Request) -> Response:
        """Everybody who comes is the person, at once."""
        asked = dict(request.query_params)
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}", 302)

    async def token(self, request: Request) -> Response:
        form = dict(await request.form())
        match form.get("grant_type"):
            case "authorization_code":
                return self.redeem(form)
            case "urn:ietf:params:oauth:grant-type:device_code":
                self.device_polls += 1
                if self.device_polls <= self.polls_wanted:
                    return JSONResponse({"error": "authorization_pending"}, 400)
                return self.grant(refresh="refresh-1")
            case "refresh_token":
                if form.get("refresh_token") != f"refresh-{self.refreshed + 1}":
                    return JSONResponse({"error": "invalid_grant"}, 400)
                self.refreshed += 1
                return self.grant(refresh=f"refresh-{self.refreshed + 1}")
            case "client_credentials":
                claims = {"sub": form["client_id"], "client_id": form["client_id"]}
                token = self.access_token(**claims, email=None, groups=None)
                return JSONResponse({"access_token": token, "token_type": "Bearer", "expires_in": 300})
        return JSONResponse({"error": "unsupported_grant_type"}, 400)

    def grant(self, refresh: str) -> Response:
        token = self.access_token(client_id=CLIENT)
        body = {"access_token": token, "token_type": "Bearer", "expires_in": self.access_seconds}
        return JSONResponse({**body, "refresh_token": refresh})

    def redeem(self, form: Claims) -> Response:
        asked = self.codes.pop(str(form.get("code")), None)
        digest = hashlib.sha256(str(form.get("code_verifier")).encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if asked is None or asked.get("code_challenge") != challenge or asked.get("code_challenge_method") != "S256":
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims = {"iss": self.url, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": asked["nonce"], **self.person}
        self.alter(claims)
        token = self.seal(claims) if self.seal else self.sign(claims)
        return JSONResponse({"access_token": "opaque", "token_type": "Bearer", "expires_in": 300, "id_token": token})

    async def device(self, request: Request) -> Response:
        return JSONResponse(
            {
                "device_code": "device-1",
                "user_code": "ABCD-EFGH",
                "verification_uri": f"{self.url}/activate",
                "expires_in": 60,
                "interval": 0,
            }
        )
