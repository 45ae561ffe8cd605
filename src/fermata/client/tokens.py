"""Tokens, and who a server takes one for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from fermata.client.part import Part, path_part
from fermata.domain.identity import Grant
from fermata.domain.sessions import ApiToken
from fermata.server.api.tokens import CallerLine, NewTokenLine, TokenLine
from fermata.services.access_keys import AccessKey
from fermata.services.identity import MadeToken, NewToken


@dataclass(frozen=True, slots=True)
class TokensVerbs(Part):
    """Tokens, and who one is."""

    def list_tokens(self) -> Sequence[ApiToken]:
        return [_token(line) for line in self.link.get(list[TokenLine], "/tokens")]

    def make_token(self, wanted: NewToken) -> MadeToken:
        grants = [{"role": grant.role, "level": grant.level, "name": grant.name} for grant in sorted(wanted.grants)]
        body = {"label": wanted.label, "grants": grants, "days": wanted.life // timedelta(days=1)}
        line = self.link.post(NewTokenLine, "/tokens", body)
        pair = line.access_key
        return MadeToken(
            token=_token(line),
            secret=line.secret,
            access_key=None if pair is None else AccessKey(id=pair.id, secret=pair.secret),
            no_access_key=line.no_access_key,
        )

    def revoke_token(self, token: str) -> ApiToken:
        return _token(self.link.delete(TokenLine, f"/tokens/{path_part(token)}"))

    def who_am_i(self) -> CallerLine:
        """Whom the server takes this caller for."""
        return self.link.get(CallerLine, "/whoami")


def _token(line: TokenLine) -> ApiToken:
    return ApiToken(
        id=line.id,
        label=line.label,
        owner=line.owner,
        grants=frozenset(Grant(role=grant.role, level=grant.level, name=grant.name) for grant in line.grants),
        created_at=line.created_at,
        expires_at=line.expires_at,
        used_at=line.used_at,
        revoked_at=line.revoked_at,
    )
