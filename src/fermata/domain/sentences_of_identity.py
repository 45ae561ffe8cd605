"""What people read about signing in, and about tokens that are not made."""

from types import MappingProxyType

from fermata.domain.identity_codes import IdentityCode

OF_IDENTITY = MappingProxyType(
    {
        IdentityCode.TOKEN_UNKNOWN: (
            "There is no token {token} that you may know of: `fermata tokens list` shows yours, and those that can do"
            " no more than you."
        ),
        IdentityCode.TOKEN_EXCEEDS: (
            "You cannot hand on {grant}: a token can do no more than who makes it, and has nothing of what was taken"
            " by breaking the glass. Leave that grant out, or ask somebody who has it."
        ),
        IdentityCode.TOKEN_WITHOUT_GRANT: "A token without any grant is good for nothing: name at least one.",
        IdentityCode.TOKEN_LIFE: "A token lives from 1 to {most} days, not {days}: make another when this one is over.",
        IdentityCode.TOKEN_BY_TOKEN: (
            "Tokens are made by who signed in, not with another token: otherwise one that leaked could go on for ever."
        ),
        IdentityCode.SIGN_IN_IMPOSSIBLE: "Nobody can sign in at {server} from here: {why}.",
        IdentityCode.SIGN_IN_FAILED: "You are not signed in: {why}. Try again with fermata sign-in.",
    }
)
