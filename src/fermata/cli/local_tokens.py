"""The verbs of tokens over a store of one's own: whoever can write it may do everything."""

from collections.abc import Sequence
from dataclasses import dataclass

from fermata.cli.local_rooms import RoomVerbs
from fermata.domain.identity import LOCAL
from fermata.domain.sessions import ApiToken
from fermata.services import identity
from fermata.wiring import clocks


@dataclass(frozen=True, slots=True)
class TokenVerbs(RoomVerbs):
    """The services, on real time; those of rooms, too."""

    def list_tokens(self) -> Sequence[ApiToken]:
        return identity.list_tokens(self.database, LOCAL)

    def make_token(self, wanted: identity.NewToken) -> identity.MadeToken:
        return identity.make_token(self.database, wanted, LOCAL, now=clocks.utc_now(), new_id=clocks.mint_id)

    def revoke_token(self, token: str) -> ApiToken:
        return identity.revoke_token(self.database, token, LOCAL, now=clocks.utc_now())
